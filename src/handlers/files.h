/*
 * files.h - the file server: what is below one directory, as `coreactor --root DIR` serves it.
 *
 *   files.c          start and end, on the program's thread and on each reactor's
 *   file_service.c   the straight line: path of a request -> content -> answer
 *   file_path.c      path of the request -> path of the file
 *   file_root.c      path of the file -> descriptor, never outside of the root
 *   file_content.c   descriptor -> forms of the file with their fields
 *   file_answer.c    form, conditions, ranges -> answer
 *   file_body.c      what is too large for the memory
 *   file_cache.c     contents that are kept; file_watch.c says when to look at them again
 *   listing.c        directories
 */
#ifndef HANDLERS_FILES_H
#define HANDLERS_FILES_H

#include <coreactor/http.h>

struct files;

/* That a reactor keeps open at most: root, inotify and files too large for the memory. */
enum { FILES_DESCRIPTORS = 128 + 2 };

/* Zero in any member means its default. The texts are copied, or used only while files_new() runs.
 */
struct files_options {
    const char *root;                 /* a directory */
    bool follow_symlinks;             /* that stay below the root */
    bool dotfiles;                    /* serve names that begin with '.' */
    bool listing;                     /* of directories without index.html */
    bool no_compression;              /* beyond what lies compressed beside a file */
    const char *const *cache_control; /* see file_policy_new(), as for the next */
    const char *const *headers;
    const char *not_found; /* a path below the root: what 404 shows */
    const char *fallback;  /* ... what is answered, with 200, where there is no file */
    int64_t memory_max; /* bytes of a file that is kept in memory; default 64 KiB, negative: none */
    int64_t cache_max;  /* bytes kept by each reactor; default 32 MiB, negative: none */
};

/* NULL with a one-line text in `*message` (to be freed with g_free()): the directory cannot be
 * opened, a text is wrong. */
struct files *files_new(const struct files_options *options, char **message);

/* After server_run(). NULL is allowed. */
void files_free(struct files *files);

/* For server_options.reactor_start and reactor_stop, with the files as their argument. They use
 * reactor_data(). */
int files_start(struct reactor *reactor, unsigned index, void *files);
void files_stop(struct reactor *reactor, unsigned index, void *files);

/* An http_handler for GET and HEAD of any path. */
int files_handler(struct http_request *request, struct http_response *response, void *files);

#endif
