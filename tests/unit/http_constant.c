/*
 * http_respond_constant() must write, byte for byte, what http_respond() would have written,
 * whatever was answered before.
 */
#include "http/response.h"
#include "memory_support.h"

#include <errno.h>
#include <glib.h>

/* One with a memory, one without; they share the date. */
struct pair {
    struct http_date date;
    struct buffer out[2];
    struct buffer fields[2];
    struct http_ready ready;
    struct http_response constant;
    struct http_response plain;
};

static void pair_init(struct pair *pair)
{
    *pair = (struct pair){0};
    http_date_renew(&pair->date, 0);
    pair->constant = (struct http_response){.out = &pair->out[0],
                                            .fields = &pair->fields[0],
                                            .ready = &pair->ready,
                                            .date = &pair->date};
    pair->plain = (struct http_response){
        .out = &pair->out[1], .fields = &pair->fields[1], .date = &pair->date};
}

static void pair_fini(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        buffer_free(&pair->out[i]);
        buffer_free(&pair->fields[i]);
    }
    buffer_free(&pair->ready.bytes);
}

/* What tells one request from another. */
struct how {
    bool head_only;
    bool close;
    bool say_keep_alive;
    bool field;
};

struct what {
    int status;
    const char *content_type;
    const char *body;
    size_t length;
};

static const char text[] = "text/plain";
static const char large[100000];

static const struct what answers[] = {
    {200, text, "hello", 5},    {200, text, "hellO", 5},
    {200, text, "", 0},         {200, NULL, NULL, 0},
    {200, text, large, 1},      {200, text, large, 1000},
    {404, text, "no", 2},       {200, text, large, sizeof(large)},
    {204, text, "hello", 5},    {205, text, "hello", 5},
    {304, text, "hello", 5},    {206, text, "hello", 5},
    {100, text, "hello", 5},    {600, text, "", 0},
    {200, "bad\n", "hello", 5},
};

static void begin(struct http_response *response, const struct how *how)
{
    http_response_begin(response);
    response->head_only = how->head_only;
    response->close = how->close;
    response->say_keep_alive = how->say_keep_alive;
    if (how->field)
        g_assert_cmpint(http_response_header(response, "ETag", "\"1\""), ==, 0);
}

static void check_same(struct pair *pair, const struct how *how, const struct what *what)
{
    begin(&pair->constant, how);
    begin(&pair->plain, how);
    size_t before = pair->out[0].length;
    int constant = http_respond_constant(&pair->constant, what->status, what->content_type,
                                         what->body, what->length);
    int plain =
        http_respond(&pair->plain, what->status, what->content_type, what->body, what->length);
    g_assert_cmpint(constant, ==, plain);
    g_assert_cmpint(pair->constant.status, ==, pair->plain.status);
    g_assert_cmpmem(pair->out[0].bytes + before, pair->out[0].length - before, pair->out[1].bytes,
                    pair->out[1].length);
    pair->out[1].length = 0;
    if (pair->out[0].length > 1000000)
        pair->out[0].length = 0;
}

/* Every answer after every other, asked for in every way. */
static void test_every_sequence(void)
{
    struct pair pair;
    pair_init(&pair);
    for (unsigned ways = 0; ways < 256; ways++) {
        const struct how first = {ways & 1, ways & 2, ways & 4, ways & 8};
        const struct how second = {ways & 16, ways & 32, ways & 64, ways & 128};
        for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
            for (size_t j = 0; j < G_N_ELEMENTS(answers); j++) {
                if (answers[i].length > 1000 && ways % 51)
                    continue;
                check_same(&pair, &first, &answers[i]);
                check_same(&pair, &second, &answers[j]);
            }
        }
    }
    pair_fini(&pair);
}

/* A new second: the old Date must not be sent again. */
static void test_date(void)
{
    const struct how how = {0};
    struct pair pair;
    pair_init(&pair);
    for (int second = 0; second < 5; second++) {
        char *date =
            pair.date.ok_and_common + sizeof(pair.date.ok_and_common) - 2 - HTTP_DATE_LENGTH;
        http_date_format(date, 1000000000 + second);
        pair.date.expires_ns += 1000000000;
        for (int i = 0; i < 3; i++)
            check_same(&pair, &how, &answers[0]);
    }
    pair_fini(&pair);
}

static void test_answering_twice(void)
{
    const struct how how = {0};
    struct pair pair;
    pair_init(&pair);
    check_same(&pair, &how, &answers[0]);
    begin(&pair.constant, &how);
    g_assert_cmpint(http_respond_constant(&pair.constant, 200, text, "1", 1), ==, 200);
    size_t length = pair.out[0].length;
    g_assert_cmpint(http_respond_constant(&pair.constant, 200, text, "1", 1), ==, -EALREADY);
    g_assert_cmpint(http_respond(&pair.constant, 200, text, "1", 1), ==, -EALREADY);
    g_assert_cmpuint(pair.out[0].length, ==, length);
    pair_fini(&pair);
}

/* Memory ends at every allocation in turn: an error and nothing written, or the right answer. */
static void test_memory(void)
{
    const struct how ways[] = {{0}, {.head_only = true}};
    for (int failures = 1; failures < 4; failures++) {
        struct pair pair;
        pair_init(&pair);
        for (int round = 0; round < 12; round++) {
            const struct what *what = &answers[round % 8];
            begin(&pair.constant, &ways[round % 2]);
            buffer_free(&pair.out[0]);
            failures_due = failures;
            int result = http_respond_constant(&pair.constant, what->status, what->content_type,
                                               what->body, what->length);
            g_assert_true(result == what->status || result == -ENOMEM);
            g_assert_true(result == what->status || pair.out[0].length == 0);
            failures_due = 0;
            check_same(&pair, &ways[0], what);
            check_same(&pair, &ways[1], what);
        }
        pair_fini(&pair);
    }
}

/* The answer goes out although there is no memory to keep it. */
static void test_memory_for_keeping(void)
{
    const struct how how = {0};
    struct pair pair;
    pair_init(&pair);
    g_assert_true(buffer_reserve(&pair.out[0], 100000));
    g_assert_true(buffer_reserve(&pair.out[1], 100000));
    failures_due = 1;
    check_same(&pair, &how, &answers[0]);
    g_assert_cmpint(failures_due, ==, 0);
    check_same(&pair, &how, &answers[0]);
    check_same(&pair, &how, &answers[1]);
    failures_due = 1;
    check_same(&pair, &how, &answers[5]);
    g_assert_cmpint(failures_due, ==, 0);
    check_same(&pair, &how, &answers[0]);
    pair_fini(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/constant/every-sequence", test_every_sequence);
    g_test_add_func("/http/constant/date", test_date);
    g_test_add_func("/http/constant/answering-twice", test_answering_twice);
    g_test_add_func("/http/constant/memory", test_memory);
    g_test_add_func("/http/constant/memory-for-keeping", test_memory_for_keeping);
    return g_test_run();
}
