#include "handlers/listing_private.h"

#include <inttypes.h>

/* A string without its quotes (RFC 8259 section 7). Names and paths have been checked: they are
 * UTF-8, and there is no control character in them. */
static void put_escaped(struct listing_page *page, const char *text)
{
    for (;;) {
        size_t plain = strcspn(text, "\"\\");
        listing_put(page, text, plain);
        text += plain;
        if (!*text)
            return;
        listing_put(page, "\\", 1);
        listing_put(page, text++, 1);
    }
}

static void put_entry(struct listing_page *page, const struct listing_entry *entry)
{
    struct tm time = listing_time(entry->modified_s);
    listing_puts(page, "{\"name\": \"");
    put_escaped(page, entry->name);
    if (entry->directory)
        listing_puts(page, "\", \"type\": \"directory\"");
    else
        listing_printf(page, "\", \"type\": \"file\", \"size\": %" PRIu64, entry->size);
    listing_printf(page, ", \"modified\": \"%04d-%02d-%02dT%02d:%02d:%02dZ\"}", time.tm_year + 1900,
                   time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
}

void listing_put_json(struct listing_page *page, const char *path, const struct listing *listing)
{
    listing_puts(page, "{\"path\": \"/");
    put_escaped(page, path);
    listing_puts(page, *path ? "/\", \"entries\": [" : "\", \"entries\": [");
    for (size_t i = 0; i < listing->count; i++) {
        listing_puts(page, i ? ",\n" : "\n");
        put_entry(page, listing->entries[i]);
    }
    listing_printf(page, "\n], \"omitted\": %" PRIu64 "}\n", listing->omitted);
}
