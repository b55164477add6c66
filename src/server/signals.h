/*
 * signals.h - SIGTERM and SIGINT as events of one reactor: the only place that deals with signals.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <coreactor/reactor.h>

#include <signal.h>

struct signals {
    int fd;
    sigset_t before; /* the mask to restore */
    reactor_task task;
    void *arg;
};

/* Blocks the two signals, for this thread and those it will start, and calls task(reactor, arg)
 * when the first one comes. After that they are unblocked, so that the second one ends the process
 * at once. 0 or -errno of signalfd(2). */
int signals_open(struct signals *signals, struct reactor *reactor, reactor_task task, void *arg);

/* Restores what was before. On the same thread. */
void signals_close(struct signals *signals, struct reactor *reactor);

#endif
