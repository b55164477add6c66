/*
 * scan.h - finds the end of a request head and classifies its bytes, 64 at a time.
 *
 * The first of the parser's two passes. It leaves marks that the second pass jumps along without
 * looking at lengths, and refuses control characters (RFC 9110 section 5.5, RFC 9112 section 2.2).
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_MAX = 16384, /* bytes of request line and fields, the empty line included */
    HTTP_SCAN_WORDS = HTTP_HEAD_MAX / 64
};

/* Marks for 64 bytes: bit n is about byte n. */
struct http_marks {
    uint64_t cr;
    uint64_t not_token; /* not a tchar (RFC 9110 section 5.6.2) */
};

/* Word w is about the bytes from 64 * w. Only the words up to the last CR of the head are written,
 * and in the last of them the bits after it belong to whatever follows. */
struct http_scan {
    struct http_marks words[HTTP_SCAN_WORDS];
};

enum { HTTP_SCAN_MALFORMED = -1 };

/* Looks for CRLFCRLF in the first HTTP_HEAD_MAX of `length` bytes at most. Returns the length of
 * the head with its empty line, or 0 when that has not arrived yet. Then there is no control
 * character in it but HTAB, CR, and those that directly follow a CR; the second pass sees to it
 * that each of these is the LF it should be. Otherwise HTTP_SCAN_MALFORMED. Reads no byte outside
 * [bytes, bytes + length). */
typedef int (*http_scan_function)(const char *bytes, size_t length, struct http_scan *scan);

/* An implementation, its name ("avx2", "sse4.2", "portable"), and whether this CPU can run it. */
struct http_scanner {
    const char *name;
    http_scan_function scan;
    int (*supported)(void);
};

/* Fastest first; the last one runs anywhere; ends with a NULL name. */
extern const struct http_scanner http_scanners[];

/* The fastest one that this CPU can run. Any thread. */
const struct http_scanner *http_scanner_best(void);

/* Byte by byte, for what no scanner has marked (RFC 9110 section 5.6.2). */
bool http_is_tchar(char byte);

#endif
