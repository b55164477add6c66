/*
 * The parser: syntax of the request line and of the fields (RFC 9112 sections 2, 3 and 5). What
 * the fields mean for framing is in http_framing.c.
 */
#include "http_support.h"

#include <glib.h>
#include <string.h>

/* --- tables; every entry is cut at every byte --- */

static const struct request_case valid[] = {
    CASE("shortest", "G / HTTP/1.0\r\n\r\n", WHOLE),
    CASE("plain", GET_11 HOST "\r\n", WHOLE),
    CASE("http-1.0", GET_10 "\r\n", WHOLE),
    CASE("wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:18470\r\n\r\n", WHOLE),
    CASE("curl",
         "GET /index.html?q=1 HTTP/1.1\r\nHost: localhost:18470\r\nUser-Agent: curl/7.88.1\r\n"
         "Accept: */*\r\n\r\n",
         WHOLE),
    CASE("browser",
         "GET /a/b.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux "
         "x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\nAccept: text/html,application/"
         "xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
         "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: "
         "a=\"1\"; b=2\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\r\n",
         WHOLE),
    CASE("empty-line-before", "\r\n" GET_11 HOST "\r\n", WHOLE),
    CASE("method-every-tchar", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.0\r\n\r\n", WHOLE),
    CASE("method-lower-case", "get / HTTP/1.0\r\n\r\n", WHOLE),
    CASE("method-54-bytes",
         "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.0\r\n\r\n", WHOLE),
    CASE("target-every-byte", TO("/!\"$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~?\?//%00%0d%0a"),
         WHOLE),
    CASE("field-name-every-tchar", WITH("!#$%&'*+-.^_`|~09azAZ: x"), WHOLE),
    CASE("field-name-one-byte", WITH("x:y"), WHOLE),
    CASE("field-value-empty", WITH("x:"), WHOLE),
    CASE("field-value-blank", WITH("x: \t \t"), WHOLE),
    CASE("field-value-padded", WITH("x: \t y \t"), WHOLE),
    CASE("field-value-unpadded", WITH("x:y"), WHOLE),
    CASE("field-value-tab-within", WITH("x: y\tz"), WHOLE),
    CASE("field-value-colons", WITH("x: y: z:"), WHOLE),
    CASE("field-value-obs-text", WITH("x: \x80\xff\xc3\xa4"), WHOLE),
    CASE("field-value-all-visible", WITH("x: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"), WHOLE),
    CASE("field-repeated", WITH("x: 1\r\nX: 2\r\nx: 3"), WHOLE),
    CASE("field-name-like-framing",
         WITH("Content-Lengt: x\r\nContent-Length2: x\r\n"
              "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n"
              "TransferEncoding: chunked\r\nHosts: b\r\nExpec: x"),
         WHOLE),
    CASE("pipelined", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 18),
    CASE("followed-by-rubbish", "GET / HTTP/1.0\r\n\r\n\n\r\0\x01", 18),
};

static const struct request_case incomplete[] = {
    CASE("nothing", "", 0),
    CASE("half-empty-line", "\r", 0),
    CASE("empty-line", "\r\n", 0),
    CASE("two-empty-lines", "\r\n\r\n", 0), /* the second one may not be known to be one yet */
    CASE("method", "GET", 0),
    CASE("no-end", GET_11 HOST, 0),
    CASE("no-last-lf", GET_11 HOST "\r", 0),
    CASE("http-0.9", "GET /\r\n", 0),
};

static const struct request_case bad_request_line[] = {
    CASE("empty-lines-before", "\r\n\r\n" GET_11 HOST "\r\n", -400),
    CASE("three-empty-lines", "\r\n\r\n\r\n", -400),
    CASE("lf-before", "\n" GET_11 HOST "\r\n", -400),
    CASE("space-before", " " GET_11 HOST "\r\n", -400),
    CASE("empty-method", " / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("no-method", "/ HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("only-method", "GET\r\n" HOST "\r\n", -400),
    CASE("method-colon", "GET: / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("method-slash", "GE/T / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("method-obs-text", "GE\xc3\x84T / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("method-nul", "GE\0T / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("method-quoted", "\"GET\" / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("method-55-bytes",
         "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.0\r\n\r\n", -501),
    CASE("two-spaces-before-target", "GET  / HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("two-spaces-after-target", "GET /  HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("tab-before-target", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("tab-after-target", "GET /\tHTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("vt-after-target", "GET /\vHTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("no-target", "GET HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("no-version", "GET /\r\n" HOST "\r\n", -400),
    CASE("http-0.9", "GET /\r\n\r\n", -400),
    CASE("space-for-version", "GET / \r\n" HOST "\r\n", -400),
    CASE("space-after-version", "GET / HTTP/1.1 \r\n" HOST "\r\n", -400),
    CASE("word-after-version", "GET / HTTP/1.1 x\r\n" HOST "\r\n", -400),
    CASE("space-in-target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("fragment-in-target", TO("/a#b"), -400),
    CASE("obs-text-in-target", TO("/\xc3\xa4"), -400),
    CASE("nul-in-target", TO("/a\0b"), -400),
    CASE("del-in-target", TO("/a\x7f"), -400),
    CASE("cr-in-target", TO("/a\rb"), -400),
    CASE("bare-lf", "GET / HTTP/1.1\nHost: a\r\n\r\n", -400),
    CASE("bare-cr", "GET / HTTP/1.1\rHost: a\r\n\r\n", -400),
    CASE("cr-cr-lf", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", -400),
    CASE("all-bare-lf", "GET / HTTP/1.1\nHost: a\n\n", -400),
    CASE("tls-client-hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", -400),
    CASE("proxy-protocol", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" GET_11 HOST "\r\n", -400),
    CASE("response", "HTTP/1.1 200 OK\r\n" HOST "\r\n", -400),
};

static const struct request_case bad_field[] = {
    CASE("no-colon", WITH("x"), -400),
    CASE("no-name", WITH(": x"), -400),
    CASE("only-colon", WITH(":"), -400),
    CASE("space-before-colon", WITH("x : y"), -400),
    CASE("tab-before-colon", WITH("x\t: y"), -400),
    CASE("space-in-name", WITH("x y: z"), -400),
    CASE("space-before-first-field", GET_11 " Host: a\r\n\r\n", -400),
    CASE("tab-before-first-field", GET_11 "\tHost: a\r\n\r\n", -400),
    CASE("fold-space", WITH("x: y\r\n z"), -400),
    CASE("fold-tab", WITH("x: y\r\n\tz"), -400),
    CASE("fold-blank", WITH("x: y\r\n "), -400),
    CASE("fold-hides-length", WITH("x:\r\n Content-Length: 5"), -400),
    CASE("name-obs-text", WITH("x\xc3\xa4: y"), -400),
    CASE("name-nul", WITH("x\0: y"), -400),
    CASE("name-quoted", WITH("\"x\": y"), -400),
    CASE("name-slash", WITH("x/y: z"), -400),
    CASE("name-parenthesis", WITH("x(y): z"), -400),
    CASE("name-bracket", WITH("[x]: y"), -400),
    CASE("name-comma", WITH("x,y: z"), -400),
    CASE("name-semicolon", WITH("x;y: z"), -400),
    CASE("value-nul", WITH("x: y\0z"), -400),
    CASE("value-nul-first", WITH("x:\0"), -400),
    CASE("value-vt", WITH("x: y\vz"), -400),
    CASE("value-ff", WITH("x: \f"), -400),
    CASE("value-backspace", WITH("x: y\bz"), -400),
    CASE("value-escape", WITH("x: \x1b[2J"), -400),
    CASE("value-del", WITH("x: y\x7f"), -400),
    CASE("value-bare-lf", WITH("x: y\nz: 1"), -400),
    CASE("value-bare-cr", WITH("x: y\rz: 1"), -400),
    CASE("value-cr-before-crlf", WITH("x: y\r"), -400),
    CASE("value-lf-cr", WITH("x: y\n\rz: 1"), -400),
    CASE("end-lf-lf", GET_11 "Host: a\n\n", -400),
    CASE("end-crlf-lf", GET_11 HOST "\n", -400),
    CASE("end-lf-crlf", GET_11 "Host: a\n\r\n", -400),
    CASE("end-cr-cr", GET_11 "Host: a\r\r\n\r\n", -400),
    CASE("end-cr-cr-cr", GET_11 "Host: a\r\r\r\n", -400),
    CASE("end-cr-x-cr-x", GET_11 "Host: a\rb\rc", -400),
    CASE("end-crlf-cr-x", GET_11 HOST "\rx", -400),
    CASE("end-crlf-cr-nul", GET_11 HOST "\r\0", -400),
    CASE("end-cr-nul-cr-lf", GET_11 "Host: a\r\0\r\n", -400),
};

/* --- beyond tables --- */

/* Every byte value at every place of a request: nothing but what the grammar allows gets through.
 */
static void test_every_byte_everywhere(void)
{
    static const char request[] = "GET /p HTTP/1.0\r\nab: cd\r\nef:gh\r\n\r\n";
    enum { LENGTH = sizeof(request) - 1 };
    struct http_request parsed;
    struct guarded guarded;
    guarded_open(&guarded, LENGTH);
    for (size_t at = 0; at < LENGTH; at++) {
        for (int value = 0; value < 256; value++) {
            char bytes[LENGTH];
            memcpy(bytes, request, LENGTH);
            bytes[at] = (char)value;
            int result = parse(guarded_at_end(&guarded, bytes, LENGTH), LENGTH, &parsed);
            bool in_value = (at >= 20 && at < 23) || at == 28 || at == 29;
            if (value == request[at])
                g_assert_cmpint(result, ==, LENGTH);
            else if (value == '\0' || value == '\r' || value == '\n' || value == 0x7f)
                g_assert_cmpint(result, <=, 0);
            else if (in_value) /* HTAB, visible, obs-text */
                g_assert_cmpint(result, ==, value >= ' ' || value == '\t' ? LENGTH : -400);
            else if (strchr("\r\n", request[at]))
                g_assert_cmpint(result, <=, 0);
        }
    }
    guarded_close(&guarded);
}

/* What is accepted has lines that end in CRLF and nothing else, and ends at the first empty one. */
static void check_accepted(const char *bytes, size_t head)
{
    size_t at = bytes[0] == '\r' ? 2 : 0;
    g_assert_cmpmem(bytes + head - 4, 4, "\r\n\r\n", 4);
    for (size_t i = at; i < head; i++) {
        bool after_cr = i > at && bytes[i - 1] == '\r';
        g_assert_cmpint(bytes[i] == '\n', ==, after_cr);
        if (i + 4 < head)
            g_assert_true(memcmp(bytes + i, "\r\n\r\n", 4) != 0);
    }
}

/* All combinations of five from what line ends are made of, written over every place. */
static void test_line_ends(void)
{
    static const char request[] = "GET / HTTP/1.0\r\nab: cd\r\nef: gh\r\n\r\n";
    static const char choices[] = "\r\na: \t\0";
    enum { LENGTH = sizeof(request) - 1, CHOICES = 7 };
    struct http_request parsed;
    struct guarded guarded;
    int accepted = 0;
    guarded_open(&guarded, LENGTH);
    for (size_t at = 0; at + 5 <= LENGTH; at += g_test_quick() ? 3 : 1) {
        for (int pattern = 0; pattern < 16807; pattern++) {
            char bytes[LENGTH];
            memcpy(bytes, request, LENGTH);
            for (int i = 0, rest = pattern; i < 5; i++, rest /= CHOICES)
                bytes[at + (size_t)i] = choices[rest % CHOICES];
            int head = parse(guarded_at_end(&guarded, bytes, LENGTH), LENGTH, &parsed);
            if (head > 0) {
                accepted++;
                check_accepted(bytes, (size_t)head);
            }
        }
    }
    g_assert_cmpint(accepted, >, 0);
    guarded_close(&guarded);
}

/* One byte after the other, as the slowest client sends them; then the next request. */
static void test_pipeline(void)
{
    static const char first[] = "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    static const char second[] = "\r\nGET /2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct http_request request;
    g_autofree char *both = g_strconcat(first, second, first, NULL);
    size_t length = strlen(both);
    int head = parse(both, length, &request);
    g_assert_cmpint(head, ==, sizeof(first) - 1);
    g_assert_true(http_request_method_is(&request, "POST"));
    g_assert_true(request.keep_alive);
    int next = parse(both + head, length - (size_t)head, &request);
    g_assert_cmpint(next, ==, sizeof(second) - 1);
    g_assert_true(http_request_method_is(&request, "GET"));
    g_assert_false(request.keep_alive);
    g_assert_cmpuint(request.content_length, ==, 0);
    g_assert_cmpuint(request.field_count, ==, 2);
}

/* The struct is the caller's and used again: nothing of the last request may shine through. */
static void test_reused_request(void)
{
    static const char first[] =
        "PUT http://h/x?y HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 7\r\n\r\n";
    static const char chunked[] = WITH("Transfer-Encoding: chunked");
    static const char second[] = "GET / HTTP/1.0\r\n\r\n";
    struct http_request request;
    memset(&request, 0xff, sizeof(request));
    g_assert_cmpint(parse(first, sizeof(first) - 1, &request), ==, sizeof(first) - 1);
    g_assert_true(request.expects_continue);
    g_assert_true(request.has_host);
    g_assert_cmpint(parse(chunked, sizeof(chunked) - 1, &request), ==, sizeof(chunked) - 1);
    g_assert_true(request.chunked);
    g_assert_cmpuint(request.content_length, ==, 0);
    g_assert_cmpint(parse("GET", 3, &request), ==, 0);
    g_assert_cmpint(parse(WITH(":"), sizeof(WITH(":")) - 1, &request), ==, -400);
    g_assert_cmpint(parse(second, sizeof(second) - 1, &request), ==, sizeof(second) - 1);
    g_assert_false(request.expects_continue);
    g_assert_false(request.chunked);
    g_assert_false(request.has_host);
    g_assert_false(request.keep_alive);
    g_assert_cmpuint(request.content_length, ==, 0);
    g_assert_cmpuint(request.field_count, ==, 0);
    g_assert_cmpuint(request.version_minor, ==, 0);
    g_assert_null(http_request_query(&request).bytes);
}

#define ADD(prefix, table) add_request_cases(prefix, table, G_N_ELEMENTS(table))

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/http/parser/valid", valid);
    ADD("/http/parser/incomplete", incomplete);
    ADD("/http/parser/bad-request-line", bad_request_line);
    ADD("/http/parser/bad-field", bad_field);
    g_test_add_func("/http/parser/every-byte-everywhere", test_every_byte_everywhere);
    g_test_add_func("/http/parser/line-ends", test_line_ends);
    g_test_add_func("/http/parser/pipeline", test_pipeline);
    g_test_add_func("/http/parser/reused-request", test_reused_request);
    return g_test_run();
}
