/*
 * connection_handlers.c - a route for each way to answer. A handler that does not answer at once
 * has a job, which checks that it is called, told the end and cancelled as http.h promises.
 */
#include "connection_peer.h"

#include <coreactor/reactor.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATTERN_MAX = 100000, FILE_SIZE = 50000, LATER_MS = 5, TICKS = 4, TICK_BYTES = 700 };

struct handlers handlers;

struct job {
    struct job *next;
    struct http_request *request;
    struct http_response *response;
    struct reactor_timer *timer;
    size_t at; /* of a pattern; or ticks */
    size_t total;
    bool told_end;
    bool done;
    bool cancelled;
};

static struct job *jobs;

void handlers_begin(void)
{
    CHECK(!jobs);
    handlers = (struct handlers){0};
}

void handlers_end(void)
{
    while (jobs) {
        struct job *job = jobs;
        jobs = job->next;
        CHECK(job->done != job->cancelled);
        free(job);
    }
    CHECK(handlers.pending == 0);
}

/* --- jobs --- */

static void end_job(struct job *job)
{
    CHECK(!job->done && !job->cancelled);
    handlers.calls++;
    reactor_timer_free(job->timer);
    job->timer = NULL;
    handlers.pending--;
}

static void on_cancel(void *arg)
{
    struct job *job = arg;
    end_job(job);
    job->cancelled = true;
}

/* The handler returns, or finishes with, what completes its answer. */
static int done(struct job *job, int returned)
{
    end_job(job);
    job->done = true;
    return returned;
}

static struct job *new_job(struct http_request *request, struct http_response *response)
{
    struct job *job = malloc(sizeof(*job));
    CHECK(job);
    *job = (struct job){.next = jobs, .request = request, .response = response};
    jobs = job;
    handlers.pending++;
    http_response_on_cancel(response, on_cancel, job);
    return job;
}

static void start_timer(struct job *job, reactor_task task, uint32_t delay_ms, uint32_t period_ms)
{
    reactor_timer_free(job->timer);
    job->timer = reactor_timer_new(http_request_reactor(job->request), task, job);
    CHECK(job->timer);
    reactor_timer_start(job->timer, delay_ms, period_ms);
}

static void check_live(const struct job *job)
{
    CHECK(!job->done && !job->cancelled);
    handlers.calls++;
}

/* So that an answer can be told from that of another request. */
static void put_seen(struct http_request *request, struct http_response *response)
{
    char text[TARGET_MAX + 1];
    struct http_text target = http_request_target(request);
    CHECK(target.length <= TARGET_MAX);
    snprintf(text, sizeof(text), "%.*s", (int)target.length, target.bytes);
    CHECK(http_response_header(response, "Seen", text) == 0);
}

/* --- at once --- */

static int constant(struct http_request *request, struct http_response *response, void *arg)
{
    static const char page[] = "always the same";
    (void)request, (void)arg;
    return http_respond_constant(response, 200, "text/plain", page, sizeof(page) - 1);
}

static int with_status(struct http_request *request, struct http_response *response, void *arg)
{
    put_seen(request, response);
    return http_respond(response, *(const int *)arg, "text/plain", "body", 4);
}

static int bare_status(struct http_request *request, struct http_response *response, void *arg)
{
    put_seen(request, response);
    return *(const int *)arg;
}

static int param(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    struct http_text value = http_request_param(request, "x");
    struct http_text query = http_request_query_value(request, "q");
    CHECK(value.bytes);
    if (query.bytes)
        value = query;
    return http_respond(response, 200, "text/plain", value.bytes, value.length);
}

/* Both ways to ask for the body: the second must be refused. */
static int twice(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    CHECK(http_request_stream(request, constant, NULL) == HTTP_PENDING);
    int returned = http_request_collect(request, COLLECT_MAX, constant, NULL);
    CHECK(returned < 0 || returned == 413);
    return http_respond(response, 200, NULL, NULL, 0);
}

/* --- files --- */

static int pattern_file(void)
{
    static int file = -1;
    static char bytes[FILE_SIZE];
    if (file < 0) {
        file = memfd_create("pattern", MFD_CLOEXEC);
        for (size_t i = 0; i < FILE_SIZE; i++)
            bytes[i] = handlers_byte(i);
        CHECK(file >= 0 && write(file, bytes, FILE_SIZE) == FILE_SIZE);
    }
    int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
    CHECK(copy >= 0);
    return copy;
}

static int respond_file(struct http_response *response)
{
    CHECK(http_response_header(response, "Pattern", "10 40000") == 0);
    return http_respond_file(response, 200, "text/plain", pattern_file(), 10, 40000);
}

static int file(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    return respond_file(response);
}

/* The file is shorter than is said. */
static int file_short(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    handlers.tore = true;
    return http_respond_file(response, 200, "text/plain", pattern_file(), 10, FILE_SIZE);
}

/* --- bodies --- */

static int on_collected(struct http_request *request, struct http_response *response, void *arg)
{
    struct job *job = arg;
    check_live(job);
    CHECK(job->request == request && !job->told_end && http_request_ended(request));
    job->told_end = true;
    struct http_text body = http_request_body(request);
    CHECK(body.length <= COLLECT_MAX);
    return done(job, http_respond(response, 200, "text/plain", body.bytes, body.length));
}

static int collect_for(struct job *job)
{
    CHECK(http_response_header(job->response, "Echo", "all") == 0);
    int returned = http_request_collect(job->request, COLLECT_MAX, on_collected, job);
    return returned == HTTP_PENDING ? returned : done(job, returned);
}

static int collect(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    return collect_for(new_job(request, response));
}

static void on_time_to_collect(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct job *job = arg;
    struct http_response *response = job->response;
    check_live(job);
    int returned = collect_for(job);
    if (returned != HTTP_PENDING)
        http_response_finish(response, returned);
}

/* Asks for the body only after a while. */
static int collect_later(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    start_timer(new_job(request, response), on_time_to_collect, LATER_MS, 0);
    return HTTP_PENDING;
}

static void on_time_to_resume(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct job *job = arg;
    check_live(job);
    http_request_resume(job->request);
}

/* Sends half of the piece back, and comes again for the other half: by itself, by a timer, or when
 * the client has read. */
static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    struct job *job = arg;
    check_live(job);
    CHECK(job->request == request && !job->told_end);
    struct http_text piece = http_request_body(request);
    job->told_end = http_request_ended(request);
    CHECK(job->told_end == (piece.length == 0));
    if (job->told_end) {
        CHECK(http_response_trailer(response, "Echoed", "all") == 0);
        return done(job, http_response_end(response));
    }
    size_t half = piece.length / 2 + 1;
    size_t taken = http_response_write(response, piece.bytes, half);
    http_request_consume(request, taken);
    if (taken == half && taken < piece.length) {
        if (job->at++ % 2)
            start_timer(job, on_time_to_resume, 1, 0);
        else
            http_request_resume(request);
    }
    return HTTP_PENDING;
}

static int echo(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    CHECK(http_response_header(response, "Echo", "all") == 0);
    struct job *job = new_job(request, response);
    CHECK(http_response_start(response, 200, "text/plain", HTTP_LENGTH_UNKNOWN) == 0);
    return http_request_stream(request, on_piece, job);
}

/* Answers before it has read the body. */
static int on_early(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text piece = http_request_body(request);
    http_request_consume(request, piece.length / 3);
    return done(arg, http_respond(response, 200, "text/plain", "early", 5));
}

static int early(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    return http_request_stream(request, on_early, new_job(request, response));
}

/* --- answers in pieces --- */

static int on_room(struct http_request *request, struct http_response *response, void *arg)
{
    static char bytes[8192];
    struct job *job = arg;
    check_live(job);
    CHECK(job->request == request);
    while (job->at < job->total) {
        size_t length = job->total - job->at;
        length = length < sizeof(bytes) ? length : sizeof(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = handlers_byte(job->at + i);
        size_t taken = http_response_write(response, bytes, length);
        job->at += taken;
        if (taken < length)
            return HTTP_PENDING;
    }
    return done(job, http_response_end(response));
}

/* `arg`: whether the length is said beforehand. */
static int pattern(struct http_request *request, struct http_response *response, void *arg)
{
    char field[32];
    put_seen(request, response);
    struct job *job = new_job(request, response);
    job->total = arg ? PATTERN_MAX / 20 : PATTERN_MAX;
    snprintf(field, sizeof(field), "0 %zu", job->total);
    CHECK(http_response_header(response, "Pattern", field) == 0);
    uint64_t length = arg ? job->total : HTTP_LENGTH_UNKNOWN;
    CHECK(http_response_start(response, 200, "text/plain", length) == 0);
    http_response_on_room(response, on_room, job);
    return HTTP_PENDING;
}

/* Ends before the length that was announced. */
static int too_short(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    handlers.tore = true;
    CHECK(http_response_start(response, 200, "text/plain", 100) == 0);
    CHECK(http_response_write(response, "some", 4) == 4);
    return http_response_end(response);
}

static int garbage_begun(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    handlers.tore = true;
    CHECK(http_response_start(response, 200, "text/plain", HTTP_LENGTH_UNKNOWN) == 0);
    return 404;
}

/* --- later --- */

static void on_later(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct job *job = arg;
    struct http_response *response = job->response;
    http_response_finish(response,
                         done(job, http_respond(response, 200, "text/plain", "later", 5)));
}

static void on_later_file(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct job *job = arg;
    struct http_response *response = job->response;
    http_response_finish(response, done(job, respond_file(response)));
}

static void on_later_garbage(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct job *job = arg;
    struct http_response *response = job->response;
    http_response_finish(response, done(job, 12345));
}

static const reactor_task later_tasks[] = {on_later, on_later_file, on_later_garbage};

static int later(struct http_request *request, struct http_response *response, void *arg)
{
    put_seen(request, response);
    start_timer(new_job(request, response), *(const reactor_task *)arg, LATER_MS, 0);
    return HTTP_PENDING;
}

static void on_tick(struct reactor *reactor, void *arg)
{
    (void)reactor;
    static const char bytes[TICK_BYTES];
    struct job *job = arg;
    struct http_response *response = job->response;
    check_live(job);
    http_response_write(response, bytes, sizeof(bytes));
    if (++job->at < TICKS)
        return;
    CHECK(http_response_trailer(response, "Ticks", "all") == 0);
    http_response_finish(response, done(job, http_response_end(response)));
}

/* An answer in chunks, one a tick. */
static int ticks(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    put_seen(request, response);
    start_timer(new_job(request, response), on_tick, 1, 1);
    CHECK(http_response_start(response, 200, "text/plain", HTTP_LENGTH_UNKNOWN) == 0);
    return HTTP_PENDING;
}

static int never(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    handlers.never = true;
    new_job(request, response);
    return HTTP_PENDING;
}

/* --- the routes --- */

static const int statuses[] = {204, 205, 304, 404, 503, 12345};
static const bool known_length = true;

static const struct {
    const char *method; /* NULL: any */
    const char *pattern;
    http_handler handler;
    const void *arg;
} routes[] = {
    {NULL, "/", constant, NULL},
    {"GET", "/get", constant, NULL},
    {NULL, "/none", with_status, &statuses[0]},
    {NULL, "/reset", with_status, &statuses[1]},
    {NULL, "/same", with_status, &statuses[2]},
    {NULL, "/missing", bare_status, &statuses[3]},
    {NULL, "/busy", bare_status, &statuses[4]},
    {NULL, "/garbage", bare_status, &statuses[5]},
    {NULL, "/p/{x}", param, NULL},
    {NULL, "/twice", twice, NULL},
    {NULL, "/file", file, NULL},
    {NULL, "/file-short", file_short, NULL},
    {NULL, "/collect", collect, NULL},
    {NULL, "/collect-later", collect_later, NULL},
    {NULL, "/echo", echo, NULL},
    {NULL, "/early", early, NULL},
    {NULL, "/chunks", pattern, NULL},
    {NULL, "/length", pattern, &known_length},
    {NULL, "/too-short", too_short, NULL},
    {NULL, "/garbage-begun", garbage_begun, NULL},
    {NULL, "/later", later, &later_tasks[0]},
    {NULL, "/later-file", later, &later_tasks[1]},
    {NULL, "/later-garbage", later, &later_tasks[2]},
    {NULL, "/ticks", ticks, NULL},
    {NULL, "/never", never, NULL},
};

struct router *handlers_router(void)
{
    struct router *router = router_new();
    CHECK(router);
    close(pattern_file()); /* opens the file that stays open */
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        CHECK(router_add(router, routes[i].method, routes[i].pattern, routes[i].handler,
                         (void *)routes[i].arg) == 0);
    return router;
}
