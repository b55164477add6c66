/*
 * media_types.h - which media type a file has, by the end of its name.
 */
#ifndef HANDLERS_MEDIA_TYPES_H
#define HANDLERS_MEDIA_TYPES_H

#include <stdbool.h>

struct media_types;

/* Reads a file in the format of /etc/mime.types ("type ext ext ...", a word that begins with '#'
 * begins a comment; the last line about an extension counts). What is not type "/" subtype (RFC
 * 9110 section 8.3.1) is skipped; a file that cannot be read, or has more than 4 MiB, counts as
 * absent.
 *
 * A built-in table knows the extensions of the web where that file does not have them, and wins for
 * those whose type browsers check before they use the content: see media_types_table.c. NULL: the
 * table only. Never fails; ends the process when memory ends (GLib, at the start). */
struct media_types *media_types_new(const char *file);
void media_types_free(struct media_types *types);

/* The value of Content-Type for a file of that name: "text/html; charset=utf-8" for texts,
 * "application/octet-stream" when its extension is unknown or it has none, as ".profile". `name`
 * may be a path. Case does not matter. Lives as long as `types`. Any thread. */
const char *media_types_find(const struct media_types *types, const char *name);

/* Whether bytes of that Content-Type get notably smaller by compression: texts, scripts, JSON, XML,
 * SVG, WASM, fonts that are not compressed themselves ... Any thread. */
bool media_type_is_compressible(const char *content_type);

#endif
