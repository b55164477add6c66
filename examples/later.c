/*
 * later.c - answers after a while, without a thread that waits:
 *
 *     later [ADDR:PORT]...         curl http://127.0.0.1:18470/later/250
 *
 * What a handler waits for may as well be another descriptor (reactor_register()) or the work of
 * another thread (reactor_post()); it ends in http_response_finish() in the same way.
 */
#include <coreactor/server.h>
#include <stdio.h>
#include <stdlib.h>

enum { DELAY_MAX_MS = 60000 };

struct wait {
    struct http_response *response;
    struct reactor_timer *timer;
    unsigned long delay_ms;
};

static void on_time(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct wait *wait = arg;
    char text[64];
    int length = snprintf(text, sizeof(text), "%lu ms later\n", wait->delay_ms);
    reactor_timer_free(wait->timer);
    http_response_finish(wait->response,
                         http_respond(wait->response, 200, "text/plain", text, (size_t)length));
}

/* The client has gone: nothing is left to be answered. */
static void on_cancel(void *arg)
{
    struct wait *wait = arg;
    reactor_timer_free(wait->timer);
}

/* A parameter is not terminated, and comes from anywhere. */
static int read_delay(struct http_text text, unsigned long *delay_ms)
{
    *delay_ms = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9' || *delay_ms > DELAY_MAX_MS)
            return 0;
        *delay_ms = *delay_ms * 10 + (unsigned long)(text.bytes[i] - '0');
    }
    return *delay_ms <= DELAY_MAX_MS;
}

static int later(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct wait *wait = http_request_alloc(request, sizeof(*wait));
    if (!wait)
        return 503;
    if (!read_delay(http_request_param(request, "ms"), &wait->delay_ms))
        return 400;
    wait->response = response;
    wait->timer = reactor_timer_new(http_request_reactor(request), on_time, wait);
    if (!wait->timer)
        return 503;
    reactor_timer_start(wait->timer, (uint32_t)wait->delay_ms, 0);
    http_response_on_cancel(response, on_cancel, wait);
    return HTTP_PENDING;
}

int main(int argc, char **argv)
{
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = argc > 1 ? (const char **)argv + 1 : NULL,
        .handle_signals = true,
        .announce = true,
    });
    server_route(server, "GET", "/later/{ms}", later, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "later: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
