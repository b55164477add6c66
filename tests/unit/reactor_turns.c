/* What a reactor lets other threads know of its turns, in virtual time. */
#include "timer_support.h"

#include "reactor/turns.h"

static void ignore(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd, (void)events, (void)arg;
}

/* Takes as many milliseconds as it is told. */
static void take_time(struct reactor *reactor, void *arg)
{
    const struct watch *watched = reactor_watch(reactor);
    g_assert_cmpuint(counter_read(&watched->turn_ns), ==, reactor_now(reactor));
    virtual_ns += *(const uint64_t *)arg * NS_PER_MS;
    g_assert_cmpuint(counter_read(&watched->turn_ns), ==, reactor_now(reactor));
}

static void test_busy_is_what_turns_take(void)
{
    struct reactor *reactor = new_virtual_reactor();
    const struct watch *watched = reactor_watch(reactor);
    uint64_t times[] = {3, 40, 5};
    struct reactor_timer *timers[G_N_ELEMENTS(times)];
    g_assert_cmpuint(counter_read(&watched->turns), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(times); i++) {
        timers[i] = reactor_timer_new(reactor, take_time, &times[i]);
        reactor_timer_start(timers[i], 100 * (i + 1), 0);
    }
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpuint(counter_read(&watched->turns), ==, 3);
    g_assert_cmpuint(counter_read(&watched->busy_ns), ==, 48 * NS_PER_MS);
    g_assert_cmpuint(counter_read(&watched->longest_ns), ==, 40 * NS_PER_MS);
    g_assert_cmpuint(counter_read(&watched->turn_ns), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(times); i++)
        reactor_timer_free(timers[i]);
    end_reactor(reactor);
}

/* Waiting is not work, however long. */
static void test_waiting_is_not_busy(void)
{
    struct reactor *reactor = new_virtual_reactor();
    const struct watch *watched = reactor_watch(reactor);
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, ignore, NULL);
    g_assert_cmpint(reactor_run(reactor, 10000), ==, REACTOR_TIMEOUT);
    g_assert_cmpuint(counter_read(&watched->turns), ==, 1);
    g_assert_cmpuint(counter_read(&watched->busy_ns), ==, 0);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* The wait is counted from the end of the turn before: no timer is late by what a turn takes, and
 * none is early. */
static void test_a_long_turn_shortens_the_wait(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    uint64_t ten = 10;
    struct reactor_timer *slow = reactor_timer_new(log.reactor, take_time, &ten);
    reactor_timer_start(slow, 5, 0);
    start(&log, 0, 20, 0);
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 20});
    g_assert_cmpint(waits, ==, 2);
    reactor_timer_free(slow);
    close_log(&log);
}

/* Time that passes between two runs belongs to neither. */
static void test_time_between_two_runs(void)
{
    struct ticks log;
    open_log(&log, 1, on_tick);
    start(&log, 0, 50, 0);
    g_assert_cmpint(reactor_run(log.reactor, 0), ==, REACTOR_TIMEOUT);
    virtual_ns += 30 * NS_PER_MS;
    run_until_idle(&log);
    ASSERT_FIRED(&log, {0, 50});
    g_assert_cmpuint(counter_read(&reactor_watch(log.reactor)->busy_ns), ==, 0);
    close_log(&log);
}

static void ring(void *arg)
{
    ++*(unsigned *)arg;
}

static void test_a_turn_rings_the_bell(void)
{
    struct reactor *reactor = new_virtual_reactor();
    struct watch *watched = reactor_watch(reactor);
    unsigned rings = 0;
    int fd = readable_fd();
    watched->ring = ring;
    watched->ring_arg = &rings;
    atomic_store(&watched->bell, true);
    g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_IDLE); /* without a turn */
    g_assert_cmpuint(rings, ==, 0);
    watch(reactor, fd, EPOLLIN, ignore, NULL);
    one_turn(reactor);
    one_turn(reactor);
    g_assert_cmpuint(rings, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor/turns/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("busy", busy_is_what_turns_take);
    ADD("waiting", waiting_is_not_busy);
    ADD("long-turn", a_long_turn_shortens_the_wait);
    ADD("between-runs", time_between_two_runs);
    ADD("bell", a_turn_rings_the_bell);
    return g_test_run();
}
