/*
 * aside.h - threads beside the reactors. Signals are for the reactors, one of which reads those of
 * the server from a signalfd(2); and a thread inherits the CPUs of the one that starts it, which
 * may be bound to those of one reactor.
 */
#ifndef BASE_ASIDE_H
#define BASE_ASIDE_H

#include <sched.h>
#include <signal.h>
#include <stdbool.h>

/* What a thread was like before. */
struct aside {
    sigset_t signals;
    cpu_set_t cpus;
    bool was_bound;
};

/* The calling thread, and those that it starts until aside_end(), have all signals blocked and run
 * on all CPUs of the process (cpus_unbind()). */
void aside_begin(struct aside *before);
void aside_end(const struct aside *before);

#endif
