/*
 * twin.h - a second exchange for a request, for a handler on another thread. It shares nothing with
 * the first one, whose client may leave at any time: it has a copy of the head, and takes over the
 * body that was collected. What the handler has answered is moved to the first one afterwards.
 */
#ifndef HTTP_TWIN_H
#define HTTP_TWIN_H

#include "http/exchange.h"

struct http_twin {
    struct http_exchange exchange;
    struct http_date date;
    struct buffer out;     /* the answer */
    atomic_bool cancelled; /* what http_request_is_cancelled() tells the handler */
    int returned;          /* by the handler */
};

/* Makes `twin`, which is all zero, the twin of an exchange whose handler has been called, and whose
 * body has been collected or has none. The carrier is the twin's: `prepare` and `address` are
 * called on the thread of the handler, `wake` too, which has nothing to do; `complain` is not. It
 * must stay where it is. False when memory is short; then the first exchange is as it was. */
bool http_twin_begin(struct http_twin *twin, struct http_exchange *exchange,
                     const struct http_carrier *carrier, void *carried_by);

/* Calls the handler, on any thread. */
void http_twin_call(struct http_twin *twin, http_handler handler, void *arg);

/* Moves the answer, or the fields of one that is still to be made, to the first exchange, whose
 * answer is pending. Returns what http_response_finish() is to be given. */
int http_twin_answer(struct http_twin *twin, struct http_exchange *exchange);

/* Frees what the twin holds. All zero: holds nothing. */
void http_twin_fini(struct http_twin *twin);

/* Any thread. */
static inline void http_twin_cancel(struct http_twin *twin)
{
    atomic_store_explicit(&twin->cancelled, true, memory_order_relaxed);
}

#endif
