/*
 * Bodies that end otherwise: too long, malformed, unwanted, never sent, or without memory.
 */
#include "net/connection.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* --- handlers --- */

struct scene {
    unsigned calls;
    unsigned cancelled;
    struct http_request *request;
};

static void on_cancel(void *arg)
{
    struct scene *scene = arg;
    scene->cancelled++;
}

static int on_whole(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    struct http_text body = http_request_body(request);
    scene->calls++;
    return http_respond(response, 200, "text/plain", body.bytes, body.length);
}

static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    http_request_consume(request, SIZE_MAX);
    return http_request_ended(request) ? on_whole(request, response, arg) : HTTP_PENDING;
}

static int collect(struct http_request *request, struct http_response *response, void *arg)
{
    http_response_on_cancel(response, on_cancel, arg);
    return http_request_collect(request, 10, on_whole, arg);
}

static int stream(struct http_request *request, struct http_response *response, void *arg)
{
    http_response_on_cancel(response, on_cancel, arg);
    return http_request_stream(request, on_piece, arg);
}

/* Asks for the body, when the test does. */
static int wait_for_test(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    (void)response;
    scene->request = request;
    return HTTP_PENDING;
}

/* Answers with what it is sent, piece by piece. */
static int echo(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text piece = http_request_body(request);
    (void)arg;
    http_request_consume(request, http_response_write(response, piece.bytes, piece.length));
    return http_request_ended(request) ? http_response_end(response) : HTTP_PENDING;
}

static int ask_then_start(struct http_request *request, struct http_response *response, void *arg)
{
    int returned = http_request_stream(request, echo, arg);
    g_assert_cmpint(http_response_start(response, 200, "text/plain", 5), ==, 0);
    return returned;
}

static int start_then_ask(struct http_request *request, struct http_response *response, void *arg)
{
    g_assert_cmpint(http_response_start(response, 200, "text/plain", 5), ==, 0);
    return http_request_stream(request, echo, arg);
}

static void scene_open(struct scene *scene, struct net *net)
{
    *scene = (struct scene){0};
    net_open(net);
    net->service.limits.body_bytes = 10 << 20;
    net_route(net, "/collect", collect, scene);
    net_route(net, "/stream", stream, scene);
    net_route(net, "/wait", wait_for_test, scene);
    net_route(net, "/ask-start", ask_then_start, scene);
    net_route(net, "/start-ask", start_then_ask, scene);
}

#define LENGTH(path, length) "POST " path FIELDS "Content-Length: " length "\r\n\r\n"
#define CHUNKED(path)        "POST " path FIELDS "Transfer-Encoding: chunked\r\n\r\n"
#define EXPECT(path, version) \
    "POST " path " HTTP/1." version "\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
#define GO_ON "HTTP/1.1 100 Continue\r\n\r\n"
#define ERROR(line, length, more, text)                                                       \
    "HTTP/1.1 " line "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " length \
    "\r\n" more "\r\n" text "\n"
#define ERROR_400       ERROR("400 Bad Request", "16", CLOSE, "400 Bad Request")
#define ERROR_413(more) ERROR("413 Content Too Large", "22", more, "413 Content Too Large")

/* --- told once --- */

static int on_end(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    (void)response;
    http_request_consume(request, SIZE_MAX);
    scene->request = request;
    scene->calls += http_request_ended(request);
    http_request_resume(request);
    return HTTP_PENDING;
}

static int tell_end(struct http_request *request, struct http_response *response, void *arg)
{
    bool whole = http_request_path(request).length == strlen("/whole");
    (void)response;
    return whole ? http_request_collect(request, 10, on_end, arg)
                 : http_request_stream(request, on_end, arg);
}

/* Whoever has seen the end, and answers later, is not called again, whatever happens. */
static void test_told_once(void)
{
    static const char *const requests[] = {LENGTH("/whole", "1") "x", GET("/whole"),
                                           LENGTH("/pieces", "1") "x", GET("/pieces")};
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        net_route(&net, "/whole", tell_end, &scene);
        net_route(&net, "/pieces", tell_end, &scene);
        client_init(&client, net_pair(&net), requests[i], strlen(requests[i]));
        for (int times = 0; times < 3; times++) {
            client_run_to_rest(&client, &net);
            g_assert_cmpuint(scene.calls, ==, 1);
            g_assert_true(http_request_ended(scene.request));
            http_request_resume(scene.request);
        }
        client_fini(&client);
        net_close(&net);
    }
}

/* --- too long and malformed --- */

static const struct {
    const char *request;
    const char *answer;
    bool ends;
    unsigned cancelled;
} cases[] = {
    {LENGTH("/collect", "10") "0123456789" GET("/1"),
     PLAIN("10", "", "0123456789") PLAIN("6", "", "GET /1"), false, 0},
    {LENGTH("/collect", "11") "0123456789a" GET("/1"), ERROR_413("") PLAIN("6", "", "GET /1"),
     false, 0},
    {CHUNKED("/collect") "a\r\n0123456789\r\n0\r\n\r\n" GET("/1"),
     PLAIN("10", "", "0123456789") PLAIN("6", "", "GET /1"), false, 0},
    {CHUNKED("/collect") "5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n" GET("/1"), ERROR_413(CLOSE), true,
     1},
    {CHUNKED("/collect") "x\r\n" GET("/1"), ERROR_400, true, 1},
    {CHUNKED("/stream") "1\r\na!\r\n" GET("/1"), ERROR_400, true, 1},
    {CHUNKED("/stream") "1\r\na\r\n0\r\nbad trailer\r\n\r\n" GET("/1"), ERROR_400, true, 1},
    {CHUNKED("/stream") "ffffffff\r\n", ERROR_413(CLOSE), true, 1},
    /* It has been answered: nothing but the end can follow. */
    {CHUNKED("/1") "x\r\n" GET("/1"), PLAIN("7", "", "POST /1"), true, 0},
};

static void test_errors(void)
{
    static const size_t pieces[] = {1, 7, SIZE_MAX};
    for (size_t i = 0; i < 3 * G_N_ELEMENTS(cases); i++) {
        const char *request = cases[i / 3].request;
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        client_init(&client, net_pair(&net), request, strlen(request));
        client.piece = pieces[i % 3];
        client_run_to_rest(&client, &net);
        expect_text(&client, &net, cases[i / 3].answer);
        g_assert_cmpint(client.ended, ==, cases[i / 3].ends);
        g_assert_cmpint(client.error, ==, 0);
        g_assert_cmpuint(scene.cancelled, ==, cases[i / 3].cancelled);
        client_fini(&client);
        net_close(&net);
        g_assert_cmpuint(scene.cancelled, ==, cases[i / 3].cancelled);
    }
}

/* --- Expect: 100-continue --- */

static void check_expect(const char *head, const char *body, const char *first, const char *second,
                         bool ends)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    client_init(&client, net_pair(&net), head, strlen(head));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, first);
    g_byte_array_set_size(client.received, 0);
    client.bytes = body;
    client.length = strlen(body);
    client.sent = 0;
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, second);
    g_assert_cmpint(client.ended, ==, ends);
    g_assert_cmpint(client.error, ==, 0);
    client_fini(&client);
    net_close(&net);
}

#define HELLO         PLAIN("5", "", "hello")
#define NOTHING(more) PLAIN("0", more, "") /* from /stream, which has consumed it */

static void test_expect(void)
{
    check_expect(EXPECT("/collect", "1") "\r\n", "hello", GO_ON, HELLO, false);
    check_expect(EXPECT("/stream", "1") "\r\n", "hello", GO_ON, NOTHING(""), false);
    check_expect(EXPECT("/stream", "1") "Connection: close\r\n\r\n", "hello", GO_ON, NOTHING(CLOSE),
                 true);
    /* Who has begun to send does not wait. */
    check_expect(EXPECT("/collect", "1") "\r\nh", "ello", "", HELLO, false);
    check_expect(EXPECT("/stream", "1") "\r\nhello", GET("/1"), NOTHING(""),
                 PLAIN("6", "", "GET /1"), false);
    /* HTTP/1.0 does not know it. */
    check_expect(EXPECT("/collect", "0") "\r\n", "hello", "", PLAIN("5", CLOSE, "hello"), true);
    /* Nobody asks, so nobody knows whether the body will come. */
    check_expect(EXPECT("/1", "1") "\r\n", "", PLAIN("7", CLOSE, "POST /1"), "", true);
    check_expect(GET("/1") EXPECT("/1", "1") "\r\nhello" GET("/2"), "",
                 PLAIN("6", "", "GET /1") PLAIN("7", CLOSE, "POST /1"), "", true);
    /* An error is a final answer. */
    check_expect(EXPECT("/missing", "1") "\r\n", "",
                 ERROR("404 Not Found", "14", CLOSE, "404 Not Found"), "", true);
}

/* Before the answer is started, asking makes the client go on; after that, its head does, and that
 * says what it says. */
static void test_expect_and_start(void)
{
    check_expect(EXPECT("/ask-start", "1") "\r\n", "hello" GET("/1"), GO_ON PLAIN("5", "", ""),
                 "hello" PLAIN("6", "", "GET /1"), false);
    check_expect(EXPECT("/start-ask", "1") "\r\n", "hello" GET("/1"), PLAIN("5", CLOSE, ""),
                 "hello", true);
    check_expect(EXPECT("/start-ask", "1") "\r\nhe", "llo" GET("/1"), PLAIN("5", CLOSE, "he"),
                 "llo", true);
}

/* It is the asking that makes the client go on. */
static void test_expect_later(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    client_init(&client, net_pair(&net), EXPECT("/wait", "1") "\r\n",
                strlen(EXPECT("/wait", "1") "\r\n"));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, "");
    int returned = http_request_collect(scene.request, 10, on_whole, &scene);
    g_assert_cmpint(returned, ==, HTTP_PENDING);
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, GO_ON);
    client.bytes = "hello";
    client.sent = 0;
    client.length = 5;
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, GO_ON HELLO);
    client_fini(&client);
    net_close(&net);
}

/* --- unwanted --- */

/* A body of so many bytes that nobody asks for. */
static void check_unwanted(size_t length, bool chunked, const char *answers, bool ends)
{
    struct net net;
    struct scene scene;
    struct client client;
    g_autofree char *body = g_strnfill(length, 'b');
    g_autofree char *head =
        chunked ? g_strdup_printf(CHUNKED("/1") "%zx\r\n", length)
                : g_strdup_printf("POST /1" FIELDS "Content-Length: %zu\r\n\r\n", length);
    g_autofree char *all = g_strconcat(head, body, chunked ? "\r\n0\r\n\r\n" : "", GET("/2"), NULL);
    scene_open(&scene, &net);
    client_init(&client, net_pair(&net), all, strlen(all));
    memory_largest = 0;
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, answers);
    g_assert_cmpint(client.ended, ==, ends);
    g_assert_cmpint(client.error, ==, 0);
    g_assert_cmpuint(memory_largest, <=, 4 * READ_MAX);
    while (ends && net.worker.connections) {
        clock_ahead_ns += 1000 * ms;
        net_turn(&net);
    }
    client_fini(&client);
    net_close(&net);
}

static void test_unwanted(void)
{
    const size_t most = 1 << 20;
    const char *both = PLAIN("7", "", "POST /1") PLAIN("6", "", "GET /2");
    check_unwanted(1, false, both, false);
    check_unwanted(most, false, both, false);
    check_unwanted(most, true, both, false);
    check_unwanted(most + 1, false, PLAIN("7", CLOSE, "POST /1"), true);
    check_unwanted(most + 1, true, PLAIN("7", "", "POST /1"), true);
    check_unwanted(3 * most, true, PLAIN("7", "", "POST /1"), true);
}

/* --- memory --- */

/* Returns whether it came to the n-th allocation. */
static bool converse_short_of_memory(int n, bool stays_short)
{
    static const char all[] = LENGTH("/collect", "5") "hello" CHUNKED(
        "/collect") "5\r\nhello\r\n0\r\nA: b\r\n\r\n" CHUNKED("/stream") "5\r\nhello\r\n0\r\nA: "
                                                                         "b\r\n\r\n" LENGTH(
                                                                             "/1", "3") "a"
                                                                                        "b"
                                                                                        "c";
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    net.worker.next_warning_ns = UINT64_MAX;
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), all, strlen(all));
    client.piece = 33;
    inject_always(&inject_send, STEPS(0, 30, -EAGAIN));
    client_run_to_rest(&client, &net);
    bool failed = memory_fails_in == 0 || stays_short;
    if (!client.ended && !failed)
        g_assert_cmpuint(scene.calls, ==, 3);
    inject_nothing();
    client_fini(&client);
    client_init(&client, net_pair(&net), all, strlen(all));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net,
                PLAIN("5", "", "hello") PLAIN("5", "", "hello") PLAIN("0", "", "")
                    PLAIN("7", "", "POST /1"));
    client_fini(&client);
    net_close(&net);
    return failed;
}

static void test_memory(void)
{
    long live = memory_live;
    int n = 1;
    while (converse_short_of_memory(n, false))
        n++;
    g_assert_cmpint(n, >, 10);
    for (int at = 1; at < n; at++)
        converse_short_of_memory(at, true);
    g_assert_cmpint(memory_live, ==, live);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/body-ends/told-once", test_told_once);
    g_test_add_func("/net/body-ends/errors", test_errors);
    g_test_add_func("/net/body-ends/expect", test_expect);
    g_test_add_func("/net/body-ends/expect-and-start", test_expect_and_start);
    g_test_add_func("/net/body-ends/expect-later", test_expect_later);
    g_test_add_func("/net/body-ends/unwanted", test_unwanted);
    g_test_add_func("/net/body-ends/memory", test_memory);
    return g_test_run();
}
