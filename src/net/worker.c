#include "net/worker.h"

#include "net/connection.h"
#include "net/handoff.h"
#include "net/offload.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

enum {
    DRAIN_TICK_MS = 25,
    WARN_INTERVAL_MS = 10000,
    RELIEF_IDLE_MS = 1000,    /* idle for less is busy */
    RELIEF_PAUSE_MS = 5,      /* between two, because each looks at all connections */
    RELIEF_INTERVAL_MS = 100, /* when nobody has been idle for so long */
    NEARLY_FULL = 16,         /* when less than one in so many places is free */
};

static void on_relief(struct reactor *reactor, void *arg);

int worker_init(struct worker *worker, struct reactor *reactor, struct service *service,
                unsigned listeners_max)
{
    *worker = (struct worker){
        .reactor = reactor, .service = service, .relief = {.task = on_relief, .arg = worker}};
    worker->load = &worker->own_load;
    worker->in = malloc(READ_MAX);
    worker->listeners = calloc(listeners_max, sizeof(*worker->listeners));
    if (!worker->in || !worker->listeners || !buffer_reserve(&worker->out, SEND_BATCH)) {
        worker_fini(worker);
        return -ENOMEM;
    }
    return 0;
}

int worker_listen(struct worker *worker, int fd)
{
    return listener_start(&worker->listeners[worker->listener_count++], worker, fd);
}

static void close_listeners(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        listener_close(&worker->listeners[i]);
}

void worker_close_all(struct worker *worker)
{
    worker->closed = true;
    close_listeners(worker);
    while (worker->connections)
        connection_close(worker->connections);
    offload_wait(worker);
}

void worker_fini(struct worker *worker)
{
    worker_close_all(worker);
    connection_free_spares(worker);
    connection_free_exchanges(worker);
    free(worker->listeners);
    worker->listener_count = 0;
    free(worker->in);
    buffer_free(&worker->out);
    buffer_free(&worker->no_fields);
    buffer_free(&worker->ready.bytes);
}

/* --- counting --- */

/* Returns the connections before, or UINT_MAX when there was no room. */
static unsigned try_reserve(struct service *service)
{
    unsigned before = atomic_fetch_add_explicit(&service->connections, 1, memory_order_relaxed);
    if (before < service->max_connections)
        return before;
    atomic_fetch_sub_explicit(&service->connections, 1, memory_order_relaxed);
    return UINT_MAX;
}

bool worker_reserve_connection(struct worker *worker)
{
    struct service *service = worker->service;
    unsigned most = service->max_connections;
    unsigned before = try_reserve(service);
    if (before >= most - most / NEARLY_FULL)
        worker_make_room(worker);
    return before != UINT_MAX || try_reserve(service) != UINT_MAX;
}

void worker_release_connection(struct worker *worker)
{
    atomic_fetch_sub_explicit(&worker->service->connections, 1, memory_order_relaxed);
}

/* --- making room --- */

bool worker_may_warn(struct worker *worker)
{
    uint64_t now_ns = reactor_now(worker->reactor);
    if (now_ns < worker->next_warning_ns)
        return false;
    worker->next_warning_ns = now_ns + WARN_INTERVAL_MS * NS_PER_MS;
    return true;
}

static unsigned close_longest_idle(struct worker *worker)
{
    uint64_t now_ns = reactor_now(worker->reactor);
    uint64_t idle_ns = RELIEF_IDLE_MS * NS_PER_MS;
    unsigned closed =
        now_ns > idle_ns ? connection_close_longest_idle(worker, now_ns - idle_ns) : 0;
    counter_add(&worker->metrics.refused[REFUSED_IDLE], closed);
    return closed;
}

static void on_relief(struct reactor *reactor, void *arg)
{
    struct worker *worker = arg;
    (void)reactor;
    atomic_store(&worker->relief_asked, false);
    close_longest_idle(worker);
}

void worker_make_room(struct worker *worker)
{
    const struct service *service = worker->service;
    uint64_t now_ns = reactor_now(worker->reactor);
    if (now_ns < worker->next_relief_ns)
        return;
    if (close_longest_idle(worker)) {
        worker->next_relief_ns = now_ns + RELIEF_PAUSE_MS * NS_PER_MS;
        return;
    }
    worker->next_relief_ns = now_ns + RELIEF_INTERVAL_MS * NS_PER_MS;
    for (unsigned i = 0; i < service->worker_count; i++) {
        struct worker *other = &service->workers[i];
        if (other != worker && !atomic_exchange(&other->relief_asked, true))
            reactor_post_embedded(other->reactor, &other->relief);
    }
}

/* --- draining --- */

static bool is_drained(const struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].fd >= 0)
            return false;
    }
    return !worker->connections && !handoff_is_expected(worker);
}

static void stop_if_drained(struct worker *worker)
{
    if (!worker->draining || !is_drained(worker))
        return;
    reactor_timer_stop(&worker->drain_tick);
    reactor_stop(worker->reactor);
}

void worker_connection_gone(struct worker *worker)
{
    worker_release_connection(worker);
    /* While other workers wait for room too, all find it by trying in turn: taking it here at once
     * would let the clients of one worker starve those of another. */
    unsigned own = 0;
    for (unsigned i = 0; i < worker->listener_count; i++)
        own += worker->listeners[i].paused;
    if (own && own == atomic_load_explicit(&worker->service->paused, memory_order_relaxed)) {
        for (unsigned i = 0; i < worker->listener_count; i++)
            listener_resume(&worker->listeners[i]);
    }
    stop_if_drained(worker);
}

/* The deadline is over: what is left goes, answered or not. */
static void abort_connections(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        worker->left_waiting |= listener_has_waiting(&worker->listeners[i]);
    close_listeners(worker);
    while (worker->connections) {
        counter_add(&worker->metrics.aborted, connection_is_busy(worker->connections));
        connection_close(worker->connections);
    }
    stop_if_drained(worker);
}

static void close_idle_connections(struct worker *worker, uint64_t before_ns)
{
    struct connection *next;
    for (struct connection *at = worker->connections; at; at = next) {
        next = connection_next(at);
        connection_close_if_idle(at, before_ns);
    }
}

static void on_drain_tick(struct reactor *reactor, void *arg)
{
    struct worker *worker = arg;
    const uint64_t grace_ns = DRAIN_GRACE_MS * NS_PER_MS;
    uint64_t now_ns = reactor_now(reactor);
    uint64_t since_ns = now_ns - worker->drain_began_ns;
    bool grace_over = since_ns >= grace_ns;
    for (unsigned i = 0; i < worker->listener_count; i++) {
        struct listener *listener = &worker->listeners[i];
        if (listener->fd < 0)
            continue;
        listener_accept_all(listener);
        if (grace_over && !listener_has_waiting(listener))
            listener_close(listener);
    }
    if (grace_over)
        close_idle_connections(worker, now_ns - grace_ns);
    if (since_ns >= worker->service->drain_timeout_ms * NS_PER_MS)
        abort_connections(worker);
    stop_if_drained(worker);
}

void worker_drain(struct reactor *reactor, void *arg)
{
    struct worker *worker = arg;
    if (worker->draining)
        return;
    worker->draining = true;
    atomic_store(&worker->service->draining, true);
    worker->drain_began_ns = reactor_now(reactor);
    reactor_timer_init(&worker->drain_tick, reactor, on_drain_tick, worker);
    reactor_timer_start(&worker->drain_tick, 0, DRAIN_TICK_MS);
}
