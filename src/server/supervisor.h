/*
 * supervisor.h - the thread that looks after the reactors from outside: every few milliseconds it
 * looks at what each is doing (base/watch.h). It weighs their work and corrects the count of what
 * is assigned to them (net/balance.h), reports handlers that stall their loop (watchdog.h), and
 * serves the operator (admin.h).
 *
 * It has a reactor of its own, and never touches a connection of the others.
 */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include "reactor/timer.h"

#include <pthread.h>
#include <stdbool.h>

struct server;

struct supervisor {
    struct reactor *reactor; /* NULL: there is nothing to look after */
    pthread_t thread;
    struct reactor_timer tick;
    uint64_t review_ns; /* when the next review of the balance is due */
    bool runs;
};

/* Makes its reactor, when the server needs one. 0 or -errno, reported by server_fail(). */
int supervisor_open(struct server *server);

/* Starts the thread, with all signals blocked; after the workers are open. 0 or -errno, reported by
 * server_fail(). */
int supervisor_start(struct server *server);

/* Ends the thread; the workers must still be there. */
void supervisor_stop(struct server *server);

void supervisor_close(struct server *server);

#endif
