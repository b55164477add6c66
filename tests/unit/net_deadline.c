/*
 * How long a client may take, for each thing that is waited for: to the millisecond, on a clock
 * that stands still unless it is moved.
 */
#include "net/connection_private.h"
#include "net_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

static void open_net(struct net *net)
{
    net_open(net);
    net->service.header_timeout_ms = 10000;
    net->service.idle_timeout_ms = 75000;
    net->service.min_body_rate = 240;
    net->service.min_write_rate = 240;
    clock_stands = true;
    net_turn(net);
}

static void open_client(struct net *net, struct client *client)
{
    client_init(client, net_pair(net), "", 0);
    net_turn(net);
}

/* Says it, and has it read. */
static void say(const struct client *client, struct net *net, const char *text)
{
    g_assert_cmpint(write(client->fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    for (int i = 0; i < 3; i++)
        net_turn(net);
}

static void pass(struct net *net, uint64_t time_ms)
{
    clock_ahead_ns += time_ms * ms;
    for (int i = 0; i < 3; i++)
        net_turn(net);
}

static void hear(struct client *client, struct net *net)
{
    for (int i = 0; i < 3; i++)
        client_step(client, net);
}

/* Nothing comes and nothing ends until so much later, exactly; then `text` does, and the end. */
static void expect_end_in(struct client *client, struct net *net, uint64_t time_ms,
                          const char *text)
{
    g_byte_array_set_size(client->received, 0);
    pass(net, time_ms - 1);
    hear(client, net);
    g_assert_false(client->ended);
    expect_text(client, net, "");
    pass(net, 1);
    hear(client, net);
    g_assert_true(client->ended);
    expect_text(client, net, text);
}

static void end(struct client *client, struct net *net)
{
    client_fini(client);
    net_close(net);
}

#define TIMEOUT_408                                                               \
    "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n" \
    "Content-Length: 20\r\n" CLOSE "\r\n408 Request Timeout\n"

/* --- heads --- */

/* It is the whole head that has so much time: more bytes of it give no more. */
static void test_header(void)
{
    struct net net;
    struct client client;
    open_net(&net);
    open_client(&net, &client);
    pass(&net, 60000);
    say(&client, &net, "GET /1");
    for (int i = 0; i < 9; i++) {
        pass(&net, 1000);
        say(&client, &net, i ? "y" : FIELDS "X: ");
    }
    expect_end_in(&client, &net, 1000, TIMEOUT_408);
    end(&client, &net);
}

/* One that follows another has a time of its own, also when it begins in the same piece. */
static void test_header_of_the_next(void)
{
    for (int together = 0; together < 2; together++) {
        struct net net;
        struct client client;
        open_net(&net);
        open_client(&net, &client);
        say(&client, &net, "GET /1");
        pass(&net, 7000);
        say(&client, &net, together ? FIELDS "\r\nGET /2" : FIELDS "\r\n");
        if (!together)
            say(&client, &net, "GET /2");
        hear(&client, &net);
        expect_text(&client, &net, PLAIN("6", "", "GET /1"));
        expect_end_in(&client, &net, 10000, TIMEOUT_408);
        end(&client, &net);
    }
}

/* --- between requests --- */

static void test_idle(void)
{
    struct net net;
    struct client client;
    open_net(&net);
    open_client(&net, &client);
    expect_end_in(&client, &net, 75000, "");
    g_assert_cmpint(client.error, ==, 0);
    end(&client, &net);
}

/* The time begins anew with each answer, whatever time-outs were set before. */
static void test_idle_again(void)
{
    static const uint32_t pauses[] = {1, 9000, 50000, 74999};
    struct net net;
    struct client client;
    open_net(&net);
    open_client(&net, &client);
    for (size_t i = 0; i < G_N_ELEMENTS(pauses); i++) {
        pass(&net, pauses[i]);
        say(&client, &net, GET("/1"));
    }
    pass(&net, 50000);
    say(&client, &net, "GET /1");
    pass(&net, 5000);
    say(&client, &net, FIELDS "\r\n");
    hear(&client, &net);
    expect_end_in(&client, &net, 75000, "");
    end(&client, &net);
}

/* --- bodies --- */

static int on_whole(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "done", 4);
}

static void on_cancel(void *arg)
{
    unsigned *cancelled = arg;
    ++*cancelled;
}

static int collect(struct http_request *request, struct http_response *response, void *arg)
{
    http_response_on_cancel(response, arg ? on_cancel : NULL, arg);
    return http_request_collect(request, 1 << 20, on_whole, NULL);
}

static int leave(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)response, (void)arg;
    return HTTP_PENDING;
}

static int stream(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response;
    return http_request_stream(request, leave, arg);
}

#define POST(path) "POST " path FIELDS "Content-Length: 100000\r\n\r\n"

/* A body has to keep up its rate in every five seconds. */
static void test_body(void)
{
    g_autofree char *enough = g_strnfill(1200, 'b');
    unsigned cancelled = 0;
    struct net net;
    struct client client;
    open_net(&net);
    net_route(&net, "/collect", collect, &cancelled);
    open_client(&net, &client);
    say(&client, &net, POST("/collect"));
    for (int i = 0; i < 3; i++) {
        pass(&net, 4999);
        say(&client, &net, enough);
        pass(&net, 1);
    }
    say(&client, &net, enough + 1);
    expect_end_in(&client, &net, 5000, TIMEOUT_408);
    g_assert_cmpuint(cancelled, ==, 1);
    end(&client, &net);
}

/* One that nobody asked for does too, but has been answered. */
static void test_body_of_the_answered(void)
{
    struct net net;
    struct client client;
    open_net(&net);
    open_client(&net, &client);
    say(&client, &net, POST("/1"));
    hear(&client, &net);
    expect_text(&client, &net, PLAIN("7", "", "POST /1"));
    expect_end_in(&client, &net, 5000, "");
    end(&client, &net);
}

/* --- answers --- */

static void read_some(const struct client *client, struct net *net, size_t length)
{
    g_autofree char *bytes = g_malloc(length);
    for (size_t at = 0; at < length;) {
        ssize_t count = read(client->fd, bytes, length - at);
        g_assert_cmpint(count, >, 0);
        at += (size_t)count;
        net_turn(net);
    }
}

static void test_writing(void)
{
    struct net net;
    struct client client;
    int small = 20000;
    open_net(&net);
    open_client(&net, &client);
    int fd = net.worker.connections->fd;
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), ==, 0);
    say(&client, &net, GET("/large"));
    for (int i = 0; i < 3; i++) {
        pass(&net, 4999);
        read_some(&client, &net, 50000);
        pass(&net, 1);
        g_assert_nonnull(net.worker.connections);
    }
    pass(&net, 4999);
    g_assert_nonnull(net.worker.connections);
    pass(&net, 1);
    g_assert_null(net.worker.connections);
    end(&client, &net);
}

/* --- no time-out --- */

static const char *const waits[] = {
    "", "GET /1", POST("/collect"), POST("/stream") "some", GET("/leave"), GET("/large")};

static void open_waiting(struct net *net, struct client *client)
{
    open_net(net);
    net_route(net, "/collect", collect, NULL);
    net_route(net, "/stream", stream, NULL);
    net_route(net, "/leave", leave, NULL);
    open_client(net, client);
}

static void test_none(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
        struct net net;
        struct client client;
        open_waiting(&net, &client);
        client_fini(&client);
        pass(&net, 1);
        net.service.header_timeout_ms = net.service.idle_timeout_ms = 0;
        net.service.min_body_rate = net.service.min_write_rate = 0;
        open_client(&net, &client);
        say(&client, &net, waits[i]);
        for (int day = 0; day < 30; day++)
            pass(&net, 86400000);
        g_assert_nonnull(net.worker.connections);
        end(&client, &net);
    }
}

/* A handler takes the time it takes, be it to answer or to read on. */
static void test_handler(void)
{
    for (size_t i = 3; i < 5; i++) {
        struct net net;
        struct client client;
        open_waiting(&net, &client);
        say(&client, &net, waits[i]);
        for (int day = 0; day < 30; day++)
            pass(&net, 86400000);
        g_assert_nonnull(net.worker.connections);
        end(&client, &net);
    }
}

/* --- too busy to read --- */

/* What came in time is in the socket when the time is over: it counts, although it was not read. */
static void test_unread(void)
{
    static const struct {
        const char *begins;
        const char *ends;
        uint32_t time_ms;
        const char *answer;
    } late[] = {
        {"GET /1", FIELDS "\r\n", 10000, PLAIN("6", "", "GET /1")},
        {"POST /collect" FIELDS "Content-Length: 5\r\n\r\nhe", "llo", 5000, PLAIN("4", "", "done")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(late); i++) {
        struct net net;
        struct client client;
        open_net(&net);
        net_route(&net, "/collect", collect, NULL);
        open_client(&net, &client);
        say(&client, &net, late[i].begins);
        pass(&net, late[i].time_ms - 1);
        g_assert_cmpint(write(client.fd, late[i].ends, strlen(late[i].ends)), >, 0);
        clock_ahead_ns += ms;
        inject_once(&inject_recv, STEPS(-EAGAIN)); /* the turn's; then it is asked what is there */
        net_turn(&net);
        g_assert_cmpuint(inject_recv.calls, ==, 2);
        hear(&client, &net);
        g_assert_false(client.ended);
        expect_text(&client, &net, late[i].answer);
        end(&client, &net);
    }
}

/* --- lingering --- */

/* It ends, whatever timer was running before. */
static void test_linger(void)
{
    static const uint32_t pauses[] = {0, 1, 73500, 74999};
    for (size_t i = 0; i < G_N_ELEMENTS(pauses); i++) {
        struct net net;
        struct client client;
        open_net(&net);
        open_client(&net, &client);
        pass(&net, pauses[i]);
        say(&client, &net, "rubbish\r\n\r\n");
        hear(&client, &net);
        g_assert_true(client.ended);
        pass(&net, 1000);
        g_assert_cmpint(write(client.fd, "more", 4), ==, 4);
        pass(&net, 999);
        g_assert_nonnull(net.worker.connections);
        pass(&net, 1);
        g_assert_null(net.worker.connections);
        end(&client, &net);
    }
}

/* --- requests on a connection --- */

static void test_max_requests(void)
{
    struct net net;
    struct client client;
    open_net(&net);
    net.service.max_requests = 3;
    open_client(&net, &client);
    say(&client, &net, GET("/1") GET("/2") GET("/3") GET("/4"));
    hear(&client, &net);
    g_assert_true(client.ended);
    g_assert_cmpint(client.error, ==, 0);
    expect_text(&client, &net,
                PLAIN("6", "", "GET /1") PLAIN("6", "", "GET /2") PLAIN("6", CLOSE, "GET /3"));
    end(&client, &net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/deadline/header", test_header);
    g_test_add_func("/net/deadline/header-of-the-next", test_header_of_the_next);
    g_test_add_func("/net/deadline/idle", test_idle);
    g_test_add_func("/net/deadline/idle-again", test_idle_again);
    g_test_add_func("/net/deadline/body", test_body);
    g_test_add_func("/net/deadline/body-of-the-answered", test_body_of_the_answered);
    g_test_add_func("/net/deadline/writing", test_writing);
    g_test_add_func("/net/deadline/none", test_none);
    g_test_add_func("/net/deadline/handler", test_handler);
    g_test_add_func("/net/deadline/unread", test_unread);
    g_test_add_func("/net/deadline/linger", test_linger);
    g_test_add_func("/net/deadline/max-requests", test_max_requests);
    return g_test_run();
}
