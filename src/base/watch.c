#include "base/watch.h"

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
    do {
        activity.turn_ns = read_in_order(&watch->turn_ns);
        activity.calls = read_in_order(&watch->calls);
        activity.what = atomic_load_explicit(&watch->what, memory_order_acquire);
        activity.turn_calls = activity.calls - read_in_order(&watch->turn_calls);
        /* All of one turn. */
    } while (read_in_order(&watch->turn_ns) != activity.turn_ns);
    return activity;
}

uint64_t watch_busy(struct watch *watch, uint64_t now_ns)
{
    uint64_t turns;
    uint64_t busy_ns;
    uint64_t turn_ns;
    do {
        turns = read_in_order(&watch->turns);
        busy_ns = read_in_order(&watch->busy_ns);
        turn_ns = read_in_order(&watch->turn_ns);
    } while (read_in_order(&watch->turns) != turns);
    if (turn_ns && now_ns > turn_ns)
        busy_ns += now_ns - turn_ns;
    if (busy_ns > counter_read(&watch->shown_ns))
        counter_set(&watch->shown_ns, busy_ns);
    return counter_read(&watch->shown_ns);
}
