/*
 * file_path.h - from the path of a request to that of a file.
 */
#ifndef HANDLERS_FILE_PATH_H
#define HANDLERS_FILE_PATH_H

#include <coreactor/http.h>

enum {
    FILE_PATH_MAX = 4096,  /* bytes, terminator included: PATH_MAX of limits.h */
    FILE_NAME_BYTES = 255, /* NAME_MAX of limits.h */
};

struct file_path {
    size_t length;
    bool directory;            /* the request's path ends with '/'; not part of `bytes` */
    char bytes[FILE_PATH_MAX]; /* relative to the root, terminated; "" is the root itself */
};

/* Decodes the path of a request, which is still percent-encoded, exactly once: "%252e" is a file
 * called "%2e". Nothing is normalised: what is not plainly the name of a file below the root is
 * refused. Returns 0, or the status for the first segment that is wrong:
 *
 * - 400: a '%' without two hexadecimal digits; a control character (Unicode's category Cc: NUL to
 *   U+001F, U+007F to U+009F); a backslash; an encoded slash; bytes that are not UTF-8 (RFC 3629);
 *   a path that does not begin with '/'
 * - 404: an empty segment, "." or "..", however encoded; a segment of more than FILE_NAME_BYTES
 *   bytes, or a path that does not fit; without `dotfiles`, a segment that begins with '.'
 *
 * `*decoded` is undefined unless it returns 0. Any thread. */
int file_path_decode(struct http_text path, bool dotfiles, struct file_path *decoded);

/* What file_path_decode() says about a segment that is `name` after decoding: 0, 400 or 404. Any
 * thread. */
int file_name_check(struct http_text name, bool dotfiles);

#endif
