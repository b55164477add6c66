/*
 * listing_private.h - what listing.c and the two forms of a page share.
 */
#ifndef HANDLERS_LISTING_PRIVATE_H
#define HANDLERS_LISTING_PRIVATE_H

#include "base/buffer.h"
#include "handlers/listing.h"

#include <stdint.h>
#include <time.h>

/* A file or directory. */
struct listing_entry {
    bool directory;
    bool known; /* size and time are */
    uint64_t size;
    int64_t modified_s;
    char name[];
};

/* Entries are read into twice the room that is needed: each time it is full, it is sorted, and the
 * second half cannot be among those shown. */
enum { LISTING_ROOM = 2 * LISTING_ENTRIES_MAX };

struct listing {
    size_t count;
    uint64_t omitted;
    struct listing_entry *entries[LISTING_ROOM];
};

/* What is being written. When memory ends, the rest is dropped. */
struct listing_page {
    struct buffer text;
    bool torn;
};

void listing_put(struct listing_page *page, const char *bytes, size_t length);
void listing_puts(struct listing_page *page, const char *text);

/* At most 127 bytes. */
__attribute__((format(printf, 2, 3))) void listing_printf(struct listing_page *page,
                                                          const char *format, ...);

/* A time in UTC; years 1 to 9999, and what is beyond is the nearest of these. */
struct tm listing_time(int64_t seconds);

void listing_put_html(struct listing_page *page, const char *path, const struct listing *listing);
void listing_put_json(struct listing_page *page, const char *path, const struct listing *listing);

#endif
