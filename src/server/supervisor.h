/*
 * supervisor.h - the thread that looks after the reactors from outside: every few milliseconds it
 * looks at what each is doing (base/watch.h). It weighs their work and corrects the count of what
 * is assigned to them (net/balance.h), reports handlers that stall their loop (watchdog.h), and
 * serves the operator (admin.h).
 *
 * It has a reactor of its own, and never touches a connection of the others. When none of them has
 * made a turn for a second, and it has nothing left to find out or to say, it stops looking, until
 * the first that makes one again wakes it.
 */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include "reactor/mailbox.h"
#include "reactor/timer.h"
#include "server/watchdog.h"

struct server;

struct supervisor {
    struct reactor *reactor; /* NULL: there is nothing to look after */
    pthread_t thread;
    struct reactor_timer tick;
    unsigned tick_ms;
    uint64_t review_ns; /* when the next review of the balance is due */
    struct watchdog watchdog;
    uint64_t turns;     /* of all reactors, at the last tick */
    uint64_t active_ns; /* the last tick at which one was seen to do something */
    bool bells_set;     /* the next turn of any reactor rings */
    struct post ring;
    atomic_bool rung; /* `ring` is posted */
    bool runs;
};

/* Makes its reactor, when the server needs one. 0 or -errno, reported by server_fail(). */
int supervisor_open(struct server *server);

/* Starts the thread, with all signals blocked; after the workers are open. 0 or -errno, reported by
 * server_fail(). */
int supervisor_start(struct server *server);

/* On the thread of a reactor, before it serves and after it has served. */
void supervisor_join(struct server *server, unsigned thread);
void supervisor_leave(struct server *server, unsigned thread);

/* Ends the thread, when the team has ended and the workers are still there. */
void supervisor_stop(struct server *server);

/* Before the workers go. Both may be called when it was never opened or started. */
void supervisor_close(struct server *server);

#endif
