#include "file_root_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- injection --- */

static int refused;        /* what openat2(2) fails with */
static int refused_cached; /* what it fails with when RESOLVE_CACHED is asked for */
static int refused_times;  /* how often; negative: always */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl50-cpp,cert-dcl51-cpp): the
 * linker's names */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Only file_root.c calls it here, and only for openat2(2). */
long __wrap_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    int directory = va_arg(arguments, int);
    const char *path = va_arg(arguments, const char *);
    const struct open_how *how = va_arg(arguments, const struct open_how *);
    size_t size = va_arg(arguments, size_t);
    va_end(arguments);
    g_assert_cmpint(number, ==, SYS_openat2);
    int error = how->resolve & RESOLVE_CACHED && refused_cached ? refused_cached : refused;
    if (!error || refused_times == 0)
        return __real_syscall(number, directory, path, how, size);
    refused_times -= refused_times > 0;
    errno = error;
    return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl50-cpp,cert-dcl51-cpp) */

void refuse(int error, int error_cached, int times)
{
    refused = error;
    refused_cached = error_cached;
    refused_times = times;
}

/* --- a tree with a secret beside the root --- */

static const char secret_text[] = "secret";
const char public_text[] = "public";

static char *base;
char *base_root;
ino_t secret_inode;

char *at(const char *path)
{
    return g_build_filename(base, path, NULL);
}

static void make_directory(const char *path)
{
    char *full = at(path);
    g_assert_cmpint(mkdir(full, 0755), ==, 0);
    g_free(full);
}

void make_file(const char *path, const char *text)
{
    char *full = at(path);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
    g_free(full);
}

static void make_link(const char *path, const char *target)
{
    char *full = at(path);
    g_assert_cmpint(symlink(target, full), ==, 0);
    g_free(full);
}

static void make_links(void)
{
    char *inside = at("root/file");
    char *outside = at("outside");
    char *secret = at("outside/secret");
    make_link("root/link", "file");
    make_link("root/link-chain", "link");
    make_link("root/link-directory", "dir");
    make_link("root/dir/link-up", "../file");
    make_link("root/dir/link-around", "../dir/deeper/../inner");
    make_link("root/link-dot", ".");
    make_link("root/link-dangling", "nothing");
    make_link("root/link-loop", "link-loop");
    make_link("root/link-out", "../outside/secret");
    make_link("root/link-out-chain", "link-out");
    make_link("root/link-out-directory", "../outside");
    make_link("root/link-out-absolute", secret);
    make_link("root/link-out-absolute-directory", outside);
    make_link("root/link-in-absolute", inside);
    make_link("root/link-in-through-outside", "../root/file");
    make_link("root/link-slash", "/");
    make_link("root/link-up", "..");
    make_link("root/dir/link-far-up", "../../outside/secret");
    make_link("root/dir/deeper/link-up-twice", "../../secret");
    make_link("root/link-proc", "/proc");
    make_link("root/link-magic-root", "/proc/self/root");
    make_link("root/link-magic-cwd", "/proc/self/cwd");
    g_free(inside);
    g_free(outside);
    g_free(secret);
}

void make_tree(void)
{
    base = g_dir_make_tmp("coreactor-root-XXXXXX", NULL);
    g_assert_nonnull(base);
    base_root = at("root");
    make_directory("root");
    make_directory("root/dir");
    make_directory("root/dir/deeper");
    make_directory("outside");
    make_file("root/file", public_text);
    make_file("root/dir/inner", public_text);
    make_file("root/dir/secret", public_text);
    make_file("root/secret", public_text);
    make_file("root/..dots", public_text);
    make_file("root/...", public_text);
    make_file("outside/secret", secret_text);
    make_links();
    char *fifo = at("root/fifo");
    g_assert_cmpint(mkfifo(fifo, 0644), ==, 0);
    g_free(fifo);
    struct stat status;
    char *secret = at("outside/secret");
    char *another = at("secret");
    g_assert_cmpint(stat(secret, &status), ==, 0);
    secret_inode = status.st_ino;
    g_assert_cmpint(link(secret, another), ==, 0);
    g_free(secret);
    g_free(another);
}

void remove_tree(void)
{
    char *command[] = {(char *)"rm", (char *)"-rf", base, NULL};
    g_assert_true(
        g_spawn_sync(NULL, command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(base_root);
    g_free(base);
}

/* --- the ways --- */

struct file_root open_root_at(const char *path, enum way way, bool follow)
{
    struct file_root root;
    if (way == KERNEL_WITHOUT_CACHE)
        refuse(0, EINVAL, -1);
    else if (way != KERNEL)
        refuse(way == WALK ? ENOSYS : EPERM, 0, -1);
    g_assert_cmpint(file_root_open(&root, path, follow), ==, 0);
    refuse(0, 0, 0);
    /* The tests pass as well where there is no openat2(2): then all ways are the walk. */
    if (way == WALK || way == WALK_FILTERED)
        g_assert_true(root.walks);
    if (way != KERNEL)
        g_assert_false(root.asks_cache);
    return root;
}

struct file_root open_root(enum way way, bool follow)
{
    return open_root_at(base_root, way, follow);
}

void assert_leads(const struct file_root *root, const char *path, int flags, int error,
                  const char *text)
{
    char read_text[64];
    int fd = file_root_find(root, path, flags, true);
    if (fd < 0) {
        if (fd != -error)
            g_error("\"%s\": %s instead of %s", path, g_strerror(-fd), g_strerror(error));
        return;
    }
    if (error)
        g_error("\"%s\": opened", path);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    if (text) {
        ssize_t length = read(fd, read_text, sizeof(read_text));
        g_assert_cmpmem(read_text, length, text, strlen(text));
    }
    close(fd);
}
