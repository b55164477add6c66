/*
 * file_cache.h - the contents that a reactor keeps, by the path of the request they answer.
 *
 * A table and a list by time of use, bounded in bytes: what was used least recently goes first.
 * Entries on which requests wait stay. Nothing here knows files.
 */
#ifndef HANDLERS_FILE_CACHE_H
#define HANDLERS_FILE_CACHE_H

#include "handlers/file_content.h"

struct file_job;
struct file_waiter;

struct file_entry {
    struct file_entry *next; /* in its bucket */
    struct file_entry *newer;
    struct file_entry *older;
    uint64_t hash;
    uint64_t used_ns;             /* the reactor's time of the last use */
    uint64_t checked_ns;          /* ... when its content was known to be the file's */
    uint64_t generation;          /* of the tree then */
    unsigned pins;                /* by jobs and others for whom it must stay */
    struct file_job *loading;     /* reads its file; NULL: none */
    struct file_job *making;      /* compresses its content; NULL: none */
    struct file_content *content; /* NULL: not there yet */
    struct file_waiter *waiters;  /* requests, the last first */
    size_t bytes;                 /* as accounted */
    size_t key_length;
    char key[];
};

struct file_cache {
    struct file_entry **buckets;
    size_t bucket_count; /* a power of two */
    uint64_t seed;
    struct file_entry *newest;
    struct file_entry *oldest;
    size_t bytes;
    size_t bytes_max;
};

/* Room for `bytes_max` bytes, what entries cost themselves included. 0 or -ENOMEM. */
int file_cache_init(struct file_cache *cache, size_t bytes_max);

/* Removes all entries: nothing may wait on them or work on them. */
void file_cache_fini(struct file_cache *cache);

/* The entry of that key, used now; NULL. */
struct file_entry *file_cache_find(struct file_cache *cache, struct http_text key, uint64_t now_ns);

/* A new one without content. The key must not be in the cache. NULL when memory is short. */
struct file_entry *file_cache_add(struct file_cache *cache, struct http_text key, uint64_t now_ns);

/* Gives the entry a content, of which it takes the reference over, in place of the one it has. */
void file_cache_set(struct file_cache *cache, struct file_entry *entry,
                    struct file_content *content);

/* The largest content that a cache of so many bytes keeps: what is larger would empty it. */
size_t file_cache_most(size_t bytes_max);

/* Whether a content of so many bytes would be kept. */
bool file_cache_keeps(const struct file_cache *cache, uint64_t bytes);

/* The content has grown: counts it anew. It may have to leave at once. */
void file_cache_update(struct file_cache *cache, struct file_entry *entry);

/* Removes the entry. Nothing waits or works on it. */
void file_cache_remove(struct file_cache *cache, struct file_entry *entry);

/* Removes what was not used since then. */
void file_cache_expire(struct file_cache *cache, uint64_t before_ns);

#endif
