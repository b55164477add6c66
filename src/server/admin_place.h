/*
 * admin_place.h - where the operator's pages are, and who may come there.
 */
#ifndef SERVER_ADMIN_PLACE_H
#define SERVER_ADMIN_PLACE_H

#include <coreactor/http.h>

#include "net/address.h"

#include <sys/types.h>
#include <sys/un.h>

struct server;

struct admin_place {
    bool loopback;          /* only this machine can reach it, also with what a browser is told */
    struct address address; /* AF_INET, AF_INET6 or AF_UNIX */
    dev_t device;           /* of a unix socket: which file is ours */
    ino_t inode;
};

/* A listening socket at `where`, "ADDR:PORT" or "unix:PATH"; unless `anywhere`, an address must be
 * loopback. A unix socket is its owner's only, from its first moment; it takes the place of one on
 * which nobody listens any more, and of nothing else. -errno, reported by server_fail(). */
int admin_place_open(struct admin_place *place, struct server *server, const char *where,
                     bool anywhere);

/* Removes the file of a unix socket, unless it is not ours any more. */
void admin_place_leave(const struct admin_place *place);

bool admin_address_is_loopback(const struct address *address);

/* Whether a request for `host` may be answered at a loopback address: numeric ones and "localhost",
 * with or without a port. Any other name is what a page of somebody else's may have had resolved to
 * this machine, to read what only its users may (DNS rebinding). Absent is allowed: no browser does
 * that. */
bool admin_host_is_allowed(struct http_text host);

#endif
