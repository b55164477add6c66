/*
 * Answers out of files: the right bytes, without a copy in memory, and the descriptor is closed
 * whatever becomes of them.
 */
#include "net_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MUCH = 5 << 20 };

struct scene {
    int file;
    int fd; /* the one that was given away last */
    int status;
    int64_t offset;
    uint64_t length;
    const char *content_type;
    int returned;
    bool answered; /* before */
};

static char *contents(void)
{
    static char bytes[MUCH];
    for (size_t i = 0; i < MUCH && !bytes[MUCH - 1]; i++)
        bytes[i] = (char)('a' + i * 7 % 26);
    return bytes;
}

static int serve(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    (void)request;
    if (scene->answered)
        g_assert_cmpint(http_respond(response, 200, "text/plain", "first", 5), ==, 200);
    scene->fd = fcntl(scene->file, F_DUPFD_CLOEXEC, 500);
    g_assert_cmpint(scene->fd, >=, 0);
    scene->returned = http_respond_file(response, scene->status, scene->content_type, scene->fd,
                                        scene->offset, scene->length);
    return scene->returned < 0 ? 500 : scene->returned;
}

static void scene_open(struct scene *scene, struct net *net)
{
    *scene = (struct scene){.file = memfd_create("test", MFD_CLOEXEC),
                            .status = 200,
                            .length = 5,
                            .content_type = "text/plain"};
    g_assert_cmpint(write(scene->file, contents(), MUCH), ==, MUCH);
    net_open(net);
    net_route(net, "/file", serve, scene);
}

static void expect_closed(const struct scene *scene)
{
    g_assert_cmpint(fcntl(scene->fd, F_GETFD), ==, -1);
    g_assert_cmpint(errno, ==, EBADF);
}

static void scene_close(struct scene *scene, struct net *net)
{
    expect_closed(scene);
    net_close(net);
    close(scene->file);
}

/* --- the right bytes --- */

static const struct {
    const char *method;
    int status;
    int64_t offset;
    uint64_t length;
    const char *answer;
} files[] = {
    {"GET", 200, 0, 5, PLAIN("5", "", "ahovc")},
    {"GET", 200, 2, 1, PLAIN("1", "", "o")},
    {"GET", 200, MUCH - 1, 1, NULL},
    {"GET", 200, 3, 0, PLAIN("0", "", "")},
    {"GET", 200, MUCH, 0, PLAIN("0", "", "")},
    {"HEAD", 200, 0, 5, PLAIN("5", "", "")},
    {"GET", 204, 0, 5, "HTTP/1.1 204 No Content\r\n\r\n"},
    {"GET", 304, 0, 5, "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {"GET", 206, 1, 4,
     "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nhovc"},
};

static void check_file(size_t i, const int *steps, size_t count)
{
    struct net net;
    struct scene scene;
    struct client client;
    const char last[2] = {contents()[MUCH - 1], '\0'};
    g_autofree char *at_end = g_strdup_printf(PLAIN("1", "", "%s"), last);
    const char *answer = files[i].answer ? files[i].answer : at_end;
    g_autofree char *request = g_strdup_printf("%s /file" FIELDS "\r\n", files[i].method);
    g_autofree char *all = g_strconcat(GET("/1"), request, request, GET("/2"), NULL);
    g_autofree char *expected =
        g_strconcat(PLAIN("6", "", "GET /1"), answer, answer, PLAIN("6", "", "GET /2"), NULL);
    scene_open(&scene, &net);
    scene.status = files[i].status;
    scene.offset = files[i].offset;
    scene.length = files[i].length;
    client_init(&client, net_pair(&net), all, strlen(all));
    inject_always(&inject_send, steps, count);
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpint(scene.returned, ==, scene.status);
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_right_bytes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        check_file(i, NULL, 0);
        check_file(i, STEPS(-EAGAIN, 7));
        check_file(i, STEPS(1));
    }
}

static void test_much(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.length = MUCH;
    g_autofree char *expected = g_strdup_printf(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%.*s%s", MUCH,
        MUCH, contents(), PLAIN("6", "", "GET /1"));
    client_init(&client, net_pair(&net), GET("/file") GET("/1"), strlen(GET("/file") GET("/1")));
    memory_largest = 0;
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpuint(memory_largest, <=, SEND_BATCH);
    client_fini(&client);
    scene_close(&scene, &net);
}

/* --- closed in every case --- */

/* The client can tell, because the connection ends. */
static void test_shrunk(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.offset = MUCH - 3;
    client_init(&client, net_pair(&net), GET("/file") GET("/1"), strlen(GET("/file") GET("/1")));
    client_run_to_end(&client, &net);
    g_autofree char *text = client_text(&client, &net);
    g_assert_true(g_str_has_prefix(text, PLAIN("5", "", "")));
    g_assert_cmpuint(strlen(text), ==, strlen(PLAIN("5", "", "")) + 3);
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_client_gone(void)
{
    for (int how = 0; how < 2; how++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        scene.length = MUCH;
        client_init(&client, net_pair(&net), GET("/file"), strlen(GET("/file")));
        client_step(&client, &net);
        client_step(&client, &net);
        g_assert_cmpint(fcntl(scene.fd, F_GETFD), >=, 0);
        if (how == 0)
            worker_fini(&net.worker);
        client_fini(&client);
        for (int i = 0; i < 3; i++)
            net_turn(&net);
        if (how == 0)
            g_assert_cmpint(worker_init(&net.worker, net.reactor, &net.service, 1), ==, 0);
        scene_close(&scene, &net);
    }
}

static void check_refused(const struct scene *as, int returned, const char *answer)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    int file = scene.file;
    scene = *as;
    scene.file = file;
    client_init(&client, net_pair(&net), GET("/file"), strlen(GET("/file")));
    client_run_to_rest(&client, &net);
    g_assert_cmpint(scene.returned, ==, returned);
    g_autofree char *text = client_text(&client, &net);
    g_assert_true(g_str_has_prefix(text, answer));
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_refused(void)
{
    const char *error = "HTTP/1.1 500 ";
    check_refused(&(struct scene){.status = 200, .offset = -1, .length = 5}, -EINVAL, error);
    check_refused(&(struct scene){.status = 200, .offset = INT64_MAX, .length = 5}, -EINVAL, error);
    check_refused(&(struct scene){.status = 200, .length = UINT64_MAX}, -EINVAL, error);
    check_refused(&(struct scene){.status = 199, .length = 5}, -EINVAL, error);
    check_refused(&(struct scene){.status = 200, .length = 5, .content_type = "a\n"}, -EINVAL,
                  error);
    check_refused(&(struct scene){.status = 200, .length = 5, .answered = true}, -EALREADY,
                  PLAIN("5", "", "first"));
}

/* Returns whether it came to the n-th allocation. */
static bool serve_short_of_memory(int n, bool stays_short)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.fd = 500; /* when it does not come to one */
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), GET("/file") GET("/file"), 2 * strlen(GET("/file")));
    inject_always(&inject_send, STEPS(5, -EAGAIN));
    client_run_to_rest(&client, &net);
    bool failed = memory_fails_in == 0 || stays_short;
    inject_nothing();
    client_fini(&client);
    client_init(&client, net_pair(&net), GET("/1"), strlen(GET("/1")));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, PLAIN("6", "", "GET /1"));
    client_fini(&client);
    scene_close(&scene, &net);
    return failed;
}

static void test_memory(void)
{
    int n = 1;
    while (serve_short_of_memory(n, false))
        n++;
    for (int at = 1; at < n; at++)
        serve_short_of_memory(at, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/file/right-bytes", test_right_bytes);
    g_test_add_func("/net/file/much", test_much);
    g_test_add_func("/net/file/shrunk", test_shrunk);
    g_test_add_func("/net/file/client-gone", test_client_gone);
    g_test_add_func("/net/file/refused", test_refused);
    g_test_add_func("/net/file/memory", test_memory);
    return g_test_run();
}
