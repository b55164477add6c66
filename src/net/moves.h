/*
 * moves.h - connections that go, between two requests, from a reactor that is busy to one that is
 * not: clients may keep a connection for hours, and do as much with one as others with hundreds.
 */
#ifndef NET_MOVES_H
#define NET_MOVES_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct service;
struct worker;

/* After each review of the balance: asks the busiest reactor for moves to the least busy one, when
 * it is nearly always busy, the other is not, and there were none for a while. The supervisor. */
void moves_review(struct service *service, uint64_t now_ns);

/* The connection waits for its next request: moves it if this worker was asked for moves, and then
 * it does not exist here any more. On the worker's thread. */
void moves_consider(struct connection *connection);

#endif
