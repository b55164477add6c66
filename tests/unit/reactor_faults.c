/* Failing system calls and memory: what the reactor returns, and that it stays usable. */
#include "reactor_support.h"

#include <errno.h>
#include <limits.h>

/* --- injection --- */

enum call { CALLOC, MALLOC, EPOLL_CREATE, EPOLL_CTL, EPOLL_WAIT, EVENTFD, READ, WRITE, CALLS };

static int fault_errno[CALLS];
static int fault_times[CALLS]; /* how many of the next calls fail */
static int fault_seen[CALLS];  /* how many have failed */
static bool close_spoils_errno;

static void fail(enum call call, int error, int times)
{
    fault_errno[call] = error;
    fault_times[call] = times;
    fault_seen[call] = 0;
}

static bool fails(enum call call)
{
    if (fault_times[call] <= 0)
        return false;
    fault_times[call]--;
    fault_seen[call]++;
    errno = fault_errno[call];
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
int __real_close(int fd);
int __wrap_close(int fd);

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(CALLOC) ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
    return fails(MALLOC) ? NULL : __real_malloc(size);
}

int __wrap_epoll_create1(int flags)
{
    return fails(EPOLL_CREATE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return fails(EPOLL_CTL) ? -1 : __real_epoll_ctl(epoll_fd, operation, fd, event);
}

int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    return fails(EPOLL_WAIT) ? -1 : __real_epoll_wait(epoll_fd, events, max, timeout_ms);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fails(EVENTFD) ? -1 : __real_eventfd(count, flags);
}

ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
    return fails(READ) ? -1 : __real_read(fd, bytes, size);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    return fails(WRITE) ? -1 : __real_write(fd, bytes, size);
}

int __wrap_close(int fd)
{
    int result = __real_close(fd);
    if (close_spoils_errno)
        errno = EIO;
    return result;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- reactor_new() --- */

static void test_new_returns_null_with_errno_and_leaves_nothing_open(void)
{
    static const struct {
        enum call call;
        int error;
    } cases[] = {
        {CALLOC, ENOMEM},       {EPOLL_CREATE, EMFILE}, {EPOLL_CREATE, ENFILE},
        {EPOLL_CREATE, ENOMEM}, {EVENTFD, EMFILE},      {EVENTFD, ENFILE},
        {EVENTFD, ENOMEM},      {EPOLL_CTL, ENOMEM},    {EPOLL_CTL, ENOSPC},
    };
    int before = next_free_fd();
    close_spoils_errno = true;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        fail(cases[i].call, cases[i].error, 1);
        errno = 0;
        struct reactor *reactor = reactor_new();
        int error = errno;
        g_assert_null(reactor);
        g_assert_cmpint(error, ==, cases[i].error);
        g_assert_cmpint(next_free_fd(), ==, before);
    }
    close_spoils_errno = false;
    end_reactor(new_reactor());
    g_assert_cmpint(next_free_fd(), ==, before);
}

/* --- the registry --- */

static void test_register_without_memory(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    fail(MALLOC, ENOMEM, 1);
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -ENOMEM);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_register_when_epoll_ctl_fails(void)
{
    static const int errors[] = {ENOSPC, ENOMEM, ELOOP};
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        fail(EPOLL_CTL, errors[i], 1);
        g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, on_unexpected, NULL), ==,
                        -errors[i]);
        g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    }
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_failed_reregister_changes_nothing(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    fail(EPOLL_CTL, ENOMEM, 1);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLOUT, on_unexpected, NULL), ==, -ENOMEM);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpuint(probe.events, ==, EPOLLIN);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void deregister_with_fault(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    on_probe(reactor, fd, events, arg);
    fail(EPOLL_CTL, EBADF, 1);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
}

static void test_deregister_succeeds_when_epoll_ctl_fails(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    watch(reactor, readable_fd(), EPOLLIN, deregister_with_fault, &probe);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(probe.calls, ==, 1);
    end_reactor(reactor);
}

/* --- trap 10: EINTR --- */

static void test_trap_10_interrupted_wait_goes_on(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, stop_on_event, NULL);
    fail(EPOLL_WAIT, EINTR, 5);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    g_assert_cmpint(fault_seen[EPOLL_WAIT], ==, 5);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* Signals that never let the loop wait: time passes all the same. */
static void test_trap_10_deadline_and_timers_hold_under_endless_signals(void)
{
    struct reactor *reactor = new_reactor();
    int ticks = 0;
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    struct reactor_timer *timer = reactor_timer_new(reactor, count_task, &ticks);
    reactor_timer_start(timer, 5, 0);
    uint64_t start_ns = monotonic_ns();
    fail(EPOLL_WAIT, EINTR, INT_MAX);
    g_assert_cmpint(reactor_run(reactor, 20), ==, REACTOR_TIMEOUT);
    g_assert_cmpuint(monotonic_ns() - start_ns, >=, 20 * NS_PER_MS);
    g_assert_cmpint(ticks, ==, 1);
    g_assert_cmpint(fault_seen[EPOLL_WAIT], >, 0);
    reactor_stop(reactor);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    fail(EPOLL_WAIT, 0, 0);
    reactor_timer_free(timer);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_trap_10_interrupted_wake_and_clear(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    fail(WRITE, EINTR, 3);
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    g_assert_cmpint(fault_seen[WRITE], ==, 3);
    fail(READ, EINTR, 3);
    one_turn(reactor);
    g_assert_cmpint(fault_seen[READ], ==, 3);
    g_assert_cmpint(runs, ==, 1);
    fail(WRITE, EINTR, 3);
    reactor_stop(reactor);
    g_assert_cmpint(fault_seen[WRITE], ==, 3);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- other failures of a turn --- */

static void test_failed_wait_ends_the_run_and_loses_nothing(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int runs = 0;
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN | EPOLLET, on_probe, &probe);
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    fail(EPOLL_WAIT, EBADF, 1);
    g_assert_cmpint(reactor_run(reactor, -1), ==, -EBADF);
    fail(EPOLL_WAIT, ENOMEM, 1);
    g_assert_cmpint(reactor_run(reactor, 0), ==, -ENOMEM);
    g_assert_cmpint(probe.calls, ==, 0);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpint(runs, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* EAGAIN from the eventfd: it is readable, or not, as it should be already. */
static void test_full_and_empty_wake_descriptor(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    reactor_stop(reactor);
    fail(WRITE, EAGAIN, 1);
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    fail(READ, EAGAIN, 1);
    one_turn(reactor);
    g_assert_cmpint(runs, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- memory --- */

static void test_post_without_memory_never_runs(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    fail(MALLOC, ENOMEM, 1);
    g_assert_cmpint(reactor_post(reactor, unexpected_task, NULL), ==, -ENOMEM);
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    one_turn(reactor);
    g_assert_cmpint(runs, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_timer_without_memory(void)
{
    struct reactor *reactor = new_reactor();
    fail(MALLOC, ENOMEM, 1);
    g_assert_null(reactor_timer_new(reactor, unexpected_task, NULL));
    reactor_timer_free(NULL);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
}

static void test_timers_start_stop_and_fire_without_memory(void)
{
    enum { COUNT = 100 };
    struct reactor *reactor = new_reactor();
    struct reactor_timer *timers[COUNT];
    int runs = 0;
    for (int i = 0; i < COUNT; i++)
        timers[i] = reactor_timer_new(reactor, count_task, &runs);
    fail(MALLOC, ENOMEM, INT_MAX);
    fail(CALLOC, ENOMEM, INT_MAX);
    for (int i = 0; i < COUNT; i++)
        reactor_timer_start(timers[i], (uint32_t)i % 5, 0);
    for (int i = 0; i < COUNT; i += 2)
        reactor_timer_stop(timers[i]);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(fault_seen[MALLOC] + fault_seen[CALLOC], ==, 0);
    fail(MALLOC, 0, 0);
    fail(CALLOC, 0, 0);
    g_assert_cmpint(runs, ==, COUNT / 2);
    for (int i = 0; i < COUNT; i++)
        reactor_timer_free(timers[i]);
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor-faults/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("new", new_returns_null_with_errno_and_leaves_nothing_open);
    ADD("register/no-memory", register_without_memory);
    ADD("register/epoll-ctl", register_when_epoll_ctl_fails);
    ADD("reregister/epoll-ctl", failed_reregister_changes_nothing);
    ADD("deregister/epoll-ctl", deregister_succeeds_when_epoll_ctl_fails);
    ADD("trap-10/interrupted-wait", trap_10_interrupted_wait_goes_on);
    ADD("trap-10/endless-signals", trap_10_deadline_and_timers_hold_under_endless_signals);
    ADD("trap-10/interrupted-wake", trap_10_interrupted_wake_and_clear);
    ADD("run/failed-wait", failed_wait_ends_the_run_and_loses_nothing);
    ADD("run/wake-descriptor-full", full_and_empty_wake_descriptor);
    ADD("post/no-memory", post_without_memory_never_runs);
    ADD("timer/no-memory", timer_without_memory);
    ADD("timer/needs-no-memory", timers_start_stop_and_fire_without_memory);
    return g_test_run();
}
