/*
 * fuzz_target.c - libFuzzer target for what is made of a request target: the route of its path, and
 * the decoded pairs of its query. An input is "METHOD PATH?QUERY".
 *
 * Beside what the sanitizers see, it checks that
 *   - router_find() gives the same status, route, captured values and Allow as trying each pattern
 *     of a list, from the most to the least specific, segment by segment;
 *   - decoding gives what a slower reading gives, in place too, and refuses the same;
 *   - the pairs of a query and what separates them are the whole query.
 *
 * Every input is copied into memory of exactly its size, so that the address sanitizer sees each
 * byte that is read too much. See README.md beside this file.
 */
#include "http/router.h"
#include "http/uri.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct http_text exact_copy(struct http_text text)
{
    /* Also of no bytes, none of which may be read. */
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
    char *copy = malloc(text.length);
    CHECK(copy || text.length == 0);
    if (text.length)
        memcpy(copy, text.bytes, text.length);
    return (struct http_text){copy, text.length};
}

static bool is(struct http_text text, const char *expected)
{
    return text.length == strlen(expected) && memcmp(text.bytes, expected, text.length) == 0;
}

/* `text` before the first `byte`, and what comes after it: absent when there is none. */
static struct http_text cut(struct http_text text, char byte, struct http_text *rest)
{
    size_t i = 0;
    while (i < text.length && text.bytes[i] != byte)
        i++;
    *rest = (struct http_text){NULL, 0};
    if (i < text.length)
        *rest = (struct http_text){text.bytes + i + 1, text.length - i - 1};
    return (struct http_text){text.bytes, i};
}

/* --- decoding, a second time --- */

/* The decoded bytes, for the caller to free; absent when they are not encoded well. */
static struct http_text decode(struct http_text text, bool form)
{
    char *to = malloc(text.length + 1);
    size_t length = 0;
    CHECK(to);
    for (size_t i = 0; i < text.length; i++) {
        to[length] = text.bytes[i];
        if (form && to[length] == '+')
            to[length] = ' ';
        if (text.bytes[i] == '%') {
            char digits[3] = "";
            for (size_t k = 0; k < 2 && i + 1 < text.length; k++)
                digits[k] = text.bytes[++i];
            if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1])) {
                free(to);
                return (struct http_text){NULL, 0};
            }
            to[length] = (char)strtoul(digits, NULL, 16);
        }
        length++;
    }
    return (struct http_text){to, length};
}

static void check_decoding(struct http_text text, bool form)
{
    struct http_text expected = decode(text, form);
    char *place = (char *)exact_copy(text).bytes;
    char *to = (char *)exact_copy(text).bytes;
    size_t length = SIZE_MAX;
    CHECK(http_percent_decode(text, form, to, &length) == (expected.bytes != NULL));
    CHECK(!expected.bytes || (length == expected.length && length <= text.length));
    CHECK(!expected.bytes || !length || memcmp(to, expected.bytes, length) == 0);
    length = SIZE_MAX;
    struct http_text in_place = {place, text.length};
    CHECK(http_percent_decode(in_place, form, place, &length) == (expected.bytes != NULL));
    CHECK(!expected.bytes || length == expected.length);
    CHECK(!expected.bytes || !length || memcmp(place, expected.bytes, length) == 0);
    free((char *)expected.bytes);
    free(place);
    free(to);
}

/* --- queries --- */

static void check_query(struct http_text query)
{
    struct http_text rest = query;
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    while (rest.bytes) {
        struct http_text expected_value;
        struct http_text pair = cut(rest, '&', &rest);
        if (pair.length == 0)
            continue;
        struct http_text expected_name = cut(pair, '=', &expected_value);
        CHECK(http_query_split(query, &cursor, &name, &value));
        CHECK(cursor == (size_t)(pair.bytes + pair.length - query.bytes));
        CHECK(name.bytes == expected_name.bytes && name.length == expected_name.length);
        CHECK(value.length == expected_value.length && value.bytes);
        CHECK(!expected_value.bytes || value.bytes == expected_value.bytes);
        check_decoding(name, true);
        check_decoding(value, true);
    }
    CHECK(!http_query_split(query, &cursor, &name, &value));
    CHECK(cursor == query.length);
}

/* --- routes, a second time --- */

/* From the most to the least specific, where a path can be both's: text, {name}, *. */
static const char *const patterns[] = {
    "/",          "/a",         "/a/",      "/a/b",        "/a/b/c",   "/a/{x}/c",
    "/a/{y}/{z}", "/a/*",       "/b//{x}",  "/b/%41 \xff", "/{x}/b/c", "/{x}/b/*",
    "/{x}/{y}",   "/{x}/{y}/d", "/{one}/*", "/{x}",
};

struct given {
    const char *method; /* NULL: any */
    const char *pattern;
};

/* In order of adding, which is that of Allow. */
static const struct given routes[] = {
    {"POST", "/a/*"},      {"GET", "/"},           {"GET", "/a"},        {"PUT", "/a"},
    {"GET", "/a/b/c"},     {"PUT", "/a/{x}/c"},    {"HEAD", "/a/{x}/c"}, {"GET", "/a/{y}/{z}"},
    {"GET", "/a/b"},       {"PURGE", "/a/"},       {"GET", "/b//{x}"},   {NULL, "/b/%41 \xff"},
    {"GET", "/{x}/b/c"},   {"DELETE", "/{x}/b/c"}, {NULL, "/{x}/b/*"},   {"GET", "/{x}/{y}"},
    {"PUT", "/{x}/{y}/d"}, {"PATCH", "/{one}/*"},  {"GET", "/{x}"},      {"OPTIONS", "/{x}"},
};

struct expected {
    int status;
    const struct given *route;
    unsigned count;
    const char *names[ROUTER_PARAMS_MAX]; /* each up to a '}' */
    struct http_text values[ROUTER_PARAMS_MAX];
    bool owned[ROUTER_PARAMS_MAX];
    bool matched[COUNT(patterns)];
};

static void forget_values(struct expected *expected)
{
    for (unsigned i = 0; i < expected->count; i++) {
        if (expected->owned[i])
            free((char *)expected->values[i].bytes);
    }
    expected->count = 0;
}

static void capture(struct expected *expected, const char *name, struct http_text value, bool owned)
{
    expected->names[expected->count] = name;
    expected->values[expected->count] = value;
    expected->owned[expected->count++] = owned;
}

/* Takes the segment if it is the pattern's: 0, 404 when it is not, 400 when it is none. */
static int take_segment(struct expected *expected, struct http_text segment, struct http_text part)
{
    struct http_text decoded = decode(segment, false);
    if (!decoded.bytes)
        return 400;
    int status = 404;
    if (part.length && part.bytes[0] == '{') {
        if (segment.length && memchr(segment.bytes, '%', segment.length) &&
            memchr(decoded.bytes, '\0', decoded.length)) {
            status = 400;
        } else if (segment.length) {
            capture(expected, part.bytes + 1, decoded, true);
            return 0;
        }
    } else if (part.length == decoded.length &&
               memcmp(part.bytes, decoded.bytes, part.length) == 0) {
        status = 0;
    }
    free((char *)decoded.bytes);
    return status;
}

/* As take_segment(), for a whole path. */
static int take_path(struct expected *expected, struct http_text path, const char *pattern)
{
    struct http_text parts = {pattern + 1, strlen(pattern) - 1};
    struct http_text rest = {path.bytes + 1, path.length - 1};
    while (rest.bytes && parts.bytes) {
        struct http_text part = cut(parts, '/', &parts);
        if (is(part, "*")) {
            capture(expected, part.bytes, rest, false);
            return 0;
        }
        int status = take_segment(expected, cut(rest, '/', &rest), part);
        if (status)
            return status;
    }
    return rest.bytes || parts.bytes ? 404 : 0;
}

static const struct given *route_of(const char *pattern, struct http_text method)
{
    const struct given *found = NULL;
    const struct given *get = NULL;
    for (size_t i = 0; i < COUNT(routes); i++) {
        if (strcmp(routes[i].pattern, pattern) != 0)
            continue;
        if (routes[i].method && is(method, routes[i].method))
            return &routes[i];
        if (!routes[i].method)
            found = &routes[i];
        else if (strcmp(routes[i].method, "GET") == 0)
            get = &routes[i];
    }
    return !found && is(method, "HEAD") ? get : found;
}

static void expect(struct expected *expected, struct http_text method, struct http_text path)
{
    *expected = (struct expected){.status = 404};
    if (path.length == 0 || path.bytes[0] != '/')
        return;
    for (size_t i = 0; i < COUNT(patterns); i++) {
        int status = take_path(expected, path, patterns[i]);
        expected->matched[i] = status == 0;
        expected->route = status == 0 ? route_of(patterns[i], method) : NULL;
        if (expected->route || status == 400) {
            expected->status = status;
            return;
        }
        forget_values(expected);
        if (status == 0)
            expected->status = 405;
    }
}

static void check_allow(const struct expected *expected, const char *allow)
{
    char list[256] = ", ";
    for (size_t i = 0; i < COUNT(routes); i++) {
        for (size_t k = 0; k < COUNT(patterns); k++) {
            if (!expected->matched[k] || strcmp(routes[i].pattern, patterns[k]) != 0)
                continue;
            char word[32];
            snprintf(word, sizeof(word), ", %s, ", routes[i].method);
            if (!strstr(list, word))
                strcat(list, word + 2); /* NOLINT: it has room for all methods */
            if (strcmp(word, ", GET, ") == 0 && !strstr(list, ", HEAD, "))
                strcat(list, "HEAD, "); /* NOLINT: see above */
        }
    }
    list[strlen(list) - 2] = '\0';
    CHECK(strcmp(allow, list + 2) == 0);
}

/* --- the router --- */

static int handle(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request;
    (void)response;
    (void)arg;
    return 500;
}

static struct router *router_of_routes(void)
{
    struct router *router = router_new();
    CHECK(router);
    for (size_t i = 0; i < COUNT(routes); i++)
        CHECK(router_add(router, routes[i].method, routes[i].pattern, handle, (void *)&routes[i]) ==
              0);
    return router;
}

static void check_found(const struct expected *expected, const struct router_match *match)
{
    CHECK(match->route->arg == expected->route && match->route->handler == handle);
    CHECK(match->param_count == expected->count);
    for (unsigned i = 0; i < expected->count; i++) {
        const struct http_param *param = &match->params[i];
        CHECK(strncmp(param->name, expected->names[i], strlen(param->name)) == 0);
        CHECK(strchr("}", expected->names[i][strlen(param->name)])); /* or the end */
        CHECK(param->value.length == expected->values[i].length && param->value.bytes);
        CHECK(!param->value.length ||
              memcmp(param->value.bytes, expected->values[i].bytes, param->value.length) == 0);
    }
}

static void check_path(struct http_text method, struct http_text path)
{
    static struct router *router; /* until the end, as in a server */
    struct arena arena = {0};
    struct router_match match;
    struct expected expected;
    if (!router)
        router = router_of_routes();
    memset(&match, 0xa5, sizeof(match));
    expect(&expected, method, path);
    int status = router_find(router, method, path, &arena, &match);
    if (is(path, "*")) {
        CHECK(status == (is(method, "OPTIONS") ? 204 : 404));
    } else {
        CHECK(status == expected.status);
        CHECK((status == 405) == (match.allow != NULL));
    }
    if (status == 0)
        check_found(&expected, &match);
    if (status == 405)
        check_allow(&expected, match.allow);
    forget_values(&expected);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_text target;
    struct http_text query;
    struct http_text method =
        exact_copy(cut((struct http_text){(const char *)data, size}, ' ', &target));
    struct http_text path = exact_copy(cut(target, '?', &query));
    /* The parser gives no empty method. */
    if (method.length)
        check_path(method, path);
    check_decoding(path, false);
    if (query.bytes) {
        query = exact_copy(query);
        check_query(query);
        check_decoding(query, true);
        free((char *)query.bytes);
    }
    free((char *)path.bytes);
    free((char *)method.bytes);
    return 0;
}
