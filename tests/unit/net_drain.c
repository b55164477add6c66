/*
 * Draining: what has begun is finished and the client is told so, what has not is closed, and it
 * ends at the deadline.
 */
#include "net/connection.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* Runs the reactor until it stops by itself, moving the clock. */
static void run_until_stopped(struct net *net)
{
    for (int i = 0; i < 10000; i++) {
        clock_ahead_ns += 5 * ms;
        if (reactor_run(net->reactor, 0) == REACTOR_STOPPED)
            return;
    }
    g_test_fail_printf("the drain did not end");
}

/* A request that has begun is answered, with Connection: close; idle connections are closed. */
static void test_drain(void)
{
    struct net net;
    struct client begun;
    struct client idle;
    net_open(&net);
    client_init(&begun, net_pair(&net), GET("/1") "GET /2" FIELDS,
                strlen(GET("/1") "GET /2" FIELDS));
    client_init(&idle, net_pair(&net), GET("/3"), strlen(GET("/3")));
    client_run(&begun, &net, 100);
    client_run(&idle, &net, 100);
    worker_drain(net.reactor, &net.worker);
    worker_drain(net.reactor, &net.worker);
    for (int i = 0; i < 300; i++) {
        clock_ahead_ns += 5 * ms;
        client_step(&idle, &net);
    }
    g_assert_true(idle.ended);
    g_assert_nonnull(net.worker.connections);
    g_assert_null(connection_next(net.worker.connections));
    g_assert_cmpint(write(begun.fd, "\r\n", 2), ==, 2);
    client_run_to_end(&begun, &net);
    g_byte_array_append(begun.received, (const guint8 *)"", 1);
    const char *answers = (const char *)begun.received->data;
    g_assert_null(strstr(strstr(answers, "GET /2"), "HTTP/1.1"));
    g_assert_nonnull(strstr(answers, "Connection: close"));
    client_fini(&begun);
    client_fini(&idle);
    run_until_stopped(&net);
    g_assert_null(net.worker.connections);
    g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 0);
    net_close(&net);
}

/* Requests that are in the socket when the drain begins are all answered; the last says close. */
static void test_drain_pipeline(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    client_init(&client, net_pair(&net), mixed, strlen(mixed));
    g_autoptr(GByteArray) owed = owed_for(&net, mixed, strlen(mixed));
    g_assert_cmpint(write(client.fd, mixed, strlen(mixed)), ==, (ssize_t)strlen(mixed));
    client.sent = client.length;
    worker_drain(net.reactor, &net.worker);
    expect_last(&client, &net, owed);
    run_until_stopped(&net);
    net_close(&net);
}

/* Whoever has not taken its answer at the deadline is cut off, and counted. */
static void test_drain_deadline(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    client_init(&client, net_pair(&net), GET("/large"), strlen(GET("/large")));
    inject_always(&inject_send, STEPS(1, -EAGAIN));
    client_run(&client, &net, 10);
    worker_drain(net.reactor, &net.worker);
    inject_always(&inject_send, STEPS(-EAGAIN));
    uint64_t before = clock_ahead_ns;
    run_until_stopped(&net);
    g_assert_cmpuint(clock_ahead_ns - before, >=, (net.service.drain_timeout_ms - 5) * ms / 2);
    g_assert_null(net.worker.connections);
    g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 1);
    client_fini(&client);
    net_close(&net);
}

/* More requests than are read at once: all are in the socket, so all are answered. */
static void check_drain_long_pipeline(const char *request)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GString) stream = g_string_new(NULL);
    while (stream->len < 3 * READ_MAX)
        g_string_append(stream, request);
    g_autoptr(GByteArray) owed = owed_for(&net, stream->str, stream->len);
    client_init(&client, net_pair(&net), stream->str, stream->len);
    client.sent = (size_t)write(client.fd, stream->str, stream->len);
    g_assert_cmpuint(client.sent, ==, stream->len);
    worker_drain(net.reactor, &net.worker);
    expect_last(&client, &net, owed);
    run_until_stopped(&net);
    net_close(&net);
}

static void test_drain_long_pipeline(void)
{
    /* Reads end in the middle of a request, and between two. */
    g_autofree char *path = g_strnfill(37, 'p');
    g_autofree char *aligned = g_strconcat("GET /", path, FIELDS "\r\n", NULL);
    g_assert_cmpuint(READ_MAX % strlen(aligned), ==, 0);
    check_drain_long_pipeline(GET("/1"));
    check_drain_long_pipeline(aligned);
}

/* The answer to a request with a body says close, and what is left of the body resets nothing. */
static void test_drain_body(void)
{
    static const char head[] = "POST /1" FIELDS "Content-Length: 200000\r\n\r\n";
    struct net net;
    struct client client;
    net_open(&net);
    g_autofree char *body = g_strnfill(200000, 'b');
    g_autofree char *stream = g_strconcat(head, body, NULL);
    g_autoptr(GByteArray) owed = owed_for(&net, head, strlen(head));
    client_init(&client, net_pair(&net), stream, strlen(stream));
    client.piece = 9000;
    worker_drain(net.reactor, &net.worker);
    expect_last(&client, &net, owed);
    g_assert_cmpuint(client.sent, ==, client.length);
    run_until_stopped(&net);
    net_close(&net);
}

/* A request that has arrived but was not read yet, when idle connections are closed. */
static void test_drain_unread(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    g_autoptr(GByteArray) owed = owed_for(&net, GET("/1"), strlen(GET("/1")));
    client_init(&client, net_pair(&net), GET("/1"), strlen(GET("/1")));
    worker_drain(net.reactor, &net.worker);
    net_turn(&net);
    g_assert_cmpint(write(client.fd, GET("/1"), strlen(GET("/1"))), >, 0);
    client.sent = client.length;
    clock_ahead_ns += 2 * DRAIN_GRACE_MS * ms;
    inject_once(&inject_recv, STEPS(-EAGAIN));
    net_turn(&net);
    g_assert_nonnull(net.worker.connections);
    expect_last(&client, &net, owed);
    run_until_stopped(&net);
    net_close(&net);
}

/* An empty line after a request is no beginning of another, however it arrives. */
static void test_drain_empty_line(void)
{
    static const char *const streams[] = {GET("/1") "\r\n",
                                          "POST /1" FIELDS "Content-Length: 1\r\n\r\nb\r\n"};
    static const size_t pieces[] = {1, 2, 1000};
    for (size_t i = 0; i < 6; i++) {
        struct net net;
        struct client client;
        net_open(&net);
        client_init(&client, net_pair(&net), streams[i % 2], strlen(streams[i % 2]));
        client.piece = pieces[i / 2];
        client_run_to_rest(&client, &net);
        g_assert_cmpuint(client.received->len, >, 0);
        g_assert_false(connection_is_busy(net.worker.connections));
        worker_drain(net.reactor, &net.worker);
        run_until_stopped(&net);
        g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 0);
        client_fini(&client);
        net_close(&net);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/drain/begun-and-idle", test_drain);
    g_test_add_func("/net/drain/pipeline", test_drain_pipeline);
    g_test_add_func("/net/drain/long-pipeline", test_drain_long_pipeline);
    g_test_add_func("/net/drain/body", test_drain_body);
    g_test_add_func("/net/drain/unread", test_drain_unread);
    g_test_add_func("/net/drain/empty-line", test_drain_empty_line);
    g_test_add_func("/net/drain/deadline", test_drain_deadline);
    return g_test_run();
}
