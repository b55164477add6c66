#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PIECE_MAX = 256 };

void text_put(struct text *text, const char *bytes, size_t length)
{
    text->torn = text->torn || !buffer_reserve(&text->bytes, length);
    if (!text->torn && length)
        buffer_put(&text->bytes, bytes, length);
}

void text_puts(struct text *text, const char *string)
{
    text_put(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    char piece[PIECE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    text_puts(text, piece);
}

void text_decimal(struct text *text, uint64_t number, unsigned places)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    text_printf(text, "%" PRIu64, number / unit);
    uint64_t rest = number % unit;
    if (!rest)
        return;
    while (rest % 10 == 0) {
        rest /= 10;
        places--;
    }
    text_printf(text, ".%0*" PRIu64, (int)places, rest);
}

void text_grouped(struct text *text, uint64_t number)
{
    uint64_t unit = 1;
    while (number / unit >= 1000)
        unit *= 1000;
    text_printf(text, "%" PRIu64, number / unit);
    for (unit /= 1000; unit; unit /= 1000)
        text_printf(text, ",%03" PRIu64, number / unit % 1000);
}
