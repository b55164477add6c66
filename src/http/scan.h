/*
 * scan.h - finds the end of a request head and classifies its bytes, 64 at a time.
 *
 * The first of the parser's two passes. It proves that every CR is followed by LF, every LF
 * preceded by CR, and that no other control character but HTAB is in the head (RFC 9112
 * section 2.2, RFC 9110 section 5.5), so that the second pass can jump from mark to mark and never
 * run off the end.
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_MAX = 16384, /* bytes of request line and fields, the empty line included */
    HTTP_SCAN_WORDS = HTTP_HEAD_MAX / 64
};

/* Bit n of word w is about byte 64 * w + n. Only the words up to the end of the head are written,
 * and in the last of them the bits after the end belong to whatever follows. */
struct http_scan {
    uint64_t line_end[HTTP_SCAN_WORDS];   /* the CR of a CRLF */
    uint64_t not_token[HTTP_SCAN_WORDS];  /* not a tchar (RFC 9110 section 5.6.2) */
    uint64_t not_target[HTTP_SCAN_WORDS]; /* not 0x21-0x7E, or '#': cannot be in a request target */
};

enum { HTTP_SCAN_MALFORMED = -1 };

/* Looks at no more than the first HTTP_HEAD_MAX of `length` bytes. Returns the length of the head
 * with its empty line, 0 when that has not arrived yet, or HTTP_SCAN_MALFORMED. Reads no byte
 * outside [bytes, bytes + length). */
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

#endif
