/*
 * connection.h - one client: from accept to close, on one worker.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "net/handoff.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct worker;

/* Sees to it that connection_open() has the memory it needs. False when memory is short. */
bool connection_prepare(struct worker *worker);

/* Takes over a client. 0, or -ENOMEM, or -errno of reactor_register(): then it is still the
 * caller's. */
int connection_open(struct worker *worker, const struct visitor *visitor);

/* Hands it to worker `to` without a byte lost; it must wait for a request. When that fails, it
 * stays here, or is closed. */
void connection_move(struct connection *connection, unsigned to);

/* Closes and forgets the connection, whatever it is doing. */
void connection_close(struct connection *connection);

/* Closes it if it waits for a request since `before_ns` (reactor_now()) or earlier. */
void connection_close_if_idle(struct connection *connection, uint64_t before_ns);

/* Whether a request is in progress: begun to arrive, or not yet answered to the last byte. */
bool connection_is_busy(const struct connection *connection);

/* The next in the worker's list. */
struct connection *connection_next(const struct connection *connection);

/* Closes those that have waited for a request for the longest time, since `before_ns` at the
 * latest, a few at once. Returns how many. */
unsigned connection_close_longest_idle(struct worker *worker, uint64_t before_ns);

/* Frees the worker's spare exchanges. */
void connection_free_exchanges(struct worker *worker);

/* Frees the worker's spare connections. */
void connection_free_spares(struct worker *worker);

#endif
