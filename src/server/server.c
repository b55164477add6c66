/*
 * server.c - a running team of reactors, from its beginning to the end of its drain: the only
 * `omp parallel` of the project.
 *
 * Everything that can fail is made before the team exists (open.c), by the thread that can report
 * it; a thread of the team only takes the worker with its number and runs it. A listening socket
 * without a loop would swallow connections, so there is none.
 */
#include "net/access_log.h"
#include "server/admin.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>

/* The reactor of the thread that asks: each member of the team has its own. */
static struct reactor *reactor;
#pragma omp threadprivate(reactor)

/* --- ending: on the supervisor's reactor, which no handler keeps; without one, on the first --- */

/* Under the lock, because a member whose reactor fails closes its listeners. */
static void begin_drain(struct server *server)
{
    server->draining = true;
    atomic_store(&server->service.draining, true);
    if (server->handle_signals)
        signals_release(&server->signals);
    /* Every listener before any is closed: the kernel would give a closed one's share to the rest.
     */
    for (unsigned i = 0; i < server->worker_count * server->address_count; i++)
        listener_refuse_new(server->sockets[i]);
    for (unsigned t = 0; t < server->worker_count; t++)
        reactor_post_embedded(server->workers[t].reactor, &server->drain_posts[t]);
}

static void drain(struct reactor *any, void *arg)
{
    struct server *server = arg;
    (void)any;
    pthread_mutex_lock(&server->stop_lock);
    if (!server->draining)
        begin_drain(server);
    pthread_mutex_unlock(&server->stop_lock);
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    pthread_mutex_lock(&server->stop_lock);
    if (!server->stop_asked && server->stoppable)
        reactor_post_embedded(server->control, &server->stop_post);
    server->stop_asked = true;
    pthread_mutex_unlock(&server->stop_lock);
}

/* From now on server_stop() may post. */
static void allow_stop(struct server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    server->stop_post = (struct post){.task = drain, .arg = server};
    server->stoppable = true;
    if (server->stop_asked)
        reactor_post_embedded(server->control, &server->stop_post);
    pthread_mutex_unlock(&server->stop_lock);
}

/* From now on nothing begins a drain. */
static void forbid_stop(struct server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    server->stoppable = false;
    server->draining = true; /* a stop that was posted too late finds nothing to do */
    pthread_mutex_unlock(&server->stop_lock);
}

static void reopen_access_log(struct reactor *first, void *arg)
{
    const struct server *server = arg;
    (void)first;
    if (server->access_log)
        access_log_reopen(server->access_log);
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
    if (server->admin)
        printf("coreactor: admin on %s\n", admin_url(server->admin));
    fflush(stdout);
}

static void announce_end(const struct server *server)
{
    uint64_t answered = 0;
    uint64_t accepted = 0;
    uint64_t aborted = 0;
    bool left_waiting = false;
    for (unsigned t = 0; t < server->worker_count; t++) {
        const struct metrics *metrics = &server->workers[t].metrics;
        for (unsigned class = 1; class < G_N_ELEMENTS(metrics->requests); class ++)
            answered += counter_read(&metrics->requests[class]);
        accepted += counter_read(&metrics->accepted);
        aborted += counter_read(&metrics->aborted);
        left_waiting |= server->workers[t].left_waiting;
    }
    if (aborted)
        g_warning("the drain's time was over: %" G_GUINT64_FORMAT " connection%s cut off", aborted,
                  aborted == 1 ? " was" : "s were");
    if (left_waiting)
        g_warning("the drain's time was over: clients still waited to be accepted");
    if (!server->announce)
        return;
    printf("coreactor: answered %" G_GUINT64_FORMAT " requests on %" G_GUINT64_FORMAT
           " connections\n",
           answered, accepted);
    fflush(stdout);
}

/* --- the team --- */

/* Notes a member's error, unless another one was first. */
static void fail_member(struct server *server, int error, const char *what, unsigned thread)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&server->team_error, &none, error))
        server_fail(server, error, "reactor %u of %u %s: %s", thread + 1, server->threads, what,
                    g_strerror(-error));
}

static bool start_member(struct server *server, unsigned thread)
{
    int error =
        server->reactor_start ? server->reactor_start(reactor, thread, server->reactor_arg) : 0;
    if (error < 0)
        fail_member(server, error, "could not be started", thread);
    return error >= 0;
}

static void serve(struct server *server, unsigned thread)
{
    int outcome = reactor_run(reactor, -1);
    if (outcome < 0)
        fail_member(server, outcome, "failed", thread);
    /* The others must not go on without this one, whether it failed or a handler stopped it; and
     * the drain needs its listeners, which are closed next. */
    drain(reactor, server);
}

/* What a member of the team does: run the worker with its number. */
static void run_member(struct server *server, unsigned thread)
{
    reactor = server->workers[thread].reactor;
    supervisor_join(server, thread);
    bool started = start_member(server, thread);
    /* All are there, and have started or not: only now is it true that the server listens. */
#pragma omp barrier
    bool can_serve = !atomic_load(&server->team_error);
    if (thread == 0 && can_serve) {
        atomic_store(&server->serves, true);
        if (server->announce)
            announce_start(server);
    }
    /* No request is answered, or logged on stdout, before that is said; and nobody fails before all
     * have decided. */
#pragma omp barrier
    if (can_serve)
        serve(server, thread);
    else
        forbid_stop(server);
    worker_close_all(&server->workers[thread]);
    if (started && server->reactor_stop)
        server->reactor_stop(reactor, thread, server->reactor_arg);
    reactor_set_data(reactor, NULL);
    supervisor_leave(server, thread);
}

static int run_team(struct server *server)
{
    /* libgomp's own synchronisation is invisible to the thread sanitizer: this says that a member's
     * writes come before what is read after the team. */
    atomic_uint finished = 0;
    omp_set_dynamic(0);
#pragma omp parallel num_threads(server->threads)
    {
        if ((unsigned)omp_get_num_threads() == server->threads) {
            run_member(server, (unsigned)omp_get_thread_num());
        } else {
#pragma omp single
            server->team_error = server_fail(
                server, -EAGAIN, "OpenMP gave %d threads instead of %u; lower --threads",
                omp_get_num_threads(), server->threads);
        }
        atomic_fetch_add(&finished, 1);
    }
    return atomic_load(&finished) ? atomic_load(&server->team_error) : 0;
}

/* --- the run --- */

/* Signals first: the access log may start a thread, which must have them blocked too. */
static int begin(struct server *server)
{
    struct reactor *supervisors = server->supervisor.reactor;
    server->control = supervisors ? supervisors : server->workers[0].reactor;
    if (server->handle_signals) {
        int error =
            signals_open(&server->signals, server->control, drain, reopen_access_log, server);
        if (error)
            return server_fail(server, error, "cannot watch signals: %s", g_strerror(-error));
    }
    int error = server_open_access_log(server);
    if (error) {
        if (server->handle_signals)
            signals_close(&server->signals);
        return error;
    }
    reactor_timer_init(&server->duration, server->control, drain, server);
    if (server->duration_s)
        reactor_timer_start(&server->duration, server->duration_s * 1000, 0);
    allow_stop(server);
    return 0;
}

static void end(struct server *server)
{
    forbid_stop(server);
    reactor_timer_stop(&server->duration);
    if (server->handle_signals)
        signals_close(&server->signals);
    server_close_access_log(server); /* on stdout, its last lines come before the summary */
}

/* sendfile(2) has no MSG_NOSIGNAL: a client that goes away amid a file would end the process. */
static void ignore_broken_pipes(void)
{
    struct sigaction present;
    if (sigaction(SIGPIPE, NULL, &present) == 0 && present.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int server_run(struct server *server)
{
    if (!server)
        return -EINVAL;
    if (server->has_run)
        return server_fail(server, -EALREADY, "a server runs once; make a new one");
    server->has_run = true;
    ignore_broken_pipes();
    int error = server_open(server);
    if (!error)
        error = begin(server);
    if (!error) {
        error = supervisor_start(server);
        if (!error)
            error = run_team(server);
        supervisor_stop(server);
        end(server);
        if (!error)
            announce_end(server);
    }
    server_close(server);
    return error;
}
