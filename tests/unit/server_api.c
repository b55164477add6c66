/*
 * The server as a program that embeds it sees it: options that are refused, routes, what is called
 * on each reactor. Requests are the end-to-end tests' matter; nearly every server here is told to
 * stop before it runs, so that it returns after its first drain.
 */
#include <coreactor/server.h>

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { REACTORS = 3 };

static const char *const any_port[] = {"127.0.0.1:0", NULL};

/* For designated initialisers: what every server here has. */
#define SMALL .size = sizeof(struct server_options), .listen = any_port, .drain_timeout_s = 1

static int answer(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "x", 1);
}

static struct server *routed_server(const struct server_options *options)
{
    struct server *server = server_new(options);
    g_assert_nonnull(server);
    g_assert_cmpint(server_route(server, "GET", "/", answer, NULL), ==, 0);
    return server;
}

struct run {
    struct server *server;
    int returned;
    pthread_t thread;
};

static void *run_here(void *arg)
{
    struct run *run = arg;
    run->returned = server_run(run->server);
    return NULL;
}

/* On a thread of its own, so that libgomp makes a new team: how a team is woken for the second time
 * is invisible to the thread sanitizer. */
static struct run run(struct server *server)
{
    struct run run = {.server = server};
    int error = pthread_create(&run.thread, NULL, run_here, &run);
    g_assert_cmpint(error, ==, 0);
    pthread_join(run.thread, NULL);
    return run;
}

/* Runs it, expecting `error`, with one line that contains `words`, and frees it. */
static void run_and_fail(struct server *server, int error, const char *words)
{
    g_assert_cmpint(run(server).returned, ==, error);
    g_test_message("%s", server_error(server));
    g_assert_nonnull(strstr(server_error(server), words));
    g_assert_null(strchr(server_error(server), '\n'));
    server_free(server);
}

/* Returns the thread that it ran on. */
static pthread_t run_and_stop(struct server *server)
{
    server_stop(server);
    struct run done = run(server);
    g_assert_cmpint(done.returned, ==, 0);
    g_assert_cmpstr(server_error(server), ==, "");
    server_free(server);
    return done.thread;
}

/* --- options --- */

static void test_sizes_of_options(void)
{
    struct server_options options = {.size = 0};
    g_assert_null(server_new(&options));
    g_assert_cmpint(errno, ==, EINVAL);
    struct {
        struct server_options known;
        int unknown;
    } newer = {.known.size = sizeof(newer), .unknown = 1};
    g_assert_null(server_new(&newer.known));
    g_assert_cmpint(errno, ==, EINVAL);
    newer.unknown = 0; /* nothing of it is asked for */
    server_free(server_new(&newer.known));
    options.size = sizeof(options.size); /* an older program's */
    server_free(server_new(&options));
    server_free(server_new(NULL));
    server_free(NULL);
    server_stop(NULL);
    g_assert_cmpint(server_run(NULL), ==, -EINVAL);
    g_assert_cmpstr(server_error(NULL), !=, "");
}

static void test_limits_that_protect_buffers(void)
{
    run_and_fail(routed_server(&(struct server_options){SMALL, .max_header_bytes = 16385}), -EINVAL,
                 "max_header_bytes is 16385; it may be 16384 at most");
    run_and_fail(routed_server(&(struct server_options){SMALL, .max_headers = 101}), -EINVAL,
                 "max_headers is 101; it may be 100 at most");
    run_and_fail(routed_server(&(struct server_options){SMALL, .max_uri_bytes = UINT_MAX}), -EINVAL,
                 "max_uri_bytes is 4294967295; it may be 16384 at most");
    run_and_fail(routed_server(&(struct server_options){SMALL, .offload_threads = UINT_MAX}),
                 -EINVAL, "offload_threads is 4294967295; it may be 1024 at most");
    /* The first error is the one that is told. */
    struct server *server =
        server_new(&(struct server_options){SMALL, .max_headers = 101, .max_header_bytes = 99999});
    g_assert_cmpint(server_route(server, "GET", "nowhere", answer, NULL), ==, -EINVAL);
    run_and_fail(server, -EINVAL, "max_header_bytes is 99999");
}

static void test_unknown_balance(void)
{
    run_and_fail(
        routed_server(&(struct server_options){SMALL, .balance = SERVER_BALANCE_HANDOFF + 1}),
        -EINVAL, "balance is 4, which is no value of enum server_balance");
    run_and_fail(
        routed_server(&(struct server_options){SMALL, .balance = (enum server_balance) - 1}),
        -EINVAL, "balance is 4294967295");
}

/* Another process of the same user may have allowed what SO_REUSEPORT needs. */
static void test_shared_addresses(void)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    g_assert_cmpint(bind(other, (struct sockaddr *)&address, length), ==, 0);
    g_assert_cmpint(listen(other, 1), ==, 0);
    getsockname(other, (struct sockaddr *)&address, &length);
    g_autofree char *text = g_strdup_printf("127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    const char *const listen[] = {text, NULL};
    struct server_options options = {.size = sizeof(options), .listen = listen, .threads = 2};
    run_and_fail(routed_server(&options), -EADDRINUSE, "in use");
    options.share_addresses = true;
    run_and_stop(routed_server(&options));
    options.balance = SERVER_BALANCE_LEAST;
    run_and_fail(routed_server(&options), -EINVAL, "take SERVER_BALANCE_HANDOFF");
    close(other);
}

static void test_every_limit_at_an_end(void)
{
    run_and_stop(routed_server(&(struct server_options){
        SMALL, .max_header_bytes = 16384, .max_headers = 100, .max_uri_bytes = 16384,
        .max_body_bytes = INT64_MAX, .max_connections = 1, .max_connections_per_client = 1,
        .max_requests = UINT_MAX, .header_timeout_s = INT_MAX, .idle_timeout_s = INT_MAX,
        .min_body_rate = INT_MAX, .min_write_rate = INT_MAX}));
    run_and_stop(routed_server(&(struct server_options){
        SMALL, .max_body_bytes = -1, .header_timeout_s = -1, .idle_timeout_s = INT_MIN,
        .min_body_rate = -1, .min_write_rate = INT_MIN}));
}

static void test_texts_that_are_not_one_line(void)
{
    static const char *const listen[] = {"a\nb\033c", NULL};
    run_and_fail(routed_server(&(struct server_options){.size = sizeof(struct server_options),
                                                        .listen = listen}),
                 -EINVAL, "'a?b?c'");
}

/* --- routes --- */

static void test_no_route(void)
{
    run_and_fail(server_new(&(struct server_options){SMALL}), -EINVAL, "server_route()");
    g_assert_cmpint(server_route(NULL, "GET", "/", answer, NULL), ==, -EINVAL);
}

static void test_bad_routes(void)
{
    static const struct {
        const char *method;
        const char *pattern;
        const char *words;
    } bad[] = {
        {"GET", "nowhere", "cannot route GET nowhere: "},
        {"G T", "/", "cannot route G T /: "},
        {NULL, "nowhere", "cannot route every method of nowhere: "},
        {"GET", NULL, "cannot route GET (no pattern): "},
        {"GET", "a\nb", "cannot route GET a?b: "},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct server *server = routed_server(&(struct server_options){SMALL});
        g_assert_cmpint(server_route(server, bad[i].method, bad[i].pattern, answer, NULL), ==,
                        -EINVAL);
        /* Later ones do not matter. */
        g_assert_cmpint(server_route(server, "GET", "/", answer, NULL), ==, -EEXIST);
        g_assert_cmpint(server_route(server, "GET", "/more", answer, NULL), ==, 0);
        run_and_fail(server, -EINVAL, bad[i].words);
    }
    struct server *server = routed_server(&(struct server_options){SMALL});
    g_assert_cmpint(server_route(server, "GET", "/a", NULL, NULL), ==, -EINVAL);
    run_and_fail(server, -EINVAL, "cannot route GET /a: it has no handler");
}

static void test_a_route_twice(void)
{
    struct server *server = routed_server(&(struct server_options){SMALL});
    g_assert_cmpint(server_route(server, "POST", "/", answer, NULL), ==, 0);
    g_assert_cmpint(server_route(server, "GET", "/", answer, NULL), ==, -EEXIST);
    run_and_fail(server, -EEXIST, "cannot route GET /: there is such a route already");
}

static void test_offload_routes(void)
{
    struct server *server = routed_server(&(struct server_options){SMALL, .offload_threads = 2});
    g_assert_cmpint(server_route_offload(NULL, "GET", "/", answer, NULL), ==, -EINVAL);
    g_assert_cmpint(server_route_offload(server, "GET", "/long", answer, NULL), ==, 0);
    g_assert_cmpint(server_route_offload(server, NULL, "/long", answer, NULL), ==, 0);
    run_and_stop(server);
    server = routed_server(&(struct server_options){SMALL});
    g_assert_cmpint(server_route_offload(server, "GET", "/", answer, NULL), ==, -EEXIST);
    run_and_fail(server, -EEXIST, "cannot route GET /: there is such a route already");
    server = routed_server(&(struct server_options){SMALL});
    g_assert_cmpint(server_route_offload(server, "GET", "/a", NULL, NULL), ==, -EINVAL);
    run_and_fail(server, -EINVAL, "cannot route GET /a: it has no handler");
    server = server_new(&(struct server_options){SMALL}); /* one is enough, and it may not run */
    g_assert_cmpint(server_route_offload(server, "GET", "/a", answer, NULL), ==, 0);
    server_free(server);
}

/* --- what is called on each reactor --- */

struct hooks {
    struct server *server;
    atomic_uint started; /* a bit for each reactor */
    atomic_uint stopped;
    pthread_t threads[REACTORS]; /* each written by its own reactor's */
    unsigned failing;            /* bits: of those whose start fails */
    bool stops_server;
    int raised; /* a signal that each start and stop sends to the process, or 0 */
};

static int on_start(struct reactor *reactor, unsigned index, void *arg)
{
    struct hooks *hooks = arg;
    g_assert_cmpuint(index, <, REACTORS);
    g_assert_null(reactor_data(reactor));
    g_assert_false(atomic_fetch_or(&hooks->started, 1U << index) & 1U << index);
    if (hooks->failing & 1U << index)
        return -EACCES;
    hooks->threads[index] = pthread_self();
    reactor_set_data(reactor, hooks);
    if (hooks->raised)
        kill(getpid(), hooks->raised);
    if (hooks->stops_server)
        server_stop(hooks->server);
    return 0;
}

static void on_stop(struct reactor *reactor, unsigned index, void *arg)
{
    struct hooks *hooks = arg;
    g_assert_true(reactor_data(reactor) == hooks);
    g_assert_true(pthread_equal(hooks->threads[index], pthread_self()));
    g_assert_false(atomic_fetch_or(&hooks->stopped, 1U << index) & 1U << index);
    if (hooks->raised)
        kill(getpid(), hooks->raised);
}

static struct server *hooked_server(struct hooks *hooks)
{
    hooks->server = routed_server(&(struct server_options){
        SMALL, .threads = REACTORS, .handle_signals = true, .reactor_start = on_start,
        .reactor_stop = on_stop, .reactor_arg = hooks});
    return hooks->server;
}

static void test_start_and_stop(void)
{
    struct hooks hooks = {0};
    pthread_t caller = run_and_stop(hooked_server(&hooks));
    g_assert_cmpuint(hooks.started, ==, 7);
    g_assert_cmpuint(hooks.stopped, ==, 7);
    g_assert_true(pthread_equal(hooks.threads[0], caller));
    g_assert_false(pthread_equal(hooks.threads[1], hooks.threads[0]));
    g_assert_false(pthread_equal(hooks.threads[2], hooks.threads[1]));
}

static void test_start_may_stop_the_server(void)
{
    struct hooks hooks = {.stops_server = true};
    struct server *server = hooked_server(&hooks);
    g_assert_cmpint(run(server).returned, ==, 0);
    g_assert_cmpuint(hooks.stopped, ==, 7);
    g_assert_cmpint(server_run(server), ==, -EALREADY);
    server_free(server);
}

/* Those that have started are stopped, the others are not. */
static void test_failing_starts(void)
{
    for (unsigned failing = 1; failing < 8; failing++) {
        struct hooks hooks = {.failing = failing};
        run_and_fail(hooked_server(&hooks), -EACCES, "of 3 could not be started: ");
        g_assert_cmpuint(hooks.started, ==, 7);
        g_assert_cmpuint(hooks.stopped, ==, 7 & ~failing);
    }
    struct hooks hooks = {.failing = 2};
    run_and_fail(hooked_server(&hooks), -EACCES, "reactor 2 of 3 could not be started: ");
}

/* Without an access log it has no effect, whenever it comes. */
static void test_sigusr1(void)
{
    struct hooks hooks = {.raised = SIGUSR1};
    run_and_stop(hooked_server(&hooks));
    g_assert_cmpuint(hooks.stopped, ==, 7);
}

/* --- ends --- */

static void *stop_from_outside(void *arg)
{
    server_stop(arg);
    return NULL;
}

static void test_stop_from_another_thread(void)
{
    pthread_t thread;
    struct server *server = routed_server(&(struct server_options){SMALL, .threads = 2});
    g_assert_cmpint(pthread_create(&thread, NULL, stop_from_outside, server), ==, 0);
    g_assert_cmpint(run(server).returned, ==, 0);
    pthread_join(thread, NULL);
    server_free(server);
}

/* --- broken pipes --- */

static void on_signal(int number)
{
    (void)number;
}

static void check_sigpipe(void (*before)(int), void (*after)(int))
{
    struct sigaction now;
    struct sigaction old;
    const struct sigaction given = {.sa_handler = before};
    g_assert_cmpint(sigaction(SIGPIPE, &given, &old), ==, 0);
    run_and_stop(routed_server(&(struct server_options){SMALL}));
    g_assert_cmpint(sigaction(SIGPIPE, &old, &now), ==, 0);
    g_assert_true(now.sa_handler == after);
}

/* A program's own handler is its own business. */
static void test_sigpipe(void)
{
    check_sigpipe(SIG_DFL, SIG_IGN);
    check_sigpipe(SIG_IGN, SIG_IGN);
    check_sigpipe(on_signal, on_signal);
}

/* --- time, and files --- */

static void test_duration(void)
{
    struct server *server = routed_server(&(struct server_options){SMALL, .duration_s = 1});
    g_assert_cmpint(run(server).returned, ==, 0);
    server_free(server);
}

static void test_access_log_that_cannot_be_opened(void)
{
    const char *file = "/nonexistent/access.log";
    struct server *server =
        routed_server(&(struct server_options){SMALL, .handle_signals = true, .access_log = file});
    run_and_fail(server, -ENOENT, "cannot open the access log /nonexistent/access.log: No such");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/sizes-of-options", test_sizes_of_options);
    g_test_add_func("/server/limits-that-protect-buffers", test_limits_that_protect_buffers);
    g_test_add_func("/server/unknown-balance", test_unknown_balance);
    g_test_add_func("/server/shared-addresses", test_shared_addresses);
    g_test_add_func("/server/every-limit-at-an-end", test_every_limit_at_an_end);
    g_test_add_func("/server/texts-not-one-line", test_texts_that_are_not_one_line);
    g_test_add_func("/server/no-route", test_no_route);
    g_test_add_func("/server/bad-routes", test_bad_routes);
    g_test_add_func("/server/a-route-twice", test_a_route_twice);
    g_test_add_func("/server/offload-routes", test_offload_routes);
    g_test_add_func("/server/start-and-stop", test_start_and_stop);
    g_test_add_func("/server/start-may-stop-the-server", test_start_may_stop_the_server);
    g_test_add_func("/server/failing-starts", test_failing_starts);
    g_test_add_func("/server/sigusr1", test_sigusr1);
    g_test_add_func("/server/stop-from-another-thread", test_stop_from_another_thread);
    g_test_add_func("/server/sigpipe", test_sigpipe);
    g_test_add_func("/server/duration", test_duration);
    g_test_add_func("/server/access-log-cannot-be-opened", test_access_log_that_cannot_be_opened);
    return g_test_run();
}
