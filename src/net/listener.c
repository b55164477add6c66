#include "net/listener.h"

#include "base/log.h"
#include "net/balance.h"
#include "net/clients.h"
#include "net/connection.h"
#include "net/worker.h"

#include <errno.h>
#include <glib.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 64, /* so that a flood of connections does not starve the ones that exist */
    FULL_PAUSE_MS = 10,    /* after --max-connections: another worker may make room */
    SHORT_PAUSE_MS = 100,  /* after EMFILE and its like */
};

/* --- opening --- */

static int open_bound(const struct address *address, bool share)
{
    const int on = 1;
    int family = address->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        bind(fd, (const struct sockaddr *)&address->storage, address->length) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int listener_probe(const struct address *address)
{
    int fd = open_bound(address, false);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int listener_open(struct address *address, unsigned backlog)
{
    const int on = 1;
    int fd = open_bound(address, true);
    if (fd < 0)
        return fd;
    /* Accepted sockets inherit TCP_NODELAY (tcp(7)): one system call here instead of one for each.
     */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        listen(fd, (int)backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&address->storage, &address->length) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* --- accepting --- */

static void on_connection(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd, (void)events;
    listener_accept_all(arg);
}

static void on_resume(struct reactor *reactor, void *arg)
{
    (void)reactor;
    listener_resume(arg);
}

int listener_start(struct listener *listener, struct worker *worker, int fd)
{
    *listener = (struct listener){.fd = fd, .worker = worker};
    reactor_timer_init(&listener->resume, worker->reactor, on_resume, listener);
    return reactor_register(worker->reactor, fd, EPOLLIN, on_connection, listener);
}

/* Leaves the clients in the backlog for a while. */
static void pause_accepting(struct listener *listener, uint32_t pause_ms)
{
    if (!listener->paused) {
        listener->paused = true;
        atomic_fetch_add_explicit(&listener->worker->service->paused, 1, memory_order_relaxed);
        reactor_reregister(listener->worker->reactor, listener->fd, 0, on_connection, listener);
    }
    reactor_timer_start(&listener->resume, pause_ms, 0);
}

/* Forgets the pause without accepting again. */
static void end_pause(struct listener *listener)
{
    if (!listener->paused)
        return;
    listener->paused = false;
    atomic_fetch_sub_explicit(&listener->worker->service->paused, 1, memory_order_relaxed);
    reactor_timer_stop(&listener->resume);
}

void listener_resume(struct listener *listener)
{
    if (!listener->paused)
        return;
    end_pause(listener);
    reactor_reregister(listener->worker->reactor, listener->fd, EPOLLIN, on_connection, listener);
}

static void warn_short_of(struct worker *worker, int error)
{
    if (!worker_may_warn(worker))
        return;
    if (error == ENOMEM) {
        log_without_memory("cannot accept connections for now: out of memory; clients wait in the "
                           "backlog. Lower --max-connections");
        return;
    }
    g_warning("cannot accept connections for now: %s; clients wait in the backlog. "
              "Raise the limit (ulimit -n) or lower --max-connections",
              g_strerror(error));
}

enum accepted { ACCEPTED, BROKEN, NOTHING_WAITS, ACCEPT_LATER };

static enum accepted accept_later(struct listener *listener, int error)
{
    /* accept(2) looks for a free descriptor before it looks for a client. */
    if (!listener_has_waiting(listener))
        return NOTHING_WAITS;
    counter_add(&listener->worker->metrics.refused[REFUSED_SHORT], 1);
    warn_short_of(listener->worker, error);
    pause_accepting(listener, SHORT_PAUSE_MS);
    return ACCEPT_LATER;
}

/* Whether the client goes to another worker, that has less to do. */
static bool hand_over(struct worker *worker, const struct visitor *visitor)
{
    const struct balance *balance = worker->service->balance;
    if (!balance || balance->mode != BALANCE_HANDOFF)
        return false;
    unsigned to = balance_choose(balance, worker->index);
    if (to == worker->index || !handoff_send(worker, to, visitor))
        return false;
    counter_add(&worker->metrics.handed_over, 1);
    return true;
}

/* An accepted client gets a connection, unless it has enough of them. */
static enum accepted welcome(struct listener *listener, const struct visitor *visitor)
{
    struct worker *worker = listener->worker;
    struct clients *clients = worker->service->clients;
    if (clients && !clients_enter(clients, &visitor->peer.any)) {
        counter_add(&worker->metrics.refused[REFUSED_CLIENT_LIMIT], 1);
        close(visitor->fd);
        return BROKEN;
    }
    counter_add(&worker->metrics.accepted, 1);
    if (hand_over(worker, visitor))
        return ACCEPTED;
    int error = connection_open(worker, visitor);
    if (!error)
        return ACCEPTED;
    close(visitor->fd);
    if (clients)
        clients_leave(clients, &visitor->peer.any);
    warn_short_of(worker, -error);
    pause_accepting(listener, SHORT_PAUSE_MS);
    return ACCEPT_LATER;
}

static enum accepted accept_one(struct listener *listener)
{
    struct worker *worker = listener->worker;
    if (!connection_prepare(worker))
        return accept_later(listener, ENOMEM);
    const struct balance *balance = worker->service->balance;
    struct visitor visitor = {0};
    socklen_t length = sizeof(visitor.peer);
    visitor.fd = accept4(listener->fd, &visitor.peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (visitor.fd >= 0) {
        enum accepted accepted = welcome(listener, &visitor);
        if (balance && balance->mode == BALANCE_LEAST)
            load_settle(worker->load); /* the kernel had assigned it */
        return accepted;
    }
    switch (errno) {
    case EAGAIN:
        return NOTHING_WAITS;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return accept_later(listener, errno);
    default:
        /* EINTR, ECONNABORTED, and the errors of a connection that broke while it waited
         * (accept(2)): the next one may be well. */
        return BROKEN;
    }
}

void listener_accept_all(struct listener *listener)
{
    /* What is left after ACCEPTS_PER_TURN is for the next turn: this event is level-triggered. */
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (!worker_reserve_connection(listener->worker)) {
            counter_add(&listener->worker->metrics.refused[REFUSED_FULL], 1);
            pause_accepting(listener, FULL_PAUSE_MS);
            return;
        }
        enum accepted accepted = accept_one(listener);
        if (accepted != ACCEPTED)
            worker_release_connection(listener->worker);
        if (accepted == NOTHING_WAITS || accepted == ACCEPT_LATER)
            return;
    }
}

bool listener_has_waiting(const struct listener *listener)
{
    struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
    return poll(&waiting, 1, 0) > 0 && waiting.revents & POLLIN;
}

/* --- closing --- */

void listener_refuse_new(int fd)
{
    /* The filter sees the TCP header; of its flags only SYN without ACK is dropped. Connections
     * that the socket accepts inherit the filter and never receive such a segment. */
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog filter = {.len = G_N_ELEMENTS(program), .filter = program};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
        g_warning("cannot filter new connections while draining: %s", g_strerror(errno));
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    end_pause(listener);
    reactor_deregister(listener->worker->reactor, listener->fd);
    close(listener->fd);
    listener->fd = -1;
}
