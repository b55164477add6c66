/*
 * listing.h - what is in a directory, as a page for people and as JSON.
 */
#ifndef HANDLERS_LISTING_H
#define HANDLERS_LISTING_H

#include <stdbool.h>
#include <stddef.h>

enum { LISTING_ENTRIES_MAX = 10000 };

enum listing_form { LISTING_HTML, LISTING_JSON };

struct listing_options {
    enum listing_form form;
    const char *path;     /* of the directory, relative to the root, as in struct file_path */
    bool dotfiles;        /* show names that begin with '.' */
    bool follow_symlinks; /* show links to what lies below the root; without it none */
};

/* Reads the directory `fd` (O_PATH will do), which is neither closed nor moved, and makes its page:
 * only regular files and directories, directories first, then by name (bytes and the numbers in
 * them, as strverscmp(3), so that every machine agrees); name, size, time of last change (UTC).
 * Names that file_name_check() refuses are left out. At most LISTING_ENTRIES_MAX entries are shown,
 * and then the page says how many are not; the memory for reading a directory has a bound, however
 * many names are in it. `resolves(arg, name, status)` says whether a link leads to something that
 * may be served, and fills the status; it is only called with follow_symlinks.
 *
 * HTML: a complete document, accessible (lang, title, one h1, a table with a caption and th scope,
 * time datetime, links to the parents), light and dark, fine on a phone, without scripts; it needs
 * nothing beyond "default-src 'none'; style-src 'unsafe-inline'". Every name is escaped; links are
 * relative to a URL that ends with '/', percent-encoded and end with '/' for directories. JSON:
 * {"path": "/a/b/", "entries": [{"name": ..., "type": "file"|"directory", "size": n, "modified":
 * "2026-11-22T05:00:00Z"}], "omitted": n} in valid UTF-8; directories have no size.
 *
 * The result has `*length` bytes and is to be freed with free(). NULL with errno set when the
 * directory cannot be read or memory is short. Any thread; blocks. */
struct stat;
char *listing_make(int fd, const struct listing_options *options,
                   bool (*resolves)(void *arg, const char *name, struct stat *status), void *arg,
                   size_t *length);

#endif
