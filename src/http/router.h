/*
 * router.h - which route a request takes: its method and path to a handler.
 *
 * A tree with a level for each segment of the patterns. A path is split at '/' while it is still
 * encoded, so an encoded slash separates nothing; a segment is decoded before it is compared. Dots
 * and empty segments are segments like any other.
 *
 * All alternatives of a segment (text, then {name}, then *) are tried before a path is given up.
 * That is bounded: a node of the tree can only be reached at its own level, so it is visited at
 * most once, and each byte of the path is scanned and decoded at most once. A lookup costs at most
 * the nodes of the tree, whatever the path.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <coreactor/http.h>

#include "base/arena.h"

#include <stdatomic.h>

enum {
    ROUTER_PARAMS_MAX = 16,   /* parts of a pattern that capture something */
    ROUTER_SEGMENTS_MAX = 64, /* of a pattern; a path may have any number */
};

struct http_route {
    char *method; /* NULL: any */
    char *pattern;
    http_handler handler;
    void *arg;
    atomic_bool answers_later; /* for the caller's use; false at first */
};

struct http_param {
    const char *name;
    struct http_text value;
};

struct router_match {
    struct http_route *route; /* when 0 was returned */
    const char *allow;        /* when 204 or 405 was returned: "GET, HEAD, POST" */
    unsigned param_count;
    struct http_param params[ROUTER_PARAMS_MAX];
};

struct router;

/* NULL when memory is short. */
struct router *router_new(void);

/* No lookup may be going on, and no route be used any more. NULL is allowed. */
void router_free(struct router *router);

/* Adds a route; see server_route() for patterns. Both texts are copied. One thread, before the
 * first lookup. Returns 0, -EINVAL (no method or pattern, too many segments or captures, no
 * handler), -EEXIST when the method has that pattern already, whatever its names, or -ENOMEM; then
 * the routes are as before. */
int router_add(struct router *router, const char *method, const char *pattern, http_handler handler,
               void *arg);

/* Looks up the path of a request, which begins with '/' or is the "*" of `OPTIONS *`. Returns 0
 * when there is a route, or the status of the answer:
 *
 * - 204: `OPTIONS *` without a route; `allow` has the methods of all routes ("" when none has any)
 * - 400: a segment that has to be decoded is not encoded well, or one with an encoded NUL stands
 *   where {name} would capture it; what is under "*" is not looked at
 * - 404: no pattern is the path's
 * - 405: one is, but none of those has the method; `allow` has theirs
 * - 500: memory is short
 *
 * Captured values are decoded; they are in `path`, or in `arena` where that changed them. The one
 * of a trailing "*", named "*", is the rest of the path as it is. Any thread, many at once. */
int router_find(const struct router *router, struct http_text method, struct http_text path,
                struct arena *arena, struct router_match *match);

#endif
