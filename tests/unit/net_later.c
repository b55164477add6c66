/*
 * Answers that come later: the client receives what it would have received at once, wherever they
 * come from.
 */
#include "later_support.h"
#include "net/connection.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* --- the same answers --- */

static const char *const streams[] = {
    GET("/later/1"),
    GET("/later/1") GET("/later/2"),
    GET("/later/1") GET("/other/2") GET("/1"),
    GET("/1") GET("/later/2") GET("/3") GET("/other/4") GET("/other/5") GET("/later/6") GET("/7"),
    GET("/other/%41%42") "HEAD /other/c" FIELDS "\r\n" GET("/later/d%2F") GET("/constant"),
    "GET /later/1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" GET("/later/2"),
    GET("/later/1") "POST /other/2" FIELDS "Content-Length: 5\r\n\r\nhello" GET("/3"),
    GET("/large") GET("/later/2") GET("/large") GET("/other/1"),
    "POST /later/1" FIELDS "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" GET("/later/2"),
};

static void check_stream(const char *stream, enum from from, size_t piece, const int *steps,
                         size_t count)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net, from);
    g_autoptr(GByteArray) owed = owed_for(&net, stream, strlen(stream));
    client_init(&client, net_pair(&net), stream, strlen(stream));
    client.piece = piece;
    inject_always(&inject_send, steps, count);
    g_test_message("from %d, pieces of %zu: %s", (int)from, piece, stream);
    for (int i = 0; i < 2000 && client.received->len < owed->len; i++) {
        clock_ahead_ns += 6 * ms;
        client_step(&client, &net);
    }
    client_run_to_rest(&client, &net);
    expect_received(&client, owed);
    g_assert_false(client.ended);
    g_assert_false(connection_is_busy(net.worker.connections));
    g_assert_cmpuint(scene.calls, >, 0);
    g_assert_cmpuint(scene.finished, ==, scene.calls);
    g_assert_cmpuint(scene.cancelled, ==, 0);
    client_fini(&client);
    net_close(&net);
}

static void test_same_answers(void)
{
    static const size_t pieces[] = {1, 2, 7, 30, 46, SIZE_MAX};
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        for (enum from from = FROM_INSIDE; from <= FROM_TIMER; from++) {
            for (size_t k = 0; k < G_N_ELEMENTS(pieces); k++)
                check_stream(streams[i], from, pieces[k], NULL, 0);
            check_stream(streams[i], from, SIZE_MAX, STEPS(-EAGAIN, 11000, -EAGAIN));
        }
    }
}

/* What a handler holds on to survives everything that is read meanwhile. */
static void test_texts(void)
{
    struct net net;
    struct scene scene;
    scene_open(&scene, &net, FROM_TEST);
    g_autofree char *noise = g_strnfill(READ_MAX, '\n');
    for (int round = 0; round < 4; round++) {
        const char *head = round % 2 ? "POST /later/some" FIELDS "Content-Length: 1\r\n\r\n!"
                                     : "GET /other/some%20one" FIELDS "\r\n";
        struct client client;
        struct client other;
        g_autoptr(GByteArray) owed = owed_for(&net, head, strlen(head));
        client_init(&client, net_pair(&net), head, strlen(head));
        client_run_to_rest(&client, &net);
        client_init(&other, net_pair(&net), noise, READ_MAX);
        client_run_to_rest(&other, &net);
        memset(net.worker.in, 0xee, READ_MAX);
        later_finish(scene.last);
        client_run(&client, &net, owed->len);
        expect_received(&client, owed);
        client_fini(&client);
        client_fini(&other);
    }
    net_close(&net);
}

/* The pages that a first answer of its kind keeps are given back with it. */
static void test_memory_is_returned(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net, FROM_POST);
    client_init(&client, net_pair(&net), GET("/later/1") AFTER, strlen(GET("/later/1") AFTER));
    client_run_to_rest(&client, &net);
    long live = memory_live;
    for (int i = 0; i < 3; i++) {
        client.sent = 0;
        client_run_to_rest(&client, &net);
    }
    g_assert_cmpint(memory_live, ==, live);
    g_assert_cmpuint(scene.calls, ==, 4);
    client_fini(&client);
    net_close(&net);
}

/* What is watched does not change for an answer that comes before its client sends more. */
static void test_changes_no_interest(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net, FROM_TEST);
    g_autoptr(GByteArray) owed = owed_for(&net, GET("/later/1"), strlen(GET("/later/1")));
    client_init(&client, net_pair(&net), GET("/later/1"), strlen(GET("/later/1")));
    unsigned calls = epoll_ctl_calls;
    client_run_to_rest(&client, &net);
    later_finish(scene.last);
    client_run_to_rest(&client, &net);
    expect_received(&client, owed);
    g_assert_cmpuint(epoll_ctl_calls, ==, calls);
    client_fini(&client);
    net_close(&net);
}

/* While an answer is pending nothing more is read, but for the client's end. */
static void test_reads_nothing(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net, FROM_TEST);
    g_autoptr(GByteArray) owed =
        owed_for(&net, GET("/later/1") AFTER, strlen(GET("/later/1") AFTER));
    client_init(&client, net_pair(&net), GET("/later/1"), strlen(GET("/later/1")));
    client_run_to_rest(&client, &net);
    unsigned reads = inject_recv.calls;
    client.bytes = AFTER;
    client.sent = 0;
    client.length = strlen(AFTER);
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(inject_recv.calls, ==, reads);
    g_assert_cmpuint(client.received->len, ==, 0);
    later_finish(scene.last);
    client_run_to_rest(&client, &net);
    expect_received(&client, owed);
    client_fini(&client);
    net_close(&net);
}

/* --- nonsense --- */

static int nonsense(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text path = http_request_path(request);
    if (path.bytes[path.length - 1] == '!')
        http_response_finish(response, *(int *)arg);
    if (path.bytes[path.length - 1] == '!')
        return HTTP_PENDING;
    if (path.bytes[path.length - 1] == '~')
        g_assert_cmpint(http_response_start(response, 200, "text/plain", 5), ==, 0);
    return *(int *)arg;
}

/* All there is of an answer that was begun. */
static const char only_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n";

static void check_nonsense(int returned, const char *stream, const char *expected)
{
    struct net net;
    struct client client;
    net_open(&net);
    net_route(&net, "/nonsense/*", nonsense, &returned);
    g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the handler of /nonsense/* returned*");
    client_init(&client, net_pair(&net), stream, strlen(stream));
    client_run_to_rest(&client, &net);
    g_test_assert_expected_messages();
    expect_text(&client, &net, expected);
    g_assert_cmpint(client.ended, ==, expected == only_head);
    client_fini(&client);
    net_close(&net);
}

#define ERROR_500                                                                       \
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n" \
    "Content-Length: 26\r\n\r\n500 Internal Server Error\n"

/* A 500, and a line in the log; the end of the connection when an answer has begun. */
static void test_nonsense(void)
{
    static const int returned[] = {0, 2, -1, 200, 204, 399, 600, -EALREADY, G_MAXINT, G_MININT};
    for (size_t i = 0; i < G_N_ELEMENTS(returned); i++) {
        check_nonsense(returned[i], GET("/nonsense/") GET("/1"),
                       ERROR_500 PLAIN("6", "", "GET /1"));
        check_nonsense(returned[i], GET("/nonsense/!") GET("/1"),
                       ERROR_500 PLAIN("6", "", "GET /1"));
        check_nonsense(returned[i], GET("/nonsense/~") GET("/1"), only_head);
    }
    check_nonsense(HTTP_PENDING, GET("/nonsense/!") GET("/1"), ERROR_500 PLAIN("6", "", "GET /1"));
    check_nonsense(404, GET("/nonsense/~"), only_head);
}

/* That memory is short is no nonsense, and told without any: a message of GLib's ends this test,
 * and where it finds no memory the process. */
static void test_short_memory_is_no_nonsense(void)
{
    struct net net;
    struct client client;
    int returned = -ENOMEM;
    net_open(&net);
    net_route(&net, "/nonsense/*", nonsense, &returned);
    client_init(&client, net_pair(&net), GET("/nonsense/") GET("/1"),
                strlen(GET("/nonsense/") GET("/1")));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, ERROR_500 PLAIN("6", "", "GET /1"));
    client_fini(&client);
    net_close(&net);
}

/* The operator is told once in a while, not at each request. */
static void test_nonsense_is_told_once(void)
{
    struct net net;
    struct client client;
    int returned = 0;
    net_open(&net);
    net_route(&net, "/nonsense/*", nonsense, &returned);
    clock_stands = true;
    client_init(&client, net_pair(&net), GET("/nonsense/") GET("/nonsense/"),
                2 * strlen(GET("/nonsense/")));
    for (int i = 0; i < 2; i++) {
        g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the handler of*returned 0,*");
        client.sent = 0;
        client_run_to_rest(&client, &net);
        g_test_assert_expected_messages();
        clock_ahead_ns += 10001 * ms;
    }
    expect_text(&client, &net, ERROR_500 ERROR_500 ERROR_500 ERROR_500);
    client_fini(&client);
    net_close(&net);
}

/* --- together with others --- */

static int release(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    later_finish(scene->last);
    return net_handler(request, response, NULL);
}

/* One handler finishes what another has left. */
static void test_finished_by_another(void)
{
    struct net net;
    struct scene scene;
    struct client waits;
    struct client releases;
    scene_open(&scene, &net, FROM_TEST);
    net_route(&net, "/release", release, &scene);
    client_init(&waits, net_pair(&net), GET("/later/1") AFTER, strlen(GET("/later/1") AFTER));
    client_init(&releases, net_pair(&net), GET("/release"), strlen(GET("/release")));
    client_run_to_rest(&waits, &net);
    g_assert_cmpuint(waits.received->len, ==, 0);
    client_run_to_rest(&releases, &net);
    client_run_to_rest(&waits, &net);
    expect_text(&releases, &net, PLAIN("12", "", "GET /release"));
    expect_text(&waits, &net, PLAIN("12", "", "GET /later/1") PLAIN("6", "", "GET /1"));
    client_fini(&waits);
    client_fini(&releases);
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/later/same-answers", test_same_answers);
    g_test_add_func("/net/later/texts", test_texts);
    g_test_add_func("/net/later/memory-is-returned", test_memory_is_returned);
    g_test_add_func("/net/later/changes-no-interest", test_changes_no_interest);
    g_test_add_func("/net/later/reads-nothing", test_reads_nothing);
    g_test_add_func("/net/later/nonsense", test_nonsense);
    g_test_add_func("/net/later/short-memory-is-no-nonsense", test_short_memory_is_no_nonsense);
    g_test_add_func("/net/later/nonsense-is-told-once", test_nonsense_is_told_once);
    g_test_add_func("/net/later/finished-by-another", test_finished_by_another);
    return g_test_run();
}
