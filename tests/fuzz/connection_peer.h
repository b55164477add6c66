/*
 * connection_peer.h - what fuzz_connection.c is made of: handlers that watch how they are treated,
 * and a reader of both directions of the conversation that shares no code with the server.
 */
#ifndef TESTS_CONNECTION_PEER_H
#define TESTS_CONNECTION_PEER_H

#include <coreactor/http.h>

#include "http/router.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* The limits of the server, small enough for the fuzzer to reach. */
enum { HEAD_MAX = 2000, TARGET_MAX = 500, FIELDS_MAX = 20, BODY_MAX = 6000, COLLECT_MAX = 500 };

/* --- handlers --- */

/* The routes, each for a way to answer: connection_handlers.c lists them. */
struct router *handlers_router(void);

/* What the handlers of one input did. */
struct handlers {
    bool tore;        /* broke an answer off on purpose */
    bool never;       /* left one pending for ever */
    unsigned pending; /* not answered and not cancelled */
    unsigned calls;   /* of those that had been pending */
};
extern struct handlers handlers;

void handlers_begin(void);

/* Checks that every handler was told how its exchange ended. */
void handlers_end(void);

/* Byte `at` of what large answers consist of. */
static inline char handlers_byte(size_t at)
{
    return (char)('a' + at % 23);
}

/* --- the conversation, read a second time --- */

struct seen_request {
    bool is_head;
    bool complete;    /* with its body */
    bool must_refuse; /* two readers could disagree about it */
    bool expects_continue;
    bool is_http_1_0;
    bool chunked;
    bool doubtful; /* its trailers or extensions may be over a limit */
    const char *target;
    size_t target_length;
    const char *body; /* decoded */
    size_t body_length;
};

enum { REQUESTS_MAX = 4096 };

/* What the client said. The last request may be incomplete, or malformed from some byte on. */
struct said {
    struct seen_request requests[REQUESTS_MAX];
    size_t count;
    size_t complete; /* requests before the first that is not, or is doubtful */
    size_t certain;  /* requests about which there is no doubt, whenever their bytes arrived */
};

/* `bodies` has room for `length` bytes. */
void said_read(struct said *said, const char *bytes, size_t length, char *bodies);

/* What the server answered. */
struct answered {
    size_t finals; /* complete answers but for 100 Continue */
    size_t errors; /* of these, with a status from 400 */
    bool partial;  /* more follows them */
    bool closes;   /* the last one said so */
};

/* Checks every byte; `ended` says that nothing follows. */
void answered_read(struct answered *answered, const struct said *said, const char *bytes,
                   size_t length, bool ended);

#endif
