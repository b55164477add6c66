#include "server/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static void on_signal(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)events;
    struct signals *signals = arg;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    reactor_deregister(reactor, fd);
    /* Left to the kernel, because this thread may be busy when the second one comes. */
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    signals->task(reactor, signals->arg);
}

int signals_open(struct signals *signals, struct reactor *reactor, reactor_task task, void *arg)
{
    sigset_t set = ending_signals();
    *signals = (struct signals){.task = task, .arg = arg};
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &set, &signals->before);
    int error = reactor_register(reactor, signals->fd, EPOLLIN, on_signal, signals);
    if (error)
        signals_close(signals, reactor);
    return error;
}

void signals_close(struct signals *signals, struct reactor *reactor)
{
    reactor_deregister(reactor, signals->fd);
    close(signals->fd);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
