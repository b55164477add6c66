/*
 * What a connection costs and how long it may last: memory that ends, idle connections, clients
 * that do not read, and lingering.
 */
#include "net/connection.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

/* --- memory --- */

/* The length of the answer at the start of `bytes`, which may be cut off. */
static size_t answer_length(const char *bytes, size_t length)
{
    static const char field[] = "Content-Length: ";
    const char *end = g_strstr_len(bytes, (gssize)length, "\r\n\r\n");
    if (!end)
        return length;
    size_t head = (size_t)(end - bytes) + 4;
    const char *body = g_strstr_len(bytes, (gssize)head, field);
    /* The next answer after HEAD, or the body. */
    if (!body || head == length || memcmp(bytes + head, "HTTP/1.1 ", 9) == 0)
        return head;
    return MIN(length, head + (size_t)g_ascii_strtoull(body + strlen(field), NULL, 10));
}

/* Each answer is the one that is owed, or a 500 because memory was short for it. */
static void expect_received_or_500(const struct client *client, const GByteArray *owed)
{
    const char *received = (const char *)client->received->data;
    const char *owed_bytes = (const char *)owed->data;
    size_t at = 0;
    size_t owed_at = 0;
    while (at < client->received->len) {
        size_t left = client->received->len - at;
        size_t owed_length = answer_length(owed_bytes + owed_at, owed->len - owed_at);
        g_assert_cmpuint(owed_length, >, 0);
        if (memcmp(received + at, owed_bytes + owed_at, MIN(left, owed_length)) == 0) {
            g_assert_true(left >= owed_length || client->ended);
            at += MIN(left, owed_length);
        } else {
            g_assert_true(left >= 13 && memcmp(received + at, "HTTP/1.1 500 ", 13) == 0);
            at += answer_length(received + at, left);
        }
        owed_at += owed_length;
    }
    g_assert_true(client->ended || owed_at == owed->len);
}

/* One conversation in which the n-th allocation fails. Returns whether it came to that. */
static bool converse_short_of_memory(int n, bool stays_short)
{
    struct net net;
    struct client client;
    struct client other;
    net_open(&net);
    g_autoptr(GString) stream = g_string_new(mixed);
    g_string_append(stream, GET("/large") GET("/9") GET("/constant") GET("/large") GET("/8"));
    g_autoptr(GByteArray) owed = owed_for(&net, stream->str, stream->len);
    net.worker.next_warning_ns = UINT64_MAX; /* about -ENOMEM, which handlers return */
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), stream->str, stream->len);
    client.piece = 77;
    inject_always(&inject_send, STEPS(0, 3, -EAGAIN, 70000, -EAGAIN));
    client_run_to_rest(&client, &net);
    bool failed = memory_fails_in == 0 || stays_short;
    expect_received_or_500(&client, owed);
    inject_nothing();
    client_init(&other, net_pair(&net), stream->str, stream->len);
    client_run(&other, &net, owed->len);
    expect_received(&other, owed);
    client_fini(&client);
    client_fini(&other);
    net_close(&net);
    return failed;
}

static void test_memory(void)
{
    int n = 1;
    while (converse_short_of_memory(n, false))
        n++;
    g_assert_cmpint(n, >, 10);
    g_test_message("%d allocations, each of which failed once", n - 1);
    for (int from = 1; from < n; from++)
        converse_short_of_memory(from, true);
}

static void test_memory_for_worker(void)
{
    struct reactor *reactor = reactor_new();
    for (int n = 1; n <= 3; n++) {
        struct service service = {.max_connections = 1};
        struct worker worker;
        memory_fails_in = n;
        g_assert_cmpint(worker_init(&worker, reactor, &service, 1), ==, -ENOMEM);
        g_assert_cmpint(memory_fails_in, ==, 0);
    }
    reactor_destroy(reactor);
}

/* Neither the beginning of a request nor an answer is kept once they are dealt with. What the first
 * conversation leaves behind belongs to the worker. */
static void test_idle_holds_nothing(void)
{
    struct net net;
    net_open(&net);
    g_autoptr(GByteArray) owed = owed_for(&net, mixed, strlen(mixed));
    for (int round = 0; round < 2; round++) {
        struct client client;
        client_init(&client, net_pair(&net), mixed, strlen(mixed));
        client.piece = 5;
        inject_always(&inject_send, STEPS(1, -EAGAIN));
        net_turn(&net);
        long live = memory_live;
        client_run(&client, &net, owed->len);
        g_assert_true(round == 0 || memory_live == live);
        expect_received(&client, owed);
        client_fini(&client);
        net_turn(&net);
        net_turn(&net);
        g_assert_null(net.worker.connections);
    }
    net_close(&net);
}

/* Closed connections are used again. */
static void test_spares(void)
{
    struct net net;
    net_open(&net);
    for (int round = 0; round < 3; round++) {
        struct client clients[50];
        long live = memory_live;
        for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
            client_init(&clients[i], net_pair(&net), GET("/1"), strlen(GET("/1")));
        for (size_t i = 0; i < G_N_ELEMENTS(clients); i++) {
            client_run(&clients[i], &net, 100);
            client_fini(&clients[i]);
        }
        net_turn(&net);
        net_turn(&net);
        g_assert_null(net.worker.connections);
        g_assert_cmpuint(net.worker.spare_count, ==, G_N_ELEMENTS(clients));
        g_assert_true(round == 0 || memory_live == live);
    }
    net_close(&net);
}

/* --- clients that do not read --- */

/* Nothing more is read from a client that does not take its answers, so that it can only fill the
 * sockets and one buffer of each kind. */
static void test_client_that_does_not_read(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GString) stream = g_string_new(NULL);
    for (int i = 0; i < 50000; i++)
        g_string_append(stream, GET("/constant"));
    g_autoptr(GByteArray) owed = owed_for(&net, stream->str, stream->len);
    client_init(&client, net_pair(&net), stream->str, stream->len);
    size_t sent_before = 0;
    for (int quiet = 0; quiet < 10; quiet = client.sent == sent_before ? quiet + 1 : 0) {
        sent_before = client.sent;
        ssize_t count = write(client.fd, stream->str + client.sent, stream->len - client.sent);
        client.sent += count > 0 ? (size_t)count : 0;
        net_turn(&net);
    }
    g_assert_cmpuint(client.sent, <, stream->len);
    g_assert_true(connection_is_busy(net.worker.connections));
    unsigned reads = inject_recv.calls;
    for (int i = 0; i < 100; i++)
        net_turn(&net);
    g_assert_cmpuint(inject_recv.calls, ==, reads);
    client_run(&client, &net, owed->len);
    expect_received(&client, owed);
    client_fini(&client);
    net_close(&net);
}

/* Nor are answers collected without end before the first is sent. */
static void test_large_answers(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GString) stream = g_string_new(NULL);
    for (int i = 0; i < 50; i++)
        g_string_append(stream, GET("/large"));
    g_autoptr(GByteArray) owed = owed_for(&net, stream->str, stream->len);
    client_init(&client, net_pair(&net), stream->str, stream->len);
    memory_largest = 0;
    client_run(&client, &net, owed->len);
    expect_received(&client, owed);
    g_assert_cmpuint(memory_largest, <, 4 * owed->len / 50);
    g_assert_cmpuint(net.worker.out.capacity, <=, 4 * SEND_BATCH);
    client_fini(&client);
    net_close(&net);
}

/* --- lingering --- */

static void step_some(struct client *client, struct net *net)
{
    for (int i = 0; i < 20; i++)
        client_step(client, net);
}

/* After an error the connection reads on, so that no reset overtakes the answer, but not for ever,
 * even when the client never stops. */
static void test_linger(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autofree char *rubbish = g_strnfill(1000, '\n');
    client_init(&client, net_pair(&net), rubbish, 1000);
    client.piece = 10;
    for (int i = 0; i < 50; i++)
        client_step(&client, &net);
    g_assert_true(client.ended);
    g_assert_cmpint(client.error, ==, 0);
    g_assert_nonnull(net.worker.connections);
    g_assert_cmpint(write(client.fd, "x", 1), ==, 1);
    net_turn(&net);
    g_assert_nonnull(net.worker.connections);
    g_assert_cmpint(write(client.fd, "x", 1), ==, 1);
    clock_ahead_ns += UINT64_C(10) * 1000000000;
    net_turn(&net);
    net_turn(&net);
    g_assert_null(net.worker.connections);
    client_fini(&client);
    net_close(&net);
}

static void test_linger_broken(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    client_init(&client, net_pair(&net), "\n", 1);
    step_some(&client, &net);
    g_assert_nonnull(net.worker.connections);
    inject_once(&inject_recv, STEPS(-EINTR, -EAGAIN, -ECONNRESET));
    g_assert_cmpint(write(client.fd, "x", 1), ==, 1);
    net_turn(&net);
    g_assert_nonnull(net.worker.connections);
    net_turn(&net);
    g_assert_null(net.worker.connections);
    client_fini(&client);
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/life/memory", test_memory);
    g_test_add_func("/net/life/memory-for-worker", test_memory_for_worker);
    g_test_add_func("/net/life/idle-holds-nothing", test_idle_holds_nothing);
    g_test_add_func("/net/life/spares", test_spares);
    g_test_add_func("/net/life/client-that-does-not-read", test_client_that_does_not_read);
    g_test_add_func("/net/life/large-answers", test_large_answers);
    g_test_add_func("/net/life/linger", test_linger);
    g_test_add_func("/net/life/linger-broken", test_linger_broken);
    return g_test_run();
}
