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
#include <semaphore.h>
#include <stdio.h>

enum { THREADS = 64, REQUESTS_MAX = 100, QUEUE_MAX = 1024 };

static GAsyncQueue *queue; /* of descriptors; none is 0, which the queue could not hold */
static sem_t places;       /* in the queue that are free */

static gpointer serve(gpointer arg)
{
    struct talk_room room = {.spare = NULL};
    (void)arg;
    for (;;) {
        int fd = GPOINTER_TO_INT(g_async_queue_pop(queue));
        sem_post(&places);
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

static void take_place(void)
{
    while (sem_wait(&places) < 0 && errno == EINTR)
        ;
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, THREADS);
    stop_on_signal();
    blocking_service(options.service_port);
    talk_open(ask_blocking, REQUESTS_MAX);
    queue = g_async_queue_new();
    require(sem_init(&places, 0, QUEUE_MAX) == 0, "cannot make the queue");
    int listener = listen_on(options.port, 0);
    start_threads(options.pool);
    for (;;) {
        take_place();
        int fd;
        do {
            fd = accept_blocking(listener);
        } while (fd < 0);
        g_async_queue_push(queue, GINT_TO_POINTER(fd));
    }
}
