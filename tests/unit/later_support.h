/*
 * later_support.h - a handler that answers later, and keeps count.
 */
#ifndef TESTS_LATER_SUPPORT_H
#define TESTS_LATER_SUPPORT_H

#include "net_support.h"
#include "reactor/timer.h"

/* Where the answer comes from; FROM_TEST: from later_finish(). */
enum from { FROM_INSIDE, FROM_POST, FROM_TIMER, FROM_TEST };

struct scene {
    enum from from;
    unsigned calls; /* that were left pending */
    unsigned finished;
    unsigned cancelled;
    struct pending *last;
};

/* Lives as long as the request. */
struct pending {
    struct scene *scene;
    struct http_request *request;
    struct http_response *response;
    struct http_text texts[6];
    struct http_text copies[6];
    struct reactor_timer timer;
};

/* A net whose paths "/later/{part}" and "/other/{part}" are answered later. Two routes, because the
 * first answer of each that comes later is treated in its own way. */
void scene_open(struct scene *scene, struct net *net, enum from from);

/* Finishes with what net_handler() would have answered, and checks that every text that was taken
 * before is still the same. */
void later_finish(struct pending *pending);

#define AFTER GET("/1")

#endif
