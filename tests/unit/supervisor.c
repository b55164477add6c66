/* The supervisor of a running server: when there is one, when it rests, and what wakes it. */
#include "net/balance.h"
#include "reactor/turns.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STALL_MS = 20, PATIENCE_S = 60 };

static const char *const any_port[] = {"127.0.0.1:0", NULL};

/* For designated initialisers: what every server here has. */
#define SMALL .size = sizeof(struct server_options), .listen = any_port, .drain_timeout_s = 1

/* --- injection --- */

static bool create_fails;
static int allocations_left = -1;         /* by calloc(3); negative: enough */
static _Atomic(struct server *) reviewed; /* counts its reviews while it drains */
static atomic_uint reviews;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void __real_balance_review(struct balance *balance, unsigned index, uint64_t now_ns,
                           uint64_t busy_ns, unsigned (*waiting)(void *arg, unsigned index),
                           void *arg);
void __wrap_balance_review(struct balance *balance, unsigned index, uint64_t now_ns,
                           uint64_t busy_ns, unsigned (*waiting)(void *arg, unsigned index),
                           void *arg);

void __wrap_balance_review(struct balance *balance, unsigned index, uint64_t now_ns,
                           uint64_t busy_ns, unsigned (*waiting)(void *arg, unsigned index),
                           void *arg)
{
    struct server *server = atomic_load(&reviewed);
    if (server && atomic_load(&server->service.draining))
        atomic_fetch_add(&reviews, 1);
    __real_balance_review(balance, index, now_ns, busy_ns, waiting, arg);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg)
{
    return create_fails ? EAGAIN : __real_pthread_create(thread, attributes, start, arg);
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (allocations_left == 0) {
        errno = ENOMEM;
        return NULL;
    }
    if (allocations_left > 0)
        allocations_left--;
    return __real_calloc(count, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- a server --- */

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

static void *run_here(void *arg)
{
    struct server *server = arg;
    g_assert_cmpint(server_run(server), ==, 0);
    return NULL;
}

static pthread_t run_aside(struct server *server)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run_here, server);
    g_assert_cmpint(error, ==, 0);
    return thread;
}

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* --- whether there is one --- */

struct look {
    struct server *server;
    bool found;
    atomic_uint started;
};

static int find_supervisor(struct reactor *reactor, unsigned index, void *arg)
{
    struct look *look = arg;
    (void)reactor, (void)index;
    if (index == 0)
        look->found = look->server->supervisor.runs;
    return 0;
}

static void assert_supervised(bool expected, struct server_options options)
{
    struct look look = {0};
    options.reactor_start = find_supervisor;
    options.reactor_arg = &look;
    struct server *server = routed_server(&options);
    look.server = server;
    server_stop(server);
    pthread_join(run_aside(server), NULL);
    server_free(server);
    g_assert_cmpint(look.found, ==, expected);
}

static void test_only_where_there_is_work(void)
{
    assert_supervised(true, (struct server_options){SMALL, .threads = 1});
    assert_supervised(false, (struct server_options){SMALL, .threads = 1, .stall_warning_ms = -1});
    assert_supervised(false, (struct server_options){SMALL, .threads = 2, .stall_warning_ms = -1,
                                                     .balance = SERVER_BALANCE_HASH});
    assert_supervised(true, (struct server_options){SMALL, .threads = 2, .stall_warning_ms = -1,
                                                    .balance = SERVER_BALANCE_HANDOFF});
}

/* --- what fails --- */

static void test_no_thread(void)
{
    struct sigaction before;
    struct sigaction after;
    struct server *server =
        routed_server(&(struct server_options){SMALL, .threads = 1, .stall_trace = true});
    sigaction(SIGURG, NULL, &before);
    create_fails = true;
    g_assert_cmpint(server_run(server), ==, -EAGAIN);
    create_fails = false;
    g_assert_true(g_str_has_prefix(server_error(server), "cannot start the supervisor's thread: "));
    sigaction(SIGURG, NULL, &after);
    g_assert_true(before.sa_handler == after.sa_handler);
    server_free(server);
}

/* Whichever of the allocations fails: one line, and nothing leaks. */
static void test_no_memory(void)
{
    int failures = 0;
    int returned;
    do {
        struct server *server = routed_server(&(struct server_options){SMALL, .threads = 1});
        server_stop(server);
        allocations_left = failures++;
        returned = server_run(server);
        allocations_left = -1;
        if (returned) {
            g_assert_cmpint(returned, ==, -ENOMEM);
            g_assert_cmpstr(server_error(server), !=, "");
        }
        server_free(server);
    } while (returned);
    g_assert_cmpint(failures, >, 5);
}

/* --- rest --- */

static unsigned lines_said;

static void count_line(const char *domain, GLogLevelFlags level, const char *message, void *arg)
{
    (void)domain, (void)level, (void)arg, (void)message;
    lines_said++;
}

static struct watch *watch_of(struct server *server, unsigned thread)
{
    return reactor_watch(server->workers[thread].reactor);
}

static int note_start(struct reactor *reactor, unsigned index, void *arg)
{
    struct look *look = arg;
    (void)reactor, (void)index;
    sleep_ms(2 * STALL_MS); /* which is no stall: nobody is served yet */
    atomic_fetch_add(&look->started, 1);
    return 0;
}

static bool bells_are_set(struct server *server, unsigned threads)
{
    unsigned set = 0;
    for (unsigned t = 0; t < threads; t++)
        set += atomic_load(&watch_of(server, t)->bell);
    return set == threads;
}

/* Until the bells are set and it makes no turns of its own any more. */
static void wait_for_rest(struct server *server, unsigned threads)
{
    const struct counter *turns = &reactor_watch(server->supervisor.reactor)->turns;
    for (int i = 0; i < PATIENCE_S * 10; i++) {
        uint64_t before = counter_read(turns);
        bool set = bells_are_set(server, threads);
        sleep_ms(100);
        if (set && counter_read(turns) == before)
            return;
    }
    g_error("the supervisor does not rest");
}

struct stall {
    struct server *server;
    unsigned thread;
    uint64_t wanted; /* goes on until so many are counted */
    atomic_bool over;
};

static void stall_until_counted(struct reactor *reactor, void *arg)
{
    struct stall *stall = arg;
    const struct counter *stalls = &stall->server->workers[stall->thread].metrics.stalls;
    (void)reactor;
    for (int i = 0; i < PATIENCE_S * 1000 && counter_read(stalls) < stall->wanted; i++)
        sleep_ms(1);
    g_assert_cmpuint(counter_read(stalls), ==, stall->wanted);
    atomic_store(&stall->over, true);
}

/* The first reactors, all idle, stall at the same time, each for as long as nobody notices. */
static void stall_first(struct server *server, unsigned threads, uint64_t wanted)
{
    struct stall stalls[2];
    for (unsigned t = 0; t < threads; t++) {
        stalls[t] = (struct stall){.server = server, .thread = t, .wanted = wanted};
        g_assert_cmpint(reactor_post(server->workers[t].reactor, stall_until_counted, &stalls[t]),
                        ==, 0);
    }
    for (unsigned t = 0; t < threads; t++) {
        while (!atomic_load(&stalls[t].over))
            sleep_ms(1);
    }
}

static void test_rests_and_is_woken(void)
{
    struct look look = {0};
    struct server *server = routed_server(&(struct server_options){
        SMALL, .threads = 2, .stall_warning_ms = STALL_MS, .reactor_start = note_start,
        .reactor_arg = &look, .balance = SERVER_BALANCE_HASH});
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_log_set_default_handler(count_line, NULL);
    pthread_t thread = run_aside(server);
    while (atomic_load(&look.started) < 2)
        sleep_ms(1);
    wait_for_rest(server, 2);
    stall_first(server, 2, 1);
    wait_for_rest(server, 2);
    stall_first(server, 1, 2); /* not more than are logged: it would not rest before that is said */
    /* It is asleep when the end comes, too. */
    wait_for_rest(server, 2);
    server_stop(server);
    pthread_join(thread, NULL);
    server_free(server);
    g_log_set_default_handler(g_log_default_handler, NULL);
    g_assert_cmpuint(lines_said, >=, 3);
}

static pthread_t start_handoff(struct server *server, const struct look *look)
{
    pthread_t thread = run_aside(server);
    while (atomic_load(&look->started) < 2)
        sleep_ms(1);
    return thread;
}

/* What is pending may never come: a review must get the time to find out. */
static void test_no_rest_while_connections_are_pending(void)
{
    struct look look = {0};
    struct server *server = routed_server(&(struct server_options){
        SMALL, .threads = 2, .stall_warning_ms = -1, .reactor_start = note_start,
        .reactor_arg = &look, .balance = SERVER_BALANCE_HANDOFF});
    uint64_t began_ns = watch_clock();
    pthread_t thread = start_handoff(server, &look);
    load_assign(&server->balance.loads[0]);
    wait_for_rest(server, 2);
    g_assert_cmpuint(watch_clock() - began_ns, >=, UINT64_C(3) * 1000000000);
    load_unassign(&server->balance.loads[0]);
    server_stop(server);
    pthread_join(thread, NULL);
    server_free(server);
}

static int connect_to(struct server *server)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    g_assert_cmpint(getsockname(server->sockets[0], (struct sockaddr *)&address, &length), ==, 0);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, length), ==, 0);
    return fd;
}

/* The workers close the sockets that a review asks. One that is in progress may go on. */
static void test_no_review_while_it_drains(void)
{
    struct look look = {0};
    struct server *server = routed_server(
        &(struct server_options){SMALL, .threads = 2, .reactor_start = note_start,
                                 .reactor_arg = &look, .balance = SERVER_BALANCE_HANDOFF});
    g_log_set_always_fatal(G_LOG_FATAL_MASK); /* the drain warns of the client that it cuts off */
    pthread_t thread = start_handoff(server, &look);
    int fd = connect_to(server);
    g_assert_cmpint(send(fd, "GET", 3, MSG_NOSIGNAL), ==, 3); /* the drain waits for the rest */
    atomic_store(&reviewed, server);
    server_stop(server);
    pthread_join(thread, NULL);
    atomic_store(&reviewed, NULL);
    close(fd);
    server_free(server);
    g_assert_cmpuint(atomic_load(&reviews), <=, 2);
}

#define ADD(path, function) g_test_add_func("/supervisor/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("needed", only_where_there_is_work);
    ADD("no-thread", no_thread);
    ADD("no-memory", no_memory);
    ADD("rest", rests_and_is_woken);
    ADD("rest/pending", no_rest_while_connections_are_pending);
    ADD("drain/no-review", no_review_while_it_drains);
    return g_test_run();
}
