/*
 * prefork.c - a pool of processes, each with one connection at a time, as Apache's prefork. All of
 * them block in accept(2) of the same listener, and the kernel wakes one for a connection. A client
 * that waits for its turn waits in the listener's backlog; that it comes, each connection is closed
 * after some requests, or when its client is silent for a while (blocking.h).
 *
 * It spends a process a connection: memory, and a switch between address spaces whenever another
 * one has something to do. None of them can disturb another one: what dies is replaced.
 */
#include "common/blocking.h"
#include "common/children.h"
#include "common/options.h"
#include "common/sockets.h"

#include <errno.h>
#include <unistd.h>

enum { PROCESSES = 64, REQUESTS_MAX = 100, PAUSE_MS = 100 };

static _Noreturn void work(int listener)
{
    struct talk_room room = {.spare = NULL};
    for (;;) {
        int fd = accept_blocking(listener);
        if (fd < 0)
            continue;
        blocking_patience(fd, BLOCKING_PATIENCE_S);
        serve_blocking(fd, &room, (struct http_text){NULL, 0});
    }
}

/* False when not all could be started. */
static bool fill_pool(int listener, unsigned size)
{
    while (children_count() < size) {
        pid_t child = children_fork();
        if (child == 0)
            work(listener);
        if (child < 0) {
            report_shortage("no process for the pool", errno);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, PROCESSES);
    blocking_service(options.service_port);
    talk_open(ask_blocking, REQUESTS_MAX);
    int listener = listen_on(options.port, 0);
    children_open(options.pool);
    bool full;
    do {
        full = fill_pool(listener, options.pool);
        usleep(PAUSE_MS * 1000); /* what dies at once is not replaced at once */
    } while (children_wait(-1, full ? -1 : 0) >= 0);
    children_end();
    return 0;
}
