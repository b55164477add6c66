/*
 * Clients that go from one worker to another: nothing that they say is lost, nothing is counted
 * twice, and a drain waits for those that are under way.
 */
#include "net/balance.h"
#include "net/connection.h"
#include "net/handoff.h"
#include "net/moves.h"
#include "net_support.h"

#include <string.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

struct pair {
    struct net net; /* its router and service, and a worker that takes no part */
    struct balance balance;
    struct worker workers[2];
    struct reactor_timer alive[2]; /* a server's reactors always have something to wait for */
};

static void do_nothing(struct reactor *reactor, void *arg)
{
    (void)reactor, (void)arg;
}

static void pair_open(struct pair *pair)
{
    char why[64];
    net_open(&pair->net);
    const struct balance_sockets none = {.reactors = 2};
    g_assert_cmpint(balance_open(&pair->balance, BALANCE_HANDOFF, &none, why, sizeof(why)), ==, 0);
    clock_stands = true;
    pair->net.service.workers = pair->workers;
    pair->net.service.worker_count = 2;
    pair->net.service.balance = &pair->balance;
    for (unsigned i = 0; i < 2; i++) {
        struct worker *worker = &pair->workers[i];
        g_assert_cmpint(worker_init(worker, reactor_new(), &pair->net.service, 1), ==, 0);
        reactor_timer_init(&pair->alive[i], worker->reactor, do_nothing, NULL);
        reactor_timer_start(&pair->alive[i], UINT32_MAX, 0);
        worker->index = i;
        worker->load = &pair->balance.loads[i];
        http_date_renew(&worker->date, 0);
        worker->date.expires_ns = UINT64_MAX;
    }
}

static void worker_end(struct worker *worker)
{
    struct reactor *reactor = worker->reactor;
    worker_fini(worker);
    g_assert_cmpint(reactor_destroy(reactor), ==, 0);
}

static void pair_close(struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++)
        worker_end(&pair->workers[i]);
    g_assert_cmpint(load_pending(&pair->balance.loads[0]), ==, 0);
    g_assert_cmpint(load_pending(&pair->balance.loads[1]), ==, 0);
    balance_close(&pair->balance);
    pair->net.service.workers = &pair->net.worker;
    pair->net.service.balance = NULL;
    net_close(&pair->net);
}

static void turn(struct worker *worker)
{
    g_assert_cmpint(reactor_run(worker->reactor, 0), >=, 0);
}

/* A client of the first worker. */
static int come(struct pair *pair)
{
    struct worker *worker = &pair->workers[0];
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_assert_true(worker_reserve_connection(worker));
    const struct visitor visitor = {.fd = fds[1], .peer.any.sa_family = AF_UNIX};
    g_assert_cmpint(connection_open(worker, &visitor), ==, 0);
    return fds[0];
}

static void say(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

/* The answers that have come. */
static unsigned count_answers(int fd)
{
    static char bytes[65536];
    unsigned answers = 0;
    ssize_t length = read(fd, bytes, sizeof(bytes) - 1);
    bytes[length > 0 ? length : 0] = '\0';
    for (const char *at = bytes; (at = strstr(at, "HTTP/1.1 200 OK\r\n")); at++)
        answers++;
    return answers;
}

static void ask_for_moves(struct worker *worker, unsigned count)
{
    worker->moves = count;
    worker->moves_to = 1;
    worker->moves_end_ns = reactor_now(worker->reactor) + 100 * ms;
}

static void expect_open(struct pair *pair, unsigned first, unsigned second)
{
    g_assert_cmpuint(pair->balance.loads[0].open, ==, first);
    g_assert_cmpuint(pair->balance.loads[1].open, ==, second);
    g_assert_cmpuint(load_of(&pair->balance.loads[0]), ==, first);
    g_assert_cmpuint(load_of(&pair->balance.loads[1]), ==, second);
    g_assert_cmpuint(atomic_load(&pair->net.service.connections), ==, first + second);
}

/* The request that makes it move is answered here, the next one there. */
static void test_move(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    expect_open(&pair, 1, 0);
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    g_assert_cmpuint(count_answers(fd), ==, 1);
    g_assert_null(pair.workers[0].connections);
    g_assert_cmpint(load_pending(&pair.balance.loads[1]), ==, 1);
    g_assert_true(handoff_is_expected(&pair.workers[1]));
    say(fd, GET("/2") GET("/3")); /* while it is under way */
    turn(&pair.workers[0]);
    turn(&pair.workers[1]);
    expect_open(&pair, 0, 1);
    turn(&pair.workers[1]);
    g_assert_cmpuint(count_answers(fd), ==, 2);
    g_assert_cmpuint(counter_read(&pair.workers[0].metrics.moved), ==, 1);
    g_assert_cmpuint(counter_read(&pair.workers[1].metrics.taken_over), ==, 1);
    g_assert_cmpuint(pair.workers[0].moves, ==, 0);
    close(fd);
    turn(&pair.workers[1]);
    expect_open(&pair, 0, 0);
    pair_close(&pair);
}

/* The limit of requests on a connection holds over the move. */
static void test_requests_go_along(void)
{
    struct pair pair;
    pair_open(&pair);
    pair.net.service.max_requests = 2;
    int fd = come(&pair);
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    turn(&pair.workers[1]);
    say(fd, GET("/2") GET("/3"));
    turn(&pair.workers[1]);
    g_assert_cmpuint(count_answers(fd), ==, 2);
    close(fd);
    turn(&pair.workers[1]);
    expect_open(&pair, 0, 0);
    pair_close(&pair);
}

/* Not amid a request, nor behind an empty line, nor when the worker was asked long ago. */
static void test_stays(void)
{
    static const char *const said[] = {
        GET("/1") "GET /2", GET("/1") "\r\n",
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"};
    struct pair pair;
    pair_open(&pair);
    for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
        int fd = come(&pair);
        turn(&pair.workers[0]);
        ask_for_moves(&pair.workers[0], 1);
        say(fd, said[i]);
        turn(&pair.workers[0]);
        expect_open(&pair, 1, 0);
        g_assert_cmpuint(counter_read(&pair.workers[0].metrics.moved), ==, 0);
        close(fd);
        pair.workers[0].moves = 0;
        turn(&pair.workers[0]);
        turn(&pair.workers[0]);
        expect_open(&pair, 0, 0);
    }
    int fd = come(&pair);
    ask_for_moves(&pair.workers[0], 1);
    clock_ahead_ns += 101 * ms;
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    expect_open(&pair, 1, 0);
    g_assert_cmpuint(pair.workers[0].moves, ==, 0);
    close(fd);
    turn(&pair.workers[0]);
    pair_close(&pair);
}

/* Without memory to send it, or once the server drains, it stays where it is. */
static void test_cannot_go(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    say(fd, GET("/1"));
    turn(&pair.workers[0]); /* what has to be allocated once is there */
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    memory_fails_in = 1;
    turn(&pair.workers[0]);
    expect_open(&pair, 1, 0);
    g_assert_cmpuint(count_answers(fd), ==, 2);
    atomic_store(&pair.net.service.draining, true);
    connection_move(pair.workers[0].connections, 1);
    expect_open(&pair, 1, 0);
    g_assert_cmpuint(counter_read(&pair.workers[0].metrics.moved), ==, 0);
    close(fd);
    turn(&pair.workers[0]);
    pair_close(&pair);
}

static uint64_t short_of_resources(const struct worker *worker)
{
    return counter_read(&worker->metrics.refused[REFUSED_SHORT]);
}

/* The first allocation is that of what would be sent, the second that of what stays. */
static void test_cannot_go_nor_stay(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    turn(&pair.workers[0]);
    atomic_store(&pair.net.service.draining, true);
    memory_fails_in = 2;
    connection_move(pair.workers[0].connections, 1);
    g_assert_cmpint(memory_fails_in, ==, 0);
    expect_open(&pair, 0, 0);
    g_assert_cmpuint(short_of_resources(&pair.workers[0]), ==, 1);
    g_assert_cmpint(read(fd, &(char){0}, 1), ==, 0);
    close(fd);
    pair_close(&pair);
}

/* Whom the other worker cannot take is closed, and counts as a connection nowhere any more. */
static void test_cannot_arrive(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    memory_fails_in = 1;
    turn(&pair.workers[1]);
    memory_fails_in = 0;
    expect_open(&pair, 0, 0);
    g_assert_cmpuint(short_of_resources(&pair.workers[1]), ==, 1);
    g_assert_cmpuint(count_answers(fd), ==, 1);
    g_assert_cmpint(read(fd, &(char){0}, 1), ==, 0);
    close(fd);
    pair_close(&pair);
}

/* A reactor that ended while a client was under way to it turns it away when it is destroyed. */
static void test_arrives_too_late(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    pair_close(&pair);
    g_assert_cmpuint(short_of_resources(&pair.workers[1]), ==, 0);
    close(fd);
}

/* A drain that begins while a client is under way waits for it, and serves what it has said. */
static void test_drain_waits(void)
{
    struct pair pair;
    pair_open(&pair);
    int fd = come(&pair);
    ask_for_moves(&pair.workers[0], 1);
    say(fd, GET("/1"));
    turn(&pair.workers[0]);
    say(fd, GET("/2"));
    struct worker *to = &pair.workers[1];
    to->draining = true; /* as worker_drain() does, but for the timer */
    atomic_store(&pair.net.service.draining, true);
    g_assert_true(handoff_is_expected(to));
    turn(to);
    g_assert_false(handoff_is_expected(to));
    turn(to);
    g_assert_cmpuint(count_answers(fd), ==, 2);
    close(fd);
    g_assert_cmpint(reactor_run(to->reactor, 0), ==, REACTOR_STOPPED);
    pair_close(&pair);
}

/* The one that was asked hands over half of what makes it busier, of those that were active. */
static void test_review(void)
{
    struct pair pair;
    int fds[10];
    pair_open(&pair);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = come(&pair);
    clock_ahead_ns += 1000 * ms;
    turn(&pair.workers[0]);
    for (size_t i = 0; i < 8; i++)
        say(fds[i], GET("/1"));
    turn(&pair.workers[0]);
    uint64_t busy_ns[2] = {0, 0};
    uint64_t now_ns = reactor_now(pair.workers[0].reactor);
    moves_review(&pair.net.service, now_ns);
    g_assert_false(atomic_load(&pair.workers[0].moves_asked));
    for (int i = 0; i < 30; i++) {
        now_ns += 100 * ms;
        busy_ns[0] += 100 * ms;
        for (unsigned w = 0; w < 2; w++)
            balance_review(&pair.balance, w, now_ns, busy_ns[w], NULL, NULL);
    }
    moves_review(&pair.net.service, now_ns);
    g_assert_true(atomic_load(&pair.workers[0].moves_asked));
    turn(&pair.workers[0]);
    g_assert_false(atomic_load(&pair.workers[0].moves_asked));
    g_assert_cmpuint(pair.workers[0].moves, ==, 4);
    g_assert_cmpuint(pair.workers[0].moves_to, ==, 1);
    moves_review(&pair.net.service, now_ns + 999 * ms); /* too early */
    g_assert_false(atomic_load(&pair.workers[0].moves_asked));
    moves_review(&pair.net.service, now_ns + 1000 * ms);
    g_assert_true(atomic_load(&pair.workers[0].moves_asked));
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    turn(&pair.workers[0]);
    pair_close(&pair);
}

static int take_long(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    clock_ahead_ns += 400 * ms;
    return http_respond(response, 200, NULL, NULL, 0);
}

/* The reactor that needs it most is asked at the end of a long turn. */
static void test_asked_in_a_long_turn(void)
{
    struct pair pair;
    int fds[4];
    pair_open(&pair);
    net_route(&pair.net, "/long", take_long, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = come(&pair);
        say(fds[i], GET("/long"));
    }
    uint64_t now_ns = reactor_now(pair.workers[0].reactor);
    for (int i = 0; i < 30; i++) {
        now_ns += 100 * ms;
        balance_review(&pair.balance, 0, now_ns, (uint64_t)i * 100 * ms, NULL, NULL);
        balance_review(&pair.balance, 1, now_ns, 0, NULL, NULL);
    }
    moves_review(&pair.net.service, now_ns);
    turn(&pair.workers[0]);
    g_assert_cmpuint(pair.workers[0].moves, >, 0);
    say(fds[0], GET("/long"));
    turn(&pair.workers[0]);
    g_assert_cmpuint(counter_read(&pair.workers[0].metrics.moved), ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    turn(&pair.workers[0]);
    turn(&pair.workers[1]);
    pair_close(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/handoff/move", test_move);
    g_test_add_func("/net/handoff/requests-go-along", test_requests_go_along);
    g_test_add_func("/net/handoff/stays", test_stays);
    g_test_add_func("/net/handoff/cannot-go", test_cannot_go);
    g_test_add_func("/net/handoff/cannot-go-nor-stay", test_cannot_go_nor_stay);
    g_test_add_func("/net/handoff/cannot-arrive", test_cannot_arrive);
    g_test_add_func("/net/handoff/arrives-too-late", test_arrives_too_late);
    g_test_add_func("/net/handoff/drain-waits", test_drain_waits);
    g_test_add_func("/net/handoff/review", test_review);
    g_test_add_func("/net/handoff/asked-in-a-long-turn", test_asked_in_a_long_turn);
    return g_test_run();
}
