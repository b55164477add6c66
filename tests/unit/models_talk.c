/*
 * The half of every model that is HTTP: whatever pieces the requests come in, and whenever the
 * service answers, the answers are the same, in order.
 */
#include "common/talk.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

enum { MOST = 12, HEAD_MAX = 16384 };

/* --- injection: the call of that number from now on fails; 0: none --- */

static unsigned malloc_due, calloc_due, realloc_due;

void *wrap_malloc(size_t size) __asm__("__wrap_malloc");
void *real_malloc(size_t size) __asm__("__real_malloc");
void *wrap_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *wrap_realloc(void *bytes, size_t length) __asm__("__wrap_realloc");
void *real_realloc(void *bytes, size_t length) __asm__("__real_realloc");

void *wrap_malloc(size_t size)
{
    return malloc_due && --malloc_due == 0 ? NULL : real_malloc(size);
}

void *wrap_calloc(size_t count, size_t size)
{
    return calloc_due && --calloc_due == 0 ? NULL : real_calloc(count, size);
}

void *wrap_realloc(void *bytes, size_t length)
{
    return realloc_due && --realloc_due == 0 ? NULL : real_realloc(bytes, length);
}

/* --- the service --- */

static bool asks_later;
static int service_error;
static struct http_response *asked; /* that waits for the service */

static int ask(struct http_request *request, struct http_response *response)
{
    (void)request;
    if (!asks_later)
        return service_error;
    g_assert_null(asked);
    asked = response;
    return HTTP_PENDING;
}

static void answer_of_service(const struct talk *talk)
{
    struct http_response *response = asked;
    g_assert_nonnull(response);
    g_assert_true(talk_of(response) == talk);
    asked = NULL;
    workload_finish(response, service_error);
}

/* --- a model without sockets --- */

struct fixture {
    struct talk_room room;
    struct talk talk;
    GString *sent;
    unsigned pended; /* how often an answer was pending */
};

static void set_up(struct fixture *fixture, const void *data)
{
    (void)data;
    fixture->room = (struct talk_room){.spare = NULL};
    fixture->talk = (struct talk){.room = &fixture->room};
    fixture->sent = g_string_new(NULL);
    fixture->pended = 0;
    asks_later = false;
    service_error = 0;
}

static void tear_down(struct fixture *fixture, const void *data)
{
    (void)data;
    malloc_due = calloc_due = realloc_due = 0;
    talk_end(&fixture->talk);
    talk_room_close(&fixture->room);
    g_string_free(fixture->sent, TRUE);
    asked = NULL;
}

static void begin(struct fixture *fixture)
{
    talk_end(&fixture->talk);
    fixture->talk = (struct talk){.room = &fixture->room};
    g_string_truncate(fixture->sent, 0);
}

static void take(struct fixture *fixture)
{
    struct buffer *out = &fixture->talk.out;
    g_string_append_len(fixture->sent, out->bytes ? out->bytes : "", (gssize)out->length);
    out->length = 0;
}

/* A block of exactly that size, so that a byte that is read behind it is found. */
static enum talk_next receive(struct fixture *fixture, const char *bytes, size_t length)
{
    char *copy = g_memdup2(bytes, length);
    enum talk_next next = talk_on(&fixture->talk, copy, length);
    g_free(copy);
    take(fixture);
    while (next == TALK_PENDS) {
        fixture->pended++;
        answer_of_service(&fixture->talk);
        next = talk_on(&fixture->talk, NULL, 0);
        take(fixture);
    }
    return next;
}

/* In pieces of `first` bytes, and then of `step`, up to the end of it or of the connection. */
static enum talk_next receive_in(struct fixture *fixture, const char *bytes, size_t length,
                                 size_t first, size_t step)
{
    enum talk_next next = TALK_READS;
    size_t piece = first;
    for (size_t at = 0; at < length && next == TALK_READS; at += piece, piece = step) {
        piece = MIN(piece, length - at);
        next = receive(fixture, bytes + at, piece);
    }
    return next;
}

static enum talk_next receive_text(struct fixture *fixture, const char *text)
{
    return receive(fixture, text, strlen(text));
}

/* What was sent, without what differs from second to second. */
static char *answers(const struct fixture *fixture)
{
    GString *text = g_string_new_len(fixture->sent->str, (gssize)fixture->sent->len);
    char *date;
    while ((date = strstr(text->str, "Date: ")))
        g_string_erase(text, date - text->str, strstr(date, "\r\n") + 2 - date);
    return g_string_free(text, FALSE);
}

static unsigned times(const struct fixture *fixture, const char *word)
{
    unsigned count = 0;
    for (const char *at = fixture->sent->str; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

static void expect_statuses(const struct fixture *fixture, const char *wanted)
{
    g_autoptr(GString) statuses = g_string_new(NULL);
    for (const char *at = fixture->sent->str; (at = strstr(at, "HTTP/1.1 ")); at += 9)
        g_string_append_printf(statuses, "%.3s ", at + 9);
    g_assert_cmpstr(statuses->str, ==, wanted);
}

/* --- pieces --- */

static const char *const requests[] = {
    "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /wait?x=1 HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n",
    "POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET /\r\n",
    "HEAD /fast HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    "GET /other HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
};
static const char statuses_wanted[] = "200 200 405 200 200 200 404 404 200 ";
enum { REQUESTS = G_N_ELEMENTS(requests), WAITS = 3 };

/* What one connection for each request would get. */
static char *one_by_one(struct fixture *fixture)
{
    g_autoptr(GString) all = g_string_new(NULL);
    for (size_t i = 0; i < REQUESTS; i++) {
        begin(fixture);
        g_assert_cmpint(receive_text(fixture, requests[i]), ==,
                        i + 1 < REQUESTS ? TALK_READS : TALK_ENDS);
        g_assert_null(fixture->talk.exchange);
        g_string_append_len(all, fixture->sent->str, (gssize)fixture->sent->len);
    }
    g_string_assign(fixture->sent, all->str);
    expect_statuses(fixture, statuses_wanted);
    return answers(fixture);
}

static GString *pipeline(void)
{
    GString *stream = g_string_new(NULL);
    for (size_t i = 0; i < REQUESTS; i++)
        g_string_append(stream, requests[i]);
    return stream;
}

static void expect_the_same(struct fixture *fixture, const GString *stream, const char *wanted,
                            size_t first, size_t step)
{
    begin(fixture);
    fixture->pended = 0;
    g_assert_cmpint(receive_in(fixture, stream->str, stream->len, first, step), ==, TALK_ENDS);
    g_autofree char *got = answers(fixture);
    g_assert_cmpstr(got, ==, wanted);
    g_assert_cmpuint(fixture->pended, ==, asks_later ? WAITS : 0);
    g_assert_cmpuint(fixture->talk.in.length, ==, 0);
}

/* Whether the service answers at once is the data. */
static void test_pieces(struct fixture *fixture, const void *data)
{
    g_autofree char *wanted = one_by_one(fixture);
    g_autoptr(GString) stream = pipeline();
    asks_later = data != NULL;
    for (size_t first = 1; first <= stream->len; first++)
        expect_the_same(fixture, stream, wanted, first, stream->len);
    for (size_t step = 1; step < 100; step++)
        expect_the_same(fixture, stream, wanted, step, step);
}

static void test_exchange_is_used_again(struct fixture *fixture, const void *data)
{
    (void)data;
    asks_later = true;
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(GString) stream = pipeline();
        begin(fixture);
        receive(fixture, stream->str, stream->len);
    }
    g_assert_nonnull(fixture->room.spare);
    g_assert_null(fixture->room.spare->next);
}

/* --- answers that are pending --- */

static void test_pending(struct fixture *fixture, const void *data)
{
    static const char request[] = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)data;
    asks_later = true;
    g_assert_cmpint(talk_on(&fixture->talk, request, strlen(request)), ==, TALK_PENDS);
    g_assert_cmpuint(fixture->talk.out.length, ==, 0);
    g_assert_cmpint(talk_on(&fixture->talk, NULL, 0), ==, TALK_PENDS); /* nothing has changed */
    answer_of_service(&fixture->talk);
    g_assert_cmpint(talk_on(&fixture->talk, NULL, 0), ==, TALK_READS);
    take(fixture);
    expect_statuses(fixture, "200 ");
    g_assert_true(g_str_has_suffix(fixture->sent->str, "\r\n\r\nwaited\n"));
}

static void test_pending_and_last(struct fixture *fixture, const void *data)
{
    (void)data;
    asks_later = true;
    g_assert_cmpint(receive_text(fixture,
                                 "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                                 "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n"),
                    ==, TALK_ENDS);
    expect_statuses(fixture, "200 ");
    g_assert_cmpuint(times(fixture, "Connection: close\r\n"), ==, 1);
}

static void test_service_fails(struct fixture *fixture, const void *data)
{
    asks_later = data != NULL;
    service_error = -ECONNREFUSED;
    g_assert_cmpint(receive_text(fixture, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
                                          "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n"),
                    ==, TALK_READS);
    expect_statuses(fixture, "502 200 ");
}

static void test_several_talks_pend(struct fixture *fixture, const void *data)
{
    static const char request[] = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    struct talk talks[3];
    struct http_response *responses[3];
    (void)data;
    asks_later = true;
    for (unsigned i = 0; i < 3; i++) {
        talks[i] = (struct talk){.room = &fixture->room};
        g_assert_cmpint(talk_on(&talks[i], request, strlen(request)), ==, TALK_PENDS);
        responses[i] = asked;
        asked = NULL;
    }
    for (unsigned i = 3; i-- > 0;) {
        g_assert_true(talk_of(responses[i]) == &talks[i]);
        workload_finish(responses[i], 0);
        g_assert_cmpint(talk_on(&talks[i], NULL, 0), ==, TALK_READS);
        g_assert_cmpuint(talks[i].out.length, >, 0);
    }
    for (unsigned i = 0; i < 3; i++)
        talk_end(&talks[i]);
}

/* The client has gone meanwhile; what it pipelined is lost with it. */
static void test_end_after_pending(struct fixture *fixture, const void *data)
{
    static const char stream[] = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
                                 "GET /fast HTTP/1.1\r\nHost: a\r\n\r\nGET";
    (void)data;
    asks_later = true;
    g_assert_cmpint(talk_on(&fixture->talk, stream, strlen(stream)), ==, TALK_PENDS);
    answer_of_service(&fixture->talk);
    begin(fixture);
    g_assert_cmpint(receive_text(fixture, requests[0]), ==, TALK_READS);
    expect_statuses(fixture, "200 ");
}

/* --- what is refused, and what ends a connection --- */

/* What follows them is not served. */
static void test_last_requests(struct fixture *fixture, const void *data)
{
    static const struct {
        const char *request, *status;
    } last[] = {
        {"GET /fast HTTP/1.0\r\n\r\n", "200 "},
        {"POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", "413 "},
        {"POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
         "405 "},
        {"GET /fast HTTP/1.1\r\n\r\n", "400 "},
        {"GET /fast HTTP/1.1\nHost: a\n\n", "400 "},
        {"GET /fast HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", "400 "},
        {"GET /fast HTTP/2.0\r\nHost: a\r\n\r\n", "505 "},
        {"POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
         "chunked\r\n\r\n",
         "400 "},
    };
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(last); i++) {
        for (size_t step = 1; step < 100; step += 7) {
            g_autofree char *stream = g_strconcat(last[i].request, requests[0], NULL);
            begin(fixture);
            g_assert_cmpint(receive_in(fixture, stream, strlen(stream), step, step), ==, TALK_ENDS);
            expect_statuses(fixture, last[i].status);
            g_assert_cmpuint(times(fixture, "Connection: close\r\n"), ==, 1);
        }
    }
}

static void test_refusal_behind_others(struct fixture *fixture, const void *data)
{
    (void)data;
    asks_later = true;
    g_autofree char *stream = g_strconcat(requests[1], requests[0], "rubbish\r\n\r\n", NULL);
    g_assert_cmpint(receive_text(fixture, stream), ==, TALK_ENDS);
    expect_statuses(fixture, "200 200 400 ");
}

static void test_long_head(struct fixture *fixture, const void *data)
{
    (void)data;
    g_autofree char *filling = g_strnfill(2 * HEAD_MAX, 'x');
    g_autofree char *stream = g_strconcat("GET /fast HTTP/1.1\r\nHost: a\r\nX: ", filling, NULL);
    size_t length = strlen(stream);
    const size_t steps[] = {100, HEAD_MAX, length};
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        begin(fixture);
        g_assert_cmpint(receive_in(fixture, stream, length, steps[i], steps[i]), ==, TALK_ENDS);
        expect_statuses(fixture, "431 ");
        g_assert_cmpuint(fixture->talk.in.length, <=, HEAD_MAX + steps[i]);
    }
}

static void test_requests_max(struct fixture *fixture, const void *data)
{
    g_autoptr(GString) stream = g_string_new(NULL);
    asks_later = data != NULL;
    for (unsigned i = 0; i < MOST + 3; i++)
        g_string_append(stream, requests[i % 2]);
    for (size_t step = 1; step <= stream->len; step += 13) {
        begin(fixture);
        g_assert_cmpint(receive_in(fixture, stream->str, stream->len, step, step), ==, TALK_ENDS);
        g_assert_cmpuint(times(fixture, "HTTP/1.1 200"), ==, MOST);
        g_assert_cmpuint(times(fixture, "Connection: close\r\n"), ==, 1);
        const char *last = strstr(fixture->sent->str, "Connection: close\r\n");
        g_assert_null(strstr(last, "HTTP/1.1"));
    }
}

/* --- bodies --- */

static void test_body_is_waited_for(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(
        receive_text(fixture, "POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"), ==,
        TALK_READS);
    expect_statuses(fixture, "405 ");
    g_assert_nonnull(fixture->talk.exchange);
    g_assert_cmpint(receive_text(fixture, "cde"), ==, TALK_READS);
    g_assert_null(fixture->talk.exchange);
    g_assert_cmpint(receive_text(fixture, requests[0]), ==, TALK_READS);
    expect_statuses(fixture, "405 200 ");
}

static void test_malformed_body(struct fixture *fixture, const void *data)
{
    (void)data;
    static const char stream[] =
        "POST /fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabcd\r\n0\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t step = 1; step <= strlen(stream); step++) {
        begin(fixture);
        g_assert_cmpint(receive_in(fixture, stream, strlen(stream), step, step), ==, TALK_ENDS);
        g_assert_cmpuint(times(fixture, "HTTP/1.1 200"), ==, 0);
    }
}

static void test_end_amid_requests(struct fixture *fixture, const void *data)
{
    (void)data;
    g_autoptr(GString) stream = pipeline();
    asks_later = true;
    for (size_t length = 1; length < stream->len; length++) {
        begin(fixture);
        receive(fixture, stream->str, length);
    }
}

/* --- memory that ends: the connection does, too, or nothing is noticed --- */

static void test_memory_ends(struct fixture *fixture, const void *data)
{
    enum { CALLS = 60 };
    g_autofree char *wanted = one_by_one(fixture);
    g_autoptr(GString) stream = pipeline();
    asks_later = data != NULL;
    for (size_t step = 20; step <= stream->len; step += 50) {
        for (unsigned call = 1; call <= CALLS; call++) {
            begin(fixture);
            talk_room_close(&fixture->room);
            fixture->room = (struct talk_room){.spare = NULL};
            realloc_due = call;
            calloc_due = call == 1 ? 1 : 0;
            enum talk_next next = receive_in(fixture, stream->str, stream->len, step, step);
            bool failed = realloc_due == 0;
            realloc_due = calloc_due = 0;
            g_autofree char *got = answers(fixture);
            g_assert_cmpint(next, ==, TALK_ENDS);
            g_assert_true(failed || g_str_equal(got, wanted));
        }
    }
}

/* A model frees a connection that ends, so nothing may be under way for it. */
static void test_memory_ends_unasked(struct fixture *fixture, const void *data)
{
    asks_later = data != NULL;
    malloc_due = 1;
    g_assert_true(receive_text(fixture, requests[1]) == TALK_ENDS && !asked);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        bool later; /* the service answers */
        void (*test)(struct fixture *, const void *);
    } tests[] = {
        {"/models_talk/pieces/at_once", false, test_pieces},
        {"/models_talk/pieces/later", true, test_pieces},
        {"/models_talk/exchange_is_used_again", false, test_exchange_is_used_again},
        {"/models_talk/pending", true, test_pending},
        {"/models_talk/pending_and_last", true, test_pending_and_last},
        {"/models_talk/service_fails/at_once", false, test_service_fails},
        {"/models_talk/service_fails/later", true, test_service_fails},
        {"/models_talk/several_pend", true, test_several_talks_pend},
        {"/models_talk/end_after_pending", true, test_end_after_pending},
        {"/models_talk/last_requests", false, test_last_requests},
        {"/models_talk/refusal_behind_others", true, test_refusal_behind_others},
        {"/models_talk/long_head", false, test_long_head},
        {"/models_talk/requests_max/at_once", false, test_requests_max},
        {"/models_talk/requests_max/later", true, test_requests_max},
        {"/models_talk/body_is_waited_for", false, test_body_is_waited_for},
        {"/models_talk/malformed_body", false, test_malformed_body},
        {"/models_talk/end_amid_requests", true, test_end_amid_requests},
        {"/models_talk/memory_ends/at_once", false, test_memory_ends},
        {"/models_talk/memory_ends/later", true, test_memory_ends},
        {"/models_talk/memory_ends/unasked", true, test_memory_ends_unasked},
    };
    g_test_init(&argc, &argv, NULL);
    talk_open(ask, MOST);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, tests[i].later ? "later" : NULL, set_up,
                   tests[i].test, tear_down);
    return g_test_run();
}
