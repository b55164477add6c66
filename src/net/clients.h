/*
 * clients.h - how many connections each client address has, over all reactors.
 *
 * An IPv4 address is one client, and so is an IPv6 /64: that is what one customer usually gets, and
 * whoever has one has all its addresses. An IPv4-mapped IPv6 address counts as the IPv4 address.
 * Any thread may enter and leave at any time; both take one lock.
 */
#ifndef NET_CLIENTS_H
#define NET_CLIENTS_H

#include <stdbool.h>
#include <sys/socket.h>

struct clients;

/* Room for `max_connections` connections (at least 1) of which each client may have `limit` (at
 * least 1). All memory is allocated here. NULL with errno (ENOMEM, EINVAL for a 0, those of
 * getrandom(2)). */
struct clients *clients_new(unsigned max_connections, unsigned limit);

/* Frees it. NULL is allowed. */
void clients_free(struct clients *clients);

/* Counts one more connection of the client at `address`; false when it has `limit` already, or when
 * there would be more clients than max_connections, and then nothing is counted. Addresses that are
 * neither IPv4 nor IPv6 are not counted and always let in. */
bool clients_enter(struct clients *clients, const struct sockaddr *address);

/* One connection less: once for every clients_enter() that returned true, with the same address. */
void clients_leave(struct clients *clients, const struct sockaddr *address);

#endif
