/*
 * watch.h - what a loop is doing, for whoever watches it from another thread.
 *
 * The loop's thread writes and any thread reads, as in counter.h; what is marked so is written by
 * the watcher, which is one thread. The clock is read twice a turn, and for a call only when the
 * watcher has seen it: any other costs a few plain loads and stores.
 *
 * Order: what is stored later is seen later (release, acquire: plain moves where memory is strongly
 * ordered). So whoever sees that a call or a turn is over sees its `over_ns` as well.
 */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include "base/counter.h"

#include <stdbool.h>
#include <time.h>

struct watch {
    struct counter turn_ns;     /* CLOCK_MONOTONIC when the present turn began; 0: it waits */
    struct counter busy_ns;     /* of all turns that are over */
    struct counter turns;       /* that are over */
    struct counter longest_ns;  /* of the turns since it was last set to 0, by the watcher */
    struct counter shown_ns;    /* by the watcher: the most that watch_busy() has returned */
    struct counter calls;       /* of handlers, that have begun */
    struct counter turn_calls;  /* as many as that when the present turn began */
    _Atomic(const char *) what; /* the route of the call in progress; NULL: there is none */
    /* By the watcher: the call, as numbered by `calls`, or the turn, whose end it wants to know;
     * both from 1, 0: none. */
    struct counter asked_call;
    struct counter asked_turn;
    struct counter over_ns; /* the last end of such a call or turn */
    atomic_bool bell;       /* by the watcher: it sleeps until `ring` is called */
    void (*ring)(void *arg);
    void *ring_arg;
};

/* What a loop does at one moment. Two that are the same, one after the other, mean that nothing was
 * begun or ended in between. */
struct activity {
    uint64_t turn_ns; /* 0: it waits */
    uint64_t calls;
    const char *what;    /* NULL: no handler */
    uint64_t turn_calls; /* of `calls`, those that have begun in this turn */
};

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t watch_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- on the loop's thread --- */

/* Wakes the watcher, once. */
void watch_ring(struct watch *watch);

static inline void watch_turn_begins(struct watch *watch, uint64_t now_ns)
{
    counter_set(&watch->turn_calls, counter_read(&watch->calls));
    atomic_store_explicit(&watch->turn_ns.value, now_ns, memory_order_release);
    if (__builtin_expect(atomic_load_explicit(&watch->bell, memory_order_relaxed), false))
        watch_ring(watch);
}

/* A turn that ends before it began, by the clock, took no time. */
static inline void watch_turn_ends(struct watch *watch, uint64_t began_ns, uint64_t now_ns)
{
    uint64_t length_ns = now_ns > began_ns ? now_ns - began_ns : 0;
    uint64_t turn = counter_read(&watch->turns) + 1;
    if (__builtin_expect(counter_read(&watch->asked_turn) == turn, false))
        counter_set(&watch->over_ns, now_ns);
    if (length_ns > counter_read(&watch->longest_ns))
        counter_set(&watch->longest_ns, length_ns);
    /* In this order for watch_busy(). */
    atomic_store_explicit(&watch->turn_ns.value, 0, memory_order_release);
    atomic_store_explicit(&watch->busy_ns.value, counter_read(&watch->busy_ns) + length_ns,
                          memory_order_release);
    atomic_store_explicit(&watch->turns.value, turn, memory_order_release);
}

/* A handler of the route `what` (a text that outlives the watcher) is called. */
static inline void watch_call_begins(struct watch *watch, const char *what)
{
    atomic_store_explicit(&watch->calls.value, counter_read(&watch->calls) + 1,
                          memory_order_release);
    atomic_store_explicit(&watch->what, what, memory_order_release);
}

static inline void watch_call_ends(struct watch *watch)
{
    if (__builtin_expect(counter_read(&watch->asked_call) == counter_read(&watch->calls), false))
        counter_set(&watch->over_ns, watch_clock());
    atomic_store_explicit(&watch->what, NULL, memory_order_release);
}

/* --- on any thread --- */

struct activity watch_activity(const struct watch *watch);

static inline bool activity_is_same(const struct activity *one, const struct activity *other)
{
    return one->turn_ns == other->turn_ns && one->calls == other->calls && one->what == other->what;
}

/* --- on the watcher's thread --- */

/* How long the loop was busy so far, at `now_ns`, with the turn in progress; never less than
 * before: a turn that ends while it is read may be missing, and then what was returned last is. */
uint64_t watch_busy(struct watch *watch, uint64_t now_ns);

#endif
