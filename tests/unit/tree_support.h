/*
 * tree_support.h - a real directory of files, and how they are served.
 */
#ifndef TESTS_TREE_SUPPORT_H
#define TESTS_TREE_SUPPORT_H

#include "handlers/file_content.h"

#include <glib.h>

struct tree {
    char *path;
    struct file_root root;
    struct file_settings settings;
};

/* Empty; below `parent`, or where temporary files are. */
void tree_open(struct tree *tree, const char *parent);
void tree_close(struct tree *tree);

/* Other fields: lists as for file_policy_new(). */
void tree_set_policy(struct tree *tree, const char *const *cache_control,
                     const char *const *headers);

char *tree_name(const struct tree *tree, const char *name); /* to be freed */
void tree_write(const struct tree *tree, const char *name, const char *bytes, size_t length);
void tree_write_text(const struct tree *tree, const char *name, const char *text);

/* The time of its last change, since 1970. */
int64_t tree_changed_ns(const struct tree *tree, const char *name);

void tree_remove(const struct tree *tree, const char *name);

/* The content, which must be had. */
struct file_content *tree_load(const struct tree *tree, const char *name);

/* So many descriptors are open. */
unsigned descriptors(void);

#endif
