/*
 * The limits of the parser at their exact boundaries, and the promise that what a part of a request
 * gives does not depend on where it was cut: never a success, and no error for a request that would
 * be accepted when it comes in one piece.
 */
#include "http/scan.h"
#include "http_support.h"

#include <glib.h>
#include <string.h>

static const struct http_limits small = {
    .head_bytes = 300, .target_bytes = 40, .field_count = 5, .body_bytes = 1000};

static void expect_result(const char *bytes, const struct http_limits *limits, int expected)
{
    const struct request_case request_case = {"", bytes, strlen(bytes), expected};
    size_t length = request_case.length;
    /* All places of small requests, some of the large ones. */
    check_request(&request_case, limits, length < 2000 ? 1 : g_test_quick() ? 499 : 61);
}

/* --- 431: bytes --- */

/* A head of exactly `length` bytes, of two fields. */
static char *head_of(size_t length)
{
    static const char frame[] = GET_11 HOST "x: \r\n\r\n";
    g_autofree char *value = g_strnfill(length - strlen(frame), 'v');
    return g_strconcat(GET_11 HOST "x: ", value, "\r\n\r\n", NULL);
}

static void check_head_bytes(const struct http_limits *limits)
{
    for (int excess = -2; excess <= 70; excess += excess < 3 ? 1 : 33) {
        g_autofree char *head = head_of(limits->head_bytes + (size_t)excess);
        expect_result(head, limits, excess <= 0 ? WHOLE : -431);
        /* The empty line before a request does not count. */
        g_autofree char *after_line = g_strconcat("\r\n", head, NULL);
        expect_result(after_line, limits, excess <= 0 ? WHOLE : -431);
    }
}

static void test_head_bytes(void)
{
    check_head_bytes(&small);
    check_head_bytes(&http_limits_default);
    g_assert_cmpuint(http_limits_default.head_bytes, ==, HTTP_HEAD_MAX);
}

/* Whoever never ends a head learns so at the limit, not later. */
static void test_endless_head(void)
{
    g_autofree char *head = head_of(1000);
    struct http_request request;
    for (size_t length = 0; length < 900; length++)
        g_assert_cmpint(http_parse_request(head, length, &small, &request), ==,
                        length < small.head_bytes ? 0 : -431);
    g_autofree char *large = head_of(40000);
    g_assert_cmpint(parse(large, HTTP_HEAD_MAX - 1, &request), ==, 0);
    g_assert_cmpint(parse(large, HTTP_HEAD_MAX, &request), ==, -431);
    g_assert_cmpint(parse(large, HTTP_HEAD_MAX + 1, &request), ==, -431);
    g_assert_cmpint(parse(large, 39999, &request), ==, -431);
    g_assert_cmpint(parse(large, 40000, &request), ==, -431);
}

/* --- 431: fields --- */

static void check_field_count(const struct http_limits *limits)
{
    for (int excess = -1; excess <= 2; excess++) {
        g_autoptr(GString) head = g_string_new(GET_10);
        for (int i = 0; i < (int)limits->field_count + excess; i++)
            g_string_append(head, "x:y\r\n");
        g_string_append(head, "\r\n");
        expect_result(head->str, limits, excess <= 0 ? WHOLE : -431);
    }
}

static void test_field_count(void)
{
    check_field_count(&small);
    check_field_count(&http_limits_default);
    g_assert_cmpuint(http_limits_default.field_count, ==, HTTP_FIELDS_MAX);
}

/* --- 414 --- */

static void check_target_bytes(const struct http_limits *limits)
{
    for (int excess = -1; excess <= 2; excess++) {
        size_t length = limits->target_bytes + (size_t)excess;
        g_autofree char *path = g_strnfill(length - 1, 'p');
        g_autofree char *origin = g_strconcat("GET /", path, " HTTP/1.1\r\n" HOST "\r\n", NULL);
        expect_result(origin, limits, excess <= 0 ? WHOLE : -414);
        /* The target counts as it was sent, scheme and host included. */
        g_autofree char *absolute = g_strconcat("GET http://a/", path + strlen("http://a"),
                                                " HTTP/1.1\r\n" HOST "\r\n", NULL);
        expect_result(absolute, limits, excess <= 0 ? WHOLE : -414);
    }
}

static void test_target_bytes(void)
{
    check_target_bytes(&small);
    check_target_bytes(&http_limits_default);
}

/* Without a line end in sight the answer comes as soon as no allowed request line is possible. */
static void test_endless_line(void)
{
    struct http_request request;
    g_autofree char *path = g_strnfill(20000, 'p');
    g_autofree char *line = g_strconcat("GET /", path, NULL);
    size_t longest = http_limits_default.target_bytes + 64;
    g_assert_cmpint(parse(line, longest, &request), ==, 0);
    g_assert_cmpint(parse(line, longest + 1, &request), ==, -414);
    g_assert_cmpint(parse(line, 20000, &request), ==, -414);
    /* The end of the line is no reason to wait for the fields. */
    memcpy(line + longest + 1, "\r\n", 2);
    for (size_t length = longest + 1; length < longest + 4; length++)
        g_assert_cmpint(parse(line, length, &request), ==, -414);
    memcpy(line + longest, "\r\n", 2);
    g_assert_cmpint(parse(line, longest + 2, &request), ==, 0);
    g_assert_cmpint(http_parse_request(line, 104, &small, &request), ==, 0);
    g_assert_cmpint(http_parse_request(line, 105, &small, &request), ==, -414);
}

/* --- methods --- */

/* The longest request line that is allowed arrives in pieces too; a longer method is refused in
 * pieces and whole alike. */
static void test_method_bytes(void)
{
    static const size_t lengths[] = {53, 54, 55, 56, 100, 8300, 16000};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *method = g_strnfill(lengths[i], 'M');
        g_autofree char *path = g_strnfill(small.target_bytes - 1, 'p');
        g_autofree char *head = g_strconcat(method, " /", path, " HTTP/1.0\r\n\r\n", NULL);
        struct http_request request;
        size_t length = strlen(head);
        int expected = lengths[i] <= 54 ? (int)length : -501;
        struct http_limits limits = small;
        limits.head_bytes = HTTP_HEAD_MAX;
        g_assert_cmpint(http_parse_request(head, length, &limits, &request), ==, expected);
        for (size_t part = 0; part < length; part++) {
            int result = http_parse_request(head, part, &limits, &request);
            g_assert_true(result == 0 || (expected < 0 && result < 0));
        }
    }
}

/* --- 413 --- */

static void check_body_bytes(const struct http_limits *limits)
{
    for (int excess = -1; excess <= 1; excess++) {
        uint64_t length = (uint64_t)((int64_t)limits->body_bytes + excess);
        g_autofree char *head =
            g_strdup_printf(GET_11 HOST "Content-Length: %" G_GUINT64_FORMAT "\r\n\r\n", length);
        expect_result(head, limits, excess <= 0 ? WHOLE : -413);
    }
}

static void test_body_bytes(void)
{
    struct http_limits none = small;
    struct http_limits most = small;
    none.body_bytes = 1;
    most.body_bytes = 999999999999999998;
    check_body_bytes(&small);
    check_body_bytes(&none);
    check_body_bytes(&most);
    check_body_bytes(&http_limits_default);
    most.body_bytes = UINT64_MAX; /* none: the digits are the limit */
    expect_result(WITH("Content-Length: 999999999999999999"), &most, WHOLE);
    expect_result(WITH("Content-Length: 1000000000000000000"), &most, -400);
    g_assert_cmpuint(http_limits_default.body_bytes, ==, 1 << 20);
}

/* --- random requests: cut anywhere, the verdict is the same --- */

static void append_random_field(GString *head)
{
    static const char *const fields[] = {
        "Content-Length: 5",
        "Content-Length: 1001",
        "Content-Length: 5x",
        "Connection: close",
        "Connection: , ,",
        "Transfer-Encoding: chunked",
        "Expect: y",
        "Host: b",
        "x",
        " fold",
        "x : y",
        "Expect: 100-continue",
        "Transfer-Encoding:",
        "x: \x80",
        "long: 0123456789012345678901234567890123",
    };
    g_string_append(head, fields[g_test_rand_int_range(0, G_N_ELEMENTS(fields))]);
    g_string_append(head, "\r\n");
}

static void test_random(void)
{
    static const char *const lines[] = {
        GET_11,
        GET_10,
        "OPTIONS * HTTP/1.1\r\n",
        "GET /0123456789012345678901234567890123456789 HTTP/1.0\r\n",
        "\r\nHEAD http://a?b HTTP/1.0\r\n",
        "GET / HTTP/2.0\r\n",
    };
    const int rounds = g_test_quick() ? 300 : 10000;
    int accepted = 0;
    for (int round = 0; round < rounds; round++) {
        g_autoptr(GString) head = g_string_new(lines[g_test_rand_int_range(0, 6)]);
        if (g_test_rand_int_range(0, 4))
            g_string_append(head, HOST);
        for (int count = g_test_rand_int_range(0, 7); count > 0; count--) {
            if (g_test_rand_int_range(0, 2))
                append_random_field(head);
            else
                g_string_append(head, "a: b\r\n");
        }
        g_string_append(head, "\r\n");
        struct http_request request;
        int whole = http_parse_request(head->str, head->len, &small, &request);
        g_assert_cmpint(whole, !=, 0);
        accepted += whole > 0;
        for (size_t part = 0; part < head->len; part++) {
            int result = http_parse_request(head->str, part, &small, &request);
            g_assert_true(result == 0 || (whole < 0 && result < 0));
        }
    }
    g_assert_cmpint(accepted, >, 0);
    g_assert_cmpint(accepted, <, rounds);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/limits/head-bytes", test_head_bytes);
    g_test_add_func("/http/limits/endless-head", test_endless_head);
    g_test_add_func("/http/limits/field-count", test_field_count);
    g_test_add_func("/http/limits/target-bytes", test_target_bytes);
    g_test_add_func("/http/limits/endless-line", test_endless_line);
    g_test_add_func("/http/limits/method-bytes", test_method_bytes);
    g_test_add_func("/http/limits/body-bytes", test_body_bytes);
    g_test_add_func("/http/limits/random", test_random);
    return g_test_run();
}
