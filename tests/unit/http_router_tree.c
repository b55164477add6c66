/* Routes that are added and refused, many of them, paths that mean harm, and no memory. */
#include "router_support.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* --- injection --- */

static int allocations_left = -1; /* until one fails, and all after it; -1: none does */
static unsigned allocation_count;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool may_allocate(void)
{
    allocation_count++;
    if (allocations_left > 0)
        allocations_left--;
    else if (allocations_left == 0)
        return false;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return may_allocate() ? __real_realloc(memory, size) : NULL;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- adding --- */

static void test_bad_routes(void)
{
    static const char *const methods[] = {"",      " ",     "GET ",  "G T",      "G/T", "G\tT",
                                          "G\x80", "GET\n", "(GET)", "GET, PUT", "{}",  "G:"};
    static const char *const patterns[] = {
        "",       "a",          "a/",     "**",    "*/",       "/*/",         "/*/a", "/a/*/b",
        "/{}",    "/{a-b}",     "/{a b}", "/{a*}", "/{a}/{a}", "/{{a}}",      "/{*}", "/{\xc3}",
        "/a/{}/", "/{a}/b/{a}", "{a}",    " /",    "?",        "/{a}/{b}/{a}"};
    struct router *router = router_new();
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
        g_assert_cmpint(add_route(router, methods[i], "/", 1), ==, -EINVAL);
    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        g_test_message("%s", patterns[i]);
        g_assert_cmpint(add_route(router, "GET", patterns[i], 1), ==, -EINVAL);
    }
    g_assert_cmpint(add_route(router, "GET", NULL, 1), ==, -EINVAL);
    g_assert_cmpint(router_add(router, "GET", "/", NULL, NULL), ==, -EINVAL);
    g_assert_cmpint(add_route(router, "!#$%&'*+-.^_`|~aZ09", "/", 1), ==, 0);
    router_free(router);
}

static void test_route_twice(void)
{
    struct router *router = router_of("GET /a; * /a; GET /{x}; PUT /*; GET *; GET /a/{x}/{y}");
    g_assert_cmpint(add_route(router, "GET", "/a", 9), ==, -EEXIST);
    g_assert_cmpint(add_route(router, NULL, "/a", 9), ==, -EEXIST);
    g_assert_cmpint(add_route(router, "PUT", "/*", 9), ==, -EEXIST);
    g_assert_cmpint(add_route(router, "GET", "*", 9), ==, -EEXIST);
    /* Other names for the same paths. */
    g_assert_cmpint(add_route(router, "GET", "/{y}", 9), ==, -EEXIST);
    g_assert_cmpint(add_route(router, "GET", "/a/{y}/{x}", 9), ==, -EEXIST);
    g_assert_cmpint(add_route(router, "get", "/a", 7), ==, 0);
    expect_find(router, "GET", "/a", "1");
    expect_find(router, "get", "/a", "7");
    expect_find(router, "GET", "/q", "3 x=q");
    router_free(router);
}

static void test_route_is_a_copy(void)
{
    char method[] = "GET";
    char pattern[] = "/a/{name}";
    struct arena arena = {0};
    struct router_match match;
    struct router *router = router_new();
    g_assert_cmpint(add_route(router, method, pattern, 1), ==, 0);
    g_assert_cmpint(add_route(router, NULL, "/any", 2), ==, 0);
    memset(method, 'x', sizeof(method) - 1);
    memset(pattern, 'x', sizeof(pattern) - 1);
    g_assert_cmpint(find_route(router, "GET", "/a/b", &arena, &match), ==, 0);
    g_assert_cmpstr(match.route->method, ==, "GET");
    g_assert_cmpstr(match.route->pattern, ==, "/a/{name}");
    g_assert_cmpstr(match.params[0].name, ==, "name");
    g_assert_true(match.route->handler == handle_nothing);
    g_assert_false(atomic_load(&match.route->answers_later));
    g_assert_cmpint(find_route(router, "GET", "/any", &arena, &match), ==, 0);
    g_assert_null(match.route->method);
    g_assert_cmpstr(match.route->pattern, ==, "/any");
    arena_free(&arena);
    router_free(router);
}

static void test_limits(void)
{
    struct router *router = router_new();
    g_autoptr(GString) pattern = g_string_new(NULL);
    for (int i = 0; i < ROUTER_SEGMENTS_MAX; i++)
        g_string_append(pattern, "/a");
    g_assert_cmpint(add_route(router, "GET", pattern->str, 1), ==, 0);
    expect_find(router, "GET", pattern->str, "1");
    g_string_append(pattern, "/a");
    g_assert_cmpint(add_route(router, "GET", pattern->str, 2), ==, -EINVAL);
    expect_find(router, "GET", pattern->str, "404");
    g_string_truncate(pattern, 0);
    for (int i = 0; i < ROUTER_PARAMS_MAX; i++)
        g_string_append_printf(pattern, "/{n%d}", i);
    g_assert_cmpint(add_route(router, "GET", pattern->str, 3), ==, 0);
    g_string_append(pattern, "/x");
    g_assert_cmpint(add_route(router, "GET", pattern->str, 4), ==, 0);
    g_string_append(pattern, "/*");
    g_assert_cmpint(add_route(router, "GET", pattern->str, 5), ==, -EINVAL);
    router_free(router);
}

static void test_empty(void)
{
    struct router *router = router_new();
    expect_find(router, "GET", "/", "404");
    expect_find(router, "OPTIONS", "*", "204 ");
    expect_find(router, "GET", "*", "404");
    expect_find(router, "GET", "/%zz", "404");
    router_free(router);
    router_free(NULL);
}

/* --- many --- */

static void test_thousand_routes(void)
{
    enum { COUNT = 1000 };
    struct router *router = router_new();
    for (int i = 0; i < COUNT; i++) {
        int number = i * 389 % COUNT; /* in no order */
        g_autofree char *text = g_strdup_printf("/v1/r%d", number);
        g_autofree char *named = g_strdup_printf("/v1/r%d/{id}/x%d", number, number);
        g_assert_cmpint(add_route(router, "GET", text, number + 1), ==, 0);
        g_assert_cmpint(add_route(router, "PUT", named, number + 1), ==, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        g_autofree char *text = g_strdup_printf("/v1/r%d", i);
        g_autofree char *named = g_strdup_printf("/v1/r%d/q/x%d", i, i);
        g_autofree char *other = g_strdup_printf("/v1/r%d/q/x%d", i, i + 1);
        g_autofree char *expected = g_strdup_printf("%d", i + 1);
        g_autofree char *expected_named = g_strdup_printf("%d id=q", i + 1);
        expect_find(router, "GET", text, expected);
        expect_find(router, "PUT", named, expected_named);
        expect_find(router, "PUT", other, "404");
        expect_find(router, "PUT", text, "405 GET, HEAD");
    }
    expect_find(router, "GET", "/v1/r1000", "404");
    expect_find(router, "GET", "/v1/", "404");
    expect_find(router, "OPTIONS", "*", "204 GET, HEAD, PUT");
    router_free(router);
}

/* Every segment has two alternatives, at each of 64 levels: 2^64 ways through the path, if they
 * were gone one after the other, and this test would not end. There are but 64 * 64 nodes. */
static void test_no_blow_up(void)
{
    struct router *router = router_new();
    g_autoptr(GString) path = g_string_new(NULL);
    for (int named = 0; named < ROUTER_SEGMENTS_MAX - 1; named++) {
        g_autoptr(GString) pattern = g_string_new(NULL);
        for (int i = 0; i < ROUTER_SEGMENTS_MAX - 1; i++)
            g_string_append(pattern, i == named ? "/{p}" : "/a");
        g_string_append(pattern, "/end");
        g_assert_cmpint(add_route(router, "GET", pattern->str, named + 1), ==, 0);
        g_string_append(path, "/a");
    }
    g_autofree char *end = g_strconcat(path->str, "/end", NULL);
    g_autofree char *other = g_strconcat(path->str, "/other", NULL);
    g_autofree char *longer = g_strconcat(path->str, "/end/end", NULL);
    expect_find(router, "GET", end, "63 p=a"); /* text wins as long as it can */
    expect_find(router, "PUT", end, "405 GET, HEAD");
    expect_find(router, "GET", other, "404");
    expect_find(router, "GET", longer, "404");
    expect_find(router, "GET", path->str, "404");
    router_free(router);
}

/* All 2^10 patterns of ten segments: the same length of path visits every one of them. */
static void test_all_alternatives(void)
{
    enum { DEPTH = 10 };
    struct router *router = router_new();
    for (int mask = 0; mask < 1 << DEPTH; mask++) {
        g_autoptr(GString) pattern = g_string_new(NULL);
        for (int i = 0; i < DEPTH; i++) {
            if (mask >> i & 1)
                g_string_append_printf(pattern, "/{p%d}", i);
            else
                g_string_append(pattern, "/a");
        }
        g_string_append(pattern, "/end");
        g_assert_cmpint(add_route(router, "GET", pattern->str, mask + 1), ==, 0);
    }
    expect_find(router, "GET", "/a/a/a/a/a/a/a/a/a/a/end", "1");
    expect_find(router, "GET", "/a/a/b/a/a/a/a/a/a/c/end", "517 p2=b p9=c");
    expect_find(router, "PUT", "/a/a/a/a/a/a/a/a/a/a/end", "405 GET, HEAD");
    expect_find(router, "GET", "/a/a/a/a/a/a/a/a/a/a/other", "404");
    expect_find(router, "GET", "/%61/%61/a/a/a/%61/a/a/a/a/%65nd", "1");
    router_free(router);
}

static void test_long_paths(void)
{
    static const struct {
        const char *piece;
        const char *expected; /* of "/a/b/{x}" and "/{x}/{y}" alone */
    } paths[] = {{"/", "404"},    {"/a", "404"}, {"/.", "404"},   {"/..", "404"}, {"%2F", "404"},
                 {"/%61", "404"}, {"/%", "400"}, {"/%00", "400"}, {"/%zz", "400"}};
    struct router *router = router_of("GET /a/b/{x}; GET /{x}/{y}");
    struct router *rest = router_of("GET /a/b/{x}; GET /{x}/{y}; GET /*");
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GString) path = g_string_new(NULL);
        while (path->len < 30000)
            g_string_append(path, paths[i].piece);
        expect_find(router, "GET", path->str, paths[i].expected);
        bool broken = g_str_equal(paths[i].expected, "400");
        g_autofree char *whole = g_strdup_printf("3 *=%s", path->str + 1);
        if (path->str[0] == '/')
            expect_find(rest, "GET", path->str, broken ? "400" : whole);
    }
    g_autofree char *filler = g_strnfill(8000, '%');
    g_autofree char *name = g_strconcat("/a/", filler, NULL);
    expect_find(router, "GET", name, "400");
    router_free(router);
    router_free(rest);
}

/* --- memory --- */

/* The server's usual case, and others without a '%': not one call of malloc(). */
static void test_lookup_allocates_nothing(void)
{
    static const char *const paths[] = {"/", "/a", "/a/b/c/d", "/shop/7", "/shop/7/buy"};
    struct router *router = router_of("GET /*; GET /shop/{id}; GET /shop/{id}/buy; PUT /a");
    struct arena arena = {0};
    struct router_match match;
    allocation_count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        g_assert_cmpint(find_route(router, "GET", paths[i], &arena, &match), ==, 0);
    g_assert_cmpint(find_route(router, "OPTIONS", "*", &arena, &match), ==, 204);
    g_assert_cmpuint(allocation_count, ==, 0);
    router_free(router);
}

/* Values that need no decoding are in the path itself. */
static void test_values_are_in_the_path(void)
{
    struct router *router = router_of("GET /{a}/{b}/*");
    struct arena arena = {0};
    struct router_match match;
    g_assert_cmpint(find_route(router, "GET", "/1/%32/%33", &arena, &match), ==, 0);
    g_assert_true(match.params[0].value.bytes == guarded.end - 9);
    g_assert_cmpmem(match.params[1].value.bytes, match.params[1].value.length, "2", 1);
    g_assert_true(match.params[1].value.bytes < guarded.start ||
                  match.params[1].value.bytes > guarded.end);
    g_assert_true(match.params[2].value.bytes == guarded.end - 3);
    g_assert_cmpstr(match.params[2].name, ==, "*");
    arena_free(&arena);
    router_free(router);
}

static void test_lookup_without_memory(void)
{
    struct router *router = router_of("GET /{x}; PUT /a/*; PUT *");
    struct arena arena = {0};
    struct router_match match;
    allocations_left = 0;
    g_assert_cmpint(find_route(router, "GET", "/%41", &arena, &match), ==, 500);
    g_assert_cmpint(find_route(router, "GET", "/a/b", &arena, &match), ==, 500);
    g_assert_cmpint(find_route(router, "GET", "*", &arena, &match), ==, 500);
    g_assert_cmpint(find_route(router, "OPTIONS", "*", &arena, &match), ==, 204);
    g_assert_cmpint(find_route(router, "GET", "/a", &arena, &match), ==, 0);
    allocations_left = -1;
    /* The list of methods has no room in the first block. */
    while (arena.left < 32 || arena.left > 48)
        g_assert_nonnull(arena_alloc(&arena, 16));
    allocations_left = 0;
    g_assert_cmpint(find_route(router, "X", "/a/b", &arena, &match), ==, 405);
    arena_reset(&arena);
    while (arena.left >= 32)
        g_assert_nonnull(arena_alloc(&arena, 16));
    g_assert_cmpint(find_route(router, "X", "/a/b", &arena, &match), ==, 500);
    allocations_left = -1;
    arena_free(&arena);
    router_free(router);
}

/* Each allocation fails in turn; then the route is added after all. */
static void test_building_without_memory(void)
{
    static const char *const patterns[] = {"/a/b/{c}/d/*", "/a/b/{x}", "/", "/b/{x}/{y}", "*"};
    struct router *router;
    allocations_left = 0;
    router = router_new();
    allocations_left = -1;
    g_assert_null(router);
    router = router_of("GET /a/b/{c}/e; GET /*");
    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        int error = -ENOMEM;
        for (int left = 0; error; left++) {
            expect_find(router, "GET", "/a/b/7/e", "1 c=7");
            expect_find(router, "GET", "/a/b/7/d", "2 *=a/b/7/d");
            allocations_left = left;
            error = add_route(router, "A-METHOD-WITH-A-VERY-LONG-NAME", patterns[i], 10);
            allocations_left = -1;
            g_assert_true(error == 0 || error == -ENOMEM);
        }
        g_assert_cmpint(add_route(router, "A-METHOD-WITH-A-VERY-LONG-NAME", patterns[i], 10), ==,
                        -EEXIST);
    }
    expect_find(router, "A-METHOD-WITH-A-VERY-LONG-NAME", "/a/b/7/d/q", "10 c=7 *=q");
    router_free(router);
}

#define ADD(path, function) g_test_add_func("/http/router/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 65536);
    ADD("bad-routes", bad_routes);
    ADD("twice", route_twice);
    ADD("copy", route_is_a_copy);
    ADD("limits", limits);
    ADD("empty", empty);
    ADD("thousand", thousand_routes);
    ADD("no-blow-up", no_blow_up);
    ADD("all-alternatives", all_alternatives);
    ADD("long-paths", long_paths);
    ADD("allocates-nothing", lookup_allocates_nothing);
    ADD("values-in-path", values_are_in_the_path);
    ADD("no-memory-to-find", lookup_without_memory);
    ADD("no-memory-to-add", building_without_memory);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
