/* The contents that a reactor keeps: what is found, what leaves first, and what stays. */
#include "handlers/file_cache.h"

#include "base/hash.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- injection --- */

static int calloc_fails_in;
static bool no_randomness;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t count, size_t length);
void *__wrap_calloc(size_t count, size_t length);
ssize_t __real_getrandom(void *bytes, size_t length, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags);

void *__wrap_calloc(size_t count, size_t length)
{
    if (calloc_fails_in && --calloc_fails_in == 0)
        return NULL;
    return __real_calloc(count, length);
}

ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags)
{
    if (!no_randomness)
        return __real_getrandom(bytes, length, flags);
    errno = EAGAIN;
    return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- a cache --- */

enum { ENTRY = sizeof(struct file_entry) + 1, MUCH = 1 << 20 };

static struct http_text key_of(const char *text)
{
    return (struct http_text){text, strlen(text)};
}

static struct file_content *content_of(size_t bytes)
{
    struct file_content *content = calloc(1, sizeof(*content));
    g_assert_nonnull(content);
    content->references = 1;
    content->bytes = bytes;
    for (int i = 0; i < CODING_COUNT; i++)
        content->forms[i].fd = -1;
    return content;
}

static struct file_entry *add(struct file_cache *cache, const char *key, uint64_t now_ns,
                              size_t bytes)
{
    struct file_entry *entry = file_cache_add(cache, key_of(key), now_ns);
    g_assert_nonnull(entry);
    if (bytes)
        file_cache_set(cache, entry, content_of(bytes));
    return entry;
}

/* The keys from the one used last, and that everything agrees with it. */
static void expect_keys(const struct file_cache *cache, const char *keys)
{
    g_autoptr(GString) found = g_string_new(NULL);
    g_autoptr(GString) backwards = g_string_new(NULL);
    size_t bytes = 0;
    size_t in_table = 0;
    for (const struct file_entry *at = cache->newest; at; at = at->older) {
        g_string_append_len(found, at->key, (gssize)at->key_length);
        g_assert_true(at->older ? at->older->newer == at : cache->oldest == at);
        g_assert_true(!at->older || at->older->used_ns <= at->used_ns);
        bytes += at->bytes;
    }
    for (const struct file_entry *at = cache->oldest; at; at = at->newer)
        g_string_prepend_len(backwards, at->key, (gssize)at->key_length);
    for (size_t i = 0; i < cache->bucket_count; i++) {
        for (const struct file_entry *at = cache->buckets[i]; at; at = at->next)
            in_table += at->key_length;
    }
    g_assert_cmpstr(found->str, ==, keys);
    g_assert_cmpstr(backwards->str, ==, keys);
    g_assert_cmpuint(bytes, ==, cache->bytes);
    g_assert_cmpuint(in_table, ==, found->len);
}

static void begin(struct file_cache *cache, size_t bytes_max)
{
    g_assert_cmpint(file_cache_init(cache, bytes_max), ==, 0);
}

/* --- finding --- */

static void test_find(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    g_assert_null(file_cache_find(&cache, key_of("a"), 1));
    const struct file_entry *a = add(&cache, "a", 1, 100);
    const struct file_entry *ab = add(&cache, "ab", 2, 0);
    const struct file_entry *empty = add(&cache, "", 3, 5);
    g_assert_true(file_cache_find(&cache, key_of("a"), 4) == a);
    g_assert_cmpuint(a->used_ns, ==, 4);
    g_assert_true(file_cache_find(&cache, key_of("ab"), 5) == ab);
    g_assert_true(file_cache_find(&cache, key_of(""), 6) == empty);
    g_assert_null(file_cache_find(&cache, key_of("abc"), 7));
    g_assert_null(file_cache_find(&cache, key_of("b"), 7));
    g_assert_null(ab->content);
    expect_keys(&cache, "aba");
    file_cache_fini(&cache);
    g_assert_null(cache.buckets);
}

/* Keys are bytes: zeros and anything else. */
static void test_bytes_of_keys(void)
{
    struct file_cache cache;
    const struct http_text keys[] = {{"\0", 1}, {"\0\0", 2}, {"a\0b", 3}, {"a\0c", 3}, {"\xff", 1}};
    struct file_entry *entries[G_N_ELEMENTS(keys)];
    begin(&cache, MUCH);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        entries[i] = file_cache_add(&cache, keys[i], 1);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        g_assert_true(file_cache_find(&cache, keys[i], 1) == entries[i]);
    file_cache_fini(&cache);
}

/* Another key with the same hash: the function is a bijection of its first eight bytes' difference,
 * so one is made by pretending. */
static void test_same_hash(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    struct file_entry *a = add(&cache, "a", 1, 10);
    struct file_entry *b = add(&cache, "b", 2, 10);
    struct file_entry *long_one = add(&cache, "bb", 3, 10);
    /* All in the bucket of "b", with its hash. */
    struct file_entry *const others[] = {a, long_one};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        struct file_entry **link = &cache.buckets[others[i]->hash & (cache.bucket_count - 1)];
        while (*link != others[i])
            link = &(*link)->next;
        *link = others[i]->next;
        struct file_entry **bucket = &cache.buckets[b->hash & (cache.bucket_count - 1)];
        others[i]->hash = b->hash;
        others[i]->next = *bucket;
        *bucket = others[i];
    }
    g_assert_true(file_cache_find(&cache, key_of("b"), 4) == b);
    expect_keys(&cache, "bbba");
    file_cache_remove(&cache, a);
    g_assert_true(file_cache_find(&cache, key_of("b"), 5) == b);
    file_cache_remove(&cache, b);
    g_assert_null(file_cache_find(&cache, key_of("b"), 6));
    expect_keys(&cache, "bb");
    file_cache_fini(&cache);
}

/* --- bounds --- */

/* Of these sizes, a power of two of buckets that can hold the table's entries. */
static void test_buckets(void)
{
    static const struct {
        size_t bytes_max;
        size_t buckets;
    } sizes[] = {{0, 64},          {1, 64},
                 {64 * 8192, 64},  {64 * 8192 + 1, 128},
                 {32 << 20, 4096}, {SIZE_MAX, 1 << 16}};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct file_cache cache;
        begin(&cache, sizes[i].bytes_max);
        g_assert_cmpuint(cache.bucket_count, ==, sizes[i].buckets);
        file_cache_fini(&cache);
    }
}

static void test_evicts_oldest(void)
{
    struct file_cache cache;
    begin(&cache, 4 * (ENTRY + 1000));
    add(&cache, "a", 1, 1000);
    add(&cache, "b", 2, 1000);
    add(&cache, "c", 3, 1000);
    add(&cache, "d", 4, 1000);
    expect_keys(&cache, "dcba");
    g_assert_cmpuint(cache.bytes, ==, cache.bytes_max);
    g_assert_nonnull(file_cache_find(&cache, key_of("a"), 5));
    add(&cache, "e", 6, 0); /* its own cost counts */
    expect_keys(&cache, "eadc");
    file_cache_set(&cache, cache.newest, content_of(1000));
    expect_keys(&cache, "eadc");
    add(&cache, "f", 7, 1000);
    expect_keys(&cache, "fead");
    file_cache_fini(&cache);
}

/* What takes more than a quarter is not kept, and nothing leaves for it. */
static void test_large(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    g_assert_true(file_cache_keeps(&cache, MUCH / 4));
    g_assert_false(file_cache_keeps(&cache, MUCH / 4 + 1));
    g_assert_false(file_cache_keeps(&cache, UINT64_MAX));
    for (const char *key = "a\0b\0c\0d\0e\0"; *key; key += 2)
        add(&cache, key, 1, 200000);
    expect_keys(&cache, "edcba");
    struct file_entry *large = add(&cache, "f", 2, 0);
    file_cache_set(&cache, large, content_of(MUCH / 4));
    expect_keys(&cache, "edcba");
    large = add(&cache, "f", 2, 0);
    large->pins++;
    file_cache_set(&cache, large, content_of(MUCH / 2)); /* as long as it is needed */
    expect_keys(&cache, "fedcba");
    large->pins--;
    file_cache_update(&cache, large);
    expect_keys(&cache, "edcba");
    file_cache_fini(&cache);
}

static void test_no_room(void)
{
    struct file_cache cache;
    begin(&cache, 0);
    g_assert_true(file_cache_keeps(&cache, 0));
    g_assert_false(file_cache_keeps(&cache, 1));
    struct file_entry *a = add(&cache, "a", 1, 0);
    a->pins++;
    struct file_entry *b = add(&cache, "b", 2, 0);
    expect_keys(&cache, "ba");
    file_cache_set(&cache, a, content_of(10));
    file_cache_set(&cache, b, content_of(10));
    a->pins--;
    file_cache_update(&cache, a);
    expect_keys(&cache, "");
    g_assert_cmpuint(cache.bytes, ==, 0);
    file_cache_fini(&cache);
}

/* --- what stays --- */

enum need { PINNED, WAITED_FOR };

static void set_need(struct file_entry *entry, enum need need, bool needed)
{
    static char waiter;
    entry->pins = needed && need == PINNED;
    entry->waiters = needed && need == WAITED_FOR ? (struct file_waiter *)&waiter : NULL;
}

static void test_needed(void)
{
    for (enum need need = PINNED; need <= WAITED_FOR; need++) {
        struct file_cache cache;
        begin(&cache, 4 * (ENTRY + 1000));
        struct file_entry *a = add(&cache, "a", 1, 1000);
        set_need(a, need, true);
        for (const char *key = "b\0c\0d\0e\0"; *key; key += 2)
            add(&cache, key, 2, 1000);
        expect_keys(&cache, "edca");
        file_cache_expire(&cache, 100);
        expect_keys(&cache, "a");
        set_need(a, need, false);
        file_cache_expire(&cache, 1);
        expect_keys(&cache, "a");
        file_cache_expire(&cache, 2);
        expect_keys(&cache, "");
        file_cache_fini(&cache);
    }
}

static void test_expire(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    file_cache_expire(&cache, UINT64_MAX);
    for (const char *key = "a\0b\0c\0d\0"; *key; key += 2)
        add(&cache, key, (unsigned char)key[0], 10);
    g_assert_nonnull(file_cache_find(&cache, key_of("b"), 'e'));
    expect_keys(&cache, "bdca");
    file_cache_expire(&cache, 0);
    file_cache_expire(&cache, 'a');
    expect_keys(&cache, "bdca");
    file_cache_expire(&cache, 'd');
    expect_keys(&cache, "bd");
    file_cache_expire(&cache, UINT64_MAX);
    expect_keys(&cache, "");
    file_cache_fini(&cache);
}

/* --- changes --- */

static void test_set(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    struct file_entry *a = add(&cache, "a", 1, 100);
    struct file_content *kept = file_content_keep(a->content);
    file_cache_set(&cache, a, content_of(300));
    g_assert_cmpuint(kept->references, ==, 1);
    file_content_release(kept);
    g_assert_cmpuint(cache.bytes, ==, ENTRY + 300);
    a->content->bytes = 500;
    file_cache_update(&cache, a);
    g_assert_cmpuint(cache.bytes, ==, ENTRY + 500);
    kept = file_content_keep(a->content);
    file_cache_remove(&cache, a);
    expect_keys(&cache, "");
    g_assert_cmpuint(kept->references, ==, 1);
    file_content_release(kept);
    file_cache_fini(&cache);
}

/* What has grown has others leave, the oldest first, itself never while it is small enough. */
static void test_grows(void)
{
    struct file_cache cache;
    begin(&cache, 6 * (ENTRY + 1000));
    struct file_entry *a = add(&cache, "a", 1, 1000);
    for (const char *key = "b\0c\0d\0e\0f\0"; *key; key += 2)
        add(&cache, key, 2, 1000);
    a->content->bytes = 1200;
    file_cache_update(&cache, a);
    expect_keys(&cache, "fedca");
    a->content->bytes = 6 * (ENTRY + 1000);
    file_cache_update(&cache, a);
    expect_keys(&cache, "fedc");
    file_cache_fini(&cache);
}

static void test_remove_in_any_order(void)
{
    static const char *const orders[] = {"abcd", "dcba", "bcad", "cbda", "adbc"};
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        struct file_cache cache;
        g_autofree char *left = g_strdup("dcba");
        begin(&cache, MUCH);
        for (const char *key = "a\0b\0c\0d\0"; *key; key += 2)
            add(&cache, key, 1, 10);
        for (const char *at = orders[i]; *at; at++) {
            char key[] = {*at, '\0'};
            for (struct file_entry *entry = cache.newest, *next; entry; entry = next) {
                next = entry->older;
                if (entry->key[0] == *at)
                    file_cache_remove(&cache, entry);
            }
            g_auto(GStrv) parts = g_strsplit(left, key, -1);
            g_free(left);
            left = g_strjoinv("", parts);
            expect_keys(&cache, left);
        }
        file_cache_fini(&cache);
    }
}

/* Thousands of entries, of which the youngest stay. */
static void test_many(void)
{
    struct file_cache cache;
    begin(&cache, MUCH);
    for (unsigned i = 0; i < 20000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%08u", i);
        add(&cache, key, i, i % 3000 + 1);
        g_assert_cmpuint(cache.bytes, <=, MUCH);
    }
    g_assert_nonnull(file_cache_find(&cache, key_of("00019999"), 20000));
    g_assert_nonnull(file_cache_find(&cache, key_of("00019800"), 20000));
    g_assert_null(file_cache_find(&cache, key_of("00010000"), 20000));
    file_cache_fini(&cache);
}

/* --- memory and randomness --- */

static void test_memory(void)
{
    struct file_cache cache;
    calloc_fails_in = 1;
    g_assert_cmpint(file_cache_init(&cache, MUCH), ==, -ENOMEM);
    begin(&cache, MUCH);
    add(&cache, "a", 1, 10);
    calloc_fails_in = 1;
    g_assert_null(file_cache_add(&cache, key_of("b"), 2));
    expect_keys(&cache, "a");
    file_cache_fini(&cache);
}

static void test_no_randomness(void)
{
    struct file_cache cache;
    no_randomness = true;
    begin(&cache, MUCH);
    no_randomness = false;
    g_assert_cmpuint(cache.seed, !=, 0);
    const struct file_entry *a = add(&cache, "a", 1, 10);
    g_assert_true(file_cache_find(&cache, key_of("a"), 2) == a);
    file_cache_fini(&cache);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-cache/find", test_find);
    g_test_add_func("/file-cache/bytes-of-keys", test_bytes_of_keys);
    g_test_add_func("/file-cache/same-hash", test_same_hash);
    g_test_add_func("/file-cache/buckets", test_buckets);
    g_test_add_func("/file-cache/evicts-oldest", test_evicts_oldest);
    g_test_add_func("/file-cache/large", test_large);
    g_test_add_func("/file-cache/no-room", test_no_room);
    g_test_add_func("/file-cache/needed", test_needed);
    g_test_add_func("/file-cache/expire", test_expire);
    g_test_add_func("/file-cache/set", test_set);
    g_test_add_func("/file-cache/grows", test_grows);
    g_test_add_func("/file-cache/remove-in-any-order", test_remove_in_any_order);
    g_test_add_func("/file-cache/many", test_many);
    g_test_add_func("/file-cache/memory", test_memory);
    g_test_add_func("/file-cache/no-randomness", test_no_randomness);
    return g_test_run();
}
