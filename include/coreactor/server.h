/*
 * server.h - an HTTP/1.1 server with one reactor and one SO_REUSEPORT listener per thread.
 */
#ifndef COREACTOR_SERVER_H
#define COREACTOR_SERVER_H

#include <coreactor/http.h>
#include <coreactor/reactor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct server;

/* Called on the thread of each reactor before it serves and after it has served, when all its
 * connections are closed; `index` is the
 * reactor's number, from 0. reactor_set_data() keeps what handlers on this reactor need. A start
 * that returns a negative errno ends the server; its stop is not called then. Work that is posted
 * to the reactor after its stop runs when server_run() ends, on its thread, with no reactor_data().
 */
typedef int (*server_reactor_start)(struct reactor *reactor, unsigned index, void *arg);
typedef void (*server_reactor_stop)(struct reactor *reactor, unsigned index, void *arg);

/* Which reactor a new connection goes to; docs/balance.md explains them. */
enum server_balance {
    SERVER_BALANCE_AUTO = 0,    /* LEAST where it works, else HANDOFF; HASH for one reactor */
    SERVER_BALANCE_HASH = 1,    /* by the kernel's hash of the addresses (SO_REUSEPORT) */
    SERVER_BALANCE_LEAST = 2,   /* to the least loaded, by an eBPF program in the kernel; without
                                   CAP_BPF it is HANDOFF, and a message says so */
    SERVER_BALANCE_HANDOFF = 3, /* from the one that accepts it to the least loaded */
};

/* How to run. Zero in any member means its default, so `{.size = sizeof(struct server_options)}` is
 * a complete set of options. Where a limit can be switched off, a negative value does it. */
struct server_options {
    size_t size;               /* sizeof(struct server_options): lets the library grow the struct */
    const char *const *listen; /* NULL-terminated "ADDR:PORT" texts; default "127.0.0.1:18470" */
    unsigned threads;          /* reactors; default: the CPUs this process may use */
    unsigned duration_s;       /* drain and stop after so many, at most 4,000,000; default: never */
    int drain_timeout_s;       /* seconds that a drain may take; default 10, negative: none */
    unsigned backlog;          /* listen(2) backlog of each listener; default 4096 */
    bool handle_signals;       /* SIGTERM and SIGINT drain, SIGUSR1 reopens the access log, while
                                  server_run() runs */
    bool announce;             /* print where it listens, and a summary at the end, on stdout */

    /* What a request may be; docs/http.md says how each excess is answered. */
    unsigned max_header_bytes; /* request line and fields; default and most 16,384 */
    unsigned max_headers;      /* fields; default and most 100 */
    unsigned max_uri_bytes;    /* request target; default 8,192, most 16,384 */
    int64_t max_body_bytes;    /* default 1 MiB, negative: no limit */

    /* What a client may take. */
    unsigned max_connections;            /* over all reactors; default: what RLIMIT_NOFILE allows */
    unsigned max_connections_per_client; /* of one IPv4 address or IPv6 /64; default: no limit */
    unsigned max_requests;               /* on one connection; default: no limit */
    int header_timeout_s;                /* for a whole request head; default 10 */
    int idle_timeout_s;                  /* between requests; default 75 */
    int min_body_rate;  /* bytes/s that a client must send of a body, over 5 s; default 240 */
    int min_write_rate; /* bytes/s that a client must take of an answer, over 5 s; default 240 */

    const char
        *access_log;      /* file to append a line for each request to, "-": stdout; default none */
    bool access_log_json; /* JSON lines instead of the combined format */

    server_reactor_start reactor_start; /* either may be NULL */
    server_reactor_stop reactor_stop;
    void *reactor_arg; /* passed to both */

    unsigned handler_descriptors; /* that handlers may keep open on each reactor: the default of
                                     max_connections leaves room for them; default none */

    enum server_balance balance;
    bool keep_connections; /* on the reactor that they came to; else, but for HASH, some move
                              between two requests from a reactor that is busy to one that is not */

    /* Handlers that keep their loop from serving others, and timers and other callbacks of the
     * program's that do; docs/operating.md. Warnings go to GLib's log. */
    int stall_warning_ms; /* warn of one that takes longer; default 100, negative: never */
    bool stall_trace;     /* and log its stack (no effect without a limit); takes SIGURG while
                             server_run() runs, which interrupts blocking calls of the handler once
                             (EINTR where SA_RESTART has no effect, see signal(7)) */

    /* Routes of server_route_offload(); the threads exist when there are any. */
    unsigned offload_threads; /* default: 4, or twice the CPUs when those are more; most 1,024 */
    unsigned offload_queue;   /* requests that may wait for one of them, on each reactor: more are
                                 answered with 503; default 256 */

    const char *admin;   /* "ADDR:PORT" or "unix:PATH" of the operator's pages: metrics, status,
                            health (docs/operating.md); default: none */
    bool admin_anywhere; /* `admin` need not be a loopback address: whoever reaches it reads all */

    bool share_addresses; /* other processes of the same user may listen there too, if they allow it
                             as well: the kernel spreads connections over all of them. Not together
                             with SERVER_BALANCE_LEAST, which would choose for all */
};

/* The version of the library, such as "0.1.0". Any thread. */
const char *coreactor_version(void);

/* A server that is not running yet; `options` (NULL: all defaults) and the texts it points at are
 * copied. NULL with errno set when memory is short (ENOMEM), or options->size is 0 or something is
 * set in a part of the options that this library does not know (EINVAL); the functions below take a
 * NULL server for an error, so only server_run() needs to be checked. The caller frees it with
 * server_free(). */
struct server *server_new(const struct server_options *options);

/* Has `handler` called with `arg` for requests with that method and path. `method` is as sent,
 * such as "GET"; NULL: any. HEAD requests go to GET's handler when there is no other. `pattern` is
 * a path in which a whole segment may be "{name}", which stands for any one segment that is not
 * empty, and the last may be "*", which stands for the rest of the path, also an empty one. Text
 * wins over "{name}", "{name}" over "*". Paths that no pattern matches get 404, other methods 405
 * with `Allow`. CONNECT and TRACE never reach a route (501). `*` of `OPTIONS *` is answered with
 * 204 and all methods. The handler is called on all reactors at the same time, so what `arg` points
 * at must not change or must be synchronised. Both texts are copied. Before server_run(), which
 * reports the first error: 0, -EINVAL (no such method or pattern), -EEXIST, -ENOMEM. */
int server_route(struct server *server, const char *method, const char *pattern,
                 http_handler handler, void *arg);

/* server_route() for a handler that blocks or computes for long: it is called on one of
 * offload_threads threads beside the reactors, with a lower priority (nice), all signals blocked
 * and any other handler beside it, and what it answers is sent by the connection's reactor when it
 * has returned. Reactors whose requests wait for a thread take turns.
 *
 * The body of a request is there when the handler is called: http_request_body(). On its thread it
 * may use the functions of http.h that read the request, http_request_alloc(), those of reactor.h
 * for any thread, http_response_header(), http_response_lines(), and those named http_respond... .
 * `release` of a source is called there or on the reactor; one with `prepare` is refused (-EINVAL),
 * because the handler can wait itself.
 * Until it returns it must answer or fail: a bare status is allowed, but HTTP_PENDING, asking for
 * the body, and an answer in pieces (-EINVAL) become 500 and a line in the log.
 *
 * When offload_queue requests of a reactor wait already, the client gets 503 with `Retry-After: 1`.
 * A request whose client leaves while it waits is forgotten, and the handler not called; one that
 * runs can ask http_request_is_cancelled(). A client that closes its sending side has left, and
 * gets no answer: nothing tells it from one that has closed its socket. The end of the server waits
 * for handlers that run, even beyond drain_timeout_s: one that never returns keeps server_run()
 * from returning. Returns as server_route() does. */
int server_route_offload(struct server *server, const char *method, const char *pattern,
                         http_handler handler, void *arg);

/* Opens the listeners and serves until server_stop(), a signal (if asked for) or the duration ends
 * it, then drains: connections waiting to be accepted are served, requests in flight are finished
 * with `Connection: close`, for at most drain_timeout_s. Blocks; runs the first reactor on the
 * calling thread and the others on an OpenMP team, for which it sets omp_set_dynamic(0); it must
 * not be called inside a parallel region. SIGPIPE is ignored from then on, unless the program has a
 * handler for it. Returns 0 after a drain; -errno when it could not start,
 * and then server_error() says why. A server runs once (-EALREADY). */
int server_run(struct server *server);

/* Begins the drain. Any thread, handlers included, but no signal handler: it takes a lock. Once is
 * enough, more does no harm. Called before server_run(), that call returns after its first drain.
 */
void server_stop(struct server *server);

/* One line, without a newline, that says why server_run() failed and what to do; "" when it did
 * not. Owned by the server. */
const char *server_error(const struct server *server);

/* Frees the server, which must not be running. NULL is allowed. */
void server_free(struct server *server);

#ifdef __cplusplus
}
#endif

#endif
