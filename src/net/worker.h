/*
 * worker.h - one reactor's share of a server: its listeners, its connections and what they use in
 * turn.
 *
 * Everything here belongs to the reactor's thread, except what `service` points at.
 */
#ifndef NET_WORKER_H
#define NET_WORKER_H

#include "base/buffer.h"
#include "base/watch.h"
#include "http/parser.h"
#include "http/response.h"
#include "net/listener.h"
#include "net/load.h"
#include "net/metrics.h"
#include "reactor/mailbox.h"

#include <stdalign.h>
#include <stdatomic.h>

enum {
    READ_MAX = 32768,     /* bytes read at once; more than a head may have */
    SEND_BATCH = 65536,   /* answers that are collected before they are sent */
    SLICE = 1 << 20,      /* bytes of what is not copied that a connection sends in one event */
    DRAIN_GRACE_MS = 500, /* how long a drain waits for what clients have already begun to send */
};

/* What all workers share: constant while they run, but for the counts and the flag. */
struct service {
    const struct router *router;
    struct http_limits limits;
    uint32_t header_timeout_ms; /* 0: none, as with the next four */
    uint32_t idle_timeout_ms;
    uint32_t min_body_rate; /* bytes/s */
    uint32_t min_write_rate;
    unsigned max_requests; /* on a connection */
    unsigned max_connections;
    struct clients *clients;       /* NULL: no limit for each client */
    struct balance *balance;       /* NULL: nothing to balance */
    bool keeps_connections;        /* on their reactors: they are not moved (moves.h) */
    uint64_t next_moves_ns;        /* the supervisor's: not before */
    bool measures;                 /* take the time of each request, for metrics.latency */
    const struct offload *offload; /* NULL: no handlers that run elsewhere */
    unsigned drain_timeout_ms;
    struct worker *workers;
    unsigned worker_count;
    atomic_bool draining; /* set once: answers say Connection: close from now on */
    alignas(CACHE_LINE) atomic_uint connections; /* over all workers; touched on accept and close */
    atomic_uint paused;                          /* listeners that wait for room or descriptors */
};

struct access_ring;
struct connection;
struct http_exchange;

struct worker {
    alignas(CACHE_LINE) struct reactor *reactor; /* not owned */
    struct service *service;
    unsigned index;             /* in service.workers */
    struct load *load;          /* its own; the balance's when there is one */
    struct access_ring *access; /* of the access log; NULL: none */
    struct listener *listeners;
    unsigned listener_count;
    struct connection *connections; /* all that are open */
    struct connection *spare;       /* closed ones, kept for the next clients */
    unsigned spare_count;
    char *in;                /* READ_MAX bytes for whichever connection is read */
    struct buffer out;       /* the answers of the connection being served; empty between events */
    size_t slice;            /* what is left of SLICE for the connection being served */
    uint32_t answered;       /* requests, in this event, that it began with */
    struct buffer no_fields; /* of answers that no handler makes */
    struct http_exchange *exchanges; /* spare ones; the first is the next request's */
    unsigned exchange_count;
    struct http_ready ready; /* the last constant answer */
    struct http_date date;
    uint64_t next_warning_ns;
    uint64_t next_relief_ns;
    unsigned moves;    /* that are still to be made */
    unsigned moves_to; /* worker */
    uint64_t moves_end_ns;
    bool closed; /* for good: what arrives is turned away */
    bool draining;
    uint64_t drain_began_ns;
    struct reactor_timer drain_tick;
    bool left_waiting; /* the drain's deadline cut off clients that had not been accepted, too */
    struct load own_load;
    struct metrics metrics;
    /* What other threads write, which would take the lines of all above away again and again. */
    alignas(CACHE_LINE) atomic_uint arriving; /* clients that others have sent and it has not got */
    struct post relief;                       /* of another worker that found no room */
    atomic_bool relief_asked;
    struct post
        moves_post; /* see moves.h; the supervisor's with the next three: read while asked */
    atomic_bool moves_asked;
    unsigned moves_asked_to; /* worker */
    unsigned moves_share;    /* of the active connections, of BALANCE_BUSY_WHOLE */
};

/* Prepares a worker, without listeners but with room for `listeners_max`. 0 or -ENOMEM. */
int worker_init(struct worker *worker, struct reactor *reactor, struct service *service,
                unsigned listeners_max);

/* Begins to accept from the listening socket `fd`, which the worker owns from now on. 0 or -errno.
 */
int worker_listen(struct worker *worker, int fd);

/* Closes what is open, for good: handlers that were still to answer are cancelled, those that run
 * on another thread waited for, and clients that are handed over later turned away. */
void worker_close_all(struct worker *worker);

/* worker_close_all(), and frees what the worker holds. */
void worker_fini(struct worker *worker);

/* Stops accepting without losing what has arrived, answers with `Connection: close` from now on,
 * and stops the reactor once no connection is left, or when drain_timeout_ms is over. A
 * reactor_task. */
void worker_drain(struct reactor *reactor, void *arg);

/* Whether it is time to tell the operator something that a client may cause at will: once in a
 * while.
 */
bool worker_may_warn(struct worker *worker);

/* The server is nearly full: closes the longest-idle connections, here or, when there is none,
 * where the other workers have some. */
void worker_make_room(struct worker *worker);

/* Counts a connection against max_connections; false when there is no room. */
bool worker_reserve_connection(struct worker *worker);
void worker_release_connection(struct worker *worker);

/* The event is over: the requests that it began with and answered have their latency counted. */
static inline void worker_take_time(struct worker *worker)
{
    uint32_t answered = worker->answered;
    worker->answered = 0;
    if (answered && worker->service->measures)
        histogram_add(&worker->metrics.latency, watch_clock() - reactor_now(worker->reactor),
                      answered);
}

/* Called when a connection has gone: accepting may go on, a drain may be complete. */
void worker_connection_gone(struct worker *worker);

#endif
