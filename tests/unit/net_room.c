/*
 * A server that is nearly full: who has been idle for the longest time makes room, here or on
 * another reactor, and nobody else.
 */
#include "net/connection.h"
#include "net_support.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

enum { CROWD = 20, AT_ONCE = 16 };

/* Clients that have been idle since different times, the first in `order` for the longest. */
struct crowd {
    struct net net;
    struct client clients[CROWD];
};

static void pass(struct net *net, uint64_t time_ms)
{
    clock_ahead_ns += time_ms * ms;
    net_turn(net);
}

static void crowd_open(struct crowd *crowd, unsigned (*order)(unsigned))
{
    struct net *net = &crowd->net;
    net_open(net);
    net->service.max_connections = CROWD + 10;
    clock_stands = true;
    for (int i = 0; i < CROWD; i++)
        client_init(&crowd->clients[i], net_pair(net), GET("/1"), strlen(GET("/1")));
    for (unsigned i = 0; i < CROWD; i++) {
        pass(net, 100);
        client_run(&crowd->clients[order(i)], net, 50);
    }
    pass(net, 999);
    net->service.max_connections = CROWD;
}

static void crowd_close(struct crowd *crowd)
{
    for (int i = 0; i < CROWD; i++)
        client_fini(&crowd->clients[i]);
    net_close(&crowd->net);
}

static unsigned count_open(struct crowd *crowd)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        client_step(&crowd->clients[i], &crowd->net);
        count += !crowd->clients[i].ended;
    }
    return count;
}

static unsigned forwards(unsigned i)
{
    return i;
}

static unsigned backwards(unsigned i)
{
    return CROWD - 1 - i;
}

static unsigned mixed_up(unsigned i)
{
    return i * 7 % CROWD;
}

static void check_longest_idle(unsigned (*order)(unsigned))
{
    struct crowd crowd;
    crowd_open(&crowd, order);
    g_assert_true(worker_reserve_connection(&crowd.net.worker));
    worker_release_connection(&crowd.net.worker);
    g_assert_cmpuint(count_open(&crowd), ==, CROWD - AT_ONCE);
    for (unsigned i = 0; i < CROWD; i++)
        g_assert_cmpint(crowd.clients[order(i)].ended, ==, i < AT_ONCE);
    crowd_close(&crowd);
}

static void test_longest_idle(void)
{
    check_longest_idle(forwards);
    check_longest_idle(backwards);
    check_longest_idle(mixed_up);
}

/* Whoever is in a request stays, however long nothing came from there. */
static void test_busy(void)
{
    struct crowd crowd;
    crowd_open(&crowd, forwards);
    for (unsigned i = 0; i < CROWD; i += 2)
        g_assert_cmpint(write(crowd.clients[i].fd, "GET", 3), ==, 3);
    pass(&crowd.net, 0);
    pass(&crowd.net, 3600000);
    g_assert_true(worker_reserve_connection(&crowd.net.worker));
    worker_release_connection(&crowd.net.worker);
    g_assert_cmpuint(count_open(&crowd), ==, CROWD / 2);
    for (unsigned i = 0; i < CROWD; i++)
        g_assert_cmpint(crowd.clients[i].ended, ==, i % 2);
    crowd_close(&crowd);
}

/* Idle for less than a second is busy, to the millisecond. */
static void test_not_idle_for_long(void)
{
    for (int late = 0; late < 2; late++) {
        struct crowd crowd;
        crowd_open(&crowd, forwards);
        for (unsigned i = 0; i < CROWD; i++) {
            crowd.clients[i].sent = 0;
            client_step(&crowd.clients[i], &crowd.net);
        }
        pass(&crowd.net, late ? 1000 : 999);
        g_assert_cmpint(worker_reserve_connection(&crowd.net.worker), ==, late);
        if (late)
            worker_release_connection(&crowd.net.worker);
        g_assert_cmpuint(count_open(&crowd), ==, late ? CROWD - AT_ONCE : CROWD);
        crowd_close(&crowd);
    }
}

/* While there is enough room nobody has to go. */
static void test_room_enough(void)
{
    struct crowd crowd;
    crowd_open(&crowd, forwards);
    pass(&crowd.net, 1000);
    crowd.net.service.max_connections = CROWD + 2; /* one in sixteen would be 1 */
    g_assert_true(worker_reserve_connection(&crowd.net.worker));
    g_assert_cmpuint(count_open(&crowd), ==, CROWD);
    g_assert_true(worker_reserve_connection(&crowd.net.worker));
    g_assert_cmpuint(count_open(&crowd), ==, CROWD - AT_ONCE);
    worker_release_connection(&crowd.net.worker);
    worker_release_connection(&crowd.net.worker);
    crowd_close(&crowd);
}

/* --- on another reactor --- */

/* A second worker of the same service, which a turn of its own reactor moves. */
static void other_open(struct worker *other, struct net *net)
{
    struct reactor *reactor = reactor_new();
    g_assert_nonnull(reactor);
    g_assert_cmpint(worker_init(other, reactor, &net->service, 1), ==, 0);
    http_date_renew(&other->date, 0);
    net->service.workers = other;
}

static void other_close(struct worker *other)
{
    struct reactor *reactor = other->reactor;
    worker_fini(other);
    g_assert_cmpint(reactor_destroy(reactor), ==, 0);
}

static void other_turn(struct worker *other)
{
    g_assert_cmpint(reactor_run(other->reactor, 0), ==, REACTOR_TIMEOUT);
}

/* Returns the end of a client that has just been answered. */
static int other_pair(struct worker *other)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_assert_true(worker_reserve_connection(other));
    const struct visitor nobody = {.fd = fds[1], .peer.any.sa_family = AF_UNSPEC};
    g_assert_cmpint(connection_open(other, &nobody), ==, 0);
    g_assert_cmpint(write(fds[0], GET("/1"), strlen(GET("/1"))), >, 0);
    other_turn(other);
    return fds[0];
}

/* Whoever finds no room asks, and the others make it when they come to it. */
static void test_other_worker(void)
{
    struct net net;
    struct worker other;
    net_open(&net);
    other_open(&other, &net);
    clock_stands = true;
    net.service.max_connections = 1;
    int fd = other_pair(&other);
    pass(&net, 1500);
    g_assert_false(worker_reserve_connection(&net.worker));
    g_assert_nonnull(other.connections);
    other_turn(&other);
    g_assert_null(other.connections);
    g_assert_true(worker_reserve_connection(&net.worker));
    worker_release_connection(&net.worker);
    close(fd);
    other_close(&other);
    net_close(&net);
}

/* At most every 100 ms, and in vain when nobody has been idle for long. */
static void test_other_worker_is_busy(void)
{
    struct net net;
    struct worker other;
    net_open(&net);
    other_open(&other, &net);
    clock_stands = true;
    net.service.max_connections = 2;
    int busy = net_pair(&net);
    g_assert_cmpint(write(busy, "GET", 3), ==, 3);
    pass(&net, 5000);
    int fd = other_pair(&other);
    for (int i = 0; i < 9; i++) {
        g_assert_false(worker_reserve_connection(&net.worker));
        g_assert_cmpint(atomic_load(&other.relief_asked), ==, i % 2 == 0);
        other_turn(&other);
        g_assert_nonnull(other.connections);
        pass(&net, i % 2 ? 1 : 99);
    }
    close(fd);
    close(busy);
    other_close(&other);
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/room/longest-idle", test_longest_idle);
    g_test_add_func("/net/room/busy", test_busy);
    g_test_add_func("/net/room/not-idle-for-long", test_not_idle_for_long);
    g_test_add_func("/net/room/room-enough", test_room_enough);
    g_test_add_func("/net/room/other-worker", test_other_worker);
    g_test_add_func("/net/room/other-worker-is-busy", test_other_worker_is_busy);
    return g_test_run();
}
