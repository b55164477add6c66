#include "http/twin.h"

#include <errno.h>

/* --- the request --- */

/* The bytes of the head that a request has places in. */
static size_t used_length(const struct http_request *request)
{
    struct http_span last = request->target;
    if (request->field_count)
        last = request->fields[request->field_count - 1].value;
    return (size_t)last.at + last.length;
}

/* A text of the first exchange's memory. */
static bool copy_text(struct arena *arena, struct http_text *text)
{
    char *copy = arena_alloc(arena, text->length);
    if (!copy)
        return false;
    if (text->length)
        memcpy(copy, text->bytes, text->length);
    text->bytes = copy;
    return true;
}

/* Parts that had to be decoded do not lie in the head. */
static bool copy_params(struct http_exchange *exchange, const char *head, size_t length)
{
    for (unsigned i = 0; i < exchange->match.param_count; i++) {
        struct http_text *value = &exchange->match.params[i].value;
        bool in_head = (uintptr_t)value->bytes - (uintptr_t)head < length;
        if (!in_head && !copy_text(&exchange->arena, value))
            return false;
    }
    return true;
}

static bool copy_request(struct http_exchange *twin, const struct http_exchange *exchange)
{
    size_t length = used_length(&exchange->request);
    twin->request = exchange->request;
    twin->match = exchange->match;
    twin->now.trailers = exchange->now.trailers;
    return copy_params(twin, twin->request.head, length) &&
           copy_text(&twin->arena, &twin->now.trailers) && http_exchange_keep_head(twin, length);
}

bool http_twin_begin(struct http_twin *twin, struct http_exchange *exchange,
                     const struct http_carrier *carrier, void *carried_by)
{
    struct http_exchange *copy = &twin->exchange;
    const struct http_response *response = &exchange->response;
    if (!copy_request(copy, exchange)) {
        http_twin_fini(twin);
        return false;
    }
    copy->collected = exchange->collected;
    exchange->collected = (struct buffer){0};
    copy->body = exchange->body;
    copy->now.wish = HTTP_WISH_WHOLE; /* it has it, and cannot ask for more */
    copy->now.told_end = true;
    copy->carrier = carrier;
    copy->carried_by = carried_by;
    copy->reactor = exchange->reactor;
    copy->cancelled = &twin->cancelled;
    copy->response = (struct http_response){
        .out = &twin->out,
        .fields = &copy->fields,
        .date = &twin->date,
        .head_only = response->head_only,
        .close = response->close,
        .say_keep_alive = response->say_keep_alive,
        .no_chunks = response->no_chunks,
        .deferred = true, /* so that it is prepared, and no constant answer is kept or used */
        .whole = true,
    };
    return true;
}

/* --- the answer --- */

void http_twin_call(struct http_twin *twin, http_handler handler, void *arg)
{
    twin->returned = handler(&twin->exchange.request, &twin->exchange.response, arg);
}

static void swap(struct buffer *one, struct buffer *other)
{
    struct buffer kept = *one;
    *one = *other;
    *other = kept;
}

static bool move_bytes(struct buffer *to, struct buffer *from)
{
    if (!to->length) {
        swap(to, from);
        return true;
    }
    if (!buffer_reserve(to, from->length))
        return false;
    buffer_put(to, from->bytes, from->length);
    return true;
}

/* With the memory that its pieces may lie in: it lives as long as the request. */
static void move_rest(struct http_exchange *to, struct http_exchange *from)
{
    struct http_rest *rest = &to->response.rest;
    *rest = from->response.rest;
    if (rest->piece == &from->response.rest.only)
        rest->piece = &rest->only;
    from->response.rest.left = 0;
    arena_adopt(&to->arena, &from->arena);
}

/* The twin ends when its handler has returned: there is nothing to wait for. */
static int refuse_to_wait(struct http_exchange *exchange)
{
    exchange->carrier->complain(exchange, HTTP_PENDING);
    exchange->fields.length = 0; /* they were not meant for this answer */
    return 500;
}

int http_twin_answer(struct http_twin *twin, struct http_exchange *exchange)
{
    struct http_response *to = &exchange->response;
    struct http_response *from = &twin->exchange.response;
    if (!http_response_is_complete(from)) {
        swap(to->fields, from->fields);
        return twin->returned == HTTP_PENDING ? refuse_to_wait(exchange) : twin->returned;
    }
    if (!move_bytes(to->out, from->out))
        return -ENOMEM;
    to->status = from->status;
    to->close = from->close;
    to->body_bytes = from->body_bytes;
    if (from->rest.left)
        move_rest(exchange, &twin->exchange);
    return to->status;
}

void http_twin_fini(struct http_twin *twin)
{
    http_exchange_fini(&twin->exchange);
    buffer_free(&twin->out);
}
