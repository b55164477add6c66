/*
 * connection_private.h - what the files that make up a connection share:
 *
 *   connection.c    life and events: opens, waits for what is to come, closes
 *   conversation.c  the straight line from bytes to answers
 *   output.c        what the socket has not taken yet
 *   deadline.c      how long each kind of waiting may take
 */
#ifndef NET_CONNECTION_PRIVATE_H
#define NET_CONNECTION_PRIVATE_H

#include "base/buffer.h"
#include "http/exchange.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/worker.h"
#include "reactor/timer.h"

enum state {
    OPEN,
    LINGERING, /* all is sent and the end announced; reading until the client closes too */
    BROKEN,    /* to be closed by whoever is in charge of the event */
};

/* What is being waited for, which decides for how long. */
enum waiting {
    FOR_NOTHING, /* not decided yet */
    FOR_REQUEST,
    FOR_HEAD,    /* the rest of one */
    FOR_BODY,    /* more of one */
    FOR_READER,  /* the client to take what it was sent */
    FOR_HANDLER, /* to answer or to read on */
    FOR_END,     /* lingering */
};

struct connection {
    /* What every request touches comes first, to share cache lines. */
    struct worker *worker;
    int fd;
    enum state state;
    uint32_t watched;     /* epoll events */
    uint32_t requests;    /* that have begun to be answered */
    enum waiting waiting; /* since the last event */
    enum waiting counted; /* in metrics.states */
    bool closing;         /* nothing more will be answered */
    bool linger;          /* the client may still be sending: see finish() */
    bool blank;           /* an empty line has come since the last request */
    bool woken;           /* the timer was started to carry on */
    uint32_t in_length;
    char *in;                       /* received and not yet used; owned; NULL when there is none */
    struct http_exchange *exchange; /* begun and not over; owned */
    uint64_t active_ns;             /* the last event */
    uint64_t due_ns;                /* when waiting has taken too long; UINT64_MAX: never */

    struct buffer out;     /* answered and not yet sent; holds no memory when there is nothing */
    size_t out_at;         /* what of it was sent */
    uint64_t moved;        /* bytes received FOR_BODY and sent FOR_READER so far */
    uint64_t moved_before; /* ... when the present window began */
    struct connection *next;
    struct connection *previous;
    struct reactor_timer timer; /* for due_ns, at that time or earlier; and to be woken */
    union peer peer;
};

/* --- connection.c --- */

/* Whether the socket holds bytes that have not been read. */
bool connection_has_unread(const struct connection *connection);

/* The address of the client, or the one that it has reached. */
void connection_address(const struct connection *connection, bool client, struct address *address);

/* As text, in the arena; absent when memory is short. Any thread. */
struct http_text connection_address_text(const struct address *address, struct arena *arena);

/* After anything has happened: waits for the right things, or closes the connection. */
void connection_settle(struct connection *connection);

/* --- conversation.c --- */

extern const struct http_carrier connection_carrier;

/* Serves `bytes`, which lie in the worker's buffer or in `connection->in`, and leaves the
 * connection in a state to wait in. `full` says that the socket may hold more than was read. */
void connection_proceed(struct connection *connection, char *bytes, size_t length, bool full);

/* Answers with the status of an error and lets the connection end. */
void connection_refuse(struct connection *connection, int status);

/* Gives up the exchange that has begun, if there is one. */
void connection_drop_exchange(struct connection *connection);

/* --- output.c --- */

static inline void connection_count_received(struct connection *connection, size_t bytes)
{
    counter_add(&connection->worker->metrics.received, bytes);
    if (connection->waiting == FOR_BODY)
        connection->moved += bytes;
}

static inline void connection_count_sent(struct connection *connection, size_t bytes)
{
    counter_add(&connection->worker->metrics.sent, bytes);
    if (connection->waiting == FOR_READER)
        connection->moved += bytes;
}

/* Whether something waits for the client to read. */
static inline bool connection_has_output(const struct connection *connection)
{
    const struct http_exchange *exchange = connection->exchange;
    return connection->out_at < connection->out.length ||
           (exchange && exchange->response.rest.left && !exchange->response.rest.waits);
}

/* Sends what the worker has collected and what was kept; keeps what the socket does not take. */
void connection_flush(struct connection *connection);

/* --- deadline.c --- */

/* A reactor_task: the connection was woken, or it has waited for long enough. */
void connection_on_timer(struct reactor *reactor, void *arg);

/* Finds out what the connection waits for and until when. */
void connection_update_deadline(struct connection *connection);

#endif
