#include "server/team.h"

#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>

static void *wait_for_gate(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

int team_probe(unsigned threads)
{
    if (threads <= 1)
        return 0;
    if ((unsigned)omp_get_thread_limit() < threads)
        return -EAGAIN;
    pthread_t *probes = calloc(threads, sizeof(*probes));
    if (!probes)
        return -ENOMEM;
    /* All of them at the same time, as the team will be. */
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    unsigned started = 0;
    int error = 0;
    while (!error && started < threads - 1) {
        error = pthread_create(&probes[started], NULL, wait_for_gate, &gate);
        started += !error;
    }
    pthread_mutex_unlock(&gate);
    while (started)
        pthread_join(probes[--started], NULL);
    free(probes);
    return -error;
}
