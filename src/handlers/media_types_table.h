/*
 * media_types_table.h - what media_types.c knows without any file.
 */
#ifndef HANDLERS_MEDIA_TYPES_TABLE_H
#define HANDLERS_MEDIA_TYPES_TABLE_H

#include <stdbool.h>

struct media_type_row {
    const char *type;       /* NULL: the end */
    const char *extensions; /* separated by spaces */
    bool fixed;             /* a file of the operator's system does not change it */
};

extern const struct media_type_row media_types_table[];

/* Types that get smaller by compression, beside those of media_type_is_compressible() that are told
 * by a rule; ends with NULL. */
extern const char *const media_types_compressible[];

#endif
