/* Timers: their order, their deadlines, starting and stopping. */
#include "timer_support.h"

#include "reactor/timer.h"

/* --- order --- */

static void test_order_of_deadlines(void)
{
    struct ticks log;
    open_log(&log, 5, on_tick);
    start(&log, 0, 30, 0);
    start(&log, 1, 10, 0);
    start(&log, 2, 50, 0);
    start(&log, 3, 0, 0);
    start(&log, 4, 20, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {3, 0}, {1, 10}, {4, 20}, {0, 30}, {2, 50});
    close_log(&log);
}

static void test_equal_deadlines_fire_in_the_order_of_starting(void)
{
    struct ticks log;
    open_log(&log, 8, on_tick);
    static const int order[] = {3, 1, 7, 0, 6, 2, 5, 4};
    for (int i = 0; i < 8; i++)
        start(&log, order[i], 10, 0);
    run_until_idle(&log);
    for (int i = 0; i < 8; i++)
        g_assert_cmpint(log.ticks[i].name, ==, order[i]);
    g_assert_cmpint(log.count, ==, 8);
    close_log(&log);
}

static void test_equal_deadlines_of_different_delays(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    start(&log, 2, 20, 0);
    virtual_ns += 5 * NS_PER_MS;
    start(&log, 0, 15, 0);
    virtual_ns += 15 * NS_PER_MS;
    start(&log, 1, 0, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {2, 20}, {0, 20}, {1, 20});
    close_log(&log);
}

static void test_late_timers_fire_in_the_order_of_deadlines(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    start(&log, 0, 30, 0);
    start(&log, 1, 20, 0);
    start(&log, 2, 10, 0);
    virtual_ns += 100 * NS_PER_MS;
    one_turn(log.reactor);
    ASSERT_FIRED(&log, {2, 100}, {1, 100}, {0, 100});
    close_log(&log);
}

static void test_repeating_timer_keeps_its_place_among_equal_deadlines(void)
{
    struct ticks log;
    open_log(&log, 2, on_tick);
    start(&log, 0, 10, 10);
    start(&log, 1, 20, 0);
    run_for(&log, 20);
    ASSERT_FIRED(&log, {0, 10}, {0, 20}, {1, 20});
    close_log(&log);
}

static void test_equal_periods_keep_their_order(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    for (int i = 0; i < 3; i++)
        start(&log, i, 5, 5);
    run_for(&log, 50);
    g_assert_cmpint(log.count, ==, 30);
    for (int i = 0; i < 30; i++) {
        g_assert_cmpint(log.ticks[i].name, ==, i % 3);
        g_assert_cmpuint(log.ticks[i].at_ms, ==, 5 * (i / 3 + 1));
    }
    close_log(&log);
}

/* --- never early --- */

static void test_never_a_nanosecond_early(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 10, 0);
    virtual_ns += 10 * NS_PER_MS - 1;
    one_turn(log.reactor);
    g_assert_cmpint(log.count, ==, 0);
    virtual_ns += 1;
    one_turn(log.reactor);
    g_assert_cmpint(log.count, ==, 1);
    close_log(&log);
}

static void test_wait_for_part_of_a_millisecond_does_not_spin(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 10, 0);
    virtual_ns += NS_PER_MS / 3;
    run_until_idle(&log);
    g_assert_cmpint(waits, ==, 1);
    ASSERT_FIRED(&log, {0, 10});
    close_log(&log);
}

static void check_not_early(struct reactor *reactor, void *arg)
{
    g_assert_cmpuint(reactor_now(reactor), >=, *(uint64_t *)arg);
    g_assert_cmpuint(monotonic_ns(), >=, *(uint64_t *)arg);
    *(uint64_t *)arg = 0;
}

static void test_never_early_by_the_real_clock(void)
{
    time_is_real = true;
    struct reactor *reactor = new_reactor();
    for (uint32_t delay_ms = 0; delay_ms <= 15; delay_ms += 3) {
        uint64_t due_ns = monotonic_ns() + delay_ms * NS_PER_MS;
        struct reactor_timer *timer = reactor_timer_new(reactor, check_not_early, &due_ns);
        reactor_timer_start(timer, delay_ms, 0);
        g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_IDLE);
        g_assert_cmpuint(due_ns, ==, 0);
        reactor_timer_free(timer);
    }
    end_reactor(reactor);
}

static void stop_run_at_second(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    if (named->log->count == 2)
        reactor_stop(reactor);
}

/* 49 days, more than epoll_wait(2) can be asked to wait. */
static void test_longest_delay_and_period(void)
{
    struct ticks log;
    open_log(&log, 1, stop_run_at_second);
    start(&log, 0, UINT32_MAX, UINT32_MAX);
    g_assert_cmpint(reactor_run(log.reactor, -1), ==, REACTOR_STOPPED);
    ASSERT_FIRED(&log, {0, UINT32_MAX}, {0, UINT64_C(2) * UINT32_MAX});
    close_log(&log);
}

static void test_run_ends_before_a_later_timer(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 20, 0);
    run_for(&log, 19);
    g_assert_cmpint(log.count, ==, 0);
    run_for(&log, 1);
    ASSERT_FIRED(&log, {0, 20});
    close_log(&log);
}

/* --- start, restart, stop --- */

static void test_restart_replaces_the_deadline(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    start(&log, 0, 10, 0);
    start(&log, 1, 10, 0);
    start(&log, 2, 50, 0);
    start(&log, 0, 30, 0); /* later */
    start(&log, 2, 5, 0);  /* earlier */
    run_until_idle(&log);
    ASSERT_FIRED(&log, {2, 5}, {1, 10}, {0, 30});
    start(&log, 1, 10, 0); /* after it fired */
    run_until_idle(&log);
    g_assert_cmpuint(log.ticks[3].at_ms, ==, 40);
    close_log(&log);
}

static void test_restart_is_a_new_start_among_equal_deadlines(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    for (int i = 0; i < 3; i++)
        start(&log, i, 10, 0);
    start(&log, 0, 10, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {1, 10}, {2, 10}, {0, 10});
    close_log(&log);
}

static void test_restart_replaces_the_period(void)
{
    struct ticks log;
    open_log(&log, 2, on_tick);
    start(&log, 0, 10, 10);
    start(&log, 1, 100, 0);
    run_for(&log, 25);
    start(&log, 0, 10, 0);
    start(&log, 1, 10, 20);
    run_for(&log, 35);
    ASSERT_FIRED(&log, {0, 10}, {0, 20}, {0, 35}, {1, 35}, {1, 55});
    close_log(&log);
}

static void test_stop(void)
{
    struct ticks log;
    open_log(&log, 4, on_tick);
    reactor_timer_stop(log.timers[0].timer); /* never started */
    for (int i = 0; i < 4; i++)
        start(&log, i, 10, i == 3 ? 10 : 0);
    reactor_timer_stop(log.timers[1].timer);
    reactor_timer_stop(log.timers[1].timer);
    reactor_timer_stop(log.timers[3].timer);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {2, 10});
    reactor_timer_stop(log.timers[0].timer); /* fired */
    start(&log, 1, 10, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {2, 10}, {1, 20});
    close_log(&log);
}

static void test_free_a_started_timer(void)
{
    struct ticks log;
    open_log(&log, 3, on_tick);
    for (int i = 0; i < 3; i++)
        start(&log, i, 10, 10);
    for (int i = 0; i < 3; i += 2) {
        reactor_timer_free(log.timers[i].timer);
        log.timers[i].timer = NULL;
    }
    run_for(&log, 20);
    ASSERT_FIRED(&log, {1, 10}, {1, 20});
    reactor_timer_free(NULL);
    close_log(&log);
}

static void test_embedded_timer(void)
{
    struct reactor *reactor = new_virtual_reactor();
    struct reactor_timer timer;
    int runs = 0;
    reactor_timer_init(&timer, reactor, count_task, &runs);
    reactor_timer_stop(&timer);
    reactor_timer_start(&timer, 10, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(runs, ==, 1);
    end_reactor(reactor);
}

/* --- repeating --- */

static void test_repeats_without_drift(void)
{
    struct ticks log;
    open_log(&log, 2, on_tick);
    start(&log, 0, 3, 10);
    virtual_ns += NS_PER_MS / 2;
    run_for(&log, 43);
    ASSERT_FIRED(&log, {0, 3}, {0, 13}, {0, 23}, {0, 33}, {0, 43});
    close_log(&log);
}

static void test_missed_periods_fire_once(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 10, 10);
    virtual_ns += 57 * NS_PER_MS; /* 10, 20, 30, 40 and 50 have passed */
    one_turn(log.reactor);
    run_for(&log, 13);
    ASSERT_FIRED(&log, {0, 57}, {0, 60}, {0, 70});
    virtual_ns += 10 * NS_PER_MS; /* exactly on the next one */
    one_turn(log.reactor);
    run_for(&log, 10);
    ASSERT_FIRED(&log, {0, 57}, {0, 60}, {0, 70}, {0, 80}, {0, 90});
    close_log(&log);
}

static void slow_tick(struct reactor *reactor, void *arg)
{
    on_tick(reactor, arg);
    virtual_ns += 25 * NS_PER_MS;
}

static void test_task_slower_than_its_period(void)
{
    struct ticks log;
    open_log(&log, 1, slow_tick);
    start(&log, 0, 10, 10);
    g_assert_cmpint(reactor_run(log.reactor, 100), ==, REACTOR_TIMEOUT);
    /* Each call misses two periods and is followed by one call for both. */
    ASSERT_FIRED(&log, {0, 10}, {0, 35}, {0, 60}, {0, 85}, {0, 110});
    close_log(&log);
}

#define ADD(path, function) g_test_add_func("/timer/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("order/deadlines", order_of_deadlines);
    ADD("order/equal-deadlines", equal_deadlines_fire_in_the_order_of_starting);
    ADD("order/equal-deadlines-different-delays", equal_deadlines_of_different_delays);
    ADD("order/late", late_timers_fire_in_the_order_of_deadlines);
    ADD("order/repeating-keeps-its-place", repeating_timer_keeps_its_place_among_equal_deadlines);
    ADD("order/equal-periods", equal_periods_keep_their_order);
    ADD("early/not-a-nanosecond", never_a_nanosecond_early);
    ADD("early/part-of-a-millisecond", wait_for_part_of_a_millisecond_does_not_spin);
    ADD("early/real-clock", never_early_by_the_real_clock);
    ADD("early/run-ends-before", run_ends_before_a_later_timer);
    ADD("longest-delay-and-period", longest_delay_and_period);
    ADD("restart/deadline", restart_replaces_the_deadline);
    ADD("restart/among-equal-deadlines", restart_is_a_new_start_among_equal_deadlines);
    ADD("restart/period", restart_replaces_the_period);
    ADD("stop", stop);
    ADD("free-started", free_a_started_timer);
    ADD("embedded", embedded_timer);
    ADD("repeat/no-drift", repeats_without_drift);
    ADD("repeat/missed-periods", missed_periods_fire_once);
    ADD("repeat/slow-task", task_slower_than_its_period);
    return g_test_run();
}
