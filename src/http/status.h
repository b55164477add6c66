/*
 * status.h - the status codes that the library sends (RFC 9110 section 15).
 */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include <stddef.h>

enum { HTTP_STATUS_MIN = 200, HTTP_STATUS_MAX = 599 };

/* The reason phrase, such as "Not Found"; "Unknown" for a code that has none registered. */
const char *http_status_reason(int status);

#endif
