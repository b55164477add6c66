/*
 * Answers that are pending when the client, the server or the memory goes: the handler is told,
 * once and only then, and nothing is left of them.
 */
#include "later_support.h"
#include "net/connection.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

/* --- nobody to answer --- */

/* A request that is pending; "/1" was answered before it, and the client has not read that. */
static void scene_begin(struct scene *scene, struct net *net, struct client *client,
                        const char *request)
{
    g_autofree char *both = g_strconcat(AFTER, request, NULL);
    scene_open(scene, net, FROM_TEST);
    client_init(client, net_pair(net), "", 0);
    g_assert_cmpint(write(client->fd, both, strlen(both)), ==, (ssize_t)strlen(both));
    net_turn(net);
    g_assert_cmpuint(scene->calls, ==, 1);
    g_assert_true(connection_is_busy(net->worker.connections));
}

static void expect_cancelled(struct scene *scene, struct net *net, unsigned times)
{
    net_turn(net);
    net_turn(net);
    g_assert_cmpuint(scene->cancelled, ==, times);
    g_assert_null(net->worker.connections);
}

static void test_cancel(void)
{
    for (int how = 0; how < 3; how++) {
        struct net net;
        struct scene scene;
        struct client client;
        char answer[4096];
        scene_begin(&scene, &net, &client, GET("/later/1"));
        if (how > 0) /* else what it has not read makes a reset of its end */
            g_assert_cmpint(read(client.fd, answer, sizeof(answer)), >, 0);
        if (how < 2)
            client_fini(&client);
        else
            g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
        expect_cancelled(&scene, &net, 1);
        if (how == 2)
            client_fini(&client);
        net_close(&net);
        g_assert_cmpuint(scene.cancelled, ==, 1);
    }
}

static void test_cancel_at_the_end(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_begin(&scene, &net, &client, GET("/later/1"));
    net_close(&net);
    g_assert_cmpuint(scene.cancelled, ==, 1);
    client_fini(&client);
}

/* Neither after it was finished, nor when it is not wanted any more. */
static void test_no_cancel(void)
{
    for (int how = 0; how < 2; how++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_begin(&scene, &net, &client, GET("/later/1"));
        if (how == 0)
            later_finish(scene.last);
        else
            http_response_on_cancel(scene.last->response, NULL, NULL);
        client_fini(&client);
        net_close(&net);
        g_assert_cmpuint(scene.cancelled, ==, 0);
    }
}

static void test_no_cancel_after_the_answer(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_begin(&scene, &net, &client, GET("/later/1"));
    later_finish(scene.last);
    client_run_to_rest(&client, &net);
    client_fini(&client);
    expect_cancelled(&scene, &net, 0);
    net_close(&net);
}

/* --- draining --- */

/* What is pending when a drain begins is waited for, and is the connection's last answer. */
static void test_drain(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net, FROM_TEST);
    client_init(&client, net_pair(&net), GET("/later/1"), strlen(GET("/later/1")));
    client_run_to_rest(&client, &net);
    worker_drain(net.reactor, &net.worker);
    for (int i = 0; i < 100; i++) {
        clock_ahead_ns += 50 * ms;
        client_step(&client, &net);
    }
    g_assert_false(client.ended);
    later_finish(scene.last);
    while (!client.ended)
        client_step(&client, &net);
    expect_text(&client, &net, PLAIN("12", CLOSE, "GET /later/1"));
    client_fini(&client);
    int outcome = REACTOR_TIMEOUT;
    for (int i = 0; i < 1000 && outcome == REACTOR_TIMEOUT; i++)
        outcome = reactor_run(net.reactor, 0);
    g_assert_cmpint(outcome, ==, REACTOR_STOPPED);
    net_close(&net);
}

static void test_drain_deadline(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_begin(&scene, &net, &client, GET("/later/1"));
    worker_drain(net.reactor, &net.worker);
    net_turn(&net);
    clock_ahead_ns += net.service.drain_timeout_ms * ms;
    expect_cancelled(&scene, &net, 1);
    g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 1);
    client_fini(&client);
    net_close(&net);
}

/* --- memory --- */

/* Returns whether it came to the n-th allocation. */
static bool converse_short_of_memory(const char *stream, enum from from, int n, bool stays_short)
{
    struct net net;
    struct scene scene;
    struct client client;
    struct client other;
    scene_open(&scene, &net, from);
    net.worker.next_warning_ns = UINT64_MAX;
    g_autoptr(GByteArray) owed = owed_for(&net, stream, strlen(stream));
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), stream, strlen(stream));
    client.piece = 50;
    inject_always(&inject_send, STEPS(0, 30, -EAGAIN));
    for (int i = 0; i < 60; i++) {
        clock_ahead_ns += 6 * ms;
        client_step(&client, &net);
    }
    bool failed = memory_fails_in == 0 || stays_short;
    g_assert_true(client.ended || scene.finished + scene.cancelled == scene.calls);
    inject_nothing();
    client_init(&other, net_pair(&net), stream, strlen(stream));
    for (int i = 0; i < 60; i++) {
        clock_ahead_ns += 6 * ms;
        client_step(&other, &net);
    }
    expect_received(&other, owed);
    client_fini(&client);
    client_fini(&other);
    net_close(&net);
    g_assert_cmpuint(scene.finished + scene.cancelled, ==, scene.calls);
    return failed;
}

static void test_memory(void)
{
    static const char stream[] =
        GET("/later/1") GET("/later/2") AFTER GET("/other/3") GET("/other/4");
    for (enum from from = FROM_INSIDE; from <= FROM_TIMER; from += 2) {
        long live = memory_live;
        int n = 1;
        while (converse_short_of_memory(stream, from, n, false))
            n++;
        g_assert_cmpint(n, >=, 10);
        for (int at = 1; at < n; at++)
            converse_short_of_memory(stream, from, at, true);
        g_assert_cmpint(memory_live, ==, live);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/cancel/cancel", test_cancel);
    g_test_add_func("/net/cancel/cancel-at-the-end", test_cancel_at_the_end);
    g_test_add_func("/net/cancel/no-cancel", test_no_cancel);
    g_test_add_func("/net/cancel/no-cancel-after-the-answer", test_no_cancel_after_the_answer);
    g_test_add_func("/net/cancel/drain", test_drain);
    g_test_add_func("/net/cancel/drain-deadline", test_drain_deadline);
    g_test_add_func("/net/cancel/memory", test_memory);
    return g_test_run();
}
