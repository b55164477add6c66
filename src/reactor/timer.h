/*
 * timer.h - the timers of one reactor: a pairing heap of nodes that their owners embed.
 *
 * The heap allocates nothing, so starting a timer cannot fail, and starting one is a comparison
 * with the root. Order is (deadline, start), exact, unlike a timing wheel's. Not for several
 * threads.
 */
#ifndef REACTOR_TIMER_H
#define REACTOR_TIMER_H

#include <coreactor/reactor.h>

#include <stdbool.h>

struct reactor_timer {
    struct reactor_timer *child;   /* first of the children, all later than this one */
    struct reactor_timer *sibling; /* next child of the same parent */
    struct reactor_timer
        *previous;        /* previous child, or the parent for the first; NULL at the root */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC */
    uint64_t sequence;    /* order of starting, breaks ties */
    uint32_t period_ms;   /* 0: fires once */
    bool started;
    struct reactor *reactor;
    reactor_task task;
    void *arg;
};

struct timer_heap {
    struct reactor_timer *root;
    uint64_t next_sequence;
};

/* Makes `timer` ready to be started with reactor_timer_start(). For embedded timers; the owner
 * stops it before its memory goes away. */
void reactor_timer_init(struct reactor_timer *timer, struct reactor *reactor, reactor_task task,
                        void *arg);

/* Adds a timer that is not in the heap, with its deadline and sequence set. */
void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer);

/* Takes a timer out of the heap it is in. */
void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer);

/* Takes out the first timer if it is due at `now_ns` and was started before `sequence_limit`;
 * otherwise NULL. */
struct reactor_timer *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns,
                                         uint64_t sequence_limit);

#endif
