/* The access log's thread: every line is written or counted as lost, and nobody waits for it. */
#include "net/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- injection --- */

static atomic_int fault_errno;    /* of every write of lines, while it is set */
static atomic_bool hangs;         /* writes of lines wait for `go_on` */
static atomic_uint notifications; /* writes to eventfds */
static sem_t go_on, gone_on;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    if (size == sizeof(uint64_t)) {
        atomic_fetch_add(&notifications, 1);
        return __real_write(fd, bytes, size);
    }
    if (atomic_load(&hangs)) {
        sem_wait(&go_on);
        ssize_t written = __real_write(fd, bytes, size);
        sem_post(&gone_on);
        return written;
    }
    if (!atomic_load(&fault_errno))
        return __real_write(fd, bytes, size);
    errno = atomic_load(&fault_errno);
    return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- warnings --- */

static pthread_mutex_t warnings_lock = PTHREAD_MUTEX_INITIALIZER;
static GString *warnings;
static unsigned warning_count;
static uint64_t lost_total;

static void on_message(const char *domain, GLogLevelFlags level, const char *text, void *arg)
{
    (void)domain, (void)arg;
    static const char begin[] = "access log: ";
    if (!(level & G_LOG_LEVEL_WARNING))
        return;
    pthread_mutex_lock(&warnings_lock);
    g_string_append_printf(warnings, "%s\n", text);
    warning_count++;
    /* 0 when no number follows. */
    if (g_str_has_prefix(text, begin))
        lost_total += g_ascii_strtoull(text + strlen(begin), NULL, 10);
    pthread_mutex_unlock(&warnings_lock);
}

static void forget_warnings(void)
{
    pthread_mutex_lock(&warnings_lock);
    g_string_truncate(warnings, 0);
    warning_count = 0;
    lost_total = 0;
    pthread_mutex_unlock(&warnings_lock);
}

/* --- logs --- */

enum { REACTORS = 3, LINES = 3000 };

static char *folder;
static char *path;

static void begin(void)
{
    folder = g_dir_make_tmp("coreactor-XXXXXX", NULL);
    g_assert_nonnull(folder);
    path = g_build_filename(folder, "access.log", NULL);
    forget_warnings();
}

static void end(void)
{
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}

static struct access_log *open_log(unsigned reactors)
{
    struct access_log *log = access_log_open(path, ACCESS_COMBINED, reactors);
    g_assert_nonnull(log);
    return log;
}

/* A FIFO at the path; returns its reading end, which does not block. */
static int make_fifo(void)
{
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A line whose target is "/REACTOR/NUMBER". */
static void add(struct access_log *log, unsigned reactor, unsigned number)
{
    char target[32];
    int length = snprintf(target, sizeof(target), "/%u/%u", reactor, number);
    const struct access_entry entry = {.method = {"GET", 3},
                                       .target = {target, (size_t)length},
                                       .version_minor = 1,
                                       .status = 200,
                                       .time_ms = 1795314708007};
    access_log_add(access_log_ring(log, reactor), &entry);
}

/* The reactor and the number of a line, which is whole. */
static void read_line(const char *line, unsigned *reactor, unsigned *number)
{
    static const char begin[] = "- - - [22/Nov/2026:02:31:48 +0000] \"GET /";
    char *at;
    g_assert_true(g_str_has_prefix(line, begin));
    *reactor = (unsigned)g_ascii_strtoull(line + strlen(begin), &at, 10);
    g_assert_cmpint(*at, ==, '/');
    *number = (unsigned)g_ascii_strtoull(at + 1, &at, 10);
    g_assert_cmpstr(at, ==, " HTTP/1.1\" 200 0 \"-\" \"-\"");
}

/* How many lines of the text there are; each is whole, and a reactor's are in order. */
static size_t count_lines(const char *text, unsigned reactors)
{
    size_t lines = 0;
    unsigned next[REACTORS] = {0};
    g_assert_true(!*text || g_str_has_suffix(text, "\n"));
    g_auto(GStrv) parts = g_strsplit(text, "\n", -1);
    for (; parts[lines] && *parts[lines]; lines++) {
        unsigned reactor, number;
        read_line(parts[lines], &reactor, &number);
        g_assert_cmpuint(reactor, <, reactors);
        g_assert_cmpuint(number, >=, next[reactor]);
        next[reactor] = number + 1;
    }
    return lines;
}

/* Where the output was given up the last line may be torn. */
static size_t count_whole_lines(char *text)
{
    char *last = strrchr(text, '\n');
    g_assert_nonnull(last);
    last[1] = '\0';
    return count_lines(text, 1);
}

static size_t count_lines_of(const char *file, unsigned reactors)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return count_lines(text, reactors);
}

/* Waits until the file has so many lines, which is a defect when it never has. */
static void await_lines(const char *file, size_t lines)
{
    g_autofree char *text = NULL;
    while (!g_file_get_contents(file, &text, NULL, NULL) || count_lines(text, 1) < lines) {
        g_clear_pointer(&text, g_free);
        g_usleep(1000);
    }
}

static void await_warning(void)
{
    for (;; g_usleep(1000)) {
        pthread_mutex_lock(&warnings_lock);
        bool warned = warning_count > 0;
        pthread_mutex_unlock(&warnings_lock);
        if (warned)
            return;
    }
}

/* --- opening --- */

static void test_failures_of_open(void)
{
    errno = 0;
    g_assert_null(access_log_open("/nonexistent/access.log", ACCESS_JSON, 1));
    g_assert_cmpint(errno, ==, ENOENT);
    errno = 0;
    g_assert_null(access_log_open("/", ACCESS_JSON, 1));
    g_assert_cmpint(errno, ==, EISDIR);
    access_log_close(NULL);
}

/* From /proc: what the thread called access-log blocks. */
static uint64_t blocked_signals(void)
{
    uint64_t blocked = 0;
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
    for (const char *task; (task = g_dir_read_name(tasks));) {
        g_autofree char *file = g_strdup_printf("/proc/self/task/%s/status", task);
        g_autofree char *text = NULL;
        if (g_file_get_contents(file, &text, NULL, NULL) &&
            g_str_has_prefix(text, "Name:\taccess-log\n"))
            blocked = g_ascii_strtoull(strstr(text, "SigBlk:\t") + 8, NULL, 16);
    }
    return blocked;
}

static void test_thread_blocks_all_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ, SIGALRM, SIGUSR1};
    begin();
    struct access_log *log = open_log(1);
    uint64_t blocked = blocked_signals();
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        g_assert_true(blocked >> (signals[i] - 1) & 1);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    g_assert_false(sigismember(&set, SIGTERM));
    access_log_close(log);
    end();
}

/* --- writing --- */

static void test_lines_appear_while_the_log_is_open(void)
{
    begin();
    struct access_log *log = open_log(1);
    for (unsigned i = 0; i < 3; i++) {
        add(log, 0, i);
        await_lines(path, i + 1);
    }
    access_log_close(log);
    g_assert_cmpuint(count_lines_of(path, 1), ==, 3);
    g_assert_cmpuint(warning_count, ==, 0);
    end();
}

struct reactor_thread {
    pthread_t thread;
    struct access_log *log;
    unsigned reactor;
};

static void *add_all(void *arg)
{
    struct reactor_thread *reactor = arg;
    for (unsigned i = 0; i < LINES; i++)
        add(reactor->log, reactor->reactor, i);
    return NULL;
}

static void test_all_lines_of_all_reactors(void)
{
    struct reactor_thread reactors[REACTORS];
    begin();
    struct access_log *log = open_log(REACTORS);
    for (unsigned i = 0; i < REACTORS; i++) {
        reactors[i].log = log;
        reactors[i].reactor = i;
        g_assert_cmpint(pthread_create(&reactors[i].thread, NULL, add_all, &reactors[i]), ==, 0);
    }
    for (unsigned i = 0; i < REACTORS; i++) {
        access_log_reopen(log);
        g_assert_cmpint(pthread_join(reactors[i].thread, NULL), ==, 0);
    }
    access_log_close(log);
    /* A ring has room for all of them, even if the thread never ran. */
    g_assert_cmpuint(count_lines_of(path, REACTORS), ==, REACTORS * LINES);
    g_assert_cmpuint(warning_count, ==, 0);
    end();
}

/* Reads a FIFO until nobody can write to it any more. */
static void *read_all(void *arg)
{
    int fd = GPOINTER_TO_INT(arg);
    GString *text = g_string_new(NULL);
    char bytes[65536];
    ssize_t length;
    g_assert_cmpint(fcntl(fd, F_SETFL, 0), ==, 0);
    while ((length = read(fd, bytes, sizeof(bytes))) > 0)
        g_string_append_len(text, bytes, length);
    return g_string_free(text, FALSE);
}

static void test_what_does_not_fit_is_counted(void)
{
    enum { ADDED = 60000 }; /* more than a ring, a pipe and the thread have room for */
    pthread_t reader;
    void *text;
    begin();
    int fd = make_fifo();
    struct access_log *log = open_log(1);
    atomic_store(&notifications, 0);
    for (unsigned i = 0; i < ADDED; i++)
        add(log, 0, i);
    /* Once while it was idle and once since. */
    g_assert_cmpuint(atomic_load(&notifications), <=, 2);
    await_warning();
    g_assert_cmpint(pthread_create(&reader, NULL, read_all, GINT_TO_POINTER(fd)), ==, 0);
    access_log_close(log);
    g_assert_cmpint(pthread_join(reader, &text), ==, 0);
    g_assert_cmpuint(lost_total, >, 0);
    g_assert_cmpuint(warning_count, <=, 2);
    g_assert_cmpuint(count_whole_lines(text) + lost_total, ==, ADDED);
    g_assert_nonnull(strstr(warnings->str, "takes them too slowly"));
    g_free(text);
    close(fd);
    end();
}

static void test_failures_are_reported_once_in_a_while(void)
{
    begin();
    struct access_log *log = open_log(1);
    atomic_store(&fault_errno, ENOSPC);
    add(log, 0, 0);
    await_warning();
    for (unsigned i = 1; i < 100; i++)
        add(log, 0, i);
    access_log_close(log);
    atomic_store(&fault_errno, 0);
    g_assert_cmpuint(lost_total, ==, 100);
    g_assert_cmpuint(warning_count, ==, 2);
    g_assert_nonnull(strstr(warnings->str, g_strerror(ENOSPC)));
    g_assert_cmpuint(count_lines_of(path, 1), ==, 0);
    end();
}

static void test_pipe_without_readers(void)
{
    begin();
    int fd = make_fifo();
    struct access_log *log = open_log(1);
    close(fd);
    add(log, 0, 0);
    access_log_close(log);
    g_assert_cmpuint(lost_total, ==, 1);
    g_assert_nonnull(strstr(warnings->str, g_strerror(EPIPE)));
    end();
}

/* --- closing --- */

static void test_close_gives_up_a_blocked_pipe(void)
{
    enum { ADDED = 3000 };
    pthread_t reader;
    void *text;
    begin();
    int fd = make_fifo();
    struct access_log *log = open_log(1);
    for (unsigned i = 0; i < ADDED; i++)
        add(log, 0, i);
    int64_t before_us = g_get_monotonic_time();
    access_log_close(log);
    g_assert_cmpint(g_get_monotonic_time() - before_us, >=, G_USEC_PER_SEC);
    g_assert_cmpuint(warning_count, ==, 1);
    g_assert_cmpuint(lost_total, >, 0);
    g_assert_cmpint(pthread_create(&reader, NULL, read_all, GINT_TO_POINTER(fd)), ==, 0);
    g_assert_cmpint(pthread_join(reader, &text), ==, 0);
    g_assert_cmpuint(count_whole_lines(text) + lost_total, ==, ADDED);
    g_free(text);
    close(fd);
    end();
}

static void test_close_leaves_a_write_that_hangs(void)
{
    begin();
    struct access_log *log = open_log(1);
    atomic_store(&hangs, true);
    add(log, 0, 0);
    access_log_close(log);
    g_assert_cmpuint(warning_count, ==, 1);
    g_assert_nonnull(strstr(warnings->str, "hangs"));
    /* When it hangs no more, the thread ends and frees what it has. */
    sem_post(&go_on);
    sem_wait(&gone_on);
    atomic_store(&hangs, false);
    while (blocked_signals())
        g_usleep(1000);
    g_assert_cmpuint(count_lines_of(path, 1), ==, 1);
    end();
}

/* --- rotation --- */

static void test_rotation(void)
{
    begin();
    g_autofree char *old = g_strconcat(path, ".1", NULL);
    struct access_log *log = open_log(1);
    add(log, 0, 0);
    await_lines(path, 1);
    g_assert_cmpint(rename(path, old), ==, 0);
    access_log_reopen(log);
    while (!g_file_test(path, G_FILE_TEST_EXISTS))
        g_usleep(1000);
    add(log, 0, 1);
    add(log, 0, 2);
    await_lines(path, 2);
    access_log_close(log);
    g_assert_cmpuint(count_lines_of(old, 1), ==, 1);
    g_assert_cmpuint(count_lines_of(path, 1), ==, 2);
    g_assert_cmpuint(warning_count, ==, 0);
    g_unlink(old);
    end();
}

#define ADD(path, function) g_test_add_func("/net/access-log/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    warnings = g_string_new(NULL);
    sem_init(&go_on, 0, 0);
    sem_init(&gone_on, 0, 0);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_log_set_handler("coreactor", G_LOG_LEVEL_MASK, on_message, NULL);
    ADD("open/failures", failures_of_open);
    ADD("open/signals", thread_blocks_all_signals);
    ADD("write/soon", lines_appear_while_the_log_is_open);
    ADD("write/all", all_lines_of_all_reactors);
    ADD("write/full", what_does_not_fit_is_counted);
    ADD("write/fails", failures_are_reported_once_in_a_while);
    ADD("write/no-reader", pipe_without_readers);
    ADD("close/blocked", close_gives_up_a_blocked_pipe);
    ADD("close/hangs", close_leaves_a_write_that_hangs);
    ADD("rotation", rotation);
    int result = g_test_run();
    g_string_free(warnings, TRUE);
    return result;
}
