/* Which route a method and a path find: each case is a server of its own. */
#include "router_support.h"

#include <glib.h>

struct find_case {
    const char *name;
    const char *routes;
    const char *method;
    const char *path;
    const char *expected;
};

#define SHOP                                                                            \
    "GET /; GET /shop; GET /shop/; GET /shop/{id}; GET /shop/new; POST /shop/{id}/buy;" \
    " GET /shop/{id}/*; GET /{page}; PUT /*"

static const struct find_case cases[] = {
    /* Text. */
    {"root", SHOP, "GET", "/", "1"},
    {"text", SHOP, "GET", "/shop", "2"},
    {"slash-matters", SHOP, "GET", "/shop/", "3"},
    {"text-before-name", SHOP, "GET", "/shop/new", "5"},
    {"case-of-path", SHOP, "GET", "/Shop", "8 page=Shop"},
    {"prefix", SHOP, "GET", "/sho", "8 page=sho"},
    {"longer", SHOP, "GET", "/shops", "8 page=shops"},
    {"not-found", "GET /a", "GET", "/b", "404"},
    {"not-found-shorter", "GET /a/b", "GET", "/a", "404"},
    {"not-found-longer", "GET /a", "GET", "/a/b", "404"},
    {"not-found-slash", "GET /a", "GET", "/a/", "404"},
    {"not-found-no-slash", "GET /a/", "GET", "/a", "404"},
    {"no-root", "GET /a", "GET", "/", "404"},
    {"braces-inside", "GET /a{b}c", "GET", "/a{b}c", "1"},
    {"braces-inside-text", "GET /a{b}c", "GET", "/axc", "404"},
    {"brace-open", "GET /{a", "GET", "/{a", "1"},
    {"brace-close", "GET /a}", "GET", "/a}", "1"},
    {"asterisk-in-text", "GET /a*", "GET", "/a*", "1"},
    {"asterisk-in-text-text", "GET /a*", "GET", "/ab", "404"},
    {"literal-star-is-star", "GET /*", "GET", "/*", "1 *=*"},
    {"question-mark", "GET /a?b", "GET", "/a%3fb", "1"},
    {"colon", "GET /:id", "GET", "/x", "404"},
    {"utf-8", "GET /\xc3\xa9", "GET", "/%C3%A9", "1"},
    {"utf-8-raw", "GET /\xc3\xa9", "GET", "/\xc3\xa9", "1"},
    /* Names. */
    {"name", SHOP, "GET", "/shop/7", "4 id=7"},
    {"name-of-method", SHOP, "POST", "/shop/7/buy", "6 id=7"},
    {"name-not-empty", "GET /{a}", "GET", "/", "404"},
    {"name-not-empty-inside", "GET /a/{b}/c", "GET", "/a//c", "404"},
    {"name-not-two", "GET /{a}", "GET", "/x/y", "404"},
    {"name-not-two-slash", "GET /{a}", "GET", "/x/", "404"},
    {"names", "GET /{a}/{b}/{c}", "GET", "/1/2/3", "1 a=1 b=2 c=3"},
    {"names-of-route", "GET /{a}/x; GET /{b}/y; PUT /{c}/x", "GET", "/1/y", "2 b=1"},
    {"names-of-method", "GET /{a}/x; GET /{b}/y; PUT /{c}/x", "PUT", "/1/x", "3 c=1"},
    {"name-characters", "GET /{Az_09}", "GET", "/1", "1 Az_09=1"},
    {"sixteen", "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/*", "GET",
     "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
     "1 a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9 j=10 k=11 l=12 m=13 n=14 o=15 *=16/17"},
    /* The rest. */
    {"rest", SHOP, "GET", "/shop/7/a/b", "7 id=7 *=a/b"},
    {"rest-empty", SHOP, "GET", "/shop/7/", "7 id=7 *="},
    {"rest-of-all", "GET /*", "GET", "/a/b", "1 *=a/b"},
    {"rest-of-root", "GET /*", "GET", "/", "1 *="},
    {"rest-needs-slash", "GET /a/*", "GET", "/a", "404"},
    {"rest-raw", "GET /a/*", "GET", "/a/%41+%2F//..", "1 *=%41+%2F//.."},
    {"rest-last", "GET /*; GET /{a}; GET /a", "GET", "/a", "3"},
    {"name-before-rest", "GET /*; GET /{a}; GET /a", "GET", "/b", "2 a=b"},
    {"rest-when-longer", "GET /*; GET /{a}; GET /a", "GET", "/a/", "1 *=a/"},
    {"empty-text-before-rest", "GET /a/*; GET /a/", "GET", "/a/", "2"},
    /* Back from where a pattern led nowhere. */
    {"back-to-name", "GET /a/y; GET /{p}/x", "GET", "/a/x", "2 p=a"},
    {"back-to-rest", "GET /a/b/c; GET /a/*", "GET", "/a/b/d", "2 *=b/d"},
    {"back-to-root", "GET /a/{b}/c; GET /*", "GET", "/a/b/d", "2 *=a/b/d"},
    {"back-twice", "GET /a/b/c/d; GET /a/{x}/c/e; GET /{y}/b/c/f", "GET", "/a/b/c/f", "3 y=a"},
    {"back-captures", "GET /{a}/{b}/x; GET /{c}/y/{d}; GET /{e}/*", "GET", "/1/y/x", "2 c=1 d=x"},
    {"back-forgets", "GET /{a}/{b}/{c}/x; GET /{e}/*", "GET", "/1/2/3/4", "2 e=1 *=2/3/4"},
    {"back-from-end", "GET /a/b; GET /{x}/b/c", "GET", "/a/b/c", "2 x=a"},
    {"text-first", "GET /{p}/x; GET /a/{q}", "GET", "/a/x", "2 q=x"},
    /* Methods. */
    {"head-of-get", "GET /a", "HEAD", "/a", "1"},
    {"head-own", "GET /a; HEAD /a", "HEAD", "/a", "2"},
    {"head-any", "GET /a; * /a", "HEAD", "/a", "2"},
    {"head-not-get", "HEAD /a", "GET", "/a", "405 HEAD"},
    {"head-stays", "GET /a; HEAD /*", "HEAD", "/a", "1"},
    {"any", "* /a", "FROB", "/a", "1"},
    {"any-last", "* /a; GET /a", "GET", "/a", "2"},
    {"any-otherwise", "* /a; GET /a", "POST", "/a", "1"},
    {"purge", "PURGE /a; FROB /a", "FROB", "/a", "2"},
    {"case-of-method", "GET /a", "get", "/a", "405 GET, HEAD"},
    {"prefix-of-method", "GET /a", "GE", "/a", "405 GET, HEAD"},
    {"longer-method", "GET /a", "GETS", "/a", "405 GET, HEAD"},
    {"options", "GET /a", "OPTIONS", "/a", "405 GET, HEAD"},
    {"method-of-name", "GET /a; POST /{x}", "POST", "/a", "2 x=a"},
    {"method-of-rest", "GET /a/b; PUT /a/{x}; DELETE /*", "DELETE", "/a/b", "3 *=a/b"},
    {"method-any-of-rest", "GET /a; * /*", "PUT", "/a", "2 *=a"},
    /* Allow. */
    {"allow-order", "PUT /a; GET /a; DELETE /a", "X", "/a", "405 PUT, GET, HEAD, DELETE"},
    {"allow-head-before", "HEAD /a; GET /a", "X", "/a", "405 HEAD, GET"},
    {"allow-head-after", "GET /a; PUT /a; HEAD /a", "X", "/a", "405 GET, HEAD, PUT"},
    {"allow-union", "POST /*; GET /a; PUT /{x}", "X", "/a", "405 POST, GET, HEAD, PUT"},
    {"allow-union-once", "GET /*; GET /a; PUT /{x}; PUT /a", "X", "/a", "405 GET, HEAD, PUT"},
    {"allow-union-part", "POST /*; GET /a; PUT /{x}", "X", "/b", "405 POST, PUT"},
    {"allow-not-of-parents", "GET /a; PUT /a/b", "GET", "/a/b", "405 PUT"},
    {"allow-prefixes", "PUT /a; PUTS /a; PU /a", "X", "/a", "405 PUT, PUTS, PU"},
    /* Encoded. */
    {"encoded-text", "GET /abc", "GET", "/%61b%63", "1"},
    {"encoded-lower", "GET /~", "GET", "/%7e", "1"},
    {"encoded-name", "GET /{a}", "GET", "/%41+%20", "1 a=A+ "},
    {"encoded-slash", "GET /a/b; GET /{x}", "GET", "/a%2Fb", "2 x=a/b"},
    {"encoded-slash-text", "GET /a/b", "GET", "/a%2fb", "404"},
    {"encoded-first-slash", "GET /a", "GET", "%2Fa", "404"},
    {"encoded-percent", "GET /{a}", "GET", "/%2541", "1 a=%41"},
    {"pattern-is-plain", "GET /%41", "GET", "/%41", "404"},
    {"pattern-is-plain-too", "GET /%41", "GET", "/%2541", "1"},
    {"encoded-asterisk", "GET /*", "GET", "/%2A", "1 *=%2A"},
    {"encoded-brace", "GET /{a}; GET /x", "GET", "/%7Ba%7D", "1 a={a}"},
    {"encoded-back", "GET /a/%/y; GET /{p}/{q}/x", "GET", "/%61/%25/%78", "2 p=a q=%"},
    {"broken", "GET /{a}", "GET", "/%zz", "400"},
    {"broken-text", "GET /a", "GET", "/%zz", "400"},
    {"broken-end", "GET /{a}", "GET", "/a%", "400"},
    {"broken-one-digit", "GET /{a}", "GET", "/a%4", "400"},
    {"broken-over-slash", "GET /{a}/{b}", "GET", "/a%4/1", "400"},
    {"broken-before-rest", "GET /*; GET /a", "GET", "/%zz", "400"},
    {"broken-after-miss", "PUT /a/*; GET /{x}/{y}", "GET", "/a/%", "400"},
    {"broken-in-rest", "GET /*", "GET", "/%zz", "1 *=%zz"},
    {"broken-behind", "GET /a", "GET", "/b/%zz", "404"},
    {"broken-behind-longer", "GET /a", "GET", "/a/%zz", "404"},
    {"nul", "GET /{a}", "GET", "/%00", "400"},
    {"nul-inside", "GET /x/{a}", "GET", "/x/a%00b", "400"},
    {"nul-of-text", "GET /a", "GET", "/a%00", "404"},
    {"nul-in-rest", "GET /a/*", "GET", "/a/%00", "1 *=%00"},
    /* Dots and empty segments are segments. */
    {"dots", "GET /a/../b", "GET", "/a/../b", "1"},
    {"dots-stay", "GET /b", "GET", "/a/../b", "404"},
    {"dot-stays", "GET /a", "GET", "/./a", "404"},
    {"dots-named", "GET /{a}/{b}", "GET", "/%2e%2E/.", "1 a=.. b=."},
    {"empty-segment", "GET /a//b", "GET", "/a//b", "1"},
    {"empty-segment-not-none", "GET /a/b", "GET", "/a//b", "404"},
    {"two-slashes", "GET /", "GET", "//", "404"},
    {"two-slashes-pattern", "GET //", "GET", "//", "1"},
    /* Other forms of targets. */
    {"asterisk", "GET /a; PUT /b; GET /b", "OPTIONS", "*", "204 GET, HEAD, PUT"},
    {"asterisk-any-only", "* /a", "OPTIONS", "*", "204 "},
    {"asterisk-route", "GET /a; OPTIONS *", "OPTIONS", "*", "2"},
    {"asterisk-any-route", "GET /a; * *", "OPTIONS", "*", "2"},
    {"asterisk-other-route", "FROB *; GET /", "OPTIONS", "*", "204 FROB, GET, HEAD"},
    {"asterisk-other-method", "OPTIONS *; GET /*", "GET", "*", "405 OPTIONS"},
    {"asterisk-not-rest", "GET /*", "GET", "*", "404"},
    {"rest-not-asterisk", "GET *", "GET", "/", "404"},
    {"authority", "* /*", "CONNECT", "h:443", "404"},
    {"no-path", "* /*", "GET", "", "404"},
};

static void test_find(const void *data)
{
    const struct find_case *find_case = data;
    struct router *router = router_of(find_case->routes);
    expect_find(router, find_case->method, find_case->path, find_case->expected);
    router_free(router);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 65536);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/http/router/find/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_find);
    }
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
