#include "net/worker.h"

#include "net/connection.h"

#include <errno.h>
#include <stdlib.h>

enum {
    DRAIN_TICK_MS = 25,
};

int worker_init(struct worker *worker, struct reactor *reactor, struct service *service,
                unsigned listeners_max)
{
    *worker = (struct worker){.reactor = reactor, .service = service};
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

void worker_fini(struct worker *worker)
{
    close_listeners(worker);
    while (worker->connections)
        connection_close(worker->connections);
    connection_free_spares(worker);
    free(worker->listeners);
    free(worker->in);
    buffer_free(&worker->out);
    buffer_free(&worker->fields);
    buffer_free(&worker->ready.bytes);
}

/* --- counting --- */

bool worker_reserve_connection(struct worker *worker)
{
    struct service *service = worker->service;
    if (atomic_fetch_add_explicit(&service->connections, 1, memory_order_relaxed) <
        service->max_connections)
        return true;
    atomic_fetch_sub_explicit(&service->connections, 1, memory_order_relaxed);
    return false;
}

void worker_release_connection(struct worker *worker)
{
    atomic_fetch_sub_explicit(&worker->service->connections, 1, memory_order_relaxed);
}

/* --- draining --- */

static bool is_drained(const struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].fd >= 0)
            return false;
    }
    return !worker->connections;
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
        worker->aborted_total += connection_is_busy(worker->connections);
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
    const uint64_t grace_ns = DRAIN_GRACE_MS * UINT64_C(1000000);
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
    if (since_ns >= worker->service->drain_timeout_ms * UINT64_C(1000000))
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
