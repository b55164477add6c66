/*
 * stall_server.c - keeps its reactors from everything else, for test_stall.py:
 *
 *     stall_server ADDR:PORT THREADS WARNING_MS [trace]
 *
 *     GET /fast        at once
 *     GET /sleep       sleeps for 300 ms
 *     GET /burn        computes for 300 ms
 *     GET /timer       at once, and then a timer sleeps for 300 ms
 *     GET /hang        until the file that the query names is gone
 *
 * Its functions are exported, so that a trace names them.
 */
#include <coreactor/server.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STALL_MS = 300, NAME_MAX_BYTES = 200 };

int handle_sleep(struct http_request *request, struct http_response *response, void *arg);
int handle_burn(struct http_request *request, struct http_response *response, void *arg);
int handle_hang(struct http_request *request, struct http_response *response, void *arg);
void stall_in_timer(struct reactor *reactor, void *arg);

/* The signal that asks for a trace interrupts nanosleep(2), as any blocking call may be. */
static void sleep_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static int respond(struct http_response *response)
{
    return http_respond(response, 200, "text/plain", "done\n", 5);
}

static int handle_fast(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return respond(response);
}

int handle_sleep(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    sleep_ms(STALL_MS);
    return respond(response);
}

int handle_burn(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < STALL_MS);
    return respond(response);
}

int handle_hang(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    char name[NAME_MAX_BYTES];
    struct http_text query = http_request_query(request);
    snprintf(name, sizeof(name), "%.*s", (int)query.length, query.bytes ? query.bytes : "");
    while (access(name, F_OK) == 0)
        sleep_ms(2);
    return respond(response);
}

void stall_in_timer(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct reactor_timer **timer = arg;
    sleep_ms(STALL_MS);
    reactor_timer_free(*timer);
    free(timer);
}

static int handle_timer(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct reactor_timer **timer = malloc(sizeof(struct reactor_timer *));
    if (!timer)
        return 503;
    *timer = reactor_timer_new(http_request_reactor(request), stall_in_timer, timer);
    if (!*timer) {
        free(timer);
        return 503;
    }
    reactor_timer_start(*timer, 0, 0);
    return respond(response);
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int warning_ms = number(argv[3]);
    const char *listen[] = {argv[1], NULL};
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = listen,
        .threads = (unsigned)number(argv[2]),
        .balance = SERVER_BALANCE_HASH,
        .stall_warning_ms = warning_ms ? warning_ms : -1,
        .stall_trace = argc > 4 && strcmp(argv[4], "trace") == 0,
        .handle_signals = true,
        .announce = true,
    });
    server_route(server, "GET", "/fast", handle_fast, NULL);
    server_route(server, "GET", "/sleep", handle_sleep, NULL);
    server_route(server, "GET", "/burn", handle_burn, NULL);
    server_route(server, "GET", "/timer", handle_timer, NULL);
    server_route(server, "GET", "/hang", handle_hang, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "stall_server: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
