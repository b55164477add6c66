/*
 * What a server opens before the team exists, in order, by the thread that can report what fails:
 * listeners, reactors and workers, and the access log.
 */
#include "net/access_log.h"
#include "net/clients.h"
#include "server/admin.h"
#include "server/state.h"
#include "server/team.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <unistd.h>

/* --- listening --- */

int server_fail_to_listen(struct server *server, const char *where, int error)
{
    switch (error) {
    case -EADDRINUSE:
        return server_fail(server, error,
                           "%s is in use: another program listens there, or it is listed twice",
                           where);
    case -EADDRNOTAVAIL:
        return server_fail(server, error, "cannot listen on %s: no such address on this machine",
                           where);
    case -EACCES:
        return server_fail(
            server, error,
            "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE", where);
    default:
        return server_fail(server, error, "cannot listen on %s: %s", where, g_strerror(-error));
    }
}

static int open_listeners(struct server *server)
{
    for (unsigned a = 0; a < server->address_count; a++) {
        struct address *address = &server->addresses[a];
        const char *where = server->listen[a];
        if (!address_parse(where, address))
            return server_fail(
                server, -EINVAL,
                "'%s' is no address to listen on; it takes a numeric ADDR:PORT such as "
                "127.0.0.1:18470 or [::1]:18470",
                where);
        int error = server->share_addresses ? 0 : listener_probe(address);
        if (error)
            return server_fail_to_listen(server, where, error);
        for (unsigned t = 0; t < server->threads; t++) {
            int fd = listener_open(address, server->backlog);
            if (fd < 0)
                return server_fail_to_listen(server, where, fd);
            server->listeners[t * server->address_count + a] = fd;
            server->sockets[t * server->address_count + a] = fd;
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
        return server_fail(server, -errno, "cannot make reactor %u of %u: %s", thread + 1,
                           server->threads, g_strerror(errno));
    int error = worker_init(worker, own, &server->service, server->address_count);
    worker->load = &server->balance.loads[thread];
    if (error) {
        reactor_destroy(own);
        return server_fail(server, error, "out of memory");
    }
    worker->index = thread;
    server->service.worker_count = ++server->worker_count;
    server->drain_posts[thread] = (struct post){.task = worker_drain, .arg = worker};
    for (unsigned a = 0; a < server->address_count; a++) {
        int *fd = &server->listeners[thread * server->address_count + a];
        error = worker_listen(worker, *fd);
        *fd = -1; /* the worker's now */
        if (error)
            return server_fail(server, error, "cannot watch a listener: %s", g_strerror(-error));
    }
    return 0;
}

static int allocate(struct server *server)
{
    size_t listeners = (size_t)server->threads * server->address_count;
    server->addresses = calloc(server->address_count, sizeof(*server->addresses));
    server->listeners = malloc(listeners * sizeof(*server->listeners));
    server->sockets = malloc(listeners * sizeof(*server->sockets));
    server->workers = aligned_alloc(CACHE_LINE, server->threads * sizeof(*server->workers));
    server->drain_posts = calloc(server->threads, sizeof(*server->drain_posts));
    server->service.workers = server->workers;
    for (size_t i = 0; server->listeners && i < listeners; i++)
        server->listeners[i] = -1;
    if (!server->addresses || !server->listeners || !server->sockets || !server->workers ||
        !server->drain_posts)
        return server_fail(server, -ENOMEM, "out of memory");
    return 0;
}

static enum balance_mode find_balance(const struct server *server)
{
    if (server->threads == 1 || server->balance_wanted == SERVER_BALANCE_HASH)
        return BALANCE_HASH;
    /* The program in the kernel is of all sockets that share an address. */
    bool in_kernel = server->balance_wanted != SERVER_BALANCE_HANDOFF && !server->share_addresses;
    return in_kernel ? BALANCE_LEAST : BALANCE_HANDOFF;
}

static int open_balance(struct server *server)
{
    const struct balance_sockets sockets = {
        .fds = server->sockets, .reactors = server->threads, .addresses = server->address_count};
    char why[128];
    int error = balance_open(&server->balance, find_balance(server), &sockets, why, sizeof(why));
    if (error)
        return server_fail(server, error, "out of memory");
    if (*why)
        g_message("connections are balanced by hand-off, not in the kernel: %s; --balance handoff "
                  "asks for that",
                  why);
    server->service.balance = &server->balance;
    return 0;
}

/* The memory is for as many clients as there may be connections. */
static int open_clients(struct server *server)
{
    struct service *service = &server->service;
    if (!server->max_connections_per_client)
        return 0;
    service->clients = clients_new(service->max_connections, server->max_connections_per_client);
    if (service->clients)
        return 0;
    int error = errno;
    return server_fail(server, -error,
                       "cannot count connections per client: %s; lower --max-connections",
                       g_strerror(error));
}

static int open_offload(struct server *server)
{
    int error = offload_open(&server->offload, server->offload_threads, server->offload_queue);
    server->service.offload = &server->offload;
    return error ? server_fail(server, error,
                               "cannot start threads for the routes of server_route_offload(): %s",
                               g_strerror(-error))
                 : 0;
}

void server_close(struct server *server)
{
    admin_close(server);
    supervisor_close(server); /* work that was posted to it looks at the workers */
    for (unsigned t = 0; t < server->worker_count; t++) {
        worker_fini(&server->workers[t]);
        reactor_destroy(server->workers[t].reactor);
    }
    for (size_t i = 0; server->listeners && i < (size_t)server->threads * server->address_count;
         i++) {
        if (server->listeners[i] >= 0)
            close(server->listeners[i]);
    }
    offload_close(&server->offload);
    balance_close(&server->balance);
    clients_free(server->service.clients);
    free(server->sockets);
    free(server->drain_posts);
    free(server->workers);
    free(server->listeners);
    free(server->addresses);
}

int server_open(struct server *server)
{
    if (server->refused)
        return server->refused;
    if (!server->route_count)
        return server_fail(server, -EINVAL, "no route: call server_route() first");
    if (!server->address_count)
        return server_fail(server, -EINVAL, "no address to listen on");
    int error = team_probe(server->threads);
    if (error)
        return server_fail(server, error, "cannot have %u threads: %s; lower --threads",
                           server->threads, g_strerror(-error));
    error = allocate(server);
    if (!error)
        error = open_clients(server);
    if (!error)
        error = open_listeners(server);
    if (!error)
        error = open_balance(server);
    for (unsigned t = 0; !error && t < server->threads; t++)
        error = open_worker(server, t);
    if (!error)
        error = open_offload(server);
    if (!error)
        error = supervisor_open(server);
    if (!error)
        error = admin_open(server);
    return error;
}

/* --- the access log --- */

int server_open_access_log(struct server *server)
{
    const char *path = server->access_log_path;
    if (!path)
        return 0;
    server->access_log = access_log_open(
        path, server->access_log_json ? ACCESS_JSON : ACCESS_COMBINED, server->threads);
    if (!server->access_log) {
        int error = errno;
        return server_fail(server, -error, "cannot open the access log %.300s: %s", path,
                           g_strerror(error));
    }
    for (unsigned t = 0; t < server->worker_count; t++)
        server->workers[t].access = access_log_ring(server->access_log, t);
    return 0;
}

void server_close_access_log(struct server *server)
{
    if (!server->access_log)
        return;
    for (unsigned t = 0; t < server->worker_count; t++)
        server->workers[t].access = NULL;
    access_log_close(server->access_log);
    server->access_log = NULL;
}
