/*
 * The server with a client: what becomes of answers that are pending at its end, and of clients
 * that go away.
 */
#include <coreactor/server.h>

#include <arpa/inet.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE = 64 << 20 };

/* What the handlers below are given. */
struct visit {
    unsigned reactors;
    pthread_t started_on; /* the first of them */
    atomic_uint stopped;
    struct sockaddr_in address;
    int reserved; /* a socket that keeps the port */
    int file;
    atomic_bool pending;
    bool stops_reactor;
    atomic_uint cancelled;
    pthread_t cancelled_on;
    unsigned cancelled_before_stop;
    bool offloads;
    bool ended_before_stop; /* the offloaded handler */
};

static int on_start(struct reactor *reactor, unsigned index, void *arg)
{
    struct visit *visit = arg;
    (void)reactor;
    if (index == 0)
        visit->started_on = pthread_self();
    return 0;
}

static void on_stop(struct reactor *reactor, unsigned index, void *arg)
{
    struct visit *visit = arg;
    (void)reactor, (void)index;
    atomic_fetch_add(&visit->stopped, 1);
}

static void on_cancel(void *arg)
{
    struct visit *visit = arg;
    visit->cancelled_on = pthread_self();
    /* Its reactor is still what it was while it served. */
    visit->cancelled_before_stop += visit->stopped == 0;
    atomic_fetch_add(&visit->cancelled, 1);
}

static int leave(struct http_request *request, struct http_response *response, void *arg)
{
    struct visit *visit = arg;
    http_response_on_cancel(response, on_cancel, visit);
    if (visit->stops_reactor)
        reactor_stop(http_request_reactor(request));
    atomic_store(&visit->pending, true);
    return HTTP_PENDING;
}

static int respond_file(struct http_request *request, struct http_response *response, void *arg)
{
    struct visit *visit = arg;
    (void)request;
    int returned = http_respond_file(response, 200, NULL, dup(visit->file), 0, LARGE);
    atomic_store(&visit->pending, true);
    return returned;
}

static int compute(struct http_request *request, struct http_response *response, void *arg)
{
    struct visit *visit = arg;
    g_assert_false(pthread_equal(visit->started_on, pthread_self()));
    atomic_store(&visit->pending, true);
    while (!http_request_is_cancelled(request))
        g_usleep(1000);
    g_usleep(50000); /* it need not notice at once */
    visit->ended_before_stop = atomic_load(&visit->stopped) == 0;
    return http_respond(response, 200, NULL, NULL, 0);
}

/* Its port stays ours while a socket that does not listen has it too. */
static void reserve_port(struct visit *visit)
{
    int on = 1;
    socklen_t length = sizeof(visit->address);
    visit->reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    visit->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(visit->reserved, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    g_assert_cmpint(bind(visit->reserved, (struct sockaddr *)&visit->address, length), ==, 0);
    getsockname(visit->reserved, (struct sockaddr *)&visit->address, &length);
}

static struct server *visited_server(struct visit *visit)
{
    reserve_port(visit);
    g_autofree char *text =
        g_strdup_printf("127.0.0.1:%u", (unsigned)ntohs(visit->address.sin_port));
    const char *const listen[] = {text, NULL};
    struct server *server =
        server_new(&(struct server_options){.size = sizeof(struct server_options),
                                            .listen = listen,
                                            .drain_timeout_s = -1,
                                            .threads = visit->reactors,
                                            .reactor_start = on_start,
                                            .reactor_stop = on_stop,
                                            .reactor_arg = visit});
    g_assert_cmpint(server_route(server, "GET", "/leave", leave, visit), ==, 0);
    g_assert_cmpint(server_route(server, "GET", "/file", respond_file, visit), ==, 0);
    /* Once in this program: how GLib gives threads to another pool is invisible to the thread
     * sanitizer. */
    int added =
        visit->offloads ? server_route_offload(server, "GET", "/compute", compute, visit) : 0;
    g_assert_cmpint(added, ==, 0);
    return server;
}

/* Connects as soon as it listens, and says that; returns when it has been heard. */
static int ask(struct visit *visit, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    while (connect(fd, (struct sockaddr *)&visit->address, sizeof(visit->address)) != 0)
        g_usleep(1000); /* it may not listen yet; on Linux the socket can be used again */
    g_assert_cmpint(write(fd, request, strlen(request)), ==, (ssize_t)strlen(request));
    while (!atomic_load(&visit->pending))
        g_usleep(1000);
    return fd;
}

struct run {
    struct server *server;
    int returned;
    pthread_t thread;
};

/* On a thread of its own each, because of the thread sanitizer: see server_api.c. */
static void *run_here(void *arg)
{
    struct run *run = arg;
    run->returned = server_run(run->server);
    if (run->returned)
        g_error("%s", server_error(run->server));
    return NULL;
}

static void begin_run(struct run *run, struct visit *visit)
{
    *run = (struct run){.server = visited_server(visit)};
    int error = pthread_create(&run->thread, NULL, run_here, run);
    g_assert_cmpint(error, ==, 0);
}

static void await_end(const struct run *run, const struct visit *visit)
{
    pthread_join(run->thread, NULL);
    g_assert_cmpint(run->returned, ==, 0);
    server_free(run->server);
    close(visit->reserved);
}

static void end_run(const struct run *run, const struct visit *visit)
{
    server_stop(run->server);
    await_end(run, visit);
}

/* Whoever has left an answer pending is told where its request was, and before that ends. */
static void test_cancel_at_the_end(void)
{
    for (int stops_reactor = 0; stops_reactor < 2; stops_reactor++) {
        struct visit visit = {.reactors = 1, .stops_reactor = stops_reactor};
        struct run run;
        if (!stops_reactor)
            g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the drain's time was over*");
        begin_run(&run, &visit);
        int fd = ask(&visit, "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n");
        end_run(&run, &visit);
        g_test_assert_expected_messages();
        g_assert_cmpuint(visit.cancelled, ==, 1);
        g_assert_cmpuint(visit.cancelled_before_stop, ==, 1);
        g_assert_true(pthread_equal(visit.cancelled_on, visit.started_on));
        g_assert_cmpuint(visit.stopped, ==, 1);
        close(fd);
    }
}

/* A handler that stops one reactor ends the server in order: nobody listens any more where one does
 * not serve. */
static void test_stopped_reactor_ends_the_rest(void)
{
    struct visit visit = {.reactors = 2, .stops_reactor = true};
    struct run run;
    begin_run(&run, &visit);
    int fd = ask(&visit, "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n");
    await_end(&run, &visit);
    g_assert_cmpuint(visit.cancelled, ==, 1);
    g_assert_cmpuint(visit.stopped, ==, 2);
    close(fd);
}

/* A handler on another thread is told, and waited for before anything of its reactor's is stopped.
 */
static void test_offloaded_at_the_end(void)
{
    struct visit visit = {.reactors = 1, .offloads = true};
    struct run run;
    g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "the drain's time was over*");
    begin_run(&run, &visit);
    int fd = ask(&visit, "GET /compute HTTP/1.1\r\nHost: a\r\n\r\n");
    end_run(&run, &visit);
    g_test_assert_expected_messages();
    g_assert_true(visit.ended_before_stop);
    g_assert_cmpuint(visit.stopped, ==, 1);
    close(fd);
}

/* Closing with bytes unread, after its end was announced, makes the server's next write a write to
 * a broken pipe. */
static void test_client_gone_amid_a_file(void)
{
    struct visit visit = {.reactors = 1, .file = memfd_create("test", MFD_CLOEXEC)};
    struct run run;
    g_assert_cmpint(ftruncate(visit.file, LARGE), ==, 0);
    signal(SIGPIPE, SIG_DFL);
    begin_run(&run, &visit);
    for (int i = 0; i < 20; i++) {
        int fd = ask(&visit, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
        char byte;
        g_assert_cmpint(read(fd, &byte, 1), ==, 1);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    end_run(&run, &visit);
    close(visit.file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/visit/cancel-at-the-end", test_cancel_at_the_end);
    g_test_add_func("/server/visit/stopped-reactor-ends-the-rest",
                    test_stopped_reactor_ends_the_rest);
    g_test_add_func("/server/visit/offloaded-at-the-end", test_offloaded_at_the_end);
    g_test_add_func("/server/visit/client-gone-amid-a-file", test_client_gone_amid_a_file);
    return g_test_run();
}
