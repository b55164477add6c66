/*
 * Accepting: every failure of accept4(2) passes, none of them spins, and no client is lost. Over
 * TCP on the loopback interface, because only TCP has resets and backlogs.
 */
#include "net/listener.h"

#include "net/connection.h"
#include "net_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* A worker that listens on a port of its own. */
struct tcp {
    struct net net;
    struct address address;
};

static void tcp_open(struct tcp *tcp)
{
    net_open(&tcp->net);
    g_assert_true(address_parse("127.0.0.1:0", &tcp->address));
    int fd = listener_open(&tcp->address, 512);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(worker_listen(&tcp->net.worker, fd), ==, 0);
}

/* The connection is complete when this returns: the kernel answers for the listener. */
static int tcp_connect(const struct tcp *tcp)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(
        connect(fd, (const struct sockaddr *)&tcp->address.storage, tcp->address.length), ==, 0);
    g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
    return fd;
}

/* The client gets what it is owed, however long the worker wants to wait. */
static void serve(struct tcp *tcp, int fd)
{
    struct client client;
    g_autoptr(GByteArray) owed = owed_for(&tcp->net, GET("/1"), strlen(GET("/1")));
    client_init(&client, fd, GET("/1"), strlen(GET("/1")));
    while (client.received->len < owed->len && !client.ended) {
        clock_ahead_ns += 10 * ms;
        client_step(&client, &tcp->net);
    }
    expect_received(&client, owed);
    client_fini(&client);
}

/* The kernel may still be busy with what a client did: turns until accept4(2) was called so often,
 * or until no connection is left, but not for ever. */
enum { TURNS_MAX = 100000 };

static void turn_until_calls(struct tcp *tcp, unsigned calls)
{
    for (int i = 0; i < TURNS_MAX && inject_accept.calls < calls; i++)
        net_turn(&tcp->net);
    g_assert_cmpuint(inject_accept.calls, >=, calls);
}

static void turn_until_empty(struct tcp *tcp)
{
    for (int i = 0; i < TURNS_MAX && tcp->net.worker.connections; i++)
        net_turn(&tcp->net);
    g_assert_null(tcp->net.worker.connections);
}

static void expect_warning(void)
{
    g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "cannot accept connections for now*");
}

/* --- failures --- */

static void test_passing_failures(void)
{
    static const int errors[] = {EINTR,     ECONNABORTED, EPROTO,       EPERM,       ENETDOWN,
                                 EHOSTDOWN, ENONET,       EHOSTUNREACH, ENETUNREACH, EAGAIN};
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        struct tcp tcp;
        tcp_open(&tcp);
        g_test_message("%s", g_strerror(errors[i]));
        inject_once(&inject_accept, STEPS(-errors[i], -errors[i], 0, -errors[i]));
        serve(&tcp, tcp_connect(&tcp));
        serve(&tcp, tcp_connect(&tcp));
        g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 2);
        g_assert_cmpuint(atomic_load(&tcp.net.service.connections), <=, 1);
        net_close(&tcp.net);
    }
}

/* A shortage is warned of once, and accepting pauses instead of spinning. */
static void test_shortages(void)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        struct tcp tcp;
        tcp_open(&tcp);
        g_test_message("%s", g_strerror(errors[i]));
        inject_always(&inject_accept, STEPS(-errors[i]));
        int fd = tcp_connect(&tcp);
        expect_warning();
        clock_stands = true;
        turn_until_calls(&tcp, 1);
        for (int turn = 0; turn < 200; turn++)
            net_turn(&tcp.net);
        g_assert_cmpuint(inject_accept.calls, ==, 1);
        for (int turn = 0; turn < 20; turn++) {
            clock_ahead_ns += 101 * ms;
            net_turn(&tcp.net);
        }
        g_assert_cmpuint(inject_accept.calls, >=, 10);
        g_test_assert_expected_messages();
        g_assert_cmpuint(atomic_load(&tcp.net.service.connections), ==, 0);
        inject_nothing();
        serve(&tcp, fd);
        net_close(&tcp.net);
    }
}

/* A connection that closes makes room: no need to wait for the pause to end. */
static void test_shortage_ends_early(void)
{
    struct tcp tcp;
    struct client client;
    tcp_open(&tcp);
    client_init(&client, tcp_connect(&tcp), GET("/1"), strlen(GET("/1")));
    client_run(&client, &tcp.net, 100);
    inject_once(&inject_accept, STEPS(-EMFILE));
    clock_stands = true;
    expect_warning();
    int fd = tcp_connect(&tcp);
    turn_until_calls(&tcp, 1);
    g_test_assert_expected_messages();
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 1);
    client_fini(&client);
    turn_until_calls(&tcp, 2);
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 2);
    serve(&tcp, fd);
    net_close(&tcp.net);
}

/* accept(2) says that descriptors are short before it looks for a client. */
static void test_shortage_for_nobody(void)
{
    struct tcp tcp;
    tcp_open(&tcp);
    inject_once(&inject_accept, STEPS(-EMFILE, -ENFILE));
    for (int i = 0; i < 2; i++) {
        listener_accept_all(&tcp.net.worker.listeners[0]); /* a warning would end the test */
        g_assert_false(tcp.net.worker.listeners[0].paused);
    }
    g_assert_cmpuint(inject_accept.calls, ==, 2);
    serve(&tcp, tcp_connect(&tcp));
    net_close(&tcp.net);
}

/* The warning comes back when the shortage is still there after a while. */
static void test_warning_again(void)
{
    struct tcp tcp;
    tcp_open(&tcp);
    inject_always(&inject_accept, STEPS(-EMFILE));
    int fd = tcp_connect(&tcp);
    for (int i = 0; i < 3; i++) {
        expect_warning();
        clock_ahead_ns += 11000 * ms;
        turn_until_calls(&tcp, inject_accept.calls + 1);
        g_test_assert_expected_messages();
    }
    inject_nothing();
    serve(&tcp, fd);
    net_close(&tcp.net);
}

/* Without memory for the connection, the client waits in the backlog until there is some. */
static void test_memory_before_accepting(void)
{
    struct tcp tcp;
    tcp_open(&tcp);
    int fd = tcp_connect(&tcp);
    memory_fails_in = 1;
    expect_warning();
    while (memory_fails_in)
        net_turn(&tcp.net);
    g_test_assert_expected_messages();
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 0);
    clock_ahead_ns += 101 * ms;
    serve(&tcp, fd);
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 1);
    net_close(&tcp.net);
}

/* Without memory to watch the accepted socket, that client is closed, the next one is not. */
static void test_memory_after_accepting(void)
{
    struct tcp tcp;
    struct client client;
    tcp_open(&tcp);
    client_init(&client, tcp_connect(&tcp), "", 0);
    memory_fails_in = 2;
    expect_warning();
    client_run_to_end(&client, &tcp.net);
    g_test_assert_expected_messages();
    g_assert_cmpint(memory_fails_in, ==, 0);
    g_assert_cmpuint(atomic_load(&tcp.net.service.connections), ==, 0);
    client_fini(&client);
    clock_ahead_ns += 101 * ms;
    serve(&tcp, tcp_connect(&tcp));
    net_close(&tcp.net);
}

/* --- how many --- */

/* More than are accepted in one turn, all at once. */
static void test_many(void)
{
    struct tcp tcp;
    int fds[200];
    tcp_open(&tcp);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = tcp_connect(&tcp);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        serve(&tcp, fds[i]);
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, G_N_ELEMENTS(fds));
    net_close(&tcp.net);
}

/* Clients over the limit wait in the backlog until another one closes. */
static void test_max_connections(void)
{
    struct tcp tcp;
    struct client clients[3];
    tcp_open(&tcp);
    tcp.net.service.max_connections = 2;
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        client_init(&clients[i], tcp_connect(&tcp), GET("/1"), strlen(GET("/1")));
    client_run(&clients[0], &tcp.net, 100);
    client_run(&clients[1], &tcp.net, 100);
    for (int turn = 0; turn < 100; turn++) {
        clock_ahead_ns += 5 * ms;
        client_step(&clients[2], &tcp.net);
    }
    g_assert_cmpuint(clients[2].received->len, ==, 0);
    g_assert_false(clients[2].ended);
    g_assert_cmpuint(atomic_load(&tcp.net.service.connections), ==, 2);
    client_fini(&clients[0]);
    client_run(&clients[2], &tcp.net, 100);
    g_assert_cmpuint(tcp.net.worker.accepted_total, ==, 3);
    client_fini(&clients[1]);
    client_fini(&clients[2]);
    net_close(&tcp.net);
}

/* A read stops at urgent data, before the socket is empty; that byte is not part of the stream. */
static void test_urgent_data(void)
{
    static const char request[] = GET("/1");
    for (size_t at = 0; at < sizeof(request); at += 7) {
        struct tcp tcp;
        struct client client;
        size_t length = strlen(request);
        tcp_open(&tcp);
        g_autoptr(GByteArray) owed = owed_for(&tcp.net, request, length);
        client_init(&client, tcp_connect(&tcp), "", 0);
        g_assert_cmpint(write(client.fd, request, at), ==, (ssize_t)at);
        g_assert_cmpint(send(client.fd, "!", 1, MSG_OOB), ==, 1);
        g_assert_cmpint(write(client.fd, request + at, length - at), ==, (ssize_t)(length - at));
        client_run(&client, &tcp.net, owed->len);
        expect_received(&client, owed);
        client_fini(&client);
        net_close(&tcp.net);
    }
}

/* --- resets --- */

/* A client that says too much still gets its answer: nothing of what it says resets the connection.
 */
static void check_no_reset(const char *beginning)
{
    struct tcp tcp;
    struct client client;
    tcp_open(&tcp);
    g_autoptr(GString) stream = g_string_new(beginning);
    g_autoptr(GByteArray) owed = owed_for(&tcp.net, stream->str, stream->len);
    for (int i = 0; i < 20000; i++)
        g_string_append(stream, "and so on, for a megabyte or so, in the same way\r\n");
    client_init(&client, tcp_connect(&tcp), stream->str, stream->len);
    client_run_to_end(&client, &tcp.net);
    g_assert_cmpint(client.error, ==, 0);
    expect_received(&client, owed);
    client_fini(&client);
    net_close(&tcp.net);
}

static void test_no_reset_before_the_answer(void)
{
    check_no_reset(GET("/1") "no request\r\n\r\n");
    check_no_reset("POST /1" FIELDS "Content-Length: 1048577\r\n\r\n");
    check_no_reset("POST /1" FIELDS "Connection: close\r\nContent-Length: 900000\r\n\r\n");
    check_no_reset("POST /1" FIELDS "Expect: 100-continue\r\nContent-Length: 900000\r\n\r\n");
}

/* Resets while the connection reads, writes and lingers: the next client is served. */
static void test_reset(void)
{
    static const char *const streams[] = {"",        "GET /un",
                                          GET("/1"), GET("/large") GET("/large"),
                                          "\n",      "POST /" FIELDS "Content-Length: 9\r\n\r\n"};
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        struct tcp tcp;
        tcp_open(&tcp);
        int fd = tcp_connect(&tcp);
        size_t length = strlen(streams[i]);
        g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), ==, 0);
        g_assert_cmpint(write(fd, streams[i], length), ==, (ssize_t)length);
        for (int turn = 0; turn < 3; turn++)
            net_turn(&tcp.net);
        close(fd);
        turn_until_empty(&tcp);
        serve(&tcp, tcp_connect(&tcp));
        net_close(&tcp.net);
    }
}

/* --- opening and closing --- */

static void test_probe(void)
{
    struct tcp tcp;
    tcp_open(&tcp);
    g_assert_cmpuint(address_port(&tcp.address), >, 0);
    g_assert_cmpint(listener_probe(&tcp.address), ==, -EADDRINUSE);
    /* The library's own listeners share the port. */
    struct address same = tcp.address;
    int fd = listener_open(&same, 1);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(address_port(&same), ==, address_port(&tcp.address));
    g_assert_cmpint(close(fd), ==, 0);
    listener_close(&tcp.net.worker.listeners[0]);
    listener_close(&tcp.net.worker.listeners[0]);
    g_assert_cmpint(listener_probe(&tcp.address), ==, 0);
    net_close(&tcp.net);
}

static void test_not_our_address(void)
{
    struct address address;
    g_assert_true(address_parse("192.0.2.1:0", &address)); /* TEST-NET-1 */
    int error = listener_open(&address, 1);
    if (error == -EADDRNOTAVAIL)
        g_assert_cmpint(listener_probe(&address), ==, -EADDRNOTAVAIL);
    else
        g_test_skip("this machine may bind to any address");
    if (error >= 0)
        close(error);
}

/* --- draining --- */

/* The client has said GET /1, and is answered with Connection: close. */
static void expect_last_answer(struct tcp *tcp, struct client *client)
{
    g_autoptr(GByteArray) owed = owed_for(&tcp->net, GET("/1"), strlen(GET("/1")));
    client_run_to_end(client, &tcp->net);
    g_assert_cmpuint(client->received->len, ==, owed->len + strlen("Connection: close\r\n"));
    g_assert_cmpint(client->error, ==, 0);
    client_fini(client);
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

/* A shortage at the end of the time of grace is no reason to drop who waits. */
static void test_drain_in_a_shortage(void)
{
    struct tcp tcp;
    struct client client;
    tcp_open(&tcp);
    connect_and_ask(&tcp, &client);
    inject_always(&inject_accept, STEPS(-EMFILE));
    expect_warning();
    turn_until_calls(&tcp, 1);
    worker_drain(tcp.net.reactor, &tcp.net.worker);
    for (int i = 0; i < 200; i++) {
        clock_ahead_ns += 10 * ms;
        net_turn(&tcp.net);
    }
    g_test_assert_expected_messages();
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
    tcp_open(&tcp);
    connect_and_ask(&tcp, &client);
    inject_always(&inject_accept, STEPS(-EMFILE));
    expect_warning();
    turn_until_calls(&tcp, 1);
    g_test_assert_expected_messages();
    tcp.net.worker.next_warning_ns = UINT64_MAX;
    worker_drain(tcp.net.reactor, &tcp.net.worker);
    clock_ahead_ns += tcp.net.service.drain_timeout_ms * ms;
    drain_to_the_end(&tcp);
    g_assert_true(tcp.net.worker.left_waiting);
    client_fini(&client);
    net_close(&tcp.net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/listener/passing-failures", test_passing_failures);
    g_test_add_func("/net/listener/shortages", test_shortages);
    g_test_add_func("/net/listener/shortage-ends-early", test_shortage_ends_early);
    g_test_add_func("/net/listener/shortage-for-nobody", test_shortage_for_nobody);
    g_test_add_func("/net/listener/warning-again", test_warning_again);
    g_test_add_func("/net/listener/memory-before-accepting", test_memory_before_accepting);
    g_test_add_func("/net/listener/memory-after-accepting", test_memory_after_accepting);
    g_test_add_func("/net/listener/many", test_many);
    g_test_add_func("/net/listener/max-connections", test_max_connections);
    g_test_add_func("/net/listener/urgent-data", test_urgent_data);
    g_test_add_func("/net/listener/no-reset-before-the-answer", test_no_reset_before_the_answer);
    g_test_add_func("/net/listener/reset", test_reset);
    g_test_add_func("/net/listener/probe", test_probe);
    g_test_add_func("/net/listener/not-our-address", test_not_our_address);
    g_test_add_func("/net/listener/drain-serves-the-backlog", test_drain_serves_the_backlog);
    g_test_add_func("/net/listener/drain-in-a-shortage", test_drain_in_a_shortage);
    g_test_add_func("/net/listener/drain-leaves-waiting", test_drain_leaves_waiting);
    return g_test_run();
}
