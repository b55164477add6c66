/*
 * A connection holds no buffer while it is idle: bytes are read into the worker's buffer and
 * answers collected in the worker's, and only what cannot be dealt with at once is kept aside - the
 * beginning of a request in `in`, what the socket did not take in `out`.
 *
 * It asks for EPOLLIN, except while `out` waits for EPOLLOUT - a client that does not read its
 * answers is not read from either - or its client sends more while a handler is at work. Events are
 * level-triggered; edge-triggered ones were tried and made no difference that rises above the
 * noise.
 */
#include "net/connection_private.h"

#include "net/balance.h"
#include "net/moves.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SPARES_MAX = 1024,
    LINGER_READS = 16, /* per turn */
};

/* --- life --- */

static void on_event(struct reactor *reactor, int fd, uint32_t events, void *arg);

/* There is one: see connection_prepare(). */
static struct connection *take_spare(struct worker *worker)
{
    struct connection *connection = worker->spare;
    worker->spare = connection->next;
    worker->spare_count--;
    return connection;
}

static void give_back(struct worker *worker, struct connection *connection)
{
    if (worker->spare_count == SPARES_MAX) {
        free(connection);
        return;
    }
    connection->next = worker->spare;
    worker->spare = connection;
    worker->spare_count++;
}

void connection_free_spares(struct worker *worker)
{
    while (worker->spare)
        free(take_spare(worker));
}

bool connection_prepare(struct worker *worker)
{
    if (worker->spare)
        return true;
    struct connection *connection = malloc(sizeof(*connection));
    if (!connection)
        return false;
    give_back(worker, connection);
    return true;
}

int connection_open(struct worker *worker, const struct visitor *visitor)
{
    if (!connection_prepare(worker))
        return -ENOMEM;
    struct connection *connection = take_spare(worker);
    int error = reactor_register(worker->reactor, visitor->fd, EPOLLIN, on_event, connection);
    if (error) {
        give_back(worker, connection);
        return error;
    }
    *connection = (struct connection){.worker = worker,
                                      .next = worker->connections,
                                      .fd = visitor->fd,
                                      .state = OPEN,
                                      .watched = EPOLLIN,
                                      .requests = visitor->requests,
                                      .active_ns = reactor_now(worker->reactor),
                                      .peer = visitor->peer};
    if (connection->next)
        connection->next->previous = connection;
    worker->connections = connection;
    load_open(worker->load, 1);
    connection->counted = FOR_REQUEST; /* every connection is in some state at any time */
    counter_add(&worker->metrics.states[FOR_REQUEST], 1);
    reactor_timer_init(&connection->timer, worker->reactor, connection_on_timer, connection);
    connection_update_deadline(connection);
    return 0;
}

/* The worker has nothing more to do with it; its descriptor stays as it is. */
static void leave(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        worker->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    reactor_timer_stop(&connection->timer);
    reactor_deregister(worker->reactor, connection->fd);
    load_open(worker->load, -1);
    counter_add(&worker->metrics.states[connection->counted], (uint64_t)-1);
    free(connection->in);
    buffer_free(&connection->out);
    give_back(worker, connection);
}

void connection_close(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const struct visitor visitor = {.fd = connection->fd, .peer = connection->peer};
    connection_drop_exchange(connection);
    leave(connection);
    visitor_turn_away(worker, &visitor);
}

void connection_move(struct connection *connection, unsigned to)
{
    struct worker *worker = connection->worker;
    const struct visitor visitor = {
        .fd = connection->fd, .requests = connection->requests, .peer = connection->peer};
    leave(connection);
    load_assign(worker->service->workers[to].load);
    if (handoff_send(worker, to, &visitor))
        counter_add(&worker->metrics.moved, 1);
    else
        visitor_admit(worker, &visitor);
}

struct connection *connection_next(const struct connection *connection)
{
    return connection->next;
}

/* Waiting for a request of which nothing has been read yet. */
static bool is_idle(const struct connection *connection)
{
    return connection->state == OPEN && connection->waiting == FOR_REQUEST;
}

bool connection_is_busy(const struct connection *connection)
{
    return connection->state != LINGERING && !is_idle(connection);
}

bool connection_has_unread(const struct connection *connection)
{
    char byte;
    return recv(connection->fd, &byte, 1, MSG_PEEK) > 0;
}

/* A request may be waiting in the socket, when the machine is too busy to have read it. */
static bool close_unless_unread(struct connection *connection)
{
    if (connection_has_unread(connection))
        return false;
    connection_close(connection);
    return true;
}

void connection_close_if_idle(struct connection *connection, uint64_t before_ns)
{
    if (is_idle(connection) && connection->active_ns <= before_ns)
        close_unless_unread(connection);
}

void connection_address(const struct connection *connection, bool client, struct address *address)
{
    *address = (struct address){.length = sizeof(address->storage)};
    if (client)
        memcpy(&address->storage, &connection->peer, sizeof(connection->peer));
    else
        getsockname(connection->fd, (struct sockaddr *)&address->storage, &address->length);
}

struct http_text connection_address_text(const struct address *address, struct arena *arena)
{
    char *text = arena_alloc(arena, ADDRESS_TEXT_MAX);
    if (!text)
        return (struct http_text){NULL, 0};
    address_format(address, text);
    return (struct http_text){text, strlen(text)};
}

/* --- making room --- */

enum { OLDEST_MAX = 16 };

/* Puts it into `oldest`, which is sorted by the last event and holds `count`. Returns the new
 * count.
 */
static unsigned insert_by_age(struct connection **oldest, unsigned count,
                              struct connection *connection)
{
    unsigned at = count < OLDEST_MAX ? count : OLDEST_MAX - 1;
    if (count == OLDEST_MAX && oldest[at]->active_ns <= connection->active_ns)
        return count;
    while (at > 0 && oldest[at - 1]->active_ns > connection->active_ns) {
        oldest[at] = oldest[at - 1];
        at--;
    }
    oldest[at] = connection;
    return count < OLDEST_MAX ? count + 1 : count;
}

unsigned connection_close_longest_idle(struct worker *worker, uint64_t before_ns)
{
    struct connection *oldest[OLDEST_MAX];
    unsigned count = 0;
    for (struct connection *at = worker->connections; at; at = at->next) {
        if (is_idle(at) && at->active_ns <= before_ns)
            count = insert_by_age(oldest, count, at);
    }
    unsigned closed = 0;
    for (unsigned i = 0; i < count; i++)
        closed += close_unless_unread(oldest[i]);
    return closed;
}

/* --- waiting --- */

/* The events that can carry the connection on. */
static uint32_t find_interest(const struct connection *connection)
{
    const struct http_exchange *exchange = connection->exchange;
    bool output = connection_has_output(connection);
    if (connection->state == LINGERING)
        return EPOLLIN;
    if (!exchange)
        return output ? EPOLLOUT : EPOLLIN;
    uint32_t interest = output || exchange->now.wants_room ? EPOLLOUT : 0;
    if (http_exchange_reads(exchange) && connection->in_length < READ_MAX)
        return interest | EPOLLIN;
    /* Whoever waits for a handler without reading has to ask whether the client is still there. */
    bool asks = !exchange->now.soon && !http_response_is_complete(&exchange->response);
    return interest | (asks ? EPOLLRDHUP : 0);
}

static void watch(struct connection *connection, uint32_t events)
{
    if (events == connection->watched)
        return;
    connection->watched = events;
    if (reactor_reregister(connection->worker->reactor, connection->fd, events, on_event,
                           connection) != 0)
        connection->state = BROKEN;
}

/* An answer that is pending mostly comes before its client sends more. Until that does, input that
 * nobody wants is watched for still: asking for less now, and for the same again with the next
 * request, would be two system calls for each. */
static bool is_watched_too_much(const struct connection *connection, uint32_t interest)
{
    return connection->watched == EPOLLIN && !(interest & (EPOLLIN | EPOLLOUT));
}

void connection_settle(struct connection *connection)
{
    if (connection->state != BROKEN) {
        uint32_t interest = find_interest(connection);
        if (!is_watched_too_much(connection, interest))
            watch(connection, interest);
    }
    if (connection->state == BROKEN) {
        connection_close(connection);
        return;
    }
    connection->active_ns = reactor_now(connection->worker->reactor);
    connection_update_deadline(connection);
    if (connection->worker->moves)
        moves_consider(connection);
}

/* --- events --- */

static ssize_t receive(struct connection *connection, char *to, size_t room)
{
    ssize_t count;
    do
        count = recv(connection->fd, to, room, 0);
    while (count < 0 && errno == EINTR);
    return count;
}

static void on_readable(struct connection *connection)
{
    char *in = connection->worker->in;
    size_t kept = connection->in_length;
    size_t room = READ_MAX - kept;
    if (kept)
        memcpy(in, connection->in, kept);
    ssize_t count = receive(connection, in + kept, room);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN)
            connection->state = BROKEN;
        return;
    }
    connection_count_received(connection, (size_t)count);
    connection_proceed(connection, in, kept + (size_t)count, (size_t)count == room);
}

static void on_writable(struct connection *connection)
{
    connection_flush(connection);
    if (connection->state == OPEN && !connection_has_output(connection))
        connection_proceed(connection, connection->in, connection->in_length, true);
}

static void on_lingering(struct connection *connection)
{
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t count = receive(connection, connection->worker->in, READ_MAX);
        if (count > 0) {
            connection_count_received(connection, (size_t)count);
            continue;
        }
        if (count == 0 || errno != EAGAIN)
            connection->state = BROKEN;
        return;
    }
}

/* The client has closed its sending side at least, and what it waits for is not made yet. */
static void on_gone(struct connection *connection, uint32_t events)
{
    bool finished = connection->exchange && connection->exchange->now.finished;
    if (events & (EPOLLHUP | EPOLLERR) || !finished)
        connection->state = BROKEN;
}

/* The client has sent more, or closed its sending side, while its answer is pending: only the
 * latter matters, and is told at once when it is asked for. */
static void on_untimely(struct connection *connection, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR))
        connection->state = BROKEN;
    else
        watch(connection, find_interest(connection));
}

static void on_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd;
    struct connection *connection = arg;
    uint32_t wanted = events & connection->watched;
    struct worker *worker = connection->worker;
    worker->slice = SLICE;
    if (connection->state == LINGERING)
        on_lingering(connection);
    else if (connection->exchange && is_watched_too_much(connection, find_interest(connection)))
        on_untimely(connection, events);
    else if (!(wanted & (EPOLLIN | EPOLLOUT)))
        on_gone(connection, events);
    else if (wanted & EPOLLOUT)
        on_writable(connection);
    if (connection->state == OPEN && wanted & find_interest(connection) & EPOLLIN)
        on_readable(connection);
    connection_settle(connection);
    worker_take_time(worker);
}
