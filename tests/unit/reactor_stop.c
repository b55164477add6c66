/* reactor_stop(), from everywhere, and signals: what ends a run, what does not, and that nothing is
 * lost. */
#include "reactor_support.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* --- stop --- */

static void test_trap_2_returns_on_stop(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, stop_on_event, NULL);
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
        g_assert_cmpint(reactor_run(reactor, INT_MAX), ==, REACTOR_STOPPED);
        /* Also where the time-out passes in the same turn. */
        g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_STOPPED);
    }
    g_assert_cmpint(reactor_reregister(reactor, fd, 0, on_unexpected, NULL), ==, 0);
    g_assert_cmpint(reactor_post(reactor, stop_task, NULL), ==, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    struct reactor_timer *timer = reactor_timer_new(reactor, stop_task, NULL);
    reactor_timer_start(timer, 1, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    reactor_timer_free(timer);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_stop_before_run_ends_the_next_one_only(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    reactor_stop(reactor);
    reactor_stop(reactor);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    g_assert_cmpint(probe.calls, ==, 0);
    g_assert_cmpint(reactor_run(reactor, 5), ==, REACTOR_TIMEOUT);
    g_assert_cmpint(probe.calls, >=, 1);
    forget(reactor, fd);
    reactor_stop(reactor);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
}

static void *stop_thread(void *reactor)
{
    reactor_stop(reactor);
    return NULL;
}

static void start_thread_task(struct reactor *reactor, void *arg)
{
    g_assert_cmpint(pthread_create(arg, NULL, stop_thread, reactor), ==, 0);
}

static void test_stop_from_another_thread(void)
{
    struct reactor *reactor = new_reactor();
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        g_assert_cmpint(reactor_post(reactor, start_thread_task, &thread), ==, 0);
        g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
        g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    }
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- signals --- */

static struct reactor *signalled;
static atomic_int signals;

static void stop_on_signal(int number)
{
    (void)number;
    /* Documented as async-signal-safe: an atomic store and a write(2). */
    reactor_stop(signalled); /* NOLINT(bugprone-signal-handler,cert-sig30-c) */
}

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    g_assert_cmpint(sigaction(number, &action, NULL), ==, 0);
}

static void *signal_thread(void *main_thread)
{
    pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
    return NULL;
}

static void test_stop_from_a_signal_handler(void)
{
    signalled = new_reactor();
    handle(SIGUSR1, stop_on_signal);
    int fd = quiet_fd();
    watch(signalled, fd, EPOLLIN, on_unexpected, NULL);
    pthread_t main_thread = pthread_self();
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        g_assert_cmpint(pthread_create(&thread, NULL, signal_thread, &main_thread), ==, 0);
        g_assert_cmpint(reactor_run(signalled, -1), ==, REACTOR_STOPPED);
        g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    }
    handle(SIGUSR1, SIG_DFL);
    forget(signalled, fd);
    end_reactor(signalled);
}

static void test_stop_from_a_signal_handler_keeps_errno(void)
{
    signalled = new_reactor();
    handle(SIGUSR1, stop_on_signal);
    errno = ENOTTY;
    g_assert_cmpint(raise(SIGUSR1), ==, 0);
    g_assert_cmpint(errno, ==, ENOTTY);
    g_assert_cmpint(reactor_run(signalled, -1), ==, REACTOR_STOPPED);
    handle(SIGUSR1, SIG_DFL);
    end_reactor(signalled);
}

struct shower {
    pthread_t target;
    atomic_bool over;
};

static void *shower_thread(void *arg)
{
    struct shower *shower = arg;
    while (!shower->over) {
        pthread_kill(shower->target, SIGUSR1);
        usleep(1000);
    }
    return NULL;
}

static void test_trap_10_signals_do_not_end_the_loop(void)
{
    struct reactor *reactor = new_reactor();
    struct shower shower = {.target = pthread_self()};
    int fd = quiet_fd();
    pthread_t thread;
    handle(SIGUSR1, count_signal);
    signals = 0;
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    uint64_t start_ns = monotonic_ns();
    g_assert_cmpint(pthread_create(&thread, NULL, shower_thread, &shower), ==, 0);
    do {
        g_assert_cmpint(reactor_run(reactor, 50), ==, REACTOR_TIMEOUT);
    } while (signals < 5);
    g_assert_cmpuint(monotonic_ns() - start_ns, >=, 50 * NS_PER_MS);
    shower.over = true;
    g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    handle(SIGUSR1, SIG_DFL);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- nothing is lost --- */

static void count_and_stop(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    on_probe(reactor, fd, events, arg);
    reactor_stop(reactor);
}

static void test_edge_triggered_events_survive_stop(void)
{
    enum { COUNT = 600 }; /* several batches */
    struct reactor *reactor = new_reactor();
    static struct probe probes[COUNT];
    static int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = readable_fd();
        watch(reactor, fds[i], EPOLLIN | EPOLLET, count_and_stop, &probes[i]);
    }
    /* The first callback stops the run: what was received with it must be delivered before. */
    int runs = 0;
    while (reactor_run(reactor, 0) == REACTOR_STOPPED)
        runs++;
    g_assert_cmpint(runs, <, COUNT);
    for (int i = 0; i < COUNT; i++)
        g_assert_cmpint(probes[i].calls, ==, 1);
    /* Between two runs. */
    for (int i = 0; i < COUNT; i++)
        make_readable(fds[i]);
    while (reactor_run(reactor, 0) == REACTOR_STOPPED)
        continue;
    for (int i = 0; i < COUNT; i++) {
        g_assert_cmpint(probes[i].calls, ==, 2);
        forget(reactor, fds[i]);
    }
    end_reactor(reactor);
}

static void test_stop_completes_the_turn(void)
{
    struct reactor *reactor = new_reactor();
    int posts = 0;
    int ticks = 0;
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN | EPOLLET, stop_on_event, NULL);
    struct reactor_timer *timer = reactor_timer_new(reactor, count_task, &ticks);
    reactor_timer_start(timer, 0, 0);
    g_assert_cmpint(reactor_post(reactor, count_task, &posts), ==, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_STOPPED);
    g_assert_cmpint(posts, ==, 1);
    g_assert_cmpint(ticks, ==, 1);
    reactor_timer_free(timer);
    forget(reactor, fd);
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("trap-2/stop", trap_2_returns_on_stop);
    ADD("trap-10/signals", trap_10_signals_do_not_end_the_loop);
    ADD("stop/before-run", stop_before_run_ends_the_next_one_only);
    ADD("stop/other-thread", stop_from_another_thread);
    ADD("stop/signal-handler", stop_from_a_signal_handler);
    ADD("stop/signal-handler-keeps-errno", stop_from_a_signal_handler_keeps_errno);
    ADD("stop/edge-triggered-events-survive", edge_triggered_events_survive_stop);
    ADD("stop/completes-the-turn", stop_completes_the_turn);
    return g_test_run();
}
