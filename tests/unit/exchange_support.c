#include "exchange_support.h"

#include <glib.h>

static struct lone *lone_of(const struct http_exchange *exchange)
{
    return exchange->carried_by;
}

static void wake(struct http_exchange *exchange)
{
    lone_of(exchange)->wakes++;
}

static void prepare(struct http_exchange *exchange)
{
    (void)exchange;
}

static size_t waiting(const struct http_exchange *exchange)
{
    return lone_of(exchange)->out.length;
}

static struct http_text address(struct http_exchange *exchange, bool client)
{
    (void)exchange, (void)client;
    return (struct http_text){"", 0};
}

static void complain(const struct http_exchange *exchange, int returned)
{
    (void)returned;
    lone_of(exchange)->complaints++;
}

static const struct http_carrier carrier = {
    .wake = wake,
    .prepare = prepare,
    .waiting = waiting,
    .address = address,
    .complain = complain,
};

void lone_init(struct lone *lone)
{
    *lone = (struct lone){.route = {.pattern = "/"}};
    lone->exchange.carrier = &carrier;
    lone->exchange.carried_by = lone;
    lone->exchange.watch = &lone->watch;
    lone->exchange.response.out = &lone->out;
    lone->exchange.response.fields = &lone->exchange.fields;
    lone->exchange.response.ready = &lone->ready;
    lone->exchange.response.date = &lone->date;
    http_date_renew(&lone->date, 0);
}

void lone_fini(struct lone *lone)
{
    http_exchange_fini(&lone->exchange);
    buffer_free(&lone->out);
    buffer_free(&lone->ready.bytes);
}

void lone_begin(struct lone *lone)
{
    http_response_begin(&lone->exchange.response);
    lone->exchange.now = (struct http_progress){0};
}

void lone_return(struct lone *lone, int returned)
{
    http_response_finish(&lone->exchange.response, returned);
    http_exchange_continue(&lone->exchange);
}

void lone_parse(struct lone *lone, const char *head)
{
    int length =
        http_parse_request(head, strlen(head), &http_limits_default, &lone->exchange.request);
    g_assert_cmpint(length, ==, (int)strlen(head));
}

void lone_answer(struct lone *lone, http_handler handler)
{
    struct http_exchange *exchange = &lone->exchange;
    http_exchange_begin(exchange, !exchange->request.keep_alive, false);
    lone->route.handler = handler;
    exchange->match.route = &lone->route;
    http_exchange_start(exchange, 0);
}

void lone_refuse(struct lone *lone, int status)
{
    struct http_response *response = &lone->exchange.response;
    lone_begin(lone);
    response->head_only = false;
    response->say_keep_alive = false;
    response->close = true;
    g_assert_true(http_respond_short(response, status));
}
