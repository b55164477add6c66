/*
 * A server before it runs: its options, with the defaults in place of zeros, and its routes.
 */
#include "base/cpus.h"
#include "http/router.h"
#include "http/scan.h"
#include "server/admin.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    DEFAULT_BACKLOG = 4096,
    DEFAULT_DRAIN_TIMEOUT_S = 10,
    DEFAULT_HEADER_TIMEOUT_S = 10,
    DEFAULT_IDLE_TIMEOUT_S = 75,
    DEFAULT_MIN_RATE = 240, /* bytes/s */
    DEFAULT_STALL_MS = 100,
    DEFAULT_OFFLOAD_THREADS = 4, /* at least */
    OFFLOAD_THREADS_MAX = 1024,
    DEFAULT_OFFLOAD_QUEUE = 256,
    SPARE_DESCRIPTORS = 32, /* for standard streams, signals, the access log, libraries */
    SECONDS_MAX = 4000000,  /* that a timer's milliseconds can hold */
};

static const char *const default_listen[] = {"127.0.0.1:18470", NULL};

const char *coreactor_version(void)
{
    return COREACTOR_VERSION;
}

/* --- errors --- */

int server_fail(struct server *server, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(server->error, sizeof(server->error), format, arguments);
    va_end(arguments);
    /* An address or a name in it may hold anything. */
    for (char *at = server->error; *at; at++) {
        if (g_ascii_iscntrl(*at))
            *at = '?';
    }
    return error;
}

const char *server_error(const struct server *server)
{
    return server ? server->error : "no server: out of memory, or options of the wrong size";
}

/* --- options --- */

/* `others` are those of handlers, on each reactor; `shared` those beside the reactors. */
static unsigned max_connections_default(unsigned threads, unsigned addresses, unsigned others,
                                        unsigned shared)
{
    struct rlimit limit;
    rlim_t descriptors = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
    /* A reactor has two descriptors beside its listeners. */
    rlim_t ours = (rlim_t)threads * (2 + addresses + (rlim_t)others) + shared;
    if (descriptors > INT_MAX)
        descriptors = INT_MAX;
    return descriptors > ours ? (unsigned)(descriptors - ours) : 1;
}

/* What an option means where 0 is the default, and a negative value 0: off. */
static uint32_t value_or(int given, int otherwise)
{
    return (uint32_t)MAX(given ? given : otherwise, 0);
}

static uint32_t milliseconds_or(int given_s, int otherwise_s)
{
    return MIN(value_or(given_s, otherwise_s), SECONDS_MAX) * 1000;
}

static uint64_t body_bytes(int64_t given)
{
    if (given < 0)
        return UINT64_MAX;
    return given ? (uint64_t)given : http_limits_default.body_bytes;
}

/* A limit that protects a buffer cannot be raised; quietly using less would be no help. */
static unsigned checked(struct server *server, const char *name, unsigned given, unsigned most)
{
    if (given > most && !server->refused)
        server->refused =
            server_fail(server, -EINVAL, "%s is %u; it may be %u at most", name, given, most);
    return given ? given : most;
}

/* The one place where a limit gets its default. server_options says what they are. */
static void resolve_limits(struct server *server, const struct server_options *options)
{
    struct service *service = &server->service;
    service->limits = (struct http_limits){
        .head_bytes = checked(server, "max_header_bytes", options->max_header_bytes,
                              http_limits_default.head_bytes),
        .field_count =
            checked(server, "max_headers", options->max_headers, http_limits_default.field_count),
        .target_bytes = options->max_uri_bytes ? checked(server, "max_uri_bytes",
                                                         options->max_uri_bytes, HTTP_HEAD_MAX)
                                               : http_limits_default.target_bytes,
        .body_bytes = body_bytes(options->max_body_bytes),
    };
    service->max_connections =
        options->max_connections
            ? options->max_connections
            : max_connections_default(server->threads, server->address_count,
                                      options->handler_descriptors,
                                      SPARE_DESCRIPTORS + (options->admin ? ADMIN_DESCRIPTORS : 0));
    server->max_connections_per_client = options->max_connections_per_client;
    service->max_requests = options->max_requests;
    service->keeps_connections = options->keep_connections;
    service->drain_timeout_ms = milliseconds_or(options->drain_timeout_s, DEFAULT_DRAIN_TIMEOUT_S);
    service->header_timeout_ms =
        milliseconds_or(options->header_timeout_s, DEFAULT_HEADER_TIMEOUT_S);
    service->idle_timeout_ms = milliseconds_or(options->idle_timeout_s, DEFAULT_IDLE_TIMEOUT_S);
    service->min_body_rate = value_or(options->min_body_rate, DEFAULT_MIN_RATE);
    service->min_write_rate = value_or(options->min_write_rate, DEFAULT_MIN_RATE);
    server->offload_threads =
        options->offload_threads
            ? checked(server, "offload_threads", options->offload_threads, OFFLOAD_THREADS_MAX)
            : CLAMP(2 * cpus_allowed(), DEFAULT_OFFLOAD_THREADS, OFFLOAD_THREADS_MAX);
}

static void check_balance(struct server *server, unsigned balance)
{
    if (server->refused)
        return;
    if (balance > SERVER_BALANCE_HANDOFF)
        server->refused = server_fail(
            server, -EINVAL, "balance is %u, which is no value of enum server_balance", balance);
    else if (balance == SERVER_BALANCE_LEAST && server->share_addresses)
        server->refused =
            server_fail(server, -EINVAL,
                        "SERVER_BALANCE_LEAST would choose for the processes that addresses are "
                        "shared with: take SERVER_BALANCE_HANDOFF");
}

/* Allocated, with options whose texts are not the caller's any more. NULL: out of memory. */
static struct server *copy_options(const struct server_options *options)
{
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
        .share_addresses = options->share_addresses,
        .handle_signals = options->handle_signals,
        .announce = options->announce,
        .access_log_path = g_strdup(options->access_log),
        .access_log_json = options->access_log_json,
        .reactor_start = options->reactor_start,
        .reactor_stop = options->reactor_stop,
        .reactor_arg = options->reactor_arg,
        .balance_wanted = options->balance,
        .stall_warning_ms = value_or(options->stall_warning_ms, DEFAULT_STALL_MS),
        .stall_trace = options->stall_trace,
        .offload_queue = options->offload_queue ? options->offload_queue : DEFAULT_OFFLOAD_QUEUE,
        .admin_where = g_strdup(options->admin),
        .admin_anywhere = options->admin_anywhere,
    };
    return server;
}

/* Options of this library's size, or smaller, or larger with nothing set in what it does not know.
 */
static bool read_options(struct server_options *options, const struct server_options *given)
{
    const char *bytes = (const char *)given;
    for (size_t i = sizeof(*options); i < given->size; i++) {
        if (bytes[i])
            return false;
    }
    memcpy(options, given, MIN(given->size, sizeof(*options)));
    return given->size > 0;
}

struct server *server_new(const struct server_options *given)
{
    struct server_options options = {0};
    if (given && !read_options(&options, given)) {
        errno = EINVAL;
        return NULL;
    }
    struct router *router = router_new();
    struct server *server = router ? copy_options(&options) : NULL;
    if (!server) {
        router_free(router);
        errno = ENOMEM;
        return NULL;
    }
    server->router = router;
    server->service.router = router;
    resolve_limits(server, &options);
    check_balance(server, options.balance);
    pthread_mutex_init(&server->stop_lock, NULL);
    return server;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    pthread_mutex_destroy(&server->stop_lock);
    router_free(server->router);
    offload_fini(&server->offload);
    g_free(server->access_log_path);
    g_free(server->admin_where);
    g_strfreev(server->listen);
    free(server);
}

/* --- routes --- */

static const char *why_no_route(int error, http_handler handler)
{
    switch (error) {
    case -EINVAL:
        return handler ? "the method or the pattern is not valid" : "it has no handler";
    case -EEXIST:
        return "there is such a route already";
    default:
        return g_strerror(-error);
    }
}

/* Notes how adding a route went. */
static int note_route(struct server *server, const char *method, const char *pattern,
                      http_handler handler, int error)
{
    if (error && !server->refused)
        server->refused = server_fail(
            server, error, "cannot route %.40s %.300s: %s", method ? method : "every method of",
            pattern ? pattern : "(no pattern)", why_no_route(error, handler));
    server->route_count += !error;
    return error;
}

int server_route(struct server *server, const char *method, const char *pattern,
                 http_handler handler, void *arg)
{
    if (!server || server->has_run)
        return -EINVAL; /* of no server, server_run() will say so */
    int error =
        pattern && handler ? router_add(server->router, method, pattern, handler, arg) : -EINVAL;
    return note_route(server, method, pattern, handler, error);
}

int server_route_offload(struct server *server, const char *method, const char *pattern,
                         http_handler handler, void *arg)
{
    if (!server || server->has_run || !handler)
        return server_route(server, method, pattern, handler, arg);
    struct offload_route *route = offload_add(&server->offload, handler, arg);
    if (!route)
        return note_route(server, method, pattern, handler, -ENOMEM);
    return server_route(server, method, pattern, offload_handle, route);
}
