/*
 * The Date field against known dates and against the C library, and when it is made anew.
 */
#include "http/date.h"

#include <glib.h>
#include <string.h>
#include <time.h>

static struct timespec wall;

int wrap_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__wrap_clock_gettime");

int wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    g_assert_cmpint(clock, ==, CLOCK_REALTIME);
    *time = wall;
    return 0;
}

static void expect_date(time_t seconds, const char *expected)
{
    char date[HTTP_DATE_LENGTH + 1] = {0};
    http_date_format(date, seconds);
    g_assert_cmpstr(date, ==, expected);
}

static void test_known(void)
{
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(1, "Thu, 01 Jan 1970 00:00:01 GMT");
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* the example of RFC 9110 */
    expect_date(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    expect_date(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
    expect_date(2147483647, "Tue, 19 Jan 2038 03:14:07 GMT");
    expect_date(2147483648, "Tue, 19 Jan 2038 03:14:08 GMT");
    expect_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"); /* 2100 is no leap year */
    expect_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    expect_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* Every day of some years, at the ends of the day. */
static void test_every_day(void)
{
    const int days = g_test_quick() ? 5 * 366 : 400 * 366;
    for (time_t day = 0; day < days; day++) {
        for (int end = 0; end < 2; end++) {
            time_t seconds = day * 86400 + (end ? 86399 : 0);
            char expected[64];
            struct tm utc;
            gmtime_r(&seconds, &utc);
            strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &utc);
            expect_date(seconds, expected);
        }
    }
}

static void expect_common(const struct http_date *date, const char *expected)
{
    g_assert_cmpmem(http_date_common(date), HTTP_COMMON_LENGTH, expected, strlen(expected));
}

/* Anew when the wall clock's second has passed, which is not a second after the last time. */
static void test_renewal(void)
{
    const uint64_t second = 1000000000;
    const uint64_t start = 77 * second + 5;
    struct http_date date = {0};
    wall = (struct timespec){.tv_sec = 784111777, .tv_nsec = 250000000};
    http_date_update(&date, start);
    expect_common(&date, "Server: coreactor\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    wall = (struct timespec){.tv_sec = 784111778, .tv_nsec = 0};
    http_date_update(&date, start + second / 4 * 3 - 1);
    expect_common(&date, "Server: coreactor\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    http_date_update(&date, start + second / 4 * 3);
    expect_common(&date, "Server: coreactor\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    /* After a long pause, and with a clock that was set back. */
    wall = (struct timespec){.tv_sec = 784111700, .tv_nsec = 999999999};
    http_date_update(&date, start + 1000 * second);
    expect_common(&date, "Server: coreactor\r\nDate: Sun, 06 Nov 1994 08:48:20 GMT\r\n");
    wall.tv_sec = 0;
    http_date_update(&date, start + 1000 * second + 1);
    expect_common(&date, "Server: coreactor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/date/known", test_known);
    g_test_add_func("/http/date/every-day", test_every_day);
    g_test_add_func("/http/date/renewal", test_renewal);
    return g_test_run();
}
