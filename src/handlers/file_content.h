/*
 * file_content.h - a file as it is served: its forms, each with the fields of its answers.
 *
 * A content is made in one go, on any thread, and belongs to one reactor afterwards; only forms
 * that are compressed here are added later. It stays what it is when the file changes: another is
 * made then.
 */
#ifndef HANDLERS_FILE_CONTENT_H
#define HANDLERS_FILE_CONTENT_H

#include "handlers/compress.h"
#include "handlers/file_policy.h"
#include "handlers/file_root.h"
#include "handlers/media_types.h"

#include <coreactor/http.h>

enum {
    FILE_COMPRESS_MIN = 256,     /* bytes of a file that is worth compressing */
    FILE_COMPRESS_MAX = 4 << 20, /* ... and not too large to be */
};

/* How files are served; constant while they are. */
struct file_settings {
    bool compress;           /* here, when there is no compressed file beside */
    uint64_t memory_max;     /* bytes of a file whose body is kept in memory */
    size_t descriptor_bytes; /* that an open file counts as, so that one bound holds for both */
    struct media_types *types;
    struct file_policy *policy;
};

/* The file as it is, or in a content coding. */
struct file_form {
    struct file_stamp stamp; /* of the file with these bytes; all zero: there is none */
    uint64_t length;         /* bytes */
    char *body;              /* NULL: to be sent from `fd` */
    int fd;                  /* -1: none */
    uint64_t warm_ns; /* the reactor's time when all of it was in the kernel's memory; 0: never */
    bool made;        /* compressed here */
    bool worthless;   /* it would have been larger than the file */
    struct http_text etag; /* in `lines` */
    char *lines;           /* fields: Content-Encoding and X-Content-Type-Options, those of 304 too,
                              Accept-Ranges */
    size_t lines_length;
    size_t cached_at;  /* what 304 has (RFC 9110 section 15.4.5): Vary, the operator's fields ... */
    size_t lasting_at; /* ... Cache-Control, which is for the file and not for errors ... */
    size_t validators_at; /* ... ETag and Last-Modified */
    size_t cached_end;
};

struct file_content {
    unsigned references; /* counted on the reactor's thread */
    size_t bytes;        /* of memory, with a share for each descriptor */
    int64_t modified_s;  /* Last-Modified, since 1970 */
    const char *content_type;
    const char *cache_control; /* NULL: none */
    bool varies;               /* there are, or may be, several forms */
    bool compressible;
    bool racy; /* changed so recently that a further change might not show in its stamp */
    struct file_form forms[CODING_COUNT];
    struct file_stamp found[CODING_COUNT]; /* what lay there, readable or not; all zero: no file */
};

/* Reads the file `path` below the root, and what lies beside it in content codings. Returns 0,
 * -EAGAIN when `may_wait` is false and it would have to, -EISDIR for a directory, -ENOENT for
 * anything else that is not a regular file, or another error of file_root_find(). */
int file_content_load(const struct file_settings *settings, const struct file_root *root,
                      const char *path, bool may_wait, struct file_content **content);

/* Whether the file, and those beside it, are what they were: 1, 0 or -EAGAIN. */
int file_content_is_current(const struct file_content *content, const struct file_root *root,
                            const char *path, bool may_wait);

/* Whether the content can be had in that coding: as a form that is there, or one to be made. */
bool file_content_offers(const struct file_content *content, enum coding coding);

static inline bool file_form_is_there(const struct file_form *form)
{
    return form->stamp.regular;
}

/* Whether the open file of a form without a body has other bytes by now, or cannot be asked. */
bool file_form_has_changed(const struct file_form *form);

/* The bytes of the file in that coding, to be freed: `*length`, or NULL. Any thread that the
 * content is kept for; takes long. */
char *file_content_compress(const struct file_content *content, enum coding coding, size_t *length);

/* Adds what file_content_compress() returned; NULL makes the coding worthless. The reactor's
 * thread. */
void file_content_add(struct file_content *content, const struct file_settings *settings,
                      enum coding coding, char *body, size_t length);

static inline struct file_content *file_content_keep(struct file_content *content)
{
    content->references++;
    return content;
}

/* NULL is allowed. */
void file_content_release(struct file_content *content);

#endif
