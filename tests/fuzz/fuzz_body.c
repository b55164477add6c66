/*
 * fuzz_body.c - libFuzzer target for src/http/body.c and trailers.c: chunked bodies.
 *
 * The first four bytes of an input say how the others arrive: each is the size of a piece (its low
 * five bits and one more), again from the first when all had their turn. Beside what the sanitizers
 * see, it checks that
 *   - the pieces give what the whole gives: data, trailers, end, or the same error;
 *   - an accepted body is one by a second, much simpler reading of the RFC;
 *   - no part of an accepted body is accepted or refused, and what follows it does not matter.
 *
 * Bytes are read between two unreadable pages. See README.md beside this file.
 */
#include "body_support.h"
#include "http/trailers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

enum { SIZES = 4, WHOLE_SIZE = 1 << 20 };

/* Small ones bring their errors within the fuzzer's reach. */
static const struct http_limits small = {
    .head_bytes = 64, .target_bytes = 24, .field_count = 2, .body_bytes = 40};

static const struct http_limits none = {
    .head_bytes = 4096, .target_bytes = 24, .field_count = 50, .body_bytes = UINT64_MAX};

static struct reading read_whole(const char *bytes, size_t length, const struct http_limits *limits)
{
    static const size_t whole = WHOLE_SIZE;
    struct http_request request = chunked_request();
    return read_body(&request, bytes, length, limits, &whole, 1, SIZE_MAX);
}

/* --- an accepted body, read a second time --- */

/* The length of the line without its CRLF; no other CR, LF or NUL is in it. */
static size_t line_length(const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && !strchr("\r\n", bytes[i])) /* finds NUL too */
        i++;
    CHECK(i + 2 <= length && memcmp(bytes + i, "\r\n", 2) == 0);
    return i;
}

/* A size, then nothing or what may be an extension: its strings have balanced quotes. */
static size_t read_size(const char *line, size_t length)
{
    size_t digits = 0;
    size_t quotes = 0;
    CHECK(length <= HTTP_CHUNK_LINE_MAX);
    while (digits < length && isxdigit((unsigned char)line[digits]))
        digits++;
    CHECK(digits > 0 && digits <= 16);
    size_t after = digits;
    while (after < length && strchr(" \t", line[after]))
        after++;
    CHECK(after == length ? after == digits : line[after] == ';');
    for (size_t i = after; i < length; i++) {
        CHECK((unsigned char)line[i] >= ' ' || line[i] == '\t');
        CHECK(line[i] != 0x7f);
        if (line[i] == '\\' && quotes % 2)
            i++;
        else
            quotes += line[i] == '"';
    }
    CHECK(quotes % 2 == 0);
    return (size_t)strtoull(line, NULL, 16);
}

static void check_trailer(const char *line, size_t length, struct http_text section)
{
    static const char *const forbidden[] = {"Content-Length", "Transfer-Encoding", "Host",
                                            "Trailer",        "Connection",        "TE"};
    size_t name_length = 0;
    while (name_length < length && (isalnum((unsigned char)line[name_length]) ||
                                    strchr("!#$%&'*+-.^_`|~", line[name_length])))
        name_length++;
    CHECK(name_length > 0 && name_length < length && line[name_length] == ':');
    /* Not strndup(): the sanitizer's strict_string_checks wants an end behind the name. */
    char *name = calloc(1, name_length + 1);
    CHECK(name);
    memcpy(name, line, name_length);
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        CHECK(strcasecmp(name, forbidden[i]) != 0);
    struct http_text value = http_trailers_find(section, name);
    CHECK(value.bytes > section.bytes &&
          value.bytes + value.length < section.bytes + section.length);
    free(name);
}

/* Chunks, then trailers, then the end, and all of it what `reading` has. */
static void check_ended(const char *bytes, size_t length, const struct reading *reading)
{
    size_t at = 0;
    size_t data = 0;
    size_t line;
    size_t size;
    do {
        line = line_length(bytes + at, length - at);
        size = read_size(bytes + at, line);
        at += line + 2;
        if (size == 0)
            break;
        CHECK(size <= length - at && data + size <= reading->data->len);
        CHECK(memcmp(reading->data->str + data, bytes + at, size) == 0);
        data += size;
        at += size;
        CHECK(line_length(bytes + at, length - at) == 0);
        at += 2;
    } while (size);
    CHECK(data == reading->data->len && data == reading->total);
    struct http_text section = {bytes + at, reading->trailers->len};
    CHECK(section.length <= length - at);
    CHECK(memcmp(section.bytes, reading->trailers->str, section.length) == 0);
    while ((line = line_length(bytes + at, length - at)) > 0) {
        check_trailer(bytes + at, line, section);
        at += line + 2;
    }
    CHECK(section.bytes + section.length == bytes + at);
    CHECK(at + 2 == reading->consumed);
}

/* --- cut and continued --- */

static void check_same(const struct reading *a, const struct reading *b)
{
    CHECK(a->status == b->status);
    CHECK(g_string_equal(a->data, b->data) && g_string_equal(a->trailers, b->trailers));
    CHECK(a->status < 0 || (a->consumed == b->consumed && a->total == b->total));
}

static int status_of(const char *bytes, size_t length, const struct http_limits *limits)
{
    struct reading reading = read_whole(bytes, length, limits);
    reading_free(&reading);
    return reading.status;
}

static void check_parts(const char *bytes, size_t end, const struct http_limits *limits)
{
    for (size_t part = 0; part < end; part += 1 + end / 16)
        CHECK(status_of(bytes, part, limits) == READING_UNFINISHED);
    CHECK(status_of(bytes, end - 1, limits) == READING_UNFINISHED);
    CHECK(status_of(bytes, end, limits) == READING_ENDED);
}

static void check_with(const size_t *sizes, const char *bytes, size_t length,
                       const struct http_limits *limits)
{
    struct http_request request = chunked_request();
    struct reading whole = read_whole(bytes, length, limits);
    struct reading pieces = read_body(&request, bytes, length, limits, sizes, SIZES, sizes[0]);
    check_same(&whole, &pieces);
    CHECK(whole.status >= 0 || whole.status == -400 || whole.status == -413 ||
          whole.status == -431);
    if (whole.status == READING_ENDED) {
        check_ended(bytes, length, &whole);
        check_parts(bytes, whole.consumed, limits);
    }
    reading_free(&whole);
    reading_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sizes[SIZES];
    if (size < SIZES || size > WHOLE_SIZE / 8)
        return 0;
    for (size_t i = 0; i < SIZES; i++)
        sizes[i] = (data[i] & 31U) + 1;
    const char *bytes = (const char *)data + SIZES;
    check_with(sizes, bytes, size - SIZES, &http_limits_default);
    check_with(sizes, bytes, size - SIZES, &small);
    check_with(sizes, bytes, size - SIZES, &none);
    return 0;
}
