/*
 * file_root.h - opening files below one directory and nowhere else.
 *
 * openat2(2) does it where the kernel has it; elsewhere (Linux before 5.6, or a seccomp filter that
 * denies it) a walk that opens each directory on the way with O_NOFOLLOW, and follows no symbolic
 * link at all.
 */
#ifndef HANDLERS_FILE_ROOT_H
#define HANDLERS_FILE_ROOT_H

#include <stdbool.h>
#include <stdint.h>

struct file_root {
    int fd;               /* of the directory, O_PATH */
    bool follow_symlinks; /* that stay below it; without it none is followed */
    bool walks;           /* openat2(2) is not to be had */
    bool asks_cache;      /* RESOLVE_CACHED is to be had (Linux 5.12) */
};

/* Opens the directory `path`. 0 or -errno. The caller owns it. */
int file_root_open(struct file_root *root, const char *path, bool follow_symlinks);
void file_root_close(struct file_root *root);

/* Opens what `path` names: segments separated by one '/' each, relative to the root and not empty,
 * none of them "." or ".."; or "." alone for the root itself. With the flags of open(2), O_CREAT,
 * O_TRUNC and O_TMPFILE not among them; O_CLOEXEC is added and, except for O_PATH, O_NONBLOCK and
 * O_NOCTTY, so that neither a FIFO nor a terminal does harm. Never leaves the root, whatever `path`
 * is, and whatever others do to the tree meanwhile; never opens a link itself. With `may_wait`
 * false it returns -EAGAIN when the answer may have to come from a disk, or cannot be told
 * beforehand. Returns a descriptor, which is the caller's, or -errno: -ENOENT (also for any other
 * path, for what a link names that is not followed or leaves the root, and for -ENOTDIR,
 * -ENAMETOOLONG, -EXDEV, -ELOOP, -ENXIO, -ENODEV), -EACCES, -EBUSY (others rename without end, or
 * hold a lease), -EMFILE, -ENFILE, -ENOMEM, -EIO ... Any thread. */
int file_root_find(const struct file_root *root, const char *path, int flags, bool may_wait);

/* What tells one version of a file from another. All zero: no file. */
struct file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t modified_s;
    int64_t modified_ns; /* since 1970; the whole time, not the fraction (modulo 2^64) */
    int64_t changed_ns;  /* of the inode: cannot be set by anyone, so it moves whenever the content
                            does */
    bool regular;
    bool directory;
};

/* Of an open descriptor. With `may_wait` false a server of files on the network is not asked
 * (AT_STATX_DONT_SYNC of statx(2)). 0, or -errno and all zero. Any thread. */
int file_stamp_take(int fd, bool may_wait, struct file_stamp *stamp);

/* Any thread. */
bool file_stamps_equal(const struct file_stamp *one, const struct file_stamp *other);

/* The stamp of what a path leads to, links followed, if that needs no disk: 0, -EAGAIN or another
 * errno. */
int file_root_look(const char *path, struct file_stamp *stamp);

/* Whether two stamps are of one file, whatever has become of it. Any thread. */
static inline bool file_stamps_same_file(const struct file_stamp *one,
                                         const struct file_stamp *other)
{
    return one->device == other->device && one->inode == other->inode;
}

/* Whether an open file still has the same bytes, though it may have been renamed, replaced,
 * deleted, linked or given another mode since: all of that moves `changed_ns` too. What was written
 * by somebody who has set the old time again afterwards is not noticed. Any thread. */
bool file_stamps_same_bytes(const struct file_stamp *one, const struct file_stamp *other);

#endif
