/*
 * net_support.h - one worker on one reactor, driven turn by turn on the test's own thread, and
 * system calls that fail when the test says so. Nothing depends on timing: the clock is moved.
 *
 * The program is linked with --wrap for the functions named in net_support.c. Tests talk to the
 * worker with read(2) and write(2), which are not among them.
 */
#ifndef TESTS_NET_SUPPORT_H
#define TESTS_NET_SUPPORT_H

#include "http/router.h"
#include "net/worker.h"

#include <glib.h>

/* --- failures --- */

/* What the next calls of a function do, one step each: 0 goes through, n > 0 goes through with at
 * most n bytes, n < 0 fails with errno -n. After the last step: from the first again, or nothing.
 */
struct injection {
    const int *steps;
    size_t count;
    size_t next;
    bool repeats;
    unsigned calls;
};

extern struct injection inject_recv;
extern struct injection inject_send;
extern struct injection inject_accept;

/* Calls of epoll_ctl(2). */
extern unsigned epoll_ctl_calls;

#define STEPS(...) (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)
void inject_once(struct injection *injection, const int *steps, size_t count);
void inject_always(struct injection *injection, const int *steps, size_t count);
void inject_nothing(void);

/* Sockets take all that they are given, which is counted and goes nowhere. */
extern bool send_pretends;
extern size_t send_bytes;

/* The n-th allocation from now fails, and with `memory_stays_short` all that follow; 0: none. */
extern int memory_fails_in;
extern bool memory_stays_short;

/* Blocks that malloc() gave out and free() has not got back. */
extern long memory_live;

/* The most bytes that were asked for at once. */
extern size_t memory_largest;

/* Added to CLOCK_MONOTONIC, and whether that stands still otherwise. */
extern uint64_t clock_ahead_ns;
extern bool clock_stands;

/* --- the worker --- */

struct net {
    struct router *router;
    struct reactor *reactor;
    struct service service;
    struct worker worker;
};

/* Answers "METHOD PATH" as text, but to these paths: "/large" a large body, "/constant" always the
 * same, "/none" 204, "/missing" a bare 404. */
int net_handler(struct http_request *request, struct http_response *response, void *arg);

/* All paths are net_handler()'s. */
void net_open(struct net *net);

/* Gives a path, or more, to another handler. */
void net_route(struct net *net, const char *pattern, http_handler handler, void *arg);

/* Checks too that no connection is left and all are accounted for. */
void net_close(struct net *net);

/* One turn of the reactor that does not wait. */
void net_turn(struct net *net);

/* A connection over a socket pair; returns the client's end, non-blocking. */
int net_pair(struct net *net);

/* --- a client --- */

struct client {
    int fd;
    const char *bytes; /* what it has to say */
    size_t length;
    size_t sent;
    size_t piece;    /* at most so many bytes at a time */
    bool half_close; /* when all is sent */
    bool ended;      /* the server has closed */
    int error;       /* ... with this */
    GByteArray *received;
};

void client_init(struct client *client, int fd, const char *bytes, size_t length);
void client_fini(struct client *client);

/* Says a piece, lets the worker take a turn, and takes what it answers. */
void client_step(struct client *client, struct net *net);

/* Steps until all is said and `length` bytes were received, or the server has closed. */
void client_run(struct client *client, struct net *net, size_t length);

/* Steps until nothing more happens. */
void client_run_to_rest(struct client *client, struct net *net);

/* Steps until the server has closed. */
void client_run_to_end(struct client *client, struct net *net);

/* --- what a client is owed --- */

#define FIELDS      " HTTP/1.1\r\nHost: a\r\n"
#define GET(target) "GET " target FIELDS "\r\n"

/* Everything that may follow everything else on one connection that stays open. */
extern const char mixed[];

/* The answers to `bytes`, from the parser and the response module without any connection. */
GByteArray *owed_for(struct net *net, const char *bytes, size_t length);

/* All of them and nothing else, or the beginning of them. */
void expect_received(const struct client *client, const GByteArray *owed);
void expect_beginning(const struct client *client, const GByteArray *owed);

/* The client is answered, the last answer says Connection: close, and the connection ends well.
 * Frees the client. */
void expect_last(struct client *client, struct net *net, const GByteArray *owed);

/* --- answers as text, without the fields that are in all of them --- */

/* What was received, to be freed; and that it is exactly this. */
char *client_text(const struct client *client, const struct net *net);
void expect_text(const struct client *client, const struct net *net, const char *text);

#define PLAIN(length, more, body)                                                             \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n" more "\r" \
    "\n" body
#define CLOSE "Connection: close\r\n"

#endif
