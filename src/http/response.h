/*
 * response.h - an answer, written straight into the bytes that will be sent.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <coreactor/http.h>

#include "base/buffer.h"
#include "http/date.h"

enum { HTTP_STREAM_MAX = 65536 }; /* bytes of a streamed answer that wait for the client */

/* The last constant answer that was made, ready to be sent again. Per reactor; all zero: none. */
struct http_ready {
    int status;
    const char *content_type; /* with `body` and `length`: what it was made from */
    const void *body;
    size_t length;
    uint64_t expires_ns; /* of its date */
    size_t head_length;
    struct buffer bytes;
};

/* What is left to be sent of a body that is not copied, after the head. */
struct http_rest {
    struct http_source source;
    const struct http_piece *piece; /* the next; others follow it */
    struct http_piece only;         /* when there is but one */
    uint64_t done;                  /* bytes of the piece that are sent */
    uint64_t left;                  /* of all; 0: there is nothing, and no source */
    bool waits;                     /* until http_response_ready() */
};

struct http_response {
    struct buffer *out;    /* answers go to its end */
    struct buffer *fields; /* added by the handler: complete lines; of the head, then trailers */
    struct http_ready *ready;
    const struct http_date *date; /* up to date */
    int status;                   /* 0: the head is not written yet */
    bool head_only;               /* the request was HEAD */
    bool close;                   /* send Connection: close */
    bool say_keep_alive;          /* to an HTTP/1.0 client that asked for it */
    bool no_chunks;               /* the client is HTTP/1.0 */
    bool deferred;                /* the handler has returned: see http_response_prepare() */
    bool whole;     /* refused: an answer in pieces, and a source that may have to be waited for */
    bool streaming; /* begun and not complete */
    bool chunked;
    bool drops_body; /* what is written is not sent */
    bool torn;       /* it cannot be completed: the connection has to end */
    uint64_t left;   /* of the announced length, while streaming */
    uint64_t body_bytes;
    struct http_rest rest;
};

/* Begins an answer; the members down to `date`, and from `head_only` to `whole`, are the caller's.
 */
static inline void http_response_begin(struct http_response *response)
{
    response->fields->length = 0;
    response->status = 0;
    response->streaming = false;
    response->torn = false;
    response->body_bytes = 0;
    response->rest.left = 0;
}

/* Whether nothing is left for the handler to do. */
static inline bool http_response_is_complete(const struct http_response *response)
{
    return response->status && !response->streaming;
}

/* Counts `sent` bytes of the body that is not copied; releases its source after the last. */
void http_rest_advance(struct http_rest *rest, uint64_t sent);

/* Gives up what is left of it. */
void http_rest_drop(struct http_rest *rest);

/* Called before a deferred answer is begun: the date may be old. In exchange.c. */
void http_response_prepare(struct http_response *response);

/* Makes a short answer of a status from 204 to 599. False when memory is short. */
bool http_respond_short(struct http_response *response, int status);

/* Writes the head of an answer whose body of `length` bytes (HTTP_LENGTH_UNKNOWN: in chunks, or to
 * the end of the connection) is sent by someone else, and makes room for `more` bytes behind it.
 * Returns 0, or as http_respond() does. */
int http_response_put_head(struct http_response *response, int status, const char *content_type,
                           uint64_t length, size_t more);

/* Adds a line to `response->fields`: 0, -EINVAL or -ENOMEM. */
int http_response_put_field(struct http_response *response, const char *name, const char *value);

/* Whether answers with that status end after the fields, whatever these say (RFC 9112 section 6.3),
 * or have a body of no bytes (205: RFC 9110 section 15.3.6). */
static inline bool http_status_has_no_body(int status)
{
    return status == 204 || status == 205 || status == 304;
}

#endif
