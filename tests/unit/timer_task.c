/* What the task of a timer may do: to its own timer, to others, and to the loop. */
#include "timer_support.h"

/* --- to its own timer --- */

static void free_own(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    reactor_timer_free(named->timer);
    named->timer = NULL;
}

static void test_frees_its_own_timer(void)
{
    struct ticks log;
    open_log(&log, 4, free_own);
    start(&log, 0, 10, 0);
    start(&log, 1, 10, 10);
    start(&log, 2, 0, 0);
    start(&log, 3, 20, 1);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {2, 0}, {0, 10}, {1, 10}, {3, 20});
    close_log(&log);
}

static void stop_own_at_third(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    if (named->log->count == 3)
        reactor_timer_stop(named->timer);
}

static void test_stops_its_own_repeating_timer(void)
{
    struct ticks log;
    open_log(&log, 1, stop_own_at_third);
    start(&log, 0, 10, 10);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {0, 20}, {0, 30});
    close_log(&log);
}

static void restart_own_twice(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    if (named->log->count < 3)
        reactor_timer_start(named->timer, 7, 0);
}

static void test_restarts_its_own_timer(void)
{
    struct ticks log;
    open_log(&log, 1, restart_own_twice);
    start(&log, 0, 10, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {0, 17}, {0, 24});
    close_log(&log);
}

/* A repeating timer that its task starts afresh, as one that fires once. */
static void test_restart_in_the_task_replaces_the_period(void)
{
    struct ticks log;
    open_log(&log, 1, restart_own_twice);
    start(&log, 0, 10, 1);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {0, 17}, {0, 24});
    close_log(&log);
}

/* --- to other timers, due in the same turn --- */

static void stop_next(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    reactor_timer_stop(named[1].timer);
}

static void test_stops_one_that_is_due(void)
{
    struct ticks log;
    open_log(&log, 4, stop_next);
    for (int i = 0; i < 4; i++)
        start(&log, i, 10, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {2, 10});
    close_log(&log);
}

static void free_next(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    reactor_timer_free(named[1].timer);
    named[1].timer = NULL;
}

static void test_frees_one_that_is_due(void)
{
    struct ticks log;
    open_log(&log, 4, free_next);
    for (int i = 0; i < 4; i++)
        start(&log, i, 10, i % 2 ? 10 : 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {2, 10});
    close_log(&log);
}

static void postpone_next(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    if (named->name == 0)
        reactor_timer_start(named[1].timer, 5, 0);
}

static void test_postpones_one_that_is_due(void)
{
    struct ticks log;
    open_log(&log, 3, postpone_next);
    for (int i = 0; i < 3; i++)
        start(&log, i, 10, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 10}, {2, 10}, {1, 15});
    close_log(&log);
}

static void start_next_now(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    on_tick(reactor, named);
    if (named->name < 3)
        reactor_timer_start(named[1].timer, 0, 0);
}

static void test_timer_started_by_a_task_waits_for_the_next_turn(void)
{
    struct ticks log;
    open_log(&log, 4, start_next_now);
    start(&log, 0, 0, 0);
    for (int turns = 1; turns <= 4; turns++) {
        one_turn(log.reactor);
        g_assert_cmpint(log.count, ==, turns);
    }
    ASSERT_FIRED(&log, {0, 0}, {1, 0}, {2, 0}, {3, 0});
    close_log(&log);
}

/* --- and the loop --- */

static void restart_own_at_once(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct named *named = arg;
    named->log->count++;
    reactor_timer_start(named->timer, 0, 0);
}

static void test_zero_delay_timer_restarted_by_its_task_starves_nobody(void)
{
    struct ticks log;
    open_log(&log, 3, restart_own_at_once);
    struct probe probe = {0};
    int posts = 0;
    int fd = readable_fd();
    watch(log.reactor, fd, EPOLLIN, on_probe, &probe);
    for (int i = 0; i < 3; i++)
        start(&log, i, 0, 0);
    for (int turns = 1; turns <= 100; turns++) {
        g_assert_cmpint(reactor_post(log.reactor, count_task, &posts), ==, 0);
        one_turn(log.reactor);
        g_assert_cmpint(probe.calls, ==, turns);
        g_assert_cmpint(posts, ==, turns);
        g_assert_cmpint(log.count, ==, 3 * turns);
    }
    forget(log.reactor, fd);
    close_log(&log);
}

static void test_run_whose_timer_restarts_at_once_still_ends(void)
{
    time_is_real = true;
    struct ticks log = {.reactor = new_reactor()};
    log.timers[0] = (struct named){.log = &log};
    log.timers[0].timer = reactor_timer_new(log.reactor, restart_own_at_once, &log.timers[0]);
    start(&log, 0, 0, 0);
    g_assert_cmpint(reactor_run(log.reactor, 20), ==, REACTOR_TIMEOUT);
    g_assert_cmpint(log.count, >, 0);
    close_log(&log);
}

static void slow_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)events;
    struct ticks *log = arg;
    uint64_t now_ns = reactor_now(reactor);
    /* 30 ms of work: a delay counts from the start, not from the beginning of the turn. */
    virtual_ns += 30 * NS_PER_MS;
    g_assert_cmpuint(reactor_now(reactor), ==, now_ns);
    start(log, 1, 10, 0);
    forget(reactor, fd);
}

static void test_delay_counts_from_the_start_in_a_slow_turn(void)
{
    struct ticks log;
    open_log(&log, 2, on_tick);
    start(&log, 0, 5, 0);
    watch(log.reactor, readable_fd(), EPOLLIN, slow_event, &log);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 30}, {1, 40});
    close_log(&log);
}

static void tick_and_stop_run(struct reactor *reactor, void *arg)
{
    on_tick(reactor, arg);
    reactor_stop(reactor);
}

static void test_due_timers_survive_a_stop(void)
{
    struct ticks log;
    open_log(&log, 3, tick_and_stop_run);
    for (int i = 0; i < 3; i++)
        start(&log, i, i < 2 ? 10 : 20, 0);
    /* The turn is completed: both that are due, but not the one that is not. */
    g_assert_cmpint(reactor_run(log.reactor, -1), ==, REACTOR_STOPPED);
    ASSERT_FIRED(&log, {0, 10}, {1, 10});
    g_assert_cmpint(reactor_run(log.reactor, -1), ==, REACTOR_STOPPED);
    ASSERT_FIRED(&log, {0, 10}, {1, 10}, {2, 20});
    g_assert_cmpint(reactor_run(log.reactor, -1), ==, REACTOR_IDLE);
    close_log(&log);
}

static void test_started_timer_keeps_the_loop_running(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 10, 10);
    run_for(&log, 100);
    g_assert_cmpint(log.count, ==, 10);
    reactor_timer_stop(log.timers[0].timer);
    g_assert_cmpint(reactor_run(log.reactor, -1), ==, REACTOR_IDLE);
    close_log(&log);
}

#define ADD(path, function) g_test_add_func("/timer-task/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("own/free", frees_its_own_timer);
    ADD("own/stop", stops_its_own_repeating_timer);
    ADD("own/restart", restarts_its_own_timer);
    ADD("own/restart-replaces-period", restart_in_the_task_replaces_the_period);
    ADD("other/stop", stops_one_that_is_due);
    ADD("other/free", frees_one_that_is_due);
    ADD("other/postpone", postpones_one_that_is_due);
    ADD("other/start-waits-for-next-turn", timer_started_by_a_task_waits_for_the_next_turn);
    ADD("loop/starves-nobody", zero_delay_timer_restarted_by_its_task_starves_nobody);
    ADD("loop/run-still-ends", run_whose_timer_restarts_at_once_still_ends);
    ADD("loop/slow-turn", delay_counts_from_the_start_in_a_slow_turn);
    ADD("loop/stop", due_timers_survive_a_stop);
    ADD("loop/keeps-running", started_timer_keeps_the_loop_running);
    return g_test_run();
}
