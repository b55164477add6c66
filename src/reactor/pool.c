/*
 * An exclusive GThreadPool: its threads exist from the beginning, so that submitting a job cannot
 * fail. Its own queue holds no jobs but calls to work, at most one for each thread: whoever is
 * called takes jobs from the lanes until these are empty.
 *
 * The lanes are behind a pthread mutex instead of a GMutex, because the thread sanitizer sees the
 * order that only the former makes. It is held for a few instructions at a time, so that a thread
 * of low priority that loses its CPU amid them, and keeps a reactor waiting, is very rare; the
 * kernel lends a mutex's holder no priority but a real-time one.
 */
#include "reactor/pool.h"

#include "base/cpus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The jobs of a reactor; from its first job until pool_wait(). */
struct pool_lane {
    GQueue waiting; /* links of jobs, the oldest first */
    GList turn;     /* in pool.turns while any wait */
    unsigned jobs;  /* that wait or run */
};

struct pool {
    GThreadPool *threads;
    int nice;
    atomic_uint called;   /* calls to work: orders what the caller wrote before what is read */
    pthread_mutex_t lock; /* for all below, and what the jobs have of the pool */
    pthread_cond_t idle;  /* a lane has no job any more, or nobody is at work */
    GHashTable *lanes;    /* reactor -> its lane */
    GQueue turns;         /* lanes with jobs waiting, the next to give one first */
    unsigned most;        /* threads */
    unsigned at_work;     /* threads that are called or working */
};

/* --- lanes, locked --- */

static struct pool_lane *find_lane(struct pool *pool, struct reactor *reactor)
{
    struct pool_lane *lane = g_hash_table_lookup(pool->lanes, reactor);
    if (lane)
        return lane;
    lane = g_new0(struct pool_lane, 1);
    lane->turn.data = lane;
    g_hash_table_insert(pool->lanes, reactor, lane);
    return lane;
}

static void add_job(struct pool *pool, struct pool_job *job)
{
    struct pool_lane *lane = job->lane;
    if (g_queue_is_empty(&lane->waiting))
        g_queue_push_tail_link(&pool->turns, &lane->turn);
    g_queue_push_tail_link(&lane->waiting, &job->link);
    job->waits = true;
    lane->jobs++;
}

static void remove_job(struct pool *pool, struct pool_job *job)
{
    struct pool_lane *lane = job->lane;
    g_queue_unlink(&lane->waiting, &job->link);
    if (g_queue_is_empty(&lane->waiting))
        g_queue_unlink(&pool->turns, &lane->turn);
    job->waits = false;
}

/* The job whose turn it is; NULL: none waits. */
static struct pool_job *take_job(struct pool *pool)
{
    GList *turn = g_queue_peek_head_link(&pool->turns);
    if (!turn)
        return NULL;
    struct pool_lane *lane = turn->data;
    struct pool_job *job = g_queue_peek_head(&lane->waiting);
    remove_job(pool, job);
    if (!g_queue_is_empty(&lane->waiting)) {
        g_queue_unlink(&pool->turns, turn);
        g_queue_push_tail_link(&pool->turns, turn);
    }
    return job;
}

static void end_job(struct pool *pool, struct pool_lane *lane)
{
    if (--lane->jobs == 0)
        pthread_cond_broadcast(&pool->idle);
}

/* --- on a thread of the pool --- */

static void deliver(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct pool_job *job = arg;
    job->done(job);
}

static void run_job(struct pool_job *job)
{
    struct reactor *reactor = job->reactor;
    job->run(job);
    job->post = (struct post){.task = deliver, .arg = job};
    /* From here on the job is its owner's again, and the reactor exists until the job is ended. */
    reactor_post_embedded(reactor, &job->post);
}

/* Each time, because GLib may give a pool a thread that another one has left. */
static void lower_priority(const struct pool *pool)
{
    /* Of this thread (setpriority(2), "C library/kernel differences"). */
    if (pool->nice && getpriority(PRIO_PROCESS, 0) < pool->nice)
        setpriority(PRIO_PROCESS, 0, pool->nice);
}

static void work(void *data, void *user_data)
{
    struct pool *pool = user_data;
    struct pool_job *job;
    (void)data;
    /* GLib's queue orders the two as well, but in a way that the thread sanitizer cannot see. */
    (void)atomic_load_explicit(&pool->called, memory_order_acquire);
    lower_priority(pool);
    pthread_mutex_lock(&pool->lock);
    while ((job = take_job(pool))) {
        struct pool_lane *lane = job->lane;
        pthread_mutex_unlock(&pool->lock);
        run_job(job);
        pthread_mutex_lock(&pool->lock);
        end_job(pool, lane);
    }
    if (--pool->at_work == 0)
        pthread_cond_broadcast(&pool->idle);
    pthread_mutex_unlock(&pool->lock);
}

/* --- life --- */

/* Threads inherit the signal mask: what a signalfd(2) of the server reads must not end up here. And
 * the CPUs: those of one reactor are not enough for all of them. Returns how many there are. */
static unsigned start_threads(struct pool *pool, unsigned threads)
{
    sigset_t all;
    sigset_t before;
    cpu_set_t cpus;
    GError *error = NULL;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool bound = cpus_unbind(&cpus);
    pool->threads = g_thread_pool_new(work, pool, (int)threads, TRUE, &error);
    if (bound)
        cpus_bind(&cpus);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return pool->threads ? threads : 0; /* GLib takes some numbers for a mistake */
    g_error_free(error);
    /* Fewer will do, but none must be started later, with other signals, by whoever submits. */
    unsigned count = g_thread_pool_get_num_threads(pool->threads);
    if (count)
        g_thread_pool_set_max_threads(pool->threads, (int)count, NULL);
    return count;
}

/* Nobody is at work. */
static void close_pool(struct pool *pool)
{
    if (pool->threads)
        g_thread_pool_free(pool->threads, FALSE, TRUE);
    g_hash_table_destroy(pool->lanes);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct pool *pool_new(unsigned threads, int nice)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->nice = nice;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->lanes = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    pool->most = start_threads(pool, threads);
    if (pool->most)
        return pool;
    close_pool(pool);
    errno = EAGAIN;
    return NULL;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    while (pool->at_work)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    close_pool(pool);
}

/* --- jobs --- */

/* True when a thread is to be called. */
static bool reserve_thread(struct pool *pool)
{
    if (pool->at_work == pool->most)
        return false; /* each looks once more before it stops */
    pool->at_work++;
    return true;
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->link = (GList){.data = job};
    job->lane = find_lane(pool, job->reactor);
    add_job(pool, job);
    bool calls = reserve_thread(pool);
    pthread_mutex_unlock(&pool->lock);
    if (!calls)
        return;
    atomic_fetch_add_explicit(&pool->called, 1, memory_order_release);
    g_thread_pool_push(pool->threads, pool, NULL);
}

bool pool_withdraw(struct pool *pool, struct pool_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool waits = job->waits;
    if (waits) {
        remove_job(pool, job);
        end_job(pool, job->lane);
    }
    pthread_mutex_unlock(&pool->lock);
    return waits;
}

void pool_wait(struct pool *pool, const struct reactor *reactor)
{
    pthread_mutex_lock(&pool->lock);
    const struct pool_lane *lane = g_hash_table_lookup(pool->lanes, reactor);
    while (lane && lane->jobs)
        pthread_cond_wait(&pool->idle, &pool->lock);
    g_hash_table_remove(pool->lanes, reactor);
    pthread_mutex_unlock(&pool->lock);
}
