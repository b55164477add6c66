/*
 * A connection's conversation: whatever the sockets and the memory do, the client receives exactly
 * the answers it is owed, or the connection ends and nothing is left of it.
 */
#include "net/connection.h"

#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

/* --- conversations --- */

struct conversation {
    const char *bytes;
    size_t piece;
    const int *recv_steps;
    size_t recv_count;
    const int *send_steps;
    size_t send_count;
};

/* The whole conversation, answered to the byte; the connection is idle after it, and ends well. */
static void check_conversation(const struct conversation *conversation)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GByteArray) owed = owed_for(&net, conversation->bytes, strlen(conversation->bytes));
    client_init(&client, net_pair(&net), conversation->bytes, strlen(conversation->bytes));
    client.piece = conversation->piece;
    inject_always(&inject_recv, conversation->recv_steps, conversation->recv_count);
    inject_always(&inject_send, conversation->send_steps, conversation->send_count);
    client_run(&client, &net, owed->len);
    for (int i = 0; i < 4; i++)
        client_step(&client, &net);
    expect_received(&client, owed);
    g_assert_false(client.ended);
    g_assert_false(connection_is_busy(net.worker.connections));
    inject_nothing();
    shutdown(client.fd, SHUT_WR);
    client_run_to_end(&client, &net);
    g_assert_cmpint(client.error, ==, 0);
    g_assert_null(net.worker.connections);
    g_assert_cmpuint(atomic_load(&net.service.connections), ==, 0);
    client_fini(&client);
    net_close(&net);
}

static void test_pieces(void)
{
    static const size_t pieces[] = {1, 2, 3, 5, 17, 64, 100, 333, SIZE_MAX};
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++)
        check_conversation(&(struct conversation){mixed, pieces[i], NULL, 0, NULL, 0});
}

static void test_short_reads(void)
{
    const struct conversation conversations[] = {
        {mixed, SIZE_MAX, STEPS(1), NULL, 0},
        {mixed, SIZE_MAX, STEPS(7), NULL, 0},
        {mixed, SIZE_MAX, STEPS(-EINTR, 3), NULL, 0},
        {mixed, SIZE_MAX, STEPS(-EAGAIN, -EAGAIN, 50), NULL, 0},
        {mixed, 19, STEPS(-EINTR, -EINTR, 0, -EAGAIN), NULL, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(conversations); i++)
        check_conversation(&conversations[i]);
}

static void test_short_writes(void)
{
    const struct conversation conversations[] = {
        {mixed, SIZE_MAX, NULL, 0, STEPS(1)},
        {mixed, SIZE_MAX, NULL, 0, STEPS(1, -EAGAIN)},
        {mixed, 40, NULL, 0, STEPS(-EAGAIN, 100)},
        {mixed, SIZE_MAX, NULL, 0, STEPS(-EINTR, -EINTR, 10)},
        {mixed, SIZE_MAX, NULL, 0, STEPS(-EAGAIN, -EINTR, 1, -EAGAIN, 33)},
        {mixed, 3, NULL, 0, STEPS(60, -EAGAIN, -EAGAIN)},
        {GET("/large") GET("/1"), SIZE_MAX, NULL, 0, STEPS(997)},
        {GET("/1") GET("/large") "HEAD /large" FIELDS "\r\n" GET("/large") GET("/2"), SIZE_MAX,
         NULL, 0, STEPS(9973, -EAGAIN)},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(conversations); i++)
        check_conversation(&conversations[i]);
}

static void test_both_short(void)
{
    check_conversation(&(struct conversation){mixed, 11, STEPS(1, 2, -EINTR), STEPS(1, -EAGAIN)});
    check_conversation(&(struct conversation){mixed, SIZE_MAX, STEPS(-EAGAIN, 500, 1),
                                              STEPS(-EAGAIN, 77, -EINTR, 1)});
}

/* More answers than are collected before one send, and more than the socket takes. */
static void test_long_pipeline(void)
{
    g_autoptr(GString) many = g_string_new(NULL);
    const int count = g_test_quick() ? 2000 : 20000;
    for (int i = 0; i < count; i++)
        g_string_append(many, i % 100 == 99 ? GET("/none") : GET("/constant"));
    check_conversation(&(struct conversation){many->str, SIZE_MAX, NULL, 0, NULL, 0});
    check_conversation(
        &(struct conversation){many->str, SIZE_MAX, STEPS(1000), STEPS(5000, -EAGAIN)});
}

/* Bodies are skipped, whatever they look like and however they arrive. */
static void test_bodies(void)
{
    static const size_t lengths[] = {1,      2,      100, READ_MAX - 1, READ_MAX, READ_MAX + 1,
                                     200000, 1 << 20};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GString) stream = g_string_new(NULL);
        g_string_printf(stream, "POST /1" FIELDS "Content-Length: %zu\r\n\r\n", lengths[i]);
        for (size_t at = 0; at < lengths[i]; at++)
            g_string_append_c(stream, "GET / HTTP/1.0\r\n\r\n"[at % 18]);
        g_string_append(stream, GET("/2"));
        check_conversation(&(struct conversation){stream->str, SIZE_MAX, NULL, 0, NULL, 0});
        check_conversation(
            &(struct conversation){stream->str, 3001, STEPS(700, -EINTR), STEPS(20)});
    }
}

/* --- endings --- */

/* Everything that is owed arrives, and then the end, without a reset. */
static void check_ending(const char *bytes, size_t piece, const char *last_status)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GByteArray) owed = owed_for(&net, bytes, strlen(bytes));
    client_init(&client, net_pair(&net), bytes, strlen(bytes));
    client.piece = piece;
    client_run_to_end(&client, &net);
    g_assert_cmpint(client.error, ==, 0);
    expect_received(&client, owed);
    g_autofree char *text = g_strndup((const char *)owed->data, owed->len);
    g_assert_true(g_str_has_prefix(g_strrstr(text, "HTTP/1.1 "), last_status));
    client_fini(&client);
    net_turn(&net);
    net_turn(&net);
    g_assert_null(net.worker.connections);
    net_close(&net);
}

static void test_endings(void)
{
    static const struct {
        const char *bytes;
        const char *last_status;
    } endings[] = {
        {"GET /1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 "},
        {"GET /1" FIELDS "Connection: close\r\n\r\n", "HTTP/1.1 200 "},
        {GET("/1") "HEAD /1" FIELDS "Connection: close\r\n\r\n" GET("/never"), "HTTP/1.1 200 "},
        {"GET /large" FIELDS "Connection: close\r\n\r\n", "HTTP/1.1 200 "},
        {GET("/1") "rubbish\r\n\r\n" GET("/never"), "HTTP/1.1 400 "},
        {GET("/1") "GET / HTTP/1.1\n", "HTTP/1.1 400 "},
        {"POST /1" FIELDS "Content-Length: 1048577\r\n\r\nabc", "HTTP/1.1 413 "},
        {"POST /1" FIELDS "Expect: x\r\n\r\n", "HTTP/1.1 417 "},
        {"POST /1" FIELDS "Transfer-Encoding: x, chunked\r\n\r\n", "HTTP/1.1 501 "},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 501 "},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
        {"POST /1" FIELDS "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 "},
        {"POST /1" FIELDS "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" GET("/never"),
         "HTTP/1.1 200 "},
        {"POST /1" FIELDS "Connection: close\r\nContent-Length: 3\r\n\r\nabc" GET("/never"),
         "HTTP/1.1 200 "},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_test_message("%s", endings[i].bytes);
        check_ending(endings[i].bytes, SIZE_MAX, endings[i].last_status);
        check_ending(endings[i].bytes, 1, endings[i].last_status);
    }
}

/* An answer to HEAD has no body, whatever is wrong with the rest of the request. */
static void test_refused_head(void)
{
    static const char *const streams[] = {"HEAD /#" FIELDS "\r\n", "\r\nHEAD /#" FIELDS "\r\n",
                                          "HEAD / HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        struct net net;
        struct client client;
        net_open(&net);
        client_init(&client, net_pair(&net), streams[i], strlen(streams[i]));
        client_run_to_end(&client, &net);
        g_autofree char *text = g_strndup((char *)client.received->data, client.received->len);
        g_assert_true(g_str_has_prefix(text, "HTTP/1.1 400 "));
        g_assert_true(g_str_has_suffix(text, "\r\n\r\n"));
        client_fini(&client);
        net_close(&net);
    }
}

/* Limits that only show while the head is still coming. */
static void test_endless(void)
{
    g_autofree char *path = g_strnfill(20000, 'p');
    g_autofree char *target = g_strconcat("GET /", path, NULL);
    g_autofree char *field = g_strconcat(GET("/1") "GET /" FIELDS "X: ", path, NULL);
    check_ending(target, SIZE_MAX, "HTTP/1.1 414 ");
    check_ending(target, 1000, "HTTP/1.1 414 ");
    check_ending(field, SIZE_MAX, "HTTP/1.1 431 ");
    check_ending(field, 1000, "HTTP/1.1 431 ");
}

/* A client that has said all is still answered, also when both arrive at once. */
static void check_half_close(const int *send_steps, size_t send_count)
{
    static const char *const streams[] = {mixed, GET("/large"), GET("/1"), GET("/1") "GET /un"};
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        struct net net;
        struct client client;
        net_open(&net);
        g_autoptr(GByteArray) owed = owed_for(&net, streams[i], strlen(streams[i]));
        client_init(&client, net_pair(&net), streams[i], strlen(streams[i]));
        client.half_close = true;
        inject_always(&inject_send, send_steps, send_count);
        client_run_to_end(&client, &net);
        expect_received(&client, owed);
        g_assert_null(net.worker.connections);
        client_fini(&client);
        net_close(&net);
    }
}

static void test_half_close(void)
{
    check_half_close(NULL, 0);
    check_half_close(STEPS(50000, -EAGAIN));
    check_half_close(STEPS(1));
}

/* --- errors of the socket --- */

/* Only this connection ends, with a part of what was owed, and another one is served. */
static void check_broken(struct injection *injection, const int *steps, size_t count)
{
    struct net net;
    struct client client;
    struct client other;
    net_open(&net);
    g_autoptr(GByteArray) owed = owed_for(&net, mixed, strlen(mixed));
    client_init(&client, net_pair(&net), mixed, strlen(mixed));
    client.piece = 200;
    inject_once(injection, steps, count);
    client_run_to_end(&client, &net);
    g_assert_cmpuint(injection->calls, ==, count);
    g_assert_cmpuint(client.received->len, <, owed->len);
    expect_beginning(&client, owed);
    g_assert_null(net.worker.connections);
    inject_nothing();
    client_init(&other, net_pair(&net), mixed, strlen(mixed));
    client_run(&other, &net, owed->len);
    expect_received(&other, owed);
    client_fini(&client);
    client_fini(&other);
    net_close(&net);
}

static void test_broken(void)
{
    check_broken(&inject_recv, STEPS(-ECONNRESET));
    check_broken(&inject_recv, STEPS(10, -ECONNRESET));
    check_broken(&inject_recv, STEPS(0, -EINTR, -ETIMEDOUT));
    check_broken(&inject_recv, STEPS(0, 60, -EPIPE));
    check_broken(&inject_recv, STEPS(-EAGAIN, -EHOSTUNREACH));
    check_broken(&inject_send, STEPS(-EPIPE));
    check_broken(&inject_send, STEPS(-ECONNRESET));
    check_broken(&inject_send, STEPS(1, -EPIPE));
    check_broken(&inject_send, STEPS(0, 1, -EAGAIN, 5, -ECONNRESET));
    check_broken(&inject_send, STEPS(-EAGAIN, -EAGAIN, -EINTR, -EPIPE));
    check_broken(&inject_send, STEPS(-EAGAIN, 7, -ENOBUFS));
}

/* The client is gone in mid-response, for real. */
static void test_client_gone(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    client_init(&client, net_pair(&net), GET("/large") GET("/large"), strlen(GET("/large")) * 2);
    inject_always(&inject_send, STEPS(1000, -EAGAIN));
    client_run(&client, &net, 10000);
    g_assert_true(connection_is_busy(net.worker.connections));
    client_fini(&client);
    for (int i = 0; i < 4; i++)
        net_turn(&net);
    g_assert_null(net.worker.connections);
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/connection/pieces", test_pieces);
    g_test_add_func("/net/connection/short-reads", test_short_reads);
    g_test_add_func("/net/connection/short-writes", test_short_writes);
    g_test_add_func("/net/connection/both-short", test_both_short);
    g_test_add_func("/net/connection/long-pipeline", test_long_pipeline);
    g_test_add_func("/net/connection/bodies", test_bodies);
    g_test_add_func("/net/connection/endings", test_endings);
    g_test_add_func("/net/connection/refused-head", test_refused_head);
    g_test_add_func("/net/connection/endless", test_endless);
    g_test_add_func("/net/connection/half-close", test_half_close);
    g_test_add_func("/net/connection/broken", test_broken);
    g_test_add_func("/net/connection/client-gone", test_client_gone);
    return g_test_run();
}
