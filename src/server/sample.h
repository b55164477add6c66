/*
 * sample.h - what all reactors have done and are doing, read at one time.
 *
 * The reactors count on meanwhile, so two numbers of a sample may be some events apart; but
 * whatever is shown of one sample adds up, because it is read once.
 */
#ifndef SERVER_SAMPLE_H
#define SERVER_SAMPLE_H

#include "net/worker.h"

enum { BUCKETS = HISTOGRAM_BOUNDS + 1 };

struct histogram_sample {
    uint64_t buckets[BUCKETS]; /* not cumulative */
    uint64_t sum_ns;
};

/* Of one reactor, or the sums of all: see struct metrics. Nothing but uint64_t, to be added up. */
struct reactor_sample {
    uint64_t requests[6];
    uint64_t received;
    uint64_t sent;
    uint64_t accepted;
    uint64_t handed_over;
    uint64_t moved;
    uint64_t taken_over;
    uint64_t refused[REFUSALS];
    uint64_t states[STATES_MAX];
    uint64_t connections; /* the sum of the states */
    uint64_t aborted;
    uint64_t stalls;
    uint64_t offload_waiting;
    uint64_t offload_running;
    struct histogram_sample latency;
    struct histogram_sample offload;
    uint64_t turns;
    uint64_t busy_ns; /* with the present turn */
    uint64_t lag_ns;  /* the longest turn lately; of several reactors the longest */
    uint64_t turn_ns; /* how long the present turn takes; 0: it waits; the longest as well */
    uint64_t load_open;
    uint64_t load_pending;
    uint64_t load_work;
};

struct sample {
    uint64_t taken_ns; /* CLOCK_MONOTONIC */
    unsigned count;
    struct reactor_sample *reactors; /* `count` */
};

/* Reads `sample->count` workers into `sample->reactors`, on the thread that watches. With
 * `ends_window`, the longest turns are of the time since the last sample that did so, and begin
 * anew. */
void sample_take(struct sample *sample, struct worker *workers, bool ends_window);

struct reactor_sample sample_sum(const struct sample *sample);

/* --- of one reactor, or of a sum --- */

/* All answered requests. */
uint64_t sample_requests(const struct reactor_sample *reactor);

/* How many a histogram holds; and `now` without what was there `before`. */
uint64_t sample_count(const struct histogram_sample *histogram);
struct histogram_sample sample_since(const struct histogram_sample *now,
                                     const struct histogram_sample *before);

/* An estimate of the duration that `thousandths` of all do not exceed, in nanoseconds: as if those
 * in a bucket were spread evenly over it. At most the last bound; 0 of an empty histogram. */
uint64_t sample_quantile(const struct histogram_sample *histogram, unsigned thousandths);

#endif
