/*
 * Request bodies: the limits at their exact boundaries, Content-Length, and what a caller learns on
 * the way.
 */
#include "body_support.h"
#include "http_support.h"

#include <string.h>

static const struct http_limits small = {
    .head_bytes = 40, .target_bytes = 40, .field_count = 2, .body_bytes = 20};

/* The status of a chunked body, which must not depend on how it arrives. */
static int status_of(const char *bytes, const struct http_limits *limits)
{
    static const size_t sizes[][2] = {{100000, 1}, {1, 1}, {7, 1}, {250, 9}};
    struct http_request request = chunked_request();
    int status = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct reading reading =
            read_body(&request, bytes, strlen(bytes), limits, sizes[i], 2, SIZE_MAX);
        if (i > 0)
            g_assert_cmpint(reading.status, ==, status);
        status = reading.status;
        reading_free(&reading);
    }
    return status;
}

/* --- the sizes together --- */

static void test_body_bytes(void)
{
    g_assert_cmpint(status_of("14\r\n01234567890123456789\r\n0\r\n\r\n", &small), ==,
                    READING_ENDED);
    g_assert_cmpint(status_of("15\r\n", &small), ==, -413);
    g_assert_cmpint(status_of("15", &small), ==, READING_UNFINISHED);
    g_assert_cmpint(status_of("a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", &small), ==,
                    READING_ENDED);
    g_assert_cmpint(status_of("a\r\n0123456789\r\nb\r\n", &small), ==, -413);
    g_assert_cmpint(status_of("a\r\n0123456789\r\n1\r\n0\r\na\r\n", &small), ==, -413);
    /* Nothing before is forgotten by a sum that wraps around. */
    g_assert_cmpint(status_of("a\r\n0123456789\r\nfffffffffffffff6\r\n", &small), ==, -413);
    g_assert_cmpint(status_of("a\r\n0123456789\r\nffffffffffffffff\r\n", &small), ==, -413);
    g_assert_cmpint(status_of("ffffffffffffffff\r\n", &small), ==, -413);
    g_assert_cmpint(status_of("100000\r\n", &http_limits_default), ==, READING_UNFINISHED);
    g_assert_cmpint(status_of("100001\r\n", &http_limits_default), ==, -413);
}

static void test_no_body_limit(void)
{
    struct http_limits none = small;
    none.body_bytes = UINT64_MAX;
    g_assert_cmpint(status_of("ffffffffffffffff\r\n", &none), ==, READING_UNFINISHED);
    g_assert_cmpint(status_of("a\r\n0123456789\r\nfffffffffffffff5\r\n", &none), ==,
                    READING_UNFINISHED);
    g_assert_cmpint(status_of("a\r\n0123456789\r\nfffffffffffffff6\r\n", &none), ==, -413);
}

/* --- chunk lines and extensions --- */

static void test_line_bytes(void)
{
    for (size_t length = 250; length < 270; length++) {
        g_autofree char *name = g_strnfill(length - 2, 'e');
        g_autofree char *body = g_strconcat("1;", name, "\r\nx\r\n0\r\n\r\n", NULL);
        bool allowed = length <= HTTP_CHUNK_LINE_MAX;
        g_assert_cmpint(status_of(body, &small), ==, allowed ? READING_ENDED : -400);
    }
    /* Whoever never ends it learns so at the limit. */
    g_autofree char *endless = g_strnfill(2000, ' ');
    endless[0] = '1';
    endless[257] = '\0';
    g_assert_cmpint(status_of(endless, &small), ==, READING_UNFINISHED);
    endless[257] = ' ';
    g_assert_cmpint(status_of(endless, &small), ==, -400);
}

/* `chunks` chunks of one byte, each with extensions of 251 bytes, and a last one of `last`. */
static char *extended(int chunks, size_t last)
{
    g_autofree char *name = g_strnfill(250, 'e');
    GString *body = g_string_new(NULL);
    for (int i = 0; i < chunks; i++)
        g_string_append_printf(body, "1;%s\r\nx\r\n", name);
    g_string_append_printf(body, "0;%.*s\r\n\r\n", (int)last - 1, name);
    return g_string_free(body, FALSE);
}

static void test_extension_bytes(void)
{
    enum { CHUNKS = HTTP_EXTENSIONS_MAX / 251, REST = HTTP_EXTENSIONS_MAX % 251 };
    g_autofree char *most = extended(CHUNKS, REST);
    g_autofree char *over = extended(CHUNKS, REST + 1);
    g_assert_cmpint(status_of(most, &http_limits_default), ==, READING_ENDED);
    g_assert_cmpint(status_of(over, &http_limits_default), ==, -413);
    /* Chunks without extensions may be as many as there are bytes. */
    g_autoptr(GString) plain = g_string_new(NULL);
    for (int i = 0; i < 5000; i++)
        g_string_append(plain, "1\r\nx\r\n");
    g_string_append(plain, "0\r\n\r\n");
    g_assert_cmpint(status_of(plain->str, &http_limits_default), ==, READING_ENDED);
}

/* --- trailers --- */

static void test_trailers(void)
{
    g_assert_cmpint(status_of("0\r\na:1\r\nb:2\r\n\r\n", &small), ==, READING_ENDED);
    g_assert_cmpint(status_of("0\r\na:1\r\nb:2\r\nc:3\r\n\r\n", &small), ==, -431);
    g_assert_cmpint(status_of("0\r\nx:0123456789012345678901234567890123\r\n\r\n", &small), ==,
                    READING_ENDED);
    g_assert_cmpint(status_of("0\r\nx:01234567890123456789012345678901234\r\n\r\n", &small), ==,
                    -431);
    g_assert_cmpint(status_of("0\r\nx:01234567890123456789012345678901234567", &small), ==, -431);
    g_assert_cmpint(status_of("0\r\nx:0123456789012345678901234567890123456", &small), ==,
                    READING_UNFINISHED);
}

/* Where a call finds them, in its own bytes. */
static void test_trailer_place(void)
{
    static const char bytes[] = "1\r\na\r\n0\r\nx: y\r\n\r\nGET";
    struct http_request request = chunked_request();
    struct http_body body;
    size_t piece;
    http_body_begin(&body, &request);
    g_assert_cmpint(http_body_next(&body, bytes, sizeof(bytes) - 1, &small, &piece), ==, 3);
    g_assert_cmpuint(piece, ==, 1);
    g_assert_cmpuint(body.total, ==, 1);
    g_assert_cmpuint(body.trailer_length, ==, 0);
    http_body_take(&body, 1);
    g_assert_false(http_body_ended(&body));
    g_assert_cmpint(http_body_next(&body, bytes + 4, sizeof(bytes) - 5, &small, &piece), ==, 13);
    g_assert_cmpuint(piece, ==, 0);
    g_assert_true(http_body_ended(&body));
    g_assert_cmpmem(bytes + 4 + body.trailer_at, body.trailer_length, "x: y\r\n", 6);
    /* And then no more, however often it is asked. */
    g_assert_cmpint(http_body_next(&body, bytes + 17, 3, &small, &piece), ==, 0);
    g_assert_cmpuint(piece, ==, 0);
    g_assert_cmpuint(body.trailer_length, ==, 6);
}

/* --- Content-Length --- */

static void check_length(uint64_t length, size_t bytes, size_t size, size_t take_max)
{
    struct http_request request = length_request(length);
    g_autofree char *sent = g_strnfill(bytes, '\n');
    struct reading reading = read_body(&request, sent, bytes, &small, &size, 1, take_max);
    size_t taken = length < bytes ? (size_t)length : bytes;
    g_assert_cmpint(reading.status, ==, length <= bytes ? READING_ENDED : READING_UNFINISHED);
    g_assert_cmpuint(reading.consumed, ==, taken);
    g_assert_cmpmem(reading.data->str, reading.data->len, sent, taken);
    g_assert_cmpuint(reading.trailers->len, ==, 0);
    g_assert_cmpuint(reading.total, ==, length);
    reading_free(&reading);
}

static void test_content_length(void)
{
    static const uint64_t lengths[] = {0, 1, 2, 9, 10, 20};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        for (size_t bytes = 0; bytes < 25; bytes++) {
            for (size_t size = 1; size < 26; size += 3) {
                check_length(lengths[i], bytes, size, SIZE_MAX);
                check_length(lengths[i], bytes, size, 2);
            }
        }
    }
}

/* 18 digits are more than any memory: only the count is there. */
static void test_huge_length(void)
{
    struct http_request request = length_request(999999999999999999);
    struct http_limits none = small;
    struct http_body body;
    size_t piece;
    none.body_bytes = UINT64_MAX;
    http_body_begin(&body, &request);
    g_assert_cmpint(http_body_next(&body, "", 0, &none, &piece), ==, 0);
    g_assert_cmpuint(piece, ==, 0);
    g_assert_cmpint(http_body_next(&body, "abc", 3, &none, &piece), ==, 0);
    g_assert_cmpuint(piece, ==, 3);
    http_body_take(&body, 0);
    http_body_take(&body, 2);
    g_assert_cmpuint(body.left, ==, 999999999999999997);
    g_assert_cmpuint(body.total, ==, 999999999999999999);
    g_assert_false(http_body_ended(&body));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/body-limits/body-bytes", test_body_bytes);
    g_test_add_func("/http/body-limits/no-body-limit", test_no_body_limit);
    g_test_add_func("/http/body-limits/line-bytes", test_line_bytes);
    g_test_add_func("/http/body-limits/extension-bytes", test_extension_bytes);
    g_test_add_func("/http/body-limits/trailers", test_trailers);
    g_test_add_func("/http/body-limits/trailer-place", test_trailer_place);
    g_test_add_func("/http/body-limits/content-length", test_content_length);
    g_test_add_func("/http/body-limits/huge-length", test_huge_length);
    return g_test_run();
}
