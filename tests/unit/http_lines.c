/* Fields that were made beforehand: as they are, where they belong, or not at all. */
#include "exchange_support.h"
#include "memory_support.h"

#include <errno.h>
#include <glib.h>

static struct http_text text_of(const char *text)
{
    return (struct http_text){text, text ? strlen(text) : 0};
}

static const struct {
    const char *first;  /* added as lines */
    const char *header; /* then a field "H", of that value; NULL: none */
    const char *second;
    const char *fields;
} orders[] = {
    {"", NULL, "", ""},
    {NULL, NULL, NULL, ""},
    {"A: b\r\n", NULL, "", "A: b\r\n"},
    {"A: b\r\nC: d\r\n", "x", "E: f\r\n", "A: b\r\nC: d\r\nH: x\r\nE: f\r\n"},
    {NULL, "x", "Content-Encoding: gzip\r\n", "H: x\r\nContent-Encoding: gzip\r\n"},
};

static void check_order(struct lone *lone, size_t i, int status, const char *head)
{
    struct http_response *response = &lone->exchange.response;
    lone_begin(lone);
    lone->out.length = 0;
    g_assert_cmpint(http_response_lines(response, text_of(orders[i].first)), ==, 0);
    if (orders[i].header)
        g_assert_cmpint(http_response_header(response, "H", orders[i].header), ==, 0);
    g_assert_cmpint(http_response_lines(response, text_of(orders[i].second)), ==, 0);
    g_assert_cmpint(http_respond(response, status, NULL, NULL, 0), ==, status);
    g_autofree char *common = g_strndup(http_date_common(&lone->date), HTTP_COMMON_LENGTH);
    g_autofree char *expected = g_strconcat(
        head, common, status == 304 ? "" : "Content-Length: 0\r\n", orders[i].fields, "\r\n", NULL);
    g_assert_cmpmem(lone->out.bytes, lone->out.length, expected, strlen(expected));
}

static void test_orders(void)
{
    struct lone lone;
    lone_init(&lone);
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        check_order(&lone, i, 200, "HTTP/1.1 200 OK\r\n");
        check_order(&lone, i, 304, "HTTP/1.1 304 Not Modified\r\n");
    }
    lone_fini(&lone);
}

/* They are copied, however long they are: the head has room for them. */
static void test_copied(void)
{
    static const size_t lengths[] = {1, 255, 256, 257, 4096, 100000};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        struct lone lone;
        g_autofree char *value = g_strnfill(lengths[i], 'v');
        char *line = g_strconcat("A: ", value, "\r\n", NULL);
        g_autofree char *kept = g_strdup(line);
        lone_init(&lone);
        lone_begin(&lone);
        g_assert_cmpint(http_response_lines(&lone.exchange.response, text_of(line)), ==, 0);
        memset(line, '!', strlen(line));
        g_free(line);
        g_assert_cmpint(http_respond(&lone.exchange.response, 200, NULL, "x", 1), ==, 200);
        g_autofree char *out = g_strndup(lone.out.bytes, lone.out.length);
        g_assert_nonnull(strstr(out, kept));
        g_assert_true(g_str_has_suffix(out, "\r\n\r\nx"));
        lone_fini(&lone);
    }
}

static void test_already(void)
{
    struct lone lone;
    lone_init(&lone);
    lone_begin(&lone);
    struct http_response *response = &lone.exchange.response;
    g_assert_cmpint(http_respond(response, 200, NULL, NULL, 0), ==, 200);
    size_t length = lone.out.length;
    g_assert_cmpint(http_response_lines(response, text_of("A: b\r\n")), ==, -EALREADY);
    g_assert_cmpint(http_response_lines(response, text_of("")), ==, -EALREADY);
    g_assert_cmpuint(lone.out.length, ==, length);
    lone_fini(&lone);
}

/* What was added before stays, and it can be tried again. */
static void test_memory(void)
{
    struct lone lone;
    g_autofree char *value = g_strnfill(1000, 'v');
    g_autofree char *line = g_strconcat("A: ", value, "\r\n", NULL);
    lone_init(&lone);
    lone_begin(&lone);
    struct http_response *response = &lone.exchange.response;
    g_assert_cmpint(http_response_lines(response, text_of("B: c\r\n")), ==, 0);
    failures_due = 1;
    g_assert_cmpint(http_response_lines(response, text_of(line)), ==, -ENOMEM);
    g_assert_cmpint(failures_due, ==, 0);
    g_assert_cmpmem(lone.exchange.fields.bytes, lone.exchange.fields.length, "B: c\r\n", 6);
    g_assert_cmpint(http_response_lines(response, text_of(line)), ==, 0);
    g_assert_cmpuint(lone.exchange.fields.length, ==, 6 + strlen(line));
    lone_fini(&lone);
}

/* A short answer that a handler asks for by returning its status has them too. */
static int refuse(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    g_assert_cmpint(http_response_lines(response, text_of("A: b\r\n")), ==, 0);
    return 412;
}

static void test_short_answer(void)
{
    struct lone lone;
    lone_init(&lone);
    lone_parse(&lone, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    lone_answer(&lone, refuse);
    g_autofree char *out = g_strndup(lone.out.bytes, lone.out.length);
    g_assert_true(g_str_has_prefix(out, "HTTP/1.1 412 "));
    g_assert_nonnull(strstr(out, "\r\nA: b\r\n\r\n412 Precondition Failed\n"));
    lone_fini(&lone);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/lines/orders", test_orders);
    g_test_add_func("/http/lines/copied", test_copied);
    g_test_add_func("/http/lines/already", test_already);
    g_test_add_func("/http/lines/memory", test_memory);
    g_test_add_func("/http/lines/short-answer", test_short_answer);
    return g_test_run();
}
