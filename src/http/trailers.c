#include "http/trailers.h"

#include "http/lines.h"

/* Framing, routing, and what is about the connection or about how the body is to be sent. */
static bool is_forbidden(struct http_text name)
{
    static const char *const forbidden[] = {
        "connection", "content-length",   "expect",  "host",    "keep-alive",        "max-forwards",
        "te",         "proxy-connection", "trailer", "upgrade", "transfer-encoding",
    };
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        if (http_text_is(name, forbidden[i]))
            return true;
    }
    return false;
}

/* The lines of a section whose end and control characters the scanner has found. A folded line and
 * a space before the colon fail here, because a space is no token. */
static int judge_lines(const char *bytes, const struct http_scan *scan, uint32_t field_count)
{
    struct http_lines lines = http_lines_of(scan);
    uint32_t fields = 0;
    size_t at = 0;
    size_t line_end;
    while ((line_end = http_next_line_end(&lines)) != at) {
        size_t name_end = http_token_end(scan, at);
        if (name_end == at || bytes[name_end] != ':' || bytes[line_end + 1] != '\n')
            return -400;
        if (fields++ == field_count)
            return -431;
        if (is_forbidden((struct http_text){bytes + at, name_end - at}))
            return -400;
        at = line_end + 2;
    }
    return bytes[at + 1] == '\n' ? 0 : -400;
}

int http_parse_trailers(const char *bytes, size_t length, const struct http_limits *limits)
{
    if (length >= 2 && bytes[0] == '\r' && bytes[1] == '\n')
        return 2;
    /* What is over the limit must not matter, or the error would depend on how much arrived. */
    size_t most = length < limits->head_bytes ? length : limits->head_bytes;
    struct http_scan scan;
    int section = http_scanner_best()->scan(bytes, most, &scan);
    if (section == HTTP_SCAN_MALFORMED)
        return -400;
    if (section == 0)
        return length >= limits->head_bytes ? -431 : 0;
    int error = judge_lines(bytes, &scan, limits->field_count);
    return error ? error : section;
}

struct http_text http_trailers_find(struct http_text section, const char *name)
{
    size_t name_length = strlen(name);
    for (size_t at = 0; at < section.length;) {
        const char *line = section.bytes + at;
        const char *end = memchr(line, '\r', section.length - at);
        const char *colon = memchr(line, ':', (size_t)(end - line));
        if (!colon)
            break; /* the empty line */
        at += (size_t)(end - line) + 2;
        if (!http_names_equal((struct http_text){line, (size_t)(colon - line)}, name, name_length))
            continue;
        const char *value = colon + 1;
        while (value < end && http_is_space(*value))
            value++;
        while (value < end && http_is_space(end[-1]))
            end--;
        return (struct http_text){value, (size_t)(end - value)};
    }
    return (struct http_text){NULL, 0};
}
