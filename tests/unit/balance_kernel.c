/*
 * The program in the kernel, with real sockets and connections: whom it chooses and what it counts.
 * No reactor runs; the test accepts when it wants to.
 */
#include "listeners_support.h"
#include "segment_support.h"

#include <glib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int accept_from(const struct listeners *listeners, unsigned reactor, unsigned address)
{
    return accept(listeners->fds[reactor * listeners->sockets.addresses + address], NULL, NULL);
}

static unsigned count_assigned(const struct listeners *listeners)
{
    unsigned sum = 0;
    for (unsigned r = 0; r < listeners->sockets.reactors; r++)
        sum += __atomic_load_n(&listeners->loads[r].assigned, __ATOMIC_RELAXED);
    return sum;
}

/* --- choosing --- */

static void test_any_number_of_reactors(void)
{
    enum { SPARE_DESCRIPTORS = 64 };
    const unsigned counts[] = {1, 2, 3, 8, 64, 256, LOADS_MAX};
    unsigned descriptors_max = raise_descriptors();
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        struct listeners listeners;
        int clients[5];
        unsigned descriptors = count_descriptors();
        if (counts[i] + descriptors + SPARE_DESCRIPTORS > descriptors_max) {
            g_test_message("too few descriptors for %u reactors", counts[i]);
            return;
        }
        if (!open_listeners(&listeners, counts[i], one_address))
            return;
        g_assert_cmpuint(count_descriptors(), ==, descriptors + counts[i]);
        expect_even(&listeners, 0);
        for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++) {
            clients[c] = connect_to(&listeners.addresses[0]);
            expect_even(&listeners, c + 1);
        }
        for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
            close(clients[c]);
        close_listeners(&listeners);
        g_assert_cmpuint(count_descriptors(), ==, descriptors);
    }
}

static void test_too_many_reactors(void)
{
    const struct balance_sockets sockets = {.reactors = LOADS_MAX + 1, .addresses = 1};
    char why[128] = "";
    g_assert_null(balance_kernel_open(&sockets, why, sizeof(why)));
    g_assert_cmpstr(why, ==, "it is for 1024 reactors at most");
}

/* Whether each is accepted at once or all wait, they lie where they were counted. */
static void spread(bool accept_at_once)
{
    enum { REACTORS = 8, CLIENTS = 100 };
    struct listeners listeners;
    int clients[CLIENTS];
    int served[2 * CLIENTS];
    unsigned served_count = 0;
    if (!open_listeners(&listeners, REACTORS, two_addresses))
        return;
    for (unsigned c = 0; c < CLIENTS; c++) {
        clients[c] = connect_to(&listeners.addresses[c % 2]);
        for (unsigned r = 0; accept_at_once && r < REACTORS; r++) {
            int fd = accept_from(&listeners, r, c % 2);
            if (fd < 0)
                continue;
            load_open(&listeners.loads[r], 1);
            load_settle(&listeners.loads[r]);
            g_assert_cmpint(load_pending(&listeners.loads[r]), ==, 0);
            served[served_count++] = fd;
        }
        expect_even(&listeners, c + 1);
    }
    g_assert_cmpuint(served_count, ==, accept_at_once ? CLIENTS : 0);
    for (unsigned r = 0; r < REACTORS; r++) {
        unsigned waiting = 0;
        for (unsigned a = 0; a < 2; a++) {
            int fd;
            while ((fd = accept_from(&listeners, r, a)) >= 0) {
                waiting++;
                served[served_count++] = fd;
            }
        }
        g_assert_cmpint(load_pending(&listeners.loads[r]), ==, (int)waiting);
    }
    g_assert_cmpuint(served_count, ==, CLIENTS);
    for (unsigned c = 0; c < CLIENTS; c++) {
        close(clients[c]);
        close(served[c]);
    }
    close_listeners(&listeners);
}

static void test_spread_of_what_waits(void)
{
    spread(false);
}

static void test_spread_of_what_is_served(void)
{
    spread(true);
}

/* Each part of a load counts, also around the wrap; what is left over goes to any of the equals. */
static void test_weighs_what_load_of_weighs(void)
{
    struct listeners listeners;
    int clients[80];
    if (!open_listeners(&listeners, 6, one_address))
        return;
    struct load *loads = listeners.loads;
    loads[0].open = 100;
    loads[1].work = 100;
    loads[2].assigned = 50;
    loads[2].settled = UINT32_MAX - 49;
    loads[3] = (struct load){.assigned = 30, .settled = 10, .given_up = (__u32)-80};
    loads[4].settled = 10; /* a load is never less than none */
    for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
        clients[c] = connect_to(&listeners.addresses[0]);
    for (unsigned r = 0; r < 4; r++)
        g_assert_cmpuint(load_of(&loads[r]), ==, 100);
    /* 10 are needed before it shows that it has any. */
    g_assert_cmpuint(loads[4].assigned, >=, 10);
    g_assert_cmpuint(loads[4].assigned + loads[5].assigned, ==, G_N_ELEMENTS(clients));
    g_assert_cmpuint(abs((int)load_of(&loads[4]) - (int)load_of(&loads[5])), <=, 1);
    for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
        close(clients[c]);
    close_listeners(&listeners);
}

static void test_equals_take_turns(void)
{
    struct listeners listeners;
    bool chosen[4] = {false};
    if (!open_listeners(&listeners, 4, one_address))
        return;
    /* All loads are 0 each time; that one is never chosen has a chance of 4 in 10^25. */
    for (unsigned c = 0; c < 200; c++) {
        close(connect_to(&listeners.addresses[0]));
        for (unsigned r = 0; r < 4; r++) {
            chosen[r] |= load_pending(&listeners.loads[r]) > 0;
            listeners.loads[r].settled = listeners.loads[r].assigned;
        }
    }
    for (unsigned r = 0; r < 4; r++)
        g_assert_true(chosen[r]);
    close_listeners(&listeners);
}

/* A socket that is closed is not chosen; the kernel's hash finds another, and nothing is counted.
 */
static void test_a_closed_listener(void)
{
    struct listeners listeners;
    if (!open_listeners(&listeners, 2, one_address))
        return;
    listeners.loads[1].open = 1000;
    int client = connect_to(&listeners.addresses[0]);
    g_assert_cmpuint(listeners.loads[0].assigned, ==, 1);
    close(client);
    close(listeners.fds[0]);
    listeners.fds[0] = -1;
    client = connect_to(&listeners.addresses[0]);
    g_assert_cmpuint(count_assigned(&listeners), ==, 1);
    int served = accept_from(&listeners, 1, 0);
    g_assert_cmpint(served, >=, 0);
    close(served);
    close(client);
    close_listeners(&listeners);
}

/* --- clients that do not complete the handshake --- */

static unsigned nothing_waits(void *arg, unsigned index)
{
    (void)arg, (void)index;
    return 0;
}

static void wait_for_assigned(const struct listeners *listeners, unsigned count)
{
    int64_t until_us = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (count_assigned(listeners) != count) {
        g_assert_cmpint(g_get_monotonic_time(), <, until_us);
        g_usleep(1000);
    }
}

static void test_half_a_handshake(void)
{
    enum { REACTORS = 4, SEGMENTS = 40 };
    struct listeners listeners;
    int raw = segment_socket();
    if (raw < 0) {
        g_test_skip("raw sockets are not permitted");
        return;
    }
    if (!open_listeners(&listeners, REACTORS, one_address)) {
        close(raw);
        return;
    }
    unsigned port = address_port(&listeners.addresses[0]);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        segment_send(raw, 1024 + i, port, SEGMENT_ACK);
        segment_send(raw, 1024 + i, port, SEGMENT_SYN | SEGMENT_ACK);
        segment_send(raw, 1024 + i, port, SEGMENT_RST);
        segment_send(raw, 1024 + i, port, SEGMENT_SYN);
    }
    wait_for_assigned(&listeners, SEGMENTS);
    expect_even(&listeners, SEGMENTS);

    struct balance balance;
    char why[64];
    const struct balance_sockets none = {.reactors = REACTORS, .addresses = 1};
    g_assert_cmpint(balance_open(&balance, BALANCE_HANDOFF, &none, why, sizeof(why)), ==, 0);
    struct load *own = balance.loads;
    balance.mode = BALANCE_LEAST;
    balance.loads = listeners.loads;
    for (uint64_t ms = 10000; ms < 13000; ms += 100) {
        for (unsigned r = 0; r < REACTORS; r++)
            balance_review(&balance, r, ms * 1000000, 0, nothing_waits, NULL);
    }
    expect_even(&listeners, 0);
    balance.mode = BALANCE_HANDOFF;
    balance.loads = own;
    balance_close(&balance);
    close_listeners(&listeners);
    close(raw);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balance-kernel/any-number", test_any_number_of_reactors);
    g_test_add_func("/balance-kernel/too-many", test_too_many_reactors);
    g_test_add_func("/balance-kernel/spread-waiting", test_spread_of_what_waits);
    g_test_add_func("/balance-kernel/spread-served", test_spread_of_what_is_served);
    g_test_add_func("/balance-kernel/weighs", test_weighs_what_load_of_weighs);
    g_test_add_func("/balance-kernel/equals", test_equals_take_turns);
    g_test_add_func("/balance-kernel/closed", test_a_closed_listener);
    g_test_add_func("/balance-kernel/half-a-handshake", test_half_a_handshake);
    return g_test_run();
}
