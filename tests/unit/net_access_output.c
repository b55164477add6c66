/* Writing the access log: whatever write(2) does, lines are whole and lost ones are counted. */
#include "net/access_output.h"

#include "net/access_line.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- injection --- */

static const int *faults; /* for one write each: bytes that it takes, or -errno */
static size_t fault_count;
static size_t largest_write;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    largest_write = MAX(largest_write, size);
    if (!fault_count)
        return __real_write(fd, bytes, size);
    int fault = *faults++;
    fault_count--;
    if (fault < 0) {
        errno = -fault;
        return -1;
    }
    return fault ? __real_write(fd, bytes, MIN(size, (size_t)fault)) : 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

#define INJECT(...)                                         \
    do {                                                    \
        static const int faults_[] = {__VA_ARGS__};         \
        faults = faults_;                                   \
        fault_count = sizeof(faults_) / sizeof(faults_[0]); \
    } while (0)

/* --- a file of its own --- */

static char *folder;
static char *path;

static void begin(struct access_output *output)
{
    folder = g_dir_make_tmp("coreactor-XXXXXX", NULL);
    g_assert_nonnull(folder);
    path = g_build_filename(folder, "access.log", NULL);
    g_assert_cmpint(access_output_open(output, path), ==, 0);
}

static void end(struct access_output *output)
{
    access_output_close(output);
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}

static void add(struct access_output *output, const char *line)
{
    char *room = access_output_room(output);
    g_assert_nonnull(room);
    memcpy(room, line, strlen(line));
    access_output_add(output, strlen(line));
}

static bool flush(struct access_output *output)
{
    bool flushed = access_output_flush(output, g_get_monotonic_time());
    g_assert_cmpuint(fault_count, ==, 0);
    return flushed;
}

static void expect_file(const char *file, const char *expected)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

/* --- opening --- */

static void test_is_made_for_the_owner_and_the_group(void)
{
    struct access_output output;
    struct stat status;
    mode_t before = umask(0);
    begin(&output);
    umask(before);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 07777, ==, 0640);
    int flags = fcntl(output.fd, F_GETFL);
    g_assert_true(flags & O_APPEND);
    g_assert_true(fcntl(output.fd, F_GETFD) & FD_CLOEXEC);
    end(&output);
}

static void test_appends(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    g_assert_true(flush(&output));
    access_output_close(&output);
    g_assert_cmpint(access_output_open(&output, path), ==, 0);
    add(&output, "two\n");
    g_assert_true(flush(&output));
    expect_file(path, "one\ntwo\n");
    end(&output);
}

static void test_failures_of_open(void)
{
    struct access_output output;
    g_assert_cmpint(access_output_open(&output, "/nonexistent/access.log"), ==, -ENOENT);
    g_assert_cmpint(access_output_open(&output, "/"), ==, -EISDIR);
    g_assert_cmpint(access_output_open(&output, ""), ==, -ENOENT);
    begin(&output);
    g_unlink(path);
    struct access_output unread;
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_cmpint(access_output_open(&unread, path), ==, -ENXIO);
    end(&output);
}

/* --- writing --- */

static void test_short_writes_and_interruptions(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    add(&output, "two\n");
    add(&output, "three\n");
    INJECT(-EINTR, 1, 2, -EINTR, 1, 3, 5);
    g_assert_true(flush(&output));
    expect_file(path, "one\ntwo\nthree\n");
    g_assert_cmpuint(output.lost, ==, 0);
    end(&output);
}

static void test_failure_amid_a_line(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    add(&output, "two\n");
    add(&output, "three\n");
    add(&output, "four\n");
    INJECT(5, -ENOSPC);
    g_assert_true(flush(&output));
    expect_file(path, "one\nt");
    g_assert_cmpuint(output.lost, ==, 2);
    g_assert_cmpint(output.error, ==, ENOSPC);
    /* Still full, then a little room, then none. */
    add(&output, "five\n");
    INJECT(-ENOSPC);
    g_assert_true(flush(&output));
    add(&output, "six\n");
    INJECT(1, -EIO);
    g_assert_true(flush(&output));
    expect_file(path, "one\ntw");
    g_assert_cmpuint(output.lost, ==, 4);
    g_assert_cmpint(output.error, ==, EIO);
    add(&output, "seven\n");
    g_assert_true(flush(&output));
    expect_file(path, "one\ntwo\nseven\n");
    g_assert_cmpuint(output.lost, ==, 4);
    end(&output);
}

static void test_failure_between_lines(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    add(&output, "two\n");
    INJECT(4, -ENOSPC);
    g_assert_true(flush(&output));
    add(&output, "three\n");
    INJECT(0);
    g_assert_true(flush(&output));
    g_assert_cmpint(output.error, ==, EIO);
    add(&output, "four\n");
    g_assert_true(flush(&output));
    expect_file(path, "one\nfour\n");
    g_assert_cmpuint(output.lost, ==, 2);
    end(&output);
}

static void test_blocked_lines_wait(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    add(&output, "two\n");
    INJECT(2, -EAGAIN);
    g_assert_false(flush(&output));
    expect_file(path, "on");
    add(&output, "three\n");
    g_assert_true(flush(&output));
    expect_file(path, "one\ntwo\nthree\n");
    g_assert_cmpuint(output.lost, ==, 0);
    end(&output);
}

static void test_giving_up_counts_what_waits(void)
{
    struct access_output output;
    begin(&output);
    add(&output, "one\n");
    add(&output, "two\n");
    INJECT(2, -EAGAIN);
    g_assert_false(flush(&output));
    access_output_give_up(&output, ETIMEDOUT);
    g_assert_cmpuint(output.lost, ==, 2);
    g_assert_cmpint(output.error, ==, ETIMEDOUT);
    g_assert_true(flush(&output));
    expect_file(path, "on");
    end(&output);
}

static void test_is_full_before_a_line_is_cut(void)
{
    struct access_output output;
    begin(&output);
    g_autofree char *line = g_strnfill(ACCESS_LINE_MAX, 'x');
    line[ACCESS_LINE_MAX - 1] = '\n';
    size_t lines = 0;
    for (char *room; (room = access_output_room(&output)); lines++) {
        memcpy(room, line, ACCESS_LINE_MAX);
        access_output_add(&output, ACCESS_LINE_MAX);
    }
    g_assert_cmpuint(lines, >, 1);
    g_assert_true(flush(&output));
    g_assert_nonnull(access_output_room(&output));
    struct stat status;
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpuint((size_t)status.st_size, ==, lines * ACCESS_LINE_MAX);
    end(&output);
}

/* --- standard output --- */

/* A pipe in place of standard output; returns its other end. */
static int replace_stdout(int *saved)
{
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    *saved = dup(STDOUT_FILENO);
    g_assert_cmpint(dup2(ends[1], STDOUT_FILENO), ==, STDOUT_FILENO);
    close(ends[1]);
    return ends[0];
}

static void restore_stdout(int saved)
{
    dup2(saved, STDOUT_FILENO);
    close(saved);
}

static size_t read_some(int fd)
{
    static char bytes[1 << 20];
    ssize_t length = read(fd, bytes, sizeof(bytes));
    g_assert_cmpint(length, >, 0);
    return (size_t)length;
}

/* A write that is larger than what a pipe has room for would block although poll(2) was asked. */
static void test_standard_output_never_blocks(void)
{
    struct access_output output;
    int saved;
    int reader = replace_stdout(&saved);
    g_assert_cmpint(access_output_open(&output, "-"), ==, 0);
    g_assert_false(fcntl(output.fd, F_GETFL) & O_NONBLOCK);
    size_t added = 0;
    size_t received = 0;
    g_autofree char *line = g_strnfill(1500, 'x');
    line[1499] = '\n';
    largest_write = 0;
    do {
        for (; access_output_room(&output); added += 1500)
            add(&output, line);
    } while (flush(&output));
    g_assert_cmpuint(largest_write, ==, 3000); /* whole lines */
    while (!flush(&output))
        received += read_some(reader);
    while (received < added)
        received += read_some(reader);
    g_assert_cmpuint(received, ==, added);
    g_assert_cmpuint(output.lost, ==, 0);
    /* A line that is longer goes in pieces. */
    g_autofree char *longer = g_strnfill(10000, 'x');
    longer[9999] = '\n';
    largest_write = 0;
    add(&output, longer);
    g_assert_true(flush(&output));
    g_assert_cmpuint(largest_write, ==, PIPE_BUF);
    access_output_reopen(&output);
    access_output_close(&output);
    restore_stdout(saved);
    close(reader);
}

/* --- reopening --- */

static void test_reopen_after_a_rename(void)
{
    struct access_output output;
    begin(&output);
    g_autofree char *old = g_strconcat(path, ".1", NULL);
    add(&output, "one\n");
    g_assert_true(flush(&output));
    g_assert_cmpint(rename(path, old), ==, 0);
    add(&output, "two\n");
    g_assert_true(flush(&output));
    access_output_reopen(&output);
    add(&output, "three\n");
    g_assert_true(flush(&output));
    expect_file(old, "one\ntwo\n");
    expect_file(path, "three\n");
    g_unlink(old);
    end(&output);
}

static void test_reopen_amid_a_line(void)
{
    struct access_output output;
    begin(&output);
    g_autofree char *old = g_strconcat(path, ".1", NULL);
    add(&output, "one\n");
    INJECT(1, -ENOSPC);
    g_assert_true(flush(&output));
    /* The same file: the line can be completed. */
    access_output_reopen(&output);
    g_assert_cmpuint(output.lost, ==, 0);
    add(&output, "two\n");
    INJECT(5, -ENOSPC);
    g_assert_true(flush(&output));
    expect_file(path, "one\ntw");
    /* Another one: it does not begin amid a line. */
    g_assert_cmpint(rename(path, old), ==, 0);
    access_output_reopen(&output);
    g_assert_cmpuint(output.lost, ==, 1);
    add(&output, "three\n");
    g_assert_true(flush(&output));
    expect_file(path, "three\n");
    g_unlink(old);
    end(&output);
}

static void test_reopen_that_fails_keeps_the_file(void)
{
    struct access_output output;
    begin(&output);
    g_autofree char *old = g_strconcat(path, ".1", NULL);
    g_assert_cmpint(rename(path, old), ==, 0);
    g_assert_cmpint(mkdir(path, 0700), ==, 0);
    g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING,
                          "access log: cannot open *access.log again: *; the old file stays*");
    access_output_reopen(&output);
    g_test_assert_expected_messages();
    add(&output, "one\n");
    g_assert_true(flush(&output));
    expect_file(old, "one\n");
    g_rmdir(path);
    g_unlink(old);
    end(&output);
}

#define ADD(path, function) g_test_add_func("/net/access-output/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("open/mode", is_made_for_the_owner_and_the_group);
    ADD("open/appends", appends);
    ADD("open/failures", failures_of_open);
    ADD("write/short", short_writes_and_interruptions);
    ADD("write/fails-amid-a-line", failure_amid_a_line);
    ADD("write/fails-between-lines", failure_between_lines);
    ADD("write/blocked", blocked_lines_wait);
    ADD("write/give-up", giving_up_counts_what_waits);
    ADD("write/full", is_full_before_a_line_is_cut);
    ADD("standard-output", standard_output_never_blocks);
    ADD("reopen/renamed", reopen_after_a_rename);
    ADD("reopen/amid-a-line", reopen_amid_a_line);
    ADD("reopen/fails", reopen_that_fails_keeps_the_file);
    return g_test_run();
}
