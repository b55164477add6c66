/* Which reactor gets a connection: the choice in user space, and the supervisor's corrections. */
#include "net/balance.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- injection --- */

static int allocation_fails_at; /* 0: never; 1: the next one */

static bool fails(void)
{
    return allocation_fails_at && --allocation_fails_at == 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- a balance in user space --- */

static void open_for(struct balance *balance, unsigned count)
{
    const struct balance_sockets sockets = {.reactors = count, .addresses = 1};
    char why[64] = "not said";
    g_assert_cmpint(balance_open(balance, BALANCE_HANDOFF, &sockets, why, sizeof(why)), ==, 0);
    g_assert_cmpstr(why, ==, "");
    g_assert_cmpuint(balance->count, ==, count);
    for (unsigned i = 0; i < count; i++)
        g_assert_cmpuint(load_of(&balance->loads[i]), ==, 0);
}

static void open_with(struct balance *balance, const unsigned *open, unsigned count)
{
    open_for(balance, count);
    for (unsigned i = 0; i < count; i++)
        balance->loads[i].open = open[i];
}

#define OPEN(balance, ...)                              \
    open_with(balance, (const unsigned[]){__VA_ARGS__}, \
              sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void expect_assigned(const struct balance *balance, unsigned index, unsigned count)
{
    for (unsigned i = 0; i < balance->count; i++)
        g_assert_cmpuint(balance->loads[i].assigned, ==, i == index ? count : 0);
}

static void expect_kept(struct balance *balance, unsigned own)
{
    g_assert_cmpuint(balance_choose(balance, own), ==, own);
    expect_assigned(balance, own, 0);
    balance_close(balance);
}

static void expect_handed(struct balance *balance, unsigned own, unsigned to)
{
    g_assert_cmpuint(balance_choose(balance, own), ==, to);
    expect_assigned(balance, to, 1);
    balance_close(balance);
}

/* --- what a reactor's load is --- */

static void test_load(void)
{
    struct load load = {.open = 7};
    g_assert_cmpuint(load_of(&load), ==, 7);
    load.work = 5;
    g_assert_cmpuint(load_of(&load), ==, 12);
    load_assign(&load);
    load_assign(&load);
    g_assert_cmpint(load_pending(&load), ==, 2);
    g_assert_cmpuint(load_of(&load), ==, 14);
    load_unassign(&load);
    load_open(&load, 1);
    load_settle(&load);
    g_assert_cmpint(load_pending(&load), ==, 0);
    g_assert_cmpuint(load_of(&load), ==, 13);
    load_open(&load, -1);
    g_assert_cmpuint(load_of(&load), ==, 12);
    /* More have come than were assigned. */
    load_settle(&load);
    g_assert_cmpint(load_pending(&load), ==, -1);
    g_assert_cmpuint(load_of(&load), ==, 11);
    load = (struct load){.settled = 3};
    g_assert_cmpuint(load_of(&load), ==, 0);
}

static void test_load_wraps_around(void)
{
    struct load load = {.assigned = UINT32_MAX, .settled = UINT32_MAX - 10, .given_up = 8};
    g_assert_cmpint(load_pending(&load), ==, 2);
    load_assign(&load);
    load_assign(&load);
    g_assert_cmpuint(load.assigned, ==, 1);
    g_assert_cmpint(load_pending(&load), ==, 4);
    load = (struct load){.assigned = 2, .settled = UINT32_MAX, .open = 1};
    g_assert_cmpint(load_pending(&load), ==, 3);
    g_assert_cmpuint(load_of(&load), ==, 4);
    load = (struct load){.assigned = UINT32_MAX, .settled = 1, .open = 1};
    g_assert_cmpint(load_pending(&load), ==, -2);
    g_assert_cmpuint(load_of(&load), ==, 0);
}

/* --- choosing --- */

static void test_choose(void)
{
    struct balance balance;
    OPEN(&balance, 0);
    expect_kept(&balance, 0);
    OPEN(&balance, 3, 3, 3, 3);
    expect_kept(&balance, 2);
    OPEN(&balance, 9, 2, 1, 0); /* the mean is 3 */
    expect_kept(&balance, 1);
    OPEN(&balance, 3, 9, 0, 0);
    expect_kept(&balance, 0);
    OPEN(&balance, 4, 8, 1, 0);
    expect_handed(&balance, 0, 3);
    OPEN(&balance, 13, 12, 12, 12);
    expect_handed(&balance, 0, 1);
}

static void test_choose_among_equals(void)
{
    struct balance balance;
    OPEN(&balance, 1, 0, 1, 0);
    expect_handed(&balance, 0, 1);
    OPEN(&balance, 1, 0, 1, 0);
    expect_handed(&balance, 2, 3);
    OPEN(&balance, 0, 1, 0, 5);
    expect_handed(&balance, 3, 0);
    /* One after the other they fill up. */
    OPEN(&balance, 8, 0, 0, 0);
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmpuint(balance_choose(&balance, 0), ==, 1 + i % 3);
    for (unsigned i = 1; i < 4; i++)
        g_assert_cmpuint(load_of(&balance.loads[i]), ==, 2);
    balance_close(&balance);
}

static void test_choose_weighs_all(void)
{
    struct balance balance;
    OPEN(&balance, 6, 4, 4);
    balance.loads[1].work = 2;
    expect_handed(&balance, 0, 2);
    OPEN(&balance, 4, 4, 4);
    balance.loads[0].work = 1;
    balance.loads[2].settled = 1; /* ... and came before it was counted */
    expect_handed(&balance, 0, 2);
    OPEN(&balance, 5, 3, 4);
    balance.loads[1].assigned = 2;
    g_assert_cmpuint(balance_choose(&balance, 0), ==, 2);
    balance_close(&balance);
}

/* Of very many it compares itself with those that follow. */
static void test_choose_looks_at_some(void)
{
    enum { COUNT = 1000 };
    struct balance balance;
    open_for(&balance, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        balance.loads[i].open = 2;
    balance.loads[990].open = 3;
    balance.loads[10].open = 1;
    balance.loads[500].open = 0;
    expect_handed(&balance, 990, 10);
}

/* --- the supervisor --- */

#define MS UINT64_C(1000000)

static unsigned queued[4];
static unsigned asked;

static unsigned waiting(void *arg, unsigned index)
{
    g_assert_true(arg == queued);
    asked++;
    return queued[index];
}

struct watched {
    struct balance balance;
    uint64_t now_ns;
    uint64_t busy_ns[4];
};

/* Four reactors whose connections the kernel assigns; the first review begins the first window. */
static void watch(struct watched *watched)
{
    *watched = (struct watched){.now_ns = 5000 * MS};
    open_for(&watched->balance, 4);
    watched->balance.mode = BALANCE_LEAST;
    memset(queued, 0, sizeof(queued));
    asked = 0;
    for (unsigned i = 0; i < 4; i++)
        balance_review(&watched->balance, i, watched->now_ns, 0, waiting, queued);
}

static void unwatch(struct watched *watched)
{
    watched->balance.mode = BALANCE_HANDOFF; /* its memory is not the kernel's */
    balance_close(&watched->balance);
}

/* 100 ms pass, of which the first reactor is busy for `busy_ms`. */
static void pass(struct watched *watched, unsigned busy_ms)
{
    watched->now_ns += 100 * MS;
    watched->busy_ns[0] += busy_ms * MS;
    for (unsigned i = 0; i < 4; i++)
        balance_review(&watched->balance, i, watched->now_ns, watched->busy_ns[i], waiting, queued);
}

static void pass_window(struct watched *watched)
{
    for (int i = 0; i < 10; i++)
        pass(watched, 0);
}

static void test_gives_up_what_does_not_come(void)
{
    struct watched watched;
    watch(&watched);
    struct load *load = &watched.balance.loads[2];
    load->assigned = 5;
    load->open = 1;
    load->settled = 1;
    pass(&watched, 0);
    pass_window(&watched); /* the window in which they came is not a whole one of theirs */
    pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 0);
    g_assert_cmpuint(load_of(load), ==, 1);
    g_assert_cmpuint(load->given_up, ==, 4);
    /* Two of them come after all. */
    load->settled += 2;
    load->open += 2;
    g_assert_cmpint(load_pending(load), ==, -2);
    pass_window(&watched);
    pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 0);
    g_assert_cmpuint(load->given_up, ==, 2);
    g_assert_cmpuint(load_of(load), ==, 3);
    unwatch(&watched);
}

static void test_gives_up_only_what_stays(void)
{
    struct watched watched;
    watch(&watched);
    struct load *load = &watched.balance.loads[0];
    /* Always something is pending, but at one time in each window little of it. */
    for (int window = 0; window < 5; window++) {
        for (int i = 0; i < 10; i++) {
            load->assigned = load->settled + (i == 4 ? 0 : 7);
            pass(&watched, 0);
            load->settled += load->assigned - load->settled;
        }
    }
    g_assert_cmpuint(load->given_up, ==, 0);
    g_assert_cmpuint(asked, ==, 0);
    unwatch(&watched);
}

static void test_keeps_what_waits_in_the_queue(void)
{
    struct watched watched;
    watch(&watched);
    struct load *load = &watched.balance.loads[1];
    load->assigned = 6;
    queued[1] = 4;
    for (int i = 0; i < 3; i++)
        pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 4);
    g_assert_cmpuint(load->given_up, ==, 2);
    g_assert_cmpuint(asked, >, 0);
    queued[1] = 100;
    pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 4);
    queued[1] = 0;
    pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 0);
    unwatch(&watched);
}

static void test_gives_up_around_the_wrap(void)
{
    struct watched watched;
    watch(&watched);
    struct load *load = &watched.balance.loads[3];
    load->assigned = 2;
    load->settled = UINT32_MAX - 1;
    load->given_up = UINT32_MAX;
    g_assert_cmpint(load_pending(load), ==, 5);
    for (int i = 0; i < 3; i++)
        pass_window(&watched);
    g_assert_cmpint(load_pending(load), ==, 0);
    g_assert_cmpuint(load->given_up, ==, 4);
    unwatch(&watched);
}

static void test_work_weighs(void)
{
    struct watched watched;
    watch(&watched);
    struct load *loads = watched.balance.loads;
    for (unsigned i = 0; i < 4; i++)
        loads[i].open = 9;
    for (int i = 0; i < 100; i++)
        pass(&watched, 20);
    g_assert_cmpuint(loads[0].work, ==, 0); /* not much busier than the others */
    unsigned before = 0;
    for (int i = 0; i < 100; i++) {
        pass(&watched, 100);
        g_assert_cmpuint(loads[0].work, >=, before);
        before = loads[0].work;
    }
    /* Three times the mean load, which is 9, or 10 as it is rounded up. */
    g_assert_cmpuint(loads[0].work, >=, 27);
    g_assert_cmpuint(loads[0].work, <=, 30);
    for (unsigned i = 1; i < 4; i++)
        g_assert_cmpuint(loads[i].work, ==, 0);
    for (int i = 0; i < 100; i++) {
        pass(&watched, 0);
        g_assert_cmpuint(loads[0].work, <=, before);
        before = loads[0].work;
    }
    g_assert_cmpuint(loads[0].work, ==, 0);
    unwatch(&watched);
}

static void test_work_of_all_weighs_nothing(void)
{
    struct watched watched;
    watch(&watched);
    for (int i = 0; i < 100; i++) {
        for (unsigned r = 1; r < 4; r++)
            watched.busy_ns[r] += 100 * MS;
        pass(&watched, 100);
    }
    for (unsigned r = 0; r < 4; r++)
        g_assert_cmpuint(watched.balance.loads[r].work, ==, 0);
    /* A time that seems to run backwards is none, and more than all of it is all. */
    watched.busy_ns[0] -= 50 * MS;
    pass(&watched, 0);
    g_assert_cmpuint(watched.balance.loads[0].work, ==, 0);
    for (int i = 0; i < 20; i++)
        pass(&watched, 100000);
    g_assert_cmpuint(watched.balance.loads[0].work, <=, 3);
    unwatch(&watched);
}

/* In user space nothing that was assigned stays away; a hash knows no loads. */
static void test_other_modes(void)
{
    const enum balance_mode modes[] = {BALANCE_HANDOFF, BALANCE_HASH};
    for (unsigned m = 0; m < 2; m++) {
        struct watched watched;
        watch(&watched);
        watched.balance.mode = modes[m];
        watched.balance.loads[0].assigned = 3;
        for (int i = 0; i < 50; i++)
            pass(&watched, 100);
        g_assert_cmpuint(watched.balance.loads[0].given_up, ==, 0);
        g_assert_cmpuint(asked, ==, 0);
        if (modes[m] == BALANCE_HASH)
            g_assert_cmpuint(watched.balance.loads[0].work, ==, 0);
        else
            g_assert_cmpuint(watched.balance.loads[0].work, >, 0);
        unwatch(&watched);
    }
}

/* --- life --- */

static void test_memory_is_short(void)
{
    const struct balance_sockets sockets = {.reactors = 3, .addresses = 1};
    char why[64];
    for (int at = 1; at <= 2; at++) {
        struct balance balance;
        allocation_fails_at = at;
        g_assert_cmpint(balance_open(&balance, BALANCE_HANDOFF, &sockets, why, sizeof(why)), ==,
                        -ENOMEM);
        allocation_fails_at = 0;
        balance_close(&balance);
    }
}

static void test_a_reactor_alone(void)
{
    struct balance balance;
    open_for(&balance, 1);
    balance.loads[0].open = 4;
    balance_review(&balance, 0, 1000 * MS, 0, waiting, queued);
    balance_review(&balance, 0, 2000 * MS, 1000 * MS, waiting, queued);
    g_assert_cmpuint(balance.loads[0].work, ==, 0);
    expect_kept(&balance, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balance/load", test_load);
    g_test_add_func("/balance/load-wraps-around", test_load_wraps_around);
    g_test_add_func("/balance/choose", test_choose);
    g_test_add_func("/balance/choose-among-equals", test_choose_among_equals);
    g_test_add_func("/balance/choose-weighs-all", test_choose_weighs_all);
    g_test_add_func("/balance/choose-looks-at-some", test_choose_looks_at_some);
    g_test_add_func("/balance/gives-up-what-does-not-come", test_gives_up_what_does_not_come);
    g_test_add_func("/balance/gives-up-only-what-stays", test_gives_up_only_what_stays);
    g_test_add_func("/balance/keeps-what-waits", test_keeps_what_waits_in_the_queue);
    g_test_add_func("/balance/gives-up-around-the-wrap", test_gives_up_around_the_wrap);
    g_test_add_func("/balance/work-weighs", test_work_weighs);
    g_test_add_func("/balance/work-of-all", test_work_of_all_weighs_nothing);
    g_test_add_func("/balance/other-modes", test_other_modes);
    g_test_add_func("/balance/memory-is-short", test_memory_is_short);
    g_test_add_func("/balance/a-reactor-alone", test_a_reactor_alone);
    return g_test_run();
}
