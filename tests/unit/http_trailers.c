/*
 * The trailer section after a chunked body (RFC 9112 section 7.1.2): what may be in it, and what a
 * handler finds there.
 */
#include "http/trailers.h"

#include "http/scan.h"
#include "http_support.h"

#include <glib.h>
#include <string.h>

static const struct http_limits small = {
    .head_bytes = 100, .target_bytes = 40, .field_count = 3, .body_bytes = 1000};

static const struct request_case valid[] = {
    CASE("none", "\r\n", WHOLE),
    CASE("one", "x: y\r\n\r\n", WHOLE),
    CASE("several", "x: y\r\nDigest: sha-256=z\r\nx: y\r\n\r\n", WHOLE),
    CASE("name-every-tchar", "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", WHOLE),
    CASE("value-empty", "x:\r\n\r\n", WHOLE),
    CASE("value-blank", "x: \t \r\n\r\n", WHOLE),
    CASE("value-padded", "x: \t y \t\r\n\r\n", WHOLE),
    CASE("value-tab-within", "x: y\tz\r\n\r\n", WHOLE),
    CASE("value-colons", "x: y: z:\r\n\r\n", WHOLE),
    CASE("value-obs-text", "x: \x80\xff\r\n\r\n", WHOLE),
    CASE("names-like-forbidden", "Content-Length2: 1\r\nT: 1\r\nTEE: 1\r\nHosts: a\r\n\r\n", WHOLE),
    CASE("none-and-request", "\r\nGET / HTTP/1.0\r\n\r\n", 2),
    CASE("one-and-request", "x: y\r\n\r\nGET / HTTP/1.0\r\n\r\n", 8),
    CASE("one-and-rubbish", "x: y\r\n\r\n\n\0\x01", 8),
};

static const struct request_case incomplete[] = {
    CASE("nothing", "", 0),
    CASE("cr", "\r", 0),
    CASE("half-line", "x: y", 0),
    CASE("line", "x: y\r\n", 0),
    CASE("no-last-lf", "x: y\r\n\r", 0),
};

static const struct request_case malformed[] = {
    CASE("no-colon", "x\r\n\r\n", -400),
    CASE("no-name", ": x\r\n\r\n", -400),
    CASE("space-before-colon", "x : y\r\n\r\n", -400),
    CASE("tab-before-colon", "x\t: y\r\n\r\n", -400),
    CASE("space-first", " x: y\r\n\r\n", -400),
    CASE("fold-space", "x: y\r\n z\r\n\r\n", -400),
    CASE("fold-tab", "x: y\r\n\tz\r\n\r\n", -400),
    CASE("name-obs-text", "\xc3\xa4: y\r\n\r\n", -400),
    CASE("name-quoted", "\"x\": y\r\n\r\n", -400),
    CASE("name-nul", "x\0: y\r\n\r\n", -400),
    CASE("value-nul", "x: y\0\r\n\r\n", -400),
    CASE("value-vt", "x: \vy\r\n\r\n", -400),
    CASE("value-escape", "x: \x1b\r\n\r\n", -400),
    CASE("value-del", "x: \x7f\r\n\r\n", -400),
    CASE("bare-lf", "\n", -400),
    CASE("bare-lf-line", "x: y\n", -400),
    CASE("lf-crlf", "x: y\n\r\n", -400),
    CASE("crlf-lf", "x: y\r\n\n", -400),
    CASE("bare-cr", "x: y\rz: 1\r\n\r\n", -400),
    CASE("bare-cr-for-crlf", "x: y\rzz: 1\r\n\r\n", -400),
    CASE("bare-cr-first", "\rx: y\r\n\r\n", -400),
    CASE("cr-cr-lf", "x: y\r\r\n\r\n", -400),
    CASE("cr-cr-lf-first", "\r\r\n\r\n", -400),
    CASE("end-cr-x", "x: y\r\n\rz", -400),
};

static const struct request_case forbidden[] = {
    CASE("connection", "Connection: close\r\n\r\n", -400),
    CASE("content-length", "Content-Length: 0\r\n\r\n", -400),
    CASE("content-length-last", "x: y\r\ncontent-length: 5\r\n\r\n", -400),
    CASE("expect", "Expect: 100-continue\r\n\r\n", -400),
    CASE("host", "HOST: a\r\n\r\n", -400),
    CASE("keep-alive", "Keep-Alive: timeout=5\r\n\r\n", -400),
    CASE("max-forwards", "Max-Forwards: 1\r\n\r\n", -400),
    CASE("proxy-connection", "Proxy-Connection: close\r\n\r\n", -400),
    CASE("te", "TE: trailers\r\n\r\n", -400),
    CASE("trailer", "Trailer: x\r\n\r\n", -400),
    CASE("transfer-encoding", "Transfer-Encoding: chunked\r\n\r\n", -400),
    CASE("upgrade", "Upgrade: h2c\r\n\r\n", -400),
};

/* What `length` bytes give at both ends of memory. */
static int parse_guarded(const struct guarded *guarded, const char *bytes, size_t length,
                         const struct http_limits *limits)
{
    int at_end = http_parse_trailers(guarded_at_end(guarded, bytes, length), length, limits);
    int at_start = http_parse_trailers(guarded_at_start(guarded, bytes, length), length, limits);
    g_assert_cmpint(at_end, ==, at_start);
    return at_end;
}

/* Cut at every byte: no part succeeds, and the first error stays. */
static void check_section(const struct request_case *section, const struct http_limits *limits)
{
    struct guarded guarded;
    size_t length = section->length;
    int expected = section->expected == WHOLE ? (int)length : section->expected;
    guarded_open(&guarded, length + 1);
    g_assert_cmpint(parse_guarded(&guarded, section->bytes, length, limits), ==, expected);
    bool decided = false;
    for (size_t part = 0; part < length; part++) {
        int result = parse_guarded(&guarded, section->bytes, part, limits);
        if (decided || (expected > 0 && part >= (size_t)expected))
            g_assert_cmpint(result, ==, expected);
        else
            g_assert_true(result == 0 || (expected < 0 && result == expected));
        decided = result != 0;
    }
    guarded_close(&guarded);
}

static void test_case(const void *data)
{
    check_section(data, &http_limits_default);
}

static void add(const char *prefix, const struct request_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case);
    }
}

/* --- limits --- */

static void expect_result(const char *bytes, const struct http_limits *limits, int expected)
{
    const struct request_case section = {"", bytes, strlen(bytes), expected};
    check_section(&section, limits);
}

static void check_bytes(const struct http_limits *limits, size_t length, int expected)
{
    g_autofree char *value = g_strnfill(length - strlen("x:\r\n\r\n"), 'v');
    g_autofree char *section = g_strconcat("x:", value, "\r\n\r\n", NULL);
    if (length < 1000)
        expect_result(section, limits, expected);
    else
        g_assert_cmpint(http_parse_trailers(section, length, limits), ==,
                        expected == WHOLE ? (int)length : expected);
}

static void test_bytes(void)
{
    check_bytes(&small, 99, WHOLE);
    check_bytes(&small, 100, WHOLE);
    check_bytes(&small, 101, -431);
    check_bytes(&small, 102, -431);
    check_bytes(&small, 300, -431);
    check_bytes(&http_limits_default, HTTP_HEAD_MAX, WHOLE);
    check_bytes(&http_limits_default, HTTP_HEAD_MAX + 1, -431);
    check_bytes(&http_limits_default, 3 * HTTP_HEAD_MAX, -431);
    /* Whoever never ends it learns so at the limit; what is wrong beyond does not count. */
    g_autofree char *endless = g_strnfill(200, 'x');
    endless[100] = '\n';
    g_assert_cmpint(http_parse_trailers(endless, 99, &small), ==, 0);
    g_assert_cmpint(http_parse_trailers(endless, 100, &small), ==, -431);
    g_assert_cmpint(http_parse_trailers(endless, 101, &small), ==, -431);
    g_assert_cmpint(http_parse_trailers(endless, 200, &small), ==, -431);
}

static void test_field_count(void)
{
    expect_result("a:1\r\nb:2\r\nc:3\r\n\r\n", &small, WHOLE);
    expect_result("a:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n", &small, -431);
    expect_result("a:1\r\nb:2\r\nc:3\r\n\r\nd:4\r\n\r\n", &small, 17);
    expect_result("a:1\r\nb:2\r\nc:3\r\nTE:4\r\n\r\n", &small, -431);
}

/* --- looking up --- */

static void expect_found(struct http_text section, const char *name, const char *expected)
{
    struct http_text value = http_trailers_find(section, name);
    if (!expected) {
        g_assert_null(value.bytes);
        g_assert_cmpuint(value.length, ==, 0);
        return;
    }
    g_assert_nonnull(value.bytes);
    g_assert_cmpmem(value.bytes, value.length, expected, strlen(expected));
}

static void check_find(struct http_text section)
{
    expect_found(section, "x", "first");
    expect_found(section, "X", "first");
    expect_found(section, "digest", "a: b");
    expect_found(section, "EMPTY", "");
    expect_found(section, "blank", "");
    expect_found(section, "unpadded", "1");
    expect_found(section, "last", "\x80");
    expect_found(section, "las", NULL);
    expect_found(section, "lasts", NULL);
    expect_found(section, "", NULL);
    expect_found(section, "first", NULL);
    expect_found(section, "x:", NULL);
}

static void test_find(void)
{
    static const char bytes[] =
        "X: first\r\nDigest: \ta: b \t\r\nx: second\r\nEmpty:\r\nBlank: \t\r\n"
        "Unpadded:1\r\nLast: \x80\r\n\r\n";
    size_t length = sizeof(bytes) - 1;
    struct guarded guarded;
    guarded_open(&guarded, length);
    g_assert_cmpint(http_parse_trailers(bytes, length, &http_limits_default), ==, (int)length);
    check_find((struct http_text){guarded_at_end(&guarded, bytes, length), length});
    length -= 2; /* without the empty line */
    check_find((struct http_text){guarded_at_end(&guarded, bytes, length), length});
    expect_found((struct http_text){"\r\n", 2}, "x", NULL);
    expect_found((struct http_text){"", 0}, "x", NULL);
    expect_found((struct http_text){NULL, 0}, "x", NULL);
    guarded_close(&guarded);
}

#define ADD(prefix, table) add(prefix, table, G_N_ELEMENTS(table))

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/http/trailers/valid", valid);
    ADD("/http/trailers/incomplete", incomplete);
    ADD("/http/trailers/malformed", malformed);
    ADD("/http/trailers/forbidden", forbidden);
    g_test_add_func("/http/trailers/bytes", test_bytes);
    g_test_add_func("/http/trailers/field-count", test_field_count);
    g_test_add_func("/http/trailers/find", test_find);
    return g_test_run();
}
