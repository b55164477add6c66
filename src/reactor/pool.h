/*
 * pool.h - work that may block or take long: it runs on a few threads beside the reactors, and what
 * follows from it on the reactor that asked for it.
 */
#ifndef REACTOR_POOL_H
#define REACTOR_POOL_H

#include "reactor/mailbox.h"

#include <glib.h>

struct pool;
struct pool_lane;

/* A piece of work, embedded in something of its owner's that lives until `done` is called, which
 * may free it or submit it again. */
struct pool_job {
    void (*run)(struct pool_job *job);  /* on a thread of the pool, all signals blocked */
    void (*done)(struct pool_job *job); /* afterwards, on the reactor's thread */
    struct reactor *reactor;
    struct post post;       /* this and what follows: the pool's */
    struct pool_lane *lane; /* of its reactor */
    GList link;             /* in the lane */
    bool waits;             /* it is in the lane */
};

/* `threads` threads (GThreadPool), at least 1; they are started here, fewer when the system gives
 * no more. They run with a nice value of at least `nice`, from 0 to 19: where CPUs are short, a
 * thread of 10 gets about a tenth of what a reactor gets (sched(7)). NULL with errno when there can
 * be none: EAGAIN, ENOMEM. The caller owns it and ends it with pool_free(). */
struct pool *pool_new(unsigned threads, int nice);

/* Waits for all jobs to have run. No job may be submitted meanwhile. NULL is allowed. The threads
 * end: none is left to GLib's other pools, unless the program sets
 * g_thread_pool_set_max_unused_threads() just then, whose value is 0 for a moment. */
void pool_free(struct pool *pool);

/* Has the job run. Any thread; does not block and cannot fail. Every job that is submitted and not
 * withdrawn is done exactly once: in a turn of the reactor, or when the reactor is destroyed. As
 * threads get free, the reactors that have jobs waiting take turns, one job each, however many
 * another one has; the jobs of a reactor are begun in the order in which they were submitted. */
void pool_submit(struct pool *pool, struct pool_job *job);

/* Takes back a job that was submitted and is not done. True: it has not begun, and neither `run`
 * nor `done` will be called. False: it has begun, and nothing changes. The reactor's thread. */
bool pool_withdraw(struct pool *pool, struct pool_job *job);

/* Waits until no job for this reactor is queued or running (what is done may still have to be
 * called). Whoever destroys a reactor that had jobs calls it first, even when all of them are done:
 * the thread that has delivered the last one may still be waking the reactor. Nobody may submit
 * jobs for it afterwards. The reactor's thread. */
void pool_wait(struct pool *pool, const struct reactor *reactor);

#endif
