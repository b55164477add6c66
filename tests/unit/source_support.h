/*
 * source_support.h - a handler at "/source" that answers by http_respond_from() as the test says,
 * and keeps count of what its source is asked and told. For programs with net_support.c that are
 * linked with --wrap for sendfile, too.
 */
#ifndef TESTS_SOURCE_SUPPORT_H
#define TESTS_SOURCE_SUPPORT_H

#include "net_support.h"

enum { MUCH = 8 << 20, PIECES_MAX = 6 };

/* What the file holds, and where pieces of memory lie. */
char *contents(void);

struct layout {
    struct {
        char kind; /* 'm' memory, 'f' file */
        int64_t at;
        uint64_t length;
    } pieces[PIECES_MAX];
    size_t count;
};

/* Who says that a source is ready. */
enum from { BY_HAND, FROM_POST, FROM_TIMER };

struct scene {
    struct net *net;
    int file;
    struct reactor_timer *timer;
    const struct layout *layout;
    int status;
    const char *content_type;
    bool answered;         /* before */
    bool later;            /* answer from a post */
    bool pending;          /* do not finish */
    bool asks;             /* the source has a prepare() */
    const int64_t *grants; /* its answers: 0 all, n at most so much, -errno; from the first again */
    size_t grant_count;
    enum from from;
    size_t next_grant;
    GString *asked; /* "OFFSET+LENGTH " of each */
    bool waits;
    struct http_response *response; /* the last */
    int returned;                   /* by http_respond_from() */
    unsigned calls;                 /* of it */
    unsigned released;
    unsigned released_at_once; /* ... before it returned */
    unsigned cancelled;
};

void scene_open(struct scene *scene, struct net *net);

/* Checks that everything was released. */
void scene_close(struct scene *scene, struct net *net);

/* What a client is to receive, as expect_text() compares it, with these fields more. */
char *answer_of(const struct layout *layout, const char *more);

extern struct injection inject_sendfile;
extern bool sendfile_pretends; /* to have sent all it was given */
extern uint64_t sendfile_bytes;

#endif
