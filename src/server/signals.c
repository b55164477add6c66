#include "server/signals.h"

#include <errno.h>
#include <pthread.h>
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
    if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        signals->task(reactor, signals->arg);
}

int signals_open(struct signals *signals, struct reactor *reactor, reactor_task task, void *arg)
{
    sigset_t set = ending_signals();
    *signals = (struct signals){.reactor = reactor, .task = task, .arg = arg};
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &set, &signals->before);
    int error = reactor_register(reactor, signals->fd, EPOLLIN, on_signal, signals);
    if (error)
        signals_close(signals);
    return error;
}

static void close_descriptor(struct signals *signals)
{
    reactor_deregister(signals->reactor, signals->fd);
    close(signals->fd);
    signals->fd = -1;
}

void signals_release(struct signals *signals)
{
    if (signals->fd < 0)
        return;
    close_descriptor(signals);
    /* A shell may have started us in the background with SIGINT ignored. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signals_close(struct signals *signals)
{
    if (signals->fd >= 0)
        close_descriptor(signals);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
