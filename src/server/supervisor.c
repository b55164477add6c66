#include "server/supervisor.h"

#include "net/moves.h"
#include "reactor/turns.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <netinet/tcp.h>
#include <signal.h>

enum {
    TICKS_PER_STALL = 4, /* so that a stall is seen when it has taken a quarter longer at most */
    TICK_MAX_MS = 100,
    REVIEW_MS = 100, /* between two reviews of the balance */
};

#define NS_PER_MS UINT64_C(1000000)

static bool is_needed(const struct server *server)
{
    return server->threads > 1 || server->stall_warning_ms || server->admin_where;
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
        const struct watch *watch = reactor_watch(server->workers[t].reactor);
        uint64_t turn_ns = counter_read(&watch->turn_ns);
        uint64_t busy_ns = counter_read(&watch->busy_ns);
        if (turn_ns && now_ns > turn_ns)
            busy_ns += now_ns - turn_ns;
        balance_review(&server->balance, t, now_ns, busy_ns, count_waiting, server);
    }
    if (!server->service.keeps_connections)
        moves_review(&server->service, now_ns);
}

static void on_tick(struct reactor *reactor, void *arg)
{
    struct server *server = arg;
    struct supervisor *supervisor = &server->supervisor;
    uint64_t now_ns = reactor_now(reactor);
    if (now_ns >= supervisor->review_ns) {
        supervisor->review_ns = now_ns + REVIEW_MS * NS_PER_MS;
        review_balance(server, now_ns);
    }
}

static void *run(void *arg)
{
    struct server *server = arg;
    reactor_run(server->supervisor.reactor, -1);
    return NULL;
}

/* --- life --- */

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
    return 0;
}

int supervisor_start(struct server *server)
{
    struct supervisor *supervisor = &server->supervisor;
    if (!supervisor->reactor)
        return 0;
    unsigned tick_ms = server->stall_warning_ms / TICKS_PER_STALL;
    if (!server->stall_warning_ms || tick_ms > TICK_MAX_MS)
        tick_ms = TICK_MAX_MS;
    reactor_timer_start(&supervisor->tick, MAX(tick_ms, 1), MAX(tick_ms, 1));
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&supervisor->thread, NULL, run, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return server_fail(server, -error, "cannot start the supervisor's thread: %s",
                           g_strerror(error));
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
}
