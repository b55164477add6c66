#include "handlers/file_watch.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    EVENTS_SIZE = 16 * 1024, /* bytes taken in one go */
    WATCHED = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB |
              IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
};

/* Whether it is about files, and not only about the end of a watch. */
static bool take_event(struct file_watch *watch, const struct inotify_event *event)
{
    if (!(event->mask & IN_IGNORED))
        return true;
    watch->count--;
    return false;
}

void file_watch_poll(struct file_watch *watch)
{
    alignas(struct inotify_event) char bytes[EVENTS_SIZE];
    ssize_t length = watch->fd < 0 ? -1 : read(watch->fd, bytes, sizeof(bytes));
    bool changed = false;
    for (ssize_t at = 0; at < length;) {
        const struct inotify_event *event = (const void *)(bytes + at);
        changed |= take_event(watch, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    if (changed)
        watch->changed(watch->arg);
}

static void on_events(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd, (void)events;
    file_watch_poll(arg);
}

int file_watch_start(struct file_watch *watch, struct reactor *reactor, void (*changed)(void *arg),
                     void *arg)
{
    *watch = (struct file_watch){.reactor = reactor, .changed = changed, .arg = arg};
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        return -errno;
    int error = reactor_register(reactor, watch->fd, EPOLLIN, on_events, watch);
    if (error) {
        close(watch->fd);
        watch->fd = -1;
    }
    return error;
}

void file_watch_stop(struct file_watch *watch)
{
    if (watch->fd < 0)
        return;
    reactor_deregister(watch->reactor, watch->fd);
    close(watch->fd);
    watch->fd = -1;
}

bool file_watch_add(struct file_watch *watch, int directory_fd)
{
    char path[sizeof("/proc/self/fd/-2147483648")];
    if (watch->fd < 0)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", directory_fd);
    int added = inotify_add_watch(watch->fd, path, WATCHED);
    if (added < 0)
        return false;
    /* Numbers rise: a lower one is that of a directory that is watched already. */
    if (added <= watch->newest)
        return true;
    watch->newest = added;
    watch->count++;
    if (watch->count <= FILE_WATCHES_MAX)
        return true;
    inotify_rm_watch(watch->fd, added); /* IN_IGNORED follows, which takes it off the count */
    return false;
}
