/*
 * Draining with clients in the backlog: they are served, and nobody is lost without being counted.
 */
#include "tcp_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* The client has said GET /1, and is answered with Connection: close. */
static void expect_last_answer(struct tcp *tcp, struct client *client)
{
    g_autoptr(GByteArray) owed = owed_for(&tcp->net, GET("/1"), strlen(GET("/1")));
    expect_last(client, &tcp->net, owed);
}

static void connect_and_ask(struct tcp *tcp, struct client *client)
{
    client_init(client, tcp_connect(tcp), GET("/1"), strlen(GET("/1")));
    client->sent = (size_t)write(client->fd, GET("/1"), strlen(GET("/1")));
    g_assert_cmpuint(client->sent, ==, client->length);
}

static void drain_to_the_end(struct tcp *tcp)
{
    int outcome = REACTOR_TIMEOUT;
    for (int i = 0; i < 1000 && outcome == REACTOR_TIMEOUT; i++) {
        clock_ahead_ns += 10 * ms;
        outcome = reactor_run(tcp->net.reactor, 0);
    }
    g_assert_cmpint(outcome, ==, REACTOR_STOPPED);
    g_assert_cmpint(tcp->net.worker.listeners[0].fd, ==, -1);
}

/* Clients that are in the backlog when a drain begins are served, and those that get there in the
 * time of grace. */
static void test_drain_serves_the_backlog(void)
{
    struct tcp tcp;
    struct client clients[20];
    struct client late;
    tcp_open(&tcp);
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        connect_and_ask(&tcp, &clients[i]);
    worker_drain(tcp.net.reactor, &tcp.net.worker);
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        expect_last_answer(&tcp, &clients[i]);
    clock_stands = true;
    net_turn(&tcp.net);
    connect_and_ask(&tcp, &late);
    listener_refuse_new(tcp.net.worker.listeners[0].fd);
    clock_ahead_ns += 2 * DRAIN_GRACE_MS * ms;
    expect_last_answer(&tcp, &late);
    drain_to_the_end(&tcp);
    net_close(&tcp.net);
}

/* A client waits in the backlog, and there is a shortage when the drain begins. */
static void drain_in_a_shortage(struct tcp *tcp, struct client *client)
{
    static const int step = -EMFILE;
    tcp_open(tcp);
    connect_and_ask(tcp, client);
    inject_always(&inject_accept, &step, 1);
    expect_warning();
    turn_until_calls(tcp, 1);
    g_test_assert_expected_messages();
    tcp->net.worker.next_warning_ns = UINT64_MAX;
    worker_drain(tcp->net.reactor, &tcp->net.worker);
}

/* A shortage at the end of the time of grace is no reason to drop who waits. */
static void test_drain_in_a_shortage(void)
{
    struct tcp tcp;
    struct client client;
    drain_in_a_shortage(&tcp, &client);
    for (int i = 0; i < 200; i++) {
        clock_ahead_ns += 10 * ms;
        net_turn(&tcp.net);
    }
    g_assert_cmpint(tcp.net.worker.listeners[0].fd, >=, 0);
    inject_nothing();
    clock_ahead_ns += 101 * ms;
    expect_last_answer(&tcp, &client);
    drain_to_the_end(&tcp);
    g_assert_false(tcp.net.worker.left_waiting);
    net_close(&tcp.net);
}

/* At the deadline it is, and it is known. */
static void test_drain_leaves_waiting(void)
{
    struct tcp tcp;
    struct client client;
    drain_in_a_shortage(&tcp, &client);
    clock_ahead_ns += tcp.net.service.drain_timeout_ms * ms;
    drain_to_the_end(&tcp);
    g_assert_true(tcp.net.worker.left_waiting);
    client_fini(&client);
    net_close(&tcp.net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/backlog/serves-the-backlog", test_drain_serves_the_backlog);
    g_test_add_func("/net/backlog/in-a-shortage", test_drain_in_a_shortage);
    g_test_add_func("/net/backlog/leaves-waiting", test_drain_leaves_waiting);
    return g_test_run();
}
