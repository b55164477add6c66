/*
 * offload.c - handlers that compute or block, on threads of their own beside the reactors:
 *
 *     offload [ADDR:PORT]...       curl http://127.0.0.1:18470/burn/500
 *
 * While these run, every reactor goes on serving its other clients: /fast answers at once.
 */
#include <coreactor/server.h>
#include <stdio.h>
#include <time.h>

enum { TIME_MAX_MS = 60000 };

static int fast(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "fast\n", 5);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A parameter is not terminated, and comes from anywhere. */
static int read_time(const struct http_request *request, int *time_ms)
{
    struct http_text text = http_request_param(request, "ms");
    *time_ms = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9' || *time_ms > TIME_MAX_MS)
            return 0;
        *time_ms = *time_ms * 10 + (text.bytes[i] - '0');
    }
    return *time_ms <= TIME_MAX_MS;
}

static int report(struct http_response *response, const char *what, int time_ms)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "%s for %d ms\n", what, time_ms);
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

/* Computes, and asks now and then whether anyone still wants to know. */
static int burn(struct http_request *request, struct http_response *response, void *arg)
{
    int time_ms;
    (void)arg;
    if (!read_time(request, &time_ms))
        return 400;
    for (double end = now_ms() + time_ms; now_ms() < end;) {
        if (http_request_is_cancelled(request))
            return 503;
    }
    return report(response, "burnt", time_ms);
}

/* Blocks, as a driver of a database would that knows nothing of event loops. */
static int block(struct http_request *request, struct http_response *response, void *arg)
{
    int time_ms;
    (void)arg;
    if (!read_time(request, &time_ms))
        return 400;
    nanosleep(&(struct timespec){time_ms / 1000, time_ms % 1000 * 1000000L}, NULL);
    return report(response, "slept", time_ms);
}

/* The body is all there: it sends back the sum of its bytes. */
static int sum(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text body = http_request_body(request);
    unsigned long total = 0;
    char text[32];
    (void)arg;
    for (size_t i = 0; i < body.length; i++)
        total += (unsigned char)body.bytes[i];
    int length = snprintf(text, sizeof(text), "%lu\n", total);
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

int main(int argc, char **argv)
{
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = argc > 1 ? (const char **)argv + 1 : NULL,
        .handle_signals = true,
        .announce = true,
        .offload_threads = 8, /* handlers at a time: more where they block, fewer to save CPU */
        .offload_queue = 64,  /* as many on each reactor may wait; 503 for those that come then */
    });
    server_route(server, "GET", "/fast", fast, NULL);
    server_route_offload(server, "GET", "/burn/{ms}", burn, NULL);
    server_route_offload(server, "GET", "/sleep/{ms}", block, NULL);
    server_route_offload(server, "POST", "/sum", sum, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "offload: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
