/*
 * text.h - a text that is written piece by piece. Not for several threads.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buffer.h"

#include <stdint.h>

/* All zero: empty. When memory ends, what follows is dropped, and `torn` says so. */
struct text {
    struct buffer bytes;
    bool torn;
};

void text_put(struct text *text, const char *bytes, size_t length);
void text_puts(struct text *text, const char *string);

/* At most 255 bytes, and no fractions: the locale would choose their point. */
__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);

/* `number` with the point before its last `places` digits (at most 18), without zeros at the end:
 * (1500, 3) is "1.5". */
void text_decimal(struct text *text, uint64_t number, unsigned places);

/* 1234567 as "1,234,567". */
void text_grouped(struct text *text, uint64_t number);

#endif
