/*
 * watchdog.h - notices what keeps a reactor from everything else, by looking again and again at
 * what each is doing (base/watch.h): a handler, or within a turn of the loop something that is
 * none, that is still at it after the limit.
 *
 * How long it takes is known from when it was first seen, so a stall is sure to be noticed when it
 * is longer than the limit by the time between two looks, and nothing shorter than the limit is
 * ever taken for one. What is logged begins with the first moment at which it can have begun.
 */
#ifndef SERVER_WATCHDOG_H
#define SERVER_WATCHDOG_H

#include "server/trace.h"

#include <glib.h>

/* What is known of one reactor. */
struct guard {
    struct watch *watch;
    struct counter *stalls;
    struct trace trace;
    struct activity seen;
    uint64_t looked_ns; /* the last time; 0: never */
    uint64_t from_ns;   /* when what is seen can have begun at the earliest */
    uint64_t since_ns;  /* when it was seen first */
    unsigned looks;     /* that have seen it since */
    uint64_t marked_ns; /* when it was found to be a stall; 0: it is none */
    uint64_t left_out;  /* stalls, before this one, that were not logged */
    bool speaks;        /* this one is logged */
    bool has_spoken;    /* that it goes on for very long */
};

struct watchdog {
    uint64_t limit_ns;
    unsigned looks_needed; /* beside the time: when we were not running, nobody else may have been
                              either */
    bool traces;
    unsigned count;
    struct guard *guards;
    GHashTable *budgets; /* route -> struct budget, owned */
};

/* For `count` reactors, to be looked at every `tick_ms`; with `traces`, stalled threads that have
 * joined (trace_join()) have their stack logged. 0 or -ENOMEM. */
int watchdog_open(struct watchdog *watchdog, unsigned count, unsigned limit_ms, unsigned tick_ms,
                  bool traces);
void watchdog_close(struct watchdog *watchdog);

/* Before the first look: what reactor `index` does, and where to count its stalls. Both must last
 * as long as there are looks. */
void watchdog_guard(struct watchdog *watchdog, unsigned index, struct watch *watch,
                    struct counter *stalls);

/* Looks at all reactors at `now_ns` of CLOCK_MONOTONIC, which must not be later than it is. While
 * the server `drains`, only handlers are reported: closing many connections takes its time. */
void watchdog_look(struct watchdog *watchdog, uint64_t now_ns, bool drains);

#endif
