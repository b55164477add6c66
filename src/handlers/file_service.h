/*
 * file_service.h - what serving files needs: of all reactors together, and of each.
 */
#ifndef HANDLERS_FILE_SERVICE_H
#define HANDLERS_FILE_SERVICE_H

#include "handlers/file_answer.h"
#include "handlers/file_cache.h"
#include "handlers/file_path.h"
#include "handlers/file_watch.h"
#include "reactor/pool.h"

#define RECHECK_NS                                                                                \
    UINT64_C(1000000000) /* between two looks at a file, or at the root, that no change asked for \
                          */

/* Constant while reactors run. */
struct files {
    struct file_settings settings;
    struct pool *readers; /* of files and directories that are not in memory */
    struct pool *makers;  /* of compressed forms: few, so that machine and readers are left alone */
    char *root;           /* its absolute path */
    bool follow_symlinks;
    bool dotfiles;
    bool listing;
    char *not_found; /* a path below the root; NULL: none */
    char *fallback;
    size_t cache_max;
};

/* The root as it was opened. When the path leads to another directory later (a new build of a site
 * has taken the place of the old), another tree takes its place, and jobs finish with the one that
 * they began with. */
struct file_tree {
    unsigned references; /* counted on the reactor's thread */
    struct file_root root;
    struct file_stamp stamp;
};

/* One reactor's. It outlives the reactor's last request while jobs are under way. */
struct file_shelf {
    unsigned references; /* counted on the reactor's thread */
    struct files *files;
    struct reactor *reactor;
    struct file_tree *tree;
    uint64_t tree_checked_ns;
    bool tree_is_checked; /* by a job */
    struct file_cache cache;
    struct file_watch watch;
    uint64_t polled_ns;          /* the reactor's time when changes were looked for */
    char watched[FILE_PATH_MAX]; /* the directory that was watched last, with those above it ... */
    uint64_t watched_generation; /* ... at that time; 0: none */
    uint64_t generation;         /* of the tree: another with each change that is noticed; from 1 */
    struct coding_weights weights;
    unsigned makings;            /* under way */
    unsigned listings;           /* under way */
    size_t page_bytes;           /* of listings that clients have not taken yet */
    struct reactor_timer *sweep; /* of what has not been used for long */
};

void file_shelf_release(struct file_shelf *shelf);

/* 0 or -errno. */
int file_tree_open(struct file_shelf *shelf);
void file_tree_release(struct file_tree *tree);

/* Once a second at most: whether the path of the root still leads to the tree; else opens another.
 */
void file_tree_check(struct file_shelf *shelf);

/* Has changes of the file with that path noticed: in its directory, and in those above it. */
void file_shelf_watch(struct file_shelf *shelf, const char *path);

/* What is wanted: usually what the path of the request names, or a page in place of what is not
 * there. */
struct file_target {
    struct http_text key; /* in the cache */
    const char
        *path;      /* below the root; NULL: not known yet, and `key` is the path as it was sent */
    bool directory; /* the request names the directory of `path` */
    bool fallback;  /* in place of what is not there */
    bool not_found; /* ... with status 404 */
    bool loaded;    /* the content was read after the request came: no need to look again */
    unsigned waits; /* the request has waited so many times */
};

/* --- file_service.c; all return what the handler is to return --- */

/* Answers with the target, out of the cache where that is fresh. */
int file_serve(struct file_shelf *shelf, struct http_request *request,
               struct http_response *response, const struct file_target *target);

/* Answers when there is no content because of that error. */
int file_fail(struct file_shelf *shelf, struct http_request *request,
              struct http_response *response, const struct file_target *target, int error);

/* Answers a request for what is not there: with the fallback, or as the page for that says. */
int file_not_found(struct file_shelf *shelf, struct http_request *request,
                   struct http_response *response);

/* Finishes a response that was pending, unless what was returned says that it still is. */
void file_finish(struct http_response *response, int returned);

/* The status of the answer when that errno (negative) came from the file system. */
int file_status_of(int error);

/* The entry's content is that of its file, as was known at that time; `loaded` is a new one unless
 * it is NULL. */
void file_put_content(struct file_shelf *shelf, struct file_entry *entry,
                      struct file_content *loaded, uint64_t generation, uint64_t checked_ns);

/* The content is not to be used again without a look at the file. */
void file_entry_expire(struct file_entry *entry);

/* Whoever pinned the entry has done with it: it may leave now, and has to when it is of no use. */
void file_unpin(struct file_shelf *shelf, struct file_entry *entry);

/* When the error is for want of descriptors: gives up those that are only kept. Whether it was. */
bool file_give_up_descriptors(struct file_shelf *shelf, int error);

/* --- file_jobs.c --- */

/* Has `*loaded` made unless what is known (NULL: nothing) is current. 0 or an error of
 * file_content_load(). */
int file_load(const struct files *files, const struct file_tree *tree, const char *path,
              const struct file_content *known, bool may_wait, struct file_content **loaded);

/* Has the request served anew when a job on the entry is over. Returns HTTP_PENDING or -ENOMEM. */
int file_wait(struct file_shelf *shelf, struct http_request *request,
              struct http_response *response, const struct file_target *target,
              struct file_entry *entry);

/* Begins to read the entry's file, which is not being read yet. `generation` is what the content
 * will be of. False when memory is short. */
bool file_start_loading(struct file_shelf *shelf, struct file_entry *entry, const char *path,
                        uint64_t generation);

/* Begins to compress the entry's content, of which nothing is being compressed yet. False when
 * memory is short. */
bool file_start_making(struct file_shelf *shelf, struct file_entry *entry, enum coding coding);

/* Whether there are not too many already. */
bool file_may_make(const struct file_shelf *shelf);

/* --- file_listing.c --- */

/* Answers with the page of the directory that the request names. Returns what the handler is to
 * return. */
int file_listing_respond(struct file_shelf *shelf, struct http_request *request,
                         struct http_response *response);

#endif
