/* The watchdog: what is a stall and what is none, what is said of it, and how often. */
#include "watchdog_support.h"

/* --- what is a stall --- */

static void test_a_handler_that_takes_too_long(void)
{
    open_usual();
    begin_turn(&loops[2], 10);
    watch_call_begins(&loops[2], "/slow");
    look_until(100); /* seen first at 25 */
    g_assert_cmpuint(counter_read(&stalls[2]), ==, 0);
    look(125);
    g_assert_cmpuint(counter_read(&stalls[2]), ==, 1);
    look(150);
    assert_silent();
    end_call(&loops[2], 163);
    look(175);
    assert_said("the handler of /slow kept reactor 2 from everything else for 153 ms");
    end_turn(&loops[2], 164);
    look_until(500);
    g_assert_cmpuint(counter_read(&stalls[2]), ==, 1);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

static void test_one_that_takes_just_less(void)
{
    open_usual();
    for (uint64_t at = 0; at < 3000; at += 150) {
        begin_turn(&loops[0], at);
        watch_call_begins(&loops[0], "/quick");
        look_until(at + 99);
        end_call(&loops[0], at + 99);
        end_turn(&loops[0], at + 99);
        look_until(at + 150);
    }
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

/* Wherever it lies between the looks, when it is the only one in its turn. */
static void test_one_that_takes_just_longer(void)
{
    for (uint64_t at = 1; at <= TICK_MS; at++) {
        open_usual();
        stall(&loops[0], "/slow", at, at + LIMIT_MS + 1);
        g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
        assert_said("the handler of /slow kept reactor 0 from everything else for 101 ms");
        stall(&loops[0], "/slow", at + 200, at + 200 + LIMIT_MS - 1);
        g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
        close_all();
    }
}

/* Wherever it lies, after another one: when it is longer by the time between two looks. */
static void test_the_second_in_a_turn(void)
{
    for (uint64_t at = 31; at <= 30 + TICK_MS; at++) {
        open_usual();
        begin_turn(&loops[0], 1);
        watch_call_begins(&loops[0], "/first");
        look_until(at);
        end_call(&loops[0], at);
        watch_call_begins(&loops[0], "/second");
        look_until(at + LIMIT_MS + TICK_MS);
        end_call(&loops[0], at + LIMIT_MS + TICK_MS);
        end_turn(&loops[0], at + LIMIT_MS + TICK_MS);
        look_until(at + LIMIT_MS + 2 * TICK_MS);
        g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
        g_assert_cmpuint(line_count, ==, 1);
        g_assert_nonnull(strstr(lines[0], "the handler of /second kept reactor 0"));
        line_count = 0;
        close_all();
    }
}

/* Neither of the two takes too long, and which comes first makes no difference. */
static void test_two_that_share_a_turn(void)
{
    open_usual();
    begin_turn(&loops[0], 1);
    watch_call_begins(&loops[0], "/first");
    look_until(60);
    end_call(&loops[0], 60);
    watch_call_begins(&loops[0], "/second");
    look_until(120);
    end_call(&loops[0], 120);
    end_turn(&loops[0], 120);
    look_until(300);
    begin_turn(&loops[0], 301); /* no handler, and then one */
    look_until(360);
    watch_call_begins(&loops[0], "/third");
    look_until(420);
    end_call(&loops[0], 420);
    end_turn(&loops[0], 420);
    look_until(600);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

/* The turn's end, which was asked for, is not that of what came before its first call. */
static void test_a_turn_that_ends_with_a_call(void)
{
    open_usual();
    begin_turn(&loops[0], 0);
    look_until(50);
    watch_call_begins(&loops[0], "/short");
    end_call(&loops[0], 100);
    end_turn(&loops[0], 100);
    look(100);
    look(125);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

static void test_no_handler_for_just_longer(void)
{
    open_usual();
    begin_turn(&loops[1], 1);
    look_until(100);
    end_turn(&loops[1], 102);
    look(125);
    g_assert_cmpuint(counter_read(&stalls[1]), ==, 1);
    assert_said(NO_HANDLER "kept reactor 1 from everything else for 101 ms");
    close_all();
}

/* It began in the middle of a long turn: not before the last look that did not see it. */
static void test_a_handler_late_in_a_turn(void)
{
    open_usual();
    begin_turn(&loops[0], 5);
    watch_call_begins(&loops[0], "/first");
    look_until(50);
    end_call(&loops[0], 55);
    watch_call_begins(&loops[0], "/second");
    look_until(200);
    end_call(&loops[0], 210);
    end_turn(&loops[0], 211);
    look(225);
    assert_said("the handler of /second kept reactor 0 from everything else for 160 ms");
    close_all();
}

static void test_many_short_handlers_in_a_turn(void)
{
    open_usual();
    begin_turn(&loops[0], 0);
    for (uint64_t at = 0; at < 1000; at += 20) {
        watch_call_begins(&loops[0], "/short");
        look_until(at + 20);
        end_call(&loops[0], at + 20);
    }
    end_turn(&loops[0], 1000);
    look_until(1100);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

/* What is seen is always the same route, and never the same call. */
static void test_many_turns(void)
{
    open_usual();
    for (uint64_t at = 0; at < 1000; at += TICK_MS) {
        begin_turn(&loops[0], at);
        watch_call_begins(&loops[0], "/short");
        look_until(at + TICK_MS);
        end_call(&loops[0], at + TICK_MS);
        end_turn(&loops[0], at + TICK_MS);
    }
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

static void test_a_loop_that_waits(void)
{
    open_usual();
    stall(&loops[0], "/short", 0, 20);
    look_until(5000);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

static void test_what_is_no_handler(void)
{
    open_usual();
    begin_turn(&loops[1], 12);
    look_until(150);
    g_assert_cmpuint(counter_read(&stalls[1]), ==, 1);
    end_turn(&loops[1], 165);
    look(175);
    assert_said(NO_HANDLER "kept reactor 1 from everything else for 153 ms");
    close_all();
}

static void test_what_is_no_handler_before_one(void)
{
    open_usual();
    begin_turn(&loops[1], 0);
    look_until(150);
    watch_call_begins(&loops[1], "/fast");
    end_call(&loops[1], 165);
    end_turn(&loops[1], 165);
    look(175);
    assert_said(NO_HANDLER "kept reactor 1 from everything else for 165 ms");
    close_all();
}

/* The end comes after the watchdog decided and before its mark: it does not know it exactly. */
static void test_an_end_that_misses_the_mark(void)
{
    open_usual();
    begin_turn(&loops[0], 0);
    watch_call_begins(&loops[0], "/slow");
    look_until(150);
    atomic_store(&loops[0].what, NULL);
    end_turn(&loops[0], 151);
    look(175);
    assert_said("the handler of /slow kept reactor 0 from everything else for 175 ms");
    /* What is left of it does not count for the next one. */
    counter_set(&loops[0].over_ns, (START_MS + 152) * NS_PER_MS);
    begin_turn(&loops[0], 180);
    watch_call_begins(&loops[0], "/slow");
    look_until(400);
    atomic_store(&loops[0].what, NULL);
    end_turn(&loops[0], 401);
    look(425);
    assert_said("the handler of /slow kept reactor 0 from everything else for 245 ms");
    close_all();
}

static void test_two_reactors_at_the_same_time(void)
{
    open_usual();
    begin_turn(&loops[0], 1);
    begin_turn(&loops[2], 2);
    watch_call_begins(&loops[0], "/a");
    watch_call_begins(&loops[2], "/b");
    look_until(200);
    end_call(&loops[0], 201);
    look(225);
    assert_said("the handler of /a kept reactor 0 from everything else for 200 ms");
    end_call(&loops[2], 232);
    look(250);
    assert_said("the handler of /b kept reactor 2 from everything else for 230 ms");
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
    g_assert_cmpuint(counter_read(&stalls[1]), ==, 0);
    g_assert_cmpuint(counter_read(&stalls[2]), ==, 1);
    close_all();
}

/* The whole process was stopped, or the machine slept: nobody knows of anything meanwhile. */
static void test_looks_that_did_not_take_place(void)
{
    open_usual();
    begin_turn(&loops[0], 20);
    watch_call_begins(&loops[0], "/short");
    look(25);
    look(9000);
    end_call(&loops[0], 9001);
    end_turn(&loops[0], 9001);
    look(9025);
    begin_turn(&loops[0], 9030); /* unseen until it is nearly over */
    watch_call_begins(&loops[0], "/short");
    look(20000);
    end_call(&loops[0], 20001);
    end_turn(&loops[0], 20001);
    look(20025);
    begin_turn(&loops[0], 20030); /* unseen at its end */
    watch_call_begins(&loops[0], "/short");
    look(20050);
    end_call(&loops[0], 30000);
    end_turn(&loops[0], 30000);
    look(30025);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

/* A look that comes late does not hide a stall. */
static void test_looks_that_came_late(void)
{
    open_usual();
    begin_turn(&loops[0], 1);
    watch_call_begins(&loops[0], "/slow");
    look(40);
    look(90);
    end_call(&loops[0], 111);
    end_turn(&loops[0], 111);
    look(140);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
    assert_said("the handler of /slow kept reactor 0 from everything else for 110 ms");
    close_all();
}

static void test_a_limit_of_a_millisecond(void)
{
    open_for(1, 1, false);
    begin_turn(&loops[0], 1);
    watch_call_begins(&loops[0], "/slow");
    look(1);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    look(2);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
    end_call(&loops[0], 3);
    look(3);
    assert_said("the handler of /slow kept reactor 0 from everything else for 2 ms");
    close_all();
}

static void test_while_the_server_drains(void)
{
    open_usual();
    begin_turn(&loops[0], 0);
    begin_turn(&loops[1], 0);
    watch_call_begins(&loops[1], "/slow");
    for (uint64_t at = 25; at <= 500; at += TICK_MS)
        watchdog_look(&watchdog, (START_MS + at) * NS_PER_MS, true);
    end_turn(&loops[0], 510);
    end_call(&loops[1], 510);
    watchdog_look(&watchdog, (START_MS + 525) * NS_PER_MS, true);
    assert_said("the handler of /slow kept reactor 1 from everything else for 510 ms");
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 0);
    close_all();
}

/* --- what is said, and how often --- */

static void test_one_that_goes_on_and_on(void)
{
    open_usual();
    begin_turn(&loops[0], 0);
    watch_call_begins(&loops[0], "/hang");
    look_until(5000);
    assert_silent();
    look(5025);
    assert_said(
        "the handler of /hang has kept reactor 0 from everything else for 5025 ms, and it is not "
        "over");
    look_until(60000);
    assert_silent();
    end_call(&loops[0], 60001);
    look(60025);
    assert_said("the handler of /hang kept reactor 0 from everything else for 60001 ms");
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 1);
    close_all();
}

static void test_ten_times_a_long_limit(void)
{
    open_for(1000, 100, false);
    begin_turn(&loops[0], 0);
    look(100);
    for (uint64_t at = 200; at < 10100; at += 100)
        look(at);
    assert_silent();
    look(10100);
    assert_said(NO_HANDLER
                "has kept reactor 0 from everything else for 10100 ms, and it is not over");
    end_turn(&loops[0], 10150);
    look(10200);
    assert_said(NO_HANDLER "kept reactor 0 from everything else for 10150 ms");
    close_all();
}

static void test_no_flood(void)
{
    open_usual();
    uint64_t at = 0;
    for (int i = 0; i < 20; i++, at += 300)
        stall(&loops[0], "/slow", at, at + 200);
    g_assert_cmpuint(counter_read(&stalls[0]), ==, 20);
    g_assert_cmpuint(line_count, ==, 3);
    for (int i = 0; i < 3; i++)
        g_assert_cmpstr(lines[i], ==,
                        "the handler of /slow kept reactor 0 from everything else for 200 ms");
    line_count = 0;
    /* Another route, also on that reactor, is not kept quiet by it; on another reactor it is. */
    stall(&loops[0], "/other", at, at + 200);
    assert_said("the handler of /other kept reactor 0 from everything else for 200 ms");
    stall(&loops[1], "/slow", at + 300, at + 500);
    assert_silent();
    look_until(10000);
    assert_silent();
    look_until(20000);
    assert_said("the handler of /slow kept reactors from everything else 18 times more, which were "
                "not logged");
    g_assert_cmpuint(watchdog.left_out, ==, 0);
    stall(&loops[1], "/slow", 20000, 20200);
    assert_said("the handler of /slow kept reactor 1 from everything else for 200 ms");
    stall(&loops[1], "/slow", 20300, 20500);
    assert_said("the handler of /slow kept reactor 1 from everything else for 200 ms");
    close_all();
}

/* What was left out is said at the end, too. */
static void test_the_end_before_the_interval_is_over(void)
{
    open_usual();
    uint64_t at = 0;
    for (int i = 0; i < 5; i++, at += 300) {
        begin_turn(&loops[0], at);
        look_until(at + 200);
        end_turn(&loops[0], at + 200);
        look_until(at + 225);
    }
    g_assert_cmpuint(line_count, ==, 3);
    line_count = 0;
    watchdog_close(&watchdog);
    assert_said(NO_HANDLER
                "kept reactors from everything else 2 times more, which were not logged");
}

/* That one hangs is said in any case, and then how it ended. */
static void test_a_hang_is_never_left_out(void)
{
    open_usual();
    for (uint64_t at = 0; at < 900; at += 300)
        stall(&loops[0], "/slow", at, at + 200);
    g_assert_cmpuint(line_count, ==, 3);
    line_count = 0;
    begin_turn(&loops[0], 900);
    watch_call_begins(&loops[0], "/slow");
    look_until(5925);
    g_assert_cmpuint(line_count, ==, 1);
    g_assert_nonnull(strstr(lines[0], "and it is not over"));
    line_count = 0;
    end_call(&loops[0], 5930);
    look(5950);
    g_assert_cmpuint(line_count, ==, 1);
    g_assert_nonnull(strstr(lines[0], " for 5030 ms"));
    line_count = 0;
    close_all();
}

static void test_a_long_pattern(void)
{
    g_autofree char *route = g_strnfill(5000, 'x');
    open_usual();
    stall(&loops[0], route, 0, 200);
    g_assert_cmpuint(line_count, ==, 1);
    g_assert_nonnull(strstr(lines[0], "xxx kept reactor 0 from everything else for 200 ms"));
    line_count = 0;
    close_all();
}

#define ADD(path, function) g_test_add_func("/watchdog/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    keep_log();
    ADD("stall/handler", a_handler_that_takes_too_long);
    ADD("stall/just-less", one_that_takes_just_less);
    ADD("stall/just-longer", one_that_takes_just_longer);
    ADD("stall/second-in-a-turn", the_second_in_a_turn);
    ADD("stall/share-a-turn", two_that_share_a_turn);
    ADD("stall/ends-with-a-call", a_turn_that_ends_with_a_call);
    ADD("stall/no-handler-just-longer", no_handler_for_just_longer);
    ADD("stall/looks-late", looks_that_came_late);
    ADD("stall/late-in-a-turn", a_handler_late_in_a_turn);
    ADD("stall/many-short", many_short_handlers_in_a_turn);
    ADD("stall/many-turns", many_turns);
    ADD("stall/waits", a_loop_that_waits);
    ADD("stall/no-handler", what_is_no_handler);
    ADD("stall/no-handler-before-one", what_is_no_handler_before_one);
    ADD("stall/misses-the-mark", an_end_that_misses_the_mark);
    ADD("stall/two-reactors", two_reactors_at_the_same_time);
    ADD("stall/no-looks", looks_that_did_not_take_place);
    ADD("stall/a-millisecond", a_limit_of_a_millisecond);
    ADD("stall/drain", while_the_server_drains);
    ADD("said/goes-on", one_that_goes_on_and_on);
    ADD("said/ten-times", ten_times_a_long_limit);
    ADD("said/no-flood", no_flood);
    ADD("said/end", the_end_before_the_interval_is_over);
    ADD("said/hang", a_hang_is_never_left_out);
    ADD("said/long-pattern", a_long_pattern);
    return g_test_run();
}
