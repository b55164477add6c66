/*
 * The second pass: scan.c has found the end of the head and proved its lines well-formed, so every
 * search below ends inside it without looking at lengths.
 */
#include "http/parser.h"

#include "http/scan.h"

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

/* The place of the first set bit at or after `from`. There is one: a head ends in CRLF, and CR is
 * marked in every mask. */
static inline size_t next_mark(const uint64_t *mask, size_t from)
{
    size_t word = from / 64;
    uint64_t bits = mask[word] >> from % 64;
    if (bits)
        return from + (size_t)__builtin_ctzll(bits);
    do
        bits = mask[++word];
    while (!bits);
    return word * 64 + (size_t)__builtin_ctzll(bits);
}

static inline struct http_span span(size_t from, size_t to)
{
    return (struct http_span){(uint16_t)from, (uint16_t)(to - from)};
}

static inline bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* --- host (RFC 9110 section 7.2, RFC 3986 section 3.2) --- */

static bool is_host_byte(unsigned char byte)
{
    /* unreserved, sub-delims and '%': four words of 64 characters each */
    static const uint64_t allowed[4] = {0x2bff7ff200000000, 0x47fffffe87fffffe, 0, 0};
    return allowed[byte / 64] >> byte % 64 & 1;
}

static bool is_port(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
    }
    return length <= 5;
}

/* The length of "[...]" at the start of `bytes`, or 0. What is inside is for the resolver to judge.
 */
static size_t ip_literal_length(const char *bytes, size_t length)
{
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] == ']')
            return i > 1 ? i + 1 : 0;
        if (!is_host_byte((unsigned char)bytes[i]) && bytes[i] != ':')
            return 0;
    }
    return 0;
}

/* uri-host [ ":" port ], or nothing at all */
static bool is_host(const char *bytes, size_t length)
{
    size_t at = 0;
    if (length && bytes[0] == '[') {
        at = ip_literal_length(bytes, length);
        if (!at)
            return false;
    } else {
        while (at < length && is_host_byte((unsigned char)bytes[at]))
            at++;
    }
    if (at == length)
        return true;
    return at && bytes[at] == ':' && is_port(bytes + at + 1, length - at - 1);
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
    if (end == host || !is_host(target + host, end - host))
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
    request->path = request->target;
    if (parse->bytes[from] == '/')
        return http_request_method_is(request, "CONNECT") ? -400 : 0;
    if (parse->bytes[from] == '*' && to - from == 1)
        return http_request_method_is(request, "OPTIONS") ? 0 : -400;
    if (http_request_method_is(request, "CONNECT"))
        return is_host(parse->bytes + from, to - from) ? 0 : -400;
    return parse_absolute_form(parse, from, to);
}

/* "HTTP/1.1" and its like: 0, or the error. */
static int parse_version(struct parse *parse, size_t from, size_t to)
{
    const char *version = parse->bytes + from;
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

/* Returns where the fields start, or the error. */
static int parse_request_line(struct parse *parse, size_t from)
{
    const struct http_scan *scan = parse->scan;
    size_t method_end = next_mark(scan->not_token, from);
    if (method_end == from || parse->bytes[method_end] != ' ')
        return -400;
    parse->request->method = span(from, method_end);
    size_t target = method_end + 1;
    size_t target_end = next_mark(scan->not_target, target);
    if (target_end == target || parse->bytes[target_end] != ' ')
        return -400;
    size_t line_end = next_mark(scan->line_end, target_end);
    int error = parse_version(parse, target_end + 1, line_end);
    if (!error)
        error = parse_target(parse, target, target_end);
    return error ? error : (int)line_end + 2;
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
static int parse_connection(struct parse *parse, struct http_text value)
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
    return is_host(value.bytes, value.length) ? 0 : -400;
}

/* Looks closer at the fields that concern framing and connection; told apart by length first,
 * because most fields are none of these. */
static inline int parse_known_field(struct parse *parse, struct http_text name,
                                    struct http_text value)
{
    switch (name.length) {
    case 4:
        return http_text_is(name, "host") ? parse_host(parse, value) : 0;
    case 6:
        return http_text_is(name, "expect") ? parse_expect(parse, value) : 0;
    case 10:
        return http_text_is(name, "connection") ? parse_connection(parse, value) : 0;
    case 14:
        return http_text_is(name, "content-length") ? parse_content_length(parse, value) : 0;
    case 17:
        return http_text_is(name, "transfer-encoding") ? parse_transfer_encoding(parse, value) : 0;
    default:
        return 0;
    }
}

/* One field line; returns where the next starts, or the error. A folded line (obs-fold) and a space
 * before the colon fail here, because a space is no token. */
static inline int parse_field(struct parse *parse, size_t from)
{
    const char *bytes = parse->bytes;
    struct http_request *request = parse->request;
    size_t name_end = next_mark(parse->scan->not_token, from);
    if (name_end == from || bytes[name_end] != ':')
        return -400;
    if (request->field_count == parse->limits->field_count)
        return -431;
    size_t value = name_end + 1;
    size_t line_end = next_mark(parse->scan->line_end, value);
    size_t value_end = line_end;
    while (is_space(bytes[value]))
        value++;
    while (value_end > value && is_space(bytes[value_end - 1]))
        value_end--;
    struct http_field *field = &request->fields[request->field_count++];
    field->name = span(from, name_end);
    field->value = span(value, value_end);
    int error = parse_known_field(parse, http_request_text(request, field->name),
                                  http_request_text(request, field->value));
    return error ? error : (int)line_end + 2;
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

static int parse_head(struct parse *parse, size_t from)
{
    struct http_request *request = parse->request;
    request->head = parse->bytes;
    request->content_length = 0;
    request->expects_continue = false;
    request->field_count = 0;
    int at = parse_request_line(parse, from);
    while (at > 0 && parse->bytes[at] != '\r')
        at = parse_field(parse, (size_t)at);
    return at > 0 ? judge_framing(parse) : at;
}

/* --- the whole --- */

/* What an unfinished request line may hold beside its target. */
enum { METHOD_ALLOWANCE = 64 };

/* The head has not ended yet: may it go on? */
static int judge_unfinished(const char *bytes, size_t length, const struct http_limits *limits)
{
    if (!memchr(bytes, '\r', length))
        return length > limits->target_bytes + METHOD_ALLOWANCE ? -414 : 0;
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
    int error = parse_head(&parse, 0);
    return error ? error : head + (int)skip;
}
