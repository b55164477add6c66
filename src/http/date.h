/*
 * date.h - the beginning of answers, made once a second: status line, Server and Date.
 */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <coreactor/http.h>

#include <time.h>

enum {
    HTTP_DATE_LENGTH = 29,   /* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) */
    HTTP_OK_LENGTH = 17,     /* "HTTP/1.1 200 OK\r\n" */
    HTTP_COMMON_LENGTH = 56, /* "Server: coreactor\r\nDate: " date "\r\n" */
};

/* Per reactor. All zero: out of date. */
struct http_date {
    uint64_t expires_ns; /* CLOCK_MONOTONIC */
    char ok_and_common[HTTP_OK_LENGTH +
                       HTTP_COMMON_LENGTH]; /* together, because most answers are 200 */
};

/* Writes the date of `seconds` since 1970, not terminated. Years 1970 to 9999. */
void http_date_format(char date[HTTP_DATE_LENGTH], time_t seconds);

/* Reads a date in any of the three forms of RFC 9110 section 5.6.7: IMF-fixdate, and the obsolete
 * ones of RFC 850 (the latest year with its two digits that is not more than 50 years after
 * `now_s`) and asctime(). Before 1970 `*seconds` is negative. False when it is none, or no such day
 * or time exists; the name of the day need not be right, and a leap second is the next one. */
bool http_date_parse(struct http_text text, time_t now_s, int64_t *seconds);

/* Renews it when the second has passed; `now_ns` is the reactor's time. */
void http_date_renew(struct http_date *date, uint64_t now_ns);

/* The fields alone. */
static inline const char *http_date_common(const struct http_date *date)
{
    return date->ok_and_common + HTTP_OK_LENGTH;
}

static inline void http_date_update(struct http_date *date, uint64_t now_ns)
{
    if (now_ns >= date->expires_ns)
        http_date_renew(date, now_ns);
}

#endif
