/*
 * The second pass: scan.c has found the end of the head and marked its bytes, so every search below
 * ends inside the head without looking at lengths.
 */
#include "http/parser.h"

#include "http/lines.h"
#include "http/target.h"

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
    int coding_error; /* of the transfer codings */
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

/* --- the request line (RFC 9112 section 3) --- */

/* CONNECT asks for a tunnel, and we are no proxy (RFC 9110 section 9.3.6). TRACE shows a script the
 * credentials that a browser adds behind its back (section 9.3.8). */
static inline bool is_refused_method(const struct http_request *request)
{
    return http_method_is(request, "CONNECT") || http_method_is(request, "TRACE");
}

static inline int parse_target(struct parse *parse, size_t from, size_t path_end, size_t to)
{
    struct http_request *request = parse->request;
    if (is_refused_method(request))
        return -501;
    request->target = http_span_of(from, to);
    if (to - from > parse->limits->target_bytes)
        return -414;
    request->path = http_span_of(from, path_end);
    request->has_query = path_end < to;
    return parse->bytes[from] == '/' ? 0 : http_parse_target(request);
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

/* VCHAR without '#', which would begin a fragment: what of a target clients send to servers. 2 is
 * the
 * '?' that ends a path. */
static inline unsigned target_class(char byte)
{
    static const unsigned char classes[256] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    };
    return classes[(unsigned char)byte];
}

static inline int parse_request_line(struct parse *parse, size_t line_end)
{
    const char *bytes = parse->bytes;
    size_t method_end = http_token_end(parse->scan, 0);
    if (method_end == 0 || bytes[method_end] != ' ')
        return -400;
    /* No handler knows it (RFC 9112 section 3); and without a limit judge_unfinished() could not
     * tell a long method from a long target. */
    if (method_end > METHOD_MAX)
        return -501;
    parse->request->method = http_span_of(0, method_end);
    size_t target = method_end + 1;
    size_t path_end = target;
    while (target_class(bytes[path_end]) == 1)
        path_end++;
    size_t target_end = path_end;
    while (target_class(bytes[target_end]))
        target_end++;
    if (target_end == target || bytes[target_end] != ' ')
        return -400;
    if (bytes[line_end + 1] != '\n')
        return -400;
    int error = parse_version(parse, target_end + 1, line_end);
    return error ? error : parse_target(parse, target, path_end, target_end);
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
        while (start < end && http_is_space(value.bytes[start]))
            start++;
        while (end > start && http_is_space(value.bytes[end - 1]))
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

/* What is wrong with a list of transfer codings that is more than "chunked". After other codings a
 * last "chunked" tells the length, but nobody here decodes them; any other list does not tell it
 * (RFC 9112 section 6.3), or has chunked more than once (section 7.1). */
static int judge_codings(struct http_text list)
{
    bool chunked = false;
    for (size_t at = 0, end; at <= list.length; at = end + 1) {
        const char *comma = memchr(list.bytes + at, ',', list.length - at);
        end = comma ? (size_t)(comma - list.bytes) : list.length;
        size_t start = at;
        while (start < end && http_is_space(list.bytes[start]))
            start++;
        size_t name_end = start;
        while (name_end < end && http_is_tchar(list.bytes[name_end]))
            name_end++;
        if (chunked || name_end == start)
            return -400;
        chunked = http_text_is((struct http_text){list.bytes + start, name_end - start}, "chunked");
        while (chunked && name_end < end && http_is_space(list.bytes[name_end]))
            name_end++;
        if (chunked && name_end < end) /* it has no parameters */
            return -400;
    }
    return chunked ? -501 : -400;
}

static int parse_transfer_encoding(struct parse *parse, struct http_text value)
{
    parse->framing.transfer_encodings++;
    parse->request->chunked = http_text_is(value, "chunked");
    parse->framing.coding_error = parse->request->chunked ? 0 : judge_codings(value);
    return 0;
}

static int parse_expect(struct parse *parse, struct http_text value)
{
    if (!http_text_is(value, "100-continue"))
        return -417;
    parse->request->expects_continue = true;
    return 0;
}

/* The authority of an absolute-form target comes first and stays (RFC 9112 section 3.2.2). */
static inline int parse_host(struct parse *parse, struct http_text value)
{
    struct http_request *request = parse->request;
    size_t from = (size_t)(value.bytes - parse->bytes);
    parse->framing.hosts++;
    if (!request->has_host)
        request->host = http_span_of(from, from + value.length);
    request->has_host = true;
    return http_is_host(parse->bytes, from, from + value.length) ? 0 : -400;
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
static inline int parse_fields(struct parse *parse, struct http_lines lines, size_t at)
{
    const char *bytes = parse->bytes;
    struct http_field *field = parse->request->fields;
    const struct http_field *end = field + parse->limits->field_count;
    size_t line_end;
    while ((line_end = http_next_line_end(&lines)) != at) {
        size_t name_end = http_token_end(parse->scan, at);
        if (name_end == at || bytes[name_end] != ':' || bytes[line_end + 1] != '\n')
            return -400;
        if (field == end)
            return -431;
        size_t value = name_end + 1;
        size_t value_end = line_end;
        while (value < value_end && http_is_space(bytes[value]))
            value++;
        while (value < value_end && http_is_space(bytes[value_end - 1]))
            value_end--;
        field->name = http_span_of(at, name_end);
        field->value = http_span_of(value, value_end);
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
        if (framing->coding_error)
            return framing->coding_error;
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
    request->chunked = false;
    request->has_host = false;
    request->expects_continue = false;
    request->field_count = 0;
    struct http_lines lines = http_lines_of(parse->scan);
    size_t line_end = http_next_line_end(&lines);
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
