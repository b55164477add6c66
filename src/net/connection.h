/*
 * connection.h - one client: from accept to close, on one worker.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct worker;

/* Takes over the accepted, non-blocking socket `fd`, whose place worker_reserve_connection() has
 * reserved. When memory is short the socket is closed and the place released. */
void connection_open(struct worker *worker, int fd);

/* Closes and forgets the connection, whatever it is doing. */
void connection_close(struct connection *connection);

/* Frees the worker's spare connections. */
void connection_free_spares(struct worker *worker);

/* The next in the worker's list. */
struct connection *connection_next(const struct connection *connection);

/* Whether it waits for a request of which nothing has been read yet. */
bool connection_is_idle(const struct connection *connection);

/* Whether the socket holds bytes that have not been read; asks the kernel. */
bool connection_has_unread(const struct connection *connection);

/* Whether a request is in progress: begun to arrive, or not yet answered to the last byte. */
bool connection_is_busy(const struct connection *connection);

/* When it was accepted, in the reactor's time. */
uint64_t connection_opened_ns(const struct connection *connection);

#endif
