/*
 * signals.h - SIGTERM, SIGINT and SIGUSR1 as events of one reactor. (SIGPIPE is ignored in main.c.)
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <coreactor/reactor.h>

#include <signal.h>

struct signals {
    struct reactor *reactor;
    int fd;
    sigset_t before; /* the mask to restore */
    struct sigaction usr1_before;
    reactor_task end;
    reactor_task reopen;
    void *arg;
};

/* Blocks the three signals, for this thread and those it will start, and calls end(reactor, arg)
 * when SIGTERM or SIGINT comes, reopen(reactor, arg) for SIGUSR1. 0 or -errno of signalfd(2). */
int signals_open(struct signals *signals, struct reactor *reactor, reactor_task end,
                 reactor_task reopen, void *arg);

/* Leaves the next SIGTERM or SIGINT to the kernel: it ends the process at once, even while this
 * thread is busy. On the reactor's thread. */
void signals_release(struct signals *signals);

/* Restores what was before; a SIGUSR1 that has not been looked at is dropped. On the thread of
 * signals_open(). */
void signals_close(struct signals *signals);

#endif
