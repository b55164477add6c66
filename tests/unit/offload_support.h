/*
 * offload_support.h - a net with routes whose handlers run on a pool, and handlers that wait there
 * until the test lets them go. Nothing depends on timing: what a thread has to do is waited for.
 */
#ifndef TESTS_OFFLOAD_SUPPORT_H
#define TESTS_OFFLOAD_SUPPORT_H

#include "net/offload.h"
#include "net_support.h"

#include <semaphore.h>

/* As it lies in memory all the time. */
struct bureau {
    struct net net;
    struct offload offload;
    sem_t gate; /* what handlers of bureau_hold() wait for */
    atomic_uint begun;
    atomic_uint ended;
    atomic_uint gone; /* of these, that saw their client gone */
};

/* "/held/{part}" is a route of bureau_hold(). */
void bureau_open(struct bureau *bureau, unsigned threads, unsigned queue_max);

/* Has the handler of a pattern run on the pool. */
void bureau_route(struct bureau *bureau, const char *pattern, http_handler handler, void *arg);

/* Lets all handlers go, and waits for them; nothing is left of any. */
void bureau_close(struct bureau *bureau);

/* A handler that waits for the gate, then answers as net_handler(). Its `arg` is the bureau. */
int bureau_hold(struct http_request *request, struct http_response *response, void *arg);

/* Lets `count` of them go. */
void bureau_release(struct bureau *bureau, unsigned count);

/* Takes turns until a number of the bureau's, or of the worker's metrics, is so large. */
void bureau_await(struct bureau *bureau, const atomic_uint *number, unsigned value);
void bureau_await_count(struct bureau *bureau, const struct counter *counter, uint64_t value);

/* Steps until the client has received what its text becomes, or has been left. */
void bureau_expect(struct bureau *bureau, struct client *client, const char *text);

/* What was received, but for the fields Server and Date: to be freed. */
char *bureau_text(const struct client *client);
char *bureau_strip(const void *bytes, size_t length);

/* How many requests have waited in the queue and were begun, by the metrics. */
uint64_t bureau_waited(const struct bureau *bureau);

#define BUSY                                                                          \
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n" \
    "Content-Length: 24\r\nRetry-After: 1\r\n\r\n503 Service Unavailable\n"

#endif
