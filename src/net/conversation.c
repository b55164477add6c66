/*
 * conversation.c - the straight line: bytes -> request -> route -> handler -> answer -> one send.
 */
#include "base/log.h"
#include "net/access_log.h"
#include "net/connection_private.h"
#include "reactor/turns.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <time.h>

enum { SPARE_EXCHANGES_MAX = 16, STATUS_CLIENT_GONE = 499 };

static uint64_t now_of(const struct connection *connection)
{
    return reactor_now(connection->worker->reactor);
}

/* --- exchanges --- */

/* One that is free; NULL when memory is short. It stays the worker's until take_exchange(). */
static struct http_exchange *get_exchange(struct worker *worker)
{
    if (worker->exchanges)
        return worker->exchanges;
    struct http_exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    exchange->carrier = &connection_carrier;
    exchange->reactor = worker->reactor;
    exchange->watch = reactor_watch(worker->reactor);
    exchange->response.date = &worker->date;
    exchange->response.ready = &worker->ready;
    exchange->response.fields = &exchange->fields;
    worker->exchange_count = 1;
    return worker->exchanges = exchange;
}

static void take_exchange(struct connection *connection)
{
    struct worker *worker = connection->worker;
    connection->exchange = worker->exchanges;
    worker->exchanges = connection->exchange->next;
    worker->exchange_count--;
}

static void give_back_exchange(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct http_exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    if (worker->exchange_count >= SPARE_EXCHANGES_MAX) {
        http_exchange_fini(exchange);
        free(exchange);
        return;
    }
    http_exchange_reset(exchange);
    exchange->next = worker->exchanges;
    worker->exchanges = exchange;
    worker->exchange_count++;
}

void connection_free_exchanges(struct worker *worker)
{
    while (worker->exchanges) {
        struct http_exchange *exchange = worker->exchanges;
        worker->exchanges = exchange->next;
        http_exchange_fini(exchange);
        free(exchange);
    }
    worker->exchange_count = 0;
}

/* --- the access log --- */

static int64_t wall_ms(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return wall.tv_sec * INT64_C(1000) + wall.tv_nsec / 1000000;
}

static void log_exchange(const struct connection *connection, const struct http_exchange *exchange,
                         int status)
{
    const struct http_request *request = &exchange->request;
    const struct access_entry entry = {
        .client = &connection->peer.any,
        .method = http_request_text(request, request->method),
        .target = http_request_text(request, request->target),
        .referer = http_request_header(request, "Referer"),
        .user_agent = http_request_header(request, "User-Agent"),
        .version_minor = request->version_minor,
        .status = status,
        .body_bytes = exchange->response.body_bytes - exchange->response.rest.left,
        .duration_ns = now_of(connection) - exchange->began_ns,
        .time_ms = wall_ms(),
    };
    access_log_add(connection->worker->access, &entry);
}

/* Of a request that could not be parsed. */
static void log_refusal(const struct connection *connection, int status, uint64_t body_bytes)
{
    struct access_ring *ring = connection->worker->access;
    if (!ring)
        return;
    const struct access_entry entry = {.client = &connection->peer.any,
                                       .status = status,
                                       .body_bytes = body_bytes,
                                       .time_ms = wall_ms()};
    access_log_add(ring, &entry);
}

/* --- what an exchange asks of its carrier --- */

static void wake(struct http_exchange *exchange)
{
    struct connection *connection = exchange->carried_by;
    if (connection->woken || connection->exchange != exchange)
        return;
    connection->woken = true;
    reactor_timer_start(&connection->timer, 0, 0);
}

static bool is_draining(const struct connection *connection)
{
    return atomic_load_explicit(&connection->worker->service->draining, memory_order_relaxed);
}

static void prepare(struct http_exchange *exchange)
{
    struct connection *connection = exchange->carried_by;
    http_date_update(&connection->worker->date, now_of(connection));
    exchange->response.close |= is_draining(connection);
    wake(exchange);
}

static size_t waiting_bytes(const struct http_exchange *exchange)
{
    const struct connection *connection = exchange->carried_by;
    size_t kept = connection->out.length - connection->out_at;
    return exchange->response.deferred ? kept : kept + connection->worker->out.length;
}

static struct http_text address(struct http_exchange *exchange, bool client)
{
    struct address address;
    connection_address(exchange->carried_by, client, &address);
    return connection_address_text(&address, &exchange->arena);
}

static void complain(const struct http_exchange *exchange, int returned)
{
    const struct connection *connection = exchange->carried_by;
    if (!worker_may_warn(connection->worker))
        return;
    if (returned == -ENOMEM)
        log_without_memory("a handler found no memory: the client gets status 500, or its "
                           "connection is closed");
    else
        g_warning("the handler of %s returned %d, which is no answer: the client gets status 500, "
                  "or its connection is closed",
                  exchange->match.route->pattern, returned);
}

const struct http_carrier connection_carrier = {
    .wake = wake,
    .prepare = prepare,
    .waiting = waiting_bytes,
    .address = address,
    .complain = complain,
};

/* --- one request, a straight line --- */

/* Whether another request begins in `bytes`. A lone empty line does not count: some clients send
 * one after a body (RFC 9112 section 2.2). */
static bool begins_request(const char *bytes, size_t length)
{
    return length > 0 && !(length == 2 && memcmp(bytes, "\r\n", 2) == 0);
}

/* Whether the answer to this request should be the connection's last. `rest` is what has been read
 * behind its head; `full` says that the socket may hold more. */
static bool is_last(struct connection *connection, const struct http_request *request,
                    struct http_text rest, bool full)
{
    unsigned max_requests = connection->worker->service->max_requests;
    if (!request->keep_alive || (max_requests && connection->requests >= max_requests))
        return true;
    if (!is_draining(connection))
        return false;
    if (request->chunked)
        return rest.length == 0 && !(full && connection_has_unread(connection));
    uint64_t body = request->content_length;
    bool more = rest.length > body && begins_request(rest.bytes + body, rest.length - body);
    return !more && !(full && connection_has_unread(connection));
}

/* Finds the route and calls its handler. */
static void answer(struct connection *connection, struct http_exchange *exchange,
                   struct http_text rest, bool last)
{
    const struct http_request *request = &exchange->request;
    exchange->carried_by = connection;
    exchange->began_ns = now_of(connection);
    exchange->response.out = &connection->worker->out;
    http_exchange_begin(exchange, last, rest.length > 0);
    int found = router_find(connection->worker->service->router,
                            http_request_text(request, request->method),
                            http_request_route_path(request), &exchange->arena, &exchange->match);
    /* A request that outlives the bytes it was read from needs them. */
    bool outlives = request->content_length || request->chunked ||
                    (found == 0 && atomic_load_explicit(&exchange->match.route->answers_later,
                                                        memory_order_relaxed));
    if (outlives && !http_exchange_keep_head(exchange, (size_t)(rest.bytes - request->head)))
        exchange->response.torn = true;
    else
        http_exchange_start(exchange, found);
}

/* The exchange is over: its answer is sent or about to be. */
static void conclude(struct connection *connection, struct http_exchange *exchange)
{
    struct worker *worker = connection->worker;
    counter_add(&worker->metrics.requests[exchange->response.status / 100], 1);
    connection->closing = exchange->now.closes || exchange->response.close;
    if (worker->access)
        log_exchange(connection, exchange, exchange->response.status);
    if (!connection->exchange) {
        worker->answered++; /* worker_take_time() asks the clock once for all of them */
        http_exchange_reset(exchange);
        return;
    }
    if (worker->service->measures)
        histogram_add(&worker->metrics.latency, watch_clock() - exchange->began_ns, 1);
    give_back_exchange(connection);
    if (!connection_has_output(connection))
        buffer_free(&connection->out);
}

/* The answer cannot be completed. What was answered before it is sent still; and a client that
 * would take the end of the connection for that of the answer gets a reset. */
static void break_off(struct connection *connection, const struct http_exchange *exchange)
{
    const struct http_response *response = &exchange->response;
    const struct linger reset = {.l_onoff = 1};
    connection_flush(connection);
    connection->state = BROKEN;
    if (response->streaming && !response->chunked && response->left == HTTP_LENGTH_UNKNOWN)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* Gives an exchange that is not over what has arrived for it. */
static size_t carry_on(struct connection *connection, const char *bytes, size_t length)
{
    struct http_exchange *exchange = connection->exchange;
    size_t done = 0;
    if (!exchange->now.failed) {
        http_exchange_continue(exchange);
        done = http_exchange_read(exchange, bytes, length, &connection->worker->service->limits);
    }
    /* Once: what is left of an answer that has begun may take further events. */
    if (exchange->now.failed && !exchange->now.abandoned) {
        metrics_count_refusal(&connection->worker->metrics, exchange->now.failed);
        http_exchange_fail(exchange);
    }
    if (exchange->response.torn) {
        break_off(connection, exchange);
        return done;
    }
    if (exchange->response.rest.left || exchange->response.deferred)
        connection_flush(connection);
    if (connection->state == OPEN && http_exchange_is_over(exchange)) {
        connection->linger = true;
        conclude(connection, exchange);
    }
    return done;
}

/* What has become of a request that was just given to its handler. */
static void sort_out(struct connection *connection, struct http_exchange *exchange, bool linger)
{
    connection->linger = linger;
    if (!exchange->response.torn && http_exchange_is_over(exchange)) {
        conclude(connection, exchange);
        return;
    }
    take_exchange(connection); /* a broken one too: its handler may have to be told */
    if (exchange->response.torn)
        break_off(connection, exchange);
}

/* Answers what cannot be parsed, and with it ends the conversation. */
static void refuse(struct connection *connection, int status, const char *bytes, size_t length)
{
    struct worker *worker = connection->worker;
    size_t skip = length > 2 && memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;
    struct http_response response = {
        .out = &worker->out,
        .fields = &worker->no_fields,
        .date = &worker->date,
        .head_only = length - skip >= 5 && memcmp(bytes + skip, "HEAD ", 5) == 0,
        .close = true,
    };
    bool answered = http_respond_short(&response, status);
    counter_add(&worker->metrics.requests[answered ? status / 100 : 0], 1);
    worker->answered += answered;
    metrics_count_refusal(&worker->metrics, status);
    log_refusal(connection, status, response.body_bytes);
    connection->closing = true;
    connection->linger = true;
}

/* Parses and answers the next request. Returns the bytes it took; 0 when none can be served now. */
static size_t serve_next(struct connection *connection, const char *bytes, size_t length, bool full)
{
    struct worker *worker = connection->worker;
    if (connection->closing || connection_has_output(connection) || length == 0)
        return 0;
    if (!begins_request(bytes, length)) {
        if (connection->blank)
            refuse(connection, 400, bytes, length);
        connection->blank = true;
        return length;
    }
    struct http_exchange *exchange = get_exchange(worker);
    if (!exchange) {
        counter_add(&worker->metrics.refused[REFUSED_SHORT], 1);
        connection->state = BROKEN;
        return 0;
    }
    struct http_request *request = &exchange->request;
    int head = http_parse_request(bytes, length, &worker->service->limits, request);
    if (head < 0)
        refuse(connection, -head, bytes, length);
    if (head <= 0)
        return 0;
    struct http_text rest = {bytes + head, length - (size_t)head};
    connection->requests++;
    connection->blank = false;
    connection->waiting = FOR_NOTHING; /* what follows has its own time */
    answer(connection, exchange, rest, is_last(connection, request, rest, full));
    sort_out(connection, exchange, rest.length > 0 || full || request->keep_alive);
    if (worker->out.length >= SEND_BATCH)
        connection_flush(connection);
    return (size_t)head;
}

/* Answers what there is in `bytes`, as long as the client takes the answers. Returns the bytes that
 * are done with. */
static size_t answer_all(struct connection *connection, const char *bytes, size_t length, bool full)
{
    size_t at = 0;
    while (connection->state == OPEN) {
        bool goes_on = connection->exchange;
        size_t done = goes_on ? carry_on(connection, bytes + at, length - at)
                              : serve_next(connection, bytes + at, length - at, full);
        at += done;
        if (goes_on ? connection->exchange != NULL : done == 0)
            break;
    }
    return at;
}

/* Answers every complete request in `bytes`, then sends all the answers at once. Returns the bytes
 * that are done with. */
static size_t converse(struct connection *connection, const char *bytes, size_t length, bool full)
{
    size_t at = 0;
    bool stopped;
    http_date_update(&connection->worker->date, now_of(connection));
    do {
        at += answer_all(connection, bytes + at, length - at, full);
        /* The client may take what stopped it only now: no event will tell. */
        const struct http_exchange *exchange = connection->exchange;
        stopped = connection_has_output(connection) && (!exchange || exchange->response.rest.left);
        connection_flush(connection);
    } while (stopped && connection->state == OPEN && !connection_has_output(connection));
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

/* The exchange goes on in later events: its answer goes to the connection's own buffer, and what
 * the handler may point into must stay where it is. That is the whole block of input the first time
 * that a route answers later; from then on its heads are copied beforehand. */
static void defer(struct connection *connection, char *bytes, size_t length)
{
    struct worker *worker = connection->worker;
    struct http_exchange *exchange = connection->exchange;
    const char *head = exchange->request.head;
    exchange->response.out = &connection->out;
    exchange->response.deferred = true;
    if (head < bytes || head >= bytes + length)
        return;
    if (exchange->match.route)
        atomic_store_explicit(&exchange->match.route->answers_later, true, memory_order_relaxed);
    exchange->block = bytes;
    if (bytes == connection->in) {
        connection->in = NULL;
        connection->in_length = 0; /* what is left of it is kept anew */
        return;
    }
    worker->in = malloc(READ_MAX);
    if (!worker->in) {
        worker->in = bytes;
        exchange->block = NULL;
        connection->state = BROKEN;
    }
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
    connection->state = LINGERING;
}

void connection_proceed(struct connection *connection, char *bytes, size_t length, bool full)
{
    static char nothing[1];
    if (!bytes)
        bytes = nothing;
    size_t done = converse(connection, bytes, length, full);
    if (connection->state == OPEN && connection->exchange &&
        !connection->exchange->response.deferred)
        defer(connection, bytes, length);
    if (connection->state != OPEN)
        return;
    bool ends = connection->closing && !connection->exchange;
    if (ends)
        done = length;
    if (done < length || connection->in)
        keep_input(connection, bytes + done, length - done);
    if (ends && !connection_has_output(connection))
        finish(connection);
}

void connection_refuse(struct connection *connection, int status)
{
    if (connection->exchange) {
        connection->exchange->now.failed = status;
    } else {
        http_date_update(&connection->worker->date, now_of(connection));
        refuse(connection, status, connection->in, connection->in_length);
    }
    connection_proceed(connection, connection->in, connection->in_length, true);
}

void connection_drop_exchange(struct connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    if (!exchange)
        return;
    counter_add(&connection->worker->metrics.requests[0], 1);
    if (connection->worker->access)
        log_exchange(connection, exchange,
                     exchange->response.status ? exchange->response.status : STATUS_CLIENT_GONE);
    http_exchange_cancel(exchange);
    give_back_exchange(connection);
}
