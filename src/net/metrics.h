/*
 * metrics.h - what one worker has done: counted on its thread, unless said otherwise, and read on
 * any (base/counter.h).
 */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include "base/counter.h"

#include <stdalign.h>

/* Why a client, or its request, was turned away. */
enum refusal {
    REFUSED_CLIENT_LIMIT, /* a connection: its client has max_connections_per_client */
    REFUSED_FULL,         /* a try to accept while there are max_connections: it waits */
    REFUSED_SHORT,        /* no descriptors or memory: a try to accept, which waits; a connection
                             that was accepted; a request's body; or an offloaded request */
    REFUSED_MALFORMED,    /* a request that could not be parsed, or whose body was malformed */
    REFUSED_LARGE,        /* a request: its line, its fields or its body exceed a limit */
    REFUSED_SLOW,         /* a connection that a time-out or a minimum rate ended */
    REFUSED_IDLE,         /* an idle connection that was closed to make room */
    REFUSED_OFFLOAD,      /* a request: the queue of its pool is full */
    REFUSALS
};

enum { STATES_MAX = 8 };

/* What users call them; by enum refusal, and by enum waiting (connection_private.h). */
extern const char *const metrics_refusal_names[REFUSALS];
extern const char *const metrics_state_names[STATES_MAX]; /* NULL where there is none */

struct metrics {
    struct counter requests[6]; /* by class of status; [0]: without a complete answer */
    struct counter received;    /* bytes */
    struct counter sent;        /* bytes */
    struct counter accepted;    /* connections, before any is handed to another worker */
    struct counter handed_over; /* ... to other workers, new ones */
    struct counter moved;       /* to other workers, between two requests */
    struct counter taken_over;  /* from other workers, both kinds */
    struct counter refused[REFUSALS];
    struct counter states[STATES_MAX]; /* connections by enum waiting */
    struct counter aborted;   /* connections that the drain's deadline cut off amid a request */
    struct histogram latency; /* of answered requests, when service.measures */
    /* What other threads count, away from the lines that the worker writes with every request. */
    alignas(CACHE_LINE) struct counter stalls; /* by the supervisor */
    struct counter offload_waiting; /* requests in the queue of the pool, by atomic additions */
    struct counter offload_running; /* ... on a thread of the pool, by atomic additions */
    struct histogram offload;       /* how long they waited in the queue, by atomic additions */
};

/* A request that is answered with the status of an error before any handler decides, or while its
 * body comes. */
void metrics_count_refusal(struct metrics *metrics, int status);

#endif
