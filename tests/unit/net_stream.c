/*
 * Answers in pieces: framed as the client understands it, no faster than it reads, and echoed while
 * the request is still arriving.
 */
#include "net/connection_private.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

/* --- a handler that writes what the test says --- */

struct scene {
    int status;
    uint64_t length; /* that it announces */
    const char *bytes;
    size_t total;
    size_t piece;
    size_t written;
    unsigned rooms;
    unsigned cancelled;
    bool at_once; /* do not wait for room */
};

static void on_cancel(void *arg)
{
    struct scene *scene = arg;
    scene->cancelled++;
}

static int produce(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    (void)request;
    scene->rooms++;
    while (scene->written < scene->total) {
        size_t count = MIN(scene->piece, scene->total - scene->written);
        size_t taken = http_response_write(response, scene->bytes + scene->written, count);
        scene->written += taken;
        if (taken < count)
            return HTTP_PENDING;
    }
    if (http_response_trailer(response, "Sum", "1") != 0)
        return 500;
    int returned = http_response_end(response);
    if (returned < 0)
        return returned;
    g_assert_cmpuint(http_response_write(response, "x", 1), ==, 0);
    g_assert_cmpint(http_response_end(response), ==, -EINVAL);
    return returned;
}

static int begin(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    scene->written = 0;
    int error = http_response_start(response, scene->status, "text/plain", scene->length);
    if (error)
        return error;
    http_response_on_cancel(response, on_cancel, arg);
    if (scene->at_once)
        return produce(request, response, arg);
    http_response_on_room(response, produce, arg);
    return HTTP_PENDING;
}

static void scene_open(struct scene *scene, struct net *net, const struct scene *as)
{
    *scene = *as;
    net_open(net);
    net_route(net, "/stream", begin, scene);
}

/* --- framing --- */

#define STREAM(method, version, more) \
    method " /stream HTTP/1." version "\r\nHost: a\r\n" more "\r\n"
#define HEAD_OF(status, more) "HTTP/1.1 " status "\r\nContent-Type: text/plain\r\n" more "\r\n"
#define CHUNKED               "Transfer-Encoding: chunked\r\n"
#define KEEP                  "Connection: keep-alive\r\n"

static const struct {
    const char *request;
    int status;
    uint64_t length;
    const char *answer;
    bool ends;
} framings[] = {
    {STREAM("GET", "1", ""), 200, HTTP_LENGTH_UNKNOWN,
     HEAD_OF("200 OK", CHUNKED) "3\r\nhel\r\n2\r\nlo\r\n0\r\nSum: 1\r\n\r\n", false},
    {STREAM("GET", "1", ""), 404, 5, HEAD_OF("404 Not Found", "Content-Length: 5\r\n") "hello",
     false},
    {STREAM("GET", "1", CLOSE), 200, 5, PLAIN("5", CLOSE, "hello"), true},
    {STREAM("HEAD", "1", ""), 200, HTTP_LENGTH_UNKNOWN, HEAD_OF("200 OK", CHUNKED), false},
    {STREAM("HEAD", "1", ""), 200, 5, PLAIN("5", "", ""), false},
    {STREAM("GET", "1", ""), 204, HTTP_LENGTH_UNKNOWN, "HTTP/1.1 204 No Content\r\n\r\n", false},
    {STREAM("GET", "1", ""), 204, 5, "HTTP/1.1 204 No Content\r\n\r\n", false},
    {STREAM("GET", "1", ""), 304, 5, "HTTP/1.1 304 Not Modified\r\n\r\n", false},
    {STREAM("GET", "1", ""), 205, HTTP_LENGTH_UNKNOWN,
     HEAD_OF("205 Reset Content", "Content-Length: 0\r\n"), false},
    {STREAM("GET", "0", ""), 200, HTTP_LENGTH_UNKNOWN, HEAD_OF("200 OK", CLOSE) "hello", true},
    {STREAM("GET", "0", KEEP), 200, HTTP_LENGTH_UNKNOWN, HEAD_OF("200 OK", CLOSE) "hello", true},
    {STREAM("GET", "0", KEEP), 200, 5, PLAIN("5", KEEP, "hello"), false},
    {STREAM("HEAD", "0", ""), 200, HTTP_LENGTH_UNKNOWN, HEAD_OF("200 OK", CLOSE), true},
};

static void check_framing(size_t i, bool at_once, size_t piece, const int *steps, size_t count)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net,
               &(struct scene){.status = framings[i].status,
                               .length = framings[i].length,
                               .bytes = "hello",
                               .total = 5,
                               .piece = 3,
                               .at_once = at_once});
    g_autofree char *all = g_strconcat(GET("/1"), framings[i].request, GET("/2"), NULL);
    g_autofree char *expected = g_strconcat(PLAIN("6", "", "GET /1"), framings[i].answer,
                                            framings[i].ends ? "" : PLAIN("6", "", "GET /2"), NULL);
    client_init(&client, net_pair(&net), all, strlen(all));
    client.piece = piece;
    inject_always(&inject_send, steps, count);
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpint(client.ended, ==, framings[i].ends);
    g_assert_cmpint(client.error, ==, 0);
    g_assert_cmpuint(scene.cancelled, ==, 0);
    client_fini(&client);
    net_close(&net);
}

static void test_framing(void)
{
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(framings); i++) {
        check_framing(i / 2, i % 2, SIZE_MAX, NULL, 0);
        check_framing(i / 2, i % 2, 1, STEPS(1));
        check_framing(i / 2, i % 2, SIZE_MAX, STEPS(7, -EAGAIN));
        check_framing(i / 2, i % 2, SIZE_MAX, STEPS(-EAGAIN, 1, -EINTR));
    }
}

static int with_fields(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    g_assert_cmpint(http_response_header(response, "A", "b"), ==, 0);
    g_assert_cmpint(http_response_start(response, 200, NULL, HTTP_LENGTH_UNKNOWN), ==, 0);
    g_assert_cmpint(http_response_trailer(response, "C", "d"), ==, 0);
    g_assert_cmpuint(http_response_write(response, "x", 1), ==, 1);
    g_assert_cmpint(http_response_trailer(response, "E", "f"), ==, 0);
    return http_response_end(response);
}

/* Each where it belongs, and only there. */
static void test_fields_and_trailers(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    net_route(&net, "/fields", with_fields, NULL);
    client_init(&client, net_pair(&net), GET("/fields") GET("/1"),
                strlen(GET("/fields") GET("/1")));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net,
                "HTTP/1.1 200 OK\r\n" CHUNKED
                "A: b\r\n\r\n1\r\nx\r\n0\r\nC: d\r\nE: f\r\n\r\n" PLAIN("6", "", "GET /1"));
    client_fini(&client);
    net_close(&net);
}

/* --- no faster than it is read --- */

enum { MUCH = 10 << 20 };

/* What the chunks of the first answer hold. */
static GByteArray *dechunk(const struct client *client)
{
    const struct http_request request = {.chunked = true};
    const char *bytes = (const char *)client->received->data;
    const char *end = bytes + client->received->len;
    const char *at = g_strstr_len(bytes, 1000, "\r\n\r\n") + 4;
    GByteArray *body = g_byte_array_new();
    struct http_limits limits = http_limits_default;
    struct http_body reading;
    size_t piece = 1;
    limits.body_bytes = UINT64_MAX;
    http_body_begin(&reading, &request);
    while (piece) {
        int framing = http_body_next(&reading, at, (size_t)(end - at), &limits, &piece);
        g_assert_cmpint(framing, >, 0);
        g_byte_array_append(body, (const guint8 *)at + framing, (guint)piece);
        http_body_take(&reading, piece);
        at += (size_t)framing + piece;
    }
    g_assert_true(http_body_ended(&reading) && at == end);
    return body;
}

static void check_slow_reader(size_t piece, const int *steps, size_t count)
{
    struct net net;
    struct scene scene;
    struct client client;
    g_autofree char *much = g_malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)(i * 31 >> 3);
    scene_open(&scene, &net,
               &(struct scene){.status = 200,
                               .length = HTTP_LENGTH_UNKNOWN,
                               .bytes = much,
                               .total = MUCH,
                               .piece = piece});
    client_init(&client, net_pair(&net), STREAM("GET", "1", ""), strlen(STREAM("GET", "1", "")));
    inject_always(&inject_send, steps, count);
    memory_largest = 0;
    size_t most = 0;
    for (int quiet = 0; quiet < 50; quiet++) {
        size_t before = client.received->len;
        client_step(&client, &net);
        const struct connection *connection = net.worker.connections;
        most = MAX(most, connection->out.length - connection->out_at);
        quiet = client.received->len == before ? quiet : 0;
    }
    g_assert_cmpuint(most, <=, HTTP_STREAM_MAX + 200); /* the head, and the frame of a chunk */
    g_assert_cmpuint(memory_largest, <=, 4 * HTTP_STREAM_MAX);
    g_assert_cmpuint(scene.rooms, >, 10);
    g_autoptr(GByteArray) body = dechunk(&client);
    g_assert_cmpmem(body->data, body->len, much, MUCH);
    client_fini(&client);
    net_close(&net);
}

static void test_slow_reader(void)
{
    check_slow_reader(MUCH, NULL, 0);
    check_slow_reader(50000, STEPS(30000, -EAGAIN));
    check_slow_reader(65536, STEPS(70000, -EAGAIN, -EAGAIN));
}

/* A client that does not read at all stops the handler, until it does. */
static void test_no_reader(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    g_autofree char *much = g_strnfill(MUCH, 'm');
    scene_open(&scene, &net,
               &(struct scene){
                   .status = 200, .length = MUCH, .bytes = much, .total = MUCH, .piece = 10000});
    client_init(&client, net_pair(&net), STREAM("GET", "1", ""), strlen(STREAM("GET", "1", "")));
    g_assert_cmpint(write(client.fd, client.bytes, client.length), >, 0);
    client.sent = client.length;
    for (int i = 0; i < 200; i++)
        net_turn(&net);
    size_t written = scene.written;
    unsigned rooms = scene.rooms;
    g_assert_cmpuint(written, <, MUCH / 2);
    for (int i = 0; i < 200; i++)
        net_turn(&net);
    g_assert_cmpuint(scene.written, ==, written);
    g_assert_cmpuint(scene.rooms, ==, rooms);
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(scene.written, ==, MUCH);
    client_fini(&client);
    net_close(&net);
}

/* --- what handlers may not do --- */

static int misuse(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    g_assert_cmpuint(http_response_write(response, "x", 1), ==, 0);
    g_assert_cmpint(http_response_end(response), ==, -EINVAL);
    g_assert_cmpint(http_response_trailer(response, "A", "b"), ==, -EALREADY);
    g_assert_cmpint(http_response_start(response, 199, NULL, 3), ==, -EINVAL);
    g_assert_cmpint(http_response_start(response, 200, "a\n", 3), ==, -EINVAL);
    g_assert_cmpint(http_response_start(response, 200, "text/plain", 3), ==, 0);
    g_assert_cmpint(http_response_start(response, 200, "text/plain", 3), ==, -EALREADY);
    g_assert_cmpint(http_respond(response, 200, "text/plain", "x", 1), ==, -EALREADY);
    g_assert_cmpint(http_response_header(response, "A", "b"), ==, -EALREADY);
    g_assert_cmpint(http_response_trailer(response, "Set-Cookie", "b"), ==, -EINVAL);
    g_assert_cmpint(http_response_trailer(response, "content-length", "3"), ==, -EINVAL);
    g_assert_cmpint(http_response_trailer(response, "A", "b\r\nc: d"), ==, -EINVAL);
    g_assert_cmpuint(http_response_write(response, "ab", 2), ==, 2);
    g_assert_cmpuint(http_response_write(response, "", 0), ==, 0);
    g_assert_cmpint(http_response_end(response), ==, -EINVAL);
    g_assert_cmpuint(http_response_write(response, "cde", 3), ==, 1);
    g_assert_cmpuint(http_response_write(response, "e", 1), ==, 0);
    return http_response_end(response);
}

static void test_misuse(void)
{
    struct net net;
    struct client client;
    net_open(&net);
    net_route(&net, "/misuse", misuse, NULL);
    client_init(&client, net_pair(&net), GET("/misuse") GET("/1"),
                strlen(GET("/misuse") GET("/1")));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, PLAIN("3", "", "abc") PLAIN("6", "", "GET /1"));
    client_fini(&client);
    net_close(&net);
}

/* The client can tell, because the connection ends. */
static void test_too_little(void)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net,
                   &(struct scene){.status = 200,
                                   .length = 6,
                                   .bytes = "hello",
                                   .total = 5,
                                   .piece = 5,
                                   .at_once = at_once});
        g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the handler of /stream*");
        client_init(&client, net_pair(&net), STREAM("GET", "1", "") GET("/1"),
                    strlen(STREAM("GET", "1", "") GET("/1")));
        client_run_to_end(&client, &net);
        g_test_assert_expected_messages();
        g_autofree char *text = client_text(&client, &net);
        g_assert_null(strstr(text, "GET /1"));
        client_fini(&client);
        net_close(&net);
    }
}

/* --- memory --- */

static int write_without_memory(struct http_request *request, struct http_response *response,
                                void *arg)
{
    static const char much[HTTP_STREAM_MAX];
    (void)request;
    http_response_on_cancel(response, on_cancel, arg);
    g_assert_cmpint(http_response_start(response, 200, "text/plain", sizeof(much)), ==, 0);
    memory_fails_in = 1;
    g_assert_cmpuint(http_response_write(response, much, sizeof(much)), ==, 0);
    g_assert_cmpint(memory_fails_in, ==, 0);
    return HTTP_PENDING;
}

/* A handler that hopes for better times is told that there are none. */
static void test_memory_for_writing(void)
{
    struct net net;
    struct scene scene = {0};
    struct client client;
    net_open(&net);
    net_route(&net, "/write", write_without_memory, &scene);
    client_init(&client, net_pair(&net), GET("/write"), strlen(GET("/write")));
    client_run_to_end(&client, &net);
    g_assert_cmpuint(scene.cancelled, ==, 1);
    client_fini(&client);
    net_close(&net);
}

/* Returns whether it came to the n-th allocation. */
static bool converse_short_of_memory(int n, bool stays_short, bool at_once)
{
    static const char all[] = STREAM("GET", "1", "") STREAM("GET", "1", "");
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net,
               &(struct scene){.status = 200,
                               .length = HTTP_LENGTH_UNKNOWN,
                               .bytes = "hello",
                               .total = 5,
                               .piece = 2,
                               .at_once = at_once});
    net.worker.next_warning_ns = UINT64_MAX;
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), all, strlen(all));
    client.piece = 30;
    inject_always(&inject_send, STEPS(0, 30, -EAGAIN));
    client_run_to_rest(&client, &net);
    bool failed = memory_fails_in == 0 || stays_short;
    inject_nothing();
    client_fini(&client);
    client_init(&client, net_pair(&net), all, strlen(all));
    client_run_to_rest(&client, &net);
    g_autofree char *text = client_text(&client, &net);
    g_assert_true(g_str_has_suffix(text, "lo\r\n0\r\nSum: 1\r\n\r\n") || strstr(text, "1\r\no"));
    client_fini(&client);
    net_close(&net);
    return failed;
}

static void test_memory(void)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        long live = memory_live;
        int n = 1;
        while (converse_short_of_memory(n, false, at_once))
            n++;
        for (int at = 1; at < n; at++)
            converse_short_of_memory(at, true, at_once);
        g_assert_cmpint(memory_live, ==, live);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/stream/framing", test_framing);
    g_test_add_func("/net/stream/fields-and-trailers", test_fields_and_trailers);
    g_test_add_func("/net/stream/slow-reader", test_slow_reader);
    g_test_add_func("/net/stream/no-reader", test_no_reader);
    g_test_add_func("/net/stream/misuse", test_misuse);
    g_test_add_func("/net/stream/too-little", test_too_little);
    g_test_add_func("/net/stream/memory-for-writing", test_memory_for_writing);
    g_test_add_func("/net/stream/memory", test_memory);
    return g_test_run();
}
