/*
 * listeners_support.h - listening sockets of several reactors, none of which runs, and the program
 * in the kernel that chooses among them.
 */
#ifndef TESTS_LISTENERS_SUPPORT_H
#define TESTS_LISTENERS_SUPPORT_H

#include "net/address.h"
#include "net/balance_kernel.h"

#include <stdbool.h>

enum { LISTENERS_ADDRESSES = 2 };

struct listeners {
    struct balance_sockets sockets;
    struct address addresses[LISTENERS_ADDRESSES];
    int *fds;
    struct load *loads;
};

/* An IPv4 address; and an IPv6 address with it. */
extern const char *const one_address[];
extern const char *const two_addresses[];

void listen_on(struct listeners *listeners, unsigned reactors, const char *const *where);
void stop_listening(struct listeners *listeners);

/* The same with the program. False when that is not permitted here: the test is marked as skipped
 * and ends. */
bool open_listeners(struct listeners *listeners, unsigned reactors, const char *const *where);
void close_listeners(struct listeners *listeners);

/* The connection is complete when this returns. */
int connect_to(const struct address *address);

/* All loads together are `sum`, and each is the same, or one more. */
void expect_even(const struct listeners *listeners, unsigned sum);

/* How many this process may have, after asking for as many as the tests need; and has. */
unsigned raise_descriptors(void);
unsigned count_descriptors(void);

#endif
