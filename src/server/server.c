/*
 * server.c - from options to a running team of reactors, and back: the only `omp parallel` of the
 * project.
 *
 * Everything that can fail is made before the team exists, in order, by the thread that can report
 * it; a thread of the team only takes the worker with its number and runs it. A listening socket
 * without a loop would swallow connections, so there is none.
 */
#include <coreactor/server.h>

#include "base/cpus.h"
#include "net/worker.h"
#include "reactor/mailbox.h"
#include "server/signals.h"
#include "server/team.h"

#include <errno.h>
#include <glib.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    DEFAULT_BACKLOG = 4096,
    DEFAULT_DRAIN_TIMEOUT_S = 10,
    SPARE_DESCRIPTORS = 32, /* for standard streams, signals, libraries */
    SECONDS_MAX = 4000000,  /* that a timer's milliseconds can hold */
    ERROR_MAX = 256,
};

static const char *const default_listen[] = {"127.0.0.1:18470", NULL};

struct server {
    char **listen;
    unsigned threads;
    unsigned duration_s;
    unsigned backlog;
    bool handle_signals;
    bool announce;
    struct service service;
    struct address *addresses; /* one for each of `listen` */
    int *listeners;            /* thread t's socket for address a: [t * address_count + a], or -1 */
    unsigned address_count;
    struct worker *workers; /* one for each thread */
    unsigned worker_count;
    struct post *drain_posts; /* one for each worker: telling them must not fail */
    struct post stop_post;
    pthread_mutex_t stop_lock; /* for the two below */
    bool stop_asked;
    bool stoppable; /* the first reactor exists and may be posted to */
    bool draining;
    bool has_run;
    struct reactor_timer duration;
    struct signals signals;
    uint64_t began_ns;
    char error[ERROR_MAX];
};

/* The reactor of the thread that asks: each member of the team has its own. */
static struct reactor *reactor;
#pragma omp threadprivate(reactor)

const char *coreactor_version(void)
{
    return COREACTOR_VERSION;
}

/* --- options --- */

static unsigned max_connections_default(unsigned threads, unsigned addresses)
{
    struct rlimit limit;
    rlim_t descriptors = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
    /* A reactor has two descriptors beside its listeners. */
    rlim_t ours = (rlim_t)threads * (2 + addresses) + SPARE_DESCRIPTORS;
    if (descriptors > INT_MAX)
        descriptors = INT_MAX;
    return descriptors > ours ? (unsigned)(descriptors - ours) : 1;
}

struct server *server_new(const struct server_options *given)
{
    struct server_options own = {0};
    const struct server_options *options = &own;
    if (given && (given->size == 0 || given->size > sizeof(own))) {
        errno = EINVAL;
        return NULL;
    }
    if (given)
        memcpy(&own, given, given->size);
    struct server *server = aligned_alloc(CACHE_LINE, sizeof(*server));
    if (!server)
        return NULL;
    const char *const *listen = options->listen ? options->listen : default_listen;
    *server = (struct server){
        .listen = g_strdupv((char **)(uintptr_t)listen),
        .address_count = g_strv_length((char **)(uintptr_t)listen),
        .threads = options->threads ? options->threads : cpus_allowed(),
        .duration_s = MIN(options->duration_s, SECONDS_MAX),
        .backlog = options->backlog ? options->backlog : DEFAULT_BACKLOG,
        .handle_signals = options->handle_signals,
        .announce = options->announce,
        .service.limits = http_limits_default,
        .service.max_connections = options->max_connections,
    };
    int drain_timeout_s =
        options->drain_timeout_s ? options->drain_timeout_s : DEFAULT_DRAIN_TIMEOUT_S;
    server->service.drain_timeout_ms = (unsigned)CLAMP(drain_timeout_s, 0, SECONDS_MAX) * 1000;
    pthread_mutex_init(&server->stop_lock, NULL);
    if (!server->service.max_connections)
        server->service.max_connections =
            max_connections_default(server->threads, server->address_count);
    return server;
}

void server_handle(struct server *server, http_handler handler, void *arg)
{
    if (!server)
        return; /* server_run() will say so */
    server->service.handler = handler;
    server->service.handler_arg = arg;
}

const char *server_error(const struct server *server)
{
    return server ? server->error : "no server: out of memory, or options of the wrong size";
}

void server_free(struct server *server)
{
    if (!server)
        return;
    pthread_mutex_destroy(&server->stop_lock);
    g_strfreev(server->listen);
    free(server);
}

/* Notes why the server cannot run; returns `error` for the caller to pass on. */
__attribute__((format(printf, 3, 4))) static int fail(struct server *server, int error,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(server->error, sizeof(server->error), format, arguments);
    va_end(arguments);
    return error;
}

/* --- listening --- */

static int fail_to_listen(struct server *server, const char *where, int error)
{
    switch (error) {
    case -EADDRINUSE:
        return fail(server, error,
                    "%s is in use: another program listens there, or it is listed twice", where);
    case -EADDRNOTAVAIL:
        return fail(server, error, "cannot listen on %s: no such address on this machine", where);
    case -EACCES:
        return fail(server, error,
                    "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE",
                    where);
    default:
        return fail(server, error, "cannot listen on %s: %s", where, g_strerror(-error));
    }
}

static int open_listeners(struct server *server)
{
    for (unsigned a = 0; a < server->address_count; a++) {
        struct address *address = &server->addresses[a];
        const char *where = server->listen[a];
        if (!address_parse(where, address))
            return fail(server, -EINVAL,
                        "'%s' is no address to listen on; it takes a numeric ADDR:PORT such as "
                        "127.0.0.1:18470 or [::1]:18470",
                        where);
        int error = listener_probe(address);
        if (error)
            return fail_to_listen(server, where, error);
        for (unsigned t = 0; t < server->threads; t++) {
            int fd = listener_open(address, server->backlog);
            if (fd < 0)
                return fail_to_listen(server, where, fd);
            server->listeners[t * server->address_count + a] = fd;
        }
    }
    return 0;
}

/* --- workers --- */

static int open_worker(struct server *server, unsigned thread)
{
    struct worker *worker = &server->workers[thread];
    struct reactor *own = reactor_new();
    if (!own)
        return fail(server, -errno, "cannot make reactor %u of %u: %s", thread + 1, server->threads,
                    g_strerror(errno));
    int error = worker_init(worker, own, &server->service, server->address_count);
    if (error) {
        reactor_destroy(own);
        return fail(server, error, "out of memory");
    }
    server->worker_count++;
    server->drain_posts[thread] = (struct post){.task = worker_drain, .arg = worker};
    for (unsigned a = 0; a < server->address_count; a++) {
        int *fd = &server->listeners[thread * server->address_count + a];
        error = worker_listen(worker, *fd);
        *fd = -1; /* the worker's now */
        if (error)
            return fail(server, error, "cannot watch a listener: %s", g_strerror(-error));
    }
    return 0;
}

static int allocate(struct server *server)
{
    size_t listeners = (size_t)server->threads * server->address_count;
    server->addresses = calloc(server->address_count, sizeof(*server->addresses));
    server->listeners = malloc(listeners * sizeof(*server->listeners));
    server->workers = aligned_alloc(CACHE_LINE, server->threads * sizeof(*server->workers));
    server->drain_posts = calloc(server->threads, sizeof(*server->drain_posts));
    for (size_t i = 0; server->listeners && i < listeners; i++)
        server->listeners[i] = -1;
    if (!server->addresses || !server->listeners || !server->workers || !server->drain_posts)
        return fail(server, -ENOMEM, "out of memory");
    return 0;
}

/* Undoes open_all(), as far as it came. */
static void close_all(struct server *server)
{
    for (unsigned t = 0; t < server->worker_count; t++) {
        worker_fini(&server->workers[t]);
        reactor_destroy(server->workers[t].reactor);
    }
    for (size_t i = 0; server->listeners && i < (size_t)server->threads * server->address_count;
         i++) {
        if (server->listeners[i] >= 0)
            close(server->listeners[i]);
    }
    free(server->drain_posts);
    free(server->workers);
    free(server->listeners);
    free(server->addresses);
}

static int open_all(struct server *server)
{
    if (!server->service.handler)
        return fail(server, -EINVAL, "no handler: call server_handle() first");
    if (!server->address_count)
        return fail(server, -EINVAL, "no address to listen on");
    int error = team_probe(server->threads);
    if (error)
        return fail(server, error, "cannot have %u threads: %s; lower --threads", server->threads,
                    g_strerror(-error));
    error = allocate(server);
    if (!error)
        error = open_listeners(server);
    for (unsigned t = 0; !error && t < server->threads; t++)
        error = open_worker(server, t);
    return error;
}

/* --- ending: all of it happens on the first reactor --- */

static void drain(struct reactor *first, void *arg)
{
    struct server *server = arg;
    (void)first;
    if (server->draining)
        return;
    server->draining = true;
    atomic_store(&server->service.draining, true);
    if (server->handle_signals)
        signals_release(&server->signals);
    /* Every listener before any is closed: the kernel would give a closed one's share to the rest.
     */
    for (unsigned t = 0; t < server->worker_count; t++) {
        for (unsigned a = 0; a < server->address_count; a++)
            listener_refuse_new(server->workers[t].listeners[a].fd);
    }
    for (unsigned t = 0; t < server->worker_count; t++)
        reactor_post_embedded(server->workers[t].reactor, &server->drain_posts[t]);
}

void server_stop(struct server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    if (!server->stop_asked && server->stoppable)
        reactor_post_embedded(server->workers[0].reactor, &server->stop_post);
    server->stop_asked = true;
    pthread_mutex_unlock(&server->stop_lock);
}

/* From now on server_stop() may post to the first reactor. */
static void allow_stop(struct server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    server->stop_post = (struct post){.task = drain, .arg = server};
    server->stoppable = true;
    if (server->stop_asked)
        reactor_post_embedded(server->workers[0].reactor, &server->stop_post);
    pthread_mutex_unlock(&server->stop_lock);
}

static void forbid_stop(struct server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    server->stoppable = false;
    server->draining = true; /* a stop that was posted too late finds nothing to do */
    pthread_mutex_unlock(&server->stop_lock);
}

/* --- running --- */

static void announce_start(const struct server *server)
{
    for (unsigned a = 0; a < server->address_count; a++) {
        char where[ADDRESS_TEXT_MAX];
        address_format(&server->addresses[a], where);
        printf("coreactor: listening on http://%s/ with %u reactor%s\n", where, server->threads,
               server->threads == 1 ? "" : "s");
    }
    fflush(stdout);
}

static void announce_end(const struct server *server)
{
    uint64_t answered = 0;
    uint64_t accepted = 0;
    uint64_t aborted = 0;
    bool left_waiting = false;
    for (unsigned t = 0; t < server->worker_count; t++) {
        answered += server->workers[t].answered_total;
        accepted += server->workers[t].accepted_total;
        aborted += server->workers[t].aborted_total;
        left_waiting |= server->workers[t].left_waiting;
    }
    if (aborted)
        g_warning("the drain's time was over: %" G_GUINT64_FORMAT " connections were cut off",
                  aborted);
    if (left_waiting)
        g_warning("the drain's time was over: clients still waited to be accepted");
    if (!server->announce)
        return;
    printf("coreactor: answered %" G_GUINT64_FORMAT " requests on %" G_GUINT64_FORMAT
           " connections\n",
           answered, accepted);
    fflush(stdout);
}

/* What a member of the team does: run the worker with its number. 0 or -errno. */
static int run_worker(struct server *server, unsigned thread)
{
    reactor = server->workers[thread].reactor;
    int outcome = reactor_run(reactor, -1);
    if (outcome >= 0)
        return 0;
    /* The others must not go on without this one. */
    if (thread == 0)
        drain(reactor, server);
    else
        server_stop(server);
    return outcome;
}

static int run_team(struct server *server)
{
    atomic_int error = 0;
    /* libgomp's own synchronisation is invisible to the thread sanitizer: this says that a member's
     * writes come before what is read after the team. */
    atomic_uint finished = 0;
    omp_set_dynamic(0);
#pragma omp parallel num_threads(server->threads)
    {
        if ((unsigned)omp_get_num_threads() != server->threads) {
#pragma omp single
            error = fail(server, -EAGAIN, "OpenMP gave %d threads instead of %u; lower --threads",
                         omp_get_num_threads(), server->threads);
        } else {
            int outcome = run_worker(server, (unsigned)omp_get_thread_num());
            if (outcome)
                error = outcome;
        }
        atomic_fetch_add(&finished, 1);
    }
    if (atomic_load(&finished) && error && !server->error[0])
        fail(server, error, "a reactor failed: %s", g_strerror(-error));
    return error;
}

int server_run(struct server *server)
{
    if (!server)
        return -EINVAL;
    if (server->has_run)
        return fail(server, -EALREADY, "a server runs once; make a new one");
    server->has_run = true;
    int error = open_all(server);
    if (error)
        goto closed;
    struct reactor *first = server->workers[0].reactor;
    if (server->handle_signals) {
        error = signals_open(&server->signals, first, drain, server);
        if (error) {
            fail(server, error, "cannot watch signals: %s", g_strerror(-error));
            goto closed;
        }
    }
    reactor_timer_init(&server->duration, first, drain, server);
    if (server->duration_s)
        reactor_timer_start(&server->duration, server->duration_s * 1000, 0);
    allow_stop(server);
    if (server->announce)
        announce_start(server);

    error = run_team(server);

    forbid_stop(server);
    reactor_timer_stop(&server->duration);
    if (server->handle_signals)
        signals_close(&server->signals);
    if (!error)
        announce_end(server);
closed:
    close_all(server);
    return error;
}
