/*
 * What makes two readers of a connection disagree about where a request ends or whom it is for
 * (RFC 9112 sections 3.2, 6 and 9.3), and the limits at their exact boundaries.
 */
#include "http/scan.h"
#include "http_support.h"

#include <glib.h>
#include <string.h>

static const struct request_case content_length[] = {
    CASE("zero", WITH("Content-Length: 0"), WHOLE),
    CASE("five", WITH("Content-Length: 5") "hello", sizeof(WITH("Content-Length: 5")) - 1),
    CASE("zeros-before", WITH("Content-Length: 0005"), WHOLE),
    CASE("upper-case", WITH("CONTENT-LENGTH:5"), WHOLE),
    CASE("padded", WITH("Content-Length: \t5 \t"), WHOLE),
    CASE("http-1.0", GET_10 "Content-Length: 5\r\n\r\n", WHOLE),
    CASE("empty", WITH("Content-Length:"), -400),
    CASE("blank", WITH("Content-Length:  "), -400),
    CASE("plus", WITH("Content-Length: +5"), -400),
    CASE("minus", WITH("Content-Length: -5"), -400),
    CASE("minus-zero", WITH("Content-Length: -0"), -400),
    CASE("hexadecimal", WITH("Content-Length: 0x5"), -400),
    CASE("underscore", WITH("Content-Length: 1_0"), -400),
    CASE("fraction", WITH("Content-Length: 5.0"), -400),
    CASE("exponent", WITH("Content-Length: 1e1"), -400),
    CASE("words", WITH("Content-Length: five"), -400),
    CASE("quoted", WITH("Content-Length: \"5\""), -400),
    CASE("space-within", WITH("Content-Length: 5 5"), -400),
    CASE("obs-text-digit", WITH("Content-Length: \xd9\xa5"), -400),
    CASE("list-same", WITH("Content-Length: 5, 5"), -400),
    CASE("list-different", WITH("Content-Length: 5,6"), -400),
    CASE("list-empty-member", WITH("Content-Length: 5,"), -400),
    CASE("repeated-same", WITH("Content-Length: 5\r\nContent-Length: 5"), -400),
    CASE("repeated-different", WITH("Content-Length: 5\r\ncontent-length: 6"), -400),
    CASE("repeated-zero", WITH("Content-Length: 0\r\nContent-Length: 0"), -400),
    CASE("18-digits", WITH("Content-Length: 999999999999999999"), -413),
    CASE("2-to-the-64", WITH("Content-Length: 18446744073709551616"), -400),
    CASE("2-to-the-64-and-5", WITH("Content-Length: 18446744073709551621"), -400),
    CASE("many-digits", WITH("Content-Length: 99999999999999999999999999999999999999"), -400),
    CASE("space-before-colon", WITH("Content-Length : 5"), -400),
    CASE("folded", WITH("Content-Length:\r\n 5"), -400),
    CASE("nul-after", WITH("Content-Length: 5\0"), -400),
};

static const struct request_case transfer_encoding[] = {
    CASE("chunked", WITH("Transfer-Encoding: chunked") "0\r\n\r\n",
         sizeof(WITH("Transfer-Encoding: chunked")) - 1),
    CASE("chunked-upper-case", WITH("TRANSFER-ENCODING: CHUNKED"), WHOLE),
    CASE("chunked-padded", WITH("Transfer-Encoding:\t chunked \t"), WHOLE),
    CASE("chunked-http-1.2", "POST / HTTP/1.2\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
         WHOLE),
    CASE("list", WITH("Transfer-Encoding: gzip, chunked"), -501),
    CASE("list-no-space", WITH("Transfer-Encoding: gzip,CHUNKED"), -501),
    CASE("list-of-three", WITH("Transfer-Encoding: x , gzip\t,\tchunked"), -501),
    CASE("list-parameter", WITH("Transfer-Encoding: x;q=1, chunked"), -501),
    CASE("list-like-chunked", WITH("Transfer-Encoding: xchunked, chunkedx, chunked"), -501),
    CASE("gzip", WITH("Transfer-Encoding: gzip"), -400),
    CASE("gzip-twice", WITH("Transfer-Encoding: gzip, gzip"), -400),
    CASE("identity", WITH("Transfer-Encoding: identity"), -400),
    CASE("empty", WITH("Transfer-Encoding:"), -400),
    CASE("blank", WITH("Transfer-Encoding: \t"), -400),
    CASE("comma", WITH("Transfer-Encoding: ,"), -400),
    CASE("chunked-not-last", WITH("Transfer-Encoding: chunked, gzip"), -400),
    CASE("chunked-between", WITH("Transfer-Encoding: gzip, chunked, gzip"), -400),
    CASE("chunked-twice", WITH("Transfer-Encoding: chunked, chunked"), -400),
    CASE("chunked-twice-around", WITH("Transfer-Encoding: chunked, gzip, chunked"), -400),
    CASE("chunked-comma", WITH("Transfer-Encoding: chunked,"), -400),
    CASE("comma-chunked", WITH("Transfer-Encoding: ,chunked"), -400),
    CASE("list-empty-member", WITH("Transfer-Encoding: gzip,,chunked"), -400),
    CASE("chunked-parameter", WITH("Transfer-Encoding: chunked;q=1"), -400),
    CASE("chunked-space-parameter", WITH("Transfer-Encoding: chunked ;q=1"), -400),
    CASE("chunked-semicolon", WITH("Transfer-Encoding: chunked;"), -400),
    CASE("chunked-parameter-then-chunked", WITH("Transfer-Encoding: chunked;q=1, chunked"), -400),
    CASE("list-chunked-parameter", WITH("Transfer-Encoding: gzip, chunked;q=1"), -400),
    CASE("chunked-space-chunked", WITH("Transfer-Encoding: chunked chunked"), -400),
    CASE("gzip-space-chunked", WITH("Transfer-Encoding: gzip chunked"), -400),
    CASE("chunked-quoted", WITH("Transfer-Encoding: \"chunked\""), -400),
    CASE("list-chunked-quoted", WITH("Transfer-Encoding: gzip, \"chunked\""), -400),
    CASE("comma-quoted", WITH("Transfer-Encoding: gzip;x=\", chunked\""), -400),
    CASE("xchunked", WITH("Transfer-Encoding: xchunked"), -400),
    CASE("chunkedx", WITH("Transfer-Encoding: chunkedx"), -400),
    CASE("chunke", WITH("Transfer-Encoding: chunke"), -400),
    CASE("obs-text", WITH("Transfer-Encoding: chunked\x80"), -400),
    CASE("list-obs-text", WITH("Transfer-Encoding: \x80, chunked"), -400),
    CASE("vt-before", WITH("Transfer-Encoding: \vchunked"), -400),
    CASE("nul-after", WITH("Transfer-Encoding: chunked\0"), -400),
    CASE("bare-cr-before", WITH("x: y\rTransfer-Encoding: chunked"), -400),
    CASE("space-before-colon", WITH("Transfer-Encoding : chunked"), -400),
    CASE("folded", WITH("Transfer-Encoding:\r\n chunked"), -400),
    CASE("repeated", WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), -400),
    CASE("repeated-identity", WITH("Transfer-Encoding: chunked\r\nTransfer-encoding: identity"),
         -400),
    CASE("repeated-gzip", WITH("Transfer-Encoding: gzip\r\nTransfer-encoding: chunked"), -400),
    CASE("length-first", WITH("Content-Length: 5\r\nTransfer-Encoding: chunked"), -400),
    CASE("length-last", WITH("Transfer-Encoding: chunked\r\nContent-Length: 5"), -400),
    CASE("length-zero", WITH("Transfer-Encoding: chunked\r\nContent-Length: 0"), -400),
    CASE("length-and-gzip", WITH("Transfer-Encoding: gzip\r\nContent-Length: 5"), -400),
    CASE("length-and-list", WITH("Transfer-Encoding: gzip, chunked\r\nContent-Length: 5"), -400),
    CASE("length-and-empty", WITH("Transfer-Encoding:\r\nContent-Length: 5"), -400),
    CASE("http-1.0", GET_10 "Transfer-Encoding: chunked\r\n\r\n", -400),
    CASE("http-1.0-list", GET_10 "Transfer-Encoding: gzip, chunked\r\n\r\n", -400),
    CASE("http-1.0-length", GET_10 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -400),
};

static const struct request_case host[] = {
    CASE("missing", GET_11 "\r\n", -400),
    CASE("missing-in-1.0", GET_10 "\r\n", WHOLE),
    CASE("missing-in-1.2", "GET / HTTP/1.2\r\n\r\n", -400),
    CASE("missing-absolute-form", "GET http://a/ HTTP/1.1\r\n\r\n", -400),
    CASE("missing-absolute-form-1.0", "GET http://a/ HTTP/1.0\r\n\r\n", WHOLE),
    CASE("repeated-absolute-form", "GET http://a/ HTTP/1.1\r\n" HOST HOST "\r\n", -400),
    CASE("bad-absolute-form", "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", -400),
    CASE("different-absolute-form", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", WHOLE),
    CASE("empty-absolute-form", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", WHOLE),
    CASE("repeated", GET_11 HOST HOST "\r\n", -400),
    CASE("repeated-different", GET_11 HOST "host: b\r\n\r\n", -400),
    CASE("repeated-in-1.0", GET_10 HOST HOST "\r\n", -400),
    CASE("empty", HOST_IS(""), WHOLE),
    CASE("blank", HOST_IS(" \t"), WHOLE),
    CASE("name", HOST_IS("www.example.com"), WHOLE),
    CASE("name-port", HOST_IS("www.example.com:8080"), WHOLE),
    CASE("name-empty-port", HOST_IS("www.example.com:"), WHOLE),
    CASE("name-other-bytes", HOST_IS("a-._~!$&'()*+,;=z"), WHOLE),
    CASE("name-percent", HOST_IS("a%2Dz%c3%A4"), WHOLE),
    CASE("ipv4", HOST_IS("127.0.0.1:80"), WHOLE),
    CASE("ipv6", HOST_IS("[::1]"), WHOLE),
    CASE("ipv6-port", HOST_IS("[2001:db8::1]:65535"), WHOLE),
    CASE("ip-future", HOST_IS("[v1.a:b]"), WHOLE),
    CASE("percent-alone", HOST_IS("a%"), -400),
    CASE("percent-one-digit", HOST_IS("a%2"), -400),
    CASE("percent-one-digit-port", HOST_IS("a%2:80"), -400),
    CASE("percent-no-digits", HOST_IS("a%zz"), -400),
    CASE("only-port", HOST_IS(":80"), -400),
    CASE("port-not-a-number", HOST_IS("a:http"), -400),
    CASE("port-signed", HOST_IS("a:+80"), -400),
    CASE("port-too-long", HOST_IS("a:123456"), -400),
    CASE("two-ports", HOST_IS("a:80:80"), -400),
    CASE("user", HOST_IS("user@a"), -400),
    CASE("path", HOST_IS("a/b"), -400),
    CASE("query", HOST_IS("a?b"), -400),
    CASE("url", HOST_IS("http://a"), -400),
    CASE("space-within", HOST_IS("a b"), -400),
    CASE("tab-within", HOST_IS("a\tb"), -400),
    CASE("list", HOST_IS("a, b"), -400),
    CASE("quoted", HOST_IS("\"a\""), -400),
    CASE("backslash", HOST_IS("a\\b"), -400),
    CASE("obs-text", HOST_IS("\xc3\xa4"), -400),
    CASE("ipv6-open", HOST_IS("[::1"), -400),
    CASE("ipv6-empty", HOST_IS("[]"), -400),
    CASE("ipv6-rubbish-after", HOST_IS("[::1]a"), -400),
    CASE("ipv6-bad-byte", HOST_IS("[::1/]"), -400),
    CASE("ipv6-bare", HOST_IS("::1"), -400),
};

static const struct request_case version[] = {
    CASE("1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", WHOLE),
    CASE("1.9", "GET / HTTP/1.9\r\n" HOST "\r\n", WHOLE),
    CASE("0.9", "GET / HTTP/0.9\r\n\r\n", -505),
    CASE("2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", -505),
    CASE("3.1", "GET / HTTP/3.1\r\n" HOST "\r\n", -505),
    CASE("http-2-preface", "PRI * HTTP/2.0\r\n\r\n", -505),
    CASE("lower-case", "GET / http/1.1\r\n" HOST "\r\n", -400),
    CASE("one-digit", "GET / HTTP/1\r\n" HOST "\r\n", -400),
    CASE("two-digits", "GET / HTTP/1.10\r\n" HOST "\r\n", -400),
    CASE("two-digits-major", "GET / HTTP/11.1\r\n" HOST "\r\n", -400),
    CASE("comma", "GET / HTTP/1,1\r\n" HOST "\r\n", -400),
    CASE("letter-major", "GET / HTTP/a.1\r\n" HOST "\r\n", -400),
    CASE("letter-minor", "GET / HTTP/1.a\r\n" HOST "\r\n", -400),
    CASE("obs-text-minor", "GET / HTTP/1.\xb1\r\n" HOST "\r\n", -400),
    CASE("other-protocol", "GET / ICAP/1.1\r\n" HOST "\r\n", -400),
    CASE("no-slash", "GET / HTTP 1.1\r\n" HOST "\r\n", -400),
};

static const struct request_case target[] = {
    CASE("root", TO("/"), WHOLE),
    CASE("two-slashes", TO("//a"), WHOLE),
    CASE("query", TO("/?"), WHOLE),
    CASE("absolute", TO("http://example.com/a?b"), WHOLE),
    CASE("absolute-no-path", TO("http://example.com"), WHOLE),
    CASE("absolute-query-only", TO("http://example.com?b"), WHOLE),
    CASE("absolute-port", TO("http://example.com:80/"), WHOLE),
    CASE("absolute-ipv6", TO("http://[::1]:80/"), WHOLE),
    CASE("absolute-upper-case", TO("HTTP://EXAMPLE.COM/"), WHOLE),
    CASE("absolute-https", TO("https://example.com/"), -421),
    CASE("absolute-options", "OPTIONS http://example.com HTTP/1.1\r\n" HOST "\r\n", WHOLE),
    CASE("asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", WHOLE),
    CASE("no-slash", TO("a"), -400),
    CASE("question-mark", TO("?a"), -400),
    CASE("asterisk-get", TO("*"), -400),
    CASE("asterisk-path", "OPTIONS *a HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("asterisk-lower-case", "options * HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("asterisk-trace", "TRACE * HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("authority-get", TO("example.com:443"), -400),
    CASE("authority-no-port", TO("example.com"), -400),
    CASE("authority-ipv6", TO("[::1]:443"), -400),
    CASE("absolute-no-host", TO("http:///a"), -400),
    CASE("absolute-nothing", TO("http://"), -400),
    CASE("absolute-only-port", TO("http://:80/"), -400),
    CASE("absolute-user", TO("http://user@example.com/"), -400),
    CASE("absolute-bad-port", TO("http://example.com:x/"), -400),
    CASE("absolute-bad-percent", TO("http://a%/"), -400),
    CASE("absolute-one-slash", TO("http:/example.com/"), -400),
    CASE("absolute-other-scheme", TO("ftp://example.com/"), -400),
    CASE("absolute-backslash", TO("http://a\\b/"), -400),
};

/* Refused whatever their target is, but not before the line is known to be a request line. */
static const struct request_case method[] = {
    CASE("connect", "CONNECT example.com:443 HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-ipv6", "CONNECT [::1]:443 HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-1.0", "CONNECT example.com:443 HTTP/1.0\r\n\r\n", -501),
    CASE("connect-no-port", "CONNECT example.com HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-empty-port", "CONNECT example.com: HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-empty-host", "CONNECT :443 HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-path", "CONNECT / HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-asterisk", "CONNECT * HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-absolute", "CONNECT http://a/ HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("connect-no-host", "CONNECT a:1 HTTP/1.1\r\n\r\n", -501),
    CASE("connect-length", "CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", -501),
    CASE("connect-no-target", "CONNECT HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("connect-two-targets", "CONNECT a:1 b:1 HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("connect-no-version", "CONNECT a:1\r\n" HOST "\r\n", -400),
    CASE("connect-bad-version", "CONNECT a:1 HTTP/1.x\r\n" HOST "\r\n", -400),
    CASE("connect-version-2", "CONNECT a:1 HTTP/2.0\r\n" HOST "\r\n", -505),
    CASE("connect-lower-case", "connect / HTTP/1.1\r\n" HOST "\r\n", WHOLE),
    CASE("connect-lower-case-authority", "connect a:1 HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("connect-and-more", "CONNECTS / HTTP/1.1\r\n" HOST "\r\n", WHOLE),
    CASE("trace", "TRACE / HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("trace-1.0", "TRACE / HTTP/1.0\r\n\r\n", -501),
    CASE("trace-absolute", "TRACE http://a/ HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("trace-bad-target", "TRACE a HTTP/1.1\r\n" HOST "\r\n", -501),
    CASE("trace-no-target", "TRACE HTTP/1.1\r\n" HOST "\r\n", -400),
    CASE("trace-bad-version", "TRACE / HTTP/11\r\n" HOST "\r\n", -400),
    CASE("trace-lower-case", "trace / HTTP/1.1\r\n" HOST "\r\n", WHOLE),
    CASE("trace-prefix", "TRAC / HTTP/1.1\r\n" HOST "\r\n", WHOLE),
};

static const struct request_case expect[] = {
    CASE("continue", WITH("Expect: 100-continue\r\nContent-Length: 5"), WHOLE),
    CASE("continue-upper-case", WITH("EXPECT: 100-CONTINUE"), WHOLE),
    CASE("other", WITH("Expect: 200-ok"), -417),
    CASE("empty", WITH("Expect:"), -417),
    CASE("list", WITH("Expect: 100-continue, x"), -417),
    CASE("parameter", WITH("Expect: 100-continue;a=b"), -417),
};

/* --- what an accepted head means --- */

struct meaning {
    const char *bytes;
    int version_minor;
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    uint64_t content_length;
};

static const struct meaning meanings[] = {
    {GET_11 HOST "\r\n", 1, true, false, false, 0},
    {"GET / HTTP/1.7\r\n" HOST "\r\n", 1, true, false, false, 0},
    {GET_10 "\r\n", 0, false, false, false, 0},
    {WITH("Connection: close"), 1, false, false, false, 0},
    {WITH("CONNECTION: CLOSE"), 1, false, false, false, 0},
    {WITH("Connection: keep-alive"), 1, true, false, false, 0},
    {WITH("Connection: keep-alive, close"), 1, false, false, false, 0},
    {WITH("Connection: close\r\nConnection: keep-alive"), 1, false, false, false, 0},
    {WITH("Connection: keep-alive\r\nConnection: close"), 1, false, false, false, 0},
    {WITH("Connection:,, \t,close\t ,,"), 1, false, false, false, 0},
    {WITH("Connection: ,"), 1, true, false, false, 0},
    {WITH("Connection:"), 1, true, false, false, 0},
    {WITH("Connection: Upgrade"), 1, true, false, false, 0},
    {WITH("Connection: closed"), 1, true, false, false, 0},
    {WITH("Connection: clos"), 1, true, false, false, 0},
    {WITH("Connection: not close"), 1, true, false, false, 0},
    {WITH("Connection: \"close\""), 1, true, false, false, 0},
    {WITH("Connection2: close\r\nProxy-Connection: close"), 1, true, false, false, 0},
    {GET_10 "Connection: keep-alive\r\n\r\n", 0, true, false, false, 0},
    {GET_10 "Connection: Keep-Alive, x\r\n\r\n", 0, true, false, false, 0},
    {GET_10 "Connection: keep-alive, close\r\n\r\n", 0, false, false, false, 0},
    {GET_10 "Connection: close\r\n\r\n", 0, false, false, false, 0},
    {GET_10 "Keep-Alive: timeout=5\r\n\r\n", 0, false, false, false, 0},
    {WITH("Expect: 100-continue\r\nContent-Length: 5"), 1, true, true, false, 5},
    {GET_10 "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 0, false, false, false, 5},
    {WITH("Transfer-Encoding: chunked"), 1, true, false, true, 0},
    {WITH("Transfer-Encoding: Chunked\r\nConnection: close"), 1, false, false, true, 0},
    {WITH("Expect: 100-continue\r\nTransfer-Encoding: chunked"), 1, true, true, true, 0},
    {WITH("TE: chunked\r\nTrailer: x"), 1, true, false, false, 0},
    {WITH("Content-Length: 0001048576"), 1, true, false, false, 1048576},
};

static void test_meanings(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++) {
        const struct meaning *meaning = &meanings[i];
        struct http_request request;
        size_t length = strlen(meaning->bytes);
        g_test_message("%s", meaning->bytes);
        g_assert_cmpint(parse(meaning->bytes, length, &request), ==, (int)length);
        g_assert_cmpint(request.version_minor, ==, meaning->version_minor);
        g_assert_cmpint(request.keep_alive, ==, meaning->keep_alive);
        g_assert_cmpint(request.expects_continue, ==, meaning->expects_continue);
        g_assert_cmpint(request.chunked, ==, meaning->chunked);
        g_assert_cmpuint(request.content_length, ==, meaning->content_length);
    }
}

#define ADD(prefix, table) add_request_cases(prefix, table, G_N_ELEMENTS(table))

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/http/framing/content-length", content_length);
    ADD("/http/framing/transfer-encoding", transfer_encoding);
    ADD("/http/framing/host", host);
    ADD("/http/framing/version", version);
    ADD("/http/framing/target", target);
    ADD("/http/framing/method", method);
    ADD("/http/framing/expect", expect);
    g_test_add_func("/http/framing/meanings", test_meanings);
    return g_test_run();
}
