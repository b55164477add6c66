/*
 * state.h - a server from the inside: what settings.c fills in, open.c opens and server.c runs.
 */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include <coreactor/server.h>

#include "net/balance.h"
#include "net/offload.h"
#include "net/worker.h"
#include "reactor/mailbox.h"
#include "server/signals.h"
#include "server/supervisor.h"

#include <pthread.h>

enum { SERVER_ERROR_MAX = 512 };

struct access_log;

struct server {
    char **listen;
    unsigned threads;
    unsigned duration_s;
    unsigned backlog;
    bool share_addresses;
    bool handle_signals;
    bool announce;
    char *access_log_path; /* NULL: none */
    bool access_log_json;
    server_reactor_start reactor_start;
    server_reactor_stop reactor_stop;
    void *reactor_arg;
    struct router *router;
    unsigned route_count;
    unsigned max_connections_per_client; /* 0: no limit */
    enum server_balance balance_wanted;
    unsigned stall_warning_ms; /* 0: none */
    bool stall_trace;
    unsigned offload_threads;
    unsigned offload_queue; /* on each reactor */
    char *admin_where;      /* NULL: none */
    bool admin_anywhere;
    int refused; /* the first error of the options and routes, which server_run() reports */
    struct service service;
    struct address *addresses; /* one for each of `listen` */
    int *listeners; /* thread t's socket for address a: [t * address_count + a]; -1: not ours, or
                       not any more */
    int *sockets;   /* the same, also when they are the workers': not to be closed */
    unsigned address_count;
    struct worker *workers; /* one for each thread */
    unsigned worker_count;
    struct balance balance;
    struct offload offload;
    struct supervisor supervisor;
    struct admin *admin;           /* NULL: none */
    atomic_bool serves;            /* the team has begun to */
    struct access_log *access_log; /* NULL: none */
    struct post *drain_posts;      /* one for each worker: telling them must not fail */
    struct post stop_post;
    pthread_mutex_t stop_lock; /* for the three below */
    bool stop_asked;
    bool stoppable; /* `control` may be posted to */
    bool draining;
    bool has_run;
    struct reactor *control; /* where signals, the duration and stops are dealt with */
    struct reactor_timer duration;
    struct signals signals;
    atomic_int team_error; /* the first of the team's members */
    char error[SERVER_ERROR_MAX];
};

/* Notes why the server cannot run, in one line; returns `error` for the caller to pass on. */
__attribute__((format(printf, 3, 4))) int server_fail(struct server *server, int error,
                                                      const char *format, ...);

/* The same for an address that cannot be listened on. */
int server_fail_to_listen(struct server *server, const char *where, int error);

/* Makes everything that the team needs but the access log: listeners, reactors, workers. 0 or
 * -errno, and then server_close() undoes it as far as it came. */
int server_open(struct server *server);
void server_close(struct server *server);

/* Opens the access log, if there is to be one, and gives every worker its part; 0 or -errno. Call
 * it with the signals blocked that the server handles, for it may start a thread. */
int server_open_access_log(struct server *server);

/* Writes what the team has left in the log, and closes it. */
void server_close_access_log(struct server *server);

#endif
