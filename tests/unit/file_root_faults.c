/* What file_root.c makes of the kernel's answers, and of what it cannot ask for. Also the stamps of
 * what is opened. */
#include "file_root_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- without waiting --- */

static void test_without_waiting(void)
{
    struct file_root root = open_root(KERNEL, false);
    assert_leads(&root, "dir/inner", O_RDONLY, 0, public_text); /* in the cache now */
    int fd = file_root_find(&root, "dir/inner", O_RDONLY, false);
    g_assert_cmpint(fd >= 0, ==, root.asks_cache);
    g_assert_true(fd >= 0 || fd == -EAGAIN);
    if (fd >= 0)
        close(fd);
    refuse(EAGAIN, 0, -1);
    g_assert_cmpint(file_root_find(&root, "dir/inner", O_RDONLY, false), ==, -EAGAIN);
    refuse(0, 0, 0);
    g_assert_cmpint(file_root_find(&root, "../outside/secret", O_RDONLY, false), ==, -ENOENT);
    file_root_close(&root);
    for (enum way way = KERNEL_WITHOUT_CACHE; way < WAYS; way++) {
        root = open_root(way, false);
        g_assert_cmpint(file_root_find(&root, "file", O_RDONLY, false), ==, -EAGAIN);
        file_root_close(&root);
    }
}

/* What a path leads to, of a directory only, if that is in the kernel's memory. */
static void test_look(void)
{
    struct file_stamp seen;
    struct file_stamp stamp;
    struct file_root root = open_root(KERNEL, false);
    g_autofree char *file = at("root/file");
    g_autofree char *none = at("none");
    g_assert_cmpint(file_stamp_take(root.fd, true, &stamp), ==, 0);
    int error = file_root_look(base_root, &seen);
    g_assert_cmpint(error, ==, root.asks_cache ? 0 : -EAGAIN);
    g_assert_true(error || file_stamps_same_file(&seen, &stamp));
    if (root.asks_cache) {
        g_assert_cmpint(file_root_look(file, &seen), ==, -ENOTDIR);
        error = file_root_look(none, &seen);
        g_assert_true(error == -ENOENT || error == -EAGAIN);
    }
    static const int errors[] = {EAGAIN, EINVAL, ENOSYS, EPERM, EACCES, EMFILE};
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        refuse(0, errors[i], -1);
        g_assert_cmpint(file_root_look(base_root, &seen), ==, -EAGAIN);
    }
    refuse(0, 0, 0);
    file_root_close(&root);
}

/* --- errors of openat2(2) --- */

static void test_cache_is_asked_for_once(void)
{
    struct file_root root;
    /* EAGAIN: RESOLVE_CACHED is known, only the root was not in the cache. */
    refuse(0, EAGAIN, -1);
    g_assert_cmpint(file_root_open(&root, base_root, false), ==, 0);
    refuse(0, 0, 0);
    g_assert_cmpint(root.asks_cache, ==, !root.walks);
    file_root_close(&root);
}

static void test_renames_elsewhere(void)
{
    struct file_root root = open_root(KERNEL, false);
    if (!root.walks) {
        refuse(EAGAIN, 0, 3);
        assert_leads(&root, "file", O_RDONLY, 0, public_text);
        refuse(EAGAIN, 0, -1);
        assert_leads(&root, "file", O_RDONLY, EBUSY, NULL);
        refuse(EINTR, 0, 5);
        assert_leads(&root, "file", O_RDONLY, 0, public_text);
    }
    refuse(0, 0, 0);
    file_root_close(&root);
}

static void test_errors_that_are_told(void)
{
    static const struct {
        int error;
        int told;
    } cases[] = {
        {ENOENT, ENOENT}, {ENOTDIR, ENOENT}, {ENAMETOOLONG, ENOENT}, {EXDEV, ENOENT},
        {ELOOP, ENOENT},  {ENXIO, ENOENT},   {ENODEV, ENOENT},       {EACCES, EACCES},
        {EMFILE, EMFILE}, {ENFILE, ENFILE},  {ENOMEM, ENOMEM},       {EIO, EIO},
    };
    struct file_root root = open_root(KERNEL, false);
    for (size_t i = 0; i < G_N_ELEMENTS(cases) && !root.walks; i++) {
        refuse(cases[i].error, 0, -1);
        assert_leads(&root, "file", O_RDONLY, cases[i].told, NULL);
    }
    refuse(0, 0, 0);
    file_root_close(&root);
}

static void test_roots_that_are_none(void)
{
    static const struct {
        const char *path;
        int error;
    } cases[] = {
        {"nothing", ENOENT}, {"root/file", ENOTDIR}, {"root/link-loop", ELOOP}, {"", ENOENT}};
    struct file_root root;
    int before = dup(STDERR_FILENO);
    close(before);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *path = cases[i].path[0] ? at(cases[i].path) : g_strdup("");
        g_assert_cmpint(file_root_open(&root, path, false), ==, -cases[i].error);
        g_free(path);
    }
    refuse(EMFILE, 0, -1);
    g_assert_cmpint(file_root_open(&root, base_root, false), ==, -EMFILE);
    refuse(0, 0, 0);
    int after = dup(STDERR_FILENO);
    g_assert_cmpint(after, ==, before);
    close(after);
}

/* --- stamps --- */

static struct file_stamp stamp_of(const char *path)
{
    struct file_stamp stamp;
    char *full = at(path);
    int fd = open(full, O_PATH | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(file_stamp_take(fd, false, &stamp), ==, 0);
    close(fd);
    g_free(full);
    return stamp;
}

static void set_times(const char *path, int64_t seconds, long nanoseconds)
{
    char *full = at(path);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    g_assert_cmpint(utimensat(AT_FDCWD, full, times, 0), ==, 0);
    g_free(full);
}

static void test_stamp(void)
{
    struct stat status;
    make_file("root/stamped", public_text);
    set_times("root/stamped", 1500000000, 123456789);
    char *path = at("root/stamped");
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_free(path);
    struct file_stamp stamp = stamp_of("root/stamped");
    g_assert_cmpuint(stamp.device, ==, status.st_dev);
    g_assert_cmpuint(stamp.inode, ==, status.st_ino);
    g_assert_cmpuint(stamp.size, ==, strlen(public_text));
    g_assert_cmpint(stamp.modified_s, ==, 1500000000);
    g_assert_cmpint(stamp.modified_ns, ==, INT64_C(1500000000123456789));
    g_assert_cmpint(stamp.changed_ns, ==,
                    status.st_ctim.tv_sec * INT64_C(1000000000) + status.st_ctim.tv_nsec);
    g_assert_true(stamp.regular && !stamp.directory);
    stamp = stamp_of("root");
    g_assert_true(stamp.directory && !stamp.regular);
}

static void test_stamps_tell_versions_apart(void)
{
    make_file("root/version", public_text);
    set_times("root/version", 1, 5);
    struct file_stamp first = stamp_of("root/version");
    struct file_stamp again = stamp_of("root/version");
    g_assert_true(file_stamps_equal(&first, &again));
    /* Same size and, because somebody set it back, same time of the last change. */
    make_file("root/version", "PUBLIC");
    set_times("root/version", 1, 5);
    struct file_stamp second = stamp_of("root/version");
    g_assert_cmpint(first.modified_ns, ==, second.modified_ns);
    g_assert_false(file_stamps_equal(&first, &second));
    struct file_stamp none = {0};
    g_assert_false(file_stamps_equal(&first, &none));
}

/* More than 292 years from 1970 do not fit into 64 bits of nanoseconds. */
static void test_stamp_of_far_times(void)
{
    static const int64_t far[] = {INT64_C(13000000000), INT64_C(-2000000000), -1};
    make_file("root/far", public_text);
    for (size_t i = 0; i < G_N_ELEMENTS(far); i++) {
        set_times("root/far", far[i], 999999999);
        struct file_stamp one = stamp_of("root/far");
        set_times("root/far", far[i], 999999998);
        struct file_stamp other = stamp_of("root/far");
        g_assert_cmpint(one.modified_s, ==, other.modified_s);
        g_assert_cmpint(one.modified_ns, ==, other.modified_ns + 1);
    }
}

static void test_stamp_of_nothing(void)
{
    struct file_stamp stamp = {.inode = 1};
    static const struct file_stamp none;
    g_assert_cmpint(file_stamp_take(-1, true, &stamp), ==, -EBADF);
    g_assert_true(file_stamps_equal(&stamp, &none));
}

#define ADD(path, function) g_test_add_func("/file-root/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_tree();
    ADD("without-waiting", without_waiting);
    ADD("look", look);
    ADD("errors/cache-known", cache_is_asked_for_once);
    ADD("errors/renames", renames_elsewhere);
    ADD("errors/told", errors_that_are_told);
    ADD("errors/roots", roots_that_are_none);
    ADD("stamp/fields", stamp);
    ADD("stamp/versions", stamps_tell_versions_apart);
    ADD("stamp/far-times", stamp_of_far_times);
    ADD("stamp/nothing", stamp_of_nothing);
    int status = g_test_run();
    remove_tree();
    return status;
}
