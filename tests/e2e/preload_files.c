/*
 * preload_files.c - a slow disk and a machine without inotify, for test_files_slow.py: put before
 * the program with LD_PRELOAD.
 *
 * PRELOAD_INODES="1,2,3": files that are on a slow disk. Nothing of them is in memory until it was
 * read; until then RWF_NOWAIT gets EAGAIN, and reading waits while the file PRELOAD_GATE exists.
 * Whoever has the kernel wait for what was not read (sendfile(2)) leaves the file
 * PRELOAD_GATE.stalled.
 *
 * PRELOAD_NO_INOTIFY: there are no inotify instances left.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 16 };

/* How far each slow file was read from its beginning. */
static struct {
    ino_t inode;
    _Atomic(off_t) read_to;
} slow[FILES_MAX];

__attribute__((constructor)) static void read_inodes(void)
{
    const char *at = getenv("PRELOAD_INODES");
    for (int i = 0; at && *at && i < FILES_MAX; i++) {
        char *end;
        slow[i].inode = strtoul(at, &end, 10);
        at = *end ? end + 1 : end;
    }
}

/* The file's place in the table; -1: not a slow one, or `offset` is its end. */
static int find(int fd, off_t offset)
{
    struct stat status;
    if (!slow[0].inode || fstat(fd, &status) != 0 || offset >= status.st_size)
        return -1;
    for (int i = 0; i < FILES_MAX && slow[i].inode; i++) {
        if (slow[i].inode == status.st_ino)
            return i;
    }
    return -1;
}

static void wait_at_gate(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const char *gate = getenv("PRELOAD_GATE");
    while (gate && access(gate, F_OK) == 0)
        nanosleep(&pause, NULL);
}

static void note_read(int i, off_t to)
{
    off_t before = atomic_load(&slow[i].read_to);
    while (before < to && !atomic_compare_exchange_weak(&slow[i].read_to, &before, to)) {
    }
}

static void note_stall(void)
{
    char name[4096];
    const char *gate = getenv("PRELOAD_GATE");
    snprintf(name, sizeof(name), "%s.stalled", gate ? gate : "");
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
    int i = find(fd, offset);
    if (i >= 0)
        wait_at_gate();
    ssize_t count = REAL(pread)(fd, to, length, offset);
    if (i >= 0 && count > 0)
        note_read(i, offset + count);
    return count;
}

ssize_t preadv2(int fd, const struct iovec *to, int pieces, off_t offset, int flags)
{
    int i = find(fd, offset);
    if (i >= 0 && flags & RWF_NOWAIT && offset >= atomic_load(&slow[i].read_to)) {
        errno = EAGAIN;
        return -1;
    }
    if (i >= 0 && !(flags & RWF_NOWAIT))
        wait_at_gate();
    ssize_t count = REAL(preadv2)(fd, to, pieces, offset, flags);
    if (i >= 0 && count > 0 && !(flags & RWF_NOWAIT))
        note_read(i, offset + count);
    return count;
}

ssize_t sendfile(int to, int fd, off_t *offset, size_t length)
{
    int i = offset ? find(fd, *offset) : -1;
    if (i >= 0 && *offset + (off_t)length > atomic_load(&slow[i].read_to))
        note_stall();
    return REAL(sendfile)(to, fd, offset, length);
}

int inotify_init1(int flags)
{
    (void)flags;
    if (!getenv("PRELOAD_NO_INOTIFY"))
        return REAL(inotify_init1)(flags);
    errno = EMFILE;
    return -1;
}
