/*
 * talk.h - the half of a server that is the same under every model: bytes that came from a client
 * to requests, and those to the bytes of their answers, with the library's parser, router and
 * answers. It knows no sockets: what reads, waits and writes is the model.
 *
 * A room and its talks belong to one thread, or one process.
 */
#ifndef MODELS_TALK_H
#define MODELS_TALK_H

#include "workloads.h"

#include "base/watch.h"
#include "http/exchange.h"

/* What the conversations of a thread share; all zero at first. */
struct talk_room {
    struct http_date date;
    struct http_ready ready;
    struct buffer no_fields;
    struct watch watch;
    struct http_exchange *spare;
};

/* A connection, as HTTP sees it. */
struct talk {
    struct talk_room *room;
    struct buffer out;              /* to be sent; the model empties it */
    struct buffer in;               /* what was received and is not dealt with */
    struct http_exchange *exchange; /* that is not over: its body has not come, or its answer */
    unsigned requests;
    bool closing; /* no further request is served */
};

enum talk_next {
    TALK_READS, /* more is to be received */
    TALK_PENDS, /* a handler has returned HTTP_PENDING: nothing is to be received before it is done
                 */
    /* After what is in `out`, the connection is to be closed: by shutdown(2) of the sending side,
     * and wholly when the client has closed too, or after a second. Closing with bytes unread would
     * send a reset, which may overtake the answer. */
    TALK_ENDS
};

/* Once, before the first talk: makes the routes of workloads.h, for all rooms. A connection is
 * closed after `requests_max` requests (0: never for that). Ends the program when memory is short.
 */
void talk_open(workload_ask ask, unsigned requests_max);

/* Frees what a room holds, when its talks have ended. */
void talk_room_close(struct talk_room *room);

/* A talk begins as {.room = room}. It must stay where it is while an answer is pending. */

/* Deals with `length` bytes that were received, or, without any, with what has changed since:
 * a handler's answer that was pending. In any case `out` is to be sent next, then what it returns
 * to be done. When it cannot be sent at once, nothing is to be received before it is. */
enum talk_next talk_on(struct talk *talk, const char *bytes, size_t length);

/* Frees what it holds. No answer may be pending. */
void talk_end(struct talk *talk);

/* The talk that a pending answer belongs to. */
struct talk *talk_of(const struct http_response *response);

#endif
