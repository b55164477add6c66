/*
 * body.h - where the body of a request begins and ends: by Content-Length, or chunk by chunk (RFC
 * 9112 sections 6 and 7.1). Only that: the bytes stay with the caller.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/parser.h"

enum {
    HTTP_CHUNK_LINE_MAX = 256,   /* bytes of a chunk's size and extensions, CRLF excluded */
    HTTP_EXTENSIONS_MAX = 16384, /* bytes of all extensions of a body: they are read for nothing */
};

/* What comes next. */
enum http_body_phase {
    HTTP_BODY_DATA,       /* `left` bytes of it */
    HTTP_BODY_CHUNK_END,  /* the CRLF after a chunk's data */
    HTTP_BODY_CHUNK_LINE, /* the size and extensions of a chunk */
    HTTP_BODY_TRAILERS,
    HTTP_BODY_ENDED, /* the next request */
};

struct http_body {
    enum http_body_phase phase;
    bool chunked;
    uint32_t extension_bytes; /* so far */
    uint32_t trailer_at;      /* see http_body_next() */
    uint32_t trailer_length;  /* without the empty line at its end; 0 until the body has ended */
    uint64_t left;            /* data bytes of this body or chunk that were not taken yet */
    uint64_t total; /* data bytes that Content-Length or all chunk sizes so far announce */
};

/* `request` is one that http_parse_request() accepted, and is not used any more afterwards. */
void http_body_begin(struct http_body *body, const struct http_request *request);

/* Passes the framing at the start of `bytes`, which are the first after the head, or those after
 * what was passed and taken before: chunk lines, line ends, the trailer section. Returns how many
 * bytes that are, or the negated status of an error, after which the body is lost: -400; -413 for
 * chunk sizes that exceed limits->body_bytes together, or too many extensions; -431 for trailers.
 * An unfinished line or trailer section is not passed: come again with it and what follows it. The
 * limits are the same for the whole body.
 *
 * `*piece` is how many bytes of data there are at `bytes` + the returned number: 0 when more must
 * arrive first, or the body has ended. The call that passes the trailer section sets
 * body->trailer_at, its offset from that call's `bytes`, and trailer_length. Any thread. */
int http_body_next(struct http_body *body, const char *bytes, size_t length,
                   const struct http_limits *limits, size_t *piece);

/* Takes `count` bytes of the piece, at most its length: the next call begins after them. */
void http_body_take(struct http_body *body, size_t count);

static inline bool http_body_ended(const struct http_body *body)
{
    return body->phase == HTTP_BODY_ENDED;
}

#endif
