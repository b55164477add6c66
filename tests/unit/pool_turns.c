/* In which order the jobs of several reactors are begun, jobs that are taken back, and how much the
 * threads get of a CPU. */
#include "reactor_support.h"

#include "reactor/pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- injection --- */

static unsigned pushes;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
gboolean __real_g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error);
gboolean __wrap_g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error);

gboolean __wrap_g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error)
{
    pushes++;
    return __real_g_thread_pool_push(pool, data, error);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- a pool whose threads can be held --- */

enum { REACTORS = 3, JOBS_MAX = 4000 };

struct hall {
    struct pool *pool;
    struct reactor *reactors[REACTORS];
    unsigned threads;
    sem_t held; /* once for each thread that is */
    sem_t gate;
    atomic_uint ran;
    int order[JOBS_MAX]; /* numbers of jobs, as they began */
};

struct numbered {
    struct pool_job job;
    struct hall *hall;
    int number;
    unsigned runs;
    unsigned dones;
};

static void wait_on(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        continue;
}

static void run_numbered(struct pool_job *job)
{
    struct numbered *numbered = (struct numbered *)(void *)job;
    struct hall *hall = numbered->hall;
    numbered->runs++;
    hall->order[atomic_fetch_add(&hall->ran, 1)] = numbered->number;
}

static void run_held(struct pool_job *job)
{
    struct hall *hall = ((struct numbered *)(void *)job)->hall;
    sem_post(&hall->held);
    wait_on(&hall->gate);
}

static void count_done(struct pool_job *job)
{
    ((struct numbered *)(void *)job)->dones++;
}

static struct numbered *submit(struct hall *hall, int reactor, int number)
{
    struct numbered *numbered = g_new(struct numbered, 1);
    *numbered = (struct numbered){
        .job = {.run = run_numbered, .done = count_done, .reactor = hall->reactors[reactor]},
        .hall = hall,
        .number = number,
    };
    pool_submit(hall->pool, &numbered->job);
    return numbered;
}

/* Has every thread wait for the gate, for the first reactor. */
static void hold(struct hall *hall, struct numbered *holders)
{
    for (unsigned i = 0; i < hall->threads; i++) {
        holders[i] = (struct numbered){
            .job = {.run = run_held, .done = count_done, .reactor = hall->reactors[0]},
            .hall = hall};
        pool_submit(hall->pool, &holders[i].job);
    }
    for (unsigned i = 0; i < hall->threads; i++)
        wait_on(&hall->held);
}

static void let_go(struct hall *hall)
{
    for (unsigned i = 0; i < hall->threads; i++)
        sem_post(&hall->gate);
}

static struct hall *hall_open(unsigned threads)
{
    struct hall *hall = g_new0(struct hall, 1);
    hall->threads = threads;
    hall->pool = pool_new(threads, 0);
    g_assert_nonnull(hall->pool);
    g_assert_cmpint(sem_init(&hall->held, 0, 0), ==, 0);
    g_assert_cmpint(sem_init(&hall->gate, 0, 0), ==, 0);
    for (int i = 0; i < REACTORS; i++)
        hall->reactors[i] = new_reactor();
    return hall;
}

/* All jobs are done afterwards. */
static void hall_end_jobs(struct hall *hall)
{
    for (int i = 0; i < REACTORS; i++) {
        pool_wait(hall->pool, hall->reactors[i]);
        end_reactor(hall->reactors[i]);
    }
}

static void hall_close(struct hall *hall)
{
    pool_free(hall->pool);
    sem_destroy(&hall->held);
    sem_destroy(&hall->gate);
    g_free(hall);
}

static void expect_done_once(struct numbered *numbered)
{
    g_assert_cmpuint(numbered->runs, ==, 1);
    g_assert_cmpuint(numbered->dones, ==, 1);
    g_free(numbered);
}

/* --- turns --- */

/* However many one of them has submitted before the others. */
static void test_reactors_take_turns(void)
{
    static const int counts[REACTORS] = {1000, 10, 3};
    struct numbered *jobs[1013];
    struct numbered holder;
    struct hall *hall = hall_open(1);
    int count = 0;
    hold(hall, &holder);
    for (int reactor = 0; reactor < REACTORS; reactor++) {
        for (int i = 0; i < counts[reactor]; i++)
            jobs[count++] = submit(hall, reactor, reactor * 10000 + i);
    }
    let_go(hall);
    hall_end_jobs(hall);
    int at = 0;
    for (int round = 0; at < count; round++) {
        for (int reactor = 0; reactor < REACTORS; reactor++) {
            if (round >= counts[reactor])
                continue;
            g_assert_cmpint(hall->order[at], ==, reactor * 10000 + round);
            at++;
        }
    }
    for (int i = 0; i < count; i++)
        expect_done_once(jobs[i]);
    hall_close(hall);
}

/* One that comes later waits for one job of each of the others. */
static void test_a_late_one_is_next(void)
{
    struct numbered *jobs[9];
    struct numbered holders[2];
    struct hall *hall = hall_open(1);
    hold(hall, &holders[0]);
    for (int i = 0; i < 8; i++)
        jobs[i] = submit(hall, i % 2, i);
    holders[1] = (struct numbered){
        .job = {.run = run_held, .done = count_done, .reactor = hall->reactors[2]}, .hall = hall};
    pool_submit(hall->pool, &holders[1].job);
    let_go(hall);
    wait_on(&hall->held); /* that job runs: one of each of the others is over */
    g_assert_cmpuint(atomic_load(&hall->ran), ==, 2);
    jobs[8] = submit(hall, 2, 8);
    let_go(hall);
    hall_end_jobs(hall);
    static const int expected[] = {0, 1, 2, 3, 8, 4, 5, 6, 7};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpint(hall->order[i], ==, expected[i]);
        expect_done_once(jobs[i]);
    }
    hall_close(hall);
}

/* --- taken back --- */

static void test_withdraw(void)
{
    struct numbered *jobs[12];
    struct numbered holder;
    struct hall *hall = hall_open(1);
    hold(hall, &holder);
    for (int i = 0; i < 12; i++)
        jobs[i] = submit(hall, i / 4, i);
    g_assert_false(pool_withdraw(hall->pool, &holder.job));
    static const int unwanted[] = {0, 2, 3, 4, 5, 6, 7, 11}; /* all of the second reactor's */
    for (size_t i = 0; i < G_N_ELEMENTS(unwanted); i++) {
        g_assert_true(pool_withdraw(hall->pool, &jobs[unwanted[i]]->job));
        g_assert_false(pool_withdraw(hall->pool, &jobs[unwanted[i]]->job));
        g_clear_pointer(&jobs[unwanted[i]], g_free);
    }
    pool_wait(hall->pool, hall->reactors[1]); /* nothing is left to be waited for */
    let_go(hall);
    pool_wait(hall->pool, hall->reactors[0]);
    g_assert_false(pool_withdraw(hall->pool, &jobs[1]->job)); /* run, and not yet done */
    hall_end_jobs(hall);
    static const int expected[] = {1, 8, 9, 10};
    g_assert_cmpuint(atomic_load(&hall->ran), ==, G_N_ELEMENTS(expected));
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpint(hall->order[i], ==, expected[i]);
        expect_done_once(jobs[expected[i]]);
    }
    hall_close(hall);
}

static void test_withdrawn_and_submitted_again(void)
{
    struct numbered holder;
    struct hall *hall = hall_open(1);
    hold(hall, &holder);
    struct numbered *first = submit(hall, 1, 1);
    struct numbered *other = submit(hall, 1, 2);
    g_assert_true(pool_withdraw(hall->pool, &first->job));
    pool_submit(hall->pool, &first->job);
    let_go(hall);
    hall_end_jobs(hall);
    g_assert_cmpint(hall->order[0], ==, 2);
    g_assert_cmpint(hall->order[1], ==, 1);
    expect_done_once(first);
    expect_done_once(other);
    hall_close(hall);
}

/* Whoever submits and takes back over and over fills no queue of GLib's. */
static void test_withdrawing_leaves_nothing(void)
{
    struct numbered holders[2];
    struct hall *hall = hall_open(2);
    pushes = 0;
    hold(hall, holders);
    for (int i = 0; i < 10000; i++) {
        struct numbered *numbered = submit(hall, 1, i);
        g_assert_true(pool_withdraw(hall->pool, &numbered->job));
        g_free(numbered);
    }
    g_assert_cmpuint(pushes, ==, 2);
    struct numbered *last = submit(hall, 1, 0);
    let_go(hall);
    hall_end_jobs(hall);
    expect_done_once(last);
    hall_close(hall);
}

/* --- priority --- */

static void run_and_note_nice(struct pool_job *job)
{
    ((struct numbered *)(void *)job)->number = getpriority(PRIO_PROCESS, 0);
    run_numbered(job);
}

static int nice_of_pool(int nice)
{
    struct pool *pool = pool_new(1, nice);
    struct hall hall = {.pool = pool};
    struct reactor *reactor = new_reactor();
    struct numbered numbered = {
        .job = {.run = run_and_note_nice, .done = count_done, .reactor = reactor}, .hall = &hall};
    pool_submit(pool, &numbered.job);
    pool_wait(pool, reactor);
    end_reactor(reactor);
    pool_free(pool);
    return numbered.number;
}

static void test_priority(void)
{
    int own = getpriority(PRIO_PROCESS, 0);
    const int wanted[] = {0, MIN(own + 3, 19), 19};
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        int found = nice_of_pool(wanted[i]);
        g_assert_cmpint(found, ==, MAX(wanted[i], own));
    }
    int afterwards = getpriority(PRIO_PROCESS, 0);
    g_assert_cmpint(afterwards, ==, own);
}

/* --- threads that GLib keeps for the next pool --- */

enum { OTHERS = 3, LOWER = 5 };

/* What a pool of the program's own finds its threads to be. */
struct others {
    pthread_barrier_t together; /* each thread gets a call */
    atomic_int without_signals;
    atomic_int lowered;
};

static void look(void *data, void *user_data)
{
    struct others *others = user_data;
    sigset_t blocked;
    (void)data;
    g_assert_cmpint(pthread_sigmask(SIG_SETMASK, NULL, &blocked), ==, 0);
    atomic_fetch_add(&others->without_signals, sigismember(&blocked, SIGTERM));
    atomic_fetch_add(&others->lowered,
                     getpriority(PRIO_PROCESS, 0) > getpriority(PRIO_PROCESS, getpid()));
    pthread_barrier_wait(&others->together);
}

/* The barrier shows the thread sanitizer the order that GLib makes. */
static void run_others(struct others *others)
{
    GThreadPool *pool = g_thread_pool_new(look, others, OTHERS, TRUE, NULL);
    for (int i = 0; i < OTHERS; i++)
        g_thread_pool_push(pool, others, NULL);
    pthread_barrier_wait(&others->together);
    g_thread_pool_free(pool, FALSE, TRUE);
    g_assert_cmpint(atomic_load(&others->without_signals), ==, 0);
    g_assert_cmpint(atomic_load(&others->lowered), ==, 0);
}

static void run_without_signals(struct pool_job *job)
{
    sigset_t blocked;
    g_assert_cmpint(pthread_sigmask(SIG_SETMASK, NULL, &blocked), ==, 0);
    g_assert_cmpint(sigismember(&blocked, SIGTERM), ==, 1);
    run_numbered(job);
}

static void run_pool(void)
{
    struct hall hall = {.pool = pool_new(OTHERS, LOWER)};
    struct reactor *reactor = new_reactor();
    struct numbered jobs[2 * OTHERS];
    for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++) {
        jobs[i] = (struct numbered){
            .job = {.run = run_without_signals, .done = count_done, .reactor = reactor},
            .hall = &hall};
        pool_submit(hall.pool, &jobs[i].job);
    }
    pool_wait(hall.pool, reactor);
    end_reactor(reactor);
    pool_free(hall.pool);
}

/* Neither from this pool to the program's, nor the other way. */
static void test_threads_are_not_passed_on(void)
{
    static struct others others; /* there as long as any thread */
    int kept = g_thread_pool_get_max_unused_threads();
    g_assert_cmpint(pthread_barrier_init(&others.together, NULL, OTHERS + 1), ==, 0);
    g_thread_pool_set_max_unused_threads(OTHERS);
    for (int i = 0; i < 50; i++) {
        run_pool();
        g_assert_cmpint(g_thread_pool_get_max_unused_threads(), ==, OTHERS);
        run_others(&others);
    }
    g_thread_pool_set_max_unused_threads(kept);
}

#define ADD(path, function) g_test_add_func("/pool/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* A thread ends with its pool: when GLib gives it to the next one, the thread sanitizer does
     * not see the order. */
    g_thread_pool_set_max_unused_threads(0);
    ADD("priority", priority);
    ADD("threads/not-passed-on", threads_are_not_passed_on);
    ADD("turns/reactors", reactors_take_turns);
    ADD("turns/late", a_late_one_is_next);
    ADD("withdraw/some", withdraw);
    ADD("withdraw/again", withdrawn_and_submitted_again);
    ADD("withdraw/many", withdrawing_leaves_nothing);
    return g_test_run();
}
