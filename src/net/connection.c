/*
 * A connection holds no buffer while it is idle: bytes are read into the worker's buffer and
 * answers collected in the worker's, and only what cannot be dealt with at once is kept aside - the
 * beginning of a request in `in`, what the socket did not take in `out`.
 *
 * It asks for EPOLLIN for its whole life, except while `out` waits for EPOLLOUT: a client that does
 * not read its answers is not read from either. Events are level-triggered; edge-triggered ones
 * were tried and made no difference that rises above the noise.
 */
#include "net/connection.h"

#include "http/response.h"
#include "net/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SPARES_MAX = 1024,
    OUT_KEEP = 4 * SEND_BATCH, /* a larger buffer is given back after a large answer */
    LINGER_MS = 2000,
    LINGER_READS = 16, /* per turn */
};

enum state {
    READING,   /* for requests, or for the rest of a body */
    WRITING,   /* waiting until the socket takes `out` */
    LINGERING, /* all is sent and the end announced; reading until the client closes too */
    BROKEN,    /* to be closed by whoever is in charge of the event */
};

struct connection {
    /* What every request touches comes first, to share cache lines. */
    struct worker *worker;
    int fd;
    enum state state;
    bool closing; /* nothing more will be answered */
    bool linger;  /* the client may still be sending: see finish() */
    uint32_t in_length;
    char *in;           /* received and not yet parsed; owned; NULL when there is none */
    uint64_t body_left; /* bytes of the last request's body that are to be discarded */

    char *out; /* answered and not yet sent; owned; NULL when there is none */
    size_t out_at;
    size_t out_length;
    struct connection *next;
    struct connection *previous;
    uint64_t opened_ns;
    struct reactor_timer timer;
};

/* --- life --- */

static void on_event(struct reactor *reactor, int fd, uint32_t events, void *arg);

static void on_linger_timeout(struct reactor *reactor, void *arg)
{
    (void)reactor;
    connection_close(arg);
}

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

int connection_open(struct worker *worker, int fd)
{
    if (!connection_prepare(worker)) {
        close(fd);
        return -ENOMEM;
    }
    struct connection *connection = take_spare(worker);
    int error = reactor_register(worker->reactor, fd, EPOLLIN, on_event, connection);
    if (error) {
        give_back(worker, connection);
        close(fd);
        return error;
    }
    *connection = (struct connection){.worker = worker,
                                      .next = worker->connections,
                                      .fd = fd,
                                      .state = READING,
                                      .opened_ns = reactor_now(worker->reactor)};
    if (connection->next)
        connection->next->previous = connection;
    worker->connections = connection;
    worker->accepted_total++;
    reactor_timer_init(&connection->timer, worker->reactor, on_linger_timeout, connection);
    return 0;
}

void connection_close(struct connection *connection)
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
    close(connection->fd);
    free(connection->in);
    free(connection->out);
    give_back(worker, connection);
    worker_connection_gone(worker);
}

struct connection *connection_next(const struct connection *connection)
{
    return connection->next;
}

/* Waiting for a request of which nothing has been read yet. */
static bool is_idle(const struct connection *connection)
{
    return connection->state == READING && !connection->in_length && !connection->body_left;
}

bool connection_is_busy(const struct connection *connection)
{
    return connection->state != LINGERING && !is_idle(connection);
}

/* Changes what is waited for. */
static void watch(struct connection *connection, uint32_t events)
{
    if (reactor_reregister(connection->worker->reactor, connection->fd, events, on_event,
                           connection) != 0)
        connection->state = BROKEN;
}

/* Whether the socket holds bytes that have not been read. */
static bool has_unread(const struct connection *connection)
{
    char byte;
    return recv(connection->fd, &byte, 1, MSG_PEEK) > 0;
}

void connection_close_if_idle(struct connection *connection, uint64_t before_ns)
{
    if (!is_idle(connection) || connection->opened_ns > before_ns)
        return;
    /* A request may be waiting in the socket, when the machine is too busy to have read it. */
    if (!has_unread(connection))
        connection_close(connection);
}

/* --- sending --- */

/* Sends until the socket takes no more. Returns the bytes sent, or -1 when the connection is
 * broken. */
static ssize_t send_some(struct connection *connection, const char *bytes, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        ssize_t count = send(connection->fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (count >= 0)
            sent += (size_t)count;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)sent;
}

/* Keeps what the socket did not take, and waits until it does. */
static void keep_output(struct connection *connection, const char *bytes, size_t length)
{
    connection->out = malloc(length);
    if (!connection->out) {
        connection->state = BROKEN;
        return;
    }
    memcpy(connection->out, bytes, length);
    connection->out_at = 0;
    connection->out_length = length;
    connection->state = WRITING;
    watch(connection, EPOLLOUT);
}

/* Sends the worker's collected answers. */
static void flush(struct connection *connection)
{
    struct buffer *out = &connection->worker->out;
    ssize_t sent = send_some(connection, out->bytes, out->length);
    if (sent < 0)
        connection->state = BROKEN;
    else if ((size_t)sent < out->length)
        keep_output(connection, out->bytes + sent, out->length - (size_t)sent);
    out->length = 0;
    if (out->capacity > OUT_KEEP)
        buffer_free(out);
}

/* --- one request, a straight line --- */

static struct http_response begin_response(struct worker *worker, bool head_only)
{
    struct http_response response = {
        .out = &worker->out,
        .fields = &worker->fields,
        .ready = &worker->ready,
        .date = &worker->date,
        .head_only = head_only,
    };
    http_response_begin(&response);
    return response;
}

/* Whether another request begins in `bytes`. A lone empty line does not count: some clients send
 * one after a body (RFC 9112 section 2.2). */
static bool begins_request(const char *bytes, size_t length)
{
    return length > 0 && !(length == 2 && memcmp(bytes, "\r\n", 2) == 0);
}

/* Answers one parsed request. `rest` is what has been read behind its head; `full` says that the
 * socket may hold more. */
static void answer(struct connection *connection, const struct http_request *request,
                   struct http_text rest, bool full)
{
    struct worker *worker = connection->worker;
    const struct service *service = worker->service;
    uint64_t body = request->content_length;
    bool more = rest.length > body && begins_request(rest.bytes + body, rest.length - body);
    bool draining = atomic_load_explicit(&service->draining, memory_order_relaxed);
    bool last = draining && !more && !(full && has_unread(connection));
    /* A client that waits for 100 Continue gets its final answer instead, and then it is unknowable
     * whether the body follows (RFC 9110 section 10.1.1). */
    bool body_unsure = request->expects_continue && body;

    struct http_response response = begin_response(worker, http_method_is(request, "HEAD"));
    response.close = !request->keep_alive || body_unsure || last;
    response.say_keep_alive = request->version_minor == 0;
    int returned = service->handler(request, &response, service->handler_arg);
    /* Without memory for this answer the ones before it are still sent. */
    bool answered = http_response_finish(&response, returned);
    worker->answered_total += answered;
    connection->body_left = body_unsure ? 0 : body;
    connection->closing = response.close || !answered;
    connection->linger = more || full || body_unsure || draining;
}

/* Answers what cannot be parsed, and with it ends the conversation. */
static void refuse(struct connection *connection, int status, const char *bytes, size_t length)
{
    size_t skip = length > 2 && memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;
    bool is_head = length - skip >= 5 && memcmp(bytes + skip, "HEAD ", 5) == 0;
    struct http_response response = begin_response(connection->worker, is_head);
    response.close = true;
    connection->worker->answered_total += http_response_finish(&response, status);
    connection->closing = true;
    connection->linger = true;
}

static size_t skip_body(struct connection *connection, size_t available)
{
    size_t skipped = available < connection->body_left ? available : (size_t)connection->body_left;
    connection->body_left -= skipped;
    return skipped;
}

/* Parses and answers every complete request in `bytes`, then sends all the answers at once.
 * `full` says that the socket may hold more than was read. Returns the bytes that are done with. */
static size_t converse(struct connection *connection, const char *bytes, size_t length, bool full)
{
    struct worker *worker = connection->worker;
    const struct http_limits *limits = &worker->service->limits;
    struct http_request request;
    size_t at = 0;
    http_date_update(&worker->date, reactor_now(worker->reactor));
    while (at < length && connection->state == READING) {
        if (connection->body_left) {
            at += skip_body(connection, length - at);
            continue;
        }
        if (connection->closing)
            break;
        if (!begins_request(bytes + at, length - at)) {
            at = length;
            break;
        }
        int head = http_parse_request(bytes + at, length - at, limits, &request);
        if (head == 0)
            break;
        if (head < 0) {
            refuse(connection, -head, bytes + at, length - at);
            break;
        }
        at += (size_t)head;
        answer(connection, &request, (struct http_text){bytes + at, length - at}, full);
        if (worker->out.length >= SEND_BATCH)
            flush(connection);
    }
    if (connection->state == READING && worker->out.length)
        flush(connection);
    worker->out.length = 0; /* of a broken connection */
    return at;
}

/* --- what is left after it --- */

/* Keeps input that is not dealt with; `bytes` may lie in what is kept already. */
static void keep_input(struct connection *connection, const char *bytes, size_t length)
{
    char *kept = NULL;
    if (length) {
        kept = malloc(length);
        if (kept)
            memcpy(kept, bytes, length);
        else
            connection->state = BROKEN;
    }
    free(connection->in);
    connection->in = kept;
    connection->in_length = kept ? (uint32_t)length : 0;
}

/* The last answer is sent. Closing while the client is still sending would make the kernel answer
 * with a reset, which can overtake the answer: announce the end, and read until the client has seen
 * it. */
static void finish(struct connection *connection)
{
    if (!connection->linger || shutdown(connection->fd, SHUT_WR) < 0) {
        connection->state = BROKEN;
        return;
    }
    keep_input(connection, NULL, 0);
    connection->state = LINGERING;
    reactor_timer_start(&connection->timer, LINGER_MS, 0);
}

/* Serves `bytes` and leaves the connection in a state to wait in. */
static void proceed(struct connection *connection, const char *bytes, size_t length, bool full)
{
    size_t done = converse(connection, bytes, length, full);
    /* A body is read to its end even when its answer closes: a client may write all before it
     * reads. */
    if (connection->state == READING && connection->closing && !connection->body_left)
        finish(connection);
    else if (connection->state != BROKEN && (done < length || connection->in))
        keep_input(connection, bytes + done, length - done);
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
    proceed(connection, in, kept + (size_t)count, (size_t)count == room);
}

static void on_writable(struct connection *connection)
{
    ssize_t sent = send_some(connection, connection->out + connection->out_at,
                             connection->out_length - connection->out_at);
    if (sent < 0) {
        connection->state = BROKEN;
        return;
    }
    connection->out_at += (size_t)sent;
    if (connection->out_at < connection->out_length)
        return;
    free(connection->out);
    connection->out = NULL;
    connection->state = READING;
    /* Requests that came with the ones whose answers were stuck. */
    proceed(connection, connection->in, connection->in_length, true);
    if (connection->state == READING || connection->state == LINGERING)
        watch(connection, EPOLLIN);
}

static void on_lingering(struct connection *connection)
{
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t count = receive(connection, connection->worker->in, READ_MAX);
        if (count > 0)
            continue;
        if (count == 0 || errno != EAGAIN)
            connection->state = BROKEN;
        return;
    }
}

static void on_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)fd, (void)events;
    struct connection *connection = arg;
    if (connection->state == READING)
        on_readable(connection);
    else if (connection->state == WRITING)
        on_writable(connection);
    else
        on_lingering(connection);
    if (connection->state == BROKEN)
        connection_close(connection);
}
