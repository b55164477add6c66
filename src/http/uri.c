#include "http/uri.h"

#include <string.h>

/* The value of a hexadecimal digit, or -1. */
static inline int hex_digit(char byte)
{
    char lower = (char)(byte | 0x20);
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool http_percent_decode(struct http_text text, bool form, char *to, size_t *length)
{
    char *end = to;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        if (byte == '%') {
            if (text.length - i < 3)
                return false;
            int high = hex_digit(text.bytes[i + 1]);
            int low = hex_digit(text.bytes[i + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        } else if (form && byte == '+') {
            byte = ' ';
        }
        *end++ = byte;
    }
    *length = (size_t)(end - to);
    return true;
}

/* The bytes of `text` before the first `byte`, or all. */
static struct http_text text_before(struct http_text text, char byte)
{
    const char *found = text.length ? memchr(text.bytes, byte, text.length) : NULL;
    return found ? (struct http_text){text.bytes, (size_t)(found - text.bytes)} : text;
}

bool http_query_split(struct http_text query, size_t *cursor, struct http_text *name,
                      struct http_text *value)
{
    size_t at = *cursor;
    while (at < query.length && query.bytes[at] == '&')
        at++;
    if (at >= query.length) {
        *cursor = query.length;
        return false;
    }
    struct http_text rest = {query.bytes + at, query.length - at};
    struct http_text pair = text_before(rest, '&');
    *name = text_before(pair, '=');
    size_t value_at = name->length < pair.length ? name->length + 1 : pair.length;
    *value = (struct http_text){pair.bytes + value_at, pair.length - value_at};
    *cursor = at + pair.length;
    return true;
}
