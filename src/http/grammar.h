/*
 * grammar.h - from place to place in the value of a field, along what RFC 9110 section 5.6 builds
 * values from.
 *
 * Each http_take_ function passes what it is named after, or returns false where that ends too
 * early or goes on wrong.
 */
#ifndef HTTP_GRAMMAR_H
#define HTTP_GRAMMAR_H

#include "http/scan.h"

#include <coreactor/http.h>

enum { HTTP_READER_END = -1 }; /* is no byte */

struct http_reader {
    const char *bytes;
    size_t length;
    size_t at;
};

static inline struct http_reader http_reader_of(struct http_text text)
{
    return (struct http_reader){text.bytes, text.length, 0};
}

static inline int http_peek(const struct http_reader *reader)
{
    return reader->at < reader->length ? (unsigned char)reader->bytes[reader->at] : HTTP_READER_END;
}

static inline bool http_at_end(const struct http_reader *reader)
{
    return reader->at >= reader->length;
}

/* What has been passed since `from`. */
static inline struct http_text http_taken(const struct http_reader *reader, size_t from)
{
    return (struct http_text){reader->bytes + from, reader->at - from};
}

static inline bool http_take(struct http_reader *reader, char byte)
{
    if (http_peek(reader) != (unsigned char)byte)
        return false;
    reader->at++;
    return true;
}

/* A digit's value, or -1. */
static inline int http_take_digit(struct http_reader *reader)
{
    int byte = http_peek(reader);
    if (byte < '0' || byte > '9')
        return -1;
    reader->at++;
    return byte - '0';
}

/* OWS, BWS (RFC 9110 section 5.6.3) */
static inline void http_take_spaces(struct http_reader *reader)
{
    while (http_take(reader, ' ') || http_take(reader, '\t'))
        ;
}

static inline bool http_take_token(struct http_reader *reader)
{
    size_t from = reader->at;
    while (reader->at < reader->length && http_is_tchar(reader->bytes[reader->at]))
        reader->at++;
    return reader->at > from;
}

/* HTAB, SP, VCHAR, obs-text: what quoted-string and quoted-pair are made of */
static inline bool http_is_quotable(int byte)
{
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

/* RFC 9110 section 5.6.4 */
static inline bool http_take_quoted_string(struct http_reader *reader)
{
    if (!http_take(reader, '"'))
        return false;
    while (!http_take(reader, '"')) {
        http_take(reader, '\\');
        if (!http_is_quotable(http_peek(reader)))
            return false;
        reader->at++;
    }
    return true;
}

/* Goes to the next member of a list, over empty ones (RFC 9110 section 5.6.1.2). False when there
 * is none. */
static inline bool http_next_member(struct http_reader *reader)
{
    do {
        http_take_spaces(reader);
    } while (http_take(reader, ','));
    return !http_at_end(reader);
}

/* Whether a member of a list ends here, but for white space. */
static inline bool http_member_ends(struct http_reader *reader)
{
    http_take_spaces(reader);
    return http_at_end(reader) || http_peek(reader) == ',';
}

#endif
