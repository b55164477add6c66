/*
 * body_support.h - a reader of request bodies as a connection is one, for the tests of
 * src/http/body.c and their fuzz target.
 */
#ifndef TESTS_BODY_SUPPORT_H
#define TESTS_BODY_SUPPORT_H

#include "http/body.h"

#include <glib.h>

enum { READING_UNFINISHED = 0, READING_ENDED = 1 };

/* What became of a body. */
struct reading {
    int status;      /* one of the above, or the negated status of the error */
    size_t consumed; /* bytes up to the end of what was understood; of no meaning after an error */
    uint64_t total;
    GString *data;     /* the data bytes, without their framing */
    GString *trailers; /* the trailer section without the empty line */
};

/* Reads a body whose bytes arrive in pieces, of sizes[0], sizes[1] ... and then sizes[0] again; no
 * size is 0. Each call sees what was not understood before and one piece more, between two
 * unreadable pages. Data is taken in parts of at most `take_max` bytes. */
struct reading read_body(const struct http_request *request, const char *bytes, size_t length,
                         const struct http_limits *limits, const size_t *sizes, size_t size_count,
                         size_t take_max);

void reading_free(struct reading *reading);

/* Of a chunked body; and of one with this Content-Length. */
struct http_request chunked_request(void);
struct http_request length_request(uint64_t content_length);

#endif
