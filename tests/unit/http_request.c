/*
 * What a handler learns about a request: method, path, query and fields.
 */
#include "http/request.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

/* The request is on a page of its own that ends where the head ends. */
static struct guarded guarded;
static struct http_request request;

static void accept(const char *bytes)
{
    size_t length = strlen(bytes);
    g_assert_cmpint(parse(guarded_at_end(&guarded, bytes, length), length, &request), ==,
                    (int)length);
}

/* NULL for an absent text, which is not the same as an empty one. */
static void expect_text(struct http_text text, const char *expected)
{
    if (!expected) {
        g_assert_null(text.bytes);
        g_assert_cmpuint(text.length, ==, 0);
        return;
    }
    g_assert_nonnull(text.bytes);
    g_assert_cmpmem(text.bytes, text.length, expected, strlen(expected));
}

static void expect_header(const char *name, const char *expected)
{
    expect_text(http_request_header(&request, name), expected);
}

static void test_method(void)
{
    accept("GET / HTTP/1.0\r\n\r\n");
    expect_text(http_request_method(&request), "GET");
    g_assert_true(http_request_method_is(&request, "GET"));
    g_assert_false(http_request_method_is(&request, "get"));
    g_assert_false(http_request_method_is(&request, "GE"));
    g_assert_false(http_request_method_is(&request, "G"));
    g_assert_false(http_request_method_is(&request, ""));
    g_assert_false(http_request_method_is(&request, "GETS"));
    g_assert_false(http_request_method_is(&request, "GET "));
    g_assert_false(http_request_method_is(&request, "GET / HTTP/1.0"));
    g_assert_false(http_request_method_is(&request, "HEAD"));
    accept("get / HTTP/1.0\r\n\r\n");
    expect_text(http_request_method(&request), "get");
    g_assert_false(http_request_method_is(&request, "GET"));
    accept("\r\nM-SEARCH / HTTP/1.0\r\n\r\n");
    expect_text(http_request_method(&request), "M-SEARCH");
    g_assert_true(http_request_method_is(&request, "M-SEARCH"));
}

struct target_case {
    const char *method;
    const char *target;
    const char *path;
    const char *query;
};

static const struct target_case targets[] = {
    {"GET", "/", "/", NULL},
    {"GET", "/a/b", "/a/b", NULL},
    {"GET", "/a?b", "/a", "b"},
    {"GET", "/a?", "/a", ""},
    {"GET", "/?", "/", ""},
    {"GET", "/?b", "/", "b"},
    {"GET", "/a?b?c", "/a", "b?c"},
    {"GET", "/a?b/c", "/a", "b/c"},
    {"GET", "/%41%3fb?%3f", "/%41%3fb", "%3f"},
    {"GET", "//a//", "//a//", NULL},
    {"GET", "/../a/./", "/../a/./", NULL},
    {"GET", "/http://b/", "/http://b/", NULL},
    {"GET", "http://h/a?b", "/a", "b"},
    {"GET", "http://h:80/", "/", NULL},
    {"GET", "http://h", "/", NULL},
    {"GET", "http://h?b", "/", "b"},
    {"GET", "http://h?", "/", ""},
    {"GET", "http://h?b/c", "/", "b/c"},
    {"GET", "http://[::1]:1/a", "/a", NULL},
    {"OPTIONS", "*", "*", NULL},
    {"OPTIONS", "http://h", "/", NULL},
    {"OPTIONS", "/*?*", "/*", "*"},
};

static void test_target(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        const struct target_case *target = &targets[i];
        for (int skip = 0; skip < 2; skip++) {
            g_autofree char *head =
                g_strdup_printf("%s%s %s HTTP/1.1\r\nHost: h\r\n\r\n", skip ? "\r\n" : "",
                                target->method, target->target);
            g_test_message("%s %s", target->method, target->target);
            accept(head);
            expect_text(http_request_path(&request), target->path);
            expect_text(http_request_query(&request), target->query);
            expect_text(http_request_text(&request, request.target), target->target);
            expect_header("host", "h");
        }
    }
}

struct host_case {
    const char *target;
    const char *fields;
    const char *host; /* NULL for none */
};

static const struct host_case hosts[] = {
    {"/", "Host: h:1\r\n", "h:1"},
    {"/", "x: y\r\nHOST:\t [::1] \r\nx: y\r\n", "[::1]"},
    {"/", "Host:\r\n", ""},
    {"/", "Host: \t\r\n", ""},
    {"/", "", NULL},
    {"/", "Hosts: h\r\n", NULL},
    {"/http://a/", "Host: h\r\n", "h"},
    {"http://a", "Host: h\r\n", "a"},
    {"http://a/", "Host:\r\n", "a"},
    {"http://a:80/b?c", "Host: h:8080\r\n", "a:80"},
    {"http://a:?b", "Host: h\r\n", "a:"},
    {"http://[::1]:1/b", "Host: h\r\n", "[::1]:1"},
    {"http://a/", "", "a"},
};

/* In HTTP/1.0, where Host may be absent. */
static void test_host(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        const struct host_case *host = &hosts[i];
        for (int skip = 0; skip < 2; skip++) {
            g_autofree char *head = g_strdup_printf("%sGET %s HTTP/1.0\r\n%s\r\n",
                                                    skip ? "\r\n" : "", host->target, host->fields);
            g_test_message("%s", head);
            memset(&request, 0xff, sizeof(request));
            accept(head);
            g_assert_cmpint(request.has_host, ==, host->host != NULL);
            if (request.has_host)
                expect_text(http_request_text(&request, request.host), host->host);
        }
    }
}

static void test_header(void)
{
    accept("GET / HTTP/1.1\r\nHost: h:1\r\nAccept:*/*\r\nX-Empty:\r\nX-Blank: \t \r\n"
           "x-padded: \t a  b\t \r\nX: first\r\nx: second\r\nX-Long-Name: 1\r\nX-Long: 2\r\n"
           "!#$%&'*+-.^_`|~: 3\r\n\r\n");
    expect_header("Host", "h:1");
    expect_header("host", "h:1");
    expect_header("HOST", "h:1");
    expect_header("Accept", "*/*");
    expect_header("X-Empty", "");
    expect_header("X-Blank", "");
    expect_header("X-Padded", "a  b");
    expect_header("x", "first");
    expect_header("X-Long", "2");
    expect_header("x-long-name", "1");
    expect_header("!#$%&'*+-.^_`|~", "3");
    expect_header("X-Long-Nam", NULL);
    expect_header("X-Long-Name2", NULL);
    expect_header("Hos", NULL);
    expect_header("Hosts", NULL);
    expect_header("", NULL);
    expect_header(":", NULL);
    expect_header("h:1", NULL);
}

/* Only letters have a case: '@' and '`', '[' and '{', '^' and '~' differ by the same bit. */
static void test_header_case(void)
{
    accept("GET / HTTP/1.0\r\na^b`c: 1\r\n\r\n");
    expect_header("A^B`C", "1");
    expect_header("a~b`c", NULL);
    expect_header("a^b@c", NULL);
    accept("GET / HTTP/1.0\r\nA~B|C: 1\r\n\r\n");
    expect_header("a~b|c", "1");
    expect_header("a^b|c", NULL);
    expect_header("a~b\\c", NULL);
}

static void test_header_none(void)
{
    accept("GET / HTTP/1.0\r\n\r\n");
    expect_header("Host", NULL);
    expect_header("", NULL);
}

static void test_header_many(void)
{
    g_autoptr(GString) head = g_string_new("GET / HTTP/1.0\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        g_string_append_printf(head, "X-%d: v%d\r\n", i, i);
    g_string_append(head, "\r\n");
    accept(head->str);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("x-%d", i);
        g_autofree char *value = g_strdup_printf("v%d", i);
        expect_header(name, value);
    }
    expect_header("x-100", NULL);
}

static void test_text_is(void)
{
    g_assert_true(http_text_is((struct http_text){"CLOSE", 5}, "close"));
    g_assert_true(http_text_is((struct http_text){"closed", 5}, "close"));
    g_assert_true(http_text_is((struct http_text){NULL, 0}, ""));
    g_assert_false(http_text_is((struct http_text){NULL, 0}, "close"));
    g_assert_false(http_text_is((struct http_text){"close", 4}, "close"));
    g_assert_false(http_text_is((struct http_text){"closed", 6}, "close"));
    g_assert_false(http_text_is((struct http_text){"close", 5}, ""));
    g_assert_false(http_text_is((struct http_text){"\x83lose", 5}, "close"));
    g_assert_false(http_text_is((struct http_text){"C\x0cOSE", 5}, "close"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    g_test_add_func("/http/request/method", test_method);
    g_test_add_func("/http/request/target", test_target);
    g_test_add_func("/http/request/host", test_host);
    g_test_add_func("/http/request/header", test_header);
    g_test_add_func("/http/request/header-case", test_header_case);
    g_test_add_func("/http/request/header-none", test_header_none);
    g_test_add_func("/http/request/header-many", test_header_many);
    g_test_add_func("/http/request/text-is", test_text_is);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
