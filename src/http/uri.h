/*
 * uri.h - percent-encoding and queries.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <coreactor/http.h>

/* Writes `text` without its percent-encoding (RFC 3986 section 2.1) to `to`, which has room for
 * text.length bytes and may be text.bytes itself, and sets `*length`. With `form`, '+' is a space
 * (application/x-www-form-urlencoded of the URL Standard). False when a '%' is not followed by two
 * hexadecimal digits; some bytes may have been written then. Any thread. */
bool http_percent_decode(struct http_text text, bool form, char *to, size_t *length);

/* The pair of `query` at `*cursor`, which is 0 at first and moved past it: both parts as they are,
 * still encoded. '&' separates pairs; empty ones are skipped; a pair without '=' is a name with an
 * empty value. False after the last. Any thread. */
bool http_query_split(struct http_text query, size_t *cursor, struct http_text *name,
                      struct http_text *value);

#endif
