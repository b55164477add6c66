/* Dates in their three forms, beside memory that cannot be read and against the C library. */
#include "http/date.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>
#include <time.h>

static struct guarded guarded;

/* 22 November 2026, 05:00:00: what two digits of a year are seen from. */
#define NOW 1795323600

struct date_case {
    const char *name;
    const char *text;
    int64_t seconds;
};

static const struct date_case dates[] = {
    /* The examples of RFC 9110 section 5.6.7, and other dates of its text. */
    {"rfc-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"rfc-850", "Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"rfc-asctime", "Sun Nov  6 08:49:37 1994", 784111777},
    {"rfc-date", "Tue, 15 Nov 1994 08:12:31 GMT", 784887151},
    {"rfc-last-modified", "Tue, 15 Nov 1994 12:45:26 GMT", 784903526},
    {"rfc-if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT", 783459811},
    /* The ends of time, months, years and days. */
    {"1970", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"1970-asctime", "Thu Jan  1 00:00:00 1970", 0},
    {"1970-before", "Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"1900", "Mon, 01 Jan 1900 00:00:00 GMT", -2208988800},
    {"1900-march", "Thu, 01 Mar 1900 00:00:00 GMT", -2203891200},
    {"year-0", "Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
    {"year-0-leap", "Tue, 29 Feb 0000 00:00:00 GMT", -62162121600},
    {"year-1", "Mon, 01 Jan 0001 00:00:00 GMT", -62135596800},
    {"2000-leap", "Tue, 29 Feb 2000 23:59:59 GMT", 951868799},
    {"2000-march", "Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
    {"2024-leap", "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
    {"2038", "Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
    {"2100-february", "Sun, 28 Feb 2100 23:59:59 GMT", 4107542399},
    {"2100-march", "Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
    {"9999", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"9999-asctime", "Fri Dec 31 23:59:59 9999", 253402300799},
    {"leap-second", "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
    {"leap-second-850", "Saturday, 31-Dec-16 23:59:60 GMT", 1483228800},
    {"leap-second-asctime", "Sat Dec 31 23:59:60 2016", 1483228800},
    {"leap-second-9999", "Fri, 31 Dec 9999 23:59:60 GMT", 253402300800},
    /* Another day's name, but a day's. */
    {"wrong-weekday", "Mon, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"wrong-weekday-850", "Wednesday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"wrong-weekday-asctime", "Sat Nov  6 08:49:37 1994", 784111777},
    {"asctime-two-digits", "Wed Nov 16 08:49:37 1994", 784975777},
    {"asctime-zero-digit", "Sun Nov 06 08:49:37 1994", 784111777},
};

static const struct date_case years_of_two_digits[] = {
    {"now", "Sunday, 22-Nov-26 05:00:00 GMT", NOW},
    {"soon", "Friday, 01-Jan-27 00:00:00 GMT", 1798761600},
    {"in-50-years", "Sunday, 22-Nov-76 05:00:00 GMT", 3373246800},
    {"in-50-years-less", "Sunday, 22-Nov-76 04:59:59 GMT", 3373246799},
    {"in-50-years-less-a-month", "Thursday, 31-Oct-76 23:59:59 GMT", 3371414399},
    {"in-50-years-and-more", "Monday, 22-Nov-76 05:00:01 GMT", 217486801},
    {"in-50-years-and-a-day", "Tuesday, 23-Nov-76 00:00:00 GMT", 217555200},
    {"51-years", "Saturday, 01-Jan-77 00:00:00 GMT", 220924800},
    {"99", "Friday, 31-Dec-99 23:59:59 GMT", 946684799},
    {"00", "Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
    {"00-leap", "Tuesday, 29-Feb-00 00:00:00 GMT", 951782400},
    {"76-leap", "Saturday, 29-Feb-76 00:00:00 GMT", 3350160000},
};

/* Of each, what follows from the RFC's grammar, which is case-sensitive. */
static const char *const refused[] = {
    "",
    "0",
    "784111777",
    "now",
    "Sun",
    "Sun,",
    "Sun ",
    "Sunday",
    "Sunday,",
    /* the date of another standard */
    "1994-11-06T08:49:37Z",
    "06 Nov 1994 08:49:37 GMT",
    "Nov  6 08:49:37 1994",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 06-Nov-1994 08:49:37 GMT",
    "Sun, 06-Nov-94 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sunday, 6-Nov-94 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37",
    "Sunday, 06-Nov-94 08:49:37 UTC",
    "Sunday Nov  6 08:49:37 1994",
    "Sun Nov 6 08:49:37 1994",
    "Sun Nov   6 08:49:37 1994",
    "Sun Nov  06 08:49:37 1994",
    "Sun Nov  6 08:49:37 94",
    "Sun Nov  6 08:49:37 1994 GMT",
    "Sun Nov  6 08:49:37 GMT 1994",
    /* names */
    "sun, 06 Nov 1994 08:49:37 GMT",
    "SUN, 06 Nov 1994 08:49:37 GMT",
    "Son, 06 Nov 1994 08:49:37 GMT",
    "Sund, 06 Nov 1994 08:49:37 GMT",
    ", 06 Nov 1994 08:49:37 GMT",
    "sunday, 06-Nov-94 08:49:37 GMT",
    "Sunda, 06-Nov-94 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "Sun, 06 NOV 1994 08:49:37 GMT",
    "Sun, 06 Nob 1994 08:49:37 GMT",
    "Sun, 06 November 1994 08:49:37 GMT",
    "Sun, 06 anF 1994 08:49:37 GMT",
    "Sun, 06 11 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 gmt",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 06 Nov 1994 08:49:37 GMT+1",
    "Sun, 06 Nov 1994 08:49:37 Z",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 ",
    /* what separates */
    " Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun,06 Nov 1994 08:49:37 GMT",
    "Sun,  06 Nov 1994 08:49:37 GMT",
    "Sun,\t06 Nov 1994 08:49:37 GMT",
    "Sun 06 Nov 1994 08:49:37 GMT",
    "Sun, 06  Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov  1994 08:49:37 GMT",
    "Sun, 06 Nov 1994  08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37GMT",
    "Sun, 06 Nov 1994 08.49.37 GMT",
    "Sun, 06 Nov 1994 08:49 GMT",
    "Sun, 06 Nov 1994 8:49:37 GMT",
    "Sun, 06 Nov 1994 084937 GMT",
    "Sun, 06 Nov 1994 08:49:37.0 GMT",
    "Sun, 06 Nov 1994 008:49:37 GMT",
    "Sun, 06 Nov 19940 08:49:37 GMT",
    "Sun, 06 Nov 994 08:49:37 GMT",
    "Sun, 06 Nov -994 08:49:37 GMT",
    "Sun, +6 Nov 1994 08:49:37 GMT",
    "Sun, -6 Nov 1994 08:49:37 GMT",
    "Sun, \xb0\xb6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:3\xb7 GMT",
    /* no such day */
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, 32 Jan 1994 08:49:37 GMT",
    "Sun, 99 Jan 1994 08:49:37 GMT",
    "Mon, 32 Jan 2000 08:49:37 GMT",
    "Sun, 30 Feb 2000 08:49:37 GMT",
    "Mon, 31 Apr 2000 08:49:37 GMT",
    "Sun, 32 Dec 2000 08:49:37 GMT",
    "Sun, 29 Feb 1900 08:49:37 GMT",
    "Sun, 29 Feb 2100 08:49:37 GMT",
    "Sun, 29 Feb 2023 08:49:37 GMT",
    "Sun, 31 Apr 1994 08:49:37 GMT",
    "Sun, 31 Jun 1994 08:49:37 GMT",
    "Sun, 31 Sep 1994 08:49:37 GMT",
    "Sunday, 00-Nov-94 08:49:37 GMT",
    "Sunday, 29-Feb-23 08:49:37 GMT",
    "Sunday, 99-Nov-99 99:99:99 GMT",
    "Sun Nov  0 08:49:37 1994",
    "Sun Nov 31 08:49:37 1994",
    "Sun Feb 29 08:49:37 1994",
    /* no such time */
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 99:49:37 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06 Nov 1994 08:49:99 GMT",
    "Sunday, 06-Nov-94 24:00:00 GMT",
    "Sun Nov  6 08:60:00 1994",
};

/* Nothing that is cut off is a date, nor one with something behind it. */
static void check_cut(const char *text)
{
    size_t length = strlen(text);
    int64_t seconds = 4711;
    for (size_t i = 0; i < length; i++) {
        const char *bytes = guarded_at_end(&guarded, text, i);
        g_assert_false(http_date_parse((struct http_text){bytes, i}, NOW, &seconds));
    }
    g_autofree char *more = g_strconcat(text, "0", NULL);
    g_assert_false(http_date_parse((struct http_text){more, length + 1}, NOW, &seconds));
    g_assert_false(http_date_parse((struct http_text){text, length + 1}, NOW, &seconds));
    g_assert_cmpint(seconds, ==, 4711);
}

static void test_date(const void *data)
{
    const struct date_case *date = data;
    size_t length = strlen(date->text);
    int64_t seconds;
    const char *bytes = guarded_at_end(&guarded, date->text, length);
    g_assert_true(http_date_parse((struct http_text){bytes, length}, NOW, &seconds));
    g_assert_cmpint(seconds, ==, date->seconds);
    check_cut(date->text);
}

static void test_refused(const void *data)
{
    const char *text = data;
    size_t length = strlen(text);
    int64_t seconds = 4711;
    const char *bytes = guarded_at_end(&guarded, text, length);
    g_assert_false(http_date_parse((struct http_text){bytes, length}, NOW, &seconds));
    bytes = guarded_at_start(&guarded, text, length);
    g_assert_false(http_date_parse((struct http_text){bytes, length}, NOW, &seconds));
    g_assert_cmpint(seconds, ==, 4711);
}

static void test_absent(void)
{
    int64_t seconds;
    g_assert_false(http_date_parse((struct http_text){NULL, 0}, NOW, &seconds));
}

static void expect_parsed(const char *text, time_t now_s, int64_t expected)
{
    int64_t seconds;
    g_assert_true(http_date_parse((struct http_text){text, strlen(text)}, now_s, &seconds));
    g_assert_cmpint(seconds, ==, expected);
}

/* Every day of some years in every form, as the C library writes it. */
static void test_every_day(void)
{
    const int days = g_test_quick() ? 40 * 366 : 900 * 366;
    for (int64_t day = 0; day < days; day++) {
        char text[64];
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        expect_parsed(text, NOW, seconds);
        strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &utc);
        expect_parsed(text, NOW, seconds);
        /* Seen from itself, from 49 years before and from as many after. */
        strftime(text, sizeof(text), "%A, %d-%b-%y %H:%M:%S GMT", &utc);
        expect_parsed(text, seconds, seconds);
        expect_parsed(text, seconds - INT64_C(49) * 366 * 86400, seconds);
        expect_parsed(text, seconds + INT64_C(49) * 365 * 86400, seconds);
    }
}

static void test_roundtrip(void)
{
    for (int64_t seconds = 0; seconds < INT64_C(253402300800); seconds += 86400 * 13 + 12345) {
        char date[HTTP_DATE_LENGTH];
        int64_t parsed;
        http_date_format(date, (time_t)seconds);
        g_assert_true(http_date_parse((struct http_text){date, sizeof(date)}, 0, &parsed));
        g_assert_cmpint(parsed, ==, seconds);
    }
}

/* Every byte in every place: no other byte makes a date of the same length but a digit or name. */
static void test_every_byte(void)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    for (size_t form = 0; form < G_N_ELEMENTS(forms); form++) {
        size_t length = strlen(forms[form]);
        for (size_t at = 0; at < length; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[64];
                int64_t seconds;
                memcpy(text, forms[form], length);
                text[at] = (char)byte;
                bool date = http_date_parse((struct http_text){text, length}, NOW, &seconds);
                g_assert_true(!date || text[at] == forms[form][at] || g_ascii_isdigit(byte));
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    for (size_t i = 0; i < G_N_ELEMENTS(dates); i++) {
        g_autofree char *path = g_strconcat("/http/date-parse/", dates[i].name, NULL);
        g_test_add_data_func(path, &dates[i], test_date);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(years_of_two_digits); i++) {
        g_autofree char *path =
            g_strconcat("/http/date-parse/two-digits/", years_of_two_digits[i].name, NULL);
        g_test_add_data_func(path, &years_of_two_digits[i], test_date);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf("/http/date-parse/refused/%zu", i);
        g_test_add_data_func(path, refused[i], test_refused);
    }
    g_test_add_func("/http/date-parse/absent", test_absent);
    g_test_add_func("/http/date-parse/every-day", test_every_day);
    g_test_add_func("/http/date-parse/roundtrip", test_roundtrip);
    g_test_add_func("/http/date-parse/every-byte", test_every_byte);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
