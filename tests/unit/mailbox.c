/* reactor_post(): each post runs exactly once, on the reactor's thread, in the order of its thread.
 */
#include "reactor_support.h"

#include "reactor/mailbox.h"

#include <pthread.h>
#include <semaphore.h>

/* --- from the reactor's own thread --- */

struct order {
    int next;
    int end;
};

struct numbered {
    struct order *order;
    int number;
};

static void expect_number(struct reactor *reactor, void *arg)
{
    struct numbered *numbered = arg;
    g_assert_cmpint(numbered->number, ==, numbered->order->next);
    if (++numbered->order->next == numbered->order->end)
        reactor_stop(reactor);
}

static void test_posts_run_in_order(void)
{
    enum { COUNT = 1000 };
    struct reactor *reactor = new_reactor();
    static struct numbered posts[COUNT];
    struct order order = {.end = COUNT};
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    for (int i = 0; i < COUNT; i++) {
        posts[i] = (struct numbered){&order, i};
        g_assert_cmpint(reactor_post(reactor, expect_number, &posts[i]), ==, 0);
    }
    g_assert_cmpint(order.next, ==, 0);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    g_assert_cmpint(order.next, ==, COUNT);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_destroy_runs_posts_in_order(void)
{
    enum { COUNT = 100 };
    struct reactor *reactor = new_reactor();
    static struct numbered posts[COUNT];
    struct order order = {.end = COUNT};
    for (int i = 0; i < COUNT; i++) {
        posts[i] = (struct numbered){&order, i};
        g_assert_cmpint(reactor_post(reactor, expect_number, &posts[i]), ==, 0);
    }
    end_reactor(reactor);
    g_assert_cmpint(order.next, ==, COUNT);
}

static void test_posts_of_an_idle_run_wait_for_the_next(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(runs, ==, 0);
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    one_turn(reactor);
    g_assert_cmpint(runs, ==, 1);
    one_turn(reactor);
    g_assert_cmpint(runs, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- from a task --- */

struct reposter {
    int runs;
    int left;
};

static void post_again(struct reactor *reactor, void *arg)
{
    struct reposter *reposter = arg;
    reposter->runs++;
    if (reposter->left-- > 0)
        g_assert_cmpint(reactor_post(reactor, post_again, reposter), ==, 0);
}

/* Otherwise a task that posts itself would keep the descriptors from being served. */
static void test_post_from_a_task_runs_in_the_next_turn(void)
{
    struct reactor *reactor = new_reactor();
    struct reposter reposter = {.left = 50};
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    g_assert_cmpint(reactor_post(reactor, post_again, &reposter), ==, 0);
    for (int turns = 1; turns <= 51; turns++) {
        one_turn(reactor);
        g_assert_cmpint(reposter.runs, ==, turns);
        g_assert_cmpint(probe.calls, ==, turns);
    }
    one_turn(reactor);
    g_assert_cmpint(reposter.runs, ==, 51);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void post_for_ever(struct reactor *reactor, void *arg)
{
    int *refused = arg;
    if (reactor_post(reactor, post_for_ever, arg) == -ESHUTDOWN)
        ++*refused;
}

/* Trap 7: a task that posts itself must not keep destroy from ending. */
static void test_destroy_refuses_posts_of_its_posts(void)
{
    struct reactor *reactor = new_reactor();
    int refused = 0;
    g_assert_cmpint(reactor_post(reactor, post_for_ever, &refused), ==, 0);
    end_reactor(reactor);
    g_assert_cmpint(refused, ==, 1);
}

static void post_on_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)events;
    make_quiet(fd);
    g_assert_cmpint(reactor_post(reactor, stop_task, arg), ==, 0);
}

static void test_post_from_a_callback(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, post_on_event, NULL);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_post_from_a_timer(void)
{
    struct reactor *reactor = new_reactor();
    struct reposter reposter = {.left = 3};
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    struct reactor_timer *timer = reactor_timer_new(reactor, post_again, &reposter);
    reactor_timer_start(timer, 0, 0);
    for (int turns = 0; turns < 6; turns++)
        one_turn(reactor);
    g_assert_cmpint(reposter.runs, ==, 4);
    reactor_timer_free(timer);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- from many threads --- */

enum { THREADS = 8, POSTS_PER_THREAD = 10000 };

struct flood {
    struct reactor *reactor;
    pthread_t reactor_thread;
    int ran;
};

struct flooder;

struct flood_post {
    struct flooder *flooder;
    int number;
    int runs;
};

struct flooder {
    struct flood *flood;
    struct flood_post *posts;
    pthread_t thread;
    int next; /* touched by the reactor's thread alone */
};

static struct flooder flooders[THREADS];
static struct flood_post flood_posts[THREADS][POSTS_PER_THREAD];

static void on_flood_post(struct reactor *reactor, void *arg)
{
    struct flood_post *post = arg;
    struct flood *flood = post->flooder->flood;
    g_assert_true(pthread_equal(pthread_self(), flood->reactor_thread));
    g_assert_true(reactor == flood->reactor);
    g_assert_cmpint(post->number, ==, post->flooder->next);
    post->flooder->next++;
    post->runs++;
    if (++flood->ran == THREADS * POSTS_PER_THREAD)
        reactor_stop(reactor);
}

static void *flood_thread(void *arg)
{
    struct flooder *flooder = arg;
    for (int i = 0; i < POSTS_PER_THREAD; i++) {
        flooder->posts[i] = (struct flood_post){.flooder = flooder, .number = i};
        g_assert_cmpint(reactor_post(flooder->flood->reactor, on_flood_post, &flooder->posts[i]),
                        ==, 0);
    }
    return NULL;
}

static void start_flood(struct flood *flood)
{
    for (int i = 0; i < THREADS; i++) {
        flooders[i] = (struct flooder){.flood = flood, .posts = flood_posts[i]};
        g_assert_cmpint(pthread_create(&flooders[i].thread, NULL, flood_thread, &flooders[i]), ==,
                        0);
    }
}

static void join_flood(void)
{
    for (int i = 0; i < THREADS; i++)
        g_assert_cmpint(pthread_join(flooders[i].thread, NULL), ==, 0);
}

static void assert_each_ran_once(void)
{
    for (int i = 0; i < THREADS; i++) {
        g_assert_cmpint(flooders[i].next, ==, POSTS_PER_THREAD);
        for (int k = 0; k < POSTS_PER_THREAD; k++)
            g_assert_cmpint(flood_posts[i][k].runs, ==, 1);
    }
}

static void test_posts_from_8_threads_run_once_and_in_order(void)
{
    struct reactor *reactor = new_reactor();
    struct flood flood = {.reactor = reactor, .reactor_thread = pthread_self()};
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    start_flood(&flood);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    join_flood();
    assert_each_ran_once();
    forget(reactor, fd);
    end_reactor(reactor);
}

/* Some run in turns, some when the reactor ends, none twice. */
static void test_posts_from_8_threads_and_destroy(void)
{
    struct reactor *reactor = new_reactor();
    struct flood flood = {.reactor = reactor, .reactor_thread = pthread_self()};
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    start_flood(&flood);
    for (int turns = 0; turns < 20; turns++)
        reactor_run(reactor, 0);
    join_flood();
    forget(reactor, fd);
    end_reactor(reactor);
    g_assert_cmpint(flood.ran, ==, THREADS * POSTS_PER_THREAD);
    assert_each_ran_once();
}

/* --- each post wakes a loop that sleeps --- */

struct caller {
    struct reactor *reactor;
    sem_t answered;
    int calls;
    int left;
};

static void answer(struct reactor *reactor, void *arg)
{
    struct caller *caller = arg;
    caller->calls++;
    if (--caller->left == 0)
        reactor_stop(reactor);
    g_assert_cmpint(sem_post(&caller->answered), ==, 0);
}

static void *caller_thread(void *arg)
{
    struct caller *caller = arg;
    int calls = caller->left;
    for (int i = 0; i < calls; i++) {
        g_assert_cmpint(reactor_post(caller->reactor, answer, caller), ==, 0);
        while (sem_wait(&caller->answered) < 0)
            continue;
    }
    return NULL;
}

static void test_every_post_wakes_the_loop(void)
{
    enum { CALLS = 2000 };
    struct reactor *reactor = new_reactor();
    struct caller caller = {.reactor = reactor, .left = CALLS};
    pthread_t thread;
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    g_assert_cmpint(sem_init(&caller.answered, 0, 0), ==, 0);
    g_assert_cmpint(pthread_create(&thread, NULL, caller_thread, &caller), ==, 0);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    g_assert_cmpint(caller.calls, ==, CALLS);
    sem_destroy(&caller.answered);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- two reactors --- */

/* Passed to and fro; it belongs to the thread that runs its task. */
struct ball {
    struct reactor *reactors[2];
    int hits;
    int limit;
};

static void hit(struct reactor *reactor, void *arg)
{
    struct ball *ball = arg;
    g_assert_true(reactor == ball->reactors[ball->hits % 2]);
    if (++ball->hits < ball->limit) {
        g_assert_cmpint(reactor_post(ball->reactors[ball->hits % 2], hit, ball), ==, 0);
    } else {
        reactor_stop(ball->reactors[0]);
        reactor_stop(ball->reactors[1]);
    }
}

static void *run_thread(void *reactor)
{
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    forget(reactor, fd);
    return NULL;
}

static void test_two_reactors_post_to_each_other(void)
{
    struct ball ball = {.reactors = {new_reactor(), new_reactor()}, .limit = 4000};
    pthread_t threads[2];
    g_assert_cmpint(reactor_post(ball.reactors[0], hit, &ball), ==, 0);
    for (int i = 0; i < 2; i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, run_thread, ball.reactors[i]), ==, 0);
    for (int i = 0; i < 2; i++)
        g_assert_cmpint(pthread_join(threads[i], NULL), ==, 0);
    g_assert_cmpint(ball.hits, ==, ball.limit);
    for (int i = 0; i < 2; i++)
        end_reactor(ball.reactors[i]);
}

/* --- embedded posts --- */

struct embedded {
    struct post post;
    int runs;
    int left;
};

static void embedded_task(struct reactor *reactor, void *arg)
{
    struct embedded *embedded = arg;
    embedded->runs++;
    /* Taken already, so it may be put again. */
    if (embedded->left-- > 0)
        reactor_post_embedded(reactor, &embedded->post);
    else
        reactor_stop(reactor);
}

static void test_embedded_post_is_put_again_by_its_own_task(void)
{
    struct reactor *reactor = new_reactor();
    struct embedded embedded = {.left = 100};
    embedded.post = (struct post){.task = embedded_task, .arg = &embedded};
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    reactor_post_embedded(reactor, &embedded.post);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    g_assert_cmpint(embedded.runs, ==, 101);
    forget(reactor, fd);
    embedded.left = 0;
    reactor_post_embedded(reactor, &embedded.post);
    end_reactor(reactor);
    g_assert_cmpint(embedded.runs, ==, 102);
}

static void free_embedded(struct reactor *reactor, void *arg)
{
    (void)reactor;
    free(arg);
}

static void test_embedded_post_is_freed_by_its_own_task(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    struct embedded *embedded = calloc(1, sizeof(*embedded));
    embedded->post = (struct post){.task = free_embedded, .arg = embedded};
    reactor_post_embedded(reactor, &embedded->post);
    g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    end_reactor(reactor);
    g_assert_cmpint(runs, ==, 1);
}

#define ADD(path, function) g_test_add_func("/mailbox/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("order/one-thread", posts_run_in_order);
    ADD("order/destroy", destroy_runs_posts_in_order);
    ADD("order/idle-run-then-next", posts_of_an_idle_run_wait_for_the_next);
    ADD("from/task-runs-in-next-turn", post_from_a_task_runs_in_the_next_turn);
    ADD("from/task-then-destroy", destroy_refuses_posts_of_its_posts);
    ADD("from/callback", post_from_a_callback);
    ADD("from/timer", post_from_a_timer);
    ADD("threads/8-threads-once-in-order", posts_from_8_threads_run_once_and_in_order);
    ADD("threads/8-threads-and-destroy", posts_from_8_threads_and_destroy);
    ADD("threads/every-post-wakes", every_post_wakes_the_loop);
    ADD("threads/two-reactors", two_reactors_post_to_each_other);
    ADD("embedded/put-again", embedded_post_is_put_again_by_its_own_task);
    ADD("embedded/freed-by-its-task", embedded_post_is_freed_by_its_own_task);
    return g_test_run();
}
