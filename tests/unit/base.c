/* The leaves: a buffer that grows, the CPUs that may be used, messages to stderr. */
#include "base/buffer.h"
#include "base/cpus.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- injection --- */

struct fake_file {
    const char *path;
    const char *text;
};

static const struct fake_file *fake_files; /* all that can be opened, while it is set */
static size_t fake_count;
static int fake_affinity; /* CPUs of the mask; 0: the real one; -1: fails */
static bool realloc_fails;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (!fake_files)
        return __real_fopen(path, mode);
    for (size_t i = 0; i < fake_count; i++) {
        if (g_str_equal(fake_files[i].path, path))
            return fmemopen((char *)fake_files[i].text, strlen(fake_files[i].text), "r");
    }
    errno = ENOENT;
    return NULL;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (!fake_affinity)
        return __real_sched_getaffinity(pid, size, set);
    if (fake_affinity < 0) {
        errno = EINVAL;
        return -1;
    }
    CPU_ZERO_S(size, set);
    for (int i = 0; i < fake_affinity; i++)
        CPU_SET_S(i, size, set);
    return 0;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return realloc_fails ? NULL : __real_realloc(memory, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- buffer --- */

static void test_buffer_holds_what_was_put(void)
{
    enum { COUNT = 5000 };
    struct buffer buffer = {0};
    size_t grown = 0;
    for (int i = 0; i < COUNT; i++) {
        size_t capacity = buffer.capacity;
        g_assert_true(buffer_reserve(&buffer, sizeof(i)));
        g_assert_cmpuint(buffer.capacity - buffer.length, >=, sizeof(i));
        grown += buffer.capacity != capacity;
        buffer_put(&buffer, &i, sizeof(i));
    }
    g_assert_cmpuint(buffer.length, ==, COUNT * sizeof(int));
    /* By doubling. */
    g_assert_cmpuint(grown, <, 16);
    for (int i = 0; i < COUNT; i++)
        g_assert_cmpint(memcmp(buffer.bytes + (size_t)i * sizeof(i), &i, sizeof(i)), ==, 0);
    buffer_free(&buffer);
    g_assert_null(buffer.bytes);
    g_assert_cmpuint(buffer.length, ==, 0);
    g_assert_cmpuint(buffer.capacity, ==, 0);
    /* Usable again, and harmless to free twice. */
    g_assert_true(buffer_reserve(&buffer, 1));
    buffer_free(&buffer);
    buffer_free(&buffer);
}

static void test_buffer_reserves_exactly_enough_or_more(void)
{
    static const size_t sizes[] = {1, 255, 256, 257, 511, 512, 513, 100000, 1 << 20};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct buffer buffer = {0};
        g_assert_true(buffer_reserve(&buffer, sizes[i]));
        g_assert_cmpuint(buffer.capacity, >=, sizes[i]);
        g_assert_cmpuint(buffer.length, ==, 0);
        memset(buffer.bytes, 'x', sizes[i]);
        buffer.length = sizes[i];
        g_assert_true(buffer_reserve(&buffer, sizes[i]));
        g_assert_cmpuint(buffer.capacity - buffer.length, >=, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            g_assert_cmpint(buffer.bytes[k], ==, 'x');
        buffer_free(&buffer);
    }
}

static void test_buffer_with_room_does_not_move(void)
{
    struct buffer buffer = {0};
    g_assert_true(buffer_reserve(&buffer, 0));
    g_assert_null(buffer.bytes);
    g_assert_true(buffer_reserve(&buffer, 100));
    const char *bytes = buffer.bytes;
    size_t room = buffer.capacity;
    realloc_fails = true;
    g_assert_true(buffer_reserve(&buffer, room));
    realloc_fails = false;
    g_assert_true(buffer.bytes == bytes);
    g_assert_cmpuint(buffer.capacity, ==, room);
    buffer_free(&buffer);
}

static void assert_cannot_grow(struct buffer *buffer, size_t more)
{
    struct buffer before = *buffer;
    g_assert_false(buffer_reserve(buffer, more));
    g_assert_true(buffer->bytes == before.bytes);
    g_assert_cmpuint(buffer->length, ==, before.length);
    g_assert_cmpuint(buffer->capacity, ==, before.capacity);
}

static void test_buffer_without_memory_is_unchanged(void)
{
    struct buffer buffer = {0};
    realloc_fails = true;
    assert_cannot_grow(&buffer, 1);
    realloc_fails = false;
    g_assert_true(buffer_reserve(&buffer, 5));
    buffer_put(&buffer, "hello", 5);
    realloc_fails = true;
    assert_cannot_grow(&buffer, 1 << 20);
    realloc_fails = false;
    g_assert_cmpmem(buffer.bytes, buffer.length, "hello", 5);
    buffer_free(&buffer);
}

static void test_buffer_sizes_do_not_overflow(void)
{
    static const size_t sizes[] = {SIZE_MAX,         SIZE_MAX - 1, SIZE_MAX - 5,
                                   SIZE_MAX / 2 + 1, SIZE_MAX / 2, SIZE_MAX / 4 + 1};
    struct buffer buffer = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        assert_cannot_grow(&buffer, sizes[i]);
    g_assert_true(buffer_reserve(&buffer, 5));
    buffer_put(&buffer, "hello", 5);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        assert_cannot_grow(&buffer, sizes[i]);
    g_assert_cmpmem(buffer.bytes, buffer.length, "hello", 5);
    buffer_free(&buffer);
}

/* --- CPUs --- */

static void test_cpus_of_quota(void)
{
    static const struct {
        const char *text;
        unsigned cpus;
    } cases[] = {
        {"100000 100000", 1},
        {"200000 100000", 2},
        {"150000 100000", 2}, /* rounded up */
        {"100001 100000", 2},
        {"99999 100000", 1},
        {"1 100000", 1},
        {"1000 1000", 1},
        {"6400000 100000", 64},
        {"50000 25000\n", 2},
        {"max 100000", 0}, /* no limit */
        {"-1 100000", 0},  /* no limit, in version 1 */
        {"", 0},
        {"max", 0},
        {"100000", 0},
        {"0 100000", 0},
        {"100000 0", 0},
        {"100000 -5", 0},
        {"100000 max", 0},
        {"nonsense", 0},
        {"9223372036854775807 1", 0},
        {"99999999999999999999999 100000", 0},
        {"9223372036854775807 9223372036854775807", 1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("\"%s\"", cases[i].text);
        g_assert_cmpuint(cpus_of_quota(cases[i].text), ==, cases[i].cpus);
    }
}

static unsigned cpus_with(const struct fake_file *files, size_t count)
{
    fake_files = files;
    fake_count = count;
    unsigned cpus = cpus_allowed();
    fake_files = NULL;
    return cpus;
}

#define ASSERT_CPUS(expected, ...)                                                           \
    do {                                                                                     \
        unsigned cpus_ = cpus_with((const struct fake_file[]){__VA_ARGS__},                  \
                                   G_N_ELEMENTS(((const struct fake_file[]){__VA_ARGS__}))); \
        g_assert_cmpuint(cpus_, ==, (expected));                                             \
    } while (0)

static void test_cpus_allowed_here(void)
{
    cpu_set_t set;
    g_assert_cmpuint(cpus_allowed(), >=, 1);
    g_assert_cmpint(sched_getaffinity(0, sizeof(set), &set), ==, 0);
    g_assert_cmpuint(cpus_allowed(), <=, (unsigned)CPU_COUNT(&set));
}

static void test_cpus_of_the_affinity_mask(void)
{
    for (fake_affinity = 1; fake_affinity <= 64; fake_affinity *= 2)
        ASSERT_CPUS((unsigned)fake_affinity, {"/none", ""});
    /* More CPUs than the mask has bits for: those that are online. */
    fake_affinity = -1;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    ASSERT_CPUS((unsigned)online, {"/none", ""});
    fake_affinity = 0;
}

static void test_cpus_of_control_groups_version_2(void)
{
    const struct fake_file self = {"/proc/self/cgroup", "0::/a/b\n"};
    const struct fake_file group = {"/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n"};
    fake_affinity = 16;
    ASSERT_CPUS(16, self);
    ASSERT_CPUS(3, self, group);
    ASSERT_CPUS(16, self, {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"});
    ASSERT_CPUS(16, self, {"/sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n"});
    /* The tightest of those above counts as well. */
    ASSERT_CPUS(2, self, group, {"/sys/fs/cgroup/a/cpu.max", "200000 100000\n"});
    ASSERT_CPUS(3, self, group, {"/sys/fs/cgroup/a/cpu.max", "400000 100000\n"});
    /* A container sees its own group as the root. */
    ASSERT_CPUS(2, {"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "150000 100000\n"});
    fake_affinity = 0;
}

static void test_cpus_of_control_groups_version_1(void)
{
    const struct fake_file self = {
        "/proc/self/cgroup", "9:memory:/m\n5:cpuset:/s\n4:cpu,cpuacct:/a/b\n1:name=systemd:/x\n"};
    const struct fake_file quota = {"/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "250000\n"};
    const struct fake_file period = {"/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n"};
    fake_affinity = 16;
    ASSERT_CPUS(16, self);
    ASSERT_CPUS(16, self, quota);
    ASSERT_CPUS(3, self, quota, period);
    ASSERT_CPUS(16, self, {"/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n"}, period);
    /* The controllers of one hierarchy come in the order of the kernel. */
    ASSERT_CPUS(3, {"/proc/self/cgroup", "4:cpuacct,cpu:/a/b\n"}, quota, period);
    ASSERT_CPUS(16, {"/proc/self/cgroup", "4:cpuacct,cpuset:/a/b\n"}, quota, period);
    fake_affinity = 0;
}

/* Version 1 without a group namespace: the path is the host's, but only the container's own group
 * is mounted, as the root. Limits of groups above count as in version 2. */
static void test_cpus_of_control_groups_version_1_above(void)
{
    const struct fake_file self = {"/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123abcd\n"};
    const struct fake_file period = {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"};
    fake_affinity = 16;
    ASSERT_CPUS(2, self, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"}, period);
    ASSERT_CPUS(16, self, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"}, period);
    fake_affinity = 0;
}

static void test_control_groups_that_make_no_sense(void)
{
    char *deep = g_strnfill(2000, 'd');
    char *line = g_strdup_printf("0::/%s\n", deep);
    fake_affinity = 4;
    ASSERT_CPUS(4, {"/proc/self/cgroup", "nonsense\n"});
    ASSERT_CPUS(4, {"/proc/self/cgroup", "0:\n:\n::\n"});
    ASSERT_CPUS(4, {"/proc/self/cgroup", "\n"});
    ASSERT_CPUS(4, {"/proc/self/cgroup", line});
    fake_affinity = 0;
    g_free(line);
    g_free(deep);
}

/* --- messages --- */

static void test_messages_go_to_stderr_one_line_each(void)
{
    if (g_test_subprocess()) {
        log_to_stderr();
        g_message("listening on %s", "127.0.0.1:18470");
        g_log(G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "%s", "100 %s%n");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*coreactor: listening on 127.0.0.1:18470\n*");
    g_test_trap_assert_stderr("*coreactor: 100 %s%n\n*");
}

/* Without GLib, which ends the program when there is no memory. */
static void test_a_message_without_memory(void)
{
    char text[100];
    int ends[2];
    int before = dup(STDERR_FILENO);
    g_assert_cmpint(pipe2(ends, O_NONBLOCK | O_CLOEXEC), ==, 0);
    g_assert_cmpint(dup2(ends[1], STDERR_FILENO), ==, STDERR_FILENO);
    realloc_fails = true;
    log_without_memory("no memory, 100 %s%n");
    realloc_fails = false;
    g_assert_cmpint(dup2(before, STDERR_FILENO), ==, STDERR_FILENO);
    ssize_t length = read(ends[0], text, sizeof(text));
    const char *expected = "coreactor: no memory, 100 %s%n\n";
    g_assert_cmpint(length, >, 0);
    g_assert_cmpmem(text, (size_t)length, expected, strlen(expected));
    close(before);
    close(ends[0]);
    close(ends[1]);
}

#define ADD(path, function) g_test_add_func("/base/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("buffer/holds-what-was-put", buffer_holds_what_was_put);
    ADD("buffer/reserves-enough", buffer_reserves_exactly_enough_or_more);
    ADD("buffer/with-room-does-not-move", buffer_with_room_does_not_move);
    ADD("buffer/no-memory", buffer_without_memory_is_unchanged);
    ADD("buffer/overflow", buffer_sizes_do_not_overflow);
    ADD("cpus/quota", cpus_of_quota);
    ADD("cpus/here", cpus_allowed_here);
    ADD("cpus/affinity", cpus_of_the_affinity_mask);
    ADD("cpus/cgroup-2", cpus_of_control_groups_version_2);
    ADD("cpus/cgroup-1", cpus_of_control_groups_version_1);
    ADD("cpus/cgroup-1-above", cpus_of_control_groups_version_1_above);
    ADD("cpus/cgroup-nonsense", control_groups_that_make_no_sense);
    ADD("log/stderr", messages_go_to_stderr_one_line_each);
    ADD("log/no-memory", a_message_without_memory);
    return g_test_run();
}
