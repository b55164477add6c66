/*
 * source.c - answers whose bodies are not copied: from files, and from memory that stays where it
 * is.
 */
#include "http/exchange.h"

#include <errno.h>
#include <unistd.h>

enum {
    COPIED_MAX = 16384, /* bytes of memory that cost less to copy than to keep track of */
};

static void release(const struct http_source *source)
{
    if (source->release)
        source->release(source->arg);
}

/* The bytes of all pieces; false when they are too many, or lie nowhere. */
static bool add_up(const struct http_piece *pieces, size_t count, uint64_t *length)
{
    *length = 0;
    for (size_t i = 0; i < count; i++) {
        const struct http_piece *piece = &pieces[i];
        if (piece->length > INT64_MAX - *length ||
            (!piece->bytes &&
             (piece->offset < 0 || piece->length > (uint64_t)(INT64_MAX - piece->offset))))
            return false;
        *length += piece->length;
    }
    return true;
}

static bool is_worth_copying(const struct http_piece *pieces, size_t count, uint64_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (!pieces[i].bytes)
            return false;
    }
    return length <= COPIED_MAX;
}

static int respond_copied(struct http_response *response, int status, const char *content_type,
                          const struct http_piece *pieces, size_t count, uint64_t length)
{
    int error = http_response_put_head(response, status, content_type, length, (size_t)length);
    if (error || response->head_only || http_status_has_no_body(status))
        return error ? error : status;
    for (size_t i = 0; i < count; i++)
        buffer_put(response->out, pieces[i].bytes, (size_t)pieces[i].length);
    response->body_bytes = length;
    return status;
}

/* Writes the head and leaves the body to whoever sends it. The source is this function's only when
 * `*kept` becomes true. */
static int respond_uncopied(struct http_response *response, int status, const char *content_type,
                            const struct http_source *source, const struct http_piece *pieces,
                            size_t count, uint64_t length, bool *kept)
{
    struct http_rest rest = {.source = *source, .left = length};
    if (count == 1) {
        rest.only = pieces[0];
    } else {
        void *copy = arena_alloc(&http_exchange_of(response)->arena, count * sizeof(*pieces));
        if (!copy)
            return -ENOMEM;
        rest.piece = memcpy(copy, pieces, count * sizeof(*pieces));
    }
    int error = http_response_put_head(response, status, content_type, length, 0);
    if (error || response->head_only || http_status_has_no_body(status))
        return error ? error : status;
    *kept = true;
    response->rest = rest;
    response->body_bytes = length;
    if (count == 1)
        response->rest.piece = &response->rest.only;
    http_rest_advance(&response->rest, 0); /* empty pieces may come first */
    return status;
}

int http_respond_from(struct http_response *response, int status, const char *content_type,
                      const struct http_source *source, const struct http_piece *pieces,
                      size_t count)
{
    uint64_t length;
    int returned;
    bool kept = false;
    if (!add_up(pieces, count, &length) || (response->whole && source->prepare))
        returned = -EINVAL;
    else if (response->status)
        returned = -EALREADY;
    else if (is_worth_copying(pieces, count, length))
        returned = respond_copied(response, status, content_type, pieces, count, length);
    else if (length == 0)
        returned = http_respond(response, status, content_type, NULL, 0);
    else
        returned =
            respond_uncopied(response, status, content_type, source, pieces, count, length, &kept);
    if (!kept)
        release(source);
    return returned;
}

void http_response_ready(struct http_response *response)
{
    response->rest.waits = false;
    http_exchange_wake(response);
}

static void close_file(void *arg)
{
    close((int)(intptr_t)arg);
}

int http_respond_file(struct http_response *response, int status, const char *content_type, int fd,
                      int64_t offset, uint64_t length)
{
    struct http_source source = {.fd = fd, .release = close_file, .arg = (void *)(intptr_t)fd};
    struct http_piece piece = {.offset = offset, .length = length};
    return http_respond_from(response, status, content_type, &source, &piece, 1);
}

/* --- for whoever sends it --- */

void http_rest_advance(struct http_rest *rest, uint64_t sent)
{
    rest->left -= sent;
    rest->done += sent;
    if (!rest->left) {
        release(&rest->source);
        return;
    }
    while (rest->done >= rest->piece->length) {
        rest->done -= rest->piece->length;
        rest->piece++;
    }
}

void http_rest_drop(struct http_rest *rest)
{
    if (!rest->left)
        return;
    rest->left = 0;
    release(&rest->source);
}
