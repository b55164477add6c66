/*
 * arena.c - the HTTP/1.1 endpoints of the HttpArena benchmark:
 *
 *     arena [ADDR:PORT]...
 *
 *     GET|POST /baseline11?a=13&b=42   the sum of the query's integers and the body's
 *     GET      /pipeline               "ok"
 *     POST     /upload                 the number of bytes received, in constant memory
 */
#include <coreactor/server.h>
#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_MAX = 64 }; /* bytes of a body that is a number, with white space */

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* [white space] [-] digits [white space]: false when it is nothing of the kind, or too large. */
static bool read_integer(struct http_text text, int64_t *integer)
{
    size_t at = 0;
    size_t end = text.length;
    while (end > at && is_space(text.bytes[end - 1]))
        end--;
    while (at < end && is_space(text.bytes[at]))
        at++;
    bool negative = at < end && text.bytes[at] == '-';
    at += negative;
    int64_t number = 0;
    if (at == end || end - at > 18)
        return false;
    for (; at < end; at++) {
        if (text.bytes[at] < '0' || text.bytes[at] > '9')
            return false;
        number = number * 10 + (text.bytes[at] - '0');
    }
    *integer = negative ? -number : number;
    return true;
}

static int respond_number(struct http_response *response, int64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRId64, number);
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

/* --- /baseline11 --- */

/* False when the sum does not fit. */
static bool sum_query(struct http_request *request, int64_t *sum)
{
    int64_t integer;
    size_t cursor = 0;
    struct http_text name;
    struct http_text value;
    while (http_request_query_next(request, &cursor, &name, &value)) {
        if (read_integer(value, &integer) && __builtin_add_overflow(*sum, integer, sum))
            return false;
    }
    return true;
}

static int baseline_get(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    int64_t sum = 0;
    return sum_query(request, &sum) ? respond_number(response, sum) : 400;
}

static int baseline_body(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    int64_t sum;
    if (!read_integer(http_request_body(request), &sum) || !sum_query(request, &sum))
        return 400;
    return respond_number(response, sum);
}

static int baseline_post(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response;
    return http_request_collect(request, NUMBER_MAX, baseline_body, arg);
}

/* --- /pipeline --- */

static int pipeline(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond_constant(response, 200, "text/plain", "ok", 2);
}

/* --- /upload --- */

static int count_piece(struct http_request *request, struct http_response *response, void *arg)
{
    int64_t *total = arg;
    size_t length = http_request_body(request).length;
    *total += (int64_t)length;
    http_request_consume(request, length);
    return http_request_ended(request) ? respond_number(response, *total) : HTTP_PENDING;
}

static int upload(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response, (void)arg;
    int64_t *total = http_request_alloc(request, sizeof(*total));
    if (!total)
        return 503;
    *total = 0;
    return http_request_stream(request, count_piece, total);
}

int main(int argc, char **argv)
{
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = argc > 1 ? (const char **)argv + 1 : NULL,
        .max_body_bytes = 1 << 30,
        .handle_signals = true,
        .announce = true,
    });
    server_route(server, "GET", "/baseline11", baseline_get, NULL);
    server_route(server, "POST", "/baseline11", baseline_post, NULL);
    server_route(server, "GET", "/pipeline", pipeline, NULL);
    server_route(server, "POST", "/upload", upload, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "arena: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
