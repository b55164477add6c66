#include "file_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

int read_error;
int read_error_once;
int read_error_nowait;
size_t read_most;
void (*read_hook)(void);
unsigned reads;
int allocation_fails_in;
long clock_ahead_s;
int64_t clock_at_ns;
bool whole_seconds;

ssize_t wrap_preadv2(int fd, const struct iovec *parts, int count, off_t offset,
                     int flags) __asm__("__wrap_preadv2");
ssize_t real_preadv2(int fd, const struct iovec *parts, int count, off_t offset,
                     int flags) __asm__("__real_preadv2");
int wrap_statx(int fd, const char *path, int flags, unsigned mask,
               struct statx *status) __asm__("__wrap_statx");
int real_statx(int fd, const char *path, int flags, unsigned mask,
               struct statx *status) __asm__("__real_statx");
int wrap_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__wrap_clock_gettime");
int real_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__real_clock_gettime");
void *wrap_malloc(size_t length) __asm__("__wrap_malloc");
void *real_malloc(size_t length) __asm__("__real_malloc");
void *wrap_calloc(size_t count, size_t length) __asm__("__wrap_calloc");
void *real_calloc(size_t count, size_t length) __asm__("__real_calloc");
void *wrap_realloc(void *bytes, size_t length) __asm__("__wrap_realloc");
void *real_realloc(void *bytes, size_t length) __asm__("__real_realloc");

void no_faults(void)
{
    read_error = read_error_once = read_error_nowait = allocation_fails_in = 0;
    read_most = 0;
    read_hook = NULL;
    reads = 0;
    clock_at_ns = 0;
    whole_seconds = false;
}

ssize_t wrap_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    struct iovec part = parts[0];
    int error = read_error_once ? read_error_once : read_error;
    reads++;
    if (read_hook)
        read_hook();
    read_error_once = 0;
    if (!error && flags & RWF_NOWAIT)
        error = read_error_nowait;
    if (error) {
        errno = -error;
        return -1;
    }
    if (read_most && part.iov_len > read_most)
        part.iov_len = read_most;
    return real_preadv2(fd, count == 1 ? &part : parts, count, offset, flags);
}

int wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status)
{
    int result = real_statx(fd, path, flags, mask, status);
    if (whole_seconds)
        status->stx_ctime.tv_nsec = status->stx_mtime.tv_nsec = 0;
    return result;
}

int wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = real_clock_gettime(clock, time);
    if (clock == CLOCK_REALTIME)
        time->tv_sec += clock_ahead_s;
    if (clock == CLOCK_REALTIME && clock_at_ns)
        *time = (struct timespec){clock_at_ns / 1000000000, clock_at_ns % 1000000000};
    return result;
}

static bool allocation_fails(void)
{
    return allocation_fails_in && --allocation_fails_in == 0;
}

void *wrap_malloc(size_t length)
{
    return allocation_fails() ? NULL : real_malloc(length);
}

void *wrap_calloc(size_t count, size_t length)
{
    return allocation_fails() ? NULL : real_calloc(count, length);
}

void *wrap_realloc(void *bytes, size_t length)
{
    return allocation_fails() ? NULL : real_realloc(bytes, length);
}
