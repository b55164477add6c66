#include "http/ranges.h"

#include "http/grammar.h"
#include "http/request.h"

/* range-spec (RFC 9110 section 14.1.1) */
struct spec {
    uint64_t first; /* of a suffix: its length */
    uint64_t last;  /* UINT64_MAX: open */
    bool suffix;
};

enum { OVERLAPPING_MAX = 2 };

/* 1*DIGIT that fits. */
static bool take_number(struct http_reader *reader, uint64_t *number)
{
    int digit = http_take_digit(reader);
    if (digit < 0)
        return false;
    *number = (uint64_t)digit;
    while ((digit = http_take_digit(reader)) >= 0) {
        if (*number > (UINT64_MAX - (unsigned)digit) / 10)
            return false;
        *number = *number * 10 + (unsigned)digit;
    }
    return true;
}

static bool take_spec(struct http_reader *reader, struct spec *spec)
{
    *spec = (struct spec){.last = UINT64_MAX, .suffix = http_take(reader, '-')};
    if (!take_number(reader, &spec->first))
        return false;
    if (spec->suffix)
        return true;
    if (!http_take(reader, '-'))
        return false;
    int next = http_peek(reader);
    bool open = next < '0' || next > '9';
    return open || (take_number(reader, &spec->last) && spec->first <= spec->last);
}

/* Everything up to the range-set. Units are case-insensitive (RFC 9110 section 14.1). */
static bool take_bytes_unit(struct http_reader *reader)
{
    return http_take_token(reader) && http_text_is(http_taken(reader, 0), "bytes") &&
           http_take(reader, '=');
}

/* The bytes that the range stands for; none when it cannot be satisfied. */
static struct http_range range_of(const struct spec *spec, uint64_t size)
{
    if (spec->suffix) {
        uint64_t length = spec->first < size ? spec->first : size;
        return (struct http_range){size - length, length};
    }
    if (spec->first >= size)
        return (struct http_range){0, 0};
    uint64_t last = spec->last < size ? spec->last : size - 1;
    return (struct http_range){spec->first, last - spec->first + 1};
}

static bool overlap(const struct http_range *one, const struct http_range *other)
{
    return one->first <= other->first ? other->first - one->first < one->length
                                      : one->first - other->first < other->length;
}

/* What only an attack, or a client that is broken, asks for (RFC 9110 section 17.15). */
static bool is_wasteful(const struct http_range *ranges, int count, uint64_t size)
{
    int overlapping = 0;
    for (int i = 0; i < count; i++) {
        bool overlaps = false;
        for (int k = 0; k < count; k++)
            overlaps = overlaps || (k != i && overlap(&ranges[i], &ranges[k]));
        overlapping += overlaps;
        if (ranges[i].length > size)
            return true;
        size -= ranges[i].length;
    }
    return overlapping > OVERLAPPING_MAX;
}

int http_ranges_parse(struct http_text value, uint64_t size,
                      struct http_range ranges[HTTP_RANGES_MAX])
{
    struct http_reader reader = http_reader_of(value);
    int asked = 0;
    int count = 0;
    bool all_of_nothing = false; /* a suffix of no bytes: no Content-Range says that */
    if (!take_bytes_unit(&reader))
        return 0;
    while (http_next_member(&reader)) {
        struct spec spec;
        if (asked++ == HTTP_RANGES_MAX || !take_spec(&reader, &spec) || !http_member_ends(&reader))
            return 0;
        all_of_nothing |= size == 0 && spec.suffix && spec.first > 0;
        ranges[count] = range_of(&spec, size);
        count += ranges[count].length > 0;
    }
    if (asked == 0 || all_of_nothing || is_wasteful(ranges, count, size))
        return 0;
    return count ? count : 416;
}
