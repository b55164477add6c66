#include "body_support.h"

#include "http_support.h"

#include <string.h>

enum { READ_MAX = 1 << 18 };

static struct guarded guarded;

/* The first call, with the bytes at the start of memory, gives what it gives at the end. */
static void check_at_start(struct http_body body, const char *bytes, size_t length,
                           const struct http_limits *limits)
{
    struct http_body again = body;
    size_t piece;
    size_t piece_again;
    const char *placed = guarded_at_start(&guarded, bytes, length);
    int at_start = http_body_next(&body, placed, length, limits, &piece);
    placed = guarded_at_end(&guarded, bytes, length);
    int at_end = http_body_next(&again, placed, length, limits, &piece_again);
    g_assert_cmpint(at_start, ==, at_end);
    g_assert_cmpuint(piece, ==, piece_again);
    g_assert_cmpint(body.phase, ==, again.phase);
    g_assert_cmpuint(body.left, ==, again.left);
}

/* Reads what has arrived, `length` bytes. Returns how many of them are understood. */
static size_t read_arrived(struct reading *reading, struct http_body *body, const char *arrived,
                           size_t length, const struct http_limits *limits, size_t take_max)
{
    size_t at = 0;
    size_t piece;
    check_at_start(*body, arrived, length, limits);
    const char *bytes = guarded_at_end(&guarded, arrived, length);
    do {
        bool ended = http_body_ended(body);
        int passed = http_body_next(body, bytes + at, length - at, limits, &piece);
        if (passed < 0) {
            reading->status = passed;
            return at;
        }
        g_assert_cmpuint((size_t)passed + piece, <=, length - at);
        g_assert_cmpuint(body->total, <=, limits->body_bytes);
        if (!ended && http_body_ended(body) && body->chunked)
            g_string_append_len(reading->trailers, bytes + at + body->trailer_at,
                                body->trailer_length);
        at += (size_t)passed;
        piece = MIN(piece, take_max);
        g_string_append_len(reading->data, bytes + at, (gssize)piece);
        http_body_take(body, piece);
        at += piece;
    } while (piece);
    return at;
}

struct reading read_body(const struct http_request *request, const char *bytes, size_t length,
                         const struct http_limits *limits, const size_t *sizes, size_t size_count,
                         size_t take_max)
{
    struct reading reading = {.data = g_string_new(NULL), .trailers = g_string_new(NULL)};
    struct http_body body;
    size_t arrived = 0;
    if (!guarded.map)
        guarded_open(&guarded, READ_MAX);
    http_body_begin(&body, request);
    for (size_t i = 0; arrived < length && !http_body_ended(&body) && reading.status == 0; i++) {
        arrived += MIN(sizes[i % size_count], length - arrived);
        reading.consumed += read_arrived(&reading, &body, bytes + reading.consumed,
                                         arrived - reading.consumed, limits, take_max);
    }
    if (reading.status == 0 && http_body_ended(&body))
        reading.status = READING_ENDED;
    reading.total = body.total;
    return reading;
}

void reading_free(struct reading *reading)
{
    g_string_free(reading->data, TRUE);
    g_string_free(reading->trailers, TRUE);
}

struct http_request chunked_request(void)
{
    return (struct http_request){.chunked = true};
}

struct http_request length_request(uint64_t content_length)
{
    return (struct http_request){.content_length = content_length};
}
