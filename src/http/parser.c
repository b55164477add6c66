/*
 * The second pass: scan.c has found the end of the head and marked its bytes, so every search below
 * ends inside the head without looking at lengths.
 */
#include "http/parser.h"

#include "http/scan.h"

#include <ctype.h>
#include <string.h>

const struct http_limits http_limits_default = {
    .head_bytes = HTTP_HEAD_MAX,
    .target_bytes = 8192,
    .field_count = HTTP_FIELDS_MAX,
    .body_bytes = 1 << 20,
};

/* What the fields say about framing; collected on the way, judged at the end. */
struct framing {
    unsigned hosts;
    unsigned content_lengths;
    unsigned transfer_encodings;
    bool chunked;
    bool close;
    bool keep_alive;
};

struct parse {
    const char *bytes;
    const struct http_scan *scan;
    const struct http_limits *limits;
    struct http_request *request;
    struct framing framing;
};

enum {
    METHOD_MAX = 54, /* bytes; the longest registered method has 17 */
    LINE_FRAME = METHOD_MAX + sizeof("  HTTP/1.1") - 1, /* of a request line beside its target */
};

/* The place of the first byte at or after `from` that is no tchar. There is one: the head ends in
 * CRLF. */
static inline size_t token_end(const struct http_scan *scan, size_t from)
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
struct lines {
    const struct http_marks *marks;
    size_t at;   /* place of the word's first byte */
    uint64_t cr; /* of the word, what is left of it */
};

static inline size_t next_line_end(struct lines *lines)
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

static inline struct http_span span(size_t from, size_t to)
{
    return (struct http_span){(uint16_t)from, (uint16_t)(to - from)};
}

/* Whether `length` bytes are `lower`, which is in lower case and of letters and hyphens only. Word
 * by word, because this is asked of every field: setting bit 5 makes a letter lower-case, and turns
 * no other byte that scan.c lets through into a letter or a hyphen. `length` is a constant of at
 * least 4. */
static inline bool equals_lower(const char *bytes, const char *lower, size_t length)
{
    const uint64_t bit_5 = UINT64_C(0x2020202020202020);
    const size_t word = length < 8 ? 4 : 8;
    for (size_t at = 0; at < length; at += word) {
        size_t from = at + word <= length ? at : length - word; /* the last one may overlap */
        uint64_t a = 0;
        uint64_t b = 0;
        memcpy(&a, bytes + from, word);
        memcpy(&b, lower + from, word);
        if ((a | bit_5) != (b | bit_5))
            return false;
    }
    return true;
}

#define EQUALS_LOWER(bytes, lower) equals_lower(bytes, lower, sizeof(lower) - 1)

/* SP or HTAB: inside a line there is no other control character (but one that is_space() need not
 * tell apart from white space, because its line is refused: see http_scan_function). */
static inline bool is_space(char byte)
{
    return (unsigned char)byte <= ' ';
}

/* --- host (RFC 9110 section 7.2, RFC 3986 section 3.2) --- */

/* unreserved and sub-delims */
static inline bool is_host_byte(char byte)
{
    static const bool allowed[256] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0,
    };
    return allowed[(unsigned char)byte];
}

/* Where the "[...]" that starts at `from` ends, or `from`. What is inside is for a resolver to
 * judge. */
static size_t ip_literal_end(const char *bytes, size_t from)
{
    size_t end = from + 1;
    while (is_host_byte(bytes[end]) || bytes[end] == ':')
        end++;
    return bytes[end] == ']' && end > from + 1 ? end + 1 : from;
}

/* The '%' of "%41"; the digits are host bytes themselves. */
static inline bool is_percent_encoding(const char *bytes)
{
    return bytes[0] == '%' && isxdigit((unsigned char)bytes[1]) &&
           isxdigit((unsigned char)bytes[2]);
}

/* uri-host [ ":" port ], or nothing at all. No byte of these is white space or a control character,
 * which one of follows, so the loops end. */
static inline bool is_host(const char *bytes, size_t from, size_t to)
{
    size_t end = from;
    if (bytes[from] == '[')
        end = ip_literal_end(bytes, from);
    else
        while (is_host_byte(bytes[end]) || is_percent_encoding(bytes + end))
            end++;
    if (end == to)
        return true;
    if (end == from || bytes[end] != ':')
        return false;
    size_t port = ++end;
    while (bytes[end] >= '0' && bytes[end] <= '9')
        end++;
    return end == to && end - port <= 5;
}

/* uri-host ":" port, none of them empty (RFC 9112 section 3.2.3) */
static bool is_authority(const char *bytes, size_t from, size_t to)
{
    char last = bytes[to - 1];
    return last != ':' && last != ']' && memchr(bytes + from, ':', to - from) &&
           is_host(bytes, from, to);
}

/* --- the request line (RFC 9112 section 3) --- */

static bool starts_with(const char *bytes, size_t length, const char *lower)
{
    size_t prefix = strlen(lower);
    return length >= prefix && http_text_is((struct http_text){bytes, prefix}, lower);
}

/* http://host[:port][/path][?query] */
static int parse_absolute_form(struct parse *parse, size_t from, size_t to)
{
    const char *target = parse->bytes + from;
    size_t length = to - from;
    size_t host;
    if (starts_with(target, length, "http://"))
        host = strlen("http://");
    else if (starts_with(target, length, "https://"))
        host = strlen("https://");
    else
        return -400;
    size_t end = host;
    while (end < length && target[end] != '/' && target[end] != '?')
        end++;
    if (end == host || !is_host(parse->bytes, from + host, from + end))
        return -400;
    parse->request->path = span(from + end, to);
    return 0;
}

static int parse_target(struct parse *parse, size_t from, size_t to)
{
    struct http_request *request = parse->request;
    request->target = span(from, to);
    if (to - from > parse->limits->target_bytes)
        return -414;
    request->path = span(from, to);
    if (parse->bytes[from] == '/')
        return http_method_is(request, "CONNECT") ? -400 : 0;
    if (parse->bytes[from] == '*' && to - from == 1)
        return http_method_is(request, "OPTIONS") ? 0 : -400;
    if (http_method_is(request, "CONNECT"))
        return is_authority(parse->bytes, from, to) ? 0 : -400;
    return parse_absolute_form(parse, from, to);
}

/* "HTTP/1.1" and its like: 0, or the error. */
static int parse_version(struct parse *parse, size_t from, size_t to)
{
    const char *version = parse->bytes + from;
    parse->request->version_minor = 1;
    if (to - from == strlen("HTTP/1.1") && memcmp(version, "HTTP/1.1", 8) == 0)
        return 0;
    if (to - from != strlen("HTTP/1.1") || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.')
        return -400;
    unsigned major = (unsigned)version[5] - '0';
    unsigned minor = (unsigned)version[7] - '0';
    if (major > 9 || minor > 9)
        return -400;
    /* A higher minor version is answered as the highest one known (RFC 9110 section 2.5). */
    parse->request->version_minor = minor > 0;
    return major == 1 ? 0 : -505;
}

/* VCHAR without '#', which would begin a fragment: what of a target clients send to servers. */
static inline bool is_target_byte(char byte)
{
    return byte > ' ' && byte < 0x7f && byte != '#';
}

static inline int parse_request_line(struct parse *parse, size_t line_end)
{
    const char *bytes = parse->bytes;
    size_t method_end = token_end(parse->scan, 0);
    if (method_end == 0 || bytes[method_end] != ' ')
        return -400;
    /* No handler knows it (RFC 9112 section 3); and without a limit judge_unfinished() could not
     * tell a long method from a long target. */
    if (method_end > METHOD_MAX)
        return -501;
    parse->request->method = span(0, method_end);
    size_t target = method_end + 1;
    size_t target_end = target;
    while (is_target_byte(bytes[target_end]))
        target_end++;
    if (target_end == target || bytes[target_end] != ' ')
        return -400;
    if (bytes[line_end + 1] != '\n')
        return -400;
    int error = parse_version(parse, target_end + 1, line_end);
    return error ? error : parse_target(parse, target, target_end);
}

/* --- the fields (RFC 9112 sections 5 to 7) --- */

static int parse_content_length(struct parse *parse, struct http_text value)
{
    /* Lists and repetitions are refused even when their members agree (section 6.3 allows either).
     */
    if (parse->framing.content_lengths++ || value.length == 0 || value.length > 18)
        return -400;
    uint64_t number = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return -400;
        number = number * 10 + (uint64_t)(value.bytes[i] - '0');
    }
    parse->request->content_length = number;
    return 0;
}

/* Looks for "close" and "keep-alive" in a list (RFC 9110 section 7.6.1). */
static int parse_connection_list(struct parse *parse, struct http_text value)
{
    size_t at = 0;
    while (at < value.length) {
        size_t start = at;
        while (at < value.length && value.bytes[at] != ',')
            at++;
        size_t end = at++;
        while (start < end && is_space(value.bytes[start]))
            start++;
        while (end > start && is_space(value.bytes[end - 1]))
            end--;
        struct http_text option = {value.bytes + start, end - start};
        if (http_text_is(option, "close"))
            parse->framing.close = true;
        else if (http_text_is(option, "keep-alive"))
            parse->framing.keep_alive = true;
    }
    return 0;
}

static inline int parse_connection(struct parse *parse, struct http_text value)
{
    if (value.length != 10 || !EQUALS_LOWER(value.bytes, "keep-alive"))
        return parse_connection_list(parse, value);
    parse->framing.keep_alive = true;
    return 0;
}

static int parse_transfer_encoding(struct parse *parse, struct http_text value)
{
    parse->framing.transfer_encodings++;
    parse->framing.chunked = http_text_is(value, "chunked");
    return 0;
}

static int parse_expect(struct parse *parse, struct http_text value)
{
    if (!http_text_is(value, "100-continue"))
        return -417;
    parse->request->expects_continue = true;
    return 0;
}

static int parse_host(struct parse *parse, struct http_text value)
{
    parse->framing.hosts++;
    size_t from = (size_t)(value.bytes - parse->bytes);
    return is_host(parse->bytes, from, from + value.length) ? 0 : -400;
}

/* Looks closer at the fields that concern framing and connection; told apart by length first,
 * because most fields are none of these. */
static inline int parse_known_field(struct parse *parse, const char *name, size_t length,
                                    struct http_text value)
{
    switch (length) {
    case 4:
        return EQUALS_LOWER(name, "host") ? parse_host(parse, value) : 0;
    case 6:
        return EQUALS_LOWER(name, "expect") ? parse_expect(parse, value) : 0;
    case 10:
        return EQUALS_LOWER(name, "connection") ? parse_connection(parse, value) : 0;
    case 14:
        return EQUALS_LOWER(name, "content-length") ? parse_content_length(parse, value) : 0;
    case 17:
        return EQUALS_LOWER(name, "transfer-encoding") ? parse_transfer_encoding(parse, value) : 0;
    default:
        return 0;
    }
}

/* The field lines from `at` to the empty line: 0, or the error. A folded line (obs-fold) and a
 * space before the colon fail here, because a space is no token. */
static inline int parse_fields(struct parse *parse, struct lines lines, size_t at)
{
    const char *bytes = parse->bytes;
    struct http_field *field = parse->request->fields;
    const struct http_field *end = field + parse->limits->field_count;
    size_t line_end;
    while ((line_end = next_line_end(&lines)) != at) {
        size_t name_end = token_end(parse->scan, at);
        if (name_end == at || bytes[name_end] != ':' || bytes[line_end + 1] != '\n')
            return -400;
        if (field == end)
            return -431;
        size_t value = name_end + 1;
        size_t value_end = line_end;
        while (value < value_end && is_space(bytes[value]))
            value++;
        while (value < value_end && is_space(bytes[value_end - 1]))
            value_end--;
        field->name = span(at, name_end);
        field->value = span(value, value_end);
        field++;
        int error = parse_known_field(parse, bytes + at, name_end - at,
                                      (struct http_text){bytes + value, value_end - value});
        if (error)
            return error;
        at = line_end + 2;
    }
    parse->request->field_count = (uint16_t)(field - parse->request->fields);
    return bytes[at + 1] == '\n' ? 0 : -400;
}

/* What the fields say together. The order is that of the damage: ambiguity first. */
static int judge_framing(struct parse *parse)
{
    const struct framing *framing = &parse->framing;
    struct http_request *request = parse->request;
    if (framing->hosts > 1 || (framing->hosts == 0 && request->version_minor > 0))
        return -400;
    if (framing->transfer_encodings) {
        if (framing->content_lengths || framing->transfer_encodings > 1 ||
            request->version_minor == 0)
            return -400;
        /* Chunked bodies are not read yet: ask for a length (RFC 9110 section 15.5.12). */
        return framing->chunked ? -411 : -501;
    }
    if (request->version_minor == 0)
        request->expects_continue = false; /* RFC 9110 section 10.1.1 */
    if (request->content_length > parse->limits->body_bytes)
        return -413;
    request->keep_alive = !framing->close && (request->version_minor > 0 || framing->keep_alive);
    return 0;
}

static int parse_head(struct parse *parse)
{
    struct http_request *request = parse->request;
    request->head = parse->bytes;
    request->content_length = 0;
    request->expects_continue = false;
    request->field_count = 0;
    struct lines lines = {.marks = parse->scan->words, .cr = parse->scan->words[0].cr};
    size_t line_end = next_line_end(&lines);
    int error = parse_request_line(parse, line_end);
    if (!error)
        error = parse_fields(parse, lines, line_end + 2);
    return error ? error : judge_framing(parse);
}

/* --- the whole --- */

/* The head has not ended yet: may it go on? */
static int judge_unfinished(const char *bytes, size_t length, const struct http_limits *limits)
{
    const char *line_end = memchr(bytes, '\r', length);
    size_t line_length = line_end ? (size_t)(line_end - bytes) : length;
    if (line_length > limits->target_bytes + LINE_FRAME)
        return -414;
    return length >= limits->head_bytes ? -431 : 0;
}

static http_scan_function scan_head;
static const char *scanner_name;

/* Before main(), and so before any thread. */
__attribute__((constructor)) static void choose_scanner(void)
{
    const struct http_scanner *scanner = http_scanner_best();
    scan_head = scanner->scan;
    scanner_name = scanner->name;
}

const char *http_parser_scanner(void)
{
    return scanner_name;
}

int http_parse_request(const char *bytes, size_t length, const struct http_limits *limits,
                       struct http_request *request)
{
    size_t skip = 0;
    if (length >= 2 && bytes[0] == '\r' && bytes[1] == '\n')
        skip = 2;
    struct http_scan scan;
    int head = scan_head(bytes + skip, length - skip, &scan);
    if (head == HTTP_SCAN_MALFORMED)
        return -400;
    if (head == 0)
        return judge_unfinished(bytes + skip, length - skip, limits);
    if ((size_t)head > limits->head_bytes)
        return -431;
    struct parse parse = {
        .bytes = bytes + skip, .scan = &scan, .limits = limits, .request = request};
    int error = parse_head(&parse);
    return error ? error : head + (int)skip;
}
