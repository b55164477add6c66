/*
 * Offloaded handlers whose clients leave, that have to wait or be refused, and that are under way
 * when the server ends or memory is short.
 */
#include "net/connection.h"
#include "offload_support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

#define HELD   GET("/held/1")
#define ANSWER PLAIN("11", "", "GET /held/1")

static const struct metrics *metrics_of(const struct bureau *bureau)
{
    return &bureau->net.worker.metrics;
}

/* A client whose request has been taken in. */
static void ask(struct bureau *bureau, struct client *client, const char *request)
{
    client_init(client, net_pair(&bureau->net), request, strlen(request));
    client_run_to_rest(client, &bureau->net);
    g_assert_cmpuint(client->sent, ==, client->length);
}

static void expect_connections(struct bureau *bureau, unsigned count)
{
    unsigned found = 0;
    net_turn(&bureau->net);
    net_turn(&bureau->net);
    for (struct connection *at = bureau->net.worker.connections; at; at = connection_next(at))
        found++;
    g_assert_cmpuint(found, ==, count);
}

static void expect_served(struct bureau *bureau)
{
    struct client client;
    ask(bureau, &client, HELD GET("/1"));
    bureau_release(bureau, 1);
    bureau_expect(bureau, &client, ANSWER PLAIN("6", "", "GET /1"));
    client_fini(&client);
    expect_connections(bureau, 0);
}

/* --- clients that leave --- */

static void test_left_before_it_begins(void)
{
    struct bureau bureau;
    struct client clients[3];
    bureau_open(&bureau, 1, 2);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &clients[1], HELD);
    ask(&bureau, &clients[2], HELD);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->offload_waiting), ==, 2);
    client_fini(&clients[2]);
    expect_connections(&bureau, 2);
    /* It has left its place to the next. */
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->offload_waiting), ==, 1);
    ask(&bureau, &clients[2], HELD);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->offload_waiting), ==, 2);
    client_fini(&clients[1]);
    expect_connections(&bureau, 2);
    bureau_release(&bureau, 2);
    bureau_expect(&bureau, &clients[0], ANSWER);
    bureau_expect(&bureau, &clients[2], ANSWER);
    g_assert_cmpuint(atomic_load(&bureau.begun), ==, 2);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 0);
    client_fini(&clients[0]);
    client_fini(&clients[2]);
    expect_served(&bureau);
    bureau_close(&bureau);
}

static void test_left_while_it_runs(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &client, HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    client_fini(&client);
    expect_connections(&bureau, 0);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->offload_running), ==, 1);
    bureau_release(&bureau, 1);
    bureau_await(&bureau, &bureau.ended, 1);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 1);
    expect_served(&bureau);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 1);
    bureau_close(&bureau);
}

/* One that has closed its sending side has gone, as with other answers that come later: a client
 * that leaves looks the same, and what it asked for costs a thread. */
static void test_half_closed(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &client, HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
    expect_connections(&bureau, 0);
    bureau_release(&bureau, 1);
    bureau_await(&bureau, &bureau.ended, 1);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 1);
    client_fini(&client);
    expect_served(&bureau);
    bureau_close(&bureau);
}

/* The handler is done, and the reactor has not heard of it. */
static void test_left_when_it_is_done(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &client, HELD);
    bureau_release(&bureau, 1);
    while (atomic_load(&bureau.ended) == 0)
        g_usleep(100);
    client_fini(&client);
    bureau_await_count(&bureau, &metrics_of(&bureau)->offload_running, 0);
    expect_connections(&bureau, 0);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 0);
    expect_served(&bureau);
    bureau_close(&bureau);
}

/* While its body is still to come. */
static void test_left_before_it_is_complete(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &client, "POST /held/1" FIELDS "Content-Length: 5\r\n\r\nhell");
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->offload_waiting), ==, 0);
    client_fini(&client);
    expect_connections(&bureau, 0);
    expect_served(&bureau);
    g_assert_cmpuint(atomic_load(&bureau.begun), ==, 1);
    bureau_close(&bureau);
}

static int ask_here(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    g_assert_false(http_request_is_cancelled(request));
    return net_handler(request, response, NULL);
}

static void test_others_are_never_cancelled(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    net_route(&bureau.net, "/here", ask_here, NULL);
    ask(&bureau, &client, GET("/here"));
    bureau_expect(&bureau, &client, PLAIN("9", "", "GET /here"));
    client_fini(&client);
    bureau_close(&bureau);
}

/* --- a full queue --- */

static void test_full(void)
{
    struct bureau bureau;
    struct client clients[3];
    struct client more;
    bureau_open(&bureau, 1, 2);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &clients[1], HELD);
    ask(&bureau, &clients[2], HELD);
    static const char refused[] =
        HELD "HEAD /held/2" FIELDS "\r\n"
             "POST /held/3" FIELDS "Content-Length: 2\r\n\r\n-!" GET("/1");
    ask(&bureau, &more, refused);
    g_autofree char *head = g_strndup(BUSY, strlen(BUSY) - strlen("503 Service Unavailable\n"));
    g_autofree char *expected = g_strconcat(BUSY, head, BUSY, PLAIN("6", "", "GET /1"), NULL);
    bureau_expect(&bureau, &more, expected);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->refused[REFUSED_OFFLOAD]), ==, 3);
    client_fini(&more);
    bureau_release(&bureau, 3);
    for (int i = 0; i < 3; i++) {
        bureau_expect(&bureau, &clients[i], ANSWER);
        client_fini(&clients[i]);
    }
    expect_served(&bureau);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->refused[REFUSED_OFFLOAD]), ==, 3);
    bureau_close(&bureau);
}

/* A client that asks whether it should send a body is told that it need not. */
static void test_full_before_the_body(void)
{
    struct bureau bureau;
    struct client clients[2];
    struct client more;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &clients[1], HELD);
    ask(&bureau, &more, "POST /held/1" FIELDS "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client_run_to_end(&more, &bureau.net);
    g_autofree char *text = bureau_text(&more);
    g_assert_true(g_str_has_prefix(text, "HTTP/1.1 503 "));
    g_assert_nonnull(strstr(text, "Retry-After: 1\r\n"));
    g_assert_nonnull(strstr(text, CLOSE));
    client_fini(&more);
    for (int i = 0; i < 2; i++)
        client_fini(&clients[i]);
    bureau_close(&bureau);
}

/* There was room when the body was asked for, and is none when it has come. */
static void test_full_after_the_body(void)
{
    struct bureau bureau;
    struct client clients[2];
    struct client late;
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &late, "POST /held/1" FIELDS "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    bureau_expect(&bureau, &late, "HTTP/1.1 100 Continue\r\n\r\n");
    ask(&bureau, &clients[1], HELD);
    late.bytes = "hello";
    late.length = 5;
    late.sent = 0;
    bureau_expect(&bureau, &late, "HTTP/1.1 100 Continue\r\n\r\n" BUSY);
    client_fini(&late);
    for (int i = 0; i < 2; i++)
        client_fini(&clients[i]);
    bureau_close(&bureau);
}

static void test_body_too_long(void)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    bureau.net.service.limits.body_bytes = 4;
    ask(&bureau, &client,
        "POST /held/1" FIELDS "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    client_run_to_end(&client, &bureau.net);
    g_autofree char *text = bureau_text(&client);
    g_assert_true(g_str_has_prefix(text, "HTTP/1.1 413 "));
    client_fini(&client);
    g_assert_cmpuint(atomic_load(&bureau.begun), ==, 0);
    bureau_close(&bureau);
}

/* --- the end of a connection, and of the server --- */

static void test_last_requests(void)
{
    static const char *const last[] = {
        "GET /held/1" FIELDS "Connection: close\r\n\r\n",
        "GET /held/1 HTTP/1.0\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(last); i++) {
        struct bureau bureau;
        struct client client;
        bureau_open(&bureau, 1, 1);
        ask(&bureau, &client, last[i]);
        bureau_release(&bureau, 1);
        client_run_to_end(&client, &bureau.net);
        g_autofree char *text = bureau_text(&client);
        g_assert_cmpint(client.error, ==, 0);
        g_assert_cmpstr(text, ==, PLAIN("11", CLOSE, "GET /held/1"));
        client_fini(&client);
        bureau_close(&bureau);
    }
}

static bool run_until_stopped(struct bureau *bureau)
{
    int outcome = REACTOR_TIMEOUT;
    for (int i = 0; i < 1000 && outcome == REACTOR_TIMEOUT; i++)
        outcome = reactor_run(bureau->net.reactor, 0);
    return outcome == REACTOR_STOPPED;
}

/* What waits or runs when a drain begins is answered. */
static void test_drain(void)
{
    struct bureau bureau;
    struct client clients[2];
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &clients[1], HELD);
    worker_drain(bureau.net.reactor, &bureau.net.worker);
    for (int i = 0; i < 100; i++) {
        clock_ahead_ns += 50 * ms;
        client_step(&clients[0], &bureau.net);
        client_step(&clients[1], &bureau.net);
    }
    bureau_release(&bureau, 2);
    for (int i = 0; i < 2; i++) {
        bureau_expect(&bureau, &clients[i], PLAIN("11", CLOSE, "GET /held/1"));
        client_run_to_end(&clients[i], &bureau.net);
        client_fini(&clients[i]);
    }
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 0);
    g_assert_true(run_until_stopped(&bureau));
    bureau_close(&bureau);
}

/* Beyond its deadline nobody waits for the answers, but the end does for the handlers. */
static void test_drain_deadline(void)
{
    struct bureau bureau;
    struct client clients[2];
    bureau_open(&bureau, 1, 1);
    ask(&bureau, &clients[0], HELD);
    bureau_await(&bureau, &bureau.begun, 1);
    ask(&bureau, &clients[1], HELD);
    worker_drain(bureau.net.reactor, &bureau.net.worker);
    net_turn(&bureau.net);
    clock_ahead_ns += bureau.net.service.drain_timeout_ms * ms;
    expect_connections(&bureau, 0);
    g_assert_cmpuint(counter_read(&metrics_of(&bureau)->aborted), ==, 2);
    for (int i = 0; i < 2; i++)
        client_fini(&clients[i]);
    g_assert_cmpuint(atomic_load(&bureau.ended), ==, 0);
    bureau_close(&bureau);
    g_assert_cmpuint(atomic_load(&bureau.begun), ==, 1);
    g_assert_cmpuint(atomic_load(&bureau.gone), ==, 1);
}

/* --- memory --- */

/* Returns whether it came to the n-th allocation. */
static bool converse_short_of_memory(int n, bool stays_short)
{
    static const char stream[] =
        GET("/pool/%41") "POST /pool/b" FIELDS
                         "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n" GET(
                             "/pool/3");
    static const char *const answers[] = {"GET /pool/%41", "POST /pool/b", "GET /pool/3"};
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 2, 10);
    bureau_route(&bureau, "/pool/{part}", net_handler, NULL);
    bureau.net.worker.next_warning_ns = UINT64_MAX;
    client_init(&client, net_pair(&bureau.net), stream, strlen(stream));
    client.piece = 50;
    memory_fails_in = n;
    memory_stays_short = stays_short;
    gint64 end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    unsigned answered = 0;
    while (!client.ended && answered < G_N_ELEMENTS(answers)) {
        client_step(&client, &bureau.net);
        g_autofree char *text = bureau_text(&client);
        g_auto(GStrv) heads = g_strsplit(text, "HTTP/1.1 ", -1);
        answered = client.sent < client.length ? 0 : g_strv_length(heads) - (*heads != NULL);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    bool failed = memory_fails_in == 0 || stays_short;
    inject_nothing();
    memory_fails_in = 0;
    memory_stays_short = false;
    g_autofree char *text = bureau_text(&client);
    for (size_t i = 0; !failed && i < G_N_ELEMENTS(answers); i++)
        g_assert_nonnull(strstr(text, answers[i]));
    client_fini(&client);
    expect_served(&bureau);
    bureau_close(&bureau);
    return failed;
}

static void test_memory(void)
{
    int n = 1;
    while (converse_short_of_memory(n, false))
        n++;
    g_assert_cmpint(n, >=, 8);
    for (int at = 1; at < n; at++)
        converse_short_of_memory(at, true);
}

/* One request for which no job can be made; true when it was answered in spite of that. */
static bool is_answered_without(int n, unsigned *refused)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 1, 1);
    bureau_route(&bureau, "/pool/1", net_handler, NULL);
    client_init(&client, net_pair(&bureau.net), GET("/pool/1"), strlen(GET("/pool/1")));
    memory_fails_in = n;
    client_run_to_rest(&client, &bureau.net);
    bool failed = memory_fails_in == 0;
    inject_nothing();
    memory_fails_in = 0;
    g_autofree char *text = bureau_text(&client);
    bool busy = strcmp(text, BUSY) == 0;
    if (busy)
        g_assert_cmpuint(counter_read(&metrics_of(&bureau)->refused[REFUSED_SHORT]), ==, 1);
    *refused += busy;
    client_fini(&client);
    bureau_close(&bureau);
    return !failed;
}

/* It is asked to come again, and counted. */
static void test_jobs_without_memory(void)
{
    unsigned refused = 0;
    for (int n = 1; !is_answered_without(n, &refused); n++)
        g_assert_cmpint(n, <, 100);
    g_assert_cmpuint(refused, >=, 2); /* the job, and the head of its twin */
}

static void test_routes_without_memory(void)
{
    struct offload offload = {0};
    struct net net;
    net_open(&net); /* for the injection */
    g_assert_cmpint(offload_open(&offload, 2, 1), ==, 0);
    g_assert_null(offload.pool); /* no routes, no threads */
    memory_fails_in = 1;
    g_assert_null(offload_add(&offload, net_handler, NULL));
    g_assert_nonnull(offload_add(&offload, net_handler, NULL));
    memory_fails_in = 1;
    g_assert_cmpint(offload_open(&offload, 2, 1), ==, -ENOMEM);
    offload_close(&offload);
    offload_fini(&offload);
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/offload/left/before", test_left_before_it_begins);
    g_test_add_func("/net/offload/left/while", test_left_while_it_runs);
    g_test_add_func("/net/offload/left/half", test_half_closed);
    g_test_add_func("/net/offload/left/done", test_left_when_it_is_done);
    g_test_add_func("/net/offload/left/incomplete", test_left_before_it_is_complete);
    g_test_add_func("/net/offload/left/others", test_others_are_never_cancelled);
    g_test_add_func("/net/offload/full/queue", test_full);
    g_test_add_func("/net/offload/full/before-the-body", test_full_before_the_body);
    g_test_add_func("/net/offload/full/after-the-body", test_full_after_the_body);
    g_test_add_func("/net/offload/full/too-long", test_body_too_long);
    g_test_add_func("/net/offload/ends/last", test_last_requests);
    g_test_add_func("/net/offload/ends/drain", test_drain);
    g_test_add_func("/net/offload/ends/deadline", test_drain_deadline);
    g_test_add_func("/net/offload/memory/requests", test_memory);
    g_test_add_func("/net/offload/memory/jobs", test_jobs_without_memory);
    g_test_add_func("/net/offload/memory/routes", test_routes_without_memory);
    return g_test_run();
}
