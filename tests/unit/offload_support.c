#include "offload_support.h"

#include "http/date.h"
#include "reactor/pool.h"

#include <string.h>

enum { PAUSE_US = 100 };

/* Each is there until the end: when GLib gives the threads of one pool to the next, or ends them,
 * the thread sanitizer does not see the order. */
static struct pool *pool_of(unsigned threads)
{
    static struct pool *pools[4];
    g_assert_cmpuint(threads, <, G_N_ELEMENTS(pools));
    if (!pools[threads])
        pools[threads] = pool_new(threads, 0);
    g_assert_nonnull(pools[threads]);
    return pools[threads];
}

void bureau_open(struct bureau *bureau, unsigned threads, unsigned queue_max)
{
    *bureau = (struct bureau){.offload = {.pool = pool_of(threads), .queue_max = queue_max}};
    net_open(&bureau->net);
    g_assert_cmpint(sem_init(&bureau->gate, 0, 0), ==, 0);
    bureau_route(bureau, "/held/{part}", bureau_hold, bureau);
    bureau->net.service.offload = &bureau->offload;
}

void bureau_route(struct bureau *bureau, const char *pattern, http_handler handler, void *arg)
{
    struct offload_route *route = offload_add(&bureau->offload, handler, arg);
    g_assert_nonnull(route);
    net_route(&bureau->net, pattern, offload_handle, route);
}

void bureau_close(struct bureau *bureau)
{
    const struct metrics *metrics = &bureau->net.worker.metrics;
    enum { MORE_THAN_EVER_WAIT = 1000 };
    bureau_release(bureau, MORE_THAN_EVER_WAIT);
    net_close(&bureau->net);
    g_assert_cmpuint(atomic_load(&bureau->begun), ==, atomic_load(&bureau->ended));
    g_assert_cmpuint(counter_read(&metrics->offload_waiting), ==, 0);
    g_assert_cmpuint(counter_read(&metrics->offload_running), ==, 0);
    offload_fini(&bureau->offload);
    sem_destroy(&bureau->gate);
}

int bureau_hold(struct http_request *request, struct http_response *response, void *arg)
{
    struct bureau *bureau = arg;
    atomic_fetch_add(&bureau->begun, 1);
    while (sem_wait(&bureau->gate) < 0)
        continue;
    if (http_request_is_cancelled(request))
        atomic_fetch_add(&bureau->gone, 1);
    int returned = net_handler(request, response, NULL);
    atomic_fetch_add(&bureau->ended, 1);
    return returned;
}

void bureau_release(struct bureau *bureau, unsigned count)
{
    while (count--)
        g_assert_cmpint(sem_post(&bureau->gate), ==, 0);
}

/* Far more than any test needs, so that one that goes wrong ends. */
static void pause_until(gint64 end)
{
    g_usleep(PAUSE_US);
    g_assert_cmpint(g_get_monotonic_time(), <, end);
}

static gint64 patience_end(void)
{
    return g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
}

void bureau_await(struct bureau *bureau, const atomic_uint *number, unsigned value)
{
    gint64 end = patience_end();
    net_turn(&bureau->net);
    for (; atomic_load(number) != value; net_turn(&bureau->net))
        pause_until(end);
}

void bureau_await_count(struct bureau *bureau, const struct counter *counter, uint64_t value)
{
    gint64 end = patience_end();
    net_turn(&bureau->net);
    for (; counter_read(counter) != value; net_turn(&bureau->net))
        pause_until(end);
}

char *bureau_strip(const void *bytes, size_t length)
{
    static const char server[] = "Server: coreactor\r\n";
    GString *text = g_string_new_len(bytes, (gssize)length);
    for (char *at; (at = strstr(text->str, server));)
        g_string_erase(text, at - text->str, HTTP_COMMON_LENGTH);
    return g_string_free(text, FALSE);
}

char *bureau_text(const struct client *client)
{
    return bureau_strip(client->received->data, client->received->len);
}

void bureau_expect(struct bureau *bureau, struct client *client, const char *text)
{
    gint64 end = patience_end();
    g_autofree char *received = g_strdup("");
    while (!client->ended && (client->sent < client->length || strlen(received) < strlen(text))) {
        client_step(client, &bureau->net);
        g_free(received);
        received = bureau_text(client);
        pause_until(end);
    }
    g_assert_cmpstr(received, ==, text);
}

uint64_t bureau_waited(const struct bureau *bureau)
{
    uint64_t count = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += counter_read(&bureau->net.worker.metrics.offload.buckets[i]);
    return count;
}
