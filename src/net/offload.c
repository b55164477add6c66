#include "net/offload.h"

#include "http/twin.h"
#include "net/connection_private.h"
#include "reactor/pool.h"

#include <errno.h>
#include <stdlib.h>

/* The pool's threads get what the reactors leave of the CPUs: with a nice value of 10, a busy one
 * weighs about a tenth of a busy reactor. More would starve them, and SCHED_IDLE does, for as long
 * as the reactors have work. */
enum { OFFLOAD_NICE = 10 };

struct offload_route {
    struct offload_route *next;
    const struct offload *offload;
    http_handler handler;
    void *arg;
};

struct offload_job {
    struct pool_job job; /* the first member */
    const struct offload_route *route;
    struct worker *worker;
    struct http_exchange *exchange; /* that waits for it; NULL: not any more. The reactor's */
    struct address client;
    struct address server;
    uint64_t submitted_ns;
    struct http_twin twin;
};

/* --- routes --- */

struct offload_route *offload_add(struct offload *offload, http_handler handler, void *arg)
{
    struct offload_route *route = malloc(sizeof(*route));
    if (!route)
        return NULL;
    *route = (struct offload_route){offload->routes, offload, handler, arg};
    offload->routes = route;
    return route;
}

int offload_open(struct offload *offload, unsigned threads, unsigned queue_max)
{
    if (!offload->routes)
        return 0;
    offload->queue_max = queue_max;
    offload->pool = pool_new(threads, OFFLOAD_NICE);
    return offload->pool ? 0 : -errno;
}

void offload_close(struct offload *offload)
{
    pool_free(offload->pool);
    offload->pool = NULL;
}

void offload_fini(struct offload *offload)
{
    while (offload->routes) {
        struct offload_route *route = offload->routes;
        offload->routes = route->next;
        free(route);
    }
}

/* --- on a thread of the pool --- */

static void run(struct pool_job *pool_job)
{
    struct offload_job *job = (struct offload_job *)pool_job;
    struct metrics *metrics = &job->worker->metrics;
    counter_add_shared(&metrics->offload_waiting, (uint64_t)-1);
    histogram_add_shared(&metrics->offload, watch_clock() - job->submitted_ns);
    if (http_request_is_cancelled(&job->twin.exchange.request))
        return;
    counter_add_shared(&metrics->offload_running, 1);
    http_twin_call(&job->twin, job->route->handler, job->route->arg);
    counter_add_shared(&metrics->offload_running, (uint64_t)-1);
}

static void wake(struct http_exchange *twin)
{
    (void)twin; /* whatever has changed is looked at when the handler has returned */
}

static void prepare(struct http_exchange *twin)
{
    struct offload_job *job = twin->carried_by;
    const atomic_bool *draining = &job->worker->service->draining;
    http_date_renew(&job->twin.date, 0);
    twin->response.close |= atomic_load_explicit(draining, memory_order_relaxed);
}

static size_t waiting(const struct http_exchange *twin)
{
    return twin->response.out->length;
}

static struct http_text address(struct http_exchange *twin, bool client)
{
    const struct offload_job *job = twin->carried_by;
    return connection_address_text(client ? &job->client : &job->server, &twin->arena);
}

static const struct http_carrier job_carrier = {
    .wake = wake,
    .prepare = prepare,
    .waiting = waiting,
    .address = address,
};

/* --- on the reactor --- */

static void free_job(struct offload_job *job)
{
    http_twin_fini(&job->twin);
    free(job);
}

static void finish(struct pool_job *pool_job)
{
    struct offload_job *job = (struct offload_job *)pool_job;
    struct http_exchange *exchange = job->exchange;
    if (exchange)
        http_response_finish(&exchange->response, http_twin_answer(&job->twin, exchange));
    free_job(job);
}

static void on_cancel(void *arg)
{
    struct offload_job *job = arg;
    if (pool_withdraw(job->route->offload->pool, &job->job)) {
        counter_add_shared(&job->worker->metrics.offload_waiting, (uint64_t)-1);
        free_job(job);
        return;
    }
    job->exchange = NULL;
    http_twin_cancel(&job->twin);
}

static struct offload_job *new_job(struct http_exchange *exchange,
                                   const struct offload_route *route)
{
    struct connection *connection = exchange->carried_by;
    struct offload_job *job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    if (!http_twin_begin(&job->twin, exchange, &job_carrier, job)) {
        free(job);
        return NULL;
    }
    job->job = (struct pool_job){.run = run, .done = finish, .reactor = exchange->reactor};
    job->route = route;
    job->worker = connection->worker;
    job->exchange = exchange;
    job->submitted_ns = watch_clock();
    /* Both now, because the connection may be gone when the handler asks. That is one system call
     * for each job, which costs less than waking its thread. */
    connection_address(connection, true, &job->client);
    connection_address(connection, false, &job->server);
    return job;
}

static bool is_full(const struct worker *worker, const struct offload *offload)
{
    return counter_read(&worker->metrics.offload_waiting) >= offload->queue_max;
}

static int refuse(struct worker *worker, struct http_response *response, enum refusal why)
{
    counter_add(&worker->metrics.refused[why], 1);
    http_response_header(response, "Retry-After", "1"); /* without memory, it goes without saying */
    return 503;
}

static struct worker *worker_of(const struct http_request *request)
{
    const struct connection *connection = http_exchange_with(request)->carried_by;
    return connection->worker;
}

/* The request is all there. */
static int submit(struct http_request *request, struct http_response *response, void *arg)
{
    const struct offload_route *route = arg;
    struct worker *worker = worker_of(request);
    if (is_full(worker, route->offload))
        return refuse(worker, response, REFUSED_OFFLOAD);
    struct offload_job *job = new_job(http_exchange_with(request), route);
    if (!job)
        return refuse(worker, response, REFUSED_SHORT);
    counter_add_shared(&worker->metrics.offload_waiting, 1);
    http_response_on_cancel(response, on_cancel, job);
    pool_submit(route->offload->pool, &job->job);
    return HTTP_PENDING;
}

int offload_handle(struct http_request *request, struct http_response *response, void *arg)
{
    const struct offload_route *route = arg;
    struct worker *worker = worker_of(request);
    if (http_body_ended(&http_exchange_with(request)->body))
        return submit(request, response, arg);
    /* A client need not send a body that would be in vain. */
    if (is_full(worker, route->offload))
        return refuse(worker, response, REFUSED_OFFLOAD);
    return http_request_collect(request, worker->service->limits.body_bytes, submit, arg);
}

void offload_wait(struct worker *worker)
{
    const struct offload *offload = worker->service->offload;
    if (offload && offload->pool)
        pool_wait(offload->pool, worker->reactor);
}
