/*
 * handoff.h - a client goes from one worker to another: at once when it was accepted, or between
 * two requests.
 */
#ifndef NET_HANDOFF_H
#define NET_HANDOFF_H

#include "net/address.h"

#include <stdint.h>

struct worker;

/* A client of whose next request nothing has been read. */
struct visitor {
    int fd;            /* accepted, non-blocking, on no reactor; counted in service.connections and
                          service.clients */
    uint32_t requests; /* that it has had so far */
    union peer peer;
};

/* Closes its socket and gives up its place: it has left, or it cannot be served. */
void visitor_turn_away(struct worker *worker, const struct visitor *visitor);

/* Makes it a connection of the worker; turned away, and counted, when memory or the kernel's is
 * short. */
void visitor_admit(struct worker *worker, const struct visitor *visitor);

/* Sends the visitor to worker `to`, which it has been assigned to (balance_choose(),
 * load_assign()). False when memory is short or the server drains: then it is still the caller's,
 * and the assignment is taken back. On the thread of `from`. */
bool handoff_send(struct worker *from, unsigned to, const struct visitor *visitor);

/* Whether clients that other workers have sent to this one are under way. Once the server drains
 * (service.draining), no new ones get on their way, so that false stays false. */
bool handoff_is_expected(const struct worker *worker);

#endif
