/*
 * address.h - "ADDR:PORT" texts and socket addresses.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 64 };

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* A client's address, as small as it can be. */
union peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Reads a numeric address: "127.0.0.1:80" or "[::1]:80"; the port may be 0 (the kernel chooses).
 * Names are not looked up, so that what is listened on is what was written. */
bool address_parse(const char *text, struct address *address);

/* Writes it the way address_parse() reads it; "unknown" for anything but IPv4 and IPv6. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/* The port in host order, and setting it. */
unsigned address_port(const struct address *address);
void address_set_port(struct address *address, unsigned port);

#endif
