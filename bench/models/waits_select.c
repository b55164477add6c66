#include "waits.h"

#include "common/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <sys/select.h>

static fd_set reads, writes;      /* what is watched */
static fd_set readable, writable; /* what select(2) has made of copies of them */
static bool watched[FD_SETSIZE];
static int count;

void waits_open(int descriptors)
{
    (void)descriptors;
}

/* A larger descriptor would be written behind the end of the sets. */
static bool is_too_large(int fd)
{
    static bool said;
    if (fd < FD_SETSIZE)
        return false;
    if (!said)
        fprintf(stderr, "select: select(2) watches descriptors below %d only\n", FD_SETSIZE);
    said = true;
    errno = EMFILE;
    return true;
}

bool waits_watch(int fd, short events)
{
    if (is_too_large(fd))
        return false;
    FD_CLR(fd, &reads);
    FD_CLR(fd, &writes);
    if (events & POLLIN)
        FD_SET(fd, &reads);
    if (events & POLLOUT)
        FD_SET(fd, &writes);
    watched[fd] = true;
    if (count <= fd)
        count = fd + 1;
    return true;
}

void waits_forget(int fd)
{
    FD_CLR(fd, &reads);
    FD_CLR(fd, &writes);
    FD_CLR(fd, &readable);
    FD_CLR(fd, &writable);
    watched[fd] = false;
    while (count && !watched[count - 1])
        count--;
}

int waits_turn(int timeout)
{
    struct timeval patience = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
    readable = reads;
    writable = writes;
    if (select(count, &readable, &writable, NULL, timeout < 0 ? NULL : &patience) < 0) {
        require(errno == EINTR || errno == ENOMEM, "select");
        FD_ZERO(&readable);
        FD_ZERO(&writable);
    }
    return count;
}

short waits_found(int fd)
{
    return (short)((FD_ISSET(fd, &readable) ? POLLIN : 0) |
                   (FD_ISSET(fd, &writable) ? POLLOUT : 0));
}
