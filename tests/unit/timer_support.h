/*
 * timer_support.h - virtual time for the tests of timers, so that every assertion is exact: the
 * clock stands still until the reactor waits, and then jumps by as long as the reactor would have
 * slept.
 *
 * A test that includes it is linked with WRAP clock_gettime epoll_wait.
 */
#ifndef UNIT_TIMER_SUPPORT_H
#define UNIT_TIMER_SUPPORT_H

#include "reactor_support.h"

static bool time_is_real;
static uint64_t virtual_ns;
static int waits;
static int idle_waits;     /* in a row, without an event, at the same time */
static uint64_t waited_ns; /* the time of the last wait */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (time_is_real)
        return __real_clock_gettime(clock, now);
    now->tv_sec = (time_t)(virtual_ns / (1000 * NS_PER_MS));
    now->tv_nsec = (long)(virtual_ns % (1000 * NS_PER_MS));
    return 0;
}

int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    if (time_is_real)
        return __real_epoll_wait(epoll_fd, events, max, timeout_ms);
    waits++;
    int count = __real_epoll_wait(epoll_fd, events, max, 0);
    idle_waits = count || virtual_ns != waited_ns ? 0 : idle_waits + 1;
    waited_ns = virtual_ns;
    g_assert_cmpint(idle_waits, <, 100); /* it would spin */
    if (count == 0) {
        g_assert_cmpint(timeout_ms, >=, 0); /* it would sleep for ever */
        virtual_ns += (uint64_t)timeout_ms * NS_PER_MS;
    }
    return count;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* A reactor at a time that is no whole millisecond, as it would be. */
static inline struct reactor *new_virtual_reactor(void)
{
    time_is_real = false;
    virtual_ns = 5000 * NS_PER_MS + 123456;
    waits = 0;
    idle_waits = 0;
    return new_reactor();
}

/* --- a log of what fired --- */

enum { LOG_MAX = 64, NAMES = 16 };

struct tick {
    int name;
    uint64_t at_ms; /* since the log began, rounded down */
};

struct ticks;

struct named {
    struct ticks *log;
    int name;
    struct reactor_timer *timer;
};

struct ticks {
    struct reactor *reactor;
    uint64_t start_ns;
    int count;
    struct tick ticks[LOG_MAX];
    struct named timers[NAMES];
};

static inline void on_tick(struct reactor *reactor, void *arg)
{
    struct named *named = arg;
    struct ticks *log = named->log;
    g_assert_true(reactor == log->reactor);
    g_assert_cmpuint(reactor_now(reactor), <=, virtual_ns);
    g_assert_cmpint(log->count, <, LOG_MAX);
    log->ticks[log->count++] =
        (struct tick){named->name, (reactor_now(reactor) - log->start_ns) / NS_PER_MS};
}

/* Timers 0 to `count` - 1, stopped, with `task`. */
static inline void open_log(struct ticks *log, int count, reactor_task task)
{
    *log = (struct ticks){.reactor = new_virtual_reactor()};
    log->start_ns = virtual_ns;
    for (int i = 0; i < count; i++) {
        log->timers[i] = (struct named){.log = log, .name = i};
        log->timers[i].timer = reactor_timer_new(log->reactor, task, &log->timers[i]);
        g_assert_nonnull(log->timers[i].timer);
    }
}

static inline void close_log(struct ticks *log)
{
    for (int i = 0; i < NAMES; i++)
        reactor_timer_free(log->timers[i].timer);
    end_reactor(log->reactor);
}

static inline void start(struct ticks *log, int name, uint32_t delay_ms, uint32_t period_ms)
{
    reactor_timer_start(log->timers[name].timer, delay_ms, period_ms);
}

static inline void run_until_idle(struct ticks *log)
{
    g_assert_cmpint(reactor_run(log->reactor, -1), ==, REACTOR_IDLE);
}

/* Virtual time: exact, unlike a run's of real time. */
static inline void run_for(struct ticks *log, int timeout_ms)
{
    uint64_t end_ns = virtual_ns + (uint64_t)timeout_ms * NS_PER_MS;
    g_assert_cmpint(reactor_run(log->reactor, timeout_ms), ==, REACTOR_TIMEOUT);
    g_assert_cmpuint(virtual_ns, ==, end_ns);
}

static inline void assert_fired(const struct ticks *log, const struct tick *expected, int count)
{
    for (int i = 0; i < count && i < log->count; i++) {
        g_assert_cmpint(log->ticks[i].name, ==, expected[i].name);
        g_assert_cmpuint(log->ticks[i].at_ms, ==, expected[i].at_ms);
    }
    g_assert_cmpint(log->count, ==, count);
}

#define ASSERT_FIRED(log, ...)                              \
    assert_fired((log), (const struct tick[]){__VA_ARGS__}, \
                 (int)G_N_ELEMENTS(((const struct tick[]){__VA_ARGS__})))

#endif
