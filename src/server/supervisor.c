#include "server/supervisor.h"

#include "base/aside.h"
#include "net/moves.h"
#include "reactor/turns.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>

enum {
    TICKS_PER_STALL = 8, /* so that any stall is found that takes an eighth longer than the limit */
    TICK_MAX_MS = 100,
    REVIEW_MS = 100, /* between two reviews of the balance */
    REST_MS = 1000,  /* without a turn, before it stops looking */
    /* And when connections are pending: long enough to give up those that do not come. What is left
     * then waits for a reactor that accepts nothing. */
    REST_PENDING_MS = 4000,
};

#define NS_PER_MS UINT64_C(1000000)

static bool is_needed(const struct server *server)
{
    return server->balance.mode != BALANCE_HASH || server->stall_warning_ms || server->admin_where;
}

/* --- on its thread --- */

/* Connections that wait in the queues of a reactor's listeners; see `tcpi_unacked` of a listening
 * socket in the kernel's net/ipv4/tcp.c, tcp_get_info(). */
static unsigned count_waiting(void *arg, unsigned index)
{
    const struct server *server = arg;
    unsigned waiting = 0;
    for (unsigned a = 0; a < server->address_count; a++) {
        struct tcp_info info = {0};
        socklen_t length = sizeof(info);
        if (getsockopt(server->sockets[index * server->address_count + a], IPPROTO_TCP, TCP_INFO,
                       &info, &length) == 0)
            waiting += info.tcpi_unacked;
    }
    return waiting;
}

static void review_balance(struct server *server, uint64_t now_ns)
{
    for (unsigned t = 0; t < server->worker_count; t++) {
        uint64_t busy_ns = watch_busy(reactor_watch(server->workers[t].reactor), now_ns);
        balance_review(&server->balance, t, now_ns, busy_ns, count_waiting, server);
    }
    if (!server->service.keeps_connections)
        moves_review(&server->service, now_ns);
}

/* --- rest: an idle server makes no system calls, but for those of --admin --- */

/* Sets the bells, or takes them away. Each reactor looks at its own once a turn. */
static void set_bells(struct server *server, bool set)
{
    server->supervisor.bells_set = set;
    for (unsigned t = 0; t < server->worker_count; t++)
        atomic_store(&reactor_watch(server->workers[t].reactor)->bell, set);
}

/* Whether a reactor is in a turn, or has made one since the last call. */
static bool is_active(struct server *server)
{
    uint64_t before = server->supervisor.turns;
    uint64_t turns = 0;
    bool in_turn = false;
    for (unsigned t = 0; t < server->worker_count; t++) {
        const struct watch *watch = reactor_watch(server->workers[t].reactor);
        turns += counter_read(&watch->turns);
        in_turn |= counter_read(&watch->turn_ns) != 0;
    }
    server->supervisor.turns = turns;
    return in_turn || turns != before;
}

/* In the mode `least` a SYN counts as a connection until a review finds that nobody comes. */
static bool is_pending(const struct server *server)
{
    for (unsigned t = 0; t < server->worker_count; t++) {
        if (load_pending(server->workers[t].load))
            return true;
    }
    return false;
}

/* Whether there is nothing to look at any more, after `idle_ns` without a turn. */
static bool may_rest(const struct server *server, uint64_t idle_ns)
{
    uint64_t rest_ms = is_pending(server) ? REST_PENDING_MS : REST_MS;
    return !server->supervisor.watchdog.left_out && idle_ns >= rest_ms * NS_PER_MS;
}

/* Between the bells and the rest lies a tick, long enough for all threads to see each other's
 * stores: a turn that began before it saw its bell is seen here. */
static void rest_if_idle(struct server *server, uint64_t now_ns)
{
    struct supervisor *supervisor = &server->supervisor;
    if (is_active(server)) {
        supervisor->active_ns = now_ns;
        if (supervisor->bells_set)
            set_bells(server, false);
    } else if (supervisor->bells_set) {
        reactor_timer_start(&supervisor->tick, UINT32_MAX, supervisor->tick_ms);
    } else if (may_rest(server, now_ns - supervisor->active_ns)) {
        set_bells(server, true);
    }
}

/* A reactor has made a turn. On the supervisor's thread. */
static void on_ring(struct reactor *reactor, void *arg)
{
    struct server *server = arg;
    struct supervisor *supervisor = &server->supervisor;
    atomic_store(&supervisor->rung, false);
    set_bells(server, false);
    supervisor->active_ns = reactor_now(reactor);
    reactor_timer_start(&supervisor->tick, supervisor->tick_ms, supervisor->tick_ms);
}

/* The same on the reactor's thread. */
static void ring(void *arg)
{
    struct supervisor *supervisor = arg;
    if (!atomic_exchange(&supervisor->rung, true))
        reactor_post_embedded(supervisor->reactor, &supervisor->ring);
}

static void on_tick(struct reactor *reactor, void *arg)
{
    struct server *server = arg;
    struct supervisor *supervisor = &server->supervisor;
    uint64_t now_ns = reactor_now(reactor);
    bool drains = atomic_load(&server->service.draining);
    watchdog_look(&supervisor->watchdog, now_ns, drains);
    /* Workers that drain close their sockets, and nothing is balanced any more. */
    if (!drains && now_ns >= supervisor->review_ns) {
        supervisor->review_ns = now_ns + REVIEW_MS * NS_PER_MS;
        review_balance(server, now_ns);
    }
    rest_if_idle(server, now_ns);
}

static void *run(void *arg)
{
    struct server *server = arg;
    reactor_run(server->supervisor.reactor, -1);
    return NULL;
}

/* --- on the reactors' --- */

void supervisor_join(struct server *server, unsigned thread)
{
    struct watchdog *watchdog = &server->supervisor.watchdog;
    if (watchdog->traces)
        trace_join(&watchdog->guards[thread].trace, watchdog->guards[thread].watch);
}

void supervisor_leave(struct server *server, unsigned thread)
{
    struct watchdog *watchdog = &server->supervisor.watchdog;
    if (watchdog->traces)
        trace_leave(&watchdog->guards[thread].trace);
}

/* --- life --- */

static unsigned find_tick(const struct server *server)
{
    unsigned tick_ms = server->stall_warning_ms / TICKS_PER_STALL;
    return server->stall_warning_ms ? CLAMP(tick_ms, 1, TICK_MAX_MS) : TICK_MAX_MS;
}

static int open_watchdog(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!server->stall_warning_ms)
        return 0;
    int error = watchdog_open(&supervisor->watchdog, server->worker_count, server->stall_warning_ms,
                              supervisor->tick_ms, server->stall_trace);
    for (unsigned t = 0; !error && t < server->worker_count; t++)
        watchdog_guard(&supervisor->watchdog, t, reactor_watch(server->workers[t].reactor),
                       &server->workers[t].metrics.stalls);
    return error;
}

int supervisor_open(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!is_needed(server))
        return 0;
    supervisor->reactor = reactor_new();
    if (!supervisor->reactor)
        return server_fail(server, -errno, "cannot make the supervisor's reactor: %s",
                           g_strerror(errno));
    reactor_timer_init(&supervisor->tick, supervisor->reactor, on_tick, server);
    supervisor->tick_ms = find_tick(server);
    if (open_watchdog(server) < 0)
        return server_fail(server, -ENOMEM, "out of memory");
    supervisor->ring = (struct post){.task = on_ring, .arg = server};
    for (unsigned t = 0; t < server->worker_count; t++) {
        struct watch *watch = reactor_watch(server->workers[t].reactor);
        watch->ring = ring;
        watch->ring_arg = supervisor;
    }
    return 0;
}

static int start_thread(struct server *server)
{
    struct aside before;
    aside_begin(&before);
    int error = pthread_create(&server->supervisor.thread, NULL, run, server);
    aside_end(&before);
    return -error;
}

int supervisor_start(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!supervisor->reactor)
        return 0;
    supervisor->active_ns = reactor_now(supervisor->reactor);
    reactor_timer_start(&supervisor->tick, supervisor->tick_ms, supervisor->tick_ms);
    int error = start_thread(server);
    if (error)
        return server_fail(server, error, "cannot start the supervisor's thread: %s",
                           g_strerror(-error));
    if (supervisor->watchdog.traces)
        trace_open();
    supervisor->runs = true;
    return 0;
}

void supervisor_stop(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!supervisor->runs)
        return;
    reactor_stop(supervisor->reactor);
    pthread_join(supervisor->thread, NULL);
    /* Stalls that ended after its last look. */
    watchdog_look(&supervisor->watchdog, watch_clock(), true);
    if (supervisor->watchdog.traces)
        trace_close();
    supervisor->runs = false;
}

void supervisor_close(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!supervisor->reactor)
        return;
    reactor_timer_stop(&supervisor->tick);
    reactor_destroy(supervisor->reactor);
    supervisor->reactor = NULL;
    watchdog_close(&supervisor->watchdog);
}
