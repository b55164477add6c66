/* Jobs on the threads of the pool, and what follows on the reactor's. */
#include "reactor_support.h"

#include "reactor/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

/* --- injection --- */

static bool calloc_fails;
static bool threads_fail;
static int threads_given; /* before that; -1: not even a pool */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
GThreadPool *__real_g_thread_pool_new(GFunc run, gpointer arg, gint threads, gboolean exclusive,
                                      GError **error);
GThreadPool *__wrap_g_thread_pool_new(GFunc run, gpointer arg, gint threads, gboolean exclusive,
                                      GError **error);

void *__wrap_calloc(size_t count, size_t size)
{
    if (!calloc_fails)
        return __real_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

GThreadPool *__wrap_g_thread_pool_new(GFunc run, gpointer arg, gint threads, gboolean exclusive,
                                      GError **error)
{
    if (!threads_fail)
        return __real_g_thread_pool_new(run, arg, threads, exclusive, error);
    if (threads_given < 0)
        return NULL;
    /* One that is not exclusive starts none by itself. */
    GThreadPool *pool = __real_g_thread_pool_new(run, arg, threads_given ? threads_given : 1,
                                                 threads_given > 0, NULL);
    if (threads_given)
        g_assert_true(g_thread_pool_set_max_threads(pool, threads_given, NULL));
    g_set_error_literal(error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "injected");
    return pool;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static struct pool *new_pool(unsigned threads)
{
    struct pool *pool = pool_new(threads, 0);
    g_assert_nonnull(pool);
    return pool;
}

/* --- jobs that are counted --- */

/* One reactor with its thread, and what it has submitted. */
struct owner {
    struct pool *pool;
    struct reactor *reactor;
    pthread_t thread;
    int expected; /* jobs */
    int done;     /* touched by the reactor's thread alone */
    atomic_int ran;
};

struct counted {
    struct pool_job job;
    struct owner *owner;
    int number;
    int runs;
    int dones;
};

/* As container_of(): the job is the first member. */
static struct counted *counted_of(struct pool_job *job)
{
    return (struct counted *)(void *)job;
}

static void run_counted(struct pool_job *job)
{
    struct counted *counted = counted_of(job);
    g_assert_false(pthread_equal(pthread_self(), counted->owner->thread));
    counted->runs++;
    atomic_fetch_add(&counted->owner->ran, 1);
}

static void run_in_order(struct pool_job *job)
{
    struct counted *counted = counted_of(job);
    g_assert_cmpint(counted->number, ==, atomic_load(&counted->owner->ran));
    run_counted(job);
}

static void done_counted(struct pool_job *job)
{
    struct counted *counted = counted_of(job);
    struct owner *owner = counted->owner;
    g_assert_true(pthread_equal(pthread_self(), owner->thread));
    g_assert_cmpint(counted->runs, ==, 1);
    counted->dones++;
    if (++owner->done == owner->expected)
        reactor_stop(owner->reactor);
}

static void done_in_order(struct pool_job *job)
{
    struct counted *counted = counted_of(job);
    g_assert_cmpint(counted->number, ==, counted->owner->done);
    done_counted(job);
}

static struct counted *submit_many(struct owner *owner, void (*run)(struct pool_job *job),
                                   void (*done)(struct pool_job *job))
{
    struct counted *jobs = g_new0(struct counted, owner->expected);
    for (int i = 0; i < owner->expected; i++) {
        jobs[i] = (struct counted){
            .job = {.run = run, .done = done, .reactor = owner->reactor},
            .owner = owner,
            .number = i,
        };
        pool_submit(owner->pool, &jobs[i].job);
    }
    return jobs;
}

static void assert_each_done_once(struct owner *owner, struct counted *jobs)
{
    g_assert_cmpint(owner->done, ==, owner->expected);
    for (int i = 0; i < owner->expected; i++)
        g_assert_cmpint(jobs[i].dones, ==, 1);
    g_free(jobs);
}

static void run_until_stopped(struct reactor *reactor)
{
    int fd = quiet_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    g_assert_cmpint(reactor_run(reactor, FAR_MS), ==, REACTOR_STOPPED);
    forget(reactor, fd);
}

static struct owner new_owner(struct pool *pool, int expected)
{
    return (struct owner){
        .pool = pool, .reactor = new_reactor(), .thread = pthread_self(), .expected = expected};
}

static void end_owner(struct owner *owner)
{
    pool_wait(owner->pool, owner->reactor);
    end_reactor(owner->reactor);
}

/* --- order --- */

static void test_one_thread_keeps_the_order(void)
{
    struct pool *pool = new_pool(1);
    struct owner owner = new_owner(pool, 2000);
    struct counted *jobs = submit_many(&owner, run_in_order, done_in_order);
    run_until_stopped(owner.reactor);
    end_owner(&owner);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
}

static void *serve_owner(void *arg)
{
    struct owner *owner = arg;
    *owner = new_owner(owner->pool, owner->expected);
    struct counted *jobs = submit_many(owner, run_counted, done_counted);
    run_until_stopped(owner->reactor);
    end_owner(owner);
    assert_each_done_once(owner, jobs);
    return NULL;
}

static void test_many_reactors_get_their_own(void)
{
    enum { REACTORS = 6, JOBS = 3000 };
    struct pool *pool = new_pool(4);
    struct owner owners[REACTORS];
    pthread_t threads[REACTORS];
    for (int i = 0; i < REACTORS; i++) {
        owners[i] = (struct owner){.pool = pool, .expected = JOBS};
        g_assert_cmpint(pthread_create(&threads[i], NULL, serve_owner, &owners[i]), ==, 0);
    }
    for (int i = 0; i < REACTORS; i++)
        g_assert_cmpint(pthread_join(threads[i], NULL), ==, 0);
    pool_free(pool);
}

/* --- threads --- */

static pthread_barrier_t together;

static void run_together(struct pool_job *job)
{
    run_counted(job);
    pthread_barrier_wait(&together);
}

static void test_as_many_at_once_as_threads(void)
{
    enum { THREADS = 5 };
    struct pool *pool = new_pool(THREADS);
    struct owner owner = new_owner(pool, THREADS);
    g_assert_cmpint(pthread_barrier_init(&together, NULL, THREADS), ==, 0);
    struct counted *jobs = submit_many(&owner, run_together, done_counted);
    run_until_stopped(owner.reactor);
    end_owner(&owner);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
    pthread_barrier_destroy(&together);
}

static void run_with_mask(struct pool_job *job)
{
    sigset_t blocked;
    g_assert_cmpint(pthread_sigmask(SIG_SETMASK, NULL, &blocked), ==, 0);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM};
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        g_assert_cmpint(sigismember(&blocked, signals[i]), ==, 1);
    run_counted(job);
}

static void test_threads_take_no_signals(void)
{
    sigset_t before;
    sigset_t after;
    g_assert_cmpint(pthread_sigmask(SIG_SETMASK, NULL, &before), ==, 0);
    struct pool *pool = new_pool(3);
    g_assert_cmpint(pthread_sigmask(SIG_SETMASK, NULL, &after), ==, 0);
    for (int signal = 1; signal < SIGRTMIN; signal++)
        g_assert_cmpint(sigismember(&before, signal), ==, sigismember(&after, signal));
    struct owner owner = new_owner(pool, 20);
    struct counted *jobs = submit_many(&owner, run_with_mask, done_counted);
    end_owner(&owner);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
}

/* --- the end of a reactor --- */

static void test_destroyed_reactor_delivers_what_is_done(void)
{
    struct pool *pool = new_pool(3);
    struct owner owner = new_owner(pool, 500);
    struct counted *jobs = submit_many(&owner, run_counted, done_counted);
    pool_wait(pool, owner.reactor);
    g_assert_cmpint(atomic_load(&owner.ran), ==, 500);
    g_assert_cmpint(owner.done, ==, 0);
    end_reactor(owner.reactor);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
}

static void run_slowly(struct pool_job *job)
{
    g_usleep(2000);
    run_counted(job);
}

static void test_wait_covers_what_is_queued(void)
{
    struct pool *pool = new_pool(2);
    struct owner owner = new_owner(pool, 40);
    pool_wait(pool, owner.reactor); /* nothing yet */
    struct counted *jobs = submit_many(&owner, run_slowly, done_counted);
    pool_wait(pool, owner.reactor);
    g_assert_cmpint(atomic_load(&owner.ran), ==, 40);
    pool_wait(pool, owner.reactor);
    end_reactor(owner.reactor);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
}

static sem_t gate;

static void run_after_gate(struct pool_job *job)
{
    while (sem_wait(&gate) < 0)
        continue;
    run_counted(job);
}

static void test_wait_is_not_for_other_reactors(void)
{
    struct pool *pool = new_pool(2);
    struct owner held = new_owner(pool, 1);
    struct owner owner = new_owner(pool, 10);
    g_assert_cmpint(sem_init(&gate, 0, 0), ==, 0);
    struct counted *held_jobs = submit_many(&held, run_after_gate, done_counted);
    struct counted *jobs = submit_many(&owner, run_counted, done_counted);
    end_owner(&owner);
    assert_each_done_once(&owner, jobs);
    g_assert_cmpint(atomic_load(&held.ran), ==, 0);
    g_assert_cmpint(sem_post(&gate), ==, 0);
    end_owner(&held);
    assert_each_done_once(&held, held_jobs);
    pool_free(pool);
    sem_destroy(&gate);
}

static void test_free_waits_for_all(void)
{
    struct pool *pool = new_pool(2);
    struct owner owner = new_owner(pool, 40);
    struct counted *jobs = submit_many(&owner, run_slowly, done_counted);
    pool_free(pool);
    g_assert_cmpint(atomic_load(&owner.ran), ==, 40);
    end_reactor(owner.reactor);
    assert_each_done_once(&owner, jobs);
    pool_free(NULL);
}

/* --- the owner's job again --- */

static void done_and_submit(struct pool_job *job)
{
    struct counted *counted = counted_of(job);
    struct owner *owner = counted->owner;
    g_assert_cmpint(counted->runs, ==, ++owner->done);
    if (owner->done < owner->expected)
        pool_submit(owner->pool, job);
    else
        reactor_stop(owner->reactor);
}

static void test_done_may_submit_again(void)
{
    struct pool *pool = new_pool(2);
    struct owner owner = new_owner(pool, 1000);
    struct counted counted = {
        .job = {.run = run_counted, .done = done_and_submit, .reactor = owner.reactor},
        .owner = &owner,
    };
    pool_submit(pool, &counted.job);
    run_until_stopped(owner.reactor);
    end_owner(&owner);
    g_assert_cmpint(counted.runs, ==, 1000);
    pool_free(pool);
}

static void done_and_free(struct pool_job *job)
{
    done_counted(job);
    g_free(job);
}

static void test_done_may_free(void)
{
    enum { JOBS = 200 };
    struct pool *pool = new_pool(3);
    struct owner owner = new_owner(pool, JOBS);
    for (int i = 0; i < JOBS; i++) {
        struct counted *counted = g_new0(struct counted, 1);
        counted->job =
            (struct pool_job){.run = run_counted, .done = done_and_free, .reactor = owner.reactor};
        counted->owner = &owner;
        pool_submit(pool, &counted->job);
    }
    run_until_stopped(owner.reactor);
    end_owner(&owner);
    g_assert_cmpint(owner.done, ==, JOBS);
    pool_free(pool);
}

/* --- failures --- */

static void test_new_without_memory(void)
{
    calloc_fails = true;
    struct pool *pool = pool_new(2, 0);
    int error = errno;
    calloc_fails = false;
    g_assert_null(pool);
    g_assert_cmpint(error, ==, ENOMEM);
}

static void test_new_without_threads(void)
{
    threads_fail = true;
    threads_given = 0;
    struct pool *pool = pool_new(2, 0);
    int error = errno;
    threads_fail = false;
    g_assert_null(pool);
    g_assert_cmpint(error, ==, EAGAIN);
}

static void test_new_without_a_pool(void)
{
    threads_fail = true;
    threads_given = -1;
    struct pool *pool = pool_new(UINT_MAX, 0);
    int error = errno;
    threads_fail = false;
    g_assert_null(pool);
    g_assert_cmpint(error, ==, EAGAIN);
}

static void test_fewer_threads_will_do(void)
{
    threads_fail = true;
    threads_given = 1;
    struct pool *pool = new_pool(4);
    threads_fail = false;
    struct owner owner = new_owner(pool, 200);
    struct counted *jobs = submit_many(&owner, run_in_order, done_in_order);
    run_until_stopped(owner.reactor);
    end_owner(&owner);
    assert_each_done_once(&owner, jobs);
    pool_free(pool);
}

#define ADD(path, function) g_test_add_func("/pool/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* A thread ends with its pool: when GLib gives it to the next one, the thread sanitizer does
     * not see the order. */
    g_thread_pool_set_max_unused_threads(0);
    ADD("order/one-thread", one_thread_keeps_the_order);
    ADD("order/many-reactors", many_reactors_get_their_own);
    ADD("threads/at-once", as_many_at_once_as_threads);
    ADD("threads/signals", threads_take_no_signals);
    ADD("end/destroy-delivers", destroyed_reactor_delivers_what_is_done);
    ADD("end/wait", wait_covers_what_is_queued);
    ADD("end/wait-for-one-reactor", wait_is_not_for_other_reactors);
    ADD("end/free-waits", free_waits_for_all);
    ADD("again/submitted-by-done", done_may_submit_again);
    ADD("again/freed-by-done", done_may_free);
    ADD("failures/memory", new_without_memory);
    ADD("failures/no-threads", new_without_threads);
    ADD("failures/no-pool", new_without_a_pool);
    ADD("failures/fewer-threads", fewer_threads_will_do);
    return g_test_run();
}
