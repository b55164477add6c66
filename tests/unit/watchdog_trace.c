/* The stack of a thread that stalls. */
#include "watchdog_support.h"

#include <errno.h>

/* This thread is the one that stalls: a signal to itself is delivered before pthread_kill(3)
 * returns. */
void stalling_function(uint64_t until_ms);

/* Neither inlined nor left before its last call, and exported, so that the trace names it. */
static void (*volatile stall_until)(uint64_t until_ms) = stalling_function;
static volatile bool has_returned;

void stalling_function(uint64_t until_ms)
{
    look_until(until_ms);
    has_returned = true;
}

static void open_traced(void)
{
    open_for(LIMIT_MS, TICK_MS, true);
    trace_open();
    trace_join(&watchdog.guards[1].trace, &loops[1]);
}

static void close_traced(void)
{
    trace_leave(&watchdog.guards[1].trace);
    trace_close();
    close_all();
}

static unsigned lines_with(const char *text)
{
    unsigned count = 0;
    for (unsigned i = 0; i < line_count; i++)
        count += strstr(lines[i], text) != NULL;
    return count;
}

static void test_trace_of_a_handler(void)
{
    open_traced();
    begin_turn(&loops[1], 0);
    watch_call_begins(&loops[1], "/slow");
    stall_until(150);
    g_assert_cmpstr(lines[0], ==,
                    "the handler of /slow keeps reactor 1 from everything else; its stack, the "
                    "innermost call first:");
    g_assert_cmpuint(lines_with("stalling_function"), ==, 1);
    g_assert_cmpuint(lines_with("(main+"), ==, 1);
    g_assert_nonnull(strstr(lines[1], "  #0 "));
    line_count = 0;
    stall_until(1000);
    assert_silent(); /* once is enough */
    end_call(&loops[1], 1001);
    look(1025);
    assert_said("the handler of /slow kept reactor 1 from everything else for 1001 ms");
    close_traced();
}

static void test_trace_outside_of_handlers(void)
{
    open_traced();
    begin_turn(&loops[1], 0);
    stall_until(150);
    g_assert_true(g_str_has_prefix(lines[0], NO_HANDLER "keeps reactor 1"));
    g_assert_cmpuint(lines_with("stalling_function"), ==, 1);
    line_count = 0;
    end_turn(&loops[1], 151);
    look(175);
    assert_said(NO_HANDLER "kept reactor 1 from everything else for 151 ms");
    close_traced();
}

/* The signal comes when the handler has just returned: its stack is nowhere any more. */
static void test_trace_that_comes_too_late(void)
{
    sigset_t urgent;
    sigset_t before;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    open_traced();
    pthread_sigmask(SIG_BLOCK, &urgent, &before);
    begin_turn(&loops[1], 0);
    watch_call_begins(&loops[1], "/slow");
    stall_until(150);
    assert_silent();
    end_call(&loops[1], 151);
    errno = 4711;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    g_assert_cmpint(errno, ==, 4711);
    look(175);
    assert_said("the handler of /slow kept reactor 1 from everything else for 151 ms");
    /* The next one is traced again. */
    watch_call_begins(&loops[1], "/slow");
    stall_until(400);
    g_assert_cmpuint(lines_with("stalling_function"), ==, 1);
    line_count = 0;
    close_traced();
}

static void test_trace_without_a_thread(void)
{
    open_for(LIMIT_MS, TICK_MS, true);
    trace_open();
    stall(&loops[1], "/slow", 0, 200);
    assert_said("the handler of /slow kept reactor 1 from everything else for 200 ms");
    trace_join(&watchdog.guards[1].trace, &loops[1]);
    trace_leave(&watchdog.guards[1].trace);
    stall(&loops[1], "/slow", 300, 500);
    assert_said("the handler of /slow kept reactor 1 from everything else for 200 ms");
    trace_close();
    close_all();
}

static void test_signal_that_nobody_sent(void)
{
    open_traced();
    g_assert_cmpint(raise(SIGURG), ==, 0);
    close_traced();
    trace_open();
    g_assert_cmpint(raise(SIGURG), ==, 0); /* on a thread that never joined */
    trace_close();
}

static void test_what_a_trace_leaves_behind(void)
{
    struct sigaction ours = {.sa_handler = SIG_IGN};
    struct sigaction after;
    sigset_t urgent;
    sigset_t mask;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    sigaction(SIGURG, &ours, NULL);
    pthread_sigmask(SIG_BLOCK, &urgent, NULL);
    open_traced();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    g_assert_false(sigismember(&mask, SIGURG));
    sigaction(SIGURG, NULL, &after);
    g_assert_true(after.sa_handler != SIG_IGN);
    g_assert_true(after.sa_flags & SA_RESTART);
    close_traced();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    g_assert_true(sigismember(&mask, SIGURG));
    sigaction(SIGURG, NULL, &after);
    g_assert_true(after.sa_handler == SIG_IGN);
    pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
    signal(SIGURG, SIG_DFL);
}

static bool handles_urgent(void)
{
    struct sigaction now;
    sigaction(SIGURG, NULL, &now);
    return now.sa_handler != SIG_DFL;
}

/* Two servers run, and the first to come is the first to go. */
static void test_two_users(void)
{
    trace_open();
    trace_open();
    trace_close();
    g_assert_true(handles_urgent());
    trace_close();
    g_assert_false(handles_urgent());
    trace_open();
    g_assert_true(handles_urgent());
    trace_close();
    g_assert_false(handles_urgent());
}

#define ADD(path, function) g_test_add_func("/watchdog/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    keep_log();
    ADD("trace/handler", trace_of_a_handler);
    ADD("trace/no-handler", trace_outside_of_handlers);
    ADD("trace/too-late", trace_that_comes_too_late);
    ADD("trace/no-thread", trace_without_a_thread);
    ADD("trace/nobody-asked", signal_that_nobody_sent);
    ADD("trace/leaves-behind", what_a_trace_leaves_behind);
    ADD("trace/two-users", two_users);
    return g_test_run();
}
