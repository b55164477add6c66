/*
 * balance.h - which reactor gets the next connection.
 *
 *   hash     the kernel spreads by a hash of the addresses (SO_REUSEPORT, socket(7))
 *   least    a program in the kernel picks the reactor with the least load (balance_kernel.h)
 *   handoff  the reactor that the kernel's hash picked hands the connection to the one with the
 *            least load, when its own load is above the mean
 */
#ifndef NET_BALANCE_H
#define NET_BALANCE_H

#include "net/load.h"

#include <stddef.h>
#include <stdint.h>

enum balance_mode { BALANCE_HASH, BALANCE_LEAST, BALANCE_HANDOFF };

struct balance_reviews;

struct balance {
    enum balance_mode mode;
    unsigned count;                  /* of reactors */
    struct load *loads;              /* one for each; the kernel's memory in the mode `least` */
    struct balance_reviews *reviews; /* the supervisor's */
};

/* Listening sockets, at least one of each: reactor r's for address a is fds[r * addresses + a]. */
struct balance_sockets {
    const int *fds;
    unsigned reactors;
    unsigned addresses;
};

/* The memory and, for BALANCE_LEAST, the kernel's program for these sockets, which all listen
 * already. Where the kernel or our privileges do not allow the program, the mode becomes
 * BALANCE_HANDOFF and `why` says so in a few words; otherwise it becomes "". 0 or -ENOMEM. */
int balance_open(struct balance *balance, enum balance_mode wanted,
                 const struct balance_sockets *sockets, char *why, size_t why_size);

/* Frees it; harmless for one that is all zero. */
void balance_close(struct balance *balance);

/* --- on the reactors; any may call any of these for its own load --- */

/* For a client that reactor `own` has accepted, when the mode is BALANCE_HANDOFF: the reactor that
 * is to serve it. When that is another one, it has been assigned to that. */
unsigned balance_choose(const struct balance *balance, unsigned own);

/* Assigns a client to a reactor, and takes an assignment back. Any thread. */
static inline void load_assign(struct load *load)
{
    __atomic_fetch_add(&load->assigned, 1, __ATOMIC_RELAXED);
}

static inline void load_unassign(struct load *load)
{
    __atomic_fetch_sub(&load->assigned, 1, __ATOMIC_RELAXED);
}

/* The reactor has `change` connections more. */
static inline void load_open(struct load *load, int change)
{
    __atomic_store_n(&load->open, load->open + (__u32)change, __ATOMIC_RELAXED);
}

/* A client that was assigned to this reactor has come, whatever has become of it: after
 * load_open(), so that at no time it counts for nothing. */
static inline void load_settle(struct load *load)
{
    __atomic_store_n(&load->settled, load->settled + 1, __ATOMIC_RELEASE);
}

/* Assigned and neither settled nor given up. Negative when more have come than were assigned, or
 * than were left after giving up. Any thread. */
static inline int load_pending(const struct load *load)
{
    /* What is settled was assigned and opened before; it is read first. */
    __u32 gone = __atomic_load_n(&load->settled, __ATOMIC_ACQUIRE) +
                 __atomic_load_n(&load->given_up, __ATOMIC_RELAXED);
    return (int)(__atomic_load_n(&load->assigned, __ATOMIC_RELAXED) - gone);
}

/* What is compared: connections that it has, will have, and those that its work counts as. Not
 * negative. Any thread. */
static inline unsigned load_of(const struct load *load)
{
    int sum = load_pending(load);
    sum += (int)__atomic_load_n(&load->open, __ATOMIC_RELAXED);
    sum += (int)__atomic_load_n(&load->work, __ATOMIC_RELAXED);
    return sum > 0 ? (unsigned)sum : 0;
}

/* --- on the supervisor --- */

/* Looks at reactor `index`, every 100 ms or so: `busy_ns` is how long its loop was busy so far, in
 * all, at `now_ns`, and `waiting()` tells how many connections wait in its listeners' queues (asked
 * only when it matters). Corrects `given_up` and weighs `work`. */
void balance_review(struct balance *balance, unsigned index, uint64_t now_ns, uint64_t busy_ns,
                    unsigned (*waiting)(void *arg, unsigned index), void *arg);

#endif
