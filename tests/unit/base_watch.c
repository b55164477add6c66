/* Numbers that are read by other threads: histograms, and what a loop says of itself. */
#include "base/watch.h"

#include <glib.h>

/* --- histograms --- */

static uint64_t bucket_of(uint64_t duration_ns)
{
    struct histogram histogram = {0};
    uint64_t found = UINT64_MAX;
    histogram_add(&histogram, duration_ns, 3);
    for (size_t i = 0; i < G_N_ELEMENTS(histogram.buckets); i++) {
        uint64_t count = counter_read(&histogram.buckets[i]);
        g_assert_true(count == 0 || (count == 3 && found == UINT64_MAX));
        if (count)
            found = i;
    }
    g_assert_cmpuint(counter_read(&histogram.sum_ns), ==, 3 * duration_ns);
    return found;
}

static void test_histogram_bounds(void)
{
    g_assert_cmpuint(histogram_bounds[0], ==, 50000);
    g_assert_cmpuint(histogram_bounds[HISTOGRAM_BOUNDS - 1], ==, UINT64_C(10000000000));
    g_assert_cmpuint(histogram_bounds[1], ==, 100000);
    g_assert_cmpuint(histogram_bounds[2], ==, 250000);
    for (size_t i = 3; i < HISTOGRAM_BOUNDS; i++)
        g_assert_cmpuint(histogram_bounds[i], ==, 10 * histogram_bounds[i - 3]);
}

static void test_histogram_edges(void)
{
    g_assert_cmpuint(bucket_of(0), ==, 0);
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        g_assert_cmpuint(bucket_of(histogram_bounds[i] - 1), ==, i);
        g_assert_cmpuint(bucket_of(histogram_bounds[i]), ==, i);
        g_assert_cmpuint(bucket_of(histogram_bounds[i] + 1), ==, i + 1);
    }
    g_assert_cmpuint(bucket_of(UINT64_MAX / 4), ==, HISTOGRAM_BOUNDS);
}

static void test_histogram_adds_up(void)
{
    struct histogram histogram = {0};
    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(&histogram, i * 1000000, i);
    uint64_t count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(histogram.buckets); i++)
        count += counter_read(&histogram.buckets[i]);
    g_assert_cmpuint(count, ==, 5050);
    g_assert_cmpuint(counter_read(&histogram.sum_ns), ==, UINT64_C(338350) * 1000000);
}

static void test_counters_count_down(void)
{
    struct counter counter = {0};
    counter_add(&counter, 5);
    counter_add(&counter, (uint64_t)-2);
    g_assert_cmpuint(counter_read(&counter), ==, 3);
}

/* --- turns --- */

static void make_turn(struct watch *watch, uint64_t from_ns, uint64_t to_ns)
{
    watch_turn_begins(watch, from_ns);
    g_assert_cmpuint(counter_read(&watch->turn_ns), ==, from_ns);
    watch_turn_ends(watch, from_ns, to_ns);
    g_assert_cmpuint(counter_read(&watch->turn_ns), ==, 0);
}

static void test_turns_add_up(void)
{
    struct watch watch = {0};
    make_turn(&watch, 1000, 1010);
    make_turn(&watch, 2000, 2300);
    make_turn(&watch, 3000, 3020);
    g_assert_cmpuint(counter_read(&watch.turns), ==, 3);
    g_assert_cmpuint(counter_read(&watch.busy_ns), ==, 330);
    g_assert_cmpuint(counter_read(&watch.longest_ns), ==, 300);
    counter_set(&watch.longest_ns, 0); /* as the watcher does */
    make_turn(&watch, 4000, 4005);
    g_assert_cmpuint(counter_read(&watch.longest_ns), ==, 5);
    g_assert_cmpuint(counter_read(&watch.over_ns), ==, 0);
}

/* A clock that goes back does not make the loop busy for 584 years. */
static void test_a_clock_that_goes_back(void)
{
    struct watch watch = {0};
    make_turn(&watch, 1000, 1100);
    make_turn(&watch, 2000, 1999);
    make_turn(&watch, UINT64_MAX - 5, 4);
    g_assert_cmpuint(counter_read(&watch.turns), ==, 3);
    g_assert_cmpuint(counter_read(&watch.busy_ns), ==, 100);
    g_assert_cmpuint(counter_read(&watch.longest_ns), ==, 100);
    watch_turn_begins(&watch, 5000);
    g_assert_cmpuint(watch_busy(&watch, 4000), ==, 100);
}

static void test_busy_with_the_turn_in_progress(void)
{
    struct watch watch = {0};
    g_assert_cmpuint(watch_busy(&watch, 500), ==, 0);
    make_turn(&watch, 1000, 1100);
    g_assert_cmpuint(watch_busy(&watch, 9000), ==, 100);
    watch_turn_begins(&watch, 10000);
    g_assert_cmpuint(watch_busy(&watch, 10000), ==, 100);
    g_assert_cmpuint(watch_busy(&watch, 10050), ==, 150);
    watch_turn_ends(&watch, 10000, 10070);
    g_assert_cmpuint(watch_busy(&watch, 10071), ==, 170);
}

/* What a turn took is added just after the turn is no longer in progress. */
static void test_busy_never_shrinks(void)
{
    struct watch watch = {0};
    watch_turn_begins(&watch, 1000);
    g_assert_cmpuint(watch_busy(&watch, 1500), ==, 500);
    counter_set(&watch.turn_ns, 0);
    g_assert_cmpuint(watch_busy(&watch, 1510), ==, 500);
    watch_turn_ends(&watch, 1000, 1505);
    g_assert_cmpuint(watch_busy(&watch, 1520), ==, 505);
}

static void test_the_end_of_an_asked_turn(void)
{
    struct watch watch = {0};
    make_turn(&watch, 1000, 1100);
    watch_turn_begins(&watch, 2000);
    counter_set(&watch.asked_turn, 2);
    watch_turn_ends(&watch, 2000, 2900);
    g_assert_cmpuint(counter_read(&watch.over_ns), ==, 2900);
    make_turn(&watch, 3000, 3100);
    g_assert_cmpuint(counter_read(&watch.over_ns), ==, 2900);
}

/* --- calls --- */

static void test_calls(void)
{
    struct watch watch = {0};
    struct activity idle = watch_activity(&watch);
    g_assert_cmpuint(idle.turn_ns, ==, 0);
    g_assert_null(idle.what);
    watch_turn_begins(&watch, 1000);
    watch_call_begins(&watch, "/a");
    struct activity first = watch_activity(&watch);
    struct activity again = watch_activity(&watch);
    g_assert_true(activity_is_same(&first, &again));
    g_assert_cmpuint(first.turn_ns, ==, 1000);
    g_assert_cmpstr(first.what, ==, "/a");
    watch_call_ends(&watch);
    struct activity between = watch_activity(&watch);
    g_assert_null(between.what);
    g_assert_false(activity_is_same(&first, &between));
    watch_call_begins(&watch, first.what);
    struct activity second = watch_activity(&watch);
    g_assert_false(activity_is_same(&first, &second));
    watch_call_ends(&watch);
    watch_turn_ends(&watch, 1000, 1001);
    g_assert_cmpuint(counter_read(&watch.over_ns), ==, 0); /* nobody asked */
}

static void test_calls_of_a_turn(void)
{
    struct watch watch = {0};
    for (uint64_t turn = 1; turn <= 3; turn++) {
        watch_turn_begins(&watch, turn * 1000);
        for (uint64_t call = 0; call < turn; call++) {
            g_assert_cmpuint(watch_activity(&watch).turn_calls, ==, call);
            watch_call_begins(&watch, "/a");
            g_assert_cmpuint(watch_activity(&watch).turn_calls, ==, call + 1);
            watch_call_ends(&watch);
        }
        watch_turn_ends(&watch, turn * 1000, turn * 1000 + 1);
    }
}

static void test_the_end_of_an_asked_call(void)
{
    struct watch watch = {0};
    uint64_t before_ns = watch_clock();
    watch_call_begins(&watch, "/a");
    counter_set(&watch.asked_call, 1);
    watch_call_ends(&watch);
    uint64_t over_ns = counter_read(&watch.over_ns);
    g_assert_cmpuint(over_ns, >=, before_ns);
    g_assert_cmpuint(over_ns, <=, watch_clock());
    counter_set(&watch.over_ns, 1);
    watch_call_begins(&watch, "/a");
    watch_call_ends(&watch);
    g_assert_cmpuint(counter_read(&watch.over_ns), ==, 1);
}

/* --- the bell --- */

static void count_ring(void *arg)
{
    ++*(unsigned *)arg;
}

static void test_bell_rings_once(void)
{
    unsigned rings = 0;
    struct watch watch = {.ring = count_ring, .ring_arg = &rings};
    make_turn(&watch, 1000, 1001);
    g_assert_cmpuint(rings, ==, 0);
    atomic_store(&watch.bell, true);
    make_turn(&watch, 1002, 1003);
    g_assert_cmpuint(rings, ==, 1);
    make_turn(&watch, 1004, 1005);
    g_assert_cmpuint(rings, ==, 1);
    atomic_store(&watch.bell, true);
    make_turn(&watch, 1006, 1007);
    g_assert_cmpuint(rings, ==, 2);
}

#define ADD(path, function) g_test_add_func("/base/watch/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("histogram/bounds", histogram_bounds);
    ADD("histogram/edges", histogram_edges);
    ADD("histogram/adds-up", histogram_adds_up);
    ADD("counter/down", counters_count_down);
    ADD("turns/add-up", turns_add_up);
    ADD("turns/clock-goes-back", a_clock_that_goes_back);
    ADD("turns/busy", busy_with_the_turn_in_progress);
    ADD("turns/never-shrinks", busy_never_shrinks);
    ADD("turns/asked", the_end_of_an_asked_turn);
    ADD("calls/activity", calls);
    ADD("calls/of-a-turn", calls_of_a_turn);
    ADD("calls/asked", the_end_of_an_asked_call);
    ADD("bell", bell_rings_once);
    return g_test_run();
}
