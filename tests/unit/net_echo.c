/*
 * A request and its answer at the same time: what comes in goes out, at every split, in either
 * order of asking and beginning, and never much of it waits.
 */
#include "net/connection_private.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

enum { MUCH = 3 << 20 };

static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text piece = http_request_body(request);
    (void)arg;
    http_request_consume(request, http_response_write(response, piece.bytes, piece.length));
    return http_request_ended(request) ? http_response_end(response) : HTTP_PENDING;
}

/* `arg` is the length that is announced. */
static int start(struct http_response *response, void *arg)
{
    return http_response_start(response, 200, "text/plain", *(uint64_t *)arg);
}

static int ask_first(struct http_request *request, struct http_response *response, void *arg)
{
    int returned = http_request_stream(request, on_piece, arg);
    int error = start(response, arg);
    return error ? error : returned;
}

static int begin_first(struct http_request *request, struct http_response *response, void *arg)
{
    int error = start(response, arg);
    return error ? error : http_request_stream(request, on_piece, arg);
}

static void open_echo(struct net *net, uint64_t *length)
{
    net_open(net);
    net->service.limits.body_bytes = UINT64_MAX;
    net_route(net, "/ask", ask_first, length);
    net_route(net, "/begin", begin_first, length);
}

#define REQUEST(path, version, more) "POST " path " HTTP/1." version "\r\nHost: a\r\n" more
#define LENGTH                       "Content-Length: 11\r\n"
#define KEEP                         "Connection: keep-alive\r\n"
#define BODY                         "\r\nhello world"
#define CHUNKS                       "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a\r\n world\r\n0\r\n\r\n"

static const struct {
    const char *request;
    const char *answer;
    bool ends;
} echoes[] = {
    {REQUEST("/ask", "1", LENGTH BODY), PLAIN("11", "", "hello world"), false},
    {REQUEST("/begin", "1", CHUNKS), PLAIN("11", "", "hello world"), false},
    {REQUEST("/ask", "0", KEEP LENGTH BODY), PLAIN("11", KEEP, "hello world"), false},
    {REQUEST("/begin", "0", LENGTH BODY), PLAIN("11", CLOSE, "hello world"), true},
};

static void check_split(size_t i, size_t split, size_t piece)
{
    struct net net;
    struct client client;
    uint64_t length = 11;
    g_autofree char *all = g_strconcat(GET("/1"), echoes[i].request, GET("/2"), NULL);
    g_autofree char *expected = g_strconcat(PLAIN("6", "", "GET /1"), echoes[i].answer,
                                            echoes[i].ends ? "" : PLAIN("6", "", "GET /2"), NULL);
    open_echo(&net, &length);
    client_init(&client, net_pair(&net), all, MIN(split, strlen(all)));
    client.piece = piece;
    client_run_to_rest(&client, &net);
    client.length = strlen(all);
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpint(client.ended, ==, echoes[i].ends);
    client_fini(&client);
    net_close(&net);
}

static void test_every_split(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(echoes); i++) {
        for (size_t split = 0; split < strlen(echoes[i].request) + 50; split++)
            check_split(i, split, SIZE_MAX);
        check_split(i, 0, 1);
    }
}

/* To the end of the connection, even if the client would rather keep it (RFC 9112 section 6.3). */
static void test_to_the_end(void)
{
    static const char *const requests[] = {REQUEST("/ask", "0", KEEP LENGTH BODY),
                                           REQUEST("/begin", "0", KEEP LENGTH BODY)};
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        struct net net;
        struct client client;
        uint64_t length = HTTP_LENGTH_UNKNOWN;
        open_echo(&net, &length);
        client_init(&client, net_pair(&net), requests[i], strlen(requests[i]));
        client_run_to_rest(&client, &net);
        expect_text(&client, &net,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" CLOSE "\r\nhello world");
        g_assert_true(client.ended);
        client_fini(&client);
        net_close(&net);
    }
}

/* The answer says that it is the last, because nobody had asked for the body: so it is. */
static void test_begun_with_close(void)
{
    static const char request[] =
        REQUEST("/begin", "1", LENGTH "Expect: 100-continue\r\n" BODY) GET("/never");
    struct net net;
    struct client client;
    uint64_t length = 11;
    open_echo(&net, &length);
    client_init(&client, net_pair(&net), request, strlen(request));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, PLAIN("11", CLOSE, "hello world"));
    g_assert_true(client.ended);
    client_fini(&client);
    net_close(&net);
}

static void check_much(const char *path, const int *steps, size_t count)
{
    struct net net;
    struct client client;
    uint64_t length = MUCH;
    size_t most = 0;
    open_echo(&net, &length);
    g_autofree char *much = g_malloc(MUCH + 1);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)('a' + i * 31 % 26);
    much[MUCH] = '\0';
    g_autofree char *all = g_strdup_printf(
        "POST %s" FIELDS "Content-Length: %d\r\n\r\n%s" GET("/1"), path, MUCH, much);
    g_autofree char *expected = g_strdup_printf(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s%s", MUCH, much,
        PLAIN("6", "", "GET /1"));
    client_init(&client, net_pair(&net), all, strlen(all));
    inject_always(&inject_send, steps, count);
    memory_largest = 0;
    while (client.received->len < MUCH) {
        client_step(&client, &net);
        const struct connection *connection = net.worker.connections;
        most = MAX(most, connection->out.length - connection->out_at);
        g_assert_cmpuint(connection->in_length, <=, READ_MAX);
    }
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(most, <=, HTTP_STREAM_MAX + 200);
    g_assert_cmpuint(memory_largest, <=, 4 * HTTP_STREAM_MAX);
    expect_text(&client, &net, expected);
    client_fini(&client);
    net_close(&net);
}

static void test_much(void)
{
    check_much("/ask", NULL, 0);
    check_much("/ask", STEPS(20000, -EAGAIN));
    check_much("/ask", STEPS(50000, -EAGAIN, -EAGAIN));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/echo/every-split", test_every_split);
    g_test_add_func("/net/echo/to-the-end", test_to_the_end);
    g_test_add_func("/net/echo/begun-with-close", test_begun_with_close);
    g_test_add_func("/net/echo/much", test_much);
    return g_test_run();
}
