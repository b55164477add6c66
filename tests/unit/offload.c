/*
 * Handlers on the threads of a pool: they see what handlers on the reactor see, and their clients
 * receive what they would have received from there.
 */
#include "net/access_log.h"
#include "net/connection.h"
#include "offload_support.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the same answers --- */

#define POST(target, body_fields, body) "POST " target FIELDS body_fields "\r\n" body
#define CHUNKED                         "Transfer-Encoding: chunked\r\n"

static const char *const streams[] = {
    GET("/1"),
    GET("/1") GET("/large") GET("/2") GET("/large") GET("/here/3"),
    GET("/here/1") GET("/2") GET("/constant") GET("/none") GET("/missing") GET("/5"),
    "HEAD /1" FIELDS "\r\nHEAD /large" FIELDS "\r\nHEAD /missing" FIELDS "\r\n" GET("/%41/b"),
    "GET /1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" GET("/2"),
    GET("/1") "GET /2 HTTP/1.0\r\nHost: x\r\n\r\n",
    GET("/1") "GET /2" FIELDS "Connection: close\r\n\r\n",
    POST("/1", "Content-Length: 5\r\n", "hello") GET("/2"),
    POST("/1", CHUNKED, "1\r\nx\r\n0\r\nA: b\r\n\r\n") POST("/2", "Content-Length: 0\r\n", ""),
    mixed,
};

static void check_stream(const char *stream, size_t piece, const int *steps, size_t count)
{
    struct bureau bureau;
    struct client client;
    bureau_open(&bureau, 3, 100);
    net_route(&bureau.net, "/here/*", net_handler, NULL);
    bureau_route(&bureau, "/{any}", net_handler, NULL);
    bureau_route(&bureau, "/{any}/*", net_handler, NULL);
    g_autoptr(GByteArray) owed = owed_for(&bureau.net, stream, strlen(stream));
    g_autofree char *text = bureau_strip(owed->data, owed->len);
    g_test_message("pieces of %zu, steps %zu: %s", piece, count, stream);
    client_init(&client, net_pair(&bureau.net), stream, strlen(stream));
    client.piece = piece;
    inject_always(&inject_send, steps, count);
    bureau_expect(&bureau, &client, text);
    client_run_to_rest(&client, &bureau.net);
    g_autofree char *all = bureau_text(&client);
    g_assert_cmpstr(all, ==, text);
    g_assert_cmpuint(bureau_waited(&bureau), >, 0);
    client_fini(&client);
    bureau_close(&bureau);
}

static void test_same_answers(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        check_stream(streams[i], SIZE_MAX, NULL, 0);
        check_stream(streams[i], 7, NULL, 0);
        check_stream(streams[i], SIZE_MAX, STEPS(-EAGAIN, 11000, -EAGAIN));
    }
}

/* --- the same request --- */

static void add_text(GString *to, const char *name, struct http_text text)
{
    g_string_append_printf(to, "%s=%s", name, text.bytes ? "" : "absent");
    g_string_append_len(to, text.bytes, (gssize)text.length);
    g_string_append_c(to, '\n');
}

static int describe(struct http_request *request, struct http_response *response, void *arg)
{
    struct reactor *expected = arg;
    g_autoptr(GString) text = g_string_new("");
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    g_assert_true(http_request_reactor(request) == expected);
    g_assert_false(http_request_is_cancelled(request));
    g_assert_true(http_request_method_is(request, "POST"));
    add_text(text, "method", http_request_method(request));
    add_text(text, "target", http_request_target(request));
    add_text(text, "path", http_request_path(request));
    add_text(text, "query", http_request_query(request));
    add_text(text, "host", http_request_host(request));
    add_text(text, "plain", http_request_param(request, "plain"));
    add_text(text, "coded", http_request_param(request, "coded"));
    add_text(text, "*", http_request_param(request, "*"));
    add_text(text, "list", http_request_header_list(request, "List"));
    add_text(text, "value", http_request_query_value(request, "b"));
    add_text(text, "decoded", http_request_decode(request, (struct http_text){"%41+", 4}));
    add_text(text, "client", http_request_client(request));
    add_text(text, "server", http_request_server(request));
    add_text(text, "body", http_request_body(request));
    add_text(text, "trailer", http_request_trailer(request, "After"));
    g_string_append_printf(text, "ended=%d\n", http_request_ended(request));
    for (size_t i = 0; http_request_field(request, i, &name, &value); i++)
        add_text(text, "field", value);
    while (http_request_query_next(request, &cursor, &name, &value))
        add_text(text, "pair", name);
    char *kept = http_request_alloc(request, 100000);
    g_assert_nonnull(kept);
    memset(kept, 'x', 100000);
    g_assert_cmpint(http_response_header(response, "X-Own", "1"), ==, 0);
    g_assert_cmpint(http_response_lines(response, (struct http_text){"X-More: 2\r\n", 11}), ==, 0);
    return http_respond(response, 201, "text/plain", text->str, text->len);
}

static int collect(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response;
    return http_request_collect(request, SIZE_MAX, describe, arg);
}

#define TARGET "?a=1&b=%20two&&c"
static const char *const bodies[] = {
    "Content-Length: 5\r\nEmpty:\r\nList: 1\r\nlist:  2 \r\n\r\nhello",
    "List: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\nAfter: all\r\n\r\n",
};

static void test_same_request(void)
{
    static const char *const paths[] = {"/a/%42c/d", "/%41/b/e%46/g/", "/a/b/"};
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(paths); i++) {
        struct bureau bureau;
        struct client client;
        char *texts[2];
        bureau_open(&bureau, 1, 1);
        bureau_route(&bureau, "/pool/{plain}/{coded}/*", describe, bureau.net.reactor);
        net_route(&bureau.net, "/here/{plain}/{coded}/*", collect, bureau.net.reactor);
        for (int k = 0; k < 2; k++) {
            g_autofree char *request = g_strconcat("POST /", k ? "pool" : "here", paths[i / 2],
                                                   TARGET FIELDS, bodies[i % 2], NULL);
            client_init(&client, net_pair(&bureau.net), request, strlen(request));
            client_run(&client, &bureau.net, 100);
            g_autofree char *text = bureau_text(&client);
            g_auto(GStrv) parts = g_strsplit(text, k ? "/pool/" : "/here/", -1);
            texts[k] = g_strjoinv("/", parts);
            client_fini(&client);
        }
        g_assert_nonnull(strstr(texts[0], "body=hello\n"));
        g_assert_nonnull(strstr(texts[0], "X-Own: 1\r\nX-More: 2\r\n"));
        g_assert_cmpstr(texts[0], ==, texts[1]);
        g_free(texts[0]);
        g_free(texts[1]);
        bureau_close(&bureau);
    }
}

/* --- bodies that are not copied --- */

enum { LONG = 200000 };

struct source_scene {
    atomic_uint released;
    int file;
};

/* Nothing is ready yet. Whoever said so would have to say later that it is, of a response that is
 * not the connection's. */
static int64_t prepare(void *arg, int64_t offset, size_t length)
{
    (void)arg, (void)offset, (void)length;
    return -EAGAIN;
}

static void release(void *arg)
{
    struct source_scene *scene = arg;
    atomic_fetch_add(&scene->released, 1);
}

/* Memory of the request's own around a part of a file. */
static int respond_from(struct http_request *request, struct http_response *response, void *arg)
{
    struct source_scene *scene = arg;
    char *memory = http_request_alloc(request, LONG);
    g_assert_nonnull(memory);
    memset(memory, 'm', LONG);
    const struct http_piece pieces[] = {{.bytes = memory, .length = LONG},
                                        {.offset = 2, .length = 3},
                                        {.bytes = "end", .length = 3}};
    const struct http_source source = {scene->file, NULL, release, scene};
    bool one = http_request_query(request).length;
    return http_respond_from(response, 200, "text/plain", &source, pieces, one ? 1 : 3);
}

static int respond_when_ready(struct http_request *request, struct http_response *response,
                              void *arg)
{
    struct source_scene *scene = arg;
    const struct http_source source = {scene->file, prepare, release, scene};
    const struct http_piece piece = {.offset = 2, .length = 3};
    (void)request;
    int error = http_respond_from(response, 200, "text/plain", &source, &piece, 1);
    g_assert_cmpint(error, ==, -EINVAL);
    return http_respond(response, 200, "text/plain", "refused", 7);
}

static int respond_file(struct http_request *request, struct http_response *response, void *arg)
{
    struct source_scene *scene = arg;
    (void)request;
    return http_respond_file(response, 200, "text/plain", dup(scene->file), 1, 8);
}

static void source_scene_open(struct source_scene *scene, struct bureau *bureau)
{
    *scene = (struct source_scene){.file = memfd_create("file", MFD_CLOEXEC)};
    g_assert_cmpint(write(scene->file, "0123456789", 10), ==, 10);
    bureau_open(bureau, 2, 100);
    bureau_route(bureau, "/from", respond_from, scene);
    bureau_route(bureau, "/file", respond_file, scene);
    bureau_route(bureau, "/ready", respond_when_ready, scene);
}

static void check_sources(const int *steps, size_t count)
{
    static const char stream[] =
        GET("/from") GET("/file") GET("/from?1") "HEAD /from" FIELDS "\r\n" GET("/1");
    struct bureau bureau;
    struct source_scene scene;
    struct client client;
    source_scene_open(&scene, &bureau);
    g_autofree char *memory = g_strnfill(LONG, 'm');
    g_autofree char *expected = g_strconcat(
        PLAIN("200006", "", ""), memory, "234end", PLAIN("8", "", "12345678"),
        PLAIN("200000", "", ""), memory, PLAIN("200006", "", ""), PLAIN("6", "", "GET /1"), NULL);
    client_init(&client, net_pair(&bureau.net), stream, strlen(stream));
    inject_always(&inject_send, steps, count);
    bureau_expect(&bureau, &client, expected);
    g_assert_cmpuint(atomic_load(&scene.released), ==, 3);
    client_fini(&client);
    close(scene.file);
    bureau_close(&bureau);
}

static void test_sources(void)
{
    check_sources(NULL, 0);
    check_sources(STEPS(5000, -EAGAIN));
}

static void test_sources_that_are_waited_for(void)
{
    struct bureau bureau;
    struct source_scene scene;
    struct client client;
    source_scene_open(&scene, &bureau);
    client_init(&client, net_pair(&bureau.net), GET("/ready") GET("/1"),
                strlen(GET("/ready") GET("/1")));
    bureau_expect(&bureau, &client, PLAIN("7", "", "refused") PLAIN("6", "", "GET /1"));
    g_assert_cmpuint(atomic_load(&scene.released), ==, 1);
    client_fini(&client);
    close(scene.file);
    bureau_close(&bureau);
}

/* Whatever a client does not take is released. */
static void test_sources_of_clients_that_leave(void)
{
    struct bureau bureau;
    struct source_scene scene;
    struct client client;
    source_scene_open(&scene, &bureau);
    client_init(&client, net_pair(&bureau.net), GET("/from"), strlen(GET("/from")));
    inject_always(&inject_send, STEPS(1000, -EAGAIN));
    client_run(&client, &bureau.net, 500);
    g_assert_cmpuint(atomic_load(&scene.released), ==, 0);
    client_fini(&client);
    bureau_await(&bureau, &scene.released, 1);
    close(scene.file);
    bureau_close(&bureau);
}

/* --- nonsense --- */

#define ERROR_500                                                                       \
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n" \
    "Content-Length: 26\r\n\r\n500 Internal Server Error\n"

static int misbehave(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    http_response_header(response, "X-Lost", "1");
    switch (http_request_param(request, "how").bytes[0]) {
    case 'p':
        return HTTP_PENDING;
    case 'o': /* no answer was made */
        return 200;
    case 'c':
        return http_request_collect(request, SIZE_MAX, describe, NULL);
    case 'b':
        return http_request_stream(request, describe, NULL);
    case 's':
        return http_response_start(response, 200, "text/plain", HTTP_LENGTH_UNKNOWN);
    case 'w':
        http_response_start(response, 200, "text/plain", 5);
        g_assert_cmpuint(http_response_write(response, "hello", 5), ==, 0);
        return http_response_end(response);
    default:
        http_response_on_cancel(response, release, NULL);
        http_response_on_room(response, describe, NULL);
        http_response_soon(response);
        http_request_resume(request);
        return -1;
    }
}

static void test_nonsense(void)
{
    static const struct {
        const char *way;
        const char *returned;
    } cases[] = {{"p", "1"},   {"o", "200"}, {"c", "-114"}, {"b", "-114"},
                 {"s", "-22"}, {"w", "-22"}, {"x", "-1"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct bureau bureau;
        struct client client;
        bureau_open(&bureau, 1, 1);
        bureau_route(&bureau, "/nonsense/{how}", misbehave, NULL);
        g_autofree char *stream = g_strconcat("POST /nonsense/", cases[i].way,
                                              FIELDS "Content-Length: 1\r\n\r\n!" GET("/1"), NULL);
        g_autofree char *complaint =
            g_strdup_printf("the handler of /nonsense/{how} returned %s,*", cases[i].returned);
        g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, complaint);
        client_init(&client, net_pair(&bureau.net), stream, strlen(stream));
        bureau_expect(&bureau, &client, ERROR_500 PLAIN("6", "", "GET /1"));
        g_test_assert_expected_messages();
        client_fini(&client);
        bureau_close(&bureau);
    }
}

/* What was answered stands, whatever is returned then. */
static int respond_and_return(struct http_request *request, struct http_response *response,
                              void *arg)
{
    (void)request;
    int answered = http_respond(response, 200, "text/plain", "first", 5);
    g_assert_cmpint(http_respond(response, 404, NULL, NULL, 0), ==, -EALREADY);
    http_response_finish(response, answered);
    return *(int *)arg;
}

static int fail_with_field(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    g_assert_cmpint(http_response_header(response, "X-Own", "1"), ==, 0);
    return 429;
}

static void test_other_returns(void)
{
    static int returned[] = {HTTP_PENDING, 500, -1, 200};
    for (size_t i = 0; i < G_N_ELEMENTS(returned); i++) {
        struct bureau bureau;
        struct client client;
        bureau_open(&bureau, 1, 1);
        bureau_route(&bureau, "/first", respond_and_return, &returned[i]);
        bureau_route(&bureau, "/429", fail_with_field, NULL);
        client_init(&client, net_pair(&bureau.net), GET("/first") GET("/429"),
                    strlen(GET("/first") GET("/429")));
        bureau_expect(&bureau, &client,
                      PLAIN("5", "", "first") "HTTP/1.1 429 Too Many Requests\r\n"
                                              "Content-Type: text/plain; charset=utf-8\r\n"
                                              "Content-Length: 22\r\nX-Own: 1\r\n\r\n"
                                              "429 Too Many Requests\n");
        client_fini(&client);
        bureau_close(&bureau);
    }
}

/* --- what is told of it --- */

static void test_access_log(void)
{
    struct bureau bureau;
    struct client client;
    g_autofree char *path = g_strdup_printf("%s/offload-%d.log", g_get_tmp_dir(), (int)getpid());
    g_autofree char *text = NULL;
    bureau_open(&bureau, 1, 1);
    bureau_route(&bureau, "/{part}", net_handler, NULL);
    struct access_log *log = access_log_open(path, ACCESS_COMBINED, 1);
    g_assert_nonnull(log);
    bureau.net.worker.access = access_log_ring(log, 0);
    client_init(&client, net_pair(&bureau.net), GET("/one"), strlen(GET("/one")));
    bureau_expect(&bureau, &client, PLAIN("8", "", "GET /one"));
    client_fini(&client);
    bureau_close(&bureau);
    access_log_close(log);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "\"GET /one HTTP/1.1\" 200 8 "));
    g_assert_null(strchr(strchr(text, '\n') + 1, '\n'));
    g_remove(path);
}

static void test_metrics(void)
{
    struct bureau bureau;
    struct client clients[3];
    bureau_open(&bureau, 1, 10);
    const struct metrics *metrics = &bureau.net.worker.metrics;
    for (int i = 0; i < 3; i++) {
        client_init(&clients[i], net_pair(&bureau.net), GET("/held/1"), strlen(GET("/held/1")));
        client_run_to_rest(&clients[i], &bureau.net);
    }
    bureau_await(&bureau, &bureau.begun, 1);
    g_assert_cmpuint(counter_read(&metrics->offload_running), ==, 1);
    g_assert_cmpuint(counter_read(&metrics->offload_waiting), ==, 2);
    g_assert_cmpuint(bureau_waited(&bureau), ==, 1); /* its wait is over, and known */
    bureau_release(&bureau, 3);
    for (int i = 0; i < 3; i++) {
        bureau_expect(&bureau, &clients[i], PLAIN("11", "", "GET /held/1"));
        client_fini(&clients[i]);
    }
    g_assert_cmpuint(bureau_waited(&bureau), ==, 3);
    g_assert_cmpuint(counter_read(&metrics->requests[2]), ==, 3);
    bureau_close(&bureau);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/offload/same-answers", test_same_answers);
    g_test_add_func("/net/offload/same-request", test_same_request);
    g_test_add_func("/net/offload/sources", test_sources);
    g_test_add_func("/net/offload/sources-ready", test_sources_that_are_waited_for);
    g_test_add_func("/net/offload/sources-left", test_sources_of_clients_that_leave);
    g_test_add_func("/net/offload/nonsense", test_nonsense);
    g_test_add_func("/net/offload/other-returns", test_other_returns);
    g_test_add_func("/net/offload/access-log", test_access_log);
    g_test_add_func("/net/offload/metrics", test_metrics);
    return g_test_run();
}
