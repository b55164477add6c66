#include "talk.h"

#include "sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- what talks share --- */

static struct router *router;
static workload_ask asks;
static unsigned most; /* requests of a connection; 0: any number */

void talk_open(workload_ask ask, unsigned requests_max)
{
    asks = ask;
    most = requests_max;
    router = router_new();
    require(router && router_add(router, "GET", "/fast", workload_fast, NULL) == 0 &&
                router_add(router, "GET", "/work", workload_work, NULL) == 0 &&
                router_add(router, "GET", "/wait", workload_wait, &asks) == 0,
            "cannot make the routes");
}

static void free_exchange(struct http_exchange *exchange)
{
    http_exchange_fini(exchange);
    free(exchange);
}

void talk_room_close(struct talk_room *room)
{
    while (room->spare) {
        struct http_exchange *exchange = room->spare;
        room->spare = exchange->next;
        free_exchange(exchange);
    }
    buffer_free(&room->no_fields);
    buffer_free(&room->ready.bytes);
}

/* --- what an exchange asks of its carrier --- */

/* The model goes on with talk_on() by itself. */
static void wake(struct http_exchange *exchange)
{
    (void)exchange;
}

static void prepare(struct http_exchange *exchange)
{
    const struct talk *talk = exchange->carried_by;
    http_date_update(&talk->room->date, clock_ns());
}

static size_t waiting(const struct http_exchange *exchange)
{
    const struct talk *talk = exchange->carried_by;
    return talk->out.length;
}

static struct http_text address(struct http_exchange *exchange, bool client)
{
    (void)exchange, (void)client;
    return (struct http_text){"127.0.0.1", 9};
}

static void complain(const struct http_exchange *exchange, int returned)
{
    fprintf(stderr, "the handler of %s returned %d\n", exchange->match.route->pattern, returned);
}

static const struct http_carrier carrier = {wake, prepare, waiting, address, complain};

/* --- exchanges --- */

static struct http_exchange *take_exchange(struct talk_room *room)
{
    struct http_exchange *exchange = room->spare;
    if (exchange) {
        room->spare = exchange->next;
        return exchange;
    }
    exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    exchange->carrier = &carrier;
    exchange->watch = &room->watch;
    exchange->response.date = &room->date;
    exchange->response.ready = &room->ready;
    exchange->response.fields = &exchange->fields;
    return exchange;
}

static void give_back(struct talk *talk)
{
    struct http_exchange *exchange = talk->exchange;
    talk->exchange = NULL;
    http_exchange_reset(exchange);
    exchange->next = talk->room->spare;
    talk->room->spare = exchange;
}

struct talk *talk_of(const struct http_response *response)
{
    return http_exchange_of(response)->carried_by;
}

/* --- one request --- */

/* Answers what cannot be parsed. */
static void refuse(struct talk *talk, int status)
{
    struct http_response response = {.out = &talk->out,
                                     .fields = &talk->room->no_fields,
                                     .date = &talk->room->date,
                                     .close = true};
    http_respond_short(&response, status);
    talk->closing = true;
}

/* Calls the handler of a request whose head has `length` bytes. What answers later, or has a body,
 * outlives the bytes it was read from. */
static void start(struct talk *talk, size_t length, bool body_has_come)
{
    struct http_exchange *exchange = talk->exchange;
    const struct http_request *request = &exchange->request;
    bool last = !request->keep_alive || (most && talk->requests >= most);
    exchange->carried_by = talk;
    exchange->response.out = &talk->out;
    http_exchange_begin(exchange, last, body_has_come);
    int found = router_find(router, http_request_text(request, request->method),
                            http_request_route_path(request), &exchange->arena, &exchange->match);
    bool outlives = request->content_length || request->chunked ||
                    (found == 0 && exchange->match.route->handler == workload_wait);
    if (outlives && !http_exchange_keep_head(exchange, length))
        exchange->response.torn = true;
    else
        http_exchange_start(exchange, found);
}

/* Parses and starts the next request. Returns the bytes of its head; 0 when there is none. */
static size_t serve_next(struct talk *talk, const char *bytes, size_t length)
{
    if (talk->closing || length == 0)
        return 0;
    struct http_exchange *exchange = take_exchange(talk->room);
    if (!exchange) {
        talk->closing = true;
        return 0;
    }
    talk->exchange = exchange;
    int head = http_parse_request(bytes, length, &http_limits_default, &exchange->request);
    if (head < 0)
        refuse(talk, -head);
    if (head <= 0) {
        give_back(talk);
        return 0;
    }
    talk->requests++;
    start(talk, (size_t)head, length > (size_t)head);
    return (size_t)head;
}

/* Gives an exchange what has come for it, and gives it up when it is over. */
static size_t carry_on(struct talk *talk, const char *bytes, size_t length)
{
    struct http_exchange *exchange = talk->exchange;
    http_exchange_continue(exchange);
    size_t done = http_exchange_read(exchange, bytes, length, &http_limits_default);
    if (exchange->now.failed && !exchange->now.abandoned)
        http_exchange_fail(exchange);
    bool over = http_exchange_is_over(exchange);
    talk->closing |=
        exchange->response.torn || (over && (exchange->now.closes || exchange->response.close));
    if (over || exchange->response.torn)
        give_back(talk);
    return done;
}

static size_t answer_all(struct talk *talk, const char *bytes, size_t length)
{
    size_t at = 0;
    do {
        if (!talk->exchange) {
            size_t head = serve_next(talk, bytes + at, length - at);
            if (head == 0)
                return at;
            at += head;
        }
        at += carry_on(talk, bytes + at, length - at);
    } while (!talk->exchange);
    return at;
}

/* `bytes` may lie in what is kept already. */
static bool keep(struct talk *talk, const char *bytes, size_t length)
{
    struct buffer kept = {.length = 0};
    if (length && !buffer_reserve(&kept, length))
        return false;
    if (length)
        buffer_put(&kept, bytes, length);
    buffer_free(&talk->in);
    talk->in = kept;
    return true;
}

enum talk_next talk_on(struct talk *talk, const char *bytes, size_t length)
{
    http_date_update(&talk->room->date, clock_ns());
    if (talk->in.length && length) {
        if (!buffer_reserve(&talk->in, length))
            return TALK_ENDS;
        buffer_put(&talk->in, bytes, length);
    }
    if (talk->in.length) {
        bytes = talk->in.bytes;
        length = talk->in.length;
    }
    size_t done = answer_all(talk, bytes, length);
    if ((done < length || talk->in.length) && !keep(talk, bytes + done, length - done))
        talk->closing = true;
    if (talk->exchange)
        return http_exchange_reads(talk->exchange) ? TALK_READS : TALK_PENDS;
    return talk->closing ? TALK_ENDS : TALK_READS;
}

void talk_end(struct talk *talk)
{
    if (talk->exchange)
        give_back(talk);
    buffer_free(&talk->in);
    buffer_free(&talk->out);
}
