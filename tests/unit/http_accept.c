/* Lists with weights: Accept-Encoding and Accept, beside memory that cannot be read. */
#include "http/accept.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

static struct guarded guarded;

enum { NONE = HTTP_WEIGHT_NONE };

struct accept_case {
    const char *name;
    const char *list;
    const char *what; /* a coding, or a media type */
    int weight;
};

static const struct accept_case codings[] = {
    /* The examples of RFC 9110 section 12.5.3. */
    {"rfc-1-compress", "compress, gzip", "compress", 1000},
    {"rfc-1-gzip", "compress, gzip", "gzip", 1000},
    {"rfc-1-br", "compress, gzip", "br", NONE},
    {"rfc-2-empty", "", "gzip", NONE},
    {"rfc-3-any", "*", "gzip", 1000},
    {"rfc-4-compress", "compress;q=0.5, gzip;q=1.0", "compress", 500},
    {"rfc-4-gzip", "compress;q=0.5, gzip;q=1.0", "gzip", 1000},
    {"rfc-5-gzip", "gzip;q=1.0, identity; q=0.5, *;q=0", "gzip", 1000},
    {"rfc-5-identity", "gzip;q=1.0, identity; q=0.5, *;q=0", "identity", 500},
    {"rfc-5-br", "gzip;q=1.0, identity; q=0.5, *;q=0", "br", 0},
    {"browser", "gzip, deflate, br, zstd", "br", 1000},
    /* Names. */
    {"upper-case", "GZIP", "gzip", 1000},
    {"mixed-case", "gZiP;q=0.3", "gzip", 300},
    {"x-gzip", "x-gzip;q=0.4", "gzip", 400},
    {"x-gzip-upper-case", "X-GZip", "gzip", 1000},
    {"x-compress", "x-compress;q=0.4", "compress", 400},
    {"x-other", "x-br", "br", NONE},
    {"x-not-twice", "x-x-gzip", "gzip", NONE},
    {"x-gzip-first", "x-gzip;q=0.1, gzip;q=0.9", "gzip", 100},
    {"longer", "gzipped", "gzip", NONE},
    {"shorter", "gzi", "gzip", NONE},
    {"tchars", "!#$%&'*+-.^_`|~9aZ;q=0.1", "!#$%&'*+-.^_`|~9az", 100},
    /* Which member. */
    {"first-of-two", "gzip;q=0.2, gzip;q=0.9", "gzip", 200},
    {"any-before", "*;q=0.1, gzip;q=0.9", "gzip", 900},
    {"any-after", "gzip;q=0.9, *;q=0.1", "gzip", 900},
    {"any-first-of-two", "*;q=0.1, *;q=0.2", "gzip", 100},
    {"any-refused-named", "*;q=0, gzip", "gzip", 1000},
    {"any-accepted-refused", "*, gzip;q=0", "gzip", 0},
    {"any-does-not-start-names", "*gzip", "gzip", NONE},
    /* Weights. */
    {"q-0", "gzip;q=0", "gzip", 0},
    {"q-0-dot", "gzip;q=0.", "gzip", 0},
    {"q-0.0", "gzip;q=0.0", "gzip", 0},
    {"q-0.00", "gzip;q=0.00", "gzip", 0},
    {"q-0.000", "gzip;q=0.000", "gzip", 0},
    {"q-0.001", "gzip;q=0.001", "gzip", 1},
    {"q-0.01", "gzip;q=0.01", "gzip", 10},
    {"q-0.012", "gzip;q=0.012", "gzip", 12},
    {"q-0.1", "gzip;q=0.1", "gzip", 100},
    {"q-0.12", "gzip;q=0.12", "gzip", 120},
    {"q-0.123", "gzip;q=0.123", "gzip", 123},
    {"q-0.999", "gzip;q=0.999", "gzip", 999},
    {"q-1", "gzip;q=1", "gzip", 1000},
    {"q-1-dot", "gzip;q=1.", "gzip", 1000},
    {"q-1.0", "gzip;q=1.0", "gzip", 1000},
    {"q-1.00", "gzip;q=1.00", "gzip", 1000},
    {"q-1.000", "gzip;q=1.000", "gzip", 1000},
    {"q-upper-case", "gzip;Q=0.5", "gzip", 500},
    /* What is no weight: the member is not there. */
    {"q-1.001", "gzip;q=1.001", "gzip", NONE},
    {"q-1.1", "gzip;q=1.1", "gzip", NONE},
    {"q-2", "gzip;q=2", "gzip", NONE},
    {"q-10", "gzip;q=10", "gzip", NONE},
    {"q-00", "gzip;q=00", "gzip", NONE},
    {"q-01", "gzip;q=01", "gzip", NONE},
    {"q-four-digits", "gzip;q=0.1234", "gzip", NONE},
    {"q-four-zeros", "gzip;q=1.0000", "gzip", NONE},
    {"q-huge", "gzip;q=0.99999999999999999999999999999999", "gzip", NONE},
    {"q-huge-integer", "gzip;q=18446744073709551617", "gzip", NONE},
    {"q-no-digit", "gzip;q=", "gzip", NONE},
    {"q-dot", "gzip;q=.", "gzip", NONE},
    {"q-dot-5", "gzip;q=.5", "gzip", NONE},
    {"q-minus", "gzip;q=-0.5", "gzip", NONE},
    {"q-plus", "gzip;q=+0.5", "gzip", NONE},
    {"q-comma", "gzip;q=0,5", "gzip", 0},
    {"q-exponent", "gzip;q=1e0", "gzip", NONE},
    {"q-hex", "gzip;q=0x1", "gzip", NONE},
    {"q-letter", "gzip;q=0.5a", "gzip", NONE},
    {"q-quoted", "gzip;q=\"0.5\"", "gzip", NONE},
    {"q-two-dots", "gzip;q=0.5.5", "gzip", NONE},
    {"q-space-inside", "gzip;q=0. 5", "gzip", NONE},
    {"q-space-before-equals", "gzip;q =0.5", "gzip", NONE},
    {"q-space-after-equals", "gzip;q= 0.5", "gzip", NONE},
    {"q-twice", "gzip;q=0.5;q=0.5", "gzip", NONE},
    {"q-high-digit", "gzip;q=\xb0", "gzip", NONE},
    {"no-q", "gzip;0.5", "gzip", NONE},
    {"other-parameter", "gzip;level=9", "gzip", NONE},
    {"other-parameter-after", "gzip;q=0.5;level=9", "gzip", NONE},
    {"semicolon-only", "gzip;", "gzip", NONE},
    {"two-semicolons", "gzip;;q=0.5", "gzip", NONE},
    {"qq", "gzip;qq=0.5", "gzip", NONE},
    /* White space and empty members. */
    {"spaces", "gzip ; q=0.5 , br \t;\t q=0.25", "br", 250},
    {"tabs", "\tgzip\t;\tq=0.5\t,\tbr\t", "br", 1000},
    {"no-spaces", "gzip;q=0.5,br;q=0.25", "br", 250},
    {"empty-members", ", ,,gzip;q=0.5,, ,\t,br;q=0.25,,", "br", 250},
    {"empty-only", ",", "gzip", NONE},
    {"empties-only", " , ,,\t,", "gzip", NONE},
    {"space-only", " ", "gzip", NONE},
    {"comma-last", "gzip,", "gzip", 1000},
    {"comma-first", ",gzip", "gzip", 1000},
    /* What is not well-formed is skipped, and no more than that. */
    {"broken-then-good", "gzip;q=7, gzip;q=0.5", "gzip", 500},
    {"broken-then-other", "gzip;q=7, br;q=0.5", "br", 500},
    {"broken-any", "*;q=7, br", "gzip", NONE},
    {"two-words", "gzip br", "gzip", NONE},
    {"two-words-then-good", "gzip br, br", "br", 1000},
    {"slash", "gzip/1, gzip;q=0.5", "gzip", 500},
    {"only-weight", ";q=1, gzip;q=0.5", "gzip", 500},
    {"control", "\x01, gzip", "gzip", 1000},
    {"high-byte", "gzip\xff, gzip;q=0.5", "gzip", 500},
    {"line-feed", "gzip\n, gzip;q=0.5", "gzip", 500},
    {"quoted", "\"gzip\"", "gzip", NONE},
    {"comma-in-quotes", "x;a=\"b, gzip;q=0.1, c\", gzip;q=0.5", "gzip", 500},
    {"comma-in-escape", "x;a=\"b\\\", gzip;q=0.1, \\\\\", gzip;q=0.5", "gzip", 500},
    {"open-quote", "x;a=\"b, gzip", "gzip", NONE},
    {"open-quote-after", "gzip;q=0.5, \"", "gzip", 500},
    {"open-quote-backslash", "br;\"\\", "gzip", NONE},
    {"open-quote-any-before", "*;q=0.5, \", gzip", "gzip", 500},
};

static const struct accept_case types[] = {
    /* The examples of RFC 9110 section 12.5.1. */
    {"rfc-1-basic", "audio/*; q=0.2, audio/basic", "audio/basic", 1000},
    {"rfc-1-other", "audio/*; q=0.2, audio/basic", "audio/ogg", 200},
    {"rfc-1-none", "audio/*; q=0.2, audio/basic", "text/html", NONE},
    {"rfc-2-plain", "text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", "text/plain", 500},
    {"rfc-2-html", "text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", "text/html", 1000},
    {"rfc-2-dvi", "text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", "text/x-dvi", 800},
    {"rfc-2-c", "text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", "text/x-c", 1000},
    {"rfc-3-plain", "text/*, text/plain, text/plain;format=flowed, */*", "text/plain", 1000},
    {"rfc-3-image", "text/*, text/plain, text/plain;format=flowed, */*", "image/png", 1000},
#define RFC_4                                           \
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format" \
    "=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
    {"rfc-4-plain", RFC_4, "text/plain", 700},
    {"rfc-4-html", RFC_4, "text/html", 300},
    {"rfc-4-jpeg", RFC_4, "image/jpeg", 500},
    /* Specificity, whatever the order. */
    {"any", "*/*", "text/html", 1000},
    {"any-then-type", "*/*;q=0.1, text/*;q=0.2, text/html;q=0.3", "text/html", 300},
    {"type-then-any", "text/html;q=0.3, text/*;q=0.2, */*;q=0.1", "text/html", 300},
    {"subtype-any", "text/*;q=0.2, */*;q=0.1", "text/html", 200},
    {"subtype-any-after", "*/*;q=0.1, text/*;q=0.2", "text/html", 200},
    {"other-type", "image/*;q=0.2, */*;q=0.1", "text/html", 100},
    {"refused", "text/html;q=0, */*", "text/html", 0},
    {"refused-all-text", "text/*;q=0, text/html", "text/html", 1000},
    {"first-of-two", "text/html;q=0.2, text/html;q=0.9", "text/html", 200},
    {"first-of-two-any", "*/*;q=0.2, */*;q=0.9", "text/html", 200},
    {"browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html",
     1000},
    {"browser-any", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "a/b", 800},
    /* Names. */
    {"case", "TEXT/Html;q=0.5", "text/html", 500},
    {"case-any-subtype", "TEXT/*;q=0.5", "text/html", 500},
    {"type-longer", "textual/html", "text/html", NONE},
    {"type-shorter", "tex/html", "text/html", NONE},
    {"subtype-longer", "text/html5", "text/html", NONE},
    {"subtype-shorter", "text/htm", "text/html", NONE},
    {"subtype-plus", "image/svg+xml;q=0.5", "image/svg+xml", 500},
    {"any-type-one-subtype", "*/html", "text/html", NONE},
    {"star-in-name", "text*/*", "text/html", NONE},
    {"stars", "**/*", "text/html", NONE},
    {"stars-in-subtype", "text/**", "text/html", NONE},
    {"no-type-asked", "text/html, */*", "text", NONE},
    /* Parameters. */
    {"parameter", "text/html;level=1", "text/html", NONE},
    {"parameter-then-without", "text/html;level=1;q=0.1, text/html;q=0.5", "text/html", 500},
    {"parameter-of-any", "*/*;a=b, text/*;q=0.5", "text/html", 500},
    {"parameter-after-q", "text/html;q=0.1;level=1, text/*;q=0.5", "text/html", 500},
    {"parameter-quoted-q", "text/html;a=\";q=0.1\", */*;q=0.5", "text/html", 500},
    {"parameter-quoted-comma", "text/x;a=\", text/html;q=0.1,\", text/html;q=0.5", "text/html",
     500},
    {"parameter-quoted-escape", "text/x;a=\"\\\", text/html;q=0.1\", text/html;q=0.5", "text/html",
     500},
    {"parameter-quoted-backslash", "text/x;a=\"\\\\\", text/html;q=0.5", "text/html", 500},
    {"parameter-quoted-empty", "text/x;a=\"\", text/html;q=0.5", "text/html", 500},
    {"parameter-quoted-high", "text/x;a=\"\xff\t\", text/html;q=0.5", "text/html", 500},
    {"parameter-quoted-del", "text/html;a=\"\x7f\", text/html;q=0.5", "text/html", 500},
    {"parameter-open-quote", "text/x;a=\", text/html;q=0.5", "text/html", NONE},
    {"parameter-after-quotes", "text/html;a=\"b\"c, text/html;q=0.5", "text/html", 500},
    {"parameter-no-value", "text/html;a, text/html;q=0.5", "text/html", 500},
    {"parameter-empty-value", "text/html;a=, text/html;q=0.5", "text/html", 500},
    {"parameter-no-name", "text/html;=b, text/html;q=0.5", "text/html", 500},
    {"parameter-space-equals", "text/html;q =0.1, text/html;q=0.5", "text/html", 500},
    {"parameter-empty", "text/html;;q=0.5", "text/html", 500},
    {"parameters-empty", "text/html ; ;\t; q=0.5 ;;", "text/html", 500},
    {"parameter-empty-last", "text/html;", "text/html", 1000},
    {"parameter-empty-comma", "text/html; , text/plain;q=0.5", "text/plain", 500},
    {"q-upper-case", "text/html;Q=0.5", "text/html", 500},
    {"q-before-parameter", "text/html;q=0.5;a=b", "text/html", NONE},
    {"q-twice", "text/html;q=0.5;q=0.6, */*;q=0.1", "text/html", 100},
    {"q-quoted", "text/html;q=\"0.5\", */*;q=0.1", "text/html", 100},
    {"q-too-large", "text/html;q=1.5, */*;q=0.1", "text/html", 100},
    {"q-four-digits", "text/html;q=0.1234, */*;q=0.1", "text/html", 100},
    {"q-empty", "text/html;q=, */*;q=0.1", "text/html", 100},
    {"q-and-word", "text/html;q=0.5 x, */*;q=0.1", "text/html", 100},
    /* White space, empty and broken members. */
    {"empty", "", "text/html", NONE},
    {"empties", " ,\t,, ", "text/html", NONE},
    {"empty-members", ",,text/html;q=0.5,,", "text/html", 500},
    {"spaces", "\t text/html \t;\t q=0.5 \t,\t */* ", "text/html", 500},
    {"no-slash", "text, */*;q=0.1", "text/html", 100},
    {"star-only", "*, text/html;q=0.5", "text/html", 500},
    {"no-subtype", "text/, */*;q=0.1", "text/html", 100},
    {"no-subtype-last", "text/", "text/html", NONE},
    {"no-type", "/html, */*;q=0.1", "text/html", 100},
    {"slash-only", "/", "text/html", NONE},
    {"space-before-slash", "text /html, */*;q=0.1", "text/html", 100},
    {"space-after-slash", "text/ html, */*;q=0.1", "text/html", 100},
    {"two-slashes", "text/html/x, */*;q=0.1", "text/html", 100},
    {"two-words", "text/html text/plain, */*;q=0.1", "text/html", 100},
    {"quoted", "\"text/html, */*\", text/html;q=0.5", "text/html", 500},
};

typedef int (*accept_function)(struct http_text list, const char *what);

/* The same at either end of memory, and with more members that say nothing. */
static void check(const struct accept_case *accept, accept_function weigh)
{
    size_t length = strlen(accept->list);
    const char *bytes = guarded_at_end(&guarded, accept->list, length);
    g_assert_cmpint(weigh((struct http_text){bytes, length}, accept->what), ==, accept->weight);
    bytes = guarded_at_start(&guarded, accept->list, length);
    g_assert_cmpint(weigh((struct http_text){bytes, length}, accept->what), ==, accept->weight);
    g_autofree char *more = g_strdup_printf(", x/y,x;q=3, %s ,", accept->list);
    struct http_text list = {more, strlen(more)};
    g_assert_cmpint(weigh(list, accept->what), ==, accept->weight);
    /* Cut anywhere it gives something, and reads nothing that is not there. */
    for (size_t i = 0; i <= length; i++) {
        bytes = guarded_at_end(&guarded, accept->list, i);
        int weight = weigh((struct http_text){bytes, i}, accept->what);
        g_assert_cmpint(weight, >=, HTTP_WEIGHT_NONE);
        g_assert_cmpint(weight, <=, HTTP_WEIGHT_MAX);
    }
}

static void test_coding(const void *data)
{
    check(data, http_accept_coding);
}

static void test_media(const void *data)
{
    check(data, http_accept_media);
}

static void test_absent(void)
{
    g_assert_cmpint(http_accept_coding((struct http_text){NULL, 0}, "gzip"), ==, NONE);
    g_assert_cmpint(http_accept_media((struct http_text){NULL, 0}, "text/html"), ==, NONE);
}

/* All weights of up to three digits, against arithmetic. */
static void test_every_weight(void)
{
    for (int digits = 0; digits <= 3; digits++) {
        const int scales[] = {1, 10, 100, 1000};
        for (int number = 0; number < 2 * scales[digits]; number++) {
            char list[32];
            int whole = number / scales[digits];
            int part = number % scales[digits];
            int length = g_snprintf(list, sizeof(list), "*;q=%d.", whole);
            if (digits)
                length +=
                    g_snprintf(list + length, sizeof(list) - (size_t)length, "%0*d", digits, part);
            int expected = whole && part ? NONE : number * scales[3 - digits];
            struct http_text text = {list, (size_t)length};
            g_assert_cmpint(http_accept_coding(text, "gzip"), ==, expected);
        }
    }
}

static void test_long(void)
{
    enum { COUNT = 100000 };
    g_autoptr(GString) list = g_string_new(NULL);
    for (int i = 0; i < COUNT; i++)
        g_string_append(list, i % 2 ? "x\"y\"," : ",\t;");
    g_string_append(list, ",gzip;q=0.5");
    g_assert_cmpint(http_accept_coding((struct http_text){list->str, list->len}, "gzip"), ==, 500);
}

static void add_cases(const char *prefix, const struct accept_case *cases, size_t count,
                      GTestDataFunc test)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, cases[i].name);
        g_test_add_data_func(path, &cases[i], test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    add_cases("/http/accept/coding", codings, G_N_ELEMENTS(codings), test_coding);
    add_cases("/http/accept/media", types, G_N_ELEMENTS(types), test_media);
    g_test_add_func("/http/accept/absent", test_absent);
    g_test_add_func("/http/accept/every-weight", test_every_weight);
    g_test_add_func("/http/accept/long", test_long);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
