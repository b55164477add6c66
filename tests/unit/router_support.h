/*
 * router_support.h - what the tests of the router share. Each route has a number, its argument.
 */
#ifndef TESTS_ROUTER_SUPPORT_H
#define TESTS_ROUTER_SUPPORT_H

#include "http/router.h"

#include "http_support.h"

extern struct guarded guarded; /* paths end where its memory ends; opened by main() */

/* The handler of all routes. */
int handle_nothing(struct http_request *request, struct http_response *response, void *arg);

int add_route(struct router *router, const char *method, const char *pattern, int number);

/* Of "GET /a; * /b", where '*' is any method. They get the numbers from 1. */
struct router *router_of(const char *routes);

int find_route(const struct router *router, const char *method, const char *path,
               struct arena *arena, struct router_match *match);

/* Expects "NUMBER name=value ..." of a route, or "STATUS", or "STATUS Allow". */
void expect_find(const struct router *router, const char *method, const char *path,
                 const char *expected);

#endif
