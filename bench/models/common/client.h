/*
 * client.h - a client's connection as an event loop keeps it, and what such loops do in the same
 * way: send what there is, and ask the service. What they watch, and how, is their own.
 */
#ifndef MODELS_CLIENT_H
#define MODELS_CLIENT_H

#include "links.h"
#include "talk.h"

struct client {
    int fd; /* not blocking; -1: the client has gone while the service was being asked */
    enum talk_next next;
    size_t sent; /* of talk.out */
    struct talk talk;
    struct question question;
    struct http_response *response; /* that needs the question's answer */
};

/* What a client waits for after client_send(). */
enum client_wait {
    CLIENT_INPUT, /* a request */
    CLIENT_ROOM,  /* until more can be sent; nothing is to be received before */
    CLIENT_LINK,  /* the service's answer to its question */
    CLIENT_ENDS,  /* nothing: farewell() is due */
    CLIENT_LOST   /* nothing: the descriptor is to be closed */
};

/* Sends what there is to be sent. */
enum client_wait client_send(struct client *client);

/* What a workload_ask of an event loop does: HTTP_PENDING, or a negative errno. */
int client_ask(struct http_response *response, struct links *links);

/* Frees the client of this question when it has gone; otherwise goes on with its answer: then
 * client_send() is due, for the client that is returned. */
struct client *client_answered(struct question *question);

/* The descriptor is closed: frees the client, or leaves that to client_answered(). From malloc().
 */
void client_release(struct client *client);

#endif
