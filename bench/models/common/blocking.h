/*
 * blocking.h - a connection that is served in a straight line, with calls that block: what a
 * process or thread does that has one connection at a time.
 */
#ifndef MODELS_BLOCKING_H
#define MODELS_BLOCKING_H

#include "talk.h"

/* Serves the client until it has gone or enough, and closes `fd`. */
void serve_blocking(int fd, struct talk_room *room);

/* Says where the service is, before the first request. */
void blocking_service(unsigned port);

/* Asks it over the calling thread's own connection, which stays open. */
int ask_blocking(struct http_request *request, struct http_response *response);

/* Closes that connection, before the thread ends. */
void ask_no_more(void);

#endif
