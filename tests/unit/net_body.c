/*
 * Bodies of requests, collected and in pieces: handlers get every byte once, however it arrives and
 * however slowly they take it, and nothing else of the connection suffers.
 */
#include "net/connection_private.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* --- handlers --- */

enum take { TAKE_ALL, TAKE_ONE, TAKE_HALF, TAKE_LATE };
enum resume { BY_POST, BY_TIMER, BY_ITSELF, BY_TEST };

struct scene {
    enum take take;
    enum resume resume;
    struct http_request *request;
    GString *data;
    unsigned calls;
    unsigned ends;
    unsigned cancelled;
    struct reactor_timer timer;
};

static int answer(struct http_request *request, struct http_response *response,
                  struct http_text body)
{
    struct http_text trailer = http_request_trailer(request, "x-sum");
    g_autofree char *text = g_strdup_printf("%.*s|%.*s", (int)body.length, body.bytes,
                                            (int)trailer.length, trailer.bytes);
    g_assert_true(http_request_ended(request));
    g_assert_null(http_request_trailer(request, "x-other").bytes);
    return http_respond(response, 200, "text/plain", text, strlen(text));
}

static int on_whole(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    scene->ends++;
    return answer(request, response, http_request_body(request));
}

static void on_cancel(void *arg)
{
    struct scene *scene = arg;
    scene->cancelled++;
}

static int collect(struct http_request *request, struct http_response *response, void *arg)
{
    g_assert_false(http_request_ended(request));
    http_response_on_cancel(response, on_cancel, arg);
    int returned = http_request_collect(request, 100, on_whole, arg);
    if (returned == HTTP_PENDING) {
        int again = http_request_collect(request, 100, on_whole, arg);
        g_assert_cmpint(again, ==, -EALREADY);
    }
    return returned;
}

static void on_resume(struct reactor *reactor, void *arg)
{
    (void)reactor;
    http_request_resume(((struct scene *)arg)->request);
}

static void resume(struct scene *scene)
{
    struct reactor *reactor = http_request_reactor(scene->request);
    if (scene->resume == BY_POST) {
        g_assert_cmpint(reactor_post(reactor, on_resume, scene), ==, 0);
    } else if (scene->resume == BY_TIMER) {
        reactor_timer_init(&scene->timer, reactor, on_resume, scene);
        reactor_timer_start(&scene->timer, 1, 0);
    } else if (scene->resume == BY_ITSELF) {
        http_request_resume(scene->request);
    }
}

static size_t bytes_to_take(struct scene *scene, size_t length)
{
    switch (scene->take) {
    case TAKE_ONE:
        return 1;
    case TAKE_HALF:
        return (length + 1) / 2;
    case TAKE_LATE: /* nothing each other time */
        return scene->calls % 2 ? 0 : length;
    default:
        return length;
    }
}

static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    struct http_text piece = http_request_body(request);
    scene->calls++;
    if (http_request_ended(request)) {
        scene->ends++;
        g_assert_cmpuint(piece.length, ==, 0);
        return answer(request, response, (struct http_text){scene->data->str, scene->data->len});
    }
    g_assert_cmpuint(piece.length, >, 0);
    size_t count = bytes_to_take(scene, piece.length);
    g_string_append_len(scene->data, piece.bytes, (gssize)count);
    http_request_consume(request, count);
    g_assert_cmpuint(http_request_body(request).length, ==, piece.length - count);
    if (count < piece.length)
        resume(scene);
    return HTTP_PENDING;
}

static int stream(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    scene->request = request;
    http_response_on_cancel(response, on_cancel, scene);
    g_string_truncate(scene->data, 0);
    return http_request_stream(request, on_piece, scene);
}

static void scene_open(struct scene *scene, struct net *net)
{
    *scene = (struct scene){.data = g_string_new(NULL)};
    net_open(net);
    net_route(net, "/collect", collect, scene);
    net_route(net, "/stream", stream, scene);
}

static void scene_close(struct scene *scene, struct net *net)
{
    net_close(net);
    g_string_free(scene->data, TRUE);
}

static void expect_idle(const struct client *client, const struct net *net)
{
    g_assert_false(client->ended);
    g_assert_false(connection_is_busy(net->worker.connections));
}

/* Steps until so many bytes of text have been received. */
static void run_until(struct client *client, struct net *net, const char *text)
{
    size_t answers = 0;
    for (const char *at = text; (at = strstr(at, "HTTP/1.1 ")); at++)
        answers += !g_str_has_prefix(at, "HTTP/1.1 100");
    for (int i = 0; i < 5000; i++) {
        clock_ahead_ns += 2 * ms;
        client_step(client, net);
        if (client->received->len >= strlen(text) + answers * HTTP_COMMON_LENGTH)
            break;
    }
    client_run_to_rest(client, net);
    expect_text(client, net, text);
}

/* --- every byte once --- */

#define LENGTH(path, length, body) "POST " path FIELDS "Content-Length: " length "\r\n\r\n" body
#define CHUNKED(path, body)        "POST " path FIELDS "Transfer-Encoding: chunked\r\n\r\n" body
#define FIRST                      PLAIN("6", "", "GET /1")
#define LAST                       PLAIN("6", "", "GET /2")

static const struct {
    const char *request;
    const char *answer;
} bodies[] = {
    {LENGTH("/x", "11", "hello world"), PLAIN("12", "", "hello world|")},
    {LENGTH("/x", "0", ""), PLAIN("1", "", "|")},
    {CHUNKED("/x", "b\r\nhello world\r\n0\r\n\r\n"), PLAIN("12", "", "hello world|")},
    {CHUNKED("/x", "1\r\nh\r\n2;a=b\r\nel\r\n8\r\nlo world\r\n00\r\nX-Sum: 42\r\n\r\n"),
     PLAIN("14", "", "hello world|42")},
    {CHUNKED("/x", "0\r\nX-Sum: 1\r\nX: y\r\n\r\n"), PLAIN("2", "", "|1")},
    {"PUT /x" FIELDS "\r\n", PLAIN("1", "", "|")},
};

/* Between two other requests, with a pause after `split` bytes. */
static void check_body(size_t i, const char *path, struct scene how, size_t split, size_t piece)
{
    struct net net;
    struct scene scene;
    struct client client;
    g_auto(GStrv) parts = g_strsplit(bodies[i].request, "/x", 2);
    g_autofree char *request = g_strjoinv(path, parts);
    g_autofree char *all = g_strconcat(GET("/1"), request, request, GET("/2"), NULL);
    g_autofree char *expected = g_strconcat(FIRST, bodies[i].answer, bodies[i].answer, LAST, NULL);
    scene_open(&scene, &net);
    scene.take = how.take;
    scene.resume = how.resume;
    client_init(&client, net_pair(&net), all, MIN(split, strlen(all)));
    client.piece = piece;
    client_run_to_rest(&client, &net);
    client.length = strlen(all);
    run_until(&client, &net, expected);
    expect_idle(&client, &net);
    g_assert_cmpuint(scene.ends, ==, 2);
    g_assert_cmpuint(scene.cancelled, ==, 0);
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_every_split(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        for (size_t split = 0; split <= 2 * strlen(bodies[i].request) + 60; split++) {
            check_body(i, "/collect", (struct scene){0}, split, SIZE_MAX);
            check_body(i, "/stream", (struct scene){0}, split, SIZE_MAX);
        }
        check_body(i, "/collect", (struct scene){0}, 0, 1);
    }
}

static void test_every_way_to_take(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        for (enum take take = TAKE_ALL; take <= TAKE_LATE; take++) {
            for (enum resume by = BY_POST; by <= BY_ITSELF; by++) {
                const struct scene how = {.take = take, .resume = by};
                check_body(i, "/stream", how, 0, 1);
                check_body(i, "/stream", how, 0, 13);
                check_body(i, "/stream", how, 0, SIZE_MAX);
            }
        }
    }
}

static void check_short_reads(const int *steps, size_t count)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        g_auto(GStrv) parts = g_strsplit(bodies[i].request, "/x", 2);
        g_autofree char *request = g_strjoinv(i % 2 ? "/stream" : "/collect", parts);
        scene_open(&scene, &net);
        client_init(&client, net_pair(&net), request, strlen(request));
        inject_always(&inject_recv, steps, count);
        inject_always(&inject_send, STEPS(-EAGAIN, 9));
        run_until(&client, &net, bodies[i].answer);
        client_fini(&client);
        scene_close(&scene, &net);
    }
}

static void test_short_reads(void)
{
    check_short_reads(STEPS(1));
    check_short_reads(STEPS(-EINTR, -EAGAIN, 3));
    check_short_reads(STEPS(60, 1, -EAGAIN, 2));
}

/* --- back-pressure --- */

/* What the handler leaves stops the reading: one buffer is all that it costs. */
static void test_back_pressure(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    g_autofree char *body = g_strnfill(1000000, 'b');
    g_autofree char *all = g_strconcat(LENGTH("/stream", "1000000", ""), body, NULL);
    scene_open(&scene, &net);
    scene.take = TAKE_LATE;
    scene.resume = BY_TEST;
    client_init(&client, net_pair(&net), all, strlen(all));
    memory_largest = 0;
    while (scene.ends == 0) {
        client_run_to_rest(&client, &net);
        g_assert_cmpuint(net.worker.connections->in_length, <=, READ_MAX);
        unsigned reads = inject_recv.calls;
        net_turn(&net);
        g_assert_cmpuint(inject_recv.calls, ==, reads);
        g_assert_true(scene.calls == 0 || scene.data->len + 600000 > client.sent);
        http_request_resume(scene.request);
    }
    client_run_to_rest(&client, &net);
    g_assert_cmpmem(scene.data->str, scene.data->len, body, strlen(body));
    client_fini(&client);
    scene_close(&scene, &net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/body/every-split", test_every_split);
    g_test_add_func("/net/body/every-way-to-take", test_every_way_to_take);
    g_test_add_func("/net/body/short-reads", test_short_reads);
    g_test_add_func("/net/body/back-pressure", test_back_pressure);
    return g_test_run();
}
