/*
 * sockets.h - what every model does with sockets in the same way.
 */
#ifndef MODELS_SOCKETS_H
#define MODELS_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

/* Prints "<program>: <what>: <error of errno>" and ends the program with status 1, unless it is
 * `fine`. */
void require(bool fine, const char *what);

/* Prints the same of `error`, an errno, and goes on. At most one line a second is printed, so that
 * what happens to every connection does not fill a disk. On one thread of a program only. */
void report_shortage(const char *what, int error);

/* A socket that listens on 127.0.0.1:`port`, or the end of the program. Several may share the port;
 * what it accepts inherits TCP_NODELAY. `flags` are those of socket(2): SOCK_NONBLOCK. */
int listen_on(unsigned port, int flags);

/* Ends the program when listen_on() would: for a parent whose children listen. */
void require_port(unsigned port);

/* Whether `error` says that the system has no room for another descriptor at present. */
bool is_shortage(int error);

/* A connection, which blocks, or -1 when there is none. When the system has no room for another
 * one, it takes 10 ms to say so: until then some connection may have ended. */
int accept_blocking(int listener);

/* A connection to 127.0.0.1:`port`, or -1 with errno. On loopback it is made at once, so connecting
 * blocks in every model; `flags` are those of what is returned. */
int connect_to(unsigned port, int flags);

/* Sends all of it over a blocking socket. False when the peer has gone, or has taken nothing for as
 * long as SO_SNDTIMEO says. */
bool send_all(int fd, const char *bytes, size_t length);

#endif
