/* The built-in page, through the parser and the response module: 83 bytes for GET and HEAD. */
#include "exchange_support.h"
#include "handlers/page.h"

#include <glib.h>
#include <string.h>

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";

/* The answer to one request, as text. */
static char *answer_to(const char *bytes)
{
    struct lone lone;
    lone_init(&lone);
    lone_parse(&lone, bytes);
    lone_answer(&lone, page_handler);
    g_assert_cmpuint(lone.complaints, ==, 0);
    char *text = g_strndup(lone.out.bytes, lone.out.length);
    lone_fini(&lone);
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
        /* But for the date: a second may have passed. */
        g_assert_true(g_str_has_prefix(strstr(got, "\r\nContent-Type"),
                                       strstr(got_head, "\r\nContent-Type")));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/page/page", test_page);
    return g_test_run();
}
