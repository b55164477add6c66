/*
 * watchdog.h - notices what keeps a reactor from everything else, by looking again and again at
 * what each is doing (base/watch.h): a handler, or within a turn of the loop something that is
 * none, that is at it for as long as the limit.
 *
 * The end is exact: the first look that sees something asks its thread to note when it is over. So
 * is the beginning of what comes first in its turn: that of the turn, with what the loop did before
 * it called the handler. A later call began between two looks; whether it is a stall is judged from
 * when it was first seen, so that nothing shorter is taken for one, and what is longer than the
 * limit by the time between two looks is sure to be found. What is logged begins with the first
 * moment at which it can have begun.
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
    uint64_t sure_ns;   /* and at the latest */
    uint64_t since_ns;  /* when it was seen first */
    uint64_t unseen_ns; /* since then, in which nobody looked: the machine may have had no time for
                           anybody, or the process was stopped */
    bool is_stall;
    bool speaks;     /* this one is logged */
    bool has_spoken; /* that it goes on for very long */
};

struct watchdog {
    uint64_t limit_ns;
    uint64_t gap_ns; /* between two looks: what is longer does not count for more */
    bool traces;
    unsigned count;
    struct guard *guards;
    GHashTable *budgets; /* route -> struct budget, owned */
    uint64_t left_out;   /* stalls that were not logged, and of which nothing was said yet */
};

/* For `count` reactors, to be looked at every `tick_ms`; with `traces`, stalled threads that have
 * joined (trace_join()) have their stack logged. 0 or -ENOMEM. At the end it is said how many
 * stalls were not logged. */
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
