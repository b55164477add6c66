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
    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    reactor_task task = info.ssi_signo == SIGUSR1 ? signals->reopen : signals->end;
    task(reactor, signals->arg);
}

int signals_open(struct signals *signals, struct reactor *reactor, reactor_task end,
                 reactor_task reopen, void *arg)
{
    sigset_t set = ending_signals();
    sigaddset(&set, SIGUSR1);
    *signals = (struct signals){.reactor = reactor, .end = end, .reopen = reopen, .arg = arg};
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &set, &signals->before);
    /* It still comes as an event, because it is blocked; but one that comes too late to be looked
     * at does not end the process when the mask is restored. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGUSR1, &ignore, &signals->usr1_before);
    int error = reactor_register(reactor, signals->fd, EPOLLIN, on_signal, signals);
    if (error)
        signals_close(signals);
    return error;
}

void signals_release(struct signals *signals)
{
    sigset_t remaining;
    sigemptyset(&remaining);
    sigaddset(&remaining, SIGUSR1);
    signalfd(signals->fd, &remaining, SFD_NONBLOCK | SFD_CLOEXEC);
    /* A shell may have started us in the background with SIGINT ignored. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signals_close(struct signals *signals)
{
    reactor_deregister(signals->reactor, signals->fd);
    close(signals->fd);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
    sigaction(SIGUSR1, &signals->usr1_before, NULL);
}
