/*
 * workloads.h - the handlers that are the same under every model:
 *
 *     /fast   an answer of 83 bytes, always the same
 *     /work   an answer that takes about 1 ms of CPU time: a hash of so many steps
 *     /wait   an answer that needs the external service (bench/programs/service.c),
 *             which takes 10 ms
 *
 * How the service is asked is the model's own.
 */
#ifndef MODELS_WORKLOADS_H
#define MODELS_WORKLOADS_H

#include <coreactor/http.h>

/* Asks the service for a request, and blocks until it has answered: 0 or a negative errno. Or
 * returns HTTP_PENDING at once; then the model calls workload_finish() later. */
typedef int (*workload_ask)(struct http_request *request, struct http_response *response);

int workload_fast(struct http_request *request, struct http_response *response, void *arg);
int workload_work(struct http_request *request, struct http_response *response, void *arg);

/* `arg` points at a workload_ask. */
int workload_wait(struct http_request *request, struct http_response *response, void *arg);

/* The service has answered (0), or could not be asked (a negative errno): finishes the answer that
 * is pending. On the thread that serves the request. */
void workload_finish(struct http_response *response, int error);

#endif
