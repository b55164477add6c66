/*
 * deadline.c - how long each kind of waiting may take.
 *
 * Every event moves the deadline, most of the time to a later one; the timer stays where it is then
 * and is started anew only when it fires too early. A busy connection costs one timer per time-out,
 * not one per request.
 */
#include "net/connection_private.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define NS_PER_MS UINT64_C(1000000)

enum {
    WINDOW_MS = 5000, /* a minimum rate is judged over this time */
    LINGER_MS = 2000,
};

static uint64_t now_of(const struct connection *connection)
{
    return reactor_now(connection->worker->reactor);
}

/* --- what is waited for --- */

static enum waiting find_waiting(const struct connection *connection)
{
    const struct http_exchange *exchange = connection->exchange;
    if (connection->state == LINGERING)
        return FOR_END;
    if (connection_has_output(connection))
        return FOR_READER;
    if (exchange)
        return http_exchange_reads(exchange) ? FOR_BODY : FOR_HANDLER;
    return connection->in_length ? FOR_HEAD : FOR_REQUEST;
}

/* Bytes that have really gone: into our hands, or into the client's. */
static uint64_t bytes_moved(const struct connection *connection)
{
    int queued = 0;
    if (connection->waiting == FOR_READER && ioctl(connection->fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    return connection->moved - (uint64_t)queued;
}

static uint64_t after(const struct connection *connection, uint32_t time_ms)
{
    return time_ms ? now_of(connection) + time_ms * NS_PER_MS : UINT64_MAX;
}

static void begin_window(struct connection *connection, uint32_t rate)
{
    connection->moved_before = bytes_moved(connection);
    connection->due_ns = after(connection, rate ? WINDOW_MS : 0);
}

static void begin_waiting(struct connection *connection)
{
    const struct service *service = connection->worker->service;
    switch (connection->waiting) {
    case FOR_HEAD:
        connection->due_ns = after(connection, service->header_timeout_ms);
        break;
    case FOR_BODY:
        begin_window(connection, service->min_body_rate);
        break;
    case FOR_READER:
        begin_window(connection, service->min_write_rate);
        break;
    case FOR_END:
        connection->due_ns = after(connection, LINGER_MS);
        break;
    default:
        connection->due_ns = UINT64_MAX;
        break;
    }
}

/* --- the timer --- */

static void start_timer(struct connection *connection)
{
    struct reactor_timer *timer = &connection->timer;
    if (connection->due_ns == UINT64_MAX ||
        (timer->started && timer->deadline_ns <= connection->due_ns))
        return;
    uint64_t now_ns = now_of(connection);
    uint64_t left_ns = connection->due_ns > now_ns ? connection->due_ns - now_ns : 0;
    reactor_timer_start(timer, (uint32_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS), 0);
}

void connection_update_deadline(struct connection *connection)
{
    enum waiting waiting = find_waiting(connection);
    if (waiting == FOR_REQUEST) {
        connection->waiting = waiting;
        connection->due_ns = after(connection, connection->worker->service->idle_timeout_ms);
    } else if (waiting != connection->waiting) {
        connection->waiting = waiting;
        begin_waiting(connection);
    }
    start_timer(connection);
    if (connection->counted != connection->waiting) {
        struct counter *states = connection->worker->metrics.states;
        counter_add(&states[connection->counted], (uint64_t)-1);
        counter_add(&states[connection->waiting], 1);
        connection->counted = connection->waiting;
    }
}

/* --- when it is over --- */

/* Whether the client was fast enough; then another window begins. */
static bool keeps_rate(struct connection *connection, uint32_t rate)
{
    uint64_t moved = bytes_moved(connection) - connection->moved_before;
    if (moved < (uint64_t)rate * WINDOW_MS / 1000)
        return false;
    begin_window(connection, rate);
    return true;
}

static void end_slow(struct connection *connection, int status)
{
    counter_add(&connection->worker->metrics.refused[REFUSED_SLOW], 1);
    if (status)
        connection_refuse(connection, status);
    else
        connection->state = BROKEN;
}

static void on_due(struct connection *connection)
{
    const struct service *service = connection->worker->service;
    enum waiting waiting = connection->waiting;
    /* What it waits for may be in the socket, when the machine was too busy to read it. */
    if ((waiting == FOR_REQUEST || waiting == FOR_HEAD || waiting == FOR_BODY) &&
        connection_has_unread(connection))
        return;
    switch (waiting) {
    case FOR_HEAD:
        end_slow(connection, 408);
        break;
    case FOR_BODY:
        if (!keeps_rate(connection, service->min_body_rate))
            end_slow(connection, 408);
        break;
    case FOR_READER:
        if (!keeps_rate(connection, service->min_write_rate))
            end_slow(connection, 0);
        break;
    default: /* a client that says nothing need not be told why */
        connection->state = BROKEN;
        break;
    }
}

void connection_on_timer(struct reactor *reactor, void *arg)
{
    struct connection *connection = arg;
    bool woken = connection->woken;
    bool due = connection->due_ns <= reactor_now(reactor);
    connection->woken = false;
    connection->worker->slice = SLICE;
    if (due)
        on_due(connection);
    if (woken && connection->state == OPEN)
        connection_proceed(connection, connection->in, connection->in_length, true);
    struct worker *worker = connection->worker;
    if (due || woken)
        connection_settle(connection);
    else
        start_timer(connection); /* the deadline has moved meanwhile */
    worker_take_time(worker);
}
