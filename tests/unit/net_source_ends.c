/*
 * Answers from sources that have to wait, and what may happen meanwhile: clients go, the server
 * ends.
 */
#include "source_support.h"

#include "net/connection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

static const struct layout mixture = {{{'m', 0, 20000}, {'f', 2, 300}, {'m', 9, 7}}, 3};
static const struct layout one_file = {{{'f', 2, 9}}, 1};

/* A client whose second answer waits, with another behind it. */
static void begin(struct scene *scene, struct net *net, struct client *client,
                  const struct layout *layout, size_t grants_before)
{
    static const char all[] = GET("/1") GET("/source") GET("/2");
    static const int64_t grants[] = {0, 0, 0, -EAGAIN, 0, 0, 0, 0, 0, 0, 0, 0};
    scene_open(scene, net);
    scene->layout = layout;
    scene->asks = true;
    scene->grants = grants + 3 - grants_before;
    scene->grant_count = G_N_ELEMENTS(grants) - 3;
    client_init(client, net_pair(net), all, strlen(all));
    client_run_to_rest(client, net);
    g_assert_true(scene->waits);
    g_assert_cmpuint(scene->released, ==, 0);
}

static void go_on(struct scene *scene)
{
    scene->waits = false;
    http_response_ready(scene->response);
}

static void expect_all(const struct scene *scene, const struct client *client,
                       const struct net *net)
{
    g_autofree char *answer = answer_of(scene->layout, "");
    g_autofree char *expected =
        g_strconcat(PLAIN("6", "", "GET /1"), answer, PLAIN("6", "", "GET /2"), NULL);
    expect_text(client, net, expected);
}

/* Before memory, a file, and memory again. */
static const size_t places[] = {0, 1, 2};

/* --- waiting --- */

/* Nothing is asked meanwhile, nothing else is answered on that connection; others are served. */
static void test_waits(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        struct client other;
        begin(&scene, &net, &client, &mixture, places[i]);
        size_t asked = scene.asked->len;
        unsigned reads = inject_recv.calls;
        client.bytes = GET("/3");
        client.length = strlen(GET("/3"));
        client.sent = 0;
        client_run_to_rest(&client, &net);
        g_assert_cmpuint(scene.asked->len, ==, asked);
        g_assert_cmpuint(inject_recv.calls, ==, reads);
        g_assert_true(connection_is_busy(net.worker.connections));
        client_init(&other, net_pair(&net), GET("/1"), strlen(GET("/1")));
        client_run_to_rest(&other, &net);
        expect_text(&other, &net, PLAIN("6", "", "GET /1"));
        client_fini(&other);
        go_on(&scene);
        client_run_to_rest(&client, &net);
        g_autofree char *text = client_text(&client, &net);
        g_autofree char *answer = answer_of(&mixture, "");
        g_assert_true(g_str_has_suffix(text, PLAIN("6", "", "GET /2") PLAIN("6", "", "GET /3")));
        g_assert_nonnull(strstr(text, answer));
        client_fini(&client);
        scene_close(&scene, &net);
    }
}

/* Said too often, it does no harm. */
static void test_ready_twice(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    begin(&scene, &net, &client, &mixture, 1);
    go_on(&scene);
    go_on(&scene);
    net_turn(&net);
    client_run_to_rest(&client, &net);
    expect_all(&scene, &client, &net);
    client_fini(&client);
    scene_close(&scene, &net);
}

/* However long it takes: the client is not to blame. */
static void test_waits_long(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    net = (struct net){0};
    begin(&scene, &net, &client, &mixture, 1);
    net.service.min_write_rate = 240;
    net.service.idle_timeout_ms = 75000;
    for (int i = 0; i < 100; i++) {
        clock_ahead_ns += 6000 * ms;
        net_turn(&net);
    }
    go_on(&scene);
    client_run_to_rest(&client, &net);
    expect_all(&scene, &client, &net);
    client_fini(&client);
    scene_close(&scene, &net);
}

/* Closing only its sending side, a client still reads what has begun. */
static void test_half_closed(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    begin(&scene, &net, &client, &mixture, 1);
    g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
    for (int i = 0; i < 3; i++)
        net_turn(&net);
    g_assert_cmpuint(scene.released, ==, 0);
    go_on(&scene);
    client_run_to_end(&client, &net);
    expect_all(&scene, &client, &net);
    client_fini(&client);
    scene_close(&scene, &net);
}

/* --- the end --- */

enum end { CLIENT_GONE, CLIENT_GONE_THEN_READY, SERVER_ENDS };

static void check_end(const struct layout *layout, size_t place, enum end end)
{
    struct net net;
    struct scene scene;
    struct client client;
    begin(&scene, &net, &client, layout, place);
    if (end == SERVER_ENDS) {
        worker_fini(&net.worker);
        g_assert_cmpuint(scene.released, ==, 1);
    }
    client_fini(&client);
    if (end == CLIENT_GONE_THEN_READY)
        go_on(&scene);
    for (int i = 0; i < 3; i++)
        net_turn(&net);
    g_assert_cmpuint(scene.released, ==, 1);
    if (end == SERVER_ENDS)
        g_assert_cmpint(worker_init(&net.worker, net.reactor, &net.service, 1), ==, 0);
    scene_close(&scene, &net);
}

static void test_ends(void)
{
    for (enum end end = CLIENT_GONE; end <= SERVER_ENDS; end++) {
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
            check_end(&mixture, places[i], end);
        check_end(&one_file, 0, end);
        check_end(&one_file, 1, end); /* before its last byte */
    }
}

/* Amid a large one, which does not wait for anything but the client. */
static void test_gone_amid(void)
{
    static const struct layout each[] = {{{{'m', 0, MUCH}}, 1}, {{{'f', 0, MUCH}}, 1}};
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(each); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        scene.layout = &each[i / 2];
        client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
        client_step(&client, &net);
        client_step(&client, &net);
        g_assert_cmpuint(scene.released, ==, 0);
        if (i % 2)
            worker_fini(&net.worker);
        client_fini(&client);
        for (int k = 0; k < 3; k++)
            net_turn(&net);
        g_assert_cmpuint(scene.released, ==, 1);
        if (i % 2)
            g_assert_cmpint(worker_init(&net.worker, net.reactor, &net.service, 1), ==, 0);
        scene_close(&scene, &net);
    }
}

/* A handler that has answered but not finished is told that it need not. */
static void test_cancelled(void)
{
    for (int later = 0; later < 2; later++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        scene.layout = &mixture;
        scene.pending = true;
        scene.later = later;
        client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
        client_run_to_rest(&client, &net);
        g_assert_cmpuint(scene.released, ==, 1);
        g_assert_cmpuint(scene.cancelled, ==, 0);
        client_fini(&client);
        worker_fini(&net.worker);
        g_assert_cmpuint(scene.cancelled, ==, 1);
        g_assert_cmpint(worker_init(&net.worker, net.reactor, &net.service, 1), ==, 0);
        scene_close(&scene, &net);
    }
}

/* Gone before there is an answer: there is no source either. */
static void test_cancelled_before(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = &mixture;
    scene.later = true;
    client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
    g_assert_cmpint(write(client.fd, client.bytes, client.length), ==, (ssize_t)client.length);
    client_fini(&client);
    for (int i = 0; i < 4; i++)
        net_turn(&net);
    g_assert_cmpuint(scene.released, ==, scene.calls);
    scene_close(&scene, &net);
}

/* --- draining --- */

static bool run_until_stopped(struct net *net)
{
    for (int i = 0; i < 10000; i++) {
        clock_ahead_ns += 5 * ms;
        if (reactor_run(net->reactor, 0) == REACTOR_STOPPED)
            return true;
    }
    return false;
}

/* It waits for the source, and for what has arrived behind. */
static void test_drain(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    begin(&scene, &net, &client, &mixture, 1);
    worker_drain(net.reactor, &net.worker);
    for (int i = 0; i < 20; i++) {
        clock_ahead_ns += 5 * ms;
        client_step(&client, &net);
    }
    g_assert_cmpuint(scene.released, ==, 0);
    go_on(&scene);
    client_run_to_end(&client, &net);
    g_assert_cmpint(client.error, ==, 0);
    g_autofree char *text = client_text(&client, &net);
    g_assert_true(g_str_has_suffix(text, PLAIN("6", CLOSE, "GET /2")));
    client_fini(&client);
    g_assert_true(run_until_stopped(&net));
    g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 0);
    scene_close(&scene, &net);
}

/* ... but not for ever. */
static void test_drain_deadline(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    begin(&scene, &net, &client, &mixture, 1);
    worker_drain(net.reactor, &net.worker);
    g_assert_true(run_until_stopped(&net));
    g_assert_cmpuint(scene.released, ==, 1);
    g_assert_cmpuint(counter_read(&net.worker.metrics.aborted), ==, 1);
    client_fini(&client);
    scene_close(&scene, &net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/source/waits", test_waits);
    g_test_add_func("/net/source/ready-twice", test_ready_twice);
    g_test_add_func("/net/source/waits-long", test_waits_long);
    g_test_add_func("/net/source/half-closed", test_half_closed);
    g_test_add_func("/net/source/ends", test_ends);
    g_test_add_func("/net/source/gone-amid", test_gone_amid);
    g_test_add_func("/net/source/cancelled", test_cancelled);
    g_test_add_func("/net/source/cancelled-before", test_cancelled_before);
    g_test_add_func("/net/source/drain", test_drain);
    g_test_add_func("/net/source/drain-deadline", test_drain_deadline);
    return g_test_run();
}
