#include "handlers/file_cache.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    BYTES_PER_BUCKET = 8192, /* entries are larger than that on average, or there are few of them */
    BUCKETS_MIN = 64,
    BUCKETS_MAX = 1 << 16,
    LARGE_SHARE = 4, /* a content larger than this part of the cache would empty it */
};

int file_cache_init(struct file_cache *cache, size_t bytes_max)
{
    size_t buckets = BUCKETS_MIN;
    while (buckets < BUCKETS_MAX && buckets * BYTES_PER_BUCKET < bytes_max)
        buckets *= 2;
    *cache = (struct file_cache){.bucket_count = buckets, .bytes_max = bytes_max};
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers */
    cache->buckets = calloc(buckets, sizeof(*cache->buckets));
    if (!cache->buckets)
        return -ENOMEM;
    /* Clients choose the keys. Without randomness the address of the table is the best there is. */
    if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) != sizeof(cache->seed))
        cache->seed = (uint64_t)(uintptr_t)cache->buckets;
    return 0;
}

void file_cache_fini(struct file_cache *cache)
{
    while (cache->oldest)
        file_cache_remove(cache, cache->oldest);
    free(cache->buckets);
    cache->buckets = NULL;
}

/* --- the list by time of use --- */

static void unlink_entry(struct file_cache *cache, struct file_entry *entry)
{
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
}

static void link_newest(struct file_cache *cache, struct file_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (entry->older)
        entry->older->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

/* --- the table --- */

static struct file_entry **bucket_of(const struct file_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

struct file_entry *file_cache_find(struct file_cache *cache, struct http_text key, uint64_t now_ns)
{
    uint64_t hash = hash_bytes(key.bytes, key.length, cache->seed);
    struct file_entry *entry = *bucket_of(cache, hash);
    while (entry && (entry->hash != hash || entry->key_length != key.length ||
                     memcmp(entry->key, key.bytes, key.length) != 0))
        entry = entry->next;
    if (!entry)
        return NULL;
    entry->used_ns = now_ns;
    if (entry != cache->newest) {
        unlink_entry(cache, entry);
        link_newest(cache, entry);
    }
    return entry;
}

void file_cache_remove(struct file_cache *cache, struct file_entry *entry)
{
    struct file_entry **link = bucket_of(cache, entry->hash);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    unlink_entry(cache, entry);
    cache->bytes -= entry->bytes;
    file_content_release(entry->content);
    free(entry);
}

/* --- what it costs --- */

static bool is_needed(const struct file_entry *entry)
{
    return entry->pins || entry->waiters;
}

/* Removes the least recently used until the rest fits; not `but`. */
static void make_room(struct file_cache *cache, const struct file_entry *but)
{
    struct file_entry *next;
    for (struct file_entry *at = cache->oldest; at && cache->bytes > cache->bytes_max; at = next) {
        next = at->newer;
        if (at != but && !is_needed(at))
            file_cache_remove(cache, at);
    }
}

static size_t size_of(const struct file_entry *entry)
{
    return sizeof(*entry) + entry->key_length + (entry->content ? entry->content->bytes : 0);
}

struct file_entry *file_cache_add(struct file_cache *cache, struct http_text key, uint64_t now_ns)
{
    struct file_entry *entry = calloc(1, sizeof(*entry) + key.length);
    if (!entry)
        return NULL;
    entry->hash = hash_bytes(key.bytes, key.length, cache->seed);
    entry->used_ns = now_ns;
    entry->key_length = key.length;
    memcpy(entry->key, key.bytes, key.length);
    struct file_entry **bucket = bucket_of(cache, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    entry->bytes = size_of(entry);
    cache->bytes += entry->bytes;
    make_room(cache, entry);
    return entry;
}

size_t file_cache_most(size_t bytes_max)
{
    return bytes_max / LARGE_SHARE;
}

bool file_cache_keeps(const struct file_cache *cache, uint64_t bytes)
{
    return bytes <= file_cache_most(cache->bytes_max);
}

void file_cache_update(struct file_cache *cache, struct file_entry *entry)
{
    cache->bytes -= entry->bytes;
    entry->bytes = size_of(entry);
    cache->bytes += entry->bytes;
    if (file_cache_keeps(cache, entry->bytes))
        make_room(cache, entry);
    else if (!is_needed(entry))
        file_cache_remove(cache, entry);
    /* Else it leaves soon, and nothing else has to leave for it. */
}

void file_cache_set(struct file_cache *cache, struct file_entry *entry,
                    struct file_content *content)
{
    file_content_release(entry->content);
    entry->content = content;
    file_cache_update(cache, entry);
}

void file_cache_expire(struct file_cache *cache, uint64_t before_ns)
{
    struct file_entry *next;
    for (struct file_entry *at = cache->oldest; at && at->used_ns < before_ns; at = next) {
        next = at->newer;
        if (!is_needed(at))
            file_cache_remove(cache, at);
    }
}
