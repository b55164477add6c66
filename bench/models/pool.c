/*
 * pool.c - a fixed pool of threads with blocking I/O. One more thread accepts, and hands
 * connections over in a bounded queue; a thread that takes one serves it, and nothing else, until
 * it ends. When the queue is full, clients wait in the listener's backlog instead. That each one's
 * turn comes, a connection is closed after some requests, or when its client is silent for a while
 * (blocking.h).
 *
 * It spends a thread a connection that is being served, and only memory of the kernel for one that
 * waits; a connection also costs a hand-over between two threads.
 */
#include "common/blocking.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 64, REQUESTS_MAX = 100, QUEUE_MAX = 1024 };

/* Of descriptors. One thread puts, and only those that take have to agree. No GAsyncQueue: that has
 * no bound, and allocates for what it holds. */
static struct {
    int fds[QUEUE_MAX];
    unsigned put, taken; /* how many ever */
    sem_t places;        /* that are free */
    sem_t filled;        /* and those that are not */
    pthread_mutex_t taking;
} queue = {.taking = PTHREAD_MUTEX_INITIALIZER};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        ;
}

static void put(int fd)
{
    queue.fds[queue.put++ % QUEUE_MAX] = fd;
    sem_post(&queue.filled);
}

static int take(void)
{
    wait_for(&queue.filled);
    pthread_mutex_lock(&queue.taking);
    int fd = queue.fds[queue.taken++ % QUEUE_MAX];
    pthread_mutex_unlock(&queue.taking);
    sem_post(&queue.places);
    return fd;
}

static gpointer serve(gpointer arg)
{
    struct talk_room room = {.spare = NULL};
    (void)arg;
    for (;;) {
        int fd = take();
        blocking_patience(fd, BLOCKING_PATIENCE_S);
        serve_blocking(fd, &room, (struct http_text){NULL, 0});
    }
    return NULL;
}

static void start_threads(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        GError *error = NULL;
        GThread *thread = g_thread_try_new("worker", serve, NULL, &error);
        if (!thread) {
            fprintf(stderr, "pool: no thread for the pool: %s\n", error->message);
            exit(1);
        }
        g_thread_unref(thread);
    }
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, THREADS);
    stop_on_signal();
    blocking_service(options.service_port);
    talk_open(ask_blocking, REQUESTS_MAX);
    require(sem_init(&queue.places, 0, QUEUE_MAX) == 0 && sem_init(&queue.filled, 0, 0) == 0,
            "cannot make the queue");
    int listener = listen_on(options.port, 0);
    start_threads(options.pool);
    for (;;) {
        wait_for(&queue.places);
        int fd = -1;
        while (fd < 0)
            fd = accept_blocking(listener);
        put(fd);
    }
}
