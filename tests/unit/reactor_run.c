/* reactor_run(): when it returns, and what a turn costs.
 *
 * Time is real here: lower bounds are exact, and no upper bound is below several seconds. */
#include "reactor_support.h"

#include <stdatomic.h>

/* --- trap 8: counted system calls and allocations --- */

static atomic_int control_calls;
static atomic_int allocations;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    control_calls++;
    return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

struct work {
    int peer;
    int events;
    struct reactor_timer *timer;
};

/* What a connection does for a request: read, write, and push its time-out back. */
static void echo(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)events;
    struct work *work = arg;
    make_quiet(fd);
    make_readable(work->peer);
    reactor_timer_start(work->timer, FAR_MS, 0);
    work->events++;
}

static void test_trap_8_an_event_costs_no_allocation_and_no_epoll_ctl(void)
{
    struct reactor *reactor = new_reactor();
    int first = readable_fd();
    int second = quiet_fd();
    int ticks = 0;
    struct work works[2] = {{.peer = second}, {.peer = first}};
    watch(reactor, first, EPOLLIN, echo, &works[0]);
    watch(reactor, second, EPOLLIN, echo, &works[1]);
    for (int i = 0; i < 2; i++)
        works[i].timer = reactor_timer_new(reactor, unexpected_task, NULL);
    struct reactor_timer *ticker = reactor_timer_new(reactor, count_task, &ticks);
    reactor_timer_start(ticker, 0, 1);
    g_assert_cmpint(control_calls, >, 0);
    g_assert_cmpint(allocations, >, 0);

    control_calls = 0;
    allocations = 0;
    for (int turns = 0; turns < 1000 || !ticks; turns++)
        one_turn(reactor);
    g_assert_cmpint(works[0].events + works[1].events, >=, 1000);
    g_assert_cmpint(control_calls, ==, 0);
    g_assert_cmpint(allocations, ==, 0);

    for (int i = 0; i < 2; i++)
        reactor_timer_free(works[i].timer);
    reactor_timer_free(ticker);
    forget(reactor, first);
    forget(reactor, second);
    end_reactor(reactor);
}

/* --- nothing registered --- */

static void test_trap_2_returns_when_nothing_is_registered(void)
{
    struct reactor *reactor = new_reactor();
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_IDLE);
    g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_IDLE);
    int runs = 0;
    struct reactor_timer *timer = reactor_timer_new(reactor, count_task, &runs);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    reactor_timer_start(timer, 1, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(runs, ==, 1);
    reactor_timer_free(timer);
    end_reactor(reactor);
}

static void test_posts_alone_do_not_keep_it_running(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
    g_assert_cmpint(runs, ==, 1);
}

/* --- the time-out --- */

static void test_trap_2_timeout_is_milliseconds_without_traffic(void)
{
    struct reactor *reactor = new_reactor();
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    for (int timeout_ms = 0; timeout_ms <= 30; timeout_ms += 15) {
        uint64_t start_ns = monotonic_ns();
        g_assert_cmpint(reactor_run(reactor, timeout_ms), ==, REACTOR_TIMEOUT);
        uint64_t took_ns = monotonic_ns() - start_ns;
        g_assert_cmpuint(took_ns, >=, (uint64_t)timeout_ms * NS_PER_MS);
        g_assert_cmpuint(took_ns, <, 10000 * NS_PER_MS);
    }
    forget(reactor, fd);
    end_reactor(reactor);
}

struct noise {
    struct reactor_timer *timer;
    int descriptors;
    int posts;
    int timers;
    bool quiet;
};

static void noisy_descriptor(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd, (void)events;
    ((struct noise *)arg)->descriptors++;
}

static void noisy_post(struct reactor *reactor, void *arg)
{
    struct noise *noise = arg;
    noise->posts++;
    if (!noise->quiet)
        g_assert_cmpint(reactor_post(reactor, noisy_post, noise), ==, 0);
}

static void noisy_timer(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct noise *noise = arg;
    noise->timers++;
    reactor_timer_start(noise->timer, 0, 0);
}

static void test_trap_2_deadline_holds_under_constant_traffic(void)
{
    struct reactor *reactor = new_reactor();
    struct noise noise = {0};
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = readable_fd();
        watch(reactor, fds[i], EPOLLIN | EPOLLOUT, noisy_descriptor, &noise);
    }
    noise.timer = reactor_timer_new(reactor, noisy_timer, &noise);
    reactor_timer_start(noise.timer, 0, 0);
    g_assert_cmpint(reactor_post(reactor, noisy_post, &noise), ==, 0);

    uint64_t start_ns = monotonic_ns();
    g_assert_cmpint(reactor_run(reactor, 50), ==, REACTOR_TIMEOUT);
    uint64_t took_ns = monotonic_ns() - start_ns;
    g_assert_cmpuint(took_ns, >=, 50 * NS_PER_MS);
    g_assert_cmpuint(took_ns, <, 20000 * NS_PER_MS);
    g_assert_cmpint(noise.descriptors, >, 0);
    g_assert_cmpint(noise.posts, >, 0);
    g_assert_cmpint(noise.timers, >, 0);

    noise.quiet = true;
    for (int i = 0; i < 4; i++)
        forget(reactor, fds[i]);
    reactor_timer_free(noise.timer);
    end_reactor(reactor);
}

static void test_timeout_of_zero_is_one_turn(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    for (int turns = 1; turns <= 20; turns++) {
        g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_TIMEOUT);
        g_assert_cmpint(probe.calls, ==, turns);
    }
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- reactor_now() --- */

struct reading {
    uint64_t now_ns;
    int calls;
};

static void read_now(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)fd, (void)events;
    struct reading *reading = arg;
    uint64_t now_ns = reactor_now(reactor);
    g_assert_cmpuint(now_ns, <=, monotonic_ns());
    /* The second callback of the turn, after the clock has gone on. */
    if (reading->calls++ % 2)
        g_assert_cmpuint(now_ns, ==, reading->now_ns);
    else
        g_assert_cmpuint(now_ns, >, reading->now_ns);
    reading->now_ns = now_ns;
    while (monotonic_ns() == now_ns)
        continue;
}

static void test_now_is_the_time_of_the_turn(void)
{
    uint64_t before_ns = monotonic_ns();
    struct reactor *reactor = new_reactor();
    g_assert_cmpuint(reactor_now(reactor), >=, before_ns);
    g_assert_cmpuint(reactor_now(reactor), <=, monotonic_ns());
    struct reading reading = {.now_ns = before_ns};
    int fds[2] = {readable_fd(), readable_fd()};
    for (int i = 0; i < 2; i++)
        watch(reactor, fds[i], EPOLLIN, read_now, &reading);
    for (int turns = 0; turns < 5; turns++) {
        before_ns = monotonic_ns();
        one_turn(reactor);
        g_assert_cmpuint(reading.now_ns, >=, before_ns);
        g_assert_cmpuint(reactor_now(reactor), ==, reading.now_ns);
    }
    for (int i = 0; i < 2; i++)
        forget(reactor, fds[i]);
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("trap-2/nothing-registered", trap_2_returns_when_nothing_is_registered);
    ADD("trap-2/milliseconds-without-traffic", trap_2_timeout_is_milliseconds_without_traffic);
    ADD("trap-2/deadline-under-constant-traffic", trap_2_deadline_holds_under_constant_traffic);
    ADD("trap-8/no-allocation-no-epoll-ctl", trap_8_an_event_costs_no_allocation_and_no_epoll_ctl);
    ADD("run/posts-alone", posts_alone_do_not_keep_it_running);
    ADD("run/time-out-zero-is-one-turn", timeout_of_zero_is_one_turn);
    ADD("now/time-of-the-turn", now_is_the_time_of_the_turn);
    return g_test_run();
}
