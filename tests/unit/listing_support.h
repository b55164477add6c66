/*
 * listing_support.h - directories to be listed: real ones, and one that is made up.
 *
 * The program is linked with --wrap for the functions below.
 */
#ifndef TESTS_LISTING_SUPPORT_H
#define TESTS_LISTING_SUPPORT_H

#include "handlers/listing.h"

#include <dirent.h>
#include <glib.h>
#include <stdint.h>
#include <sys/stat.h>

/* While `count` is not 0, every directory holds so many files "0", "1" ... in a mixed order. */
struct made_up {
    unsigned count;
    unsigned at;
    unsigned char type; /* of struct dirent */
    uint64_t size;
    int64_t modified_s;
    mode_t mode;
    unsigned vanish_each; /* fstatat() does not find one of so many; 0: it finds all */
};

extern struct made_up made_up;

/* So many calls of malloc() and realloc() succeed before one fails; negative: all do. */
extern int allocations_left;

/* What readdir() fails with at the end, and fdopendir() at once; 0: they do not. */
extern int readdir_error;
extern int fdopendir_error;

/* A directory that is removed with what is in it. */
struct place {
    char *path;
    int fd; /* O_PATH */
};

void place_open(struct place *place);
void place_close(struct place *place);
void place_add_file(const struct place *place, const char *name, off_t size);
void place_add_directory(const struct place *place, const char *name);

/* The page, terminated; to be freed with g_free(). */
char *place_list(const struct place *place, const struct listing_options *options);

/* The names in a page, in their order, after undoing what was done to them. */
GPtrArray *json_names(const char *page);
GPtrArray *html_names(const char *page);   /* as a person reads them */
GPtrArray *html_targets(const char *page); /* as a browser asks for them */

/* `expected` ends with NULL. */
void check_names(const GPtrArray *names, const char *const *expected);

#endif
