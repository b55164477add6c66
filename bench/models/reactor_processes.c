/*
 * reactor_processes.c - a reactor for each process, and a process for each core: they share nothing
 * but the port, and the kernel gives each new connection to one of them by a hash of its addresses.
 * What one does wrong does not reach the others' memory; what one knows, neither.
 *
 * The parent only waits. A child that ends by itself ends the server, with status 1.
 */
#include "common/reactors.h"
#include "common/sockets.h"

#include "net/listener.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES_MAX = 1024 };

static pid_t children[PROCESSES_MAX];
static unsigned running;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */

/* The library refuses a port on which somebody listens already, since SO_REUSEPORT would share it
 * by mistake. Here that is what is meant: linked with --wrap, the children do not ask; the parent
 * does, before there are any. */
int __real_listener_probe(const struct address *address);
int __wrap_listener_probe(const struct address *address);

int __wrap_listener_probe(const struct address *address)
{
    (void)address;
    return 0;
}

static void probe(unsigned port)
{
    char text[32];
    struct address address;
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    address_parse(text, &address);
    errno = -__real_listener_probe(&address);
    require(errno == 0, "cannot listen");
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* It ends with the parent, however that ends. */
static void start(const struct model_options *options, const sigset_t *before)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, before, NULL);
        _exit(getppid() == parent ? reactors_serve(options, 1) : 1);
    }
    if (child > 0)
        children[running++] = child;
    else
        perror("reactor-processes: cannot start a process");
}

static void stop_all(void)
{
    for (unsigned i = 0; i < running; i++)
        kill(children[i], SIGTERM);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, 1000);
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    probe(options.port);
    unsigned processes = options.threads < PROCESSES_MAX ? options.threads : PROCESSES_MAX;
    for (unsigned i = 0; i < processes; i++)
        start(&options, &before);
    int signal = running == processes ? sigwaitinfo(&signals, NULL) : SIGCHLD;
    stop_all();
    return signal == SIGCHLD;
}
