/*
 * mixed.c - the server of bench/mixed: fast answers beside slow ones, each slow one in three ways.
 *
 *     mixed [-p PORT] [-t THREADS] [-o OFFLOAD_THREADS] [-q OFFLOAD_QUEUE] [-m CPU_MS]
 *           [-b hash|least|handoff] [-k]
 *
 * -k leaves connections on the reactors that they came to. Paths:
 *
 *     /fast          an answer of 83 bytes, always the same
 *     /slow          takes CPU time (5 ms) on the reactor's thread
 *     /slow-offload  the same on a thread of the pool
 *     /wait          answers after 50 ms, by a timer; no thread waits
 *     /wait-offload  sleeps 50 ms on a thread of the pool
 *     /wait-inline   sleeps 50 ms on the reactor's thread: what a handler must not do
 */
#include <coreactor/server.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 50, NS_PER_MS = 1000000, SPINS = 2000, ADDRESS_MAX = 32 };

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";
_Static_assert(sizeof page - 1 == 83, "as long as the page of the other benchmarks");

static unsigned cpu_ms = 5;

static int fast(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond_constant(response, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

/* CPU time of this thread: what others take of the CPU meanwhile does not count. */
static int64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static int slow(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    static const char text[] = "burnt\n";
    int64_t end = thread_cpu_ns() + (int64_t)cpu_ms * NS_PER_MS;
    volatile unsigned spin = 0; /* so that the loop is not optimised away */
    while (thread_cpu_ns() < end)
        for (unsigned i = 0; i < SPINS; i++)
            spin = spin + i;
    return http_respond(response, 200, "text/plain", text, sizeof text - 1);
}

static int respond_waited(struct http_response *response)
{
    static const char text[] = "waited\n";
    return http_respond(response, 200, "text/plain", text, sizeof text - 1);
}

static int sleeping(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    struct timespec left = {.tv_nsec = (long)WAIT_MS * NS_PER_MS};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return respond_waited(response);
}

struct wait {
    struct http_response *response;
    struct reactor_timer *timer;
};

static void on_time(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct wait *wait = arg;
    reactor_timer_free(wait->timer);
    http_response_finish(wait->response, respond_waited(wait->response));
}

static void on_cancel(void *arg)
{
    struct wait *wait = arg;
    reactor_timer_free(wait->timer);
}

static int waiting(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct wait *wait = http_request_alloc(request, sizeof(*wait));
    if (!wait)
        return 503;
    wait->response = response;
    wait->timer = reactor_timer_new(http_request_reactor(request), on_time, wait);
    if (!wait->timer)
        return 503;
    reactor_timer_start(wait->timer, WAIT_MS, 0);
    http_response_on_cancel(response, on_cancel, wait);
    return HTTP_PENDING;
}

static unsigned number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > 65535) {
        fprintf(stderr, "mixed: not a number from 1 to 65535: %s\n", text);
        exit(2);
    }
    return (unsigned)value;
}

static enum server_balance balance(const char *text)
{
    static const char *const names[] = {[SERVER_BALANCE_HASH] = "hash",
                                        [SERVER_BALANCE_LEAST] = "least",
                                        [SERVER_BALANCE_HANDOFF] = "handoff"};
    for (unsigned mode = SERVER_BALANCE_HASH; mode <= SERVER_BALANCE_HANDOFF; mode++)
        if (strcmp(text, names[mode]) == 0)
            return (enum server_balance)mode;
    fprintf(stderr, "mixed: no way to balance: %s\n", text);
    exit(2);
}

static void read_options(int argc, char **argv, struct server_options *options, unsigned *port)
{
    for (int option; (option = getopt(argc, argv, "p:t:o:q:m:b:k")) != -1;) {
        switch (option) {
        case 'p':
            *port = number(optarg);
            break;
        case 't':
            options->threads = number(optarg);
            break;
        case 'o':
            options->offload_threads = number(optarg);
            break;
        case 'q':
            options->offload_queue = number(optarg);
            break;
        case 'm':
            cpu_ms = number(optarg);
            break;
        case 'b':
            options->balance = balance(optarg);
            break;
        case 'k':
            options->keep_connections = true;
            break;
        default:
            fputs("usage: mixed [-p PORT] [-t THREADS] [-o OFFLOAD_THREADS] [-q OFFLOAD_QUEUE] "
                  "[-m CPU_MS] [-b hash|least|handoff] [-k (keep connections)]\n",
                  stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned port = 18490;
    char address[ADDRESS_MAX];
    const char *listen[] = {address, NULL};
    /* The stalls are meant: no line in the log for each. */
    struct server_options options = {
        .size = sizeof options, .listen = listen, .handle_signals = true, .stall_warning_ms = -1};
    read_options(argc, argv, &options, &port);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);

    struct server *server = server_new(&options);
    server_route(server, "GET", "/fast", fast, NULL);
    server_route(server, "GET", "/slow", slow, NULL);
    server_route(server, "GET", "/wait", waiting, NULL);
    server_route(server, "GET", "/wait-inline", sleeping, NULL);
    server_route_offload(server, "GET", "/slow-offload", slow, NULL);
    server_route_offload(server, "GET", "/wait-offload", sleeping, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "mixed: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
