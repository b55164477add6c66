#include "handlers/listing_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { PIECE_MAX = 128 };

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59 */
#define TIME_MIN (-INT64_C(62135596800))
#define TIME_MAX INT64_C(253402300799)

void listing_put(struct listing_page *page, const char *bytes, size_t length)
{
    page->torn = page->torn || !buffer_reserve(&page->text, length);
    if (!page->torn)
        buffer_put(&page->text, bytes, length);
}

void listing_puts(struct listing_page *page, const char *text)
{
    listing_put(page, text, strlen(text));
}

void listing_printf(struct listing_page *page, const char *format, ...)
{
    char piece[PIECE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    listing_puts(page, piece);
}

struct tm listing_time(int64_t seconds)
{
    time_t within = seconds < TIME_MIN ? TIME_MIN : seconds > TIME_MAX ? TIME_MAX : seconds;
    struct tm time;
    gmtime_r(&within, &time);
    return time;
}
