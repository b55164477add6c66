/*
 * Answers: their bytes, their framing, what a handler may not do to them, and memory that ends.
 */
#include "exchange_support.h"
#include "http/status.h"
#include "memory_support.h"

#include <errno.h>
#include <glib.h>

/* --- a response to write --- */

struct fixture {
    struct lone lone;
    struct http_response *response;
};

static void set_up(struct fixture *fixture, const void *data)
{
    (void)data;
    lone_init(&fixture->lone);
    fixture->response = &fixture->lone.exchange.response;
    lone_begin(&fixture->lone);
}

static void tear_down(struct fixture *fixture, const void *data)
{
    (void)data;
    failures_due = 0;
    lone_fini(&fixture->lone);
}

/* Exactly these bytes have been written, with the Server and Date fields after the status line. */
static void expect_answer(struct fixture *fixture, const char *status_line, const char *rest)
{
    g_autofree char *common =
        g_strndup(http_date_common(&fixture->lone.date), (size_t)HTTP_COMMON_LENGTH);
    g_autofree char *expected = g_strconcat(status_line, "\r\n", common, rest, NULL);
    g_autofree char *written = g_strndup(fixture->lone.out.bytes, fixture->lone.out.length);
    g_assert_cmpstr(written, ==, expected);
    g_assert_cmpuint(fixture->lone.out.length, ==, strlen(expected));
    fixture->lone.out.length = 0;
    lone_begin(&fixture->lone);
}

static int respond(struct fixture *fixture, int status, const char *body)
{
    return http_respond(fixture->response, status, "text/plain", body, strlen(body));
}

/* --- framing --- */

static void test_ok(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(respond(fixture, 200, "hello"), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    g_assert_cmpint(respond(fixture, 404, "no\r\n\r\n"), ==, 404);
    expect_answer(fixture, "HTTP/1.1 404 Not Found",
                  "Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nno\r\n\r\n");
}

static void test_common_fields(struct fixture *fixture, const void *data)
{
    (void)data;
    const char *common = http_date_common(&fixture->lone.date);
    g_assert_true(g_str_has_prefix(common, "Server: coreactor\r\nDate: "));
    g_assert_true(strncmp(common + HTTP_COMMON_LENGTH - 6, " GMT\r\n", 6) == 0);
}

static void test_no_body(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(http_respond(fixture->response, 200, NULL, NULL, 0), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK", "Content-Length: 0\r\n\r\n");
    g_assert_cmpint(http_respond(fixture->response, 201, NULL, "x", 1), ==, 201);
    expect_answer(fixture, "HTTP/1.1 201 Created", "Content-Length: 1\r\n\r\nx");
}

/* What GET would say, without the body (RFC 9110 section 9.3.2). */
static void test_head(struct fixture *fixture, const void *data)
{
    (void)data;
    fixture->response->head_only = true;
    g_assert_cmpint(respond(fixture, 200, "hello"), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    lone_return(&fixture->lone, 404);
    expect_answer(fixture, "HTTP/1.1 404 Not Found",
                  "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n");
}

/* 204 has no Content-Length (RFC 9110 section 8.6), and nothing after the fields of either. */
static void test_bodiless(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(http_response_header(fixture->response, "ETag", "\"1\""), ==, 0);
    g_assert_cmpint(respond(fixture, 304, "body"), ==, 304);
    expect_answer(fixture, "HTTP/1.1 304 Not Modified", "ETag: \"1\"\r\n\r\n");
    fixture->response->close = true;
    g_assert_cmpint(respond(fixture, 204, "body"), ==, 204);
    expect_answer(fixture, "HTTP/1.1 204 No Content", "Connection: close\r\n\r\n");
}

/* The client is told that there is no content (RFC 9110 section 15.3.6). */
static void test_reset_content(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(respond(fixture, 205, "body"), ==, 205);
    g_autofree char *written = g_strndup(fixture->lone.out.bytes, fixture->lone.out.length);
    g_assert_nonnull(strstr(written, "\r\nContent-Length: 0\r\n"));
    g_assert_true(g_str_has_suffix(written, "\r\n\r\n"));
}

static void test_connection(struct fixture *fixture, const void *data)
{
    (void)data;
    fixture->response->say_keep_alive = true;
    g_assert_cmpint(respond(fixture, 200, ""), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 0\r\n"
                  "Connection: keep-alive\r\n\r\n");
    fixture->response->close = true; /* wins */
    g_assert_cmpint(respond(fixture, 200, ""), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n");
    fixture->response->say_keep_alive = false;
    lone_return(&fixture->lone, 400);
    expect_answer(fixture, "HTTP/1.1 400 Bad Request",
                  "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 16\r\n"
                  "Connection: close\r\n\r\n400 Bad Request\n");
}

static void test_lengths(struct fixture *fixture, const void *data)
{
    (void)data;
    static const size_t lengths[] = {0, 1, 9, 10, 99, 100, 255, 256, 65535, 1000000};
    g_autofree char *body = g_malloc(1000000);
    memset(body, 'b', 1000000);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *text = g_strndup(body, lengths[i]);
        g_autofree char *rest = g_strdup_printf("Content-Length: %zu\r\n\r\n%s", lengths[i], text);
        g_assert_cmpint(http_respond(fixture->response, 200, NULL, body, lengths[i]), ==, 200);
        expect_answer(fixture, "HTTP/1.1 200 OK", rest);
    }
}

/* Answers to pipelined requests follow each other. */
static void test_appends(struct fixture *fixture, const void *data)
{
    (void)data;
    size_t before = 0;
    for (int i = 0; i < 2000; i++) {
        lone_begin(&fixture->lone);
        g_assert_cmpint(respond(fixture, 200 + i % 400, "body"), ==, 200 + i % 400);
        const char *answer = fixture->lone.out.bytes + before;
        g_assert_true(strncmp(answer, "HTTP/1.1 ", 9) == 0);
        g_autofree char *status = g_strdup_printf("%d", 200 + i % 400);
        g_assert_cmpmem(answer + 9, 3, status, 3);
        before = fixture->lone.out.length;
    }
}

/* --- statuses --- */

static void test_every_status(struct fixture *fixture, const void *data)
{
    (void)data;
    for (int status = -1; status <= 1000; status++) {
        fixture->lone.out.length = 0;
        lone_begin(&fixture->lone);
        int result = respond(fixture, status, "");
        if (status < HTTP_STATUS_MIN || status > HTTP_STATUS_MAX) {
            g_assert_cmpint(result, ==, -EINVAL);
            g_assert_cmpuint(fixture->lone.out.length, ==, 0);
            continue;
        }
        const char *reason = http_status_reason(status);
        g_autofree char *line = g_strdup_printf("HTTP/1.1 %d %s\r\n", status, reason);
        g_assert_cmpint(result, ==, status);
        g_assert_true(strncmp(fixture->lone.out.bytes, line, strlen(line)) == 0);
        g_assert_cmpuint(strlen(reason), >, 0);
        g_assert_cmpuint(strcspn(reason, "\r\n"), ==, strlen(reason));
    }
}

static void test_reasons(struct fixture *fixture, const void *data)
{
    (void)fixture, (void)data;
    g_assert_cmpstr(http_status_reason(200), ==, "OK");
    g_assert_cmpstr(http_status_reason(405), ==, "Method Not Allowed");
    g_assert_cmpstr(http_status_reason(413), ==, "Content Too Large");
    g_assert_cmpstr(http_status_reason(431), ==, "Request Header Fields Too Large");
    g_assert_cmpstr(http_status_reason(505), ==, "HTTP Version Not Supported");
    g_assert_cmpstr(http_status_reason(299), ==, "Unknown");
    g_assert_cmpstr(http_status_reason(0), ==, "Unknown");
}

/* --- fields of the handler --- */

static void test_fields(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(http_response_header(fixture->response, "Allow", "GET, HEAD"), ==, 0);
    g_assert_cmpint(http_response_header(fixture->response, "X-Empty", ""), ==, 0);
    g_assert_cmpint(http_response_header(fixture->response, "Set-Cookie", "a=1"), ==, 0);
    g_assert_cmpint(http_response_header(fixture->response, "Set-Cookie", "b=\xc3\xa4\t2"), ==, 0);
    lone_return(&fixture->lone, 405);
    expect_answer(
        fixture, "HTTP/1.1 405 Method Not Allowed",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n"
        "Allow: GET, HEAD\r\nX-Empty: \r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xc3\xa4\t2\r\n"
        "\r\n405 Method Not Allowed\n");
    /* They do not show up in the next answer. */
    g_assert_cmpint(respond(fixture, 200, ""), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
}

/* The framing belongs to the library, in any spelling. */
static void test_reserved_fields(struct fixture *fixture, const void *data)
{
    (void)data;
    static const char *const names[] = {"Connection",     "Content-Length",    "Date",
                                        "Server",         "Transfer-Encoding", "TRANSFER-ENCODING",
                                        "cONTENT-lENGTH", "Content-Type"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpint(http_response_header(fixture->response, names[i], "0"), ==, -EINVAL);
    g_assert_cmpint(http_response_header(fixture->response, "Content-Length-", "0"), ==, 0);
    g_assert_cmpint(http_response_header(fixture->response, "Content-Lengt", "0"), ==, 0);
    g_assert_cmpuint(fixture->lone.exchange.fields.length, ==,
                     strlen("Content-Length-: 0\r\nContent-Lengt: 0\r\n"));
}

static bool is_tchar(int byte)
{
    return g_ascii_isalnum(byte) || strchr("!#$%&'*+-.^_`|~", byte);
}

static bool is_value_byte(int byte)
{
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

/* Every byte in a name, a value and a content type, at their ends and within. */
static void test_injection(struct fixture *fixture, const void *data)
{
    (void)data;
    for (int byte = 1; byte < 256; byte++) {
        for (int at = 0; at < 3; at++) {
            char text[4] = "abc";
            text[at] = (char)byte;
            bool blank_end = at != 1 && (byte == ' ' || byte == '\t');
            int value_result = is_value_byte(byte) && !blank_end ? 0 : -EINVAL;
            lone_begin(&fixture->lone);
            g_assert_cmpint(http_response_header(fixture->response, text, "v"), ==,
                            is_tchar(byte) ? 0 : -EINVAL);
            g_assert_cmpint(http_response_header(fixture->response, "n", text), ==, value_result);
            int result = http_respond(fixture->response, 200, text, "", 0);
            g_assert_cmpint(result, ==, value_result ? -EINVAL : 200);
            g_assert_cmpint(fixture->response->status, ==, value_result ? 0 : 200);
            g_assert_true(!value_result || fixture->lone.out.length == 0);
            fixture->lone.out.length = 0;
        }
    }
    lone_begin(&fixture->lone);
    g_assert_cmpint(http_response_header(fixture->response, "", "v"), ==, -EINVAL);
    g_assert_cmpint(http_response_header(fixture->response, "a\r\nb", "v"), ==, -EINVAL);
    g_assert_cmpint(http_response_header(fixture->response, "a", "v\r\nb: c"), ==, -EINVAL);
    g_assert_cmpint(http_respond(fixture->response, 200, "a\r\nb: c", "", 0), ==, -EINVAL);
    g_assert_cmpuint(fixture->lone.exchange.fields.length, ==, 0);
    lone_return(&fixture->lone, -EINVAL);
    g_assert_true(g_str_has_prefix(fixture->lone.out.bytes, "HTTP/1.1 500 "));
}

/* --- what handlers return --- */

static void test_garbage_returned(struct fixture *fixture, const void *data)
{
    (void)data;
    static const int returned[] = {0,       1,         -1,   100,     199,       200,      204,
                                   304,     399,       600,  999,     40400,     -404,     -EINVAL,
                                   -ENOMEM, -EALREADY, 4000, 599 + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < G_N_ELEMENTS(returned); i++) {
        /* A field that was meant for another answer goes. */
        g_assert_cmpint(http_response_header(fixture->response, "Location", "/"), ==, 0);
        lone_return(&fixture->lone, returned[i]);
        g_assert_cmpint(fixture->response->status, ==, 500);
        expect_answer(fixture, "HTTP/1.1 500 Internal Server Error",
                      "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 26\r\n\r\n"
                      "500 Internal Server Error\n");
    }
}

static void test_bare_status(struct fixture *fixture, const void *data)
{
    (void)data;
    for (int status = 400; status <= 599; status++) {
        g_autofree char *line =
            g_strdup_printf("HTTP/1.1 %d %s", status, http_status_reason(status));
        const char *text = line + strlen("HTTP/1.1 ");
        g_autofree char *rest = g_strdup_printf("Content-Type: text/plain; charset=utf-8\r\n"
                                                "Content-Length: %zu\r\nX: y\r\n\r\n%s\n",
                                                strlen(text) + 1, text);
        g_assert_cmpint(http_response_header(fixture->response, "X", "y"), ==, 0);
        lone_return(&fixture->lone, status);
        expect_answer(fixture, line, rest);
    }
}

/* The first answer stands, whatever happens after it. */
static void test_answering_twice(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(respond(fixture, 200, "1"), ==, 200);
    g_assert_cmpint(respond(fixture, 404, "2"), ==, -EALREADY);
    g_assert_cmpint(respond(fixture, 200, "3"), ==, -EALREADY);
    g_assert_cmpint(respond(fixture, 1000, "4"), <, 0);
    g_assert_cmpint(http_response_header(fixture->response, "X", "5"), ==, -EALREADY);
    lone_return(&fixture->lone, -EALREADY);
    lone_return(&fixture->lone, 503);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n1");
}

static void test_refused_then_answered(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(respond(fixture, 199, "1"), ==, -EINVAL);
    g_assert_cmpint(respond(fixture, 202, "2"), ==, 202);
    expect_answer(fixture, "HTTP/1.1 202 Accepted",
                  "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n2");
}

/* --- out of memory --- */

static void test_memory_for_answer(struct fixture *fixture, const void *data)
{
    (void)data;
    failures_due = 1;
    int returned = respond(fixture, 200, "hello");
    g_assert_cmpint(returned, ==, -ENOMEM);
    g_assert_cmpint(fixture->response->status, ==, 0);
    g_assert_cmpuint(fixture->lone.out.length, ==, 0);
    lone_return(&fixture->lone, returned);
    g_assert_true(g_str_has_prefix(fixture->lone.out.bytes, "HTTP/1.1 500 "));
    buffer_free(&fixture->lone.out);
    lone_begin(&fixture->lone);
    failures_due = 2;
    g_assert_cmpint(respond(fixture, 200, "hello"), ==, -ENOMEM);
    lone_return(&fixture->lone, -ENOMEM);
    g_assert_true(fixture->response->torn);
    g_assert_cmpuint(fixture->lone.out.length, ==, 0);
}

/* What was collected before stays as it is. */
static void test_memory_for_later_answer(struct fixture *fixture, const void *data)
{
    (void)data;
    g_autofree char *large = g_strnfill(100000, 'l');
    g_assert_cmpint(respond(fixture, 200, "first"), ==, 200);
    size_t length = fixture->lone.out.length;
    g_autofree char *before = g_strndup(fixture->lone.out.bytes, length);
    lone_begin(&fixture->lone);
    failures_due = 1;
    g_assert_cmpint(respond(fixture, 200, large), ==, -ENOMEM);
    g_assert_cmpmem(fixture->lone.out.bytes, fixture->lone.out.length, before, length);
    g_assert_cmpint(http_respond(fixture->response, 200, NULL, large, SIZE_MAX), ==, -ENOMEM);
    g_assert_cmpint(http_respond(fixture->response, 200, NULL, large, SIZE_MAX - 500), ==, -ENOMEM);
    g_assert_cmpmem(fixture->lone.out.bytes, fixture->lone.out.length, before, length);
    g_assert_cmpint(respond(fixture, 200, large), ==, 200);
    g_assert_cmpmem(fixture->lone.out.bytes, length, before, length);
}

static void test_memory_for_fields(struct fixture *fixture, const void *data)
{
    (void)data;
    g_autofree char *large = g_strnfill(1000, 'l');
    g_assert_cmpint(http_response_header(fixture->response, "A", "b"), ==, 0);
    failures_due = 1;
    g_assert_cmpint(http_response_header(fixture->response, "Large", large), ==, -ENOMEM);
    g_assert_cmpmem(fixture->lone.exchange.fields.bytes, fixture->lone.exchange.fields.length,
                    "A: b\r\n", 6);
    g_assert_cmpint(respond(fixture, 200, ""), ==, 200);
    expect_answer(fixture, "HTTP/1.1 200 OK",
                  "Content-Type: text/plain\r\nContent-Length: 0\r\nA: b\r\n\r\n");
}

#define ADD(name, test) \
    g_test_add("/http/response/" name, struct fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("ok", test_ok);
    ADD("common-fields", test_common_fields);
    ADD("no-body", test_no_body);
    ADD("head", test_head);
    ADD("bodiless", test_bodiless);
    ADD("reset-content", test_reset_content);
    ADD("connection", test_connection);
    ADD("lengths", test_lengths);
    ADD("appends", test_appends);
    ADD("every-status", test_every_status);
    ADD("reasons", test_reasons);
    ADD("fields", test_fields);
    ADD("reserved-fields", test_reserved_fields);
    ADD("injection", test_injection);
    ADD("garbage-returned", test_garbage_returned);
    ADD("bare-status", test_bare_status);
    ADD("answering-twice", test_answering_twice);
    ADD("refused-then-answered", test_refused_then_answered);
    ADD("memory-for-answer", test_memory_for_answer);
    ADD("memory-for-later-answer", test_memory_for_later_answer);
    ADD("memory-for-fields", test_memory_for_fields);
    return g_test_run();
}
