/*
 * watch.h - what a loop is doing, for whoever watches it from another thread.
 *
 * The loop's thread writes, any thread reads; `overdue` goes the other way. See counter.h.
 */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include "base/counter.h"

#include <stdbool.h>

struct watch {
    struct counter turn_ns;     /* CLOCK_MONOTONIC when the present turn began; 0: it waits */
    struct counter busy_ns;     /* of all turns that are over */
    struct counter turns;       /* that are over */
    struct counter longest_ns;  /* of the turns since it was last set to 0, by the watcher */
    struct counter calls;       /* of handlers, that have begun */
    _Atomic(const char *) what; /* the route of the call in progress; NULL: there is none */
    struct counter
        overdue; /* by the watcher: the call, as numbered by `calls`, that takes too long */
    struct counter over_ns; /* when that call was over; 0: not yet */
};

uint64_t watch_clock(void); /* nanoseconds of CLOCK_MONOTONIC */

static inline void watch_turn_begins(struct watch *watch, uint64_t now_ns)
{
    counter_set(&watch->turn_ns, now_ns);
}

static inline void watch_turn_ends(struct watch *watch, uint64_t began_ns, uint64_t now_ns)
{
    uint64_t length_ns = now_ns - began_ns;
    counter_set(&watch->turn_ns, 0);
    counter_add(&watch->busy_ns, length_ns);
    counter_add(&watch->turns, 1);
    if (length_ns > counter_read(&watch->longest_ns))
        counter_set(&watch->longest_ns, length_ns);
}

/* A handler of the route `what` (a text that outlives the watcher) is called. */
static inline void watch_call_begins(struct watch *watch, const char *what)
{
    counter_add(&watch->calls, 1);
    atomic_store_explicit(&watch->what, what, memory_order_relaxed);
}

static inline void watch_call_ends(struct watch *watch)
{
    atomic_store_explicit(&watch->what, NULL, memory_order_relaxed);
    if (__builtin_expect(counter_read(&watch->overdue) == counter_read(&watch->calls), false))
        counter_set(&watch->over_ns, watch_clock());
}

#endif
