/*
 * Answers that break off, and conversations that end: nobody is called who has failed, nothing that
 * was complete is lost, and the client can tell the one from the other.
 */
#include "net/connection_private.h"
#include "tcp_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

/* --- handlers --- */

enum how { RETURNS, FINISHES, LACKS_MEMORY, WAITS };

struct scene {
    enum how how;
    uint64_t length; /* that it announces */
    unsigned calls;
    unsigned cancelled;
    struct http_response *response;
};

static void on_cancel(void *arg)
{
    struct scene *scene = arg;
    scene->cancelled++;
}

static void begin(struct http_response *response, struct scene *scene)
{
    scene->response = response;
    http_response_on_cancel(response, on_cancel, scene);
    g_assert_cmpint(http_response_start(response, 200, "text/plain", scene->length), ==, 0);
    g_assert_cmpuint(http_response_write(response, "hello", 5), ==, 5);
}

/* Begins an answer that it does not complete. */
static int tear(struct http_request *request, struct http_response *response, void *arg)
{
    static const char much[HTTP_STREAM_MAX];
    struct scene *scene = arg;
    (void)request;
    scene->calls++;
    begin(response, scene);
    if (scene->how == RETURNS)
        return -EIO;
    if (scene->how == FINISHES)
        http_response_finish(response, -EIO);
    if (scene->how == LACKS_MEMORY) {
        memory_fails_in = 1;
        g_assert_cmpuint(http_response_write(response, much, sizeof(much)), ==, 0);
    }
    return HTTP_PENDING;
}

static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    http_request_consume(request, SIZE_MAX);
    if (scene->calls == 0)
        return tear(request, response, arg);
    scene->calls++;
    return HTTP_PENDING;
}

static int stream(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response;
    return http_request_stream(request, on_piece, arg);
}

static int wait_for_test(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    (void)request;
    scene->calls++;
    scene->response = response;
    http_response_on_cancel(response, on_cancel, scene);
    return HTTP_PENDING;
}

static void scene_open(struct scene *scene, struct net *net, enum how how, uint64_t length)
{
    *scene = (struct scene){.how = how, .length = length};
    net_route(net, "/stream", stream, scene);
    net_route(net, "/tear", tear, scene);
    net_route(net, "/wait", wait_for_test, scene);
}

/* The operator is told, unless it is the memory. */
static void expect_complaint(enum how how)
{
    if (how != LACKS_MEMORY)
        g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the handler of /*");
}

static void say(struct client *client, struct net *net, const char *text)
{
    client->bytes = text;
    client->length = strlen(text);
    client->sent = 0;
    client_run_to_rest(client, net);
}

/* --- broken off --- */

#define POST_CHUNKED "POST /stream" FIELDS "Transfer-Encoding: chunked\r\n\r\n"

/* The handler of a stream that has failed is not called for what came with its last piece. */
static void test_not_called_again(void)
{
    for (enum how how = RETURNS; how <= WAITS; how++) {
        struct net net;
        struct scene scene;
        struct client client;
        net_open(&net);
        scene_open(&scene, &net, how, HTTP_LENGTH_UNKNOWN);
        expect_complaint(how);
        client_init(&client, net_pair(&net), "", 0);
        say(&client, &net, POST_CHUNKED);
        if (how == WAITS) {
            say(&client, &net, "1\r\na\r\n");
            http_response_finish(scene.response, -EIO);
        }
        say(&client, &net, "1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
        g_test_assert_expected_messages();
        g_assert_true(client.ended);
        g_assert_cmpuint(scene.calls, ==, 1);
        g_assert_cmpuint(scene.cancelled, ==, how == LACKS_MEMORY);
        client_fini(&client);
        net_close(&net);
    }
}

/* What was answered before it arrives, what comes after it is not answered. */
static void test_answers_before(void)
{
    static const char all[] = GET("/1") GET("/constant") GET("/tear") GET("/2");
    for (enum how how = RETURNS; how <= LACKS_MEMORY; how++) {
        struct net net;
        struct scene scene;
        struct client client;
        net_open(&net);
        scene_open(&scene, &net, how, 100000);
        expect_complaint(how);
        client_init(&client, net_pair(&net), all, strlen(all));
        client_run_to_end(&client, &net);
        g_test_assert_expected_messages();
        g_autofree char *text = client_text(&client, &net);
        g_assert_true(
            g_str_has_prefix(text, PLAIN("6", "", "GET /1") PLAIN("15", "", "always the same")));
        g_assert_null(strstr(text, "GET /2"));
        client_fini(&client);
        net_close(&net);
    }
}

/* Where the end of the connection would be the end of the body, it is a reset. */
static void test_reset(void)
{
    static const struct {
        const char *request;
        uint64_t length;
        int error;
    } ends[] = {
        {"GET /tear HTTP/1.0\r\n\r\n", HTTP_LENGTH_UNKNOWN, ECONNRESET},
        {"GET /tear HTTP/1.0\r\n\r\n", 100000, 0},
        {GET("/tear"), HTTP_LENGTH_UNKNOWN, 0},
    };
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(ends); i++) {
        enum how how = i % 2 ? LACKS_MEMORY : RETURNS;
        struct tcp tcp;
        struct scene scene;
        struct client client;
        tcp_open(&tcp);
        scene_open(&scene, &tcp.net, how, ends[i / 2].length);
        expect_complaint(how);
        client_init(&client, tcp_connect(&tcp), ends[i / 2].request, strlen(ends[i / 2].request));
        client_run_to_end(&client, &tcp.net);
        g_test_assert_expected_messages();
        g_assert_cmpint(client.error, ==, ends[i / 2].error);
        client_fini(&client);
        net_close(&tcp.net);
    }
}

/* --- completed, and finished later --- */

/* It is the handler's until it is finished; then the next one has its turn. */
static void test_ended_then_finished(void)
{
    for (int goes = 0; goes < 2; goes++) {
        struct net net;
        struct scene scene;
        struct client client;
        net_open(&net);
        scene_open(&scene, &net, WAITS, 5);
        client_init(&client, net_pair(&net), "", 0);
        say(&client, &net, GET("/tear") GET("/wait"));
        struct http_response *response = scene.response;
        g_assert_cmpint(http_response_end(response), ==, 200);
        client_run_to_rest(&client, &net);
        expect_text(&client, &net, PLAIN("5", "", "hello"));
        g_assert_cmpuint(scene.calls, ==, 1);
        g_assert_cmpuint(scene.cancelled, ==, 0);
        if (!goes) {
            http_response_finish(response, 200);
            client_run_to_rest(&client, &net);
            g_assert_cmpuint(scene.calls, ==, 2);
            http_response_finish(scene.response,
                                 http_respond(scene.response, 200, "text/plain", "next", 4));
            client_run_to_rest(&client, &net);
            expect_text(&client, &net, PLAIN("5", "", "hello") PLAIN("4", "", "next"));
        }
        client_fini(&client);
        for (int i = 0; i < 3; i++)
            net_turn(&net);
        g_assert_null(net.worker.connections);
        g_assert_cmpuint(scene.calls, ==, goes ? 1 : 2);
        g_assert_cmpuint(scene.cancelled, ==, goes);
        net_close(&net);
    }
}

/* Whoever says that it has nothing more to say, when its answer is made, gets all of it. */
static void test_half_closed_and_finished(void)
{
    enum { MUCH = 1000000 };
    static const size_t lengths[] = {5, MUCH};
    g_autofree char *much = g_strnfill(MUCH, 'm');
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        net_open(&net);
        scene_open(&scene, &net, WAITS, 0);
        client_init(&client, net_pair(&net), "", 0);
        say(&client, &net, GET("/wait"));
        g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
        http_response_finish(scene.response,
                             http_respond(scene.response, 200, "text/plain", much, lengths[i]));
        client_run_to_end(&client, &net);
        g_assert_cmpint(client.error, ==, 0);
        g_assert_cmpuint(scene.cancelled, ==, 0);
        g_autofree char *expected = g_strdup_printf(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%.*s",
            lengths[i], (int)lengths[i], much);
        expect_text(&client, &net, expected);
        client_fini(&client);
        net_close(&net);
    }
}

/* --- empty lines --- */

#define BAD_400                                                                              \
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length:" \
    " 16\r\n" CLOSE "\r\n400 Bad Request\n"

/* One is skipped, two are not, however they arrive. */
static void test_empty_lines(void)
{
    static const struct {
        const char *bytes;
        const char *answers;
    } lines[] = {
        {"\r\n" GET("/1") "\r\n" GET("/2"), PLAIN("6", "", "GET /1") PLAIN("6", "", "GET /2")},
        {"\r\n\r\n" GET("/1"), BAD_400},
        {GET("/1") "\r\n\r\n" GET("/2"), PLAIN("6", "", "GET /1") BAD_400},
    };
    static const size_t pieces[] = {1, 2, SIZE_MAX};
    for (size_t i = 0; i < 3 * G_N_ELEMENTS(lines); i++) {
        struct net net;
        struct client client;
        net_open(&net);
        client_init(&client, net_pair(&net), lines[i / 3].bytes, strlen(lines[i / 3].bytes));
        client.piece = pieces[i % 3];
        client_run_to_rest(&client, &net);
        expect_text(&client, &net, lines[i / 3].answers);
        client_fini(&client);
        net_close(&net);
    }
}

/* --- the last answer --- */

static void check_last(const char *request, bool drains, unsigned max_requests, bool lingers)
{
    struct net net;
    struct client client;
    net_open(&net);
    net.service.max_requests = max_requests;
    client_init(&client, net_pair(&net), request, strlen(request));
    client.sent = (size_t)write(client.fd, request, strlen(request));
    g_assert_cmpuint(client.sent, ==, client.length);
    if (drains)
        worker_drain(net.reactor, &net.worker);
    client_run_to_end(&client, &net);
    g_assert_cmpint(client.error, ==, 0);
    expect_text(&client, &net, PLAIN("6", CLOSE, "GET /1"));
    g_assert_cmpint(net.worker.connections != NULL, ==, lingers);
    if (lingers) {
        g_assert_cmpint(net.worker.connections->state, ==, LINGERING);
        g_assert_cmpint(write(client.fd, GET("/2"), 10), ==, 10);
        net_turn(&net);
        char byte;
        g_assert_cmpint(read(client.fd, &byte, 1), ==, 0); /* and not -1 */
    }
    client_fini(&client);
    net_turn(&net);
    net_close(&net);
}

/* A client that did not know that it was the last may be sending the next request. */
static void test_last_lingers(void)
{
    check_last(GET("/1"), false, 1, true);
    check_last(GET("/1"), true, 0, true);
    check_last("GET /1" FIELDS CLOSE "\r\n", false, 0, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/breaks/not-called-again", test_not_called_again);
    g_test_add_func("/net/breaks/answers-before", test_answers_before);
    g_test_add_func("/net/breaks/reset", test_reset);
    g_test_add_func("/net/breaks/ended-then-finished", test_ended_then_finished);
    g_test_add_func("/net/breaks/half-closed-and-finished", test_half_closed_and_finished);
    g_test_add_func("/net/breaks/empty-lines", test_empty_lines);
    g_test_add_func("/net/breaks/last-lingers", test_last_lingers);
    return g_test_run();
}
