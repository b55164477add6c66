/*
 * file_policy.h - the fields that the operator adds to the answers: Cache-Control by pattern, and
 * others.
 */
#ifndef HANDLERS_FILE_POLICY_H
#define HANDLERS_FILE_POLICY_H

#include <coreactor/http.h>

struct file_policy;

/* From the options' texts, NULL-terminated or NULL: "PATTERN=VALUE" for Cache-Control, divided at
 * the first '=', and "NAME: VALUE" for any other field. White space around a value is not part of
 * it. NULL with a one-line text in `*message` (to be freed with g_free()) that quotes what is
 * wrong: no '=' or ':', an empty pattern or Cache-Control, a name or value that RFC 9110 section 5
 * does not allow, a field that the library or the file server sets itself (those that
 * http_response_header() refuses, and Accept-Ranges, Content-Encoding, Content-Range, ETag,
 * Last-Modified, Vary, Cache-Control as a --header: use --cache-control). Ends the process when
 * memory ends (GLib, at the start). */
struct file_policy *file_policy_new(const char *const *cache_control, const char *const *headers,
                                    char **message);
/* NULL is allowed. */
void file_policy_free(struct file_policy *policy);

/* The value of Cache-Control for a file's path relative to the root, such as "css/site.css" (less
 * than FILE_PATH_MAX bytes): of the first pattern that matches; NULL: none. A pattern (fnmatch(3):
 * *, ?, [...]) that holds a '/' is compared with the whole path with a '/' before it, and '*'
 * crosses slashes; it gets a '/' before it too, unless it begins with one or with '*', so that
 * "css/" followed by '*' is what it seems to be. Any other is compared with the file's name. Any
 * thread. */
const char *file_policy_cache_control(const struct file_policy *policy, const char *path);

/* All other fields, as complete lines "Name: value\r\n" one after another; "" when there are none.
 * Lives as long as `policy`. Any thread. */
const char *file_policy_lines(const struct file_policy *policy);

#endif
