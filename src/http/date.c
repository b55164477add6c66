#include "http/date.h"

#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)

static void put_digits(char *to, int number, int digits)
{
    while (digits--) {
        to[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

void http_date_format(char date[HTTP_DATE_LENGTH], time_t seconds)
{
    /* strftime() would ask the locale for its names. */
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char form[HTTP_DATE_LENGTH] = "Ddd, 00 Mmm 0000 00:00:00 GMT";
    struct tm utc;
    gmtime_r(&seconds, &utc);
    memcpy(date, form, sizeof(form));
    memcpy(date, days + utc.tm_wday * 3, 3);
    put_digits(date + 5, utc.tm_mday, 2);
    memcpy(date + 8, months + utc.tm_mon * 3, 3);
    put_digits(date + 12, utc.tm_year + 1900, 4);
    put_digits(date + 17, utc.tm_hour, 2);
    put_digits(date + 20, utc.tm_min, 2);
    put_digits(date + 23, utc.tm_sec, 2);
}

void http_date_renew(struct http_date *date, uint64_t now_ns)
{
    static const char begin[] = "HTTP/1.1 200 OK\r\nServer: coreactor\r\nDate: ";
    char *end = date->ok_and_common + sizeof(date->ok_and_common);
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    memcpy(date->ok_and_common, begin, sizeof(begin) - 1);
    http_date_format(end - 2 - HTTP_DATE_LENGTH, wall.tv_sec);
    memcpy(end - 2, "\r\n", 2);
    date->expires_ns = now_ns + NS_PER_SECOND - (uint64_t)wall.tv_nsec;
}
