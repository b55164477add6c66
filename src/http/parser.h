/*
 * parser.h - bytes to a request: a pure function, strict where leniency lets requests be smuggled.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include "http/request.h"

/* What a request may be; each limit has its own status when it is exceeded. */
struct http_limits {
    uint32_t head_bytes;   /* request line and fields: 431, at most HTTP_HEAD_MAX */
    uint32_t target_bytes; /* 414 */
    uint32_t field_count;  /* 431, at most HTTP_FIELDS_MAX */
    uint64_t body_bytes;   /* 413; UINT64_MAX for none */
};

extern const struct http_limits http_limits_default;

/* Parses the head at the start of `bytes` (RFC 9112 sections 2 to 6).
 * Returns the number of bytes that the head takes, and fills `request`, which points into `bytes`;
 * 0 when the head is not complete; or the negated status of the error answer (-400, -413, -414,
 * -417, -421, -431, -501, -505), after which nothing more on this connection can be trusted. One
 * empty line before the request line is skipped and counted (section 2.2). Any thread. */
int http_parse_request(const char *bytes, size_t length, const struct http_limits *limits,
                       struct http_request *request);

/* The name of the byte scanner in use, for --version. */
const char *http_parser_scanner(void);

#endif
