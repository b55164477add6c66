#include "http/exchange.h"

#include <errno.h>
#include <stdlib.h>

enum {
    COLLECTED_KEEP = 65536, /* a larger buffer is given back after a large body */
};

/* --- life --- */

void http_exchange_clean(struct http_exchange *exchange)
{
    arena_reset(&exchange->arena);
    free(exchange->block);
    exchange->block = NULL;
    if (exchange->collected.capacity > COLLECTED_KEEP)
        buffer_free(&exchange->collected);
    http_rest_drop(&exchange->response.rest);
}

void http_exchange_fini(struct http_exchange *exchange)
{
    http_exchange_clean(exchange);
    arena_free(&exchange->arena);
    buffer_free(&exchange->fields);
    buffer_free(&exchange->collected);
}

void http_exchange_begin(struct http_exchange *exchange, bool closes, bool body_has_come)
{
    const struct http_request *request = &exchange->request;
    struct http_response *response = &exchange->response;
    if (request->content_length || request->chunked)
        http_body_begin(&exchange->body, request);
    else
        exchange->body.phase = HTTP_BODY_ENDED;
    exchange->now = (struct http_progress){
        .closes = closes,
        .says_go_on = request->expects_continue && !http_body_ended(&exchange->body),
        .body_has_come = body_has_come,
    };
    exchange->collected.length = 0;

    response->head_only = http_method_is(request, "HEAD");
    response->no_chunks = request->version_minor == 0;
    response->say_keep_alive = request->version_minor == 0;
    response->deferred = false;
    /* If nobody asks for the body, it is unknowable whether a client that waits for 100 Continue
     * will send it (RFC 9110 section 10.1.1), and a long one is not worth reading. */
    response->close =
        closes || exchange->now.says_go_on || request->content_length > HTTP_DISCARD_MAX;
    http_response_begin(response);
}

/* What the path's parts stand for lies in the head, unless it had to be decoded. */
static void move_params(struct router_match *match, const char *from, size_t length, const char *to)
{
    for (unsigned i = 0; i < match->param_count; i++) {
        struct http_text *value = &match->params[i].value;
        uintptr_t at = (uintptr_t)value->bytes - (uintptr_t)from;
        if (at < length)
            value->bytes = to + at;
    }
}

bool http_exchange_keep_head(struct http_exchange *exchange, size_t length)
{
    const char *from = exchange->request.head;
    char *head = arena_alloc(&exchange->arena, length);
    if (!head)
        return false;
    exchange->request.head = memcpy(head, from, length);
    move_params(&exchange->match, from, length, head);
    return true;
}

/* --- handlers --- */

/* The handler has nothing more to do with it. */
static void dismiss(struct http_exchange *exchange)
{
    exchange->now.on_room.handler = NULL;
    exchange->now.on_cancel = NULL;
    exchange->now.wants_room = false;
    exchange->now.concluded = true;
}

/* Answers with a bare status, unless an answer has begun. */
static void answer_short(struct http_exchange *exchange, int status)
{
    struct http_response *response = &exchange->response;
    if (response->status || !http_respond_short(response, status))
        response->torn = true;
}

/* Makes of what a handler returned what it means. */
static void conclude(struct http_exchange *exchange, int returned)
{
    struct http_response *response = &exchange->response;
    if (returned == HTTP_PENDING)
        return;
    dismiss(exchange);
    if (http_response_is_complete(response))
        return;
    if (returned < 400 || returned > 599 || response->status) {
        exchange->carrier->complain(exchange, returned);
        exchange->fields.length = 0; /* whatever they were, they were not meant for this answer */
        returned = 500;
    }
    answer_short(exchange, returned);
}

static void call(struct http_exchange *exchange, struct http_step step)
{
    exchange->now.in_handler = true;
    watch_call_begins(exchange->watch, exchange->match.route->pattern);
    int returned = step.handler(&exchange->request, &exchange->response, step.arg);
    watch_call_ends(exchange->watch);
    exchange->now.in_handler = false;
    /* A handler may have finished through what it called. */
    if (exchange->now.finished && returned == HTTP_PENDING)
        returned = exchange->returned;
    conclude(exchange, returned);
}

void http_exchange_start(struct http_exchange *exchange, int found)
{
    const struct http_route *route = exchange->match.route;
    if (found == 0) {
        call(exchange, (struct http_step){route->handler, route->arg});
        return;
    }
    if (found == 204 || found == 405)
        http_response_put_field(&exchange->response, "Allow", exchange->match.allow);
    dismiss(exchange);
    answer_short(exchange, found);
}

void http_response_finish(struct http_response *response, int returned)
{
    struct http_exchange *exchange = http_exchange_of(response);
    exchange->now.finished = true;
    exchange->returned = returned == HTTP_PENDING ? -EINVAL : returned;
    http_exchange_wake(response);
}

void http_response_soon(struct http_response *response)
{
    http_exchange_of(response)->now.soon = true;
}

void http_response_on_cancel(struct http_response *response, void (*callback)(void *arg), void *arg)
{
    struct http_exchange *exchange = http_exchange_of(response);
    exchange->now.on_cancel = callback;
    exchange->cancel_arg = arg;
}

void http_response_on_room(struct http_response *response, http_handler handler, void *arg)
{
    struct http_exchange *exchange = http_exchange_of(response);
    exchange->now.on_room = (struct http_step){handler, arg};
    if (!handler)
        return;
    exchange->now.wants_room = true;
    http_exchange_wake(response);
}

void http_exchange_cancel(struct http_exchange *exchange)
{
    void (*callback)(void *arg) = exchange->now.on_cancel;
    dismiss(exchange);
    /* What was finished has been answered, as far as the handler knows. */
    if (callback && !exchange->now.finished)
        callback(exchange->cancel_arg);
}

void http_exchange_fail(struct http_exchange *exchange)
{
    http_exchange_cancel(exchange);
    exchange->now.abandoned = true;
    exchange->response.close = true;
    exchange->now.closes = true;
    if (http_response_is_complete(&exchange->response))
        return;
    exchange->fields.length = 0;
    answer_short(exchange, exchange->now.failed);
}

/* --- the body --- */

static void say_go_on(struct http_exchange *exchange)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct buffer *out = exchange->response.out;
    exchange->now.says_go_on = false;
    if (exchange->now.body_has_come)
        return;
    if (buffer_reserve(out, sizeof(go_on)))
        buffer_put(out, go_on, sizeof(go_on) - 1);
    else
        exchange->response.torn = true;
}

static int ask_for_body(struct http_exchange *exchange, enum http_wish wish, http_handler handler,
                        void *arg)
{
    if (exchange->now.wish != HTTP_WISH_NOTHING)
        return -EALREADY;
    exchange->now.wish = wish;
    exchange->on_body = (struct http_step){handler, arg};
    /* A head that has been written says what it says. */
    if (!exchange->response.status) {
        exchange->response.close = exchange->now.closes;
        if (exchange->now.says_go_on)
            say_go_on(exchange);
    }
    http_exchange_wake(&exchange->response);
    return HTTP_PENDING;
}

int http_request_collect(struct http_request *request, size_t limit, http_handler handler,
                         void *arg)
{
    struct http_exchange *exchange = http_exchange_with(request);
    if (request->content_length > limit)
        return 413;
    exchange->collect_limit = limit;
    return ask_for_body(exchange, HTTP_WISH_WHOLE, handler, arg);
}

int http_request_stream(struct http_request *request, http_handler handler, void *arg)
{
    return ask_for_body(http_exchange_with(request), HTTP_WISH_PIECES, handler, arg);
}

struct http_text http_request_body(const struct http_request *request)
{
    const struct http_exchange *exchange = http_exchange_with(request);
    if (exchange->now.wish != HTTP_WISH_WHOLE)
        return exchange->piece;
    return (struct http_text){exchange->collected.bytes, exchange->collected.length};
}

void http_request_consume(struct http_request *request, size_t count)
{
    struct http_exchange *exchange = http_exchange_with(request);
    if (count > exchange->piece.length)
        count = exchange->piece.length;
    if (count == 0)
        return;
    exchange->piece.bytes += count;
    exchange->piece.length -= count;
    exchange->consumed += count;
}

bool http_request_ended(const struct http_request *request)
{
    return http_exchange_with(request)->now.told_end;
}

struct http_text http_request_trailer(const struct http_request *request, const char *name)
{
    return http_trailers_find(http_exchange_with(request)->now.trailers, name);
}

void http_request_resume(struct http_request *request)
{
    struct http_exchange *exchange = http_exchange_with(request);
    exchange->now.resumed = true;
    http_exchange_wake(&exchange->response);
}

bool http_exchange_reads(const struct http_exchange *exchange)
{
    if (exchange->now.abandoned || exchange->response.torn || http_body_ended(&exchange->body))
        return false;
    if (exchange->now.concluded)
        return true;
    return exchange->now.wish != HTTP_WISH_NOTHING && !exchange->now.paused;
}

static void discard(struct http_exchange *exchange, size_t length)
{
    exchange->now.discarded += length;
    if (exchange->now.discarded <= HTTP_DISCARD_MAX && !exchange->now.says_go_on)
        return;
    exchange->now.abandoned = true;
    exchange->now.closes = true;
}

static void collect(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct buffer *to = &exchange->collected;
    if (length > exchange->collect_limit - to->length)
        exchange->now.failed = 413;
    else if (!buffer_reserve(to, length))
        exchange->now.failed = 503;
    else
        buffer_put(to, bytes, length);
}

/* Hands a piece, or the end, to the stream's handler. Returns what it consumed. */
static size_t hand_over(struct http_exchange *exchange, const char *bytes, size_t length)
{
    exchange->piece = (struct http_text){bytes, length};
    exchange->consumed = 0;
    exchange->now.resumed = false;
    call(exchange, exchange->on_body);
    exchange->now.paused = exchange->piece.length > 0;
    /* In a later turn, so that a handler that takes nothing does not keep the others waiting. */
    if (exchange->now.paused && exchange->now.resumed)
        exchange->carrier->wake(exchange);
    exchange->piece = (struct http_text){NULL, 0};
    return exchange->consumed;
}

/* Returns the bytes of the piece that are done with. */
static size_t take_piece(struct http_exchange *exchange, const char *bytes, size_t length)
{
    if (exchange->now.concluded)
        discard(exchange, length);
    else if (exchange->now.wish == HTTP_WISH_PIECES)
        return hand_over(exchange, bytes, length);
    else
        collect(exchange, bytes, length);
    return length;
}

static bool keep_trailers(struct http_exchange *exchange, const char *bytes)
{
    size_t length = exchange->body.trailer_length;
    char *kept = arena_alloc(&exchange->arena, length);
    if (!kept)
        return false;
    memcpy(kept, bytes + exchange->body.trailer_at, length);
    exchange->now.trailers = (struct http_text){kept, length};
    return true;
}

/* The body is complete: whoever asked for it learns that, once. */
static void tell_end(struct http_exchange *exchange)
{
    if (exchange->now.told_end || exchange->now.paused || exchange->now.concluded ||
        exchange->now.wish == HTTP_WISH_NOTHING)
        return;
    exchange->now.told_end = true;
    if (exchange->now.wish == HTTP_WISH_PIECES)
        hand_over(exchange, NULL, 0);
    else
        call(exchange, exchange->on_body);
}

size_t http_exchange_read(struct http_exchange *exchange, const char *bytes, size_t length,
                          const struct http_limits *limits)
{
    size_t at = 0;
    size_t piece = 1;
    if (exchange->now.says_go_on && exchange->now.concluded)
        discard(exchange, 0);
    while (piece && !exchange->now.failed && http_exchange_reads(exchange)) {
        int framing = http_body_next(&exchange->body, bytes + at, length - at, limits, &piece);
        if (framing < 0) {
            exchange->now.failed = -framing;
            break;
        }
        if (http_body_ended(&exchange->body) && exchange->body.trailer_length &&
            !keep_trailers(exchange, bytes + at))
            exchange->now.failed = 503;
        at += (size_t)framing;
        if (piece) {
            size_t taken = take_piece(exchange, bytes + at, piece);
            http_body_take(&exchange->body, taken);
            at += taken;
        }
    }
    if (!exchange->now.failed && !exchange->response.torn && http_body_ended(&exchange->body))
        tell_end(exchange);
    return at;
}

/* --- its place --- */

void *http_request_alloc(struct http_request *request, size_t size)
{
    return arena_alloc(&http_exchange_with(request)->arena, size);
}

struct reactor *http_request_reactor(const struct http_request *request)
{
    return http_exchange_with(request)->reactor;
}

bool http_request_is_cancelled(const struct http_request *request)
{
    const struct http_exchange *exchange = http_exchange_with(request);
    return exchange->cancelled && atomic_load_explicit(exchange->cancelled, memory_order_relaxed);
}

struct http_text http_request_client(struct http_request *request)
{
    struct http_exchange *exchange = http_exchange_with(request);
    return exchange->carrier->address(exchange, true);
}

struct http_text http_request_server(struct http_request *request)
{
    struct http_exchange *exchange = http_exchange_with(request);
    return exchange->carrier->address(exchange, false);
}

/* --- going on --- */

void http_exchange_continue(struct http_exchange *exchange)
{
    if (exchange->now.finished)
        conclude(exchange, exchange->returned);
    exchange->now.finished = false;
    if (exchange->now.resumed)
        exchange->now.paused = false;
    if (!exchange->now.wants_room ||
        http_exchange_waiting(&exchange->response) > HTTP_STREAM_MAX / 2)
        return;
    exchange->now.wants_room = false;
    exchange->now.paused = false;
    if (exchange->now.on_room.handler)
        call(exchange, exchange->now.on_room);
}

void http_exchange_wake(struct http_response *response)
{
    struct http_exchange *exchange = http_exchange_of(response);
    if (!exchange->now.in_handler)
        exchange->carrier->wake(exchange);
}

void http_response_prepare(struct http_response *response)
{
    struct http_exchange *exchange = http_exchange_of(response);
    exchange->carrier->prepare(exchange);
}

size_t http_exchange_waiting(const struct http_response *response)
{
    const struct http_exchange *exchange = http_exchange_of(response);
    return exchange->carrier->waiting(exchange);
}

void http_exchange_want_room(struct http_response *response)
{
    http_exchange_of(response)->now.wants_room = true;
}
