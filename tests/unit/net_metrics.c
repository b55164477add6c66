/*
 * What a worker counts: each request once, whatever becomes of it, each byte that a socket took,
 * and each connection in one state at any time.
 */
#include "source_support.h"

#include "net/connection_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;
static const struct layout long_answer = {{{'f', 0, MUCH}}, 1};

/* --- in between --- */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void __real_connection_update_deadline(struct connection *connection);
void __wrap_connection_update_deadline(struct connection *connection);

/* Others read the states at any time: also before it is decided what a connection waits for, all
 * that are open are in those that have a name. */
void __wrap_connection_update_deadline(struct connection *connection)
{
    const struct worker *worker = connection->worker;
    uint64_t sum = 0;
    for (size_t i = 0; i < STATES_MAX; i++)
        sum += metrics_state_names[i] ? counter_read(&worker->metrics.states[i]) : 0;
    g_assert_cmpuint(sum, ==, worker->load->open);
    __real_connection_update_deadline(connection);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- what is counted --- */

static uint64_t requests(const struct net *net, size_t class)
{
    return counter_read(&net->worker.metrics.requests[class]);
}

static uint64_t refused(const struct net *net, enum refusal why)
{
    return counter_read(&net->worker.metrics.refused[why]);
}

static uint64_t all_refused(const struct net *net)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < REFUSALS; i++)
        sum += refused(net, (enum refusal)i);
    return sum;
}

static uint64_t timed(const struct net *net)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        sum += counter_read(&net->worker.metrics.latency.buckets[i]);
    return sum;
}

/* All open connections are in this state. */
static void expect_state(const struct net *net, enum waiting state, uint64_t connections)
{
    for (size_t i = 0; i < STATES_MAX; i++) {
        uint64_t expected = i == state ? connections : 0;
        g_assert_cmpuint(counter_read(&net->worker.metrics.states[i]), ==, expected);
    }
    g_assert_cmpuint(net->worker.load->open, ==, connections);
}

static void say(struct client *client, struct net *net, const char *text)
{
    g_assert_cmpint(write(client->fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    net_turn(net);
    net_turn(net);
}

static void begin(struct net *net, struct client *client)
{
    net_open(net);
    net->service.measures = true;
    client_init(client, net_pair(net), "", 0);
}

/* Nothing is left of the connection but what was counted. */
static void end(struct net *net, struct client *client)
{
    client_fini(client);
    net_turn(net);
    net_turn(net);
    expect_state(net, FOR_NOTHING, 0);
    net_close(net);
}

/* --- tests --- */

static void test_states(void)
{
    struct net net;
    struct client client;
    begin(&net, &client);
    expect_state(&net, FOR_REQUEST, 1);
    say(&client, &net, "GET / HT");
    expect_state(&net, FOR_HEAD, 1);
    say(&client, &net, "TP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    expect_state(&net, FOR_BODY, 1);
    say(&client, &net, "xx");
    expect_state(&net, FOR_REQUEST, 1);
    say(&client, &net, "\1\r\n\r\n");
    expect_state(&net, FOR_END, 1);
    end(&net, &client);
}

/* With the pipeline's second half in a later event, and one that cannot be parsed at the end. */
static void test_answers(void)
{
    struct net net;
    struct client client;
    begin(&net, &client);
    say(&client, &net, GET("/1") GET("/missing") GET("/none"));
    say(&client, &net, GET("/large") "\1\r\n\r\n" GET("/never"));
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(requests(&net, 2), ==, 3);
    g_assert_cmpuint(requests(&net, 4), ==, 2);
    g_assert_cmpuint(requests(&net, 0) + requests(&net, 3) + requests(&net, 5), ==, 0);
    g_assert_cmpuint(refused(&net, REFUSED_MALFORMED), ==, 1);
    g_assert_cmpuint(all_refused(&net), ==, 1);
    g_assert_cmpuint(timed(&net), ==, 5);
    end(&net, &client);
}

static void test_refusals(void)
{
    static const struct {
        const char *request;
        enum refusal why;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", REFUSED_MALFORMED},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", REFUSED_LARGE},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", REFUSED_MALFORMED},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct net net;
        struct client client;
        begin(&net, &client);
        say(&client, &net, cases[i].request);
        client_run_to_rest(&client, &net);
        g_assert_cmpuint(refused(&net, cases[i].why), ==, 1);
        g_assert_cmpuint(all_refused(&net), ==, 1);
        g_assert_cmpuint(timed(&net), ==, 1);
        end(&net, &client);
    }
}

static void test_slow(void)
{
    struct net net;
    struct client client;
    begin(&net, &client);
    net.service.header_timeout_ms = 1000;
    say(&client, &net, "GET");
    clock_ahead_ns += 2000 * ms;
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(refused(&net, REFUSED_SLOW), ==, 1);
    g_assert_cmpuint(all_refused(&net), ==, 1);
    g_assert_cmpuint(requests(&net, 4), ==, 1);
    g_assert_cmpuint(timed(&net), ==, 1);
    end(&net, &client);
}

/* A body that turns out to be malformed while the answer to it is being sent, which takes several
 * events more. */
static void test_refused_once(void)
{
    static const char head[] =
        "POST /source" FIELDS "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nbroken\r\n";
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    net.service.measures = true;
    scene.layout = &long_answer;
    client_init(&client, net_pair(&net), "", 0);
    say(&client, &net, head);
    expect_state(&net, FOR_READER, 1);
    g_assert_cmpuint(refused(&net, REFUSED_MALFORMED), ==, 1);
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(all_refused(&net), ==, 1);
    g_assert_cmpuint(requests(&net, 2), ==, 1);
    g_assert_cmpuint(timed(&net), ==, 1);
    g_assert_cmpuint(counter_read(&net.worker.metrics.sent), ==, client.received->len);
    g_assert_cmpuint(client.received->len, >, MUCH);
    client_fini(&client);
    net_turn(&net);
    scene_close(&scene, &net);
}

/* The client leaves amid its answer. */
static void test_aborted(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    net.service.measures = true;
    scene.layout = &long_answer;
    client_init(&client, net_pair(&net), "", 0);
    say(&client, &net, GET("/source"));
    expect_state(&net, FOR_READER, 1);
    g_assert_cmpuint(requests(&net, 0) + requests(&net, 2), ==, 0);
    client_fini(&client);
    net_turn(&net);
    net_turn(&net);
    expect_state(&net, FOR_NOTHING, 0);
    g_assert_cmpuint(requests(&net, 0), ==, 1);
    g_assert_cmpuint(requests(&net, 2), ==, 0);
    g_assert_cmpuint(timed(&net), ==, 0);
    scene_close(&scene, &net);
}

/* What a socket took before it broke has been sent. */
static void test_bytes(void)
{
    static const char two[] = GET("/1") GET("/2");
    struct net net;
    struct client client;
    begin(&net, &client);
    say(&client, &net, GET("/1"));
    client_run_to_rest(&client, &net);
    g_assert_cmpuint(counter_read(&net.worker.metrics.sent), ==, client.received->len);
    size_t before = client.received->len;
    inject_once(&inject_send, STEPS(10, -EINTR, 7, -EPIPE));
    say(&client, &net, two);
    client_run_to_end(&client, &net);
    g_assert_cmpuint(client.received->len, ==, before + 17);
    g_assert_cmpuint(counter_read(&net.worker.metrics.sent), ==, client.received->len);
    g_assert_cmpuint(counter_read(&net.worker.metrics.received), ==,
                     strlen(GET("/1")) + strlen(two));
    end(&net, &client);
}

/* What comes behind the last request is read, to be dropped. */
static void test_bytes_while_lingering(void)
{
    static const char bad[] = "\1\r\n\r\n";
    struct net net;
    struct client client;
    begin(&net, &client);
    say(&client, &net, bad);
    expect_state(&net, FOR_END, 1);
    say(&client, &net, "more of it");
    g_assert_cmpuint(counter_read(&net.worker.metrics.received), ==,
                     strlen(bad) + strlen("more of it"));
    end(&net, &client);
}

static void test_no_memory(void)
{
    struct net net;
    struct client client;
    begin(&net, &client);
    memory_fails_in = 1;
    say(&client, &net, GET("/1"));
    memory_fails_in = 0;
    g_assert_cmpuint(refused(&net, REFUSED_SHORT), ==, 1);
    g_assert_cmpuint(timed(&net), ==, 0);
    end(&net, &client);
}

#define LINE(type, member) (offsetof(type, member) / CACHE_LINE)
#define LAST(type, member) \
    ((offsetof(type, member) + sizeof(((type *)NULL)->member) - 1) / CACHE_LINE)

/* What other threads write shares no line with what the worker does. */
static void test_cache_lines(void)
{
    g_assert_cmpuint(LAST(struct metrics, latency), <, LINE(struct metrics, stalls));
    g_assert_cmpuint(LINE(struct metrics, stalls), <=, LINE(struct metrics, offload_waiting));
    g_assert_cmpuint(LINE(struct metrics, stalls), <=, LINE(struct metrics, offload));
    g_assert_cmpuint(LAST(struct worker, metrics), <, LINE(struct worker, arriving));
    g_assert_cmpuint(LAST(struct worker, moves), <, LINE(struct worker, arriving));
    g_assert_cmpuint(LINE(struct worker, arriving), <=, LINE(struct worker, relief));
    g_assert_cmpuint(LINE(struct worker, arriving), <=, LINE(struct worker, moves_post));
    g_assert_cmpuint(sizeof(struct worker) % CACHE_LINE, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-metrics/states", test_states);
    g_test_add_func("/net-metrics/answers", test_answers);
    g_test_add_func("/net-metrics/refusals", test_refusals);
    g_test_add_func("/net-metrics/slow", test_slow);
    g_test_add_func("/net-metrics/refused-once", test_refused_once);
    g_test_add_func("/net-metrics/aborted", test_aborted);
    g_test_add_func("/net-metrics/bytes", test_bytes);
    g_test_add_func("/net-metrics/bytes-while-lingering", test_bytes_while_lingering);
    g_test_add_func("/net-metrics/no-memory", test_no_memory);
    g_test_add_func("/net-metrics/cache-lines", test_cache_lines);
    return g_test_run();
}
