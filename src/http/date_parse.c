#include "http/date.h"

#include "http/grammar.h"

#include <string.h>

enum {
    SECONDS_PER_DAY = 86400,
    FUTURE_YEARS = 50,
};

struct moment {
    int year;
    int month; /* from 0 */
    int day;
    int hour;
    int minute;
    int second;
};

/* --- the parts of a date; all names are case-sensitive (RFC 9110 section 5.6.7) --- */

static bool take_bytes(struct http_reader *reader, const char *bytes, size_t length)
{
    if (reader->length - reader->at < length ||
        memcmp(reader->bytes + reader->at, bytes, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static bool take_digits(struct http_reader *reader, int count, int *number)
{
    *number = 0;
    while (count--) {
        int digit = http_take_digit(reader);
        if (digit < 0)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static bool take_weekday(struct http_reader *reader, bool *in_full)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        *in_full = take_bytes(reader, days[i], strlen(days[i]));
        if (*in_full || take_bytes(reader, days[i], 3))
            return true;
    }
    return false;
}

static bool take_month(struct http_reader *reader, int *month)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (*month = 0; *month < 12; ++*month) {
        if (take_bytes(reader, months + *month * 3, 3))
            return true;
    }
    return false;
}

static bool take_time(struct http_reader *reader, struct moment *moment)
{
    return take_digits(reader, 2, &moment->hour) && http_take(reader, ':') &&
           take_digits(reader, 2, &moment->minute) && http_take(reader, ':') &&
           take_digits(reader, 2, &moment->second);
}

/* --- the three forms, each after the name of its day --- */

/* ", 06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(struct http_reader *reader, struct moment *moment)
{
    return take_bytes(reader, ", ", 2) && take_digits(reader, 2, &moment->day) &&
           http_take(reader, ' ') && take_month(reader, &moment->month) && http_take(reader, ' ') &&
           take_digits(reader, 4, &moment->year) && http_take(reader, ' ') &&
           take_time(reader, moment) && take_bytes(reader, " GMT", 4);
}

/* ", 06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(struct http_reader *reader, struct moment *moment)
{
    return take_bytes(reader, ", ", 2) && take_digits(reader, 2, &moment->day) &&
           http_take(reader, '-') && take_month(reader, &moment->month) && http_take(reader, '-') &&
           take_digits(reader, 2, &moment->year) && http_take(reader, ' ') &&
           take_time(reader, moment) && take_bytes(reader, " GMT", 4);
}

/* " Nov  6 08:49:37 1994" */
static bool take_asctime(struct http_reader *reader, struct moment *moment)
{
    return http_take(reader, ' ') && take_month(reader, &moment->month) && http_take(reader, ' ') &&
           take_digits(reader, http_take(reader, ' ') ? 1 : 2, &moment->day) &&
           http_take(reader, ' ') && take_time(reader, moment) && http_take(reader, ' ') &&
           take_digits(reader, 4, &moment->year);
}

/* --- what they mean --- */

/* Days before it, in years that begin in March: then a leap day is the last of its year. 400 years
 * of 146,097 days keep those of the year 0 positive. */
static int64_t days_since_1970(const struct moment *moment)
{
    int year = moment->year + 400 - (moment->month < 2);
    int month = (moment->month + 10) % 12;
    int64_t days = year * INT64_C(365) + year / 4 - year / 100 + year / 400;
    return days + (153 * month + 2) / 5 + moment->day - 1 - (719468 + 146097);
}

static int64_t seconds_since_1970(const struct moment *moment)
{
    return days_since_1970(moment) * SECONDS_PER_DAY + moment->hour * 3600 + moment->minute * 60 +
           moment->second;
}

static int days_of_month(const struct moment *moment)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = moment->year;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[moment->month] + (leap && moment->month == 1);
}

static bool exists(const struct moment *moment)
{
    return moment->day >= 1 && moment->day <= days_of_month(moment) && moment->hour <= 23 &&
           moment->minute <= 59 && moment->second <= 60;
}

/* The latest year with these two digits in which the moment is at most 50 years away. */
static int year_near(const struct moment *moment, time_t now_s)
{
    struct tm now;
    gmtime_r(&now_s, &now);
    struct moment latest = {now.tm_year + 1900 + FUTURE_YEARS,
                            now.tm_mon,
                            now.tm_mday,
                            now.tm_hour,
                            now.tm_min,
                            now.tm_sec};
    struct moment near = *moment;
    near.year = latest.year - (latest.year - moment->year) % 100;
    return seconds_since_1970(&near) > seconds_since_1970(&latest) ? near.year - 100 : near.year;
}

bool http_date_parse(struct http_text text, time_t now_s, int64_t *seconds)
{
    struct http_reader reader = http_reader_of(text);
    struct moment moment;
    bool in_full;
    if (!take_weekday(&reader, &in_full))
        return false;
    bool comma = http_peek(&reader) == ',';
    bool good = in_full ? take_rfc850(&reader, &moment)
                : comma ? take_fixdate(&reader, &moment)
                        : take_asctime(&reader, &moment);
    if (!good || !http_at_end(&reader))
        return false;
    if (in_full)
        moment.year = year_near(&moment, now_s);
    if (!exists(&moment))
        return false;
    *seconds = seconds_since_1970(&moment);
    return true;
}
