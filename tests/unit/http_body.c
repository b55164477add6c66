/*
 * Request bodies: where they begin and end, by Content-Length and chunk by chunk (RFC 9112 sections
 * 6 and 7.1). Every body of the tables is read at once, byte by byte and cut into two everywhere.
 */
#include "body_support.h"
#include "http_support.h"

#include <string.h>

/* --- tables of chunked bodies --- */

struct body_case {
    const char *name;
    const char *bytes;
    size_t length;
    int status;         /* READING_ENDED, READING_UNFINISHED or a negated status */
    const char *data;   /* what is read, up to the error if there is one */
    size_t follows;     /* bytes behind the end, which are not the body's */
    const char *fields; /* the trailer section */
};

#define ENDED(name, literal, data, follows, fields)                              \
    {                                                                            \
        name, literal, sizeof(literal) - 1, READING_ENDED, data, follows, fields \
    }

#define BODY(name, literal, status, data)                       \
    {                                                           \
        name, literal, sizeof(literal) - 1, status, data, 0, "" \
    }

#define OK  READING_ENDED
#define CUT READING_UNFINISHED

/* One chunk of five bytes, with something behind its size. */
#define LINE(rest) "5" rest "\r\nhello\r\n0\r\n\r\n"

/* All but one of the digits that a size can have. */
#define ZEROS_15 "000000000000000"

static const struct body_case valid[] = {
    BODY("empty", "0\r\n\r\n", OK, ""),
    BODY("one", LINE(""), OK, "hello"),
    BODY("two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", OK, "hello world"),
    BODY("one-byte-each", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", OK, "abc"),
    BODY("data-like-framing", "c\r\n\r\n0\r\n\r\n5\r\n\r\n\r\n0\r\n\r\n", OK,
         "\r\n0\r\n\r\n5\r\n\r\n"),
    BODY("hex-lower-case", "a\r\n0123456789\r\n0\r\n\r\n", OK, "0123456789"),
    BODY("hex-upper-case", "A\r\n0123456789\r\n0\r\n\r\n", OK, "0123456789"),
    BODY("hex-two-digits", "1F\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n", OK,
         "0123456789abcdef0123456789abcde"),
    BODY("zeros-before", "0005\r\nhello\r\n0\r\n\r\n", OK, "hello"),
    BODY("size-of-16-digits", ZEROS_15 "5\r\nhello\r\n0\r\n\r\n", OK, "hello"),
    BODY("last-of-two-zeros", "00\r\n\r\n", OK, ""),
    BODY("last-of-16-zeros", ZEROS_15 "0\r\n\r\n", OK, ""),
    ENDED("followed", "5\r\nhello\r\n0\r\n\r\nGET /", "hello", 5, ""),
    ENDED("followed-by-rubbish", "0\r\n\r\n\n\0\x80", "", 3, ""),
    ENDED("followed-by-chunk", "0\r\n\r\n5\r\nhello\r\n", "", 10, ""),
    ENDED("trailer", "0\r\nx: y\r\n\r\n", "", 0, "x: y\r\n"),
    ENDED("trailers", "1\r\na\r\n0\r\nx: y\r\nz:\r\n\r\nGET", "a", 3, "x: y\r\nz:\r\n"),
};

static const struct body_case extensions[] = {
    BODY("name", LINE(";a"), OK, "hello"),
    BODY("token", LINE(";a=b"), OK, "hello"),
    BODY("quoted", LINE(";a=\"b\""), OK, "hello"),
    BODY("quoted-empty", LINE(";a=\"\""), OK, "hello"),
    BODY("quoted-special", LINE(";a=\" ;,=\t5\x80\""), OK, "hello"),
    BODY("quoted-pairs", LINE(";a=\"\\\"\\\\\\a\\\t\""), OK, "hello"),
    BODY("several", LINE(";a;b=c;d=\"e\";f"), OK, "hello"),
    BODY("every-tchar", LINE(";!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ"), OK, "hello"),
    BODY("space-before-semicolon", LINE(" ;a"), OK, "hello"),
    BODY("space-after-semicolon", LINE("; \ta"), OK, "hello"),
    BODY("space-around-equals", LINE(";a \t=\t b"), OK, "hello"),
    BODY("space-between", LINE(";a=b ;\tc ; d=\"\" ;e"), OK, "hello"),
    BODY("of-last-chunk", "0;a=b\r\n\r\n", OK, ""),
    BODY("space-alone", LINE(" "), -400, ""),
    BODY("tab-alone", LINE("\t"), -400, ""),
    BODY("semicolon-alone", LINE(";"), -400, ""),
    BODY("two-semicolons", LINE(";;a"), -400, ""),
    BODY("semicolon-last", LINE(";a;"), -400, ""),
    BODY("space-last", LINE(";a "), -400, ""),
    BODY("space-after-value", LINE(";a=b "), -400, ""),
    BODY("space-after-quoted", LINE(";a=\"b\" "), -400, ""),
    BODY("no-semicolon", LINE(" a"), -400, ""),
    BODY("comma", LINE(",a"), -400, ""),
    BODY("no-name", LINE(";=b"), -400, ""),
    BODY("no-value", LINE(";a="), -400, ""),
    BODY("no-value-semicolon", LINE(";a=;b"), -400, ""),
    BODY("two-values", LINE(";a=b=c"), -400, ""),
    BODY("space-in-name", LINE(";a b"), -400, ""),
    BODY("space-in-value", LINE(";a=b c"), -400, ""),
    BODY("name-quoted", LINE(";\"a\""), -400, ""),
    BODY("name-obs-text", LINE(";\x80"), -400, ""),
    BODY("name-slash", LINE(";a/b"), -400, ""),
    BODY("value-obs-text", LINE(";a=\x80"), -400, ""),
    BODY("value-then-quoted", LINE(";a=b\"c\""), -400, ""),
    BODY("quoted-then-token", LINE(";a=\"b\"c"), -400, ""),
    BODY("quoted-open", LINE(";a=\"b"), -400, ""),
    BODY("quoted-escaped-end", LINE(";a=\"b\\\""), -400, ""),
    BODY("quoted-nul", LINE(";a=\"\0\""), -400, ""),
    BODY("quoted-escape", LINE(";a=\"\x1b\""), -400, ""),
    BODY("quoted-del", LINE(";a=\"\x7f\""), -400, ""),
    BODY("quoted-cr", LINE(";a=\"\r\""), -400, ""),
    BODY("quoted-lf", LINE(";a=\"\n\""), -400, ""),
    BODY("quoted-crlf", LINE(";a=\"\r\n\""), -400, ""),
    BODY("quoted-pair-nul", LINE(";a=\"\\\0\""), -400, ""),
    BODY("quoted-pair-lf", LINE(";a=\"\\\n\""), -400, ""),
    BODY("quoted-pair-cr", LINE(";a=\"\\\r\n\""), -400, ""),
    BODY("name-nul", LINE(";\0"), -400, ""),
    BODY("name-lf", LINE(";a\n"), -400, ""),
    BODY("vt-for-space", LINE(";a\v=b"), -400, ""),
    BODY("bare-cr", LINE(";a\rb"), -400, ""),
    BODY("bare-lf", "5;a\nhello\r\n0\r\n\r\n", -400, ""),
};

static const struct body_case malformed[] = {
    BODY("size-empty", "\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-empty-last", "\r\n\r\n", -400, ""),
    BODY("size-empty-extension", ";a\r\n\r\n", -400, ""),
    BODY("size-0x", "0x5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-plus", "+5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-minus", "-5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-minus-zero", "-0\r\n\r\n", -400, ""),
    BODY("size-space-before", " 5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-tab-before", "\t5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-no-digit", "g\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-digit-and-g", "5g\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-underscore", "0_5\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-fraction", "5.0\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-h", "5h\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-quoted", "\"5\"\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-semicolon", ";a\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-obs-text", "\x85\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-nul", "\0\r\n\r\n", -400, ""),
    BODY("size-and-nul", "5\0\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-17-zeros", ZEROS_15 "00\r\n\r\n", -400, ""),
    BODY("size-17-digits", ZEROS_15 "05\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("size-2-to-the-64-and-5", "10000000000000005\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("line-bare-lf", "5\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("line-bare-cr", "5\rhello\r\n0\r\n\r\n", -400, ""),
    BODY("line-cr-cr-lf", "5\r\r\nhello\r\n0\r\n\r\n", -400, ""),
    BODY("line-lf-cr", "5\n\rhello\r\n0\r\n\r\n", -400, ""),
    BODY("last-bare-lf", "0\n\n", -400, ""),
    BODY("data-short", "6\r\nhello\r\n0\r\n\r\n", -400, "hello\r"),
    BODY("data-long", "4\r\nhello\r\n0\r\n\r\n", -400, "hell"),
    BODY("data-no-end", "5\r\nhello0\r\n\r\n", -400, "hello"),
    BODY("data-end-lf", "5\r\nhello\n0\r\n\r\n", -400, "hello"),
    BODY("data-end-cr", "5\r\nhello\r0\r\n\r\n", -400, "hello"),
    BODY("data-end-cr-x", "5\r\nhello\rx0\r\n\r\n", -400, "hello"),
    BODY("data-end-x-lf", "5\r\nhellox\n0\r\n\r\n", -400, "hello"),
    BODY("data-end-lf-cr", "5\r\nhello\n\r0\r\n\r\n", -400, "hello"),
    BODY("data-end-space", "5\r\nhello \r\n0\r\n\r\n", -400, "hello"),
    BODY("data-end-twice", "5\r\nhello\r\n\r\n0\r\n\r\n", -400, "hello"),
    BODY("trailer-malformed", "1\r\na\r\n0\r\nx\r\n\r\n", -400, "a"),
    BODY("trailer-bare-lf", "0\r\n\n", -400, ""),
    BODY("trailer-forbidden", "0\r\nContent-Length: 5\r\n\r\n", -400, ""),
};

static const struct body_case unfinished[] = {
    BODY("nothing", "", CUT, ""),
    BODY("size", "5", CUT, ""),
    BODY("size-of-16-digits", ZEROS_15 "5", CUT, ""),
    BODY("space", "5 ", CUT, ""),
    BODY("semicolon", "5;", CUT, ""),
    BODY("quoted", "5;a=\"b\\", CUT, ""),
    BODY("line-cr", "5;a\r", CUT, ""),
    BODY("line", "5\r\n", CUT, ""),
    BODY("data", "5\r\nhel", CUT, "hel"),
    BODY("all-data", "5\r\nhello", CUT, "hello"),
    BODY("data-cr", "5\r\nhello\r", CUT, "hello"),
    BODY("data-crlf", "5\r\nhello\r\n", CUT, "hello"),
    BODY("last", "0\r\n", CUT, ""),
    BODY("last-cr", "0\r\n\r", CUT, ""),
    BODY("trailer", "0\r\nx: y", CUT, ""),
    BODY("trailer-line", "0\r\nx: y\r\n", CUT, ""),
    BODY("trailer-cr", "0\r\nx: y\r\n\r", CUT, ""),
};

/* --- reading them --- */

static void check_reading(const struct body_case *body_case, const size_t *sizes, size_t count,
                          size_t take_max)
{
    struct http_request request = chunked_request();
    struct reading reading = read_body(&request, body_case->bytes, body_case->length,
                                       &http_limits_default, sizes, count, take_max);
    g_assert_cmpint(reading.status, ==, body_case->status);
    g_assert_cmpmem(reading.data->str, reading.data->len, body_case->data, strlen(body_case->data));
    g_assert_cmpstr(reading.trailers->str, ==, body_case->fields);
    if (reading.status == READING_ENDED) {
        g_assert_cmpuint(reading.consumed, ==, body_case->length - body_case->follows);
        g_assert_cmpuint(reading.total, ==, reading.data->len);
    }
    reading_free(&reading);
}

static void test_case(const void *data)
{
    const struct body_case *body_case = data;
    static const size_t one = 1;
    size_t all = body_case->length + 1;
    check_reading(body_case, &all, 1, SIZE_MAX);
    check_reading(body_case, &all, 1, 1);
    check_reading(body_case, &all, 1, 3);
    check_reading(body_case, &one, 1, SIZE_MAX);
    for (size_t cut = 1; cut < body_case->length; cut++) {
        const size_t two[] = {cut, body_case->length - cut};
        check_reading(body_case, two, 2, SIZE_MAX);
    }
}

static void add(const char *prefix, const struct body_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case);
    }
}

#define ADD(prefix, table) add(prefix, table, G_N_ELEMENTS(table))

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/http/body/valid", valid);
    ADD("/http/body/extensions", extensions);
    ADD("/http/body/malformed", malformed);
    ADD("/http/body/unfinished", unfinished);
    return g_test_run();
}
