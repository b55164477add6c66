/*
 * ranges.h - parts of a representation: the field Range (RFC 9110 section 14).
 *
 * A pure function of a text; any thread.
 */
#ifndef HTTP_RANGES_H
#define HTTP_RANGES_H

#include <coreactor/http.h>

enum { HTTP_RANGES_MAX = 16 };

struct http_range {
    uint64_t first;  /* byte */
    uint64_t length; /* not 0 */
};

/* Reads the value of a field Range for a representation of `size` bytes, which may be 0. Returns
 *
 * - n > 0: so many ranges, in the order asked for; each lies within `size`
 * - 0: to be ignored, so that all is sent: another unit than bytes, not well-formed, numbers that
 * do not fit, more than HTTP_RANGES_MAX ranges asked for, more than two that each overlap another,
 * or ranges that together ask for more than `size` bytes (RFC 9110 sections 14.2 and 17.15); also
 * the last bytes of no bytes, which can be satisfied but have no Content-Range
 * - 416: well-formed, and none can be satisfied
 *
 * Ranges that begin beyond the end are left out while others can be satisfied. With 0 and 416 the
 * contents of `ranges` mean nothing. */
int http_ranges_parse(struct http_text value, uint64_t size,
                      struct http_range ranges[HTTP_RANGES_MAX]);

#endif
