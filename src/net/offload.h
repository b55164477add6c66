/*
 * offload.h - routes whose handlers block or compute for long: they are called on the threads of a
 * pool, and what they answer is sent by the connection's reactor.
 *
 * A request becomes a job with a twin of its exchange (http/twin.h), so that the reactor and the
 * pool share nothing but the job while it is submitted. A client that is gone for good (one that
 * has only closed its sending side is not) before its job has begun takes it along; afterwards the
 * handler can ask (http_request_is_cancelled()), and the job ends without an answer.
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include <coreactor/http.h>

struct offload_route;
struct pool;
struct worker;

/* All zero: no routes. */
struct offload {
    struct offload_route *routes; /* owned */
    struct pool *pool;            /* while it is open */
    unsigned queue_max;           /* requests of a reactor that may wait for a thread */
};

/* What a route's `arg` is to be when its handler is offload_handle(); NULL when memory is short. It
 * lives as long as `offload`, and has `handler` called with `arg` on the pool. */
struct offload_route *offload_add(struct offload *offload, http_handler handler, void *arg);

/* Starts the threads, before the first request; none when there are no routes. 0 or -errno. */
int offload_open(struct offload *offload, unsigned threads, unsigned queue_max);

/* Ends the threads. */
void offload_close(struct offload *offload);

/* Frees the routes; it is closed. */
void offload_fini(struct offload *offload);

/* The handler of these routes, of requests that a connection carries. */
int offload_handle(struct http_request *request, struct http_response *response, void *arg);

/* Waits until no handler runs for the worker, whose connections are closed. What is left of its
 * jobs is freed at the latest when its reactor is destroyed; the worker has to be there until then.
 * The reactor's thread. */
void offload_wait(struct worker *worker);

#endif
