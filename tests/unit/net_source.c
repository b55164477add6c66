/*
 * Answers from elsewhere: memory that stays where it is, and files that somebody watches over. The
 * right bytes in the right order, and whoever they belong to is told exactly once.
 */
#include "source_support.h"

#include <errno.h>
#include <string.h>

/* --- the right bytes --- */

static const struct layout layouts[] = {
    {{{0, 0, 0}}, 0},
    {{{'m', 3, 5}}, 1},
    {{{'m', 0, 0}}, 1},
    {{{'f', 0, 0}}, 1},
    {{{'m', 0, 0}, {'f', 9, 0}}, 2},
    {{{'m', 7, 16384}}, 1},
    {{{'m', 7, 16385}}, 1},
    {{{'m', 0, 10000}, {'m', 5, 6385}}, 2},
    {{{'m', 9, 5}, {'m', 0, 0}, {'m', 1, 7}}, 3},
    {{{'f', 4, 1}}, 1},
    {{{'f', 4, 2}}, 1},
    {{{'m', 0, 0}, {'f', 2, 5}, {'m', 0, 0}}, 3},
    {{{'f', 0, 0}, {'m', 8, 5}, {'f', 9, 0}, {'f', 3, 7}, {'m', 0, 0}, {'f', 1, 1}}, 6},
    {{{'m', 3, 5}, {'f', 50, 100}, {'m', 9, 5}, {'f', 2, 200}, {'m', 0, 6}}, 5},
    {{{'m', 0, 0}, {'m', 1, 0}, {'f', 6, 3}, {'m', 11, 20000}, {'f', 5, 3}, {'m', 4, 0}}, 6},
    {{{'m', 1, 40000}, {'m', 0, 0}, {'m', 2, 30000}}, 3},
    {{{'f', MUCH - 5, 5}, {'f', 0, 5}}, 2},
};

struct way {
    const int64_t *grants;
    size_t count;
    enum from from;
};

#define GRANTS(...) \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static void check_layout(const struct layout *layout, const struct way *way, bool later,
                         const int *steps, size_t count)
{
    static const char all[] = GET("/1") GET("/source") GET("/source") GET("/2");
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = layout;
    scene.asks = way != NULL;
    if (way) {
        scene.grants = way->grants;
        scene.grant_count = way->count;
        scene.from = way->from;
    }
    scene.later = later;
    g_autofree char *answer = answer_of(layout, "");
    g_autofree char *expected =
        g_strconcat(PLAIN("6", "", "GET /1"), answer, answer, PLAIN("6", "", "GET /2"), NULL);
    client_init(&client, net_pair(&net), all, strlen(all));
    g_test_message("layout %d, way %d of %d, later %d, step %d of %d", (int)(layout - layouts),
                   way ? (int)way->grants[0] : 0, way ? (int)way->count : 0, later,
                   count ? steps[0] : 0, (int)count);
    inject_always(&inject_send, steps, count);
    inject_always(&inject_sendfile, steps, count);
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpint(scene.returned, ==, 200);
    g_assert_cmpuint(scene.calls, ==, 2);
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_right_bytes(void)
{
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(layouts); i++) {
        const struct layout *layout = &layouts[i / 2];
        check_layout(layout, NULL, i % 2, NULL, 0);
        check_layout(layout, NULL, i % 2, STEPS(1));
        check_layout(layout, NULL, i % 2, STEPS(7, -EAGAIN));
        check_layout(layout, NULL, i % 2, STEPS(-EAGAIN, -EINTR, 11000));
    }
}

static void test_grants(void)
{
    const struct way ways[] = {
        {GRANTS(0), FROM_POST},
        {GRANTS(1), FROM_POST},
        {GRANTS(-EAGAIN, 0), FROM_POST},
        {GRANTS(3, -EAGAIN, 2), FROM_TIMER},
        {GRANTS(-EAGAIN, -EAGAIN, 1000), FROM_TIMER},
    };
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(layouts); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(ways); k++) {
            check_layout(&layouts[i / 2], &ways[k], i % 2, NULL, 0);
            check_layout(&layouts[i / 2], &ways[k], i % 2, STEPS(2, -EAGAIN, 900));
        }
    }
}

/* --- what is asked --- */

static const struct layout mixture = {{{'m', 0, 5}, {'f', 2, 3}, {'m', 9, 2}, {'f', 9, 4}}, 4};
static const struct layout framed = {{{'m', 0, 5}, {'f', 2, 3}, {'m', 9, 2}}, 3};
static const struct layout one_file = {{{'f', 10, 9}}, 1};
static const struct layout two_files = {{{'f', 10, 4}, {'f', 30, 1}}, 2};
static const struct layout mebibytes = {{{'f', 1, (1 << 20) + 5}}, 1};
static const struct layout much_memory = {{{'m', 0, 17000}, {'m', 3, 17000}}, 2};

static const struct {
    const struct layout *layout;
    const int64_t *grants;
    size_t count;
    const char *asked;
} questions[] = {
    {&mixture, GRANTS(0), "0+0 2+3 0+0 9+3 12+1 "},
    {&mixture, GRANTS(0, 1), "0+0 2+3 3+2 0+0 9+3 12+1 "},
    {&mixture, GRANTS(-EAGAIN, 0), "0+0 0+0 2+3 2+3 0+0 0+0 9+3 9+3 12+1 12+1 "},
    {&framed, GRANTS(0), "0+0 2+3 0+0 "}, /* the file's last byte is not the answer's */
    {&one_file, GRANTS(3), "10+8 13+5 16+2 18+1 "},
    {&two_files, GRANTS(0), "10+4 30+1 "},
    {&much_memory, GRANTS(0), "0+0 0+0 "},
};

static void test_asked(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        scene.layout = questions[i].layout;
        scene.asks = true;
        scene.grants = questions[i].grants;
        scene.grant_count = questions[i].count;
        scene.from = FROM_POST;
        client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
        client_run_to_rest(&client, &net);
        g_assert_cmpstr(scene.asked->str, ==, questions[i].asked);
        client_fini(&client);
        scene_close(&scene, &net);
    }
}

/* Whoever refuses ends the connection, so that the client can tell. */
static bool refuse_ask(unsigned n, int64_t error)
{
    struct net net;
    struct scene scene;
    struct client client;
    const int64_t grants[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int64_t changed[G_N_ELEMENTS(grants)];
    memcpy(changed, grants, sizeof(grants));
    changed[n] = error;
    scene_open(&scene, &net);
    scene.layout = &mixture;
    scene.asks = true;
    scene.grants = changed;
    scene.grant_count = G_N_ELEMENTS(grants);
    g_autofree char *answer = answer_of(&mixture, "");
    client_init(&client, net_pair(&net), GET("/source") GET("/1"),
                strlen(GET("/source") GET("/1")));
    client_run_to_rest(&client, &net);
    g_autofree char *text = client_text(&client, &net);
    bool refused = client.ended;
    if (refused) {
        g_assert_true(g_str_has_prefix(answer, text));
        g_assert_cmpuint(strlen(text), <, strlen(answer));
        g_assert_cmpuint(scene.released, ==, 1);
    }
    client_fini(&client);
    scene_close(&scene, &net);
    return refused;
}

static void test_refused_asks(void)
{
    unsigned n = 0;
    while (refuse_ask(n, -EIO)) {
        bool too = refuse_ask(n, -ESTALE);
        g_assert_true(too);
        n++;
    }
    g_assert_cmpuint(n, ==, 9); /* two of memory, three and four bytes of files */
}

/* A source without prepare, whose file is too short. */
static void test_shrunk(void)
{
    static const struct layout layout = {{{'m', 0, 5}, {'f', MUCH - 3, 5}}, 2};
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = &layout;
    client_init(&client, net_pair(&net), GET("/source") GET("/1"),
                strlen(GET("/source") GET("/1")));
    client_run_to_end(&client, &net);
    g_autofree char *text = client_text(&client, &net);
    g_assert_cmpuint(strlen(text), ==, strlen(PLAIN("10", "", "")) + 8);
    client_fini(&client);
    scene_close(&scene, &net);
}

/* --- where they are --- */

static const struct {
    uint64_t length;
    bool is_copied;
} sizes[] = {{1, true}, {16384, true}, {16385, false}, {4 << 20, false}};

/* Small pieces are released at once; large ones are sent as they are by then, and not copied. */
static void test_stays(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        struct layout layout = {{{'m', 0, sizes[i].length}}, 1};
        scene_open(&scene, &net);
        scene.layout = &layout;
        client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
        inject_always(&inject_send, STEPS(-EAGAIN));
        memory_largest = 0;
        client_step(&client, &net);
        inject_nothing();
        g_assert_cmpuint(scene.released_at_once, ==, sizes[i].is_copied);
        g_assert_cmpuint(scene.released, ==, sizes[i].is_copied);
        char *last = contents() + sizes[i].length - 1;
        char before = *last;
        *last = '!';
        client_run_to_rest(&client, &net);
        *last = before;
        g_assert_cmpuint(client.received->len, >, sizes[i].length);
        g_assert_cmpint(client.received->data[client.received->len - 1], ==,
                        sizes[i].is_copied ? before : '!');
        g_assert_true(sizes[i].is_copied || memory_largest <= SEND_BATCH);
        g_assert_cmpuint(scene.released, ==, 1);
        client_fini(&client);
        scene_close(&scene, &net);
    }
}

/* A turn's share of one connection does not keep others waiting, however fast its client reads. */
static void test_slices(void)
{
    static const struct layout layout = {{{'f', 0, MUCH}}, 1};
    struct net net;
    struct scene scene;
    struct client fast;
    struct client other;
    scene_open(&scene, &net);
    scene.layout = &layout;
    sendfile_pretends = true;
    client_init(&fast, net_pair(&net), GET("/source"), strlen(GET("/source")));
    client_init(&other, net_pair(&net), GET("/1"), strlen(GET("/1")));
    client_step(&fast, &net);
    client_step(&other, &net);
    g_assert_cmpuint(sendfile_bytes, >, 0);
    g_assert_cmpuint(sendfile_bytes, <=, 4 << 20);
    g_assert_cmpuint(scene.released, ==, 0);
    expect_text(&other, &net, PLAIN("6", "", "GET /1"));
    client_run_to_rest(&fast, &net);
    g_assert_cmpuint(sendfile_bytes, ==, MUCH);
    client_fini(&fast);
    client_fini(&other);
    scene_close(&scene, &net);
}

/* Asked for no more than that at a time. */
static void test_slices_asked(void)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = &mebibytes;
    scene.asks = true;
    sendfile_pretends = true;
    client_init(&client, net_pair(&net), GET("/source"), strlen(GET("/source")));
    client_run_to_rest(&client, &net);
    g_assert_cmpstr(scene.asked->str, ==, "1+1048576 1048577+4 1048581+1 ");
    client_fini(&client);
    scene_close(&scene, &net);
}

/* --- HEAD, statuses, and connections that end --- */

#define SOURCE(method, version, more) \
    method " /source HTTP/1." version "\r\nHost: a\r\n" more "\r\n"

static const struct layout large = {{{'m', 0, 20000}, {'f', 0, 5}}, 2};
static const struct layout small = {{{'m', 0, 5}}, 1};

static const struct {
    const char *request;
    int status;
    const char *head; /* of the answer; NULL: that of 200 */
    bool has_body;
    bool ends;
} kinds[] = {
    {SOURCE("GET", "1", ""), 200, NULL, true, false},
    {SOURCE("GET", "1", CLOSE), 200, CLOSE, true, true},
    {SOURCE("GET", "0", ""), 200, CLOSE, true, true},
    {SOURCE("GET", "0", "Connection: keep-alive\r\n"), 200, "Connection: keep-alive\r\n", true,
     false},
    {SOURCE("HEAD", "1", ""), 200, NULL, false, false},
    {SOURCE("HEAD", "1", CLOSE), 200, CLOSE, false, true},
    {SOURCE("GET", "1", ""), 204, "HTTP/1.1 204 No Content\r\n\r\n", false, false},
    {SOURCE("GET", "1", ""), 205,
     "HTTP/1.1 205 Reset Content\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", false,
     false},
    {SOURCE("GET", "1", ""), 304, "HTTP/1.1 304 Not Modified\r\n\r\n", false, false},
    {SOURCE("POST", "1", "Content-Length: 5\r\n") "hello", 200, NULL, true, false},
};

static void check_kind(size_t i, const struct layout *layout, bool later)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = layout;
    scene.asks = true;
    scene.grants = (const int64_t[]){-EAGAIN, 0};
    scene.grant_count = 2;
    scene.from = FROM_POST;
    scene.status = kinds[i].status;
    scene.later = later;
    bool is_whole = kinds[i].head && g_str_has_prefix(kinds[i].head, "HTTP/");
    g_autofree char *answer = answer_of(layout, is_whole || !kinds[i].head ? "" : kinds[i].head);
    if (!kinds[i].has_body)
        strstr(answer, "\r\n\r\n")[4] = '\0';
    g_autofree char *expected = g_strconcat(is_whole ? kinds[i].head : answer,
                                            kinds[i].ends ? "" : PLAIN("6", "", "GET /1"), NULL);
    g_autofree char *all = g_strconcat(kinds[i].request, GET("/1"), NULL);
    client_init(&client, net_pair(&net), all, strlen(all));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, expected);
    g_assert_cmpint(client.ended, ==, kinds[i].ends);
    g_assert_cmpint(client.error, ==, 0);
    g_assert_cmpint(scene.returned, ==, kinds[i].status);
    g_assert_true(kinds[i].has_body || (scene.asked->len == 0 && scene.released_at_once));
    client_fini(&client);
    scene_close(&scene, &net);
}

static void test_kinds(void)
{
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(kinds); i++) {
        check_kind(i / 2, &large, i % 2);
        check_kind(i / 2, &small, i % 2);
    }
}

/* --- what handlers may not do --- */

static const struct layout too_long = {{{'m', 0, INT64_MAX}, {'m', 0, 1}}, 2};
static const struct layout beyond = {{{'f', INT64_MAX, 1}}, 1};
static const struct layout endless = {{{'m', 0, UINT64_MAX}}, 1};

static const struct {
    const struct layout *layout;
    int status;
    const char *content_type;
    bool answered;
    int returned;
} mistakes[] = {
    {&large, 199, "text/plain", false, -EINVAL},  {&small, 199, "text/plain", false, -EINVAL},
    {&large, 600, "text/plain", false, -EINVAL},  {&large, 200, "a\nb", false, -EINVAL},
    {&small, 200, "a\nb", false, -EINVAL},        {&too_long, 200, "text/plain", false, -EINVAL},
    {&beyond, 200, "text/plain", false, -EINVAL}, {&endless, 200, "text/plain", false, -EINVAL},
    {&large, 200, "text/plain", true, -EALREADY}, {&small, 200, "text/plain", true, -EALREADY},
};

static void test_mistakes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        struct net net;
        struct scene scene;
        struct client client;
        scene_open(&scene, &net);
        scene.layout = mistakes[i].layout;
        scene.status = mistakes[i].status;
        scene.content_type = mistakes[i].content_type;
        scene.answered = mistakes[i].answered;
        client_init(&client, net_pair(&net), GET("/source") GET("/1"),
                    strlen(GET("/source") GET("/1")));
        client_run_to_rest(&client, &net);
        g_assert_cmpint(scene.returned, ==, mistakes[i].returned);
        g_assert_cmpuint(scene.released_at_once, ==, 1);
        g_autofree char *text = client_text(&client, &net);
        g_assert_true(g_str_has_prefix(text, mistakes[i].answered ? PLAIN("5", "", "first")
                                                                  : "HTTP/1.1 500 "));
        g_assert_true(g_str_has_suffix(text, PLAIN("6", "", "GET /1")));
        client_fini(&client);
        scene_close(&scene, &net);
    }
}

/* --- memory that ends --- */

/* Returns whether it came to the n-th allocation. */
static bool serve_short_of_memory(const struct layout *layout, int n, bool stays_short)
{
    struct net net;
    struct scene scene;
    struct client client;
    scene_open(&scene, &net);
    scene.layout = layout;
    scene.asks = true;
    memory_fails_in = n;
    memory_stays_short = stays_short;
    client_init(&client, net_pair(&net), GET("/source") GET("/source"), 2 * strlen(GET("/source")));
    inject_always(&inject_send, STEPS(5, -EAGAIN));
    client_run_to_rest(&client, &net);
    bool failed = memory_fails_in == 0 || stays_short;
    inject_nothing();
    client_fini(&client);
    client_init(&client, net_pair(&net), GET("/1"), strlen(GET("/1")));
    client_run_to_rest(&client, &net);
    expect_text(&client, &net, PLAIN("6", "", "GET /1"));
    client_fini(&client);
    scene_close(&scene, &net);
    return failed;
}

static void test_memory(void)
{
    static const struct layout *const each[] = {&small, &large, &one_file, &mixture};
    for (size_t i = 0; i < G_N_ELEMENTS(each); i++) {
        int n = 1;
        while (serve_short_of_memory(each[i], n, false))
            n++;
        for (int at = 1; at < n; at++)
            serve_short_of_memory(each[i], at, true);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/source/right-bytes", test_right_bytes);
    g_test_add_func("/net/source/grants", test_grants);
    g_test_add_func("/net/source/asked", test_asked);
    g_test_add_func("/net/source/refused-asks", test_refused_asks);
    g_test_add_func("/net/source/shrunk", test_shrunk);
    g_test_add_func("/net/source/stays", test_stays);
    g_test_add_func("/net/source/slices", test_slices);
    g_test_add_func("/net/source/slices-asked", test_slices_asked);
    g_test_add_func("/net/source/kinds", test_kinds);
    g_test_add_func("/net/source/mistakes", test_mistakes);
    g_test_add_func("/net/source/memory", test_memory);
    return g_test_run();
}
