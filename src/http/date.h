/*
 * date.h - the fields that every answer carries, made once a second: Server and Date.
 */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    HTTP_DATE_LENGTH = 29,   /* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) */
    HTTP_COMMON_LENGTH = 56, /* "Server: coreactor\r\nDate: " date "\r\n" */
};

/* Per reactor. All zero: out of date. */
struct http_date {
    uint64_t expires_ns; /* CLOCK_MONOTONIC */
    char common[HTTP_COMMON_LENGTH];
};

/* Writes the date of `seconds` since 1970, not terminated. Years 1970 to 9999. */
void http_date_format(char date[HTTP_DATE_LENGTH], time_t seconds);

/* Renews the fields if the second has passed; `now_ns` is the reactor's time. */
void http_date_renew(struct http_date *date, uint64_t now_ns);

static inline void http_date_update(struct http_date *date, uint64_t now_ns)
{
    if (now_ns >= date->expires_ns)
        http_date_renew(date, now_ns);
}

#endif
