/*
 * lines.h - from place to place in a head along the marks that scan.c left in it.
 */
#ifndef HTTP_LINES_H
#define HTTP_LINES_H

#include "http/scan.h"

/* The place of the first byte at or after `from` that is no tchar. There is one: the head ends in
 * CRLF. */
static inline size_t http_token_end(const struct http_scan *scan, size_t from)
{
    const struct http_marks *marks = &scan->words[from / 64];
    uint64_t bits = marks->not_token >> from % 64;
    if (__builtin_expect(bits != 0, 1))
        return from + (unsigned)__builtin_ctzll(bits);
    from -= from % 64;
    do {
        marks++;
        from += 64;
    } while (!marks->not_token);
    return from + (unsigned)__builtin_ctzll(marks->not_token);
}

/* Walks from CR to CR by clearing bits, so that finding a line does not wait until the one before
 * it is understood: searching from where that one ended made the whole parser an eighth slower. */
struct http_lines {
    const struct http_marks *marks;
    size_t at;   /* place of the word's first byte */
    uint64_t cr; /* of the word, what is left of it */
};

static inline struct http_lines http_lines_of(const struct http_scan *scan)
{
    return (struct http_lines){.marks = scan->words, .cr = scan->words[0].cr};
}

static inline size_t http_next_line_end(struct http_lines *lines)
{
    while (__builtin_expect(lines->cr == 0, 0)) {
        lines->marks++;
        lines->at += 64;
        lines->cr = lines->marks->cr;
    }
    size_t end = lines->at + (unsigned)__builtin_ctzll(lines->cr);
    lines->cr &= lines->cr - 1;
    return end;
}

/* SP or HTAB: inside a line there is no other control character (but one that this need not tell
 * apart from white space, because its line is refused: see http_scan_function). */
static inline bool http_is_space(char byte)
{
    return (unsigned char)byte <= ' ';
}

#endif
