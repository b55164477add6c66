/*
 * links.h - the service as an event loop speaks with it: over connections that stay open, one
 * question at a time on each, and as many of them as are needed up to a limit; then questions wait.
 *
 * Of one thread. What watches the descriptors is the model's loop.
 */
#ifndef MODELS_LINKS_H
#define MODELS_LINKS_H

#include <stdbool.h>

struct link;

/* A request that needs the service; part of what the model keeps of it. */
struct question {
    struct question *next;
    int error; /* of the answer: 0, or a negative errno */
};

struct links {
    unsigned port;
    unsigned most;
    unsigned open;
    struct link *idle;
    struct link *all;
    struct question *first, **last; /* that wait for a link */
    /* The model's: watch the link for input, from now on, or return false, with errno; and forget
     * it, before it is closed. */
    bool (*watch)(struct links *links, struct link *link);
    void (*forget)(struct links *links, struct link *link);
    /* Sends the link a byte; NULL: by send(2). */
    void (*put)(struct links *links, struct link *link);
};

/* A connection to the service. */
struct link {
    int fd;
    struct question *question; /* that it is asked */
    struct link *next_idle;
    struct link *next;
    void *of_model;
};

void links_open(struct links *links, unsigned port, unsigned most);
void links_close(struct links *links);

/* Asks, now or when a link is free; also when no more than those that there are can be opened. 0,
 * or a negative errno when there are none. */
int links_ask(struct links *links, struct question *question);

/* The link is readable: takes its answer, and asks what waits. Returns the questions that are done,
 * linked by `next`: the one that was answered, and, when the service has gone, those that can never
 * be; NULL for none. The link may be gone afterwards. */
struct question *links_read(struct links *links, struct link *link);

/* The same when the model has received something itself: whether that was one byte. */
struct question *links_received(struct links *links, struct link *link, bool byte);

#endif
