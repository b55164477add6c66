/*
 * What handlers read of a request: decoded, combined, and one field after the other; and that
 * memory that ends looks like absence.
 */
#include "exchange_support.h"

#include <glib.h>
#include <string.h>

static bool allocations_fail;

void *wrap_malloc(size_t length) __asm__("__wrap_malloc");
void *real_malloc(size_t length) __asm__("__real_malloc");

void *wrap_malloc(size_t length)
{
    return allocations_fail ? NULL : real_malloc(length);
}

static bool is_absent(struct http_text text)
{
    return !text.bytes;
}

static void expect(struct http_text text, const char *expected)
{
    if (!expected) {
        g_assert_true(is_absent(text));
        return;
    }
    g_assert_nonnull(text.bytes);
    g_assert_cmpmem(text.bytes, text.length, expected, strlen(expected));
}

/* A request that was parsed, and arrived at a handler. */
static struct http_request *request_of(struct lone *lone, const char *head)
{
    lone_init(lone);
    lone_parse(lone, head);
    http_exchange_begin(&lone->exchange, false, false);
    return &lone->exchange.request;
}

#define TARGET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* --- query --- */

static void test_query_value(void)
{
    static const struct {
        const char *target;
        const char *value; /* of the name "a b" */
    } cases[] = {
        {TARGET("/"), NULL},
        {TARGET("/?"), NULL},
        {TARGET("/?a+b"), ""},
        {TARGET("/?a+b="), ""},
        {TARGET("/?a+b=c"), "c"},
        {TARGET("/?a%20b=c+d%26%3d"), "c d&="},
        {TARGET("/?x=1&&a+b=2&a+b=3"), "2"},
        {TARGET("/?a+b=c=d?e"), "c=d?e"},
        {TARGET("/?a=1&b=2"), NULL},
        {TARGET("/?A+b=1"), NULL},
        {TARGET("/?a+bc=1"), NULL},
        {TARGET("/?a+b=%4"), NULL},
        {TARGET("/?%zz=1&a+b=2"), "2"},
        {TARGET("http://h/p?a+b=2"), "2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct lone lone;
        struct http_request *request = request_of(&lone, cases[i].target);
        g_test_message("%s", cases[i].target);
        expect(http_request_query_value(request, "a b"), cases[i].value);
        lone_fini(&lone);
    }
}

static void test_query_next(void)
{
    static const char *const pairs[][2] = {{"a", "1"},  {"", "2"},   {"b c", ""},
                                           {"d", NULL}, {NULL, "3"}, {"a", "4"}};
    struct lone lone;
    struct http_request *request = request_of(&lone, TARGET("/?a=1&=2&&b+c&d=%&%=3&a=4&"));
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_assert_true(http_request_query_next(request, &cursor, &name, &value));
        expect(name, pairs[i][0]);
        expect(value, pairs[i][1]);
    }
    g_assert_false(http_request_query_next(request, &cursor, &name, &value));
    g_assert_false(http_request_query_next(request, &cursor, &name, &value));
    lone_fini(&lone);
}

static void test_query_as_sent(void)
{
    struct lone lone;
    expect(http_request_query(request_of(&lone, TARGET("/?a%20b+c"))), "a%20b+c");
    lone_fini(&lone);
    expect(http_request_query(request_of(&lone, TARGET("/?"))), "");
    lone_fini(&lone);
    expect(http_request_query(request_of(&lone, TARGET("/"))), NULL);
    lone_fini(&lone);
}

/* --- decoding --- */

static void test_decode(void)
{
    struct lone lone;
    struct http_request *request = request_of(&lone, TARGET("/"));
    expect(http_request_decode(request, (struct http_text){"a+b%20%C3%A4", 12}), "a+b \xc3\xa4");
    expect(http_request_decode(request, (struct http_text){"", 0}), "");
    expect(http_request_decode(request, (struct http_text){"%4", 2}), NULL);
    expect(http_request_decode(request, (struct http_text){"%41", 2}), NULL);
    expect(http_request_decode(request, (struct http_text){NULL, 0}), NULL);
    struct http_text nul = http_request_decode(request, (struct http_text){"a%00b", 5});
    g_assert_cmpmem(nul.bytes, nul.length, "a\0b", 3);
    lone_fini(&lone);
}

static int no_handler(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)response, (void)arg;
    return 500;
}

static void test_param(void)
{
    struct lone lone;
    static const char head[] = TARGET("/users/a%20b/rest/of%20it");
    struct http_request *request = request_of(&lone, head);
    struct router *router = router_new();
    g_assert_cmpint(router_add(router, "GET", "/users/{id}/*", no_handler, NULL), ==, 0);
    g_assert_cmpint(router_find(router, http_request_method(request), http_request_path(request),
                                &lone.exchange.arena, &lone.exchange.match),
                    ==, 0);
    for (int moved = 0; moved < 2; moved++) {
        expect(http_request_param(request, "id"), "a b");
        expect(http_request_param(request, "*"), "rest/of%20it");
        expect(http_request_param(request, "i"), NULL);
        expect(http_request_param(request, ""), NULL);
        g_assert_true(http_exchange_keep_head(&lone.exchange, strlen(head)));
    }
    router_free(router);
    lone_fini(&lone);
}

/* --- fields --- */

#define FIELDS_HEAD                                                                          \
    "GET http://host:81/ HTTP/1.1\r\nhost: other\r\nAccept: a\r\nX: 1\r\nACCEPT:  b, c \r\n" \
    "accept:\r\nAccepts: d\r\n\r\n"

static void test_header_list(void)
{
    struct lone lone;
    struct http_request *request = request_of(&lone, FIELDS_HEAD);
    expect(http_request_header_list(request, "Accept"), "a, b, c, ");
    expect(http_request_header_list(request, "x"), "1");
    expect(http_request_header_list(request, "Accep"), NULL);
    expect(http_request_header_list(request, ""), NULL);
    expect(http_request_header(request, "accept"), "a");
    lone_fini(&lone);
}

static void test_fields(void)
{
    static const char *const fields[][2] = {{"host", "other"},  {"Accept", "a"}, {"X", "1"},
                                            {"ACCEPT", "b, c"}, {"accept", ""},  {"Accepts", "d"}};
    struct lone lone;
    struct http_request *request = request_of(&lone, FIELDS_HEAD);
    struct http_text name;
    struct http_text value;
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_assert_true(http_request_field(request, i, &name, &value));
        expect(name, fields[i][0]);
        expect(value, fields[i][1]);
    }
    g_assert_false(http_request_field(request, G_N_ELEMENTS(fields), &name, &value));
    g_assert_false(http_request_field(request, SIZE_MAX, &name, &value));
    lone_fini(&lone);
}

static void test_host(void)
{
    static const struct {
        const char *head;
        const char *host;
    } cases[] = {
        {FIELDS_HEAD, "host:81"},
        {TARGET("/"), "a"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", ""},
        {"GET / HTTP/1.0\r\n\r\n", NULL},
        {"GET http://b HTTP/1.0\r\n\r\n", "b"},
        {"GET / HTTP/1.0\r\nHost: [::1]:80\r\n\r\n", "[::1]:80"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct lone lone;
        expect(http_request_host(request_of(&lone, cases[i].head)), cases[i].host);
        lone_fini(&lone);
    }
}

/* --- memory --- */

static void test_memory(void)
{
    for (int i = 0; i < 4; i++) {
        struct lone lone;
        struct http_request *request = request_of(&lone, "GET /?a=%41 HTTP/1.0\r\nX: 1\r\n\r\n");
        struct http_text name;
        struct http_text value;
        size_t cursor = 0;
        allocations_fail = true;
        if (i == 0)
            expect(http_request_header_list(request, "X"), NULL);
        else if (i == 1)
            expect(http_request_decode(request, (struct http_text){"a", 1}), NULL);
        else if (i == 2)
            expect(http_request_query_value(request, "a"), NULL);
        else
            g_assert_true(http_request_query_next(request, &cursor, &name, &value) &&
                          is_absent(name) && is_absent(value));
        g_assert_null(http_request_alloc(request, 1));
        g_assert_false(http_exchange_keep_head(&lone.exchange, 10));
        allocations_fail = false;
        expect(http_request_query_value(request, "a"), "A");
        g_assert_null(http_request_alloc(request, SIZE_MAX));
        lone_fini(&lone);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/decode/query-value", test_query_value);
    g_test_add_func("/http/decode/query-next", test_query_next);
    g_test_add_func("/http/decode/query-as-sent", test_query_as_sent);
    g_test_add_func("/http/decode/decode", test_decode);
    g_test_add_func("/http/decode/param", test_param);
    g_test_add_func("/http/decode/header-list", test_header_list);
    g_test_add_func("/http/decode/fields", test_fields);
    g_test_add_func("/http/decode/host", test_host);
    g_test_add_func("/http/decode/memory", test_memory);
    return g_test_run();
}
