/*
 * request.h - a parsed request head: places in the bytes it was parsed from.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <coreactor/http.h>

#include <stdint.h>
#include <string.h>

enum { HTTP_FIELDS_MAX = 100 };

/* Offsets from http_request.head; 16 bits hold them because a head has at most HTTP_HEAD_MAX bytes.
 */
struct http_span {
    uint16_t at;
    uint16_t length;
};

static inline struct http_span http_span_of(size_t from, size_t to)
{
    return (struct http_span){(uint16_t)from, (uint16_t)(to - from)};
}

struct http_field {
    struct http_span name;
    struct http_span value; /* without the white space around it */
};

struct http_request {
    const char *head; /* not owned */
    uint64_t content_length;
    struct http_span method;
    struct http_span target;
    struct http_span path; /* of the target, without its query; empty for a "http://host" target */
    struct http_span host; /* with its port: the target's authority, otherwise the value of Host */
    uint8_t version_minor; /* of HTTP/1.x as far as we know it: 0 or 1 */
    bool keep_alive;       /* the client allows another request on this connection */
    bool expects_continue; /* Expect: 100-continue */
    bool chunked;          /* the body is; content_length is 0 then */
    bool has_query;        /* a '?' is behind the path */
    bool has_host;         /* else `host` is not set: HTTP/1.0 without Host */
    uint16_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

static inline struct http_text http_request_text(const struct http_request *request,
                                                 struct http_span span)
{
    return (struct http_text){request->head + span.at, span.length};
}

/* http_request_method_is() for a literal, without a call. */
#define http_method_is(request, literal)                \
    ((request)->method.length == sizeof(literal) - 1 && \
     memcmp((request)->head + (request)->method.at, literal, sizeof(literal) - 1) == 0)

/* http_request_path(), without a call. */
static inline struct http_text http_request_route_path(const struct http_request *request)
{
    if (request->path.length == 0)
        return (struct http_text){"/", 1};
    return http_request_text(request, request->path);
}

/* Whether `text` is `lower`, which is in lower case, regardless of its own case (ASCII only). */
bool http_text_is(struct http_text text, const char *lower);

/* Whether `text` is the `length` bytes of `name`, regardless of case (ASCII only). */
bool http_names_equal(struct http_text text, const char *name, size_t length);

#endif
