/*
 * target.h - whom a request is for and what it asks for: the host and the forms of a target (RFC
 * 9110 section 7.2, RFC 9112 section 3.2, RFC 3986 section 3.2).
 */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "http/request.h"

#include <ctype.h>

/* unreserved and sub-delims */
static inline bool http_is_host_byte(char byte)
{
    static const bool allowed[256] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0,
    };
    return allowed[(unsigned char)byte];
}

/* The '%' of "%41"; the digits are host bytes themselves. */
static inline bool http_is_percent_encoding(const char *bytes)
{
    return bytes[0] == '%' && isxdigit((unsigned char)bytes[1]) &&
           isxdigit((unsigned char)bytes[2]);
}

/* Where the "[...]" that starts at `from` ends, or `from`. What is inside is for a resolver to
 * judge. */
size_t http_ip_literal_end(const char *bytes, size_t from);

/* uri-host [ ":" port ], or nothing at all. No byte of these is white space or a control character,
 * which one of follows, so the loops end. */
static inline bool http_is_host(const char *bytes, size_t from, size_t to)
{
    size_t end = from;
    if (bytes[from] == '[')
        end = http_ip_literal_end(bytes, from);
    else
        while (http_is_host_byte(bytes[end]) || http_is_percent_encoding(bytes + end))
            end++;
    if (end == to)
        return true;
    if (end == from || bytes[end] != ':')
        return false;
    size_t port = ++end;
    while (bytes[end] >= '0' && bytes[end] <= '9')
        end++;
    return end == to && end - port <= 5;
}

/* Parses a target that does not begin with '/', and is not in authority-form, which only CONNECT
 * has. In `request` are the method, the target, which a space follows, and `path`, the same without
 * a query. Sets `path` and `host` where the target names a host. Returns 0, -400 or -421. */
int http_parse_target(struct http_request *request);

#endif
