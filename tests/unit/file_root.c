/* Nothing outside the root is ever opened: with openat2(2) and without, and in the face of links,
 * FIFOs, devices and races. */
#include "file_root_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* --- attempts --- */

static const struct {
    const char *path;
    bool opens;         /* without links */
    bool opens_follows; /* where links that stay below the root are followed */
} attempts[] = {
    {"file", true, true},
    {"dir/inner", true, true},
    {"..dots", true, true},
    {"...", true, true},
    {"", false, false},
    {"/", false, false},
    {"//", false, false},
    {"/file", false, false},
    {"//file", false, false},
    {"/etc/passwd", false, false},
    {"..", false, false},
    {"../", false, false},
    {"../outside/secret", false, false},
    {"../root/file", false, false},
    {"dir/..", false, false},
    {"dir/../file", false, false},
    {"dir/../../outside/secret", false, false},
    {"dir/deeper/../../../outside/secret", false, false},
    {"./file", false, false},
    {"dir/./inner", false, false},
    {"./../outside/secret", false, false},
    {"./", false, false},
    {"dir/.", false, false},
    {"dir//inner", false, false},
    {"dir/", false, false},
    {"file/", false, false},
    {"file/.", false, false},
    {"file/..", false, false},
    {"file/inner", false, false},
    {"nothing", false, false},
    {"nothing/file", false, false},
    {"dir/nothing", false, false},
    {"file\n", false, false},
    {"..\\outside\\secret", false, false},
    {"%2e%2e/outside/secret", false, false},
    {"fifo/x", false, false},
    {"link", false, true},
    {"link-chain", false, true},
    {"link-directory/inner", false, true},
    {"dir/link-up", false, true},
    {"dir/link-around", false, true},
    {"dir/deeper/link-up-twice", false, true},
    {"link-directory/link-up", false, true},
    {"link-dot/file", false, true},
    {"link-dot/link-dot/link-dot/dir/inner", false, true},
    {"link/inner", false, false},
    {"link-dangling", false, false},
    {"link-loop", false, false},
    {"link-loop/file", false, false},
    {"link-out", false, false},
    {"link-out-chain", false, false},
    {"link-out-directory", false, false},
    {"link-out-directory/secret", false, false},
    {"link-out-directory/../root/file", false, false},
    {"link-out-absolute", false, false},
    {"link-out-absolute-directory/secret", false, false},
    {"link-in-absolute", false, false},
    {"link-in-through-outside", false, false},
    {"link-slash", false, false},
    {"link-slash/etc/passwd", false, false},
    {"link-up", false, false},
    {"link-up/outside/secret", false, false},
    {"link-up/root/file", false, false},
    {"dir/link-far-up", false, false},
    {"link-directory/link-far-up", false, false},
    {"link-directory/../link-out", false, false},
    {"link-proc/version", false, false},
    {"link-proc/self/root/etc/passwd", false, false},
    {"link-magic-root", false, false},
    {"link-magic-root/etc/passwd", false, false},
    {"link-magic-cwd/file", false, false},
};

static void try_all(enum way way, bool follow, int flags)
{
    struct file_root root = open_root(way, follow);
    bool follows = follow && !root.walks && !(flags & O_NOFOLLOW);
    for (size_t i = 0; i < G_N_ELEMENTS(attempts); i++) {
        bool opens = follows ? attempts[i].opens_follows : attempts[i].opens;
        /* O_NOFOLLOW is about the last segment alone. */
        if (follow && !root.walks && flags & O_NOFOLLOW && attempts[i].opens_follows != opens)
            continue;
        assert_leads(&root, attempts[i].path, flags, opens ? 0 : ENOENT,
                     flags & O_PATH ? NULL : public_text);
    }
    file_root_close(&root);
}

static void test_attempts(gconstpointer data)
{
    enum way way = GPOINTER_TO_INT(data);
    static const int flags[] = {O_RDONLY, O_PATH, O_RDONLY | O_NOFOLLOW, O_PATH | O_NOFOLLOW};
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        try_all(way, false, flags[i]);
        try_all(way, true, flags[i]);
    }
}

/* O_PATH | O_NOFOLLOW opens links themselves, which must not come out. */
static void test_links_themselves(gconstpointer data)
{
    static const char *const links[] = {"link", "link-out", "link-loop", "link-slash",
                                        "dir/link-up"};
    for (int follow = 0; follow < 2; follow++) {
        struct file_root root = open_root(GPOINTER_TO_INT(data), follow);
        for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
            assert_leads(&root, links[i], O_PATH | O_NOFOLLOW, ENOENT, NULL);
        file_root_close(&root);
    }
}

/* A root that holds links which no text describes. */
static void test_magic_links(gconstpointer data)
{
    static const char *const paths[] = {"self/root", "self/root/etc/passwd", "self/cwd", "self/exe",
                                        "self/fd/2", "thread-self/root"};
    if (access("/proc/self/status", R_OK) < 0) {
        g_test_skip("no /proc");
        return;
    }
    for (int follow = 0; follow < 2; follow++) {
        struct file_root root = open_root_at("/proc", GPOINTER_TO_INT(data), follow);
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
            assert_leads(&root, paths[i], O_RDONLY, ENOENT, NULL);
        assert_leads(&root, "self/status", O_RDONLY, follow && !root.walks ? 0 : ENOENT, NULL);
        assert_leads(&root, "sys/kernel/ostype", O_RDONLY, 0, "Linux\n");
        file_root_close(&root);
    }
}

static void test_root_itself(gconstpointer data)
{
    struct file_root root = open_root(GPOINTER_TO_INT(data), false);
    struct stat expected;
    struct stat found;
    g_assert_cmpint(stat(base_root, &expected), ==, 0);
    int fd = file_root_find(&root, ".", O_RDONLY | O_DIRECTORY, true);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &found), ==, 0);
    g_assert_cmpuint(found.st_ino, ==, expected.st_ino);
    close(fd);
    assert_leads(&root, "file", O_RDONLY | O_DIRECTORY, ENOENT, NULL);
    file_root_close(&root);
}

static void test_long_names(gconstpointer data)
{
    struct file_root root = open_root(GPOINTER_TO_INT(data), false);
    char *long_name = g_strnfill(5000, 'a');
    static const size_t cuts[] = {254, 255, 256, 257, 4095, 4096, 5000};
    for (size_t i = G_N_ELEMENTS(cuts); i-- > 0;) {
        long_name[cuts[i]] = '\0';
        assert_leads(&root, long_name, O_RDONLY, ENOENT, NULL);
    }
    GString *deep = g_string_new("dir");
    for (int i = 0; i < 3000; i++)
        g_string_append(deep, "/d");
    assert_leads(&root, deep->str, O_RDONLY, ENOENT, NULL);
    g_string_free(deep, TRUE);
    g_free(long_name);
    file_root_close(&root);
}

/* --- what is no file --- */

static void test_fifo_does_not_block(gconstpointer data)
{
    struct file_root root = open_root(GPOINTER_TO_INT(data), false);
    struct file_stamp stamp;
    int fd = file_root_find(&root, "fifo", O_RDONLY, true);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
    g_assert_cmpint(file_stamp_take(fd, true, &stamp), ==, 0);
    g_assert_false(stamp.regular || stamp.directory);
    close(fd);
    assert_leads(&root, "fifo", O_WRONLY, ENOENT, NULL); /* ENXIO: nobody reads */
    file_root_close(&root);
}

static void test_device_without_driver(gconstpointer data)
{
    char *device = at("root/device");
    if (mknod(device, S_IFCHR | 0644, makedev(4095, 4095)) < 0) {
        g_test_skip("devices cannot be made here");
    } else {
        struct file_root root = open_root(GPOINTER_TO_INT(data), false);
        /* EACCES: mounted with nodev */
        int fd = file_root_find(&root, "device", O_RDONLY, true);
        g_assert_true(fd == -ENOENT || fd == -EACCES);
        file_root_close(&root);
        unlink(device);
    }
    g_free(device);
}

static void test_permission(gconstpointer data)
{
    char *locked = at("root/dir/deeper");
    struct file_root root = open_root(GPOINTER_TO_INT(data), false);
    make_file("root/dir/deeper/hidden", public_text);
    g_assert_cmpint(chmod(locked, 0), ==, 0);
    bool bypassed = access(locked, X_OK) == 0; /* by root */
    assert_leads(&root, "dir/deeper/hidden", O_RDONLY, bypassed ? 0 : EACCES, public_text);
    g_assert_cmpint(chmod(locked, 0755), ==, 0);
    g_free(locked);
    locked = at("root/dir/deeper/hidden");
    g_assert_cmpint(unlink(locked), ==, 0);
    g_free(locked);
    file_root_close(&root);
}

/* --- races --- */

struct swapper {
    char *one;
    char *other;
    atomic_bool stop;
    atomic_uint swaps;
};

static void *swap(void *arg)
{
    struct swapper *swapper = arg;
    while (!atomic_load(&swapper->stop)) {
        g_assert_cmpint(
            renameat2(AT_FDCWD, swapper->one, AT_FDCWD, swapper->other, RENAME_EXCHANGE), ==, 0);
        /* valgrind runs one thread at a time, and lets the other in only when this one sleeps:
         * after an odd number, so with either of the two in place. */
        if (atomic_fetch_add(&swapper->swaps, 1) % 15 == 14)
            g_usleep(1);
    }
    return NULL;
}

/* How often the public file was found; the secret never is. */
static int count_found(const struct file_root *root, const char *path)
{
    enum { OPENS = 20000 };
    int found = 0;
    for (int i = 0; i < OPENS; i++) {
        struct stat status;
        int fd = file_root_find(root, path, O_RDONLY, i % 2);
        if (fd < 0) {
            g_assert_true(fd == -ENOENT || fd == -EAGAIN || fd == -EBUSY);
            continue;
        }
        g_assert_cmpint(fstat(fd, &status), ==, 0);
        g_assert_cmpuint(status.st_ino, !=, secret_inode);
        close(fd);
        found++;
    }
    return found;
}

/* "dir" is by turns the directory and the other one, such as a link to what lies outside. */
static void race(enum way way, bool follow, const char *other, const char *path)
{
    struct file_root root = open_root(way, follow);
    struct swapper swapper = {.one = at("root/dir"), .other = at(other)};
    pthread_t thread;
    g_assert_cmpint(pthread_create(&thread, NULL, swap, &swapper), ==, 0);
    while (atomic_load(&swapper.swaps) == 0)
        continue;
    int found = count_found(&root, path);
    atomic_store(&swapper.stop, true);
    g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    g_test_message("%u swaps, found %d times", atomic_load(&swapper.swaps), found);
    if (atomic_load(&swapper.swaps) % 2)
        g_assert_cmpint(renameat2(AT_FDCWD, swapper.one, AT_FDCWD, swapper.other, RENAME_EXCHANGE),
                        ==, 0);
    g_free(swapper.one);
    g_free(swapper.other);
    file_root_close(&root);
}

static void test_races(gconstpointer data)
{
    enum way way = GPOINTER_TO_INT(data);
    for (int follow = 0; follow < 2; follow++) {
        race(way, follow, "root/link-out-directory", "dir/secret");
        race(way, follow, "root/link-out-absolute-directory", "dir/secret");
    }
    /* The directory itself leaves the root while the ".." of a link is resolved in it. */
    race(way, true, "outside", "dir/deeper/link-up-twice");
}

static void add_for(enum way way, const char *name, GTestDataFunc test)
{
    static const char *const names[WAYS] = {"openat2", "openat2-uncached", "walk", "walk-filtered"};
    char *path = g_strdup_printf("/file-root/%s/%s", names[way], name);
    g_test_add_data_func(path, GINT_TO_POINTER(way), test);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_tree();
    for (enum way way = 0; way < WAYS; way++) {
        add_for(way, "attempts", test_attempts);
        add_for(way, "links-themselves", test_links_themselves);
        add_for(way, "magic-links", test_magic_links);
        add_for(way, "root", test_root_itself);
        add_for(way, "long-names", test_long_names);
        add_for(way, "fifo", test_fifo_does_not_block);
        add_for(way, "device", test_device_without_driver);
        add_for(way, "permission", test_permission);
    }
    add_for(KERNEL, "races", test_races);
    add_for(WALK, "races", test_races);
    int status = g_test_run();
    remove_tree();
    return status;
}
