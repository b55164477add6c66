/*
 * blocking.h - a connection that is served in a straight line, with calls that block: what a
 * process or thread does that has one connection at a time.
 */
#ifndef MODELS_BLOCKING_H
#define MODELS_BLOCKING_H

#include "talk.h"

/* How long a client of a worker of a pool may be silent, or take nothing of its answer: as Apache's
 * KeepAliveTimeout. Without that, as many idle clients as there are workers would stop a server. */
enum { BLOCKING_PATIENCE_S = 5 };

/* Bounds every single wait for the client of `fd`. One that sends a byte now and then keeps its
 * worker none the less; what defends a server against that is no matter of its model. */
void blocking_patience(int fd, unsigned seconds);

/* Serves the client until it has gone or enough, and closes `fd`. `received` is what has been read
 * of it already; it may be empty. */
void serve_blocking(int fd, struct talk_room *room, struct http_text received);

/* Says where the service is, before the first request. */
void blocking_service(unsigned port);

/* Asks it over the calling thread's own connection, which stays open. */
int ask_blocking(struct http_request *request, struct http_response *response);

/* Closes that connection, before the thread ends. */
void ask_no_more(void);

#endif
