/*
 * file_root_support.h - a root with a secret beside it, and the ways in which files are opened
 * below it. Needs --wrap=syscall.
 */
#ifndef UNIT_FILE_ROOT_SUPPORT_H
#define UNIT_FILE_ROOT_SUPPORT_H

#include "handlers/file_root.h"

#include <sys/types.h>

extern const char public_text[];
extern char *base_root;    /* the root's path */
extern ino_t secret_inode; /* of what must never be opened */

void make_tree(void);
void remove_tree(void);

/* The path of something beside or below the root ("outside", "root/file"), to be freed. */
char *at(const char *path);
void make_file(const char *path, const char *text);

enum way { KERNEL, KERNEL_WITHOUT_CACHE, WALK, WALK_FILTERED, WAYS };

struct file_root open_root(enum way way, bool follow);
struct file_root open_root_at(const char *path, enum way way, bool follow);

/* Has openat2(2) fail `times` times (negative: always) with `error`, or `error_cached` where
 * RESOLVE_CACHED is asked for. */
void refuse(int error, int error_cached, int times);

/* What a path leads to: a file with this text (NULL: any), or an error. */
void assert_leads(const struct file_root *root, const char *path, int flags, int error,
                  const char *text);

#endif
