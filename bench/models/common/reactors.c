#include "reactors.h"

#include "links.h"
#include "workloads.h"

#include <coreactor/server.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { ADDRESS_MAX = 32, DRAIN_S = 1 };

/* What a reactor keeps for its handlers. */
struct place {
    struct links links; /* first: links_open()'s callbacks are given it */
    struct reactor *reactor;
    struct wait *all, *spare;
};

/* A request that waits for the service. It belongs to the place, not to the request: when the
 * client leaves, the question is still under way. */
struct wait {
    struct question question; /* first */
    struct place *place;
    struct http_response *response; /* NULL: nobody wants the answer any more */
    struct wait *next, *next_spare;
};

static struct wait *take_wait(struct place *place)
{
    struct wait *wait = place->spare;
    if (wait) {
        place->spare = wait->next_spare;
    } else if ((wait = calloc(1, sizeof(*wait)))) {
        wait->place = place;
        wait->next = place->all;
        place->all = wait;
    }
    return wait;
}

static void give_back(struct wait *wait)
{
    wait->next_spare = wait->place->spare;
    wait->place->spare = wait;
}

/* --- the service --- */

static void on_link(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct place *place = reactor_data(reactor);
    (void)fd, (void)events;
    struct question *next, *done = links_read(&place->links, arg);
    for (; done; done = next) {
        struct wait *wait = (struct wait *)done;
        struct http_response *response = wait->response;
        next = done->next;
        int error = done->error;
        give_back(wait);
        if (response)
            workload_finish(response, error);
    }
}

static bool watch(struct links *links, struct link *link)
{
    struct reactor *reactor = ((struct place *)links)->reactor;
    int error = reactor_register(reactor, link->fd, EPOLLIN, on_link, link);
    errno = -error;
    return error == 0;
}

static void forget(struct links *links, struct link *link)
{
    reactor_deregister(((struct place *)links)->reactor, link->fd);
}

static void on_cancel(void *arg)
{
    struct wait *wait = arg;
    wait->response = NULL;
}

/* A client that has only closed its sending side gets its answer: it will not take long. */
static int ask(struct http_request *request, struct http_response *response)
{
    struct place *place = reactor_data(http_request_reactor(request));
    struct wait *wait = take_wait(place);
    if (!wait)
        return -ENOMEM;
    int error = links_ask(&place->links, &wait->question);
    if (error) {
        give_back(wait);
        return error;
    }
    wait->response = response;
    http_response_soon(response);
    http_response_on_cancel(response, on_cancel, wait);
    return HTTP_PENDING;
}

/* --- the server --- */

static int open_place(struct reactor *reactor, unsigned index, void *arg)
{
    const struct model_options *options = arg;
    struct place *place = calloc(1, sizeof(*place));
    (void)index;
    if (!place)
        return -ENOMEM;
    place->reactor = reactor;
    place->links.watch = watch;
    place->links.forget = forget;
    links_open(&place->links, options->service_port, options->pool);
    reactor_set_data(reactor, place);
    return 0;
}

static void close_place(struct reactor *reactor, unsigned index, void *arg)
{
    struct place *place = reactor_data(reactor);
    (void)index, (void)arg;
    links_close(&place->links);
    while (place->all) {
        struct wait *wait = place->all;
        place->all = wait->next;
        free(wait);
    }
    free(place);
}

int reactors_serve(const struct model_options *options, unsigned reactors, bool shared)
{
    static workload_ask asks = ask;
    struct model_options copy = *options;
    char address[ADDRESS_MAX];
    snprintf(address, sizeof(address), "127.0.0.1:%u", options->port);
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = (const char *const[]){address, NULL},
        .threads = reactors,
        .drain_timeout_s = DRAIN_S,
        .handle_signals = true,
        .reactor_start = open_place,
        .reactor_stop = close_place,
        .reactor_arg = &copy,
        .handler_descriptors = options->pool,
        .share_addresses = shared,
    });
    server_route(server, "GET", "/fast", workload_fast, NULL);
    server_route(server, "GET", "/work", workload_work, NULL);
    server_route(server, "GET", "/wait", workload_wait, &asks);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "%s: %s\n", g_get_prgname(), server_error(server));
    server_free(server);
    return error != 0;
}
