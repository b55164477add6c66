/*
 * http_support.h - what the tests of the parser share: bytes that end at unreadable memory, and
 * tables of requests that are tried whole and cut at every byte.
 */
#ifndef TESTS_HTTP_SUPPORT_H
#define TESTS_HTTP_SUPPORT_H

#include "http/parser.h"

#include <limits.h>

/* Readable memory between two pages that are not. */
struct guarded {
    char *start;
    char *end;
    void *map;
    size_t map_bytes;
};

/* Room for at least `capacity` bytes. */
void guarded_open(struct guarded *guarded, size_t capacity);
void guarded_close(struct guarded *guarded);

/* A copy of the bytes that ends exactly where memory ends. */
const char *guarded_at_end(const struct guarded *guarded, const char *bytes, size_t length);

/* A copy of the bytes that begins exactly where memory begins. */
const char *guarded_at_start(const struct guarded *guarded, const char *bytes, size_t length);

/* What http_parse_request() is expected to return: 0, a negated status, a length, or this. */
enum { WHOLE = INT_MAX }; /* all bytes are one head */

struct request_case {
    const char *name;
    const char *bytes; /* with NULs, if need be */
    size_t length;
    int expected;
};

#define CASE(name, literal, expected)                \
    {                                                \
        name, literal, sizeof(literal) - 1, expected \
    }

/* Most fields of a table are about one header line, so the rest is here. */
#define GET_11         "GET / HTTP/1.1\r\n"
#define GET_10         "GET / HTTP/1.0\r\n"
#define HOST           "Host: a\r\n"
#define WITH(fields)   GET_11 HOST fields "\r\n\r\n"
#define TO(target)     "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define HOST_IS(value) GET_11 "Host:" value "\r\n\r\n"

/* Parses with the default limits. */
int parse(const char *bytes, size_t length, struct http_request *request);

/* Parses the request at the end and at the start of memory, whole and cut at every byte (in strides
 * of `stride`): every part must give 0 until the first that gives an error, which every longer one
 * repeats; a part shorter than the head must never succeed. What follows the head must not matter.
 */
void check_request(const struct request_case *request_case, const struct http_limits *limits,
                   size_t stride);

/* One test for each entry, called PREFIX/NAME. */
void add_request_cases(const char *prefix, const struct request_case *cases, size_t count);

#endif
