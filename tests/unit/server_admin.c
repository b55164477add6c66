/*
 * The operator's pages of a server inside a program: what its handlers do is seen there, also while
 * they keep the only loop from running.
 */
#include "server/state.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 60 };

struct house {
    char *folder;
    char *admin; /* "unix:PATH" */
    struct server *server;
    struct address front; /* where it serves, when it does */
    pthread_t thread;
    int returned;
    atomic_bool serves;
    atomic_bool came;
    atomic_bool released;
    struct http_response *pending;
};

/* --- patience --- */

/* Sleeps for a moment; fails the test when `what` has been waited for too long. */
static void sleep_on(gint64 begun_us, const char *what)
{
    if (g_get_monotonic_time() - begun_us > PATIENCE_S * G_USEC_PER_SEC)
        g_error("gave up waiting: %s", what);
    g_usleep(1000);
}

static void wait_until(const atomic_bool *condition, const char *what)
{
    gint64 begun_us = g_get_monotonic_time();
    while (!atomic_load(condition))
        sleep_on(begun_us, what);
}

/* --- handlers --- */

static void on_cancel(void *arg)
{
    struct house *house = arg;
    house->pending = NULL;
}

static int leave(struct http_request *request, struct http_response *response, void *arg)
{
    struct house *house = arg;
    (void)request;
    house->pending = response;
    http_response_on_cancel(response, on_cancel, house);
    return HTTP_PENDING;
}

static int finish(struct http_request *request, struct http_response *response, void *arg)
{
    struct house *house = arg;
    (void)request;
    http_response_finish(house->pending, http_respond(house->pending, 200, NULL, NULL, 0));
    return http_respond(response, 200, NULL, NULL, 0);
}

static int block(struct http_request *request, struct http_response *response, void *arg)
{
    struct house *house = arg;
    (void)request;
    atomic_store(&house->came, true);
    wait_until(&house->released, "the handler is released");
    return http_respond(response, 200, NULL, NULL, 0);
}

/* --- the server --- */

static void *run_here(void *arg)
{
    struct house *house = arg;
    house->returned = server_run(house->server);
    return NULL;
}

/* It listens by now, at the port that the kernel has chosen. */
static int note_front(struct reactor *reactor, unsigned index, void *arg)
{
    struct house *house = arg;
    (void)reactor, (void)index;
    house->front = house->server->addresses[0];
    atomic_store(&house->serves, true);
    return 0;
}

static void house_init(struct house *house)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    *house = (struct house){.folder = g_dir_make_tmp("coreactor-XXXXXX", NULL)};
    house->admin = g_strdup_printf("unix:%s/admin", house->folder);
    house->server = server_new(&(struct server_options){.size = sizeof(struct server_options),
                                                        .listen = listen,
                                                        .threads = 1,
                                                        .stall_warning_ms = -1,
                                                        .drain_timeout_s = -1,
                                                        .reactor_start = note_front,
                                                        .reactor_arg = house,
                                                        .admin = house->admin});
    server_route(house->server, "GET", "/leave", leave, house);
    server_route(house->server, "GET", "/finish", finish, house);
    server_route(house->server, "GET", "/block", block, house);
    int error = pthread_create(&house->thread, NULL, run_here, house);
    g_assert_cmpint(error, ==, 0);
    wait_until(&house->serves, "it serves");
}

static void house_fini(struct house *house)
{
    server_stop(house->server);
    pthread_join(house->thread, NULL);
    g_assert_cmpint(house->returned, ==, 0);
    g_assert_cmpint(access(house->admin + strlen("unix:"), F_OK), !=, 0);
    server_free(house->server);
    g_assert_cmpint(g_rmdir(house->folder), ==, 0);
    g_free(house->folder);
    g_free(house->admin);
}

/* --- its clients --- */

/* Reading from it fails after a time. */
static int connect_to(const void *address, socklen_t length)
{
    const struct sockaddr *to = address;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), ==, 0);
    g_assert_cmpint(connect(fd, to, length), ==, 0);
    return fd;
}

static int connect_admin(const struct house *house)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, house->admin + strlen("unix:"), sizeof(address.sun_path));
    return connect_to(&address, sizeof(address));
}

static void send_text(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
}

/* An answer to the end of its connection. */
static char *read_all(int fd)
{
    GString *answer = g_string_new(NULL);
    char piece[4096];
    ssize_t count;
    while ((count = read(fd, piece, sizeof(piece))) > 0)
        g_string_append_len(answer, piece, count);
    g_assert_cmpint(count, ==, 0);
    close(fd);
    return g_string_free(answer, FALSE);
}

static char *ask_admin(const struct house *house, const char *path)
{
    int fd = connect_admin(house);
    g_autofree char *request =
        g_strdup_printf("GET %s HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n", path);
    send_text(fd, request);
    return read_all(fd);
}

static void wait_for(const struct house *house, const char *path, const char *words)
{
    gint64 begun_us = g_get_monotonic_time();
    for (;;) {
        g_autofree char *answer = ask_admin(house, path);
        if (strstr(answer, words))
            return;
        sleep_on(begun_us, words);
    }
}

static int ask_front(const struct house *house, const char *path)
{
    int fd = connect_to(&house->front.storage, house->front.length);
    g_autofree char *request =
        g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    send_text(fd, request);
    return fd;
}

/* --- tests --- */

#define WAITS(count)    "coreactor_connections{reactor=\"0\",state=\"wait\"} " count "\n"
#define ANSWERED(count) "coreactor_requests_total{reactor=\"0\",class=\"2xx\"} " count "\n"
#define ABORTED(count)  "coreactor_requests_aborted_total{reactor=\"0\"} " count "\n"
#define TIMED(count)    "coreactor_request_duration_seconds_count " count "\n"

static void test_pending(void)
{
    struct house house;
    house_init(&house);
    wait_for(&house, "/readyz", "200 OK");
    int patient = ask_front(&house, "/leave");
    wait_for(&house, "/metrics", WAITS("1"));
    g_autofree char *finished = read_all(ask_front(&house, "/finish"));
    g_assert_true(g_str_has_prefix(finished, "HTTP/1.1 200"));
    g_autofree char *answer = read_all(patient);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 200"));
    wait_for(&house, "/metrics", ANSWERED("2"));
    wait_for(&house, "/metrics", TIMED("2"));
    int impatient = ask_front(&house, "/leave");
    wait_for(&house, "/metrics", WAITS("1"));
    close(impatient);
    wait_for(&house, "/metrics", ABORTED("1"));
    wait_for(&house, "/metrics", WAITS("0"));
    wait_for(&house, "/metrics", ANSWERED("2"));
    wait_for(&house, "/metrics", TIMED("2"));
    house_fini(&house);
}

/* Its own loop answers, and shows that the other's is in a long turn. */
static void test_blocked(void)
{
    struct house house;
    house_init(&house);
    wait_for(&house, "/readyz", "200 OK");
    int client = ask_front(&house, "/block");
    wait_until(&house.came, "the handler is called");
    wait_for(&house, "/status.json", "\"busy_ratio\": 1,");
    wait_for(&house, "/healthz", "ok\n"); /* it is not long enough for more */
    atomic_store(&house.released, true);
    g_autofree char *answer = read_all(client);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 200"));
    wait_for(&house, "/status.json", "\"busy_ratio\": 0"); /* or a part of it */
    house_fini(&house);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server-admin/pending", test_pending);
    g_test_add_func("/server-admin/blocked", test_blocked);
    return g_test_run();
}
