/*
 * The built-in page, through the parser and the response module: 83 bytes for GET and HEAD on every
 * path, 405 with Allow for every other method.
 */
#include "handlers/page.h"
#include "http/response.h"
#include "http_support.h"

#include <glib.h>
#include <string.h>

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";

/* The answer to one request, as text. */
static char *answer_to(const char *bytes)
{
    struct http_request request;
    struct buffer out = {0};
    struct buffer fields = {0};
    struct http_ready ready = {0};
    struct http_date date = {0};
    http_date_renew(&date, 0);
    g_assert_cmpint(parse(bytes, strlen(bytes), &request), ==, (int)strlen(bytes));
    struct http_response response = {.out = &out,
                                     .fields = &fields,
                                     .ready = &ready,
                                     .date = &date,
                                     .head_only = http_request_method_is(&request, "HEAD")};
    http_response_begin(&response);
    int returned = page_handler(&request, &response, NULL);
    g_assert_true(http_response_finish(&response, returned));
    char *text = g_strndup(out.bytes, out.length);
    buffer_free(&out);
    buffer_free(&fields);
    buffer_free(&ready.bytes);
    return text;
}

static void test_page(void)
{
    static const char *const targets[] = {"/", "/any/path?and=query", "http://a", "http://a/b"};
    g_assert_cmpuint(strlen(page), ==, 83);
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autofree char *get = g_strdup_printf("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        g_autofree char *head = g_strdup_printf("HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        g_autofree char *got = answer_to(get);
        g_autofree char *got_head = answer_to(head);
        g_assert_true(g_str_has_prefix(got, "HTTP/1.1 200 OK\r\n"));
        g_assert_nonnull(strstr(got, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
        g_assert_nonnull(strstr(got, "\r\nContent-Length: 83\r\n"));
        g_assert_cmpstr(strstr(got, "\r\n\r\n") + 4, ==, page);
        g_assert_nonnull(strstr(got_head, "\r\nContent-Length: 83\r\n"));
        g_assert_true(g_str_has_suffix(got_head, "\r\n\r\n"));
        g_assert_true(g_str_has_prefix(got, got_head));
    }
}

static void test_other_methods(void)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",   "PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",  "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",    "GETS / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GE / HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autofree char *got = answer_to(requests[i]);
        g_test_message("%s", requests[i]);
        g_assert_true(g_str_has_prefix(got, "HTTP/1.1 405 Method Not Allowed\r\n"));
        g_assert_nonnull(strstr(got, "\r\nAllow: GET, HEAD\r\n"));
        g_assert_cmpstr(strstr(got, "\r\n\r\n") + 4, ==, "405 Method Not Allowed\n");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/page/page", test_page);
    g_test_add_func("/http/page/other-methods", test_other_methods);
    return g_test_run();
}
