/*
 * signals.h - SIGTERM and SIGINT as events of one reactor. (SIGPIPE is ignored in main.c.)
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <coreactor/reactor.h>

#include <signal.h>

struct signals {
    struct reactor *reactor;
    int fd;          /* -1: released */
    sigset_t before; /* the mask to restore */
    reactor_task task;
    void *arg;
};

/* Blocks the two signals, for this thread and those it will start, and calls task(reactor, arg)
 * when one comes. 0 or -errno of signalfd(2). */
int signals_open(struct signals *signals, struct reactor *reactor, reactor_task task, void *arg);

/* Leaves the next one to the kernel: it ends the process at once, even while this thread is busy.
 * On the reactor's thread. */
void signals_release(struct signals *signals);

/* Restores what was before. On the thread of signals_open(). */
void signals_close(struct signals *signals);

#endif
