/*
 * trace.h - the stack of a thread that does not get on, taken from another one.
 *
 * The watcher sends the thread a SIGURG. Its handler only notes the addresses, in memory that is
 * there already; the watcher finds out their names and logs them.
 */
#ifndef SERVER_TRACE_H
#define SERVER_TRACE_H

#include "base/watch.h"

#include <pthread.h>
#include <signal.h>

enum { TRACE_FRAMES_MAX = 64 };

enum trace_state {
    TRACE_ABSENT, /* no thread */
    TRACE_READY,
    TRACE_ASKED, /* the signal is on its way */
    TRACE_TAKEN, /* `frames` are there */
};

/* Of one thread. All zero: no thread has come yet. */
struct trace {
    _Atomic(enum trace_state) state;
    const struct watch *watch;
    pthread_t thread;
    sigset_t mask_before;
    struct activity asked;
    void *frames[TRACE_FRAMES_MAX];
    int count;
};

/* Installs the handler of SIGURG for the first that opens, and restores what was there before for
 * the last that closes: several servers may run. Any thread. */
void trace_open(void);
void trace_close(void);

/* On the thread, whose loop is watched with `watch`: it may be asked from now on, and has SIGURG
 * unblocked. It must go on to exist until nobody asks any more, also after it has left. */
void trace_join(struct trace *trace, const struct watch *watch);
void trace_leave(struct trace *trace);

/* --- on the watcher's thread --- */

/* Asks the thread for its stack, if it still does `activity` when it is interrupted. */
void trace_ask(struct trace *trace, const struct activity *activity);

/* Whether the stack that was asked for is there; and then logs it, a line for each call. */
bool trace_is_taken(const struct trace *trace);
void trace_log(struct trace *trace);

#endif
