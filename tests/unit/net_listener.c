/*
 * Accepting: every failure of accept4(2) passes, none of them spins, and no client is lost. Over
 * TCP on the loopback interface, because only TCP has resets and backlogs.
 */
#include "net/clients.h"
#include "tcp_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

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
        g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 2);
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
        if (errors[i] != ENOMEM) /* that is written without GLib, which needs memory for it */
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
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 1);
    client_fini(&client);
    turn_until_calls(&tcp, 2);
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 2);
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
    while (memory_fails_in)
        net_turn(&tcp.net);
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 0);
    clock_ahead_ns += 101 * ms;
    serve(&tcp, fd);
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 1);
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
    client_run_to_end(&client, &tcp.net);
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
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, G_N_ELEMENTS(fds));
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
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 3);
    client_fini(&clients[1]);
    client_fini(&clients[2]);
    net_close(&tcp.net);
}

/* One address has so many connections and no more; others are not concerned. */
static void test_max_connections_of_a_client(void)
{
    struct tcp tcp;
    struct client clients[3];
    tcp_open(&tcp);
    tcp.net.service.clients = clients_new(100, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        client_init(&clients[i], tcp_connect(&tcp), GET("/1"), strlen(GET("/1")));
    client_run(&clients[0], &tcp.net, 100);
    client_run(&clients[1], &tcp.net, 100);
    client_run_to_end(&clients[2], &tcp.net);
    g_assert_cmpuint(clients[2].received->len, ==, 0);
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.refused[REFUSED_CLIENT_LIMIT]), ==, 1);
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.accepted), ==, 2);
    g_assert_cmpuint(atomic_load(&tcp.net.service.connections), ==, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        client_fini(&clients[i]);
    turn_until_empty(&tcp);
    serve(&tcp, tcp_connect(&tcp));
    g_assert_cmpuint(counter_read(&tcp.net.worker.metrics.refused[REFUSED_CLIENT_LIMIT]), ==, 1);
    turn_until_empty(&tcp);
    clients_free(tcp.net.service.clients);
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
    g_test_add_func("/net/listener/max-connections-of-a-client", test_max_connections_of_a_client);
    g_test_add_func("/net/listener/urgent-data", test_urgent_data);
    g_test_add_func("/net/listener/no-reset-before-the-answer", test_no_reset_before_the_answer);
    g_test_add_func("/net/listener/reset", test_reset);
    g_test_add_func("/net/listener/probe", test_probe);
    g_test_add_func("/net/listener/not-our-address", test_not_our_address);
    return g_test_run();
}
