#include "handlers/file_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

enum {
    /* openat2(2) gives up when anything on the machine is renamed while it resolves a "..". */
    RACES_MAX = 32,
    ON_THE_WAY = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

/* --- openat2(2) --- */

static int open_beneath(const struct file_root *root, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
    };
    if (!root->follow_symlinks)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    long fd;
    do {
        fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : (int)fd;
}

static int open_beneath_now(const struct file_root *root, const char *path, int flags)
{
    return root->asks_cache ? open_beneath(root, path, flags, RESOLVE_CACHED) : -EAGAIN;
}

static int open_beneath_patiently(const struct file_root *root, const char *path, int flags)
{
    int fd = -EAGAIN;
    for (int tries = 0; fd == -EAGAIN && tries < RACES_MAX; tries++)
        fd = open_beneath(root, path, flags, 0);
    return fd;
}

/* --- the walk --- */

static int open_segment(int directory, const char *segment, size_t length, int flags)
{
    char name[NAME_MAX + 1];
    if (length >= sizeof(name))
        return -ENAMETOOLONG;
    memcpy(name, segment, length);
    name[length] = '\0';
    int fd;
    do {
        fd = openat(directory, name, flags);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Each directory is opened in the one before it, so nothing that is renamed meanwhile leads out. */
static int walk(const struct file_root *root, const char *path, int flags)
{
    int directory = root->fd;
    for (;;) {
        size_t length = strcspn(path, "/");
        bool last = !path[length];
        int fd = open_segment(directory, path, length, last ? flags | O_NOFOLLOW : ON_THE_WAY);
        if (directory != root->fd)
            close(directory);
        if (fd < 0 || last)
            return fd;
        directory = fd;
        path += length + 1;
    }
}

/* --- the root --- */

/* What this kernel, and whoever filters our system calls, lets us do. 0 or -errno. */
static int find_out(struct file_root *root)
{
    int fd = open_beneath(root, ".", ON_THE_WAY, 0);
    root->walks = fd == -ENOSYS || fd == -EPERM;
    if (fd < 0)
        return root->walks ? 0 : fd;
    close(fd);
    fd = open_beneath(root, ".", ON_THE_WAY, RESOLVE_CACHED);
    root->asks_cache = fd >= 0 || fd == -EAGAIN;
    if (fd >= 0)
        close(fd);
    return 0;
}

int file_root_open(struct file_root *root, const char *path, bool follow_symlinks)
{
    *root = (struct file_root){.follow_symlinks = follow_symlinks};
    root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return -errno;
    int error = find_out(root);
    if (error)
        file_root_close(root);
    return error;
}

void file_root_close(struct file_root *root)
{
    close(root->fd);
    root->fd = -1;
}

/* --- finding --- */

/* No segment is empty, "." or "..": so it is neither absolute nor has it more than one spelling. */
static bool is_plain(const char *path)
{
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (!path[length])
            return true;
        path += length + 1;
    }
}

/* With O_PATH and O_NOFOLLOW a link is opened itself, even where RESOLVE_NO_SYMLINKS forbids to
 * follow it. */
static int refuse_link(int fd)
{
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : S_ISLNK(status.st_mode) ? -ELOOP : 0;
    if (!error)
        return fd;
    close(fd);
    return error;
}

/* Whoever asks for a path must not learn from the error what lies elsewhere. */
static int told(int error, bool may_wait)
{
    switch (-error) {
    case ELOOP:
    case ENAMETOOLONG:
    case ENODEV:
    case ENOTDIR:
    case ENXIO:
    case EXDEV:
        return -ENOENT;
    case EAGAIN: /* still, or because of a lease (F_SETLEASE of fcntl(2)) */
        return may_wait ? -EBUSY : -EAGAIN;
    default:
        return error;
    }
}

int file_root_find(const struct file_root *root, const char *path, int flags, bool may_wait)
{
    if (!is_plain(path) && strcmp(path, ".") != 0)
        return -ENOENT;
    /* openat2(2) allows no other flags beside O_PATH, which does not open a device anyway. */
    flags |= flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd;
    if (!may_wait)
        fd = open_beneath_now(root, path, flags);
    else if (root->walks)
        fd = walk(root, path, flags);
    else
        fd = open_beneath_patiently(root, path, flags);
    if (fd >= 0 && flags & O_PATH)
        fd = refuse_link(fd);
    return fd < 0 ? told(fd, may_wait) : fd;
}

/* --- stamps --- */

/* Of a time hundreds of years away it leaves the high bits out, which tells versions apart as well.
 */
static int64_t since_1970_ns(struct statx_timestamp time)
{
    return (int64_t)((uint64_t)time.tv_sec * NS_PER_S + time.tv_nsec);
}

int file_stamp_take(int fd, bool may_wait, struct file_stamp *stamp)
{
    struct statx status;
    int flags = AT_EMPTY_PATH | (may_wait ? AT_STATX_SYNC_AS_STAT : AT_STATX_DONT_SYNC);
    *stamp = (struct file_stamp){0};
    if (statx(fd, "", flags, STATX_BASIC_STATS, &status) < 0)
        return -errno;
    *stamp = (struct file_stamp){
        .device = makedev(status.stx_dev_major, status.stx_dev_minor),
        .inode = status.stx_ino,
        .size = status.stx_size,
        .modified_s = status.stx_mtime.tv_sec,
        .modified_ns = since_1970_ns(status.stx_mtime),
        .changed_ns = since_1970_ns(status.stx_ctime),
        .regular = S_ISREG(status.stx_mode),
        .directory = S_ISDIR(status.stx_mode),
    };
    return 0;
}

bool file_stamps_same_bytes(const struct file_stamp *one, const struct file_stamp *other)
{
    return one->device == other->device && one->inode == other->inode && one->size == other->size &&
           one->modified_s == other->modified_s && one->modified_ns == other->modified_ns &&
           one->regular == other->regular && one->directory == other->directory;
}

bool file_stamps_equal(const struct file_stamp *one, const struct file_stamp *other)
{
    return file_stamps_same_bytes(one, other) && one->changed_ns == other->changed_ns;
}

int file_root_look(const char *path, struct file_stamp *stamp)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd < 0) /* EINVAL: a kernel that does not know what is cached */
        return errno == ENOENT || errno == ENOTDIR ? -errno : -EAGAIN;
    int error = file_stamp_take((int)fd, false, stamp);
    close((int)fd);
    return error;
}
