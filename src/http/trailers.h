/*
 * trailers.h - the trailer section after a chunked body (RFC 9112 section 7.1.2).
 */
#ifndef HTTP_TRAILERS_H
#define HTTP_TRAILERS_H

#include "http/parser.h"

/* Parses the field lines at the start of `bytes`, as strictly as those of a head, to the empty line
 * that ends them. Returns the number of bytes that they and the empty line take; 0 when more is
 * needed; or the negated status of the error: -431 over limits->head_bytes or field_count, -400
 * for anything malformed and for a field that would change how the message is framed or routed, for
 * which it is too late (RFC 9110 section 6.5.1). Any thread. */
int http_parse_trailers(const char *bytes, size_t length, const struct http_limits *limits);

/* The value of the first field called `name` (case-insensitive) without the white space around it.
 * `section` is what http_parse_trailers() accepted, with or without the empty line. `bytes` is NULL
 * when there is no such field. */
struct http_text http_trailers_find(struct http_text section, const char *name);

#endif
