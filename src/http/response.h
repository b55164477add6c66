/*
 * response.h - an answer, written straight into the bytes that will be sent.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <coreactor/http.h>

#include "base/buffer.h"
#include "http/date.h"

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

struct http_response {
    struct buffer *out;    /* answers go to its end */
    struct buffer *fields; /* added by the handler: complete lines */
    struct http_ready *ready;
    const struct http_date *date; /* up to date */
    int status;                   /* 0: not answered yet */
    bool head_only;               /* the request was HEAD */
    bool close;                   /* send Connection: close */
    bool say_keep_alive;          /* to an HTTP/1.0 client that asked for it */
};

/* Empties `response->fields` and begins an answer; the other members are the caller's. */
void http_response_begin(struct http_response *response);

/* Makes the answer to what a handler returned, unless it has answered: a short text for 400 to 599,
 * 500 for anything else. False when memory is short: the connection cannot go on. */
bool http_response_finish(struct http_response *response, int returned);

#endif
