#include "children.h"

#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNALS = 3 };

static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGCHLD};
static struct sigaction before[SIGNALS]; /* what a child gets back */
static sigset_t mask_before;
static sigset_t mask_of_waits;
static volatile sig_atomic_t stopping;
static volatile sig_atomic_t some_ended;

static pid_t parent;
static pid_t *children;
static unsigned count;

static void on_signal(int number)
{
    if (number == SIGCHLD)
        some_ended = 1;
    else
        stopping = 1;
}

void children_open(unsigned most)
{
    const struct sigaction arrive = {.sa_handler = on_signal};
    sigset_t mask;
    children = calloc(most, sizeof(*children));
    require(children, "no room for children");
    parent = getpid();
    sigemptyset(&mask);
    for (unsigned i = 0; i < SIGNALS; i++)
        sigaddset(&mask, signals[i]);
    sigprocmask(SIG_BLOCK, &mask, &mask_before);
    mask_of_waits = mask_before;
    for (unsigned i = 0; i < SIGNALS; i++) {
        sigdelset(&mask_of_waits, signals[i]);
        sigaction(signals[i], &arrive, &before[i]);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* The mask comes last: a SIGINT that was typed meanwhile arrives then. */
static void begin_child(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it was gone before it could be asked for */
        _exit(0);
    for (unsigned i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

pid_t children_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        begin_child();
    else if (child > 0)
        children[count++] = child;
    return child;
}

unsigned children_count(void)
{
    return count;
}

static void forget(pid_t child)
{
    for (unsigned i = 0; i < count; i++) {
        if (children[i] == child) {
            children[i] = children[--count];
            return;
        }
    }
}

static void reap(void)
{
    pid_t child;
    some_ended = 0;
    while ((child = waitpid(-1, NULL, WNOHANG)) > 0)
        forget(child);
}

int children_wait(int fd, int timeout_ms)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    int ready = ppoll(&readable, 1, timeout_ms < 0 ? NULL : &timeout, &mask_of_waits);
    if (some_ended)
        reap();
    return stopping ? -1 : ready > 0;
}

void children_end(void)
{
    for (unsigned i = 0; i < count; i++)
        kill(children[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}
