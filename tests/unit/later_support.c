#include "later_support.h"

#include <string.h>

static void take_texts(struct http_request *request, struct http_text *texts)
{
    texts[0] = http_request_method(request);
    texts[1] = http_request_path(request);
    texts[2] = http_request_target(request);
    texts[3] = http_request_host(request);
    texts[4] = http_request_header(request, "Host");
    texts[5] = http_request_param(request, "part");
}

static void expect_same(const struct http_text *texts, const struct http_text *others)
{
    for (int i = 0; i < 6; i++)
        g_assert_cmpmem(texts[i].bytes, texts[i].length, others[i].bytes, others[i].length);
}

void later_finish(struct pending *pending)
{
    struct http_text again[6];
    take_texts(pending->request, again);
    expect_same(pending->texts, pending->copies);
    expect_same(again, pending->copies);
    pending->scene->finished++;
    http_response_finish(pending->response, net_handler(pending->request, pending->response, NULL));
}

static void on_task(struct reactor *reactor, void *arg)
{
    (void)reactor;
    later_finish(arg);
}

static void on_cancel(void *arg)
{
    struct pending *pending = arg;
    reactor_timer_stop(&pending->timer);
    pending->scene->cancelled++;
}

static bool keep_copies(struct pending *pending)
{
    for (int i = 0; i < 6; i++) {
        struct http_text text = pending->texts[i];
        char *copy = http_request_alloc(pending->request, text.length);
        if (!copy)
            return false;
        if (text.length)
            memcpy(copy, text.bytes, text.length);
        pending->copies[i] = (struct http_text){copy, text.length};
    }
    return true;
}

static int later(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    struct reactor *reactor = http_request_reactor(request);
    struct pending *pending = http_request_alloc(request, sizeof(*pending));
    if (!pending)
        return 503;
    *pending = (struct pending){.scene = scene, .request = request, .response = response};
    take_texts(request, pending->texts);
    if (!keep_copies(pending) ||
        (scene->from == FROM_POST && reactor_post(reactor, on_task, pending) != 0))
        return 503;
    scene->calls++;
    scene->last = pending;
    reactor_timer_init(&pending->timer, reactor, on_task, pending);
    if (scene->from == FROM_TIMER)
        reactor_timer_start(&pending->timer, 5, 0);
    if (scene->from != FROM_POST)
        http_response_on_cancel(response, on_cancel, pending);
    if (scene->from == FROM_INSIDE)
        later_finish(pending);
    return HTTP_PENDING;
}

void scene_open(struct scene *scene, struct net *net, enum from from)
{
    *scene = (struct scene){.from = from};
    net_open(net);
    net_route(net, "/later/{part}", later, scene);
    net_route(net, "/other/{part}", later, scene);
}
