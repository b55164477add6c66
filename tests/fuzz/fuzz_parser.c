/*
 * fuzz_parser.c - libFuzzer target for http_parse_request() and the byte scanners under it.
 *
 * Beside what the sanitizers see, it checks that
 *   - the result is a length inside the input, 0, or the negated status of an error;
 *   - all scanners that this CPU supports agree with the portable one;
 *   - an accepted head is one by a second, much simpler reading of the RFC, in particular about
 *     where it ends, how its body is framed and whom it is for;
 *   - no part of an accepted head is accepted or refused, and nothing after the head matters;
 *   - what is refused stays refused when more arrives.
 *
 * Every input is copied into memory of exactly its size, so that the address sanitizer sees each
 * byte that is read too much. See README.md beside this file.
 */
#include "http/parser.h"
#include "http/scan.h"

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

/* Small ones bring their errors within the fuzzer's reach. */
static const struct http_limits small = {
    .head_bytes = 160, .target_bytes = 24, .field_count = 4, .body_bytes = 9};

static char *exact_copy(const char *bytes, size_t length)
{
    /* Also of no bytes, none of which may be read. */
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
    char *copy = malloc(length);
    CHECK(copy || length == 0);
    if (length)
        memcpy(copy, bytes, length);
    return copy;
}

static int parse_copy(const char *bytes, size_t length, const struct http_limits *limits)
{
    struct http_request request;
    char *copy = exact_copy(bytes, length);
    int result = http_parse_request(copy, length, limits, &request);
    free(copy);
    return result;
}

static bool is_known_error(int result)
{
    static const int errors[] = {-400, -413, -414, -417, -421, -431, -501, -505};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (result == errors[i])
            return true;
    }
    return false;
}

/* --- scanners --- */

static void check_same_marks(const struct http_scan *a, const struct http_scan *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct http_marks *in_a = &a->words[i / 64];
        const struct http_marks *in_b = &b->words[i / 64];
        CHECK(((in_a->cr ^ in_b->cr) >> i % 64 & 1) == 0);
        CHECK(((in_a->not_token ^ in_b->not_token) >> i % 64 & 1) == 0);
    }
}

static void check_scanners(const char *bytes, size_t length)
{
    static struct http_scan expected_marks;
    static struct http_scan marks;
    const struct http_scanner *portable = http_scanners;
    while (portable[1].name)
        portable++;
    int expected = portable->scan(bytes, length, &expected_marks);
    CHECK(expected >= HTTP_SCAN_MALFORMED && expected <= HTTP_HEAD_MAX);
    CHECK(expected <= 0 || (size_t)expected <= length);
    for (const struct http_scanner *scanner = http_scanners; scanner->name; scanner++) {
        if (!scanner->supported())
            continue;
        CHECK(scanner->scan(bytes, length, &marks) == expected);
        if (expected > 0)
            check_same_marks(&expected_marks, &marks, (size_t)expected - 1);
    }
}

/* --- an accepted head, read a second time --- */

static bool is_token(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)bytes[i]) &&
            (!bytes[i] || !strchr("!#$%&'*+-.^_`|~", bytes[i])))
            return false;
    }
    return length > 0;
}

static bool is_named(struct http_text name, const char *expected)
{
    return name.length == strlen(expected) && strncasecmp(name.bytes, expected, name.length) == 0;
}

/* The length of the line without its CRLF; no other CR, LF or NUL is in it. */
static size_t line_length(const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && !strchr("\r\n", bytes[i])) /* finds NUL too */
        i++;
    CHECK(i + 2 <= length && memcmp(bytes + i, "\r\n", 2) == 0);
    return i;
}

static void check_request_line(const struct http_request *request, const char *line, size_t length)
{
    struct http_text method = http_request_method(request);
    struct http_text target = http_request_text(request, request->target);
    CHECK(method.bytes == line && is_token(method.bytes, method.length));
    CHECK(!http_request_method_is(request, "CONNECT") && !http_request_method_is(request, "TRACE"));
    CHECK(target.bytes == line + method.length + 1 && target.length > 0);
    CHECK(length == method.length + 1 + target.length + 1 + strlen("HTTP/1.1"));
    CHECK(line[method.length] == ' ' && target.bytes[target.length] == ' ');
    CHECK(memcmp(target.bytes + target.length + 1, "HTTP/1.", 7) == 0);
    CHECK(request->version_minor == (line[length - 1] > '0'));
    for (size_t i = 0; i < target.length; i++)
        CHECK(target.bytes[i] > ' ' && target.bytes[i] < 0x7f && target.bytes[i] != '#');
    struct http_text path = http_request_path(request);
    struct http_text query = http_request_query(request);
    CHECK(path.length > 0 && path.length <= target.length);
    CHECK(!memchr(path.bytes, '?', path.length));
    CHECK(!query.bytes || query.bytes + query.length == target.bytes + target.length);
}

static void check_field(const struct http_request *request, const struct http_field *field,
                        const char *line, size_t length)
{
    struct http_text name = http_request_text(request, field->name);
    struct http_text value = http_request_text(request, field->value);
    CHECK(name.bytes == line && is_token(name.bytes, name.length));
    CHECK(name.bytes[name.length] == ':');
    CHECK(value.bytes > name.bytes + name.length && value.bytes + value.length <= line + length);
    for (const char *at = name.bytes + name.length + 1; at < line + length; at++)
        CHECK((at >= value.bytes && at < value.bytes + value.length) || *at == ' ' || *at == '\t');
    if (value.length) {
        CHECK(!strchr(" \t", value.bytes[0]));
        CHECK(!strchr(" \t", value.bytes[value.length - 1]));
    }
}

/* Of "http://authority/path"; no bytes for the other forms. */
static struct http_text target_authority(const struct http_request *request)
{
    struct http_text target = http_request_text(request, request->target);
    if (target.bytes[0] == '/' || target.bytes[0] == '*')
        return (struct http_text){NULL, 0};
    /* Not strndup(): the sanitizer's strict_string_checks wants an end behind the target. */
    char *copy = calloc(1, target.length + 1);
    CHECK(copy);
    memcpy(copy, target.bytes, target.length);
    CHECK(strstr(copy, "://"));
    size_t from = (size_t)(strstr(copy, "://") + 3 - copy);
    struct http_text authority = {target.bytes + from, strcspn(copy + from, "/?")};
    free(copy);
    return authority;
}

/* What makes two readers disagree about where the next request begins, or whom it is for. */
static void check_framing(const struct http_request *request)
{
    unsigned hosts = 0;
    unsigned lengths = 0;
    unsigned codings = 0;
    uint64_t content_length = 0;
    struct http_text host = target_authority(request);
    for (unsigned i = 0; i < request->field_count; i++) {
        struct http_text name = http_request_text(request, request->fields[i].name);
        struct http_text value = http_request_text(request, request->fields[i].value);
        if (is_named(name, "Transfer-Encoding")) {
            codings++;
            CHECK(is_named(value, "chunked"));
        }
        if (is_named(name, "Host")) {
            hosts++;
            if (!host.bytes)
                host = value;
        }
        if (is_named(name, "Content-Length")) {
            lengths++;
            CHECK(value.length > 0 && value.length < 20);
            for (size_t digit = 0; digit < value.length; digit++)
                CHECK(value.bytes[digit] >= '0' && value.bytes[digit] <= '9');
            content_length = strtoull(value.bytes, NULL, 10);
        }
    }
    CHECK(hosts <= 1 && (hosts == 1 || request->version_minor == 0));
    CHECK(lengths <= 1 && request->content_length == content_length);
    CHECK(codings <= 1 && request->chunked == (codings == 1));
    CHECK(codings == 0 || (lengths == 0 && request->version_minor == 1));
    CHECK(request->has_host == (host.bytes != NULL));
    if (request->has_host) {
        struct http_text found = http_request_text(request, request->host);
        CHECK(found.bytes == host.bytes && found.length == host.length);
    }
}

static void check_accepted(const char *bytes, size_t head, const struct http_limits *limits,
                           const struct http_request *request)
{
    size_t at = memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;
    CHECK(request->head == bytes + at && head - at <= limits->head_bytes);
    size_t length = line_length(bytes + at, head - at);
    check_request_line(request, bytes + at, length);
    at += length + 2;
    for (unsigned i = 0; i < request->field_count; i++) {
        length = line_length(bytes + at, head - at);
        check_field(request, &request->fields[i], bytes + at, length);
        at += length + 2;
    }
    CHECK(line_length(bytes + at, head - at) == 0 && at + 2 == head);
    CHECK(request->target.length <= limits->target_bytes);
    CHECK(request->field_count <= limits->field_count);
    CHECK(request->content_length <= limits->body_bytes);
    check_framing(request);
}

/* --- cut and continued --- */

enum { PARTS_MAX = 48 };

static void check_parts(const char *bytes, size_t head, const struct http_limits *limits)
{
    for (size_t part = 0; part < head; part += 1 + head / PARTS_MAX)
        CHECK(parse_copy(bytes, part, limits) == 0);
    CHECK(parse_copy(bytes, head - 1, limits) == 0);
    CHECK(parse_copy(bytes, head, limits) == (int)head);
}

static void check_stays_refused(const char *bytes, size_t length, const struct http_limits *limits)
{
    static const char more[] = "\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    for (size_t count = 1; count < sizeof(more); count += 3) {
        char *longer = malloc(length + count);
        CHECK(longer);
        memcpy(longer, bytes, length);
        memcpy(longer + length, more, count);
        CHECK(parse_copy(longer, length + count, limits) < 0);
        free(longer);
    }
}

static void check_with(const char *bytes, size_t length, const struct http_limits *limits)
{
    struct http_request request;
    memset(&request, 0xa5, sizeof(request));
    int result = http_parse_request(bytes, length, limits, &request);
    if (result > 0) {
        CHECK((size_t)result <= length);
        check_accepted(bytes, (size_t)result, limits, &request);
        check_parts(bytes, (size_t)result, limits);
    } else if (result < 0) {
        CHECK(is_known_error(result));
        check_stays_refused(bytes, length, limits);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = exact_copy((const char *)data, size);
    check_scanners(bytes, size);
    check_with(bytes, size, &http_limits_default);
    check_with(bytes, size, &small);
    free(bytes);
    return 0;
}
