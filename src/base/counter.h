/*
 * counter.h - numbers that one thread counts and any thread may read meanwhile.
 *
 * Counting is a plain load, addition and store: no locked instruction, no fence. A reader sees each
 * number as it was a moment ago, and several of them not as of the same moment.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { CACHE_LINE = 64 }; /* bytes */

struct counter {
    _Atomic uint64_t value;
};

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t value)
{
    atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}

/* The counting thread only; a negative `change`, converted, counts down. */
static inline void counter_add(struct counter *counter, uint64_t change)
{
    counter_set(counter, counter_read(counter) + change);
}

/* When any thread may count: an atomic addition. */
static inline void counter_add_shared(struct counter *counter, uint64_t change)
{
    atomic_fetch_add_explicit(&counter->value, change, memory_order_relaxed);
}

/* Its value, which becomes 0: for whoever reads a number that is set rather than counted, on
 * another thread. */
static inline uint64_t counter_take(struct counter *counter)
{
    return atomic_exchange_explicit(&counter->value, 0, memory_order_relaxed);
}

enum { HISTOGRAM_BOUNDS = 17 };

/* Nanoseconds: 50 us to 10 s in steps of 1, 2.5, 5. */
extern const uint64_t histogram_bounds[HISTOGRAM_BOUNDS];

/* How long things took. [i] counts those that took bounds[i] at most and more than bounds[i - 1];
 * the last one those beyond all bounds. */
struct histogram {
    struct counter buckets[HISTOGRAM_BOUNDS + 1];
    struct counter sum_ns; /* of all of them, modulo 2^64: 584 years */
};

static inline size_t histogram_bucket(uint64_t duration_ns)
{
    size_t at = 0;
    while (at < HISTOGRAM_BOUNDS && duration_ns > histogram_bounds[at])
        at++;
    return at;
}

/* `times` things took `duration_ns` each. */
static inline void histogram_add(struct histogram *histogram, uint64_t duration_ns, uint64_t times)
{
    counter_add(&histogram->buckets[histogram_bucket(duration_ns)], times);
    counter_add(&histogram->sum_ns, duration_ns * times);
}

/* One thing took so long; any thread may count. */
static inline void histogram_add_shared(struct histogram *histogram, uint64_t duration_ns)
{
    counter_add_shared(&histogram->buckets[histogram_bucket(duration_ns)], 1);
    counter_add_shared(&histogram->sum_ns, duration_ns);
}

#endif
