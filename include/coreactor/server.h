/*
 * server.h - an HTTP/1.1 server with one reactor and one SO_REUSEPORT listener per thread.
 */
#ifndef COREACTOR_SERVER_H
#define COREACTOR_SERVER_H

#include <coreactor/http.h>

#ifdef __cplusplus
extern "C" {
#endif

struct server;

/* How to run. Zero in any member means its default, so `{.size = sizeof(struct server_options)}` is
 * a complete set of options. */
struct server_options {
    size_t size;               /* sizeof(struct server_options): lets the library grow the struct */
    const char *const *listen; /* NULL-terminated "ADDR:PORT" texts; default "127.0.0.1:18470" */
    unsigned threads;          /* reactors; default: the CPUs this process may use */
    unsigned
        duration_s; /* drain and stop after so many seconds (at most 4,000,000); default: never */
    int drain_timeout_s;      /* seconds that a drain may take; default 10, negative: none */
    unsigned backlog;         /* listen(2) backlog of each listener; default 4096 */
    unsigned max_connections; /* over all reactors; default: what RLIMIT_NOFILE allows */
    bool handle_signals;      /* SIGTERM and SIGINT drain while server_run() runs */
    bool announce;            /* print where it listens, and a summary at the end, on stdout */
};

/* The version of the library, such as "0.1.0". Any thread. */
const char *coreactor_version(void);

/* A server that is not running yet; `options` (NULL: all defaults) and the texts it points at are
 * copied. NULL with errno set when memory is short (ENOMEM) or options->size is 0 or larger than
 * this library knows (EINVAL); the functions below take a NULL server for an error, so only
 * server_run() needs to be checked. The caller frees it with server_free(). */
struct server *server_new(const struct server_options *options);

/* Sets the handler for every request; `arg` is passed to it. It is called on all reactors at the
 * same time, so what `arg` points at must not change or must be synchronised. Before server_run().
 */
void server_handle(struct server *server, http_handler handler, void *arg);

/* Opens the listeners and serves until server_stop(), a signal (if asked for) or the duration ends
 * it, then drains: connections waiting to be accepted are served, requests in flight are finished
 * with `Connection: close`, for at most drain_timeout_s. Blocks; runs the first reactor on the
 * calling thread and the others on an OpenMP team, for which it sets omp_set_dynamic(0); it must
 * not be called inside a parallel region. Returns 0 after a drain; -errno when it could not start,
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
