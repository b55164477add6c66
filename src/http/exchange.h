/*
 * exchange.h - a request, its answer, and what both need until they are complete.
 *
 * Here is decided when a handler is called, and with what; nothing here knows sockets. Whoever
 * carries the exchange (net/conversation.c) feeds it the bytes behind the head, sends what it puts
 * into `response.out`, and asks whether it is over.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/watch.h"
#include "http/body.h"
#include "http/parser.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "http/trailers.h"

/* Bytes of a body that are read and discarded after the answer, for the sake of the connection. */
enum { HTTP_DISCARD_MAX = 1 << 20 };

struct http_exchange;

/* What carries exchanges. */
struct http_carrier {
    /* The exchange can go on: carry it on soon, but not before this call has returned. */
    void (*wake)(struct http_exchange *exchange);
    /* A deferred answer begins: update response.date and response.close. */
    void (*prepare)(struct http_exchange *exchange);
    /* Bytes in response.out that the client has not taken yet. */
    size_t (*waiting)(const struct http_exchange *exchange);
    /* The address of the client, or of the server; in the exchange's arena. */
    struct http_text (*address)(struct http_exchange *exchange, bool client);
    /* A handler returned nonsense: tell the operator. */
    void (*complain)(const struct http_exchange *exchange, int returned);
};

struct http_step {
    http_handler handler;
    void *arg;
};

enum http_wish { HTTP_WISH_NOTHING, HTTP_WISH_WHOLE, HTTP_WISH_PIECES };

/* What an exchange has come to; all zero at its beginning, and kept small because of that. */
struct http_progress {
    struct http_step on_room;
    void (*on_cancel)(void *arg);
    size_t discarded; /* bytes of the body */
    struct http_text trailers;
    enum http_wish wish;
    int failed;         /* status of the error in the body, or 0 */
    bool paused;        /* the stream's handler left something */
    bool resumed;       /* ... and wants it, since it was called last */
    bool told_end;      /* it has seen http_request_ended() */
    bool says_go_on;    /* the client has asked for 100 Continue and not got it */
    bool body_has_come; /* the beginning of it, with the head */
    bool abandoned;     /* the rest of the body is not waited for */
    bool closes;        /* this is the last exchange, whatever becomes of the body */
    bool wants_room;    /* something was not taken */
    bool in_handler;
    bool finished;  /* http_response_finish() was called, with `returned` */
    bool soon;      /* http_response_soon() was called */
    bool concluded; /* the handler has nothing more to do with it */
};

struct http_exchange {
    struct http_request request; /* as parsed */
    struct http_response response;
    struct http_body body;
    struct http_progress now;
    struct http_step on_body;
    size_t collect_limit;
    struct http_text piece; /* of a streamed body, not consumed; set while its handler is called */
    size_t consumed;        /* of the piece */
    void *cancel_arg;
    int returned;
    struct router_match match;
    struct arena arena;
    struct buffer fields;    /* response.fields */
    struct buffer collected; /* of the body */
    char *block;             /* owned memory that the request points into; NULL: someone else's */
    const struct http_carrier *carrier;
    void *carried_by; /* the carrier's */
    struct reactor *reactor;
    struct watch *watch;          /* is told of every call of a handler */
    const atomic_bool *cancelled; /* set by another thread: twin.h; NULL: nobody would */
    struct http_exchange *next;   /* the carrier's */
    uint64_t began_ns;
};

/* Frees what the exchange holds. All zero: holds nothing. */
void http_exchange_fini(struct http_exchange *exchange);

/* Gives back what it holds for a request beyond what the next one will need too. */
void http_exchange_clean(struct http_exchange *exchange);

/* Makes it ready for the next request. */
static inline void http_exchange_reset(struct http_exchange *exchange)
{
    if (exchange->arena.first || exchange->collected.capacity || exchange->block ||
        exchange->response.rest.left)
        http_exchange_clean(exchange);
}

/* Begins with a parsed request: `response.head_only`, `close` and the like. `closes` says that this
 * exchange is the connection's last, `body_has_come` that something follows the head. */
void http_exchange_begin(struct http_exchange *exchange, bool closes, bool body_has_come);

/* Copies the head of `length` bytes into the exchange, so that it outlives the buffer it was read
 * into, with what the route's match took from it. False when memory is short. */
bool http_exchange_keep_head(struct http_exchange *exchange, size_t length);

/* Calls the handler of the route that was found, or answers with what router_find() returned. */
void http_exchange_start(struct http_exchange *exchange, int found);

/* Gives it what follows the head; it calls handlers as they wish. Returns the bytes that it is done
 * with; the rest is to be kept and given again. Sets `now.failed` when the body is malformed. */
size_t http_exchange_read(struct http_exchange *exchange, const char *bytes, size_t length,
                          const struct http_limits *limits);

/* Goes on with what has changed meanwhile: an answer that was finished, room for more. */
void http_exchange_continue(struct http_exchange *exchange);

/* Ends it with an error answer, `now.failed`, where that is still possible. The handler is
 * cancelled.
 */
void http_exchange_fail(struct http_exchange *exchange);

/* The client has gone. */
void http_exchange_cancel(struct http_exchange *exchange);

/* Whether bytes of the body are to be read now. */
bool http_exchange_reads(const struct http_exchange *exchange);

/* Whether nothing is left to be done but sending `response.out`. */
static inline bool http_exchange_is_over(const struct http_exchange *exchange)
{
    return exchange->now.concluded && !exchange->response.rest.left &&
           (exchange->now.abandoned || http_body_ended(&exchange->body));
}

static inline struct http_exchange *http_exchange_of(const struct http_response *response)
{
    return (struct http_exchange *)((uintptr_t)response - offsetof(struct http_exchange, response));
}

static inline struct http_exchange *http_exchange_with(const struct http_request *request)
{
    return (struct http_exchange *)((uintptr_t)request - offsetof(struct http_exchange, request));
}

/* --- for stream.c --- */

void http_exchange_wake(struct http_response *response);
size_t http_exchange_waiting(const struct http_response *response);
void http_exchange_want_room(struct http_response *response);

#endif
