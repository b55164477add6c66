/*
 * fuzz_files.c - libFuzzer target for what a file server reads of a request. An input has a line
 * each for the path, Range, Accept-Encoding (read as Accept, too), If-Match and If-None-Match, a
 * date, and the size of the representation; lines may be missing.
 *
 * Beside what the sanitizers see, it checks that
 *   - a path that is accepted has no segment by which it could leave its root;
 *   - ranges lie within the size, are no more than there may be, and ask for no more than all; what
 *     they say in other words gives the same again;
 *   - weights are those of a field, and neither empty nor broken members change them;
 *   - what matches strongly matches weakly, and If-Range holds only for a tag that If-Match names;
 *   - a date that is read is written as it was read, and the conditions agree with its order.
 *
 * Every line is copied into memory of exactly its size, so that the address sanitizer sees each
 * byte that is read too much. See README.md beside this file.
 */
#include "handlers/file_path.h"
#include "http/accept.h"
#include "http/conditions.h"
#include "http/date.h"
#include "http/ranges.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define YEAR_10000 INT64_C(253402300800)

static const time_t now_s = 1795323600; /* in 2026 */

static struct http_text exact_copy(const char *bytes, size_t length)
{
    /* Also of no bytes, none of which may be read. */
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
    char *copy = malloc(length);
    CHECK(copy || length == 0);
    if (length)
        memcpy(copy, bytes, length);
    return (struct http_text){copy, length};
}

/* The next line, for the caller to free. */
static struct http_text take_line(struct http_text *rest)
{
    const char *end = rest->length ? memchr(rest->bytes, '\n', rest->length) : NULL;
    size_t length = end ? (size_t)(end - rest->bytes) : rest->length;
    struct http_text line = exact_copy(rest->bytes, length);
    size_t passed = end ? length + 1 : length;
    if (passed)
        *rest = (struct http_text){rest->bytes + passed, rest->length - passed};
    return line;
}

/* `before`, the text and `after`, for the caller to free. */
static struct http_text joined(const char *before, struct http_text text, const char *after)
{
    size_t length = strlen(before) + text.length + strlen(after);
    char *bytes = malloc(length + 1);
    CHECK(bytes);
    memcpy(bytes, before, strlen(before));
    if (text.length)
        memcpy(bytes + strlen(before), text.bytes, text.length);
    memcpy(bytes + strlen(before) + text.length, after, strlen(after) + 1);
    return (struct http_text){bytes, length};
}

static void release(struct http_text text)
{
    free((char *)text.bytes);
}

/* --- the path --- */

/* None by which a file outside the root could be reached. */
static void check_segments(const char *path, bool dotfiles)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        CHECK(length > 0 && length <= FILE_NAME_BYTES);
        CHECK(path[0] != '.' || (dotfiles && length > 1 && !(path[1] == '.' && length == 2)));
        for (size_t i = 0; i < length; i++)
            CHECK((unsigned char)path[i] >= ' ' && path[i] != 0x7f && path[i] != '\\');
        CHECK(path[length] == '\0' || path[length + 1] != '\0');
        path += length + (path[length] == '/');
    }
}

static void check_path(struct http_text path)
{
    for (int dotfiles = 0; dotfiles < 2; dotfiles++) {
        struct file_path decoded;
        int status = file_path_decode(path, dotfiles, &decoded);
        CHECK(status == 0 || status == 400 || status == 404);
        if (status)
            continue;
        CHECK(decoded.length < FILE_PATH_MAX && decoded.bytes[decoded.length] == '\0');
        CHECK(strlen(decoded.bytes) == decoded.length);
        CHECK(decoded.directory == (path.bytes[path.length - 1] == '/'));
        check_segments(decoded.bytes, dotfiles);
    }
}

/* --- ranges --- */

/* What was found, asked for in other words, gives the same. */
static void check_ranges_again(const struct http_range *ranges, int count, uint64_t size)
{
    char value[HTTP_RANGES_MAX * 64] = "BYTES=,";
    size_t length = strlen(value);
    struct http_range again[HTTP_RANGES_MAX];
    for (int i = 0; i < count; i++) {
        uint64_t last = ranges[i].first + ranges[i].length - 1;
        length += (size_t)snprintf(value + length, sizeof(value) - length,
                                   "\t%" PRIu64 "-%" PRIu64 " ,", ranges[i].first, last);
    }
    struct http_text text = exact_copy(value, length);
    CHECK(http_ranges_parse(text, size, again) == count);
    for (int i = 0; i < count; i++)
        CHECK(again[i].first == ranges[i].first && again[i].length == ranges[i].length);
    release(text);
}

static void check_ranges(struct http_text value, uint64_t size)
{
    struct http_range ranges[HTTP_RANGES_MAX];
    uint64_t rest = size;
    int count = http_ranges_parse(value, size, ranges);
    CHECK(count >= 0 && (count <= HTTP_RANGES_MAX || count == 416));
    if (count == 416) {
        /* It was well-formed: with a first range that can be satisfied, that one is sent. */
        const char *set = memchr(value.bytes, '=', value.length);
        CHECK(set);
        size_t unit = (size_t)(set + 1 - value.bytes);
        struct http_text asked = {set + 1, value.length - unit};
        struct http_text more = joined("bytes=0-0,", asked, "");
        count = http_ranges_parse(more, size, ranges);
        CHECK(count == (size ? 1 : 416) || count == 0);
        release(more);
        return;
    }
    for (int i = 0; i < count; i++) {
        CHECK(ranges[i].length > 0 && ranges[i].first < size);
        CHECK(ranges[i].length <= size - ranges[i].first);
        CHECK(ranges[i].length <= rest);
        rest -= ranges[i].length;
    }
    if (count)
        check_ranges_again(ranges, count, size);
}

/* --- weights --- */

typedef int (*accept_function)(struct http_text list, const char *what);

static void check_weight(accept_function weigh, struct http_text list, const char *what)
{
    int weight = weigh(list, what);
    CHECK(weight >= HTTP_WEIGHT_NONE && weight <= HTTP_WEIGHT_MAX);
    struct http_text more = joined(", ;,\"a, b\",\"", list, "");
    CHECK(weigh(more, what) == HTTP_WEIGHT_NONE || memchr(list.bytes, '"', list.length));
    release(more);
    more = joined(", ;,\"a, b\",", list, " ,\t,");
    CHECK(weigh(more, what) == weight);
    release(more);
    /* The first of the same name. */
    struct http_text name = {what, strlen(what)};
    struct http_text first = joined("", name, ";q=0.123, ");
    more = joined(first.bytes, list, "");
    CHECK(weigh(more, what) == 123);
    release(more);
    release(first);
}

/* --- conditions --- */

static void check_tags(struct http_text field, struct http_text etag)
{
    struct http_validators validators = {etag, -1};
    struct http_conditions match = {.if_match = field};
    struct http_conditions none_match = {.if_none_match = field};
    struct http_conditions range = {.if_range = field};
    int strong = http_conditions_evaluate(&match, &validators, now_s);
    int weak = http_conditions_evaluate(&none_match, &validators, now_s);
    CHECK(strong == 0 || strong == 412);
    CHECK(weak == 0 || weak == 304);
    CHECK(strong || weak);
    /* The date is unknown. */
    CHECK(!http_conditions_allow_range(&range, &validators, now_s) || strong == 0);
    /* One more at the end, or a broken one. */
    struct http_text any = {"\"\xfe\"", 3};
    struct http_text more = joined("\"\xfe\" ,,", field, ",");
    struct http_conditions listed = {.if_match = more};
    validators.etag = any;
    bool star = field.length == 1 && field.bytes[0] == '*';
    if (weak && !star)
        CHECK(http_conditions_evaluate(&listed, &validators, now_s) == 0);
    release(more);
    more = joined("", field, ", ?");
    listed.if_match = more;
    validators.etag = etag;
    CHECK(http_conditions_evaluate(&listed, &validators, now_s) == 412);
    release(more);
}

/* The conditions on a representation that was modified at `modified_s`. */
static void check_order(struct http_text date, int64_t seconds, int64_t modified_s)
{
    struct http_validators validators = {.modified_s = modified_s};
    struct http_conditions modified = {.if_modified_since = date};
    struct http_conditions unmodified = {.if_unmodified_since = date};
    struct http_conditions range = {.if_range = date};
    bool known = modified_s >= 0;
    CHECK(http_conditions_evaluate(&modified, &validators, now_s) ==
          (known && modified_s <= seconds ? 304 : 0));
    CHECK(http_conditions_evaluate(&unmodified, &validators, now_s) ==
          (known && modified_s > seconds ? 412 : 0));
    CHECK(http_conditions_allow_range(&range, &validators, now_s) ==
          (known && modified_s == seconds && seconds < now_s));
}

/* It is what is written, in its own form or as the same moment in the first one. */
static void check_written(struct http_text date, int64_t seconds)
{
    char written[HTTP_DATE_LENGTH];
    int64_t again;
    http_date_format(written, (time_t)seconds);
    CHECK(http_date_parse((struct http_text){written, sizeof(written)}, now_s, &again));
    CHECK(again == seconds);
    bool fixdate = date.length == HTTP_DATE_LENGTH && date.bytes[3] == ',';
    bool leap_second = fixdate && date.bytes[23] == '6';
    if (fixdate && !leap_second)
        CHECK(memcmp(written + 3, date.bytes + 3, HTTP_DATE_LENGTH - 3) == 0);
}

static void check_date(struct http_text date)
{
    int64_t seconds = 0;
    struct http_text more = joined("", date, " ");
    CHECK(!http_date_parse(more, now_s, &seconds));
    release(more);
    if (!http_date_parse(date, now_s, &seconds)) {
        struct http_validators validators = {.modified_s = 1};
        struct http_conditions dates = {.if_modified_since = date, .if_unmodified_since = date};
        CHECK(http_conditions_evaluate(&dates, &validators, now_s) == 0);
        return;
    }
    CHECK(seconds <= YEAR_10000);
    if (seconds >= 0 && seconds < YEAR_10000)
        check_written(date, seconds);
    for (int64_t by = -1; by <= 1; by++)
        check_order(date, seconds, seconds + by);
}

/* --- an input --- */

/* Of digits their number, of anything else some number. */
static uint64_t size_of(struct http_text line)
{
    uint64_t size = 0;
    for (size_t i = 0; i < line.length; i++)
        size = size * 10 + (unsigned char)line.bytes[i] - '0';
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const codings[] = {"gzip", "br", "compress", "identity"};
    static const char *const types[] = {"text/html", "application/json"};
    static const struct http_text etags[] = {
        {"\"a\"", 3}, {"W/\"a\"", 5}, {"\"\"", 2}, {"\"a,b\"", 5}, {NULL, 0}};
    struct http_text rest = {(const char *)data, size};
    struct http_text path = take_line(&rest);
    struct http_text range = take_line(&rest);
    struct http_text accept = take_line(&rest);
    struct http_text tags = take_line(&rest);
    struct http_text date = take_line(&rest);
    struct http_text number = take_line(&rest);
    check_path(path);
    check_ranges(range, size_of(number));
    for (size_t i = 0; i < COUNT(codings); i++)
        check_weight(http_accept_coding, accept, codings[i]);
    for (size_t i = 0; i < COUNT(types); i++)
        check_weight(http_accept_media, accept, types[i]);
    for (size_t i = 0; i < COUNT(etags); i++)
        check_tags(tags, etags[i]);
    check_date(date);
    release(number);
    release(date);
    release(tags);
    release(accept);
    release(range);
    release(path);
    return 0;
}
