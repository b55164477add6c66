/*
 * exchange_support.h - an exchange that no connection carries: its answer is what `out` holds.
 */
#ifndef TESTS_EXCHANGE_SUPPORT_H
#define TESTS_EXCHANGE_SUPPORT_H

#include "http/exchange.h"

struct lone {
    struct http_exchange exchange;
    struct http_route route;
    struct buffer out;
    struct http_ready ready;
    struct http_date date;
    struct watch watch;
    unsigned complaints; /* about what a handler returned */
    unsigned wakes;
};

void lone_init(struct lone *lone);
void lone_fini(struct lone *lone);

/* Begins an answer to no request in particular. */
void lone_begin(struct lone *lone);

/* Makes of what a handler would return what it means. */
void lone_return(struct lone *lone, int returned);

/* Parses a complete request head. */
void lone_parse(struct lone *lone, const char *head);

/* Has the handler answer the request that was parsed. */
void lone_answer(struct lone *lone, http_handler handler);

/* Answers a request that could not be parsed. */
void lone_refuse(struct lone *lone, int status);

#endif
