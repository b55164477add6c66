/*
 * listener.h - one listening socket of one worker: opening it, accepting, pacing, closing without
 * loss.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/address.h"
#include "reactor/timer.h"

#include <stdbool.h>

struct worker;

struct listener {
    int fd; /* -1 once closed */
    bool paused;
    struct worker *worker;
    struct reactor_timer resume;
};

/* Whether something listens on `address` already: 0, or -EADDRINUSE and other errors of bind(2).
 * Asked before listener_open(), because SO_REUSEPORT would silently share the port with another
 * server of the same user. */
int listener_probe(const struct address *address);

/* A non-blocking SO_REUSEPORT socket that listens on `address`, or -errno of socket(2), bind(2),
 * listen(2). When the port was 0, `address` gets the one that the kernel chose. */
int listener_open(struct address *address, unsigned backlog);

/* Begins to accept for `worker` from `fd`, which the listener owns from now on. 0 or -errno. */
int listener_start(struct listener *listener, struct worker *worker, int fd);

/* Drops the SYNs of connections that have not begun, so that the queue behind the socket can be
 * emptied for good; handshakes in progress still complete. Any thread. */
void listener_refuse_new(int fd);

/* Accepts what waits, as far as the limits allow. */
void listener_accept_all(struct listener *listener);

/* Whether a client waits to be accepted; asks the kernel. False when the listener is closed. */
bool listener_has_waiting(const struct listener *listener);

/* Accepts again, if a limit had stopped it. */
void listener_resume(struct listener *listener);

/* Stops accepting and closes the socket. Harmless when it is closed. */
void listener_close(struct listener *listener);

#endif
