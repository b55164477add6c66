#include "source_support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* --- sendfile --- */

struct injection inject_sendfile;
bool sendfile_pretends;
uint64_t sendfile_bytes;

ssize_t wrap_sendfile(int to, int from, off_t *offset, size_t length) __asm__("__wrap_sendfile");
ssize_t real_sendfile(int to, int from, off_t *offset, size_t length) __asm__("__real_sendfile");

ssize_t wrap_sendfile(int to, int from, off_t *offset, size_t length)
{
    struct injection *injection = &inject_sendfile;
    int step = injection->count ? injection->steps[injection->next++ % injection->count] : 0;
    if (step < 0) {
        errno = -step;
        return -1;
    }
    if (step)
        length = MIN(length, (size_t)step);
    ssize_t sent = sendfile_pretends ? (ssize_t)length : real_sendfile(to, from, offset, length);
    sendfile_bytes += sent > 0 ? (uint64_t)sent : 0;
    return sent;
}

/* --- the source --- */

char *contents(void)
{
    static char bytes[MUCH];
    for (size_t i = 0; i < MUCH && !bytes[MUCH - 1]; i++)
        bytes[i] = (char)('a' + i * 7 % 26);
    return bytes;
}

static void say_ready(struct reactor *reactor, void *arg)
{
    struct scene *scene = arg;
    (void)reactor;
    if (scene->waits)
        http_response_ready(scene->response);
    scene->waits = false;
}

static void call_soon(struct scene *scene)
{
    if (scene->from == FROM_TIMER)
        reactor_timer_start(scene->timer, 0, 0);
    else if (scene->from == FROM_POST)
        g_assert_cmpint(reactor_post(scene->net->reactor, say_ready, scene), ==, 0);
}

/* Whether these bytes end with the last of the answer. */
static bool is_the_last(const struct layout *layout, int64_t offset, size_t length)
{
    size_t i = layout->count;
    while (i && !layout->pieces[i - 1].length)
        i--;
    return i && layout->pieces[i - 1].kind == 'f' &&
           offset + (int64_t)length ==
               layout->pieces[i - 1].at + (int64_t)layout->pieces[i - 1].length &&
           offset >= layout->pieces[i - 1].at;
}

static int64_t prepare(void *arg, int64_t offset, size_t length)
{
    struct scene *scene = arg;
    g_assert_false(scene->waits);
    g_assert_cmpuint(scene->released, <, scene->calls);
    g_assert_cmpint(offset, <=, MUCH);
    if (scene->asked->len < 10000)
        g_string_append_printf(scene->asked, "%d+%zu ", (int)offset, length);
    if (length && is_the_last(scene->layout, offset, length))
        g_assert_cmpuint(length, ==, 1);
    int64_t grant =
        scene->grant_count ? scene->grants[scene->next_grant++ % scene->grant_count] : 0;
    if (grant == -EAGAIN) {
        scene->waits = true;
        call_soon(scene);
    }
    return grant < 0 ? grant : grant && (size_t)grant < length ? grant : (int64_t)length;
}

static void release(void *arg)
{
    struct scene *scene = arg;
    scene->waits = false;
    scene->released++;
}

static void on_cancel(void *arg)
{
    struct scene *scene = arg;
    scene->cancelled++;
    scene->response = NULL;
}

/* --- the handler --- */

static int answer(struct scene *scene)
{
    struct http_piece pieces[PIECES_MAX];
    const struct http_source source = {.fd = scene->file,
                                       .prepare = scene->asks ? prepare : NULL,
                                       .release = release,
                                       .arg = scene};
    for (size_t i = 0; i < scene->layout->count; i++) {
        int64_t at = scene->layout->pieces[i].at;
        bool memory = scene->layout->pieces[i].kind == 'm';
        pieces[i] = (struct http_piece){.bytes = memory ? contents() + at : NULL,
                                        .offset = memory ? -5 : at,
                                        .length = scene->layout->pieces[i].length};
    }
    unsigned before = scene->released;
    scene->calls++;
    scene->returned = http_respond_from(scene->response, scene->status, scene->content_type,
                                        &source, pieces, scene->layout->count);
    scene->released_at_once = scene->released - before;
    memset(pieces, 0xee, sizeof(pieces));
    return scene->returned < 0 ? 500 : scene->returned;
}

static void answer_later(struct reactor *reactor, void *arg)
{
    struct scene *scene = arg;
    (void)reactor;
    if (!scene->response)
        return;
    int returned = answer(scene);
    if (!scene->pending)
        http_response_finish(scene->response, returned);
}

static int serve(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    scene->response = response;
    if (scene->later || scene->pending)
        http_response_on_cancel(response, on_cancel, scene);
    if (scene->later) {
        g_assert_cmpint(reactor_post(http_request_reactor(request), answer_later, scene), ==, 0);
        return HTTP_PENDING;
    }
    if (scene->answered)
        g_assert_cmpint(http_respond(response, 200, "text/plain", "first", 5), ==, 200);
    int returned = answer(scene);
    return scene->pending ? HTTP_PENDING : returned;
}

void scene_open(struct scene *scene, struct net *net)
{
    net_open(net);
    inject_sendfile = (struct injection){0};
    sendfile_pretends = false;
    sendfile_bytes = 0;
    *scene = (struct scene){.net = net,
                            .file = memfd_create("test", MFD_CLOEXEC),
                            .timer = reactor_timer_new(net->reactor, say_ready, scene),
                            .status = 200,
                            .content_type = "text/plain",
                            .asked = g_string_new(NULL)};
    g_assert_cmpint(write(scene->file, contents(), MUCH), ==, MUCH);
    net_route(net, "/source", serve, scene);
}

void scene_close(struct scene *scene, struct net *net)
{
    g_assert_cmpuint(scene->released, ==, scene->calls);
    reactor_timer_free(scene->timer);
    net_close(net);
    close(scene->file);
    g_string_free(scene->asked, TRUE);
}

char *answer_of(const struct layout *layout, const char *more)
{
    g_autoptr(GString) body = g_string_new(NULL);
    for (size_t i = 0; i < layout->count; i++)
        g_string_append_len(body, contents() + layout->pieces[i].at,
                            (gssize)layout->pieces[i].length);
    return g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                           "Content-Length: %zu\r\n%s\r\n%s",
                           body->len, more, body->str);
}
