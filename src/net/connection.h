/*
 * connection.h - one client: from accept to close, on one worker.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct worker;

/* Sees to it that connection_open() has the memory it needs. False when memory is short. */
bool connection_prepare(struct worker *worker);

/* Takes over the accepted, non-blocking socket `fd`, after connection_prepare() and
 * worker_reserve_connection(). 0, or -errno of reactor_register(): then the socket is closed and
 * the reservation is still the caller's. */
int connection_open(struct worker *worker, int fd);

/* Closes and forgets the connection, whatever it is doing. */
void connection_close(struct connection *connection);

/* Closes it if no request has begun to arrive on it and it was accepted at `before_ns`
 * (reactor_now()) or earlier. */
void connection_close_if_idle(struct connection *connection, uint64_t before_ns);

/* Whether a request is in progress: begun to arrive, or not yet answered to the last byte. */
bool connection_is_busy(const struct connection *connection);

/* The next in the worker's list. */
struct connection *connection_next(const struct connection *connection);

/* Frees the worker's spare connections. */
void connection_free_spares(struct worker *worker);

#endif
