/*
 * connection_reader.c - both directions of a conversation, read slowly and without any code of the
 * server's. What is wrong in an answer ends the program.
 */
#include "connection_peer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is(struct http_text text, const char *expected)
{
    return text.length == strlen(expected) && strncasecmp(text.bytes, expected, text.length) == 0;
}

static bool begins(const char *bytes, size_t length, const char *with)
{
    return length >= strlen(with) && memcmp(bytes, with, strlen(with)) == 0;
}

/* Where the next CRLF is, from `at`; `length` when there is none. */
static size_t find_line_end(const char *bytes, size_t at, size_t length)
{
    const char *found = at < length ? memmem(bytes + at, length - at, "\r\n", 2) : NULL;
    return found ? (size_t)(found - bytes) : length;
}

/* A line "name: value" in two; without a colon, no name. */
static struct http_text split(const char *line, size_t length, struct http_text *value)
{
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return *value = (struct http_text){line, 0};
    const char *from = colon + 1;
    const char *to = line + length;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    *value = (struct http_text){from, (size_t)(to - from)};
    return (struct http_text){line, (size_t)(colon - line)};
}

/* 1*DIGIT that fits: false otherwise. */
static bool read_number(struct http_text text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (!isdigit((unsigned char)text.bytes[i]) || *number > UINT64_MAX / 100)
            return false;
        *number = *number * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    return text.length > 0;
}

/* The size at the beginning of a chunk's line; false without one. */
static bool read_size(const char *line, size_t length, size_t *digits, uint64_t *size)
{
    *size = 0;
    for (*digits = 0; *digits < length && isxdigit((unsigned char)line[*digits]); ++*digits) {
        char digit[2] = {line[*digits], '\0'};
        if (*size > UINT64_MAX / 32)
            return false;
        *size = *size * 16 + strtoul(digit, NULL, 16);
    }
    return *digits > 0;
}

/* --- requests --- */

struct framing {
    unsigned lengths;
    unsigned codings;
    uint64_t length;
};

static void take_request_field(struct seen_request *request, struct framing *framing,
                               struct http_text name, struct http_text value)
{
    if (is(name, "content-length")) {
        framing->lengths++;
        request->must_refuse |= !read_number(value, &framing->length);
    } else if (is(name, "transfer-encoding")) {
        framing->codings++;
        request->must_refuse |= !is(value, "chunked");
    } else if (is(name, "expect")) {
        request->expects_continue = true;
    } else if (name.length == 0 || isspace((unsigned char)name.bytes[name.length - 1])) {
        request->must_refuse = true;
    }
}

/* Returns the end of the head, or 0 when there is none. */
static size_t read_request_head(struct seen_request *request, struct framing *framing,
                                const char *bytes, size_t at, size_t length)
{
    size_t end = find_line_end(bytes, at, length);
    request->is_head = begins(bytes + at, length - at, "HEAD ");
    if (end == length)
        return 0;
    size_t line = end - at;
    request->is_http_1_0 = line > 8 && memcmp(bytes + end - 8, "HTTP/1.0", 8) == 0;
    const char *space = memchr(bytes + at, ' ', line);
    request->target = space ? space + 1 : bytes + end;
    while (request->target[request->target_length] != ' ' &&
           request->target[request->target_length] != '\r')
        request->target_length++;
    for (at = end + 2; at < length; at = end + 2) {
        end = find_line_end(bytes, at, length);
        if (end == at)
            break;
        struct http_text value;
        struct http_text name = split(bytes + at, end - at, &value);
        take_request_field(request, framing, name, value);
    }
    if (at >= length || end != at)
        return 0;
    request->chunked = framing->codings > 0;
    request->must_refuse |= framing->lengths > 1 || framing->codings > 1 ||
                            (framing->codings && (framing->lengths || request->is_http_1_0));
    return at + 2;
}

/* Returns the end of the trailer section, or 0. */
static size_t read_trailers(struct seen_request *request, const char *bytes, size_t at,
                            size_t length)
{
    size_t end;
    while ((end = find_line_end(bytes, at, length)) < length) {
        if (end == at)
            return at + 2;
        request->doubtful = true; /* it may be one that is not allowed */
        at = end + 2;
    }
    return 0;
}

/* Returns the end of the body, or 0; what is decoded goes to `to`. */
static size_t read_chunks(struct seen_request *request, const char *bytes, size_t at, size_t length,
                          char *to)
{
    for (;;) {
        uint64_t size;
        size_t digits;
        size_t end = find_line_end(bytes, at, length);
        if (end == length || !read_size(bytes + at, end - at, &digits, &size))
            return 0;
        request->doubtful |= digits != end - at; /* extensions */
        at = end + 2;
        if (size == 0)
            return read_trailers(request, bytes, at, length);
        if (request->body_length + size > BODY_MAX)
            return 0;
        size_t there = size < length - at ? (size_t)size : length - at;
        memcpy(to + request->body_length, bytes + at, there);
        request->body_length += there;
        at += there;
        if (!begins(bytes + at, length - at, "\r\n"))
            return 0;
        at += 2;
    }
}

/* Returns the end of the request that begins at `at`, or 0 when it is not complete. */
static size_t read_request(struct seen_request *request, const char *bytes, size_t at,
                           size_t length, char *to)
{
    struct framing framing = {0};
    size_t end = read_request_head(request, &framing, bytes, at, length);
    if (!end || request->must_refuse)
        return 0;
    request->body = to;
    if (request->chunked)
        return read_chunks(request, bytes, end, length, to);
    size_t there = framing.length < length - end ? (size_t)framing.length : length - end;
    memcpy(to, bytes + end, there);
    request->body_length = there;
    return there < framing.length ? 0 : end + there;
}

void said_read(struct said *said, const char *bytes, size_t length, char *bodies)
{
    size_t at = 0;
    said->count = said->complete = 0;
    said->certain = SIZE_MAX;
    bool certain = true;
    while (said->count < REQUESTS_MAX) {
        unsigned empty_lines = 0;
        for (; begins(bytes + at, length - at, "\r\n"); at += 2)
            empty_lines++;
        /* Of more than one, how many are read at once decides. */
        if (empty_lines > 1 && said->certain == SIZE_MAX)
            said->certain = said->count;
        struct seen_request *request = &said->requests[said->count];
        *request = (struct seen_request){0};
        said->count += at == length && empty_lines; /* may be where one begins */
        if (at == length)
            return;
        said->count++;
        size_t end = read_request(request, bytes, at, length, bodies);
        if (!end)
            return;
        certain &= !request->doubtful;
        request->complete = true;
        said->complete += certain;
        bodies += request->body_length;
        at = end;
    }
}

/* --- answers --- */

struct answer {
    unsigned status;
    unsigned dates;
    unsigned lengths;
    unsigned codings;
    unsigned connections;
    uint64_t length;
    bool closes;
    bool echoes;
    struct http_text seen;
    struct http_text pattern;
    char *body; /* decoded */
    size_t body_length;
};

static void check_field(struct http_text name, struct http_text value)
{
    CHECK(name.length > 0);
    for (size_t i = 0; i < name.length; i++)
        CHECK(isalnum((unsigned char)name.bytes[i]) || name.bytes[i] == '-');
    CHECK(value.bytes == name.bytes + name.length + 2); /* ": " */
    for (size_t i = 0; i < value.length; i++)
        CHECK((unsigned char)value.bytes[i] >= ' ' && value.bytes[i] != 0x7f);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": the shape, which is what a reader goes by. */
static void check_date(struct http_text value)
{
    static const char shape[] = "Aaa, 00 Aaa 0000 00:00:00 GMT";
    CHECK(value.length == strlen(shape));
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        if (shape[i] == 'A')
            CHECK(isupper(byte));
        else if (shape[i] == 'a')
            CHECK(islower(byte));
        else if (shape[i] == '0')
            CHECK(isdigit(byte));
        else
            CHECK(byte == (unsigned char)shape[i]);
    }
}

static void take_field(struct answer *answer, struct http_text name, struct http_text value)
{
    check_field(name, value);
    if (is(name, "date")) {
        answer->dates++;
        check_date(value);
    } else if (is(name, "content-length")) {
        answer->lengths++;
        CHECK(read_number(value, &answer->length));
    } else if (is(name, "transfer-encoding")) {
        answer->codings++;
        CHECK(is(value, "chunked"));
    } else if (is(name, "connection")) {
        answer->connections++;
        answer->closes = is(value, "close");
        CHECK(answer->closes || is(value, "keep-alive"));
    } else if (is(name, "seen")) {
        answer->seen = value;
    } else if (is(name, "pattern")) {
        answer->pattern = value;
    } else if (is(name, "echo")) {
        answer->echoes = true;
    }
}

static void check_status_line(struct answer *answer, const char *line, size_t length)
{
    CHECK(length >= strlen("HTTP/1.1 200 ") && begins(line, length, "HTTP/1.1 "));
    for (size_t i = 9; i < 12; i++) {
        CHECK(isdigit((unsigned char)line[i]));
        answer->status = answer->status * 10 + (unsigned)(line[i] - '0');
    }
    CHECK(line[12] == ' ' && answer->status >= 200 && answer->status <= 599);
    for (size_t i = 13; i < length; i++)
        CHECK(line[i] >= ' ' && line[i] < 0x7f);
}

/* Returns the end of the head, or 0 when it is not complete. */
static size_t read_head(struct answer *answer, const char *bytes, size_t at, size_t length)
{
    size_t end = find_line_end(bytes, at, length);
    if (end == length)
        return 0;
    check_status_line(answer, bytes + at, end - at);
    for (at = end + 2; (end = find_line_end(bytes, at, length)) < length; at = end + 2) {
        if (end == at)
            return at + 2;
        struct http_text value;
        struct http_text name = split(bytes + at, end - at, &value);
        take_field(answer, name, value);
    }
    return 0;
}

/* The chunked body, decoded in `answer->body`; returns its end, or 0. */
static size_t read_answer_chunks(struct answer *answer, const char *bytes, size_t at, size_t length)
{
    for (;;) {
        uint64_t size;
        size_t digits;
        size_t end = find_line_end(bytes, at, length);
        if (end == length)
            return 0;
        CHECK(read_size(bytes + at, end - at, &digits, &size) && digits == end - at);
        at = end + 2;
        if (size == 0)
            break;
        if (size > length - at || length - at - size < 2)
            return 0;
        memcpy(answer->body + answer->body_length, bytes + at, size);
        answer->body_length += size;
        at += size + 2;
        CHECK(begins(bytes + at - 2, 2, "\r\n"));
    }
    size_t end;
    for (; (end = find_line_end(bytes, at, length)) < length; at = end + 2) {
        if (end == at)
            return at + 2;
        struct http_text value;
        struct http_text name = split(bytes + at, end - at, &value);
        check_field(name, value);
        CHECK(is(name, "echoed") || is(name, "ticks"));
    }
    return 0;
}

static void check_head(const struct answer *answer, const struct seen_request *request)
{
    bool bare = answer->status == 204 || answer->status == 304;
    CHECK(answer->dates == 1 && answer->connections <= 1);
    CHECK(answer->lengths + answer->codings <= 1);
    CHECK(!bare || answer->lengths + answer->codings == 0);
    CHECK(!request->is_http_1_0 || !answer->codings);
    CHECK(bare || answer->lengths || answer->codings || answer->closes ||
          (request->is_head && answer->status < 400));
    CHECK(!request->must_refuse || (answer->status >= 400 && answer->closes));
}

/* Returns the end of the body, or 0 when it is not complete. */
static size_t read_body(struct answer *answer, const struct seen_request *request,
                        const char *bytes, size_t at, size_t length, bool ended)
{
    /* What is too slow may not have said yet that it is HEAD. */
    bool is_head = request->is_head && (answer->status != 408 || at == length);
    if (is_head || answer->status == 204 || answer->status == 304)
        return at;
    CHECK(answer->status != 205 || (answer->lengths && answer->length == 0));
    if (answer->codings)
        return read_answer_chunks(answer, bytes, at, length);
    if (!answer->lengths)
        answer->length = length - at;
    size_t there = answer->length < length - at ? (size_t)answer->length : length - at;
    memcpy(answer->body, bytes + at, there);
    answer->body_length = there;
    if (there < answer->length || (!answer->lengths && !ended))
        return 0;
    return at + there;
}

static void check_content(const struct answer *answer, const struct seen_request *request,
                          bool complete)
{
    if (answer->seen.bytes) {
        CHECK(answer->seen.length == request->target_length);
        CHECK(memcmp(answer->seen.bytes, request->target, request->target_length) == 0);
    }
    if (request->is_head || answer->status != 200)
        return;
    if (answer->echoes) {
        CHECK(answer->body_length <= request->body_length);
        CHECK(!complete || answer->body_length == request->body_length);
        CHECK(!answer->body_length ||
              memcmp(answer->body, request->body, answer->body_length) == 0);
    }
    uint64_t from = 0, size = 0;
    const char *space =
        !answer->pattern.bytes ? NULL : memchr(answer->pattern.bytes, ' ', answer->pattern.length);
    if (space) {
        size_t digits = (size_t)(space - answer->pattern.bytes);
        CHECK(read_number((struct http_text){answer->pattern.bytes, digits}, &from));
        CHECK(
            read_number((struct http_text){space + 1, answer->pattern.length - digits - 1}, &size));
        CHECK(complete ? answer->body_length == size : answer->body_length <= size);
        for (size_t i = 0; i < answer->body_length; i++)
            CHECK(answer->body[i] == handlers_byte(from + i));
    }
}

void answered_read(struct answered *answered, const struct said *said, const char *bytes,
                   size_t length, bool ended)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char *body = malloc(length + 1);
    bool has_gone_on = false;
    size_t at = 0;
    CHECK(body);
    *answered = (struct answered){0};
    while (at < length && answered->finals < said->certain) {
        CHECK(!answered->closes && answered->finals < said->count);
        const struct seen_request *request = &said->requests[answered->finals];
        if (begins(bytes + at, length - at, go_on)) {
            CHECK(request->expects_continue && !has_gone_on && !request->is_http_1_0);
            has_gone_on = true;
            at += strlen(go_on);
            continue;
        }
        answered->partial =
            length - at < strlen(go_on) && memcmp(bytes + at, go_on, length - at) == 0;
        if (answered->partial)
            break;
        struct answer answer = {.body = body};
        size_t end = read_head(&answer, bytes, at, length);
        if (end) {
            check_head(&answer, request);
            end = read_body(&answer, request, bytes, end, length, ended);
            /* One that goes on to the end may have been broken off. */
            check_content(&answer, request, end > 0 && answer.lengths + answer.codings);
        }
        answered->partial = !end;
        if (!end)
            break;
        answered->finals++;
        answered->errors += answer.status >= 400;
        answered->closes = answer.closes;
        has_gone_on = false;
        at = end;
    }
    free(body);
}
