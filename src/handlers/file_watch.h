/*
 * file_watch.h - learning at once that something below the root has changed: inotify(7).
 *
 * It tells only that something did: whoever keeps files has to look at them again. Changes through
 * a mapping, on another host, or in a directory that could not be watched are not seen; look now
 * and then in any case.
 */
#ifndef HANDLERS_FILE_WATCH_H
#define HANDLERS_FILE_WATCH_H

#include <coreactor/reactor.h>

#include <stdbool.h>

enum { FILE_WATCHES_MAX = 4096 };

struct file_watch {
    struct reactor *reactor;
    int fd;         /* of inotify; -1: there is none */
    unsigned count; /* of directories, or more: the kernel may not tell of each that is gone */
    int newest;     /* watch descriptor */
    void (*changed)(void *arg);
    void *arg;
};

/* Begins on the reactor's thread; `changed` is called on it, once for many events, and may add and
 * stop. Keeps reactor_run() from being idle. Returns 0 or -errno (-EMFILE:
 * fs.inotify.max_user_instances), and then the watch does nothing, harmlessly, as after
 * file_watch_stop(). Not to be moved. */
int file_watch_start(struct file_watch *watch, struct reactor *reactor, void (*changed)(void *arg),
                     void *arg);
void file_watch_stop(struct file_watch *watch);

/* Takes what is to be told now, before the reactor gets to it. The reactor's thread. */
void file_watch_poll(struct file_watch *watch);

/* Watches the directory that the descriptor (O_PATH will do) is of, once, through /proc/self/fd:
 * names that appear, vanish or are replaced in it, files in it that are written or whose attributes
 * change, the directory's own move and, once nobody has it open any more, its end, which also ends
 * the watch. Not seen is the move of a directory above it: watch that as well. At most
 * FILE_WATCHES_MAX directories at a time. False when it is not watched: one too many
 * (fs.inotify.max_user_watches too), not a directory, not readable, no /proc. The descriptor may be
 * closed afterwards. The reactor's thread. */
bool file_watch_add(struct file_watch *watch, int directory_fd);

#endif
