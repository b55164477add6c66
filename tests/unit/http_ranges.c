/* The field Range, beside memory that cannot be read. */
#include "http/ranges.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

static struct guarded guarded;

#define EXA   (UINT64_C(1) << 63)
#define FOUR  "0-0,1-1,2-2,3-3,"
#define EIGHT FOUR "4-4,5-5,6-6,7-7,"

struct range_case {
    const char *name;
    const char *value;
    uint64_t size;
    const char *expected; /* "first+length" each, joined by ','; or "ignored", or "416" */
};

static const struct range_case cases[] = {
    /* The examples of RFC 9110 section 14.1.2, of a representation of 10,000 bytes. */
    {"rfc-first-500", "bytes=0-499", 10000, "0+500"},
    {"rfc-second-500", "bytes=500-999", 10000, "500+500"},
    {"rfc-final-500", "bytes=-500", 10000, "9500+500"},
    {"rfc-final-500-open", "bytes=9500-", 10000, "9500+500"},
    {"rfc-first-and-last", "bytes=0-0,-1", 10000, "0+1,9999+1"},
    {"rfc-first-middle-last", "bytes= 0-999, 4500-5499, -1000", 10000,
     "0+1000,4500+1000,9000+1000"},
    {"rfc-not-canonical", "bytes=500-600,601-999", 10000, "500+101,601+399"},
    {"rfc-not-canonical-overlap", "bytes=500-700,601-999", 10000, "500+201,601+399"},
    {"rfc-15.3.7", "bytes=21010-47021", 47022, "21010+26012"},
    /* One. */
    {"first-byte", "bytes=0-0", 10, "0+1"},
    {"last-byte", "bytes=9-9", 10, "9+1"},
    {"all", "bytes=0-9", 10, "0+10"},
    {"all-open", "bytes=0-", 10, "0+10"},
    {"beyond-last", "bytes=5-100", 10, "5+5"},
    {"last-byte-beyond", "bytes=9-10", 10, "9+1"},
    {"last-byte-open", "bytes=9-", 10, "9+1"},
    {"after-end", "bytes=10-10", 10, "416"},
    {"after-end-open", "bytes=10-", 10, "416"},
    {"far-after-end", "bytes=1000-2000", 10, "416"},
    {"suffix-one", "bytes=-1", 10, "9+1"},
    {"suffix-all", "bytes=-10", 10, "0+10"},
    {"suffix-more", "bytes=-11", 10, "0+10"},
    {"suffix-none", "bytes=-0", 10, "416"},
    {"suffix-none-zeros", "bytes=-000", 10, "416"},
    {"zeros-before", "bytes=0000000000000000000000000000001-0000000000000000000000000000003", 10,
     "1+3"},
    {"size-1", "bytes=0-", 1, "0+1"},
    {"size-1-after", "bytes=1-", 1, "416"},
    {"size-1-suffix", "bytes=-1", 1, "0+1"},
    /* Nothing to send: a suffix could be satisfied, but not with a 206. */
    {"size-0", "bytes=0-0", 0, "416"},
    {"size-0-open", "bytes=0-", 0, "416"},
    {"size-0-suffix", "bytes=-5", 0, "ignored"},
    {"size-0-suffix-none", "bytes=-0", 0, "416"},
    {"size-0-several", "bytes=0-0,1-1", 0, "416"},
    {"size-0-several-suffix", "bytes=0-0,-1", 0, "ignored"},
    {"size-0-malformed", "bytes=x", 0, "ignored"},
    /* Numbers at the limits. */
    {"max-size", "bytes=0-18446744073709551614", UINT64_MAX, "0+18446744073709551615"},
    {"max-size-last", "bytes=18446744073709551614-", UINT64_MAX, "18446744073709551614+1"},
    {"max-size-after", "bytes=18446744073709551615-", UINT64_MAX, "416"},
    {"max-size-beyond", "bytes=1-18446744073709551615", UINT64_MAX, "1+18446744073709551614"},
    {"max-size-suffix", "bytes=-18446744073709551615", UINT64_MAX, "0+18446744073709551615"},
    {"max-size-suffix-one", "bytes=-1", UINT64_MAX, "18446744073709551614+1"},
    {"max-size-open", "bytes=0-", UINT64_MAX, "0+18446744073709551615"},
    {"max-both", "bytes=18446744073709551615-18446744073709551615", 10, "416"},
    {"max-last", "bytes=0-18446744073709551615", 10, "0+10"},
    {"max-suffix", "bytes=-18446744073709551615", 10, "0+10"},
    {"max-sum-wraps", "bytes=0-18446744073709551614,0-18446744073709551614", UINT64_MAX, "ignored"},
    {"max-sum-wraps-to-small", "bytes=0-9223372036854775807,9223372036854775807-", UINT64_MAX,
     "ignored"},
    {"max-sum-fits", "bytes=0-9223372036854775807,9223372036854775808-", UINT64_MAX,
     "0+9223372036854775808,9223372036854775808+9223372036854775807"},
    {"2^63", "bytes=9223372036854775807-9223372036854775808", EXA, "9223372036854775807+1"},
    {"2^63-after", "bytes=9223372036854775808-", EXA, "416"},
    {"2^63-size-more", "bytes=9223372036854775808-", EXA + 1, "9223372036854775808+1"},
    {"2^63-suffix", "bytes=-9223372036854775808", EXA, "0+9223372036854775808"},
    {"2^32", "bytes=4294967295-4294967296", UINT64_C(1) << 33, "4294967295+2"},
    {"first-does-not-fit", "bytes=18446744073709551616-", 10, "ignored"},
    {"last-does-not-fit", "bytes=0-18446744073709551616", 10, "ignored"},
    {"last-does-not-fit-2^64+5", "bytes=0-18446744073709551621", 10, "ignored"},
    {"suffix-does-not-fit", "bytes=-18446744073709551616", 10, "ignored"},
    {"last-ten-times", "bytes=0-184467440737095516150", 10, "ignored"},
    {"last-of-40-digits", "bytes=0-9999999999999999999999999999999999999999", 10, "ignored"},
    {"second-does-not-fit", "bytes=0-0,2-99999999999999999999", 10, "ignored"},
    /* Several. */
    {"two", "bytes=0-1,4-5", 10, "0+2,4+2"},
    {"two-backwards", "bytes=4-5,0-1", 10, "4+2,0+2"},
    {"two-adjacent", "bytes=0-4,5-9", 10, "0+5,5+5"},
    {"two-same", "bytes=3-4,3-4", 10, "3+2,3+2"},
    {"two-overlap", "bytes=0-4,4-8", 10, "0+5,4+5"},
    {"two-inside", "bytes=0-7,3-4", 10, "0+8,3+2"},
    {"two-suffix-overlaps", "bytes=7-8,-3", 10, "7+2,7+3"},
    {"two-more-than-all", "bytes=0-5,5-9", 10, "ignored"},
    {"two-all", "bytes=0-,0-", 10, "ignored"},
    {"two-all-suffix", "bytes=-10,-1", 10, "ignored"},
    {"three-same", "bytes=0-0,0-0,0-0", 10, "ignored"},
    {"three-chain", "bytes=0-1,1-2,2-3", 10, "ignored"},
    {"two-pairs", "bytes=0-0,0-0,5-5,5-5", 10, "ignored"},
    {"one-pair-among-others", "bytes=2-2,0-0,5-5,0-0", 10, "2+1,0+1,5+1,0+1"},
    {"one-after-end", "bytes=0-1,10-20", 10, "0+2"},
    {"one-after-end-first", "bytes=10-20,0-1", 10, "0+2"},
    {"one-suffix-none", "bytes=-0,0-1,-0", 10, "0+2"},
    {"all-after-end", "bytes=10-20,30-40,-0", 10, "416"},
    {"sixteen", "bytes=" EIGHT "8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15", 99,
     "0+1,1+1,2+1,3+1,4+1,5+1,6+1,7+1,8+1,9+1,10+1,11+1,12+1,13+1,14+1,15+1"},
    {"seventeen", "bytes=" EIGHT "8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", 99,
     "ignored"},
    {"seventeen-one-after-end", "bytes=" EIGHT EIGHT "99-99", 10, "ignored"},
    {"seventeen-after-end", "bytes=" EIGHT EIGHT "9-", 0, "ignored"},
    {"sixteen-after-end", "bytes=" EIGHT EIGHT, 0, "416"},
    /* Units. */
    {"unit-upper-case", "BYTES=0-0", 10, "0+1"},
    {"unit-mixed-case", "bYtEs=-1", 10, "9+1"},
    {"unit-other", "lines=0-0", 10, "ignored"},
    {"unit-other-set", "seconds=1.5-2", 10, "ignored"},
    {"unit-shorter", "byte=0-0", 10, "ignored"},
    {"unit-longer", "bytess=0-0", 10, "ignored"},
    {"unit-none", "=0-0", 10, "ignored"},
    {"unit-no-equals", "bytes", 10, "ignored"},
    {"unit-space-before-equals", "bytes =0-0", 10, "ignored"},
    {"unit-colon", "bytes:0-0", 10, "ignored"},
    {"unit-space", "bytes 0-0", 10, "ignored"},
    {"unit-only-set", "0-0", 10, "ignored"},
    {"content-range", "bytes 0-0/10", 10, "ignored"},
    {"empty", "", 10, "ignored"},
    {"equals", "=", 10, "ignored"},
    /* White space and empty members. */
    {"spaces", "bytes=\t 0-0 \t,\t 2-2\t ", 10, "0+1,2+1"},
    {"empty-members", "bytes=,, ,0-0,\t,,2-2,,", 10, "0+1,2+1"},
    {"no-member", "bytes=", 10, "ignored"},
    {"no-member-space", "bytes= \t", 10, "ignored"},
    {"empty-members-only", "bytes=,", 10, "ignored"},
    {"empty-members-only-many", "bytes= , ,,\t,", 10, "ignored"},
    {"comma-last", "bytes=0-0,", 10, "0+1"},
    {"open-then-space", "bytes=5- , 0-0", 10, "5+5,0+1"},
    /* Not well-formed. */
    {"first-after-last", "bytes=5-4", 10, "ignored"},
    {"first-after-last-beyond", "bytes=500-400", 10, "ignored"},
    {"first-after-last-second", "bytes=0-0,5-4", 10, "ignored"},
    {"first-max-last-less", "bytes=18446744073709551615-18446744073709551614", 10, "ignored"},
    {"only-dash", "bytes=-", 10, "ignored"},
    {"two-dashes", "bytes=--1", 10, "ignored"},
    {"dashes-between", "bytes=1--2", 10, "ignored"},
    {"three-numbers", "bytes=1-2-3", 10, "ignored"},
    {"only-number", "bytes=5", 10, "ignored"},
    {"only-number-then-good", "bytes=5,0-0", 10, "ignored"},
    {"plus", "bytes=+1-2", 10, "ignored"},
    {"plus-last", "bytes=1-+2", 10, "ignored"},
    {"hex", "bytes=0x1-2", 10, "ignored"},
    {"letter-last", "bytes=1-2a", 10, "ignored"},
    {"letter-open", "bytes=1-a", 10, "ignored"},
    {"dot", "bytes=1.0-2", 10, "ignored"},
    {"space-before-dash", "bytes=1 -2", 10, "ignored"},
    {"space-after-dash", "bytes=1- 2", 10, "ignored"},
    {"space-in-suffix", "bytes=- 2", 10, "ignored"},
    {"space-in-number", "bytes=1 0-20", 100, "ignored"},
    {"semicolon", "bytes=0-0;2-2", 10, "ignored"},
    {"two-by-space", "bytes=0-0 2-2", 10, "ignored"},
    {"quoted", "bytes=\"0-0\"", 10, "ignored"},
    {"asterisk", "bytes=*", 10, "ignored"},
    {"bad-after-good", "bytes=0-0,x", 10, "ignored"},
    {"bad-before-good", "bytes=x,0-0", 10, "ignored"},
    {"bad-after-unsatisfiable", "bytes=10-,x", 10, "ignored"},
    {"line-feed", "bytes=0-0\n", 10, "ignored"},
    {"high-digit", "bytes=\xb0-", 10, "ignored"},
    {"colon-digit", "bytes=:-", 10, "ignored"},
    {"slash-digit", "bytes=/-", 10, "ignored"},
    {"twice-the-field", "bytes=0-0, bytes=2-2", 10, "ignored"},
};

static char *text_of(const struct http_range *ranges, int count, uint64_t size)
{
    GString *text = g_string_new(count == 416 ? "416" : count == 0 ? "ignored" : NULL);
    for (int i = 0; count != 416 && i < count; i++) {
        g_assert_cmpuint(ranges[i].length, >, 0);
        g_assert_cmpuint(ranges[i].first, <, size);
        g_assert_cmpuint(ranges[i].length, <=, size - ranges[i].first);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT, i ? "," : "",
                               ranges[i].first, ranges[i].length);
    }
    return g_string_free(text, FALSE);
}

static void expect(const char *bytes, size_t length, uint64_t size, const char *expected)
{
    struct http_range ranges[HTTP_RANGES_MAX];
    memset(ranges, 0xa5, sizeof(ranges));
    int count = http_ranges_parse((struct http_text){bytes, length}, size, ranges);
    g_assert_true(count >= 0 && (count <= HTTP_RANGES_MAX || count == 416));
    g_autofree char *found = text_of(ranges, count, size);
    if (expected)
        g_assert_cmpstr(found, ==, expected);
}

static void test_case(const void *data)
{
    const struct range_case *range = data;
    size_t length = strlen(range->value);
    expect(guarded_at_end(&guarded, range->value, length), length, range->size, range->expected);
    expect(guarded_at_start(&guarded, range->value, length), length, range->size, range->expected);
    /* Cut anywhere it gives something, and reads nothing that is not there. */
    for (size_t i = 0; i < length; i++)
        expect(guarded_at_end(&guarded, range->value, i), i, range->size, NULL);
}

static void test_absent(void)
{
    expect(NULL, 0, 10, "ignored");
}

/* Every first, last and suffix around every small size, against the definition. */
static void test_every_small(void)
{
    for (unsigned size = 1; size < 12; size++) {
        for (unsigned first = 0; first < 14; first++) {
            g_autofree char *open = g_strdup_printf("bytes=%u-", first);
            g_autofree char *rest = g_strdup_printf("%u+%u", first, size - first);
            expect(open, strlen(open), size, first < size ? rest : "416");
            g_autofree char *suffix = g_strdup_printf("bytes=-%u", first);
            unsigned length = MIN(first, size);
            g_autofree char *end = g_strdup_printf("%u+%u", size - length, length);
            expect(suffix, strlen(suffix), size, first ? end : "416");
            for (unsigned last = 0; last < 14; last++) {
                g_autofree char *value = g_strdup_printf("bytes=%u-%u", first, last);
                g_autofree char *part =
                    g_strdup_printf("%u+%u", first, MIN(last, size - 1) - first + 1);
                const char *expected = first > last ? "ignored" : first < size ? part : "416";
                expect(value, strlen(value), size, expected);
            }
        }
    }
}

/* A list that says nothing, however long, is gone through once. */
static void test_long(void)
{
    enum { COUNT = 100000 };
    g_autoptr(GString) value = g_string_new("bytes=");
    for (int i = 0; i < COUNT; i++)
        g_string_append(value, " ,\t");
    g_string_append(value, "1-2");
    expect(value->str, value->len, 10, "1+2");
    g_string_append(value, ",3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3,3-3");
    expect(value->str, value->len, 10, "ignored");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/http/ranges/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/http/ranges/absent", test_absent);
    g_test_add_func("/http/ranges/every-small", test_every_small);
    g_test_add_func("/http/ranges/long", test_long);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
