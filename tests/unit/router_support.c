#include "router_support.h"

#include <glib.h>
#include <string.h>

struct guarded guarded;

int handle_nothing(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request;
    (void)response;
    (void)arg;
    return 500;
}

int add_route(struct router *router, const char *method, const char *pattern, int number)
{
    return router_add(router, method, pattern, handle_nothing, GINT_TO_POINTER(number));
}

struct router *router_of(const char *routes)
{
    struct router *router = router_new();
    g_auto(GStrv) list = g_strsplit(routes, "; ", -1);
    g_assert_nonnull(router);
    for (int i = 0; list[i]; i++) {
        g_auto(GStrv) route = g_strsplit(list[i], " ", 2);
        const char *method = g_str_equal(route[0], "*") ? NULL : route[0];
        g_assert_cmpint(add_route(router, method, route[1], i + 1), ==, 0);
    }
    return router;
}

int find_route(const struct router *router, const char *method, const char *path,
               struct arena *arena, struct router_match *match)
{
    size_t length = strlen(path);
    struct http_text text = {guarded_at_end(&guarded, path, length), length};
    memset(match, 0xa5, sizeof(*match));
    return router_find(router, (struct http_text){method, strlen(method)}, text, arena, match);
}

void expect_find(const struct router *router, const char *method, const char *path,
                 const char *expected)
{
    struct arena arena = {0};
    struct router_match match;
    g_autoptr(GString) found = g_string_new(NULL);
    int status = find_route(router, method, path, &arena, &match);
    g_test_message("%s %.100s", method, path);
    if (status == 0)
        g_string_printf(found, "%d", GPOINTER_TO_INT(match.route->arg));
    else
        g_string_printf(found, "%d", status);
    for (unsigned i = 0; i < match.param_count; i++)
        g_string_append_printf(found, " %s=%.*s", match.params[i].name,
                               (int)match.params[i].value.length, match.params[i].value.bytes);
    if (match.allow)
        g_string_append_printf(found, " %s", match.allow);
    g_assert_cmpstr(found->str, ==, expected);
    arena_free(&arena);
}
