/*
 * An exclusive GThreadPool: its threads exist from the beginning, so that submitting a job cannot
 * fail. What is counted here is behind a pthread mutex instead of a GMutex, because the thread
 * sanitizer sees the order that only the former makes.
 */
#include "reactor/pool.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct pool {
    GThreadPool *threads;
    atomic_uint handed_over; /* jobs: orders what a submitter wrote before what a thread reads */
    pthread_mutex_t lock;    /* for the two below */
    pthread_cond_t idle;     /* a reactor has no job any more */
    GHashTable *jobs;        /* reactor -> how many are queued or running; none: no entry */
};

static void count_job(struct pool *pool, struct reactor *reactor, int change)
{
    pthread_mutex_lock(&pool->lock);
    gsize jobs = GPOINTER_TO_SIZE(g_hash_table_lookup(pool->jobs, reactor)) + (gsize)change;
    if (jobs) {
        g_hash_table_insert(pool->jobs, reactor, GSIZE_TO_POINTER(jobs));
    } else {
        g_hash_table_remove(pool->jobs, reactor);
        pthread_cond_broadcast(&pool->idle);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* --- on a thread of the pool --- */

static void deliver(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct pool_job *job = arg;
    job->done(job);
}

static void run_job(void *data, void *user_data)
{
    struct pool_job *job = data;
    struct pool *pool = user_data;
    /* GLib's queue orders the two as well, but in a way that the thread sanitizer cannot see. */
    (void)atomic_load_explicit(&pool->handed_over, memory_order_acquire);
    struct reactor *reactor = job->reactor;
    job->run(job);
    job->post = (struct post){.task = deliver, .arg = job};
    /* From here on the job is its owner's again, and the reactor exists until it is counted. */
    reactor_post_embedded(reactor, &job->post);
    count_job(pool, reactor, -1);
}

/* --- life --- */

/* Threads inherit the signal mask: what a signalfd(2) of the server reads must not end up here. */
static GThreadPool *start_threads(struct pool *pool, unsigned threads)
{
    sigset_t all;
    sigset_t before;
    GError *error = NULL;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    GThreadPool *started = g_thread_pool_new(run_job, pool, (int)threads, TRUE, &error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return started;
    g_error_free(error);
    /* Fewer will do, but none must be started later, with other signals, by whoever submits. */
    unsigned count = g_thread_pool_get_num_threads(started);
    if (count) {
        g_thread_pool_set_max_threads(started, (int)count, NULL);
        return started;
    }
    g_thread_pool_free(started, TRUE, FALSE);
    return NULL;
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->threads = start_threads(pool, threads);
    if (!pool->threads) {
        free(pool);
        errno = EAGAIN;
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->jobs = g_hash_table_new(NULL, NULL);
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    while (g_hash_table_size(pool->jobs))
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    /* Also waits until the last thread has left count_job(). */
    g_thread_pool_free(pool->threads, FALSE, TRUE);
    g_hash_table_destroy(pool->jobs);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* --- jobs --- */

void pool_submit(struct pool *pool, struct pool_job *job)
{
    count_job(pool, job->reactor, 1);
    atomic_fetch_add_explicit(&pool->handed_over, 1, memory_order_release);
    g_thread_pool_push(pool->threads, job, NULL);
}

void pool_wait(struct pool *pool, const struct reactor *reactor)
{
    pthread_mutex_lock(&pool->lock);
    while (g_hash_table_contains(pool->jobs, reactor))
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
