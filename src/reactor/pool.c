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

#include "base/aside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { END_S = 1 };

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
    pthread_cond_t idle;  /* a lane has no job any more, nobody is at work, or `members` changed */
    GHashTable *lanes;    /* reactor -> its lane */
    GQueue turns;         /* lanes with jobs waiting, the next to give one first */
    unsigned most;        /* threads */
    unsigned at_work;     /* threads that are called or working */
    unsigned members;     /* threads that have joined and not ended */
    bool abandoned;       /* by its owner: the last member destroys it */
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

/* --- threads that come and go --- */

/* Of this thread (setpriority(2), "C library/kernel differences"). */
static void lower_priority(const struct pool *pool)
{
    if (pool->nice && getpriority(PRIO_PROCESS, 0) < pool->nice)
        setpriority(PRIO_PROCESS, 0, pool->nice);
}

static void destroy(struct pool *pool)
{
    g_hash_table_destroy(pool->lanes);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* The thread ends. */
static void leave(void *data)
{
    struct pool *pool = data;
    pthread_mutex_lock(&pool->lock);
    bool was_last = --pool->members == 0 && pool->abandoned;
    pthread_cond_broadcast(&pool->idle);
    pthread_mutex_unlock(&pool->lock);
    if (was_last)
        destroy(pool);
}

static GPrivate membership = G_PRIVATE_INIT(leave); /* the thread's pool */

/* GLib may give a pool a thread that another one has left, with what that made of it. Returns when
 * all threads have joined, so that none gets two of the first calls. */
static void join(struct pool *pool)
{
    struct aside before; /* it stays aside */
    aside_begin(&before);
    lower_priority(pool);
    g_private_replace(&membership, pool);
    pthread_mutex_lock(&pool->lock);
    pool->members++;
    pthread_cond_broadcast(&pool->idle);
    while (pool->members < pool->most)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static void work(void *data, void *user_data)
{
    struct pool *pool = user_data;
    struct pool_job *job;
    (void)data;
    /* GLib's queue orders the two as well, but in a way that the thread sanitizer cannot see. */
    (void)atomic_load_explicit(&pool->called, memory_order_acquire);
    if (g_private_get(&membership) != pool)
        join(pool);
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

/* Returns how many there are. */
static unsigned start_threads(struct pool *pool, unsigned threads)
{
    struct aside before;
    GError *error = NULL;
    aside_begin(&before);
    pool->threads = g_thread_pool_new(work, pool, (int)threads, TRUE, &error);
    aside_end(&before);
    if (!error)
        return pool->threads ? threads : 0; /* GLib takes some numbers for a mistake */
    g_error_free(error);
    /* Fewer will do, but none must be started later, with other signals, by whoever submits. */
    unsigned count = g_thread_pool_get_num_threads(pool->threads);
    if (count)
        g_thread_pool_set_max_threads(pool->threads, (int)count, NULL);
    return count;
}

static void call_thread(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->called, 1, memory_order_release);
    g_thread_pool_push(pool->threads, pool, NULL);
}

static void wait_until_idle(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->at_work)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Each thread is called once. */
static void join_all(struct pool *pool)
{
    pool->at_work = pool->most;
    for (unsigned i = 0; i < pool->most; i++)
        call_thread(pool);
    wait_until_idle(pool);
}

/* False when some are still there after END_S seconds. */
static bool wait_for_ends(struct pool *pool)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_S;
    pthread_mutex_lock(&pool->lock);
    while (pool->members && pthread_cond_timedwait(&pool->idle, &pool->lock, &until) == 0)
        continue;
    pool->abandoned = pool->members > 0;
    bool all = !pool->abandoned;
    pthread_mutex_unlock(&pool->lock);
    return all;
}

/* GLib keeps threads for the next pool, which may be the program's and wants none without signals
 * and of low priority: these have to end, and the priority cannot be raised again. They do when
 * none may be kept, a moment after g_thread_pool_free(). False when somebody has changed that
 * number meanwhile. */
static bool end_threads(struct pool *pool)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one_at_a_time);
    int kept = g_thread_pool_get_max_unused_threads();
    g_thread_pool_set_max_unused_threads(0);
    g_thread_pool_free(pool->threads, FALSE, TRUE);
    bool all = wait_for_ends(pool);
    g_thread_pool_set_max_unused_threads(kept);
    pthread_mutex_unlock(&one_at_a_time);
    return all;
}

/* Nobody is at work. */
static void close_pool(struct pool *pool)
{
    if (!pool->threads || end_threads(pool))
        destroy(pool); /* else the last thread does */
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
    if (pool->most) {
        join_all(pool);
        return pool;
    }
    close_pool(pool);
    errno = EAGAIN;
    return NULL;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    wait_until_idle(pool);
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
    if (calls)
        call_thread(pool);
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
