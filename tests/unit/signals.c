/* SIGTERM, SIGINT and SIGUSR1 as events: which task they call, and that what was before comes back.
 */
#include "server/signals.h"

#include <glib.h>
#include <unistd.h>

struct calls {
    unsigned end;
    unsigned reopen;
};

static void count_end(struct reactor *reactor, void *arg)
{
    (void)reactor;
    ((struct calls *)arg)->end++;
}

static void count_reopen(struct reactor *reactor, void *arg)
{
    (void)reactor;
    ((struct calls *)arg)->reopen++;
}

static void open_signals(struct signals *signals, struct reactor *reactor, struct calls *calls)
{
    *calls = (struct calls){0};
    g_assert_cmpint(signals_open(signals, reactor, count_end, count_reopen, calls), ==, 0);
}

/* Signals are sent to the process, as kill(1) does. */
static void send_and_turn(struct reactor *reactor, int number)
{
    g_assert_cmpint(kill(getpid(), number), ==, 0);
    g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_TIMEOUT);
}

static void test_tasks(void)
{
    struct reactor *reactor = reactor_new();
    struct signals signals;
    struct calls calls;
    open_signals(&signals, reactor, &calls);
    send_and_turn(reactor, SIGUSR1);
    g_assert_true(calls.end == 0 && calls.reopen == 1);
    send_and_turn(reactor, SIGTERM);
    g_assert_true(calls.end == 1 && calls.reopen == 1);
    send_and_turn(reactor, SIGINT);
    g_assert_true(calls.end == 2 && calls.reopen == 1);
    send_and_turn(reactor, SIGUSR1);
    g_assert_true(calls.end == 2 && calls.reopen == 2);
    signals_close(&signals);
    reactor_destroy(reactor);
}

/* A drain leaves SIGTERM and SIGINT to the kernel, but SIGUSR1 still reopens. */
static void test_released(void)
{
    struct reactor *reactor = reactor_new();
    struct signals signals;
    struct calls calls;
    sigset_t mask;
    open_signals(&signals, reactor, &calls);
    signals_release(&signals);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    g_assert_false(sigismember(&mask, SIGTERM));
    g_assert_false(sigismember(&mask, SIGINT));
    g_assert_true(sigismember(&mask, SIGUSR1));
    send_and_turn(reactor, SIGUSR1);
    g_assert_true(calls.end == 0 && calls.reopen == 1);
    signals_close(&signals);
    reactor_destroy(reactor);
}

/* One that nobody has looked at does not end the process afterwards. */
static void test_too_late(void)
{
    struct reactor *reactor = reactor_new();
    struct signals signals;
    struct calls calls;
    open_signals(&signals, reactor, &calls);
    g_assert_cmpint(kill(getpid(), SIGUSR1), ==, 0);
    signals_close(&signals);
    g_assert_cmpuint(calls.reopen, ==, 0);
    reactor_destroy(reactor);
}

static void do_nothing(int number)
{
    (void)number;
}

static void test_what_was_before(void)
{
    struct reactor *reactor = reactor_new();
    struct signals signals;
    struct calls calls;
    struct sigaction action = {.sa_handler = do_nothing};
    struct sigaction before;
    sigset_t mask;
    sigaction(SIGUSR1, &action, &before);
    open_signals(&signals, reactor, &calls);
    signals_close(&signals);
    sigaction(SIGUSR1, &before, &action);
    g_assert_true(action.sa_handler == do_nothing);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    g_assert_false(sigismember(&mask, SIGTERM));
    g_assert_false(sigismember(&mask, SIGINT));
    g_assert_false(sigismember(&mask, SIGUSR1));
    reactor_destroy(reactor);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/signals/tasks", test_tasks);
    g_test_add_func("/signals/released", test_released);
    g_test_add_func("/signals/too-late", test_too_late);
    g_test_add_func("/signals/what-was-before", test_what_was_before);
    return g_test_run();
}
