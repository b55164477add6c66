/*
 * tcp_support.h - a worker that listens, and its clients, over TCP on the loopback interface.
 */
#ifndef TESTS_TCP_SUPPORT_H
#define TESTS_TCP_SUPPORT_H

#include "net/address.h"
#include "net_support.h"

/* A worker that listens on a port of its own. */
struct tcp {
    struct net net;
    struct address address;
};

void tcp_open(struct tcp *tcp);

/* The connection is complete when this returns: the kernel answers for the listener. */
int tcp_connect(const struct tcp *tcp);

/* The client gets what it is owed, however long the worker wants to wait. */
void serve(struct tcp *tcp, int fd);

/* The kernel may still be busy with what a client did: turns until accept4(2) was called so often,
 * or until no connection is left, but not for ever. */
void turn_until_calls(struct tcp *tcp, unsigned calls);
void turn_until_empty(struct tcp *tcp);

/* That accepting is not possible for now. */
void expect_warning(void);

#endif
