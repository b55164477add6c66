/*
 * stream.c - answers in pieces: chunks, or a length that was announced (RFC 9112 sections 6 and 7).
 */
#include "http/exchange.h"

#include <errno.h>
#include <stdio.h>

enum {
    CHUNK_LINE_MAX = 18, /* 16 hexadecimal digits and CRLF */
    CHUNK_FRAME_MAX = CHUNK_LINE_MAX + 2,
    LAST_CHUNK_MAX = 8, /* "0\r\n\r\n" */
};

int http_response_start(struct http_response *response, int status, const char *content_type,
                        uint64_t length)
{
    bool to_the_end = length == HTTP_LENGTH_UNKNOWN && response->no_chunks;
    if (response->whole)
        return -EINVAL;
    if (to_the_end && !response->status)
        response->close = true;
    int error = http_response_put_head(response, status, content_type, length, 0);
    if (error)
        return error;
    response->fields->length = 0; /* trailers from now on */
    response->drops_body = response->head_only || http_status_has_no_body(status);
    response->chunked =
        length == HTTP_LENGTH_UNKNOWN && !response->no_chunks && !response->drops_body;
    response->left = length;
    response->streaming = true;
    http_exchange_wake(response);
    return 0;
}

static void put_piece(struct http_response *response, const void *bytes, size_t length)
{
    struct buffer *out = response->out;
    if (!response->chunked) {
        buffer_put(out, bytes, length);
        return;
    }
    char line[CHUNK_LINE_MAX + 1];
    int line_length = snprintf(line, sizeof(line), "%zx\r\n", length);
    buffer_put(out, line, (size_t)line_length);
    buffer_put(out, bytes, length);
    buffer_put(out, "\r\n", 2);
}

/* Takes what there is room for, which may be nothing. */
static size_t take_piece(struct http_response *response, const void *bytes, size_t length)
{
    size_t waiting = http_exchange_waiting(response);
    size_t room = waiting < HTTP_STREAM_MAX ? HTTP_STREAM_MAX - waiting : 0;
    size_t taken = length < room ? length : room;
    if (taken < length)
        http_exchange_want_room(response);
    if (taken == 0)
        return 0;
    if (!buffer_reserve(response->out, taken + CHUNK_FRAME_MAX)) {
        response->torn = true;
        return 0;
    }
    put_piece(response, bytes, taken);
    response->body_bytes += taken;
    return taken;
}

size_t http_response_write(struct http_response *response, const void *bytes, size_t length)
{
    if (!response->streaming || response->torn)
        return 0;
    if (length > response->left)
        length = (size_t)response->left;
    size_t taken = response->drops_body ? length : take_piece(response, bytes, length);
    if (response->left != HTTP_LENGTH_UNKNOWN)
        response->left -= taken;
    if (taken || response->torn)
        http_exchange_wake(response);
    return taken;
}

/* Fields that say something about framing, routing or the content have to be known before it (RFC
 * 9110 section 6.5.1). */
static bool is_for_the_head(const char *name)
{
    static const char *const names[] = {
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "host",
        "location",
        "set-cookie",
        "proxy-authenticate",
        "www-authenticate",
        "te",
        "vary",
        "expires",
        "age",
        "retry-after",
    };
    struct http_text text = {name, strlen(name)};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_text_is(text, names[i]))
            return true;
    }
    return false;
}

int http_response_trailer(struct http_response *response, const char *name, const char *value)
{
    if (!response->streaming)
        return -EALREADY;
    return is_for_the_head(name) ? -EINVAL : http_response_put_field(response, name, value);
}

static bool put_last_chunk(struct http_response *response)
{
    const struct buffer *trailers = response->fields;
    if (!buffer_reserve(response->out, trailers->length + LAST_CHUNK_MAX))
        return false;
    buffer_put(response->out, "0\r\n", 3);
    if (trailers->length)
        buffer_put(response->out, trailers->bytes, trailers->length);
    buffer_put(response->out, "\r\n", 2);
    return true;
}

int http_response_end(struct http_response *response)
{
    bool short_of_it = response->left && response->left != HTTP_LENGTH_UNKNOWN;
    if (!response->streaming || (short_of_it && !response->drops_body))
        return -EINVAL;
    if (response->torn || (response->chunked && !put_last_chunk(response)))
        return -ENOMEM;
    response->streaming = false;
    http_exchange_wake(response);
    return response->status;
}
