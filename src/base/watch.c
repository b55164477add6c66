#include "base/watch.h"

#include <time.h>

uint64_t watch_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void watch_ring(struct watch *watch)
{
    atomic_store_explicit(&watch->bell, false, memory_order_relaxed);
    watch->ring(watch->ring_arg);
}

static uint64_t read_in_order(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_acquire);
}

struct activity watch_activity(const struct watch *watch)
{
    struct activity activity;
    activity.turn_ns = read_in_order(&watch->turn_ns);
    activity.calls = read_in_order(&watch->calls);
    activity.what = atomic_load_explicit(&watch->what, memory_order_acquire);
    return activity;
}

uint64_t watch_busy(const struct watch *watch, uint64_t now_ns)
{
    uint64_t turns;
    uint64_t busy_ns;
    uint64_t turn_ns;
    do {
        turns = read_in_order(&watch->turns);
        busy_ns = read_in_order(&watch->busy_ns);
        turn_ns = read_in_order(&watch->turn_ns);
    } while (read_in_order(&watch->turns) != turns);
    return turn_ns && now_ns > turn_ns ? busy_ns + (now_ns - turn_ns) : busy_ns;
}
