/* The twin of an exchange: what it takes along, and what of its answer is moved back. */
#include "exchange_support.h"
#include "http/twin.h"
#include "memory_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static unsigned prepared;

static void prepare(struct http_exchange *twin)
{
    struct http_date *date = twin->carried_by;
    prepared++;
    http_date_renew(date, 0);
    twin->response.close = true;
}

static const struct http_carrier carrier = {.prepare = prepare};

static const char head[] = "GET /path?q HTTP/1.1\r\nHost: here\r\nEmpty:\r\n\r\n";

/* A request that was read into memory that others use next. */
static void open_both(struct lone *lone, struct http_twin *twin)
{
    char read[sizeof(head)];
    memcpy(read, head, sizeof(head));
    lone_init(lone);
    lone_parse(lone, read);
    http_exchange_begin(&lone->exchange, false, false);
    lone->exchange.match = (struct router_match){
        .route = &lone->route,
        .param_count = 1,
        .params = {{"*", {read + 4, 5}}},
    };
    *twin = (struct http_twin){0};
    g_assert_true(http_twin_begin(twin, &lone->exchange, &carrier, &twin->date));
    memset(read, 0xee, sizeof(read));
}

static void close_both(struct lone *lone, struct http_twin *twin)
{
    http_twin_fini(twin);
    lone_fini(lone);
}

static void expect_out(const struct lone *lone, const char *before, const char *status,
                       const char *after)
{
    g_autofree char *text = g_strndup(lone->out.bytes, lone->out.length);
    g_assert_true(g_str_has_prefix(text, before));
    g_assert_true(g_str_has_prefix(text + strlen(before), status));
    g_assert_true(g_str_has_suffix(text, after));
}

/* --- the request --- */

static int check_texts(struct http_request *request, struct http_response *response, void *arg)
{
    static const struct {
        const char *expected;
        struct http_text (*find)(const struct http_request *request, const char *name);
        const char *name;
    } texts[] = {{"/path", http_request_param, "*"},
                 {"here", http_request_header, "host"},
                 {"", http_request_header, "empty"}};
    (void)arg;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        struct http_text text = texts[i].find(request, texts[i].name);
        g_assert_nonnull(text.bytes);
        g_assert_cmpmem(text.bytes, text.length, texts[i].expected, strlen(texts[i].expected));
    }
    struct http_text query = http_request_query(request);
    g_assert_cmpmem(query.bytes, query.length, "q", 1);
    g_assert_cmpint(http_request_body(request).length, ==, 0);
    g_assert_true(http_request_ended(request));
    g_assert_cmpint(http_request_stream(request, check_texts, NULL), ==, -EALREADY);
    return http_respond(response, 200, "text/plain", "body", 4);
}

static void test_request_outlives_the_first(void)
{
    struct lone lone;
    struct http_twin twin;
    open_both(&lone, &twin);
    http_twin_call(&twin, check_texts, NULL);
    g_assert_cmpint(twin.returned, ==, 200);
    close_both(&lone, &twin);
}

static void test_cancel(void)
{
    struct lone lone;
    struct http_twin twin;
    open_both(&lone, &twin);
    g_assert_false(http_request_is_cancelled(&twin.exchange.request));
    http_twin_cancel(&twin);
    g_assert_true(http_request_is_cancelled(&twin.exchange.request));
    g_assert_false(http_request_is_cancelled(&lone.exchange.request));
    close_both(&lone, &twin);
}

/* --- the answer --- */

/* Behind what the client has not taken yet, too. */
static void test_answer_is_moved(void)
{
    static const char *const before[] = {"", "unsent"};
    for (size_t i = 0; i < G_N_ELEMENTS(before); i++) {
        struct lone lone;
        struct http_twin twin;
        open_both(&lone, &twin);
        g_assert_true(buffer_reserve(&lone.out, 6));
        buffer_put(&lone.out, before[i], strlen(before[i]));
        prepared = 0;
        http_twin_call(&twin, check_texts, NULL);
        g_assert_cmpint(http_twin_answer(&twin, &lone.exchange), ==, 200);
        g_assert_cmpuint(prepared, ==, 1);
        g_assert_true(http_response_is_complete(&lone.exchange.response));
        g_assert_true(lone.exchange.response.close);
        g_assert_cmpuint(lone.exchange.response.body_bytes, ==, 4);
        expect_out(&lone, before[i], "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\nbody");
        close_both(&lone, &twin);
    }
}

static int fail_with_field(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    http_response_header(response, "X-Own", "1");
    return 404;
}

static void test_fields_of_a_bare_status(void)
{
    struct lone lone;
    struct http_twin twin;
    open_both(&lone, &twin);
    http_twin_call(&twin, fail_with_field, NULL);
    int returned = http_twin_answer(&twin, &lone.exchange);
    g_assert_cmpint(returned, ==, 404);
    g_assert_cmpint(lone.exchange.response.status, ==, 0);
    http_response_finish(&lone.exchange.response, returned);
    http_exchange_continue(&lone.exchange);
    expect_out(&lone, "", "HTTP/1.1 404 Not Found\r\n", "X-Own: 1\r\n\r\n404 Not Found\n");
    g_assert_cmpuint(lone.complaints, ==, 0);
    close_both(&lone, &twin);
}

static unsigned released;

static void release(void *arg)
{
    (void)arg;
    released++;
}

static int respond_from(struct http_request *request, struct http_response *response, void *arg)
{
    const size_t *count = arg;
    char *memory = http_request_alloc(request, 20000);
    g_assert_nonnull(memory);
    memset(memory, 'm', 20000);
    const struct http_source source = {.fd = -1, .release = release};
    const struct http_piece pieces[] = {{.bytes = memory, .length = 20000},
                                        {.bytes = memory + 1, .length = 3}};
    return http_respond_from(response, 200, "text/plain", &source, pieces, *count);
}

/* The pieces, and the memory they lie in, outlive the twin. */
static void test_rest(void)
{
    for (size_t count = 1; count <= 2; count++) {
        struct lone lone;
        struct http_twin twin;
        open_both(&lone, &twin);
        released = 0;
        http_twin_call(&twin, respond_from, &count);
        g_assert_cmpint(http_twin_answer(&twin, &lone.exchange), ==, 200);
        http_twin_fini(&twin);
        memset(&twin, 0xee, sizeof(twin));
        struct http_rest *rest = &lone.exchange.response.rest;
        g_assert_cmpuint(rest->left, ==, count == 1 ? 20000 : 20003);
        g_assert_cmpuint(lone.exchange.response.body_bytes, ==, rest->left);
        g_assert_cmpint(((const char *)rest->piece->bytes)[19999], ==, 'm');
        http_rest_advance(rest, 20000);
        g_assert_cmpuint(released, ==, count == 1);
        if (count == 2)
            g_assert_cmpint(((const char *)rest->piece->bytes)[2], ==, 'm');
        lone_fini(&lone);
        g_assert_cmpuint(released, ==, 1);
    }
}

static void test_rest_of_an_answer_that_is_not_moved(void)
{
    struct lone lone;
    struct http_twin twin;
    size_t count = 2;
    open_both(&lone, &twin);
    released = 0;
    http_twin_call(&twin, respond_from, &count);
    g_assert_cmpuint(released, ==, 0);
    http_twin_fini(&twin);
    g_assert_cmpuint(released, ==, 1);
    lone_fini(&lone);
}

static void test_answer_without_memory(void)
{
    struct lone lone;
    struct http_twin twin;
    size_t count = 1;
    open_both(&lone, &twin);
    g_assert_true(buffer_reserve(&lone.out, 1));
    lone.out.length = lone.out.capacity;
    memset(lone.out.bytes, 'x', lone.out.length);
    released = 0;
    http_twin_call(&twin, respond_from, &count);
    failures_due = 1;
    int returned = http_twin_answer(&twin, &lone.exchange);
    g_assert_cmpint(returned, ==, -ENOMEM);
    g_assert_cmpint(lone.exchange.response.status, ==, 0);
    g_assert_cmpuint(lone.exchange.response.rest.left, ==, 0);
    close_both(&lone, &twin);
    g_assert_cmpuint(released, ==, 1);
}

#define ADD(path, function) g_test_add_func("/http/twin/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("request", request_outlives_the_first);
    ADD("cancel", cancel);
    ADD("answer/moved", answer_is_moved);
    ADD("answer/fields", fields_of_a_bare_status);
    ADD("answer/rest", rest);
    ADD("answer/rest-dropped", rest_of_an_answer_that_is_not_moved);
    ADD("answer/memory", answer_without_memory);
    return g_test_run();
}
