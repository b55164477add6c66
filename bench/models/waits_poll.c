#include "waits.h"

#include "common/sockets.h"

#include <errno.h>
#include <stdlib.h>

/* Indexed by descriptor, which the kernel keeps small; poll(2) skips an entry whose `fd` is -1. */
static struct pollfd *all;
static int count;

void waits_open(int descriptors)
{
    all = malloc((size_t)descriptors * sizeof(*all));
    require(all, "cannot watch descriptors");
}

bool waits_watch(int fd, short events)
{
    for (; count <= fd; count++)
        all[count] = (struct pollfd){.fd = -1};
    all[fd].fd = fd;
    all[fd].events = events;
    return true;
}

void waits_forget(int fd)
{
    all[fd] = (struct pollfd){.fd = -1};
    while (count && all[count - 1].fd < 0)
        count--;
}

int waits_turn(int timeout)
{
    if (poll(all, (nfds_t)count, timeout) < 0)
        require(errno == EINTR || errno == ENOMEM, "poll");
    return count;
}

short waits_found(int fd)
{
    return fd < count ? all[fd].revents : 0;
}
