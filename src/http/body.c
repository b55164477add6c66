#include "http/body.h"

#include "http/scan.h"
#include "http/trailers.h"

/* --- a chunk line (RFC 9112 section 7.1) ---
 *
 * Each take_ function passes what it is named after, or returns false where that ends too early or
 * goes on wrong: judge_stop() tells which. So the first wrong byte is refused when it arrives. */

enum {
    SIZE_DIGITS_MAX = 16,
    LINE_BYTES_MAX = HTTP_CHUNK_LINE_MAX + 2, /* CRLF included */
    END = -1,                                 /* is no byte */
};

struct line {
    const char *bytes;
    size_t length; /* what has arrived of it and what follows, but at most LINE_BYTES_MAX */
    size_t at;
};

static inline int peek(const struct line *line)
{
    return line->at < line->length ? (unsigned char)line->bytes[line->at] : END;
}

static bool take(struct line *line, char byte)
{
    if (peek(line) != byte)
        return false;
    line->at++;
    return true;
}

static int hex_digit(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    int lower = byte | 0x20;
    return byte != END && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool take_size(struct line *line, uint64_t *size)
{
    int digit;
    *size = 0;
    while ((digit = hex_digit(peek(line))) >= 0 && line->at < SIZE_DIGITS_MAX) {
        *size = *size << 4 | (unsigned)digit;
        line->at++;
    }
    return line->at > 0 && digit < 0;
}

/* BWS: white space that should not be there but is allowed to */
static void take_spaces(struct line *line)
{
    while (take(line, ' ') || take(line, '\t'))
        ;
}

static bool take_token(struct line *line)
{
    size_t from = line->at;
    while (line->at < line->length && http_is_tchar(line->bytes[line->at]))
        line->at++;
    return line->at > from;
}

/* HTAB, SP, VCHAR, obs-text: what quoted-string and quoted-pair are made of */
static bool is_quotable(int byte)
{
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

/* RFC 9110 section 5.6.4 */
static bool take_quoted_string(struct line *line)
{
    if (!take(line, '"'))
        return false;
    while (!take(line, '"')) {
        take(line, '\\');
        if (!is_quotable(peek(line)))
            return false;
        line->at++;
    }
    return true;
}

/* Nobody knows any extension, but their bytes decide where the line ends (section 7.1.1). */
static bool take_extensions(struct line *line)
{
    while (peek(line) != '\r') {
        take_spaces(line);
        if (!take(line, ';'))
            return false;
        take_spaces(line);
        if (!take_token(line))
            return false;
        size_t name_end = line->at;
        take_spaces(line);
        if (!take(line, '=')) {
            line->at = name_end; /* then the white space belongs to the next one */
            continue;
        }
        take_spaces(line);
        if (!(peek(line) == '"' ? take_quoted_string(line) : take_token(line)))
            return false;
    }
    return true;
}

/* 0 at the end of what has arrived, when the line may still go on. */
static int judge_stop(const struct line *line)
{
    return line->at == line->length && line->length < LINE_BYTES_MAX ? 0 : -400;
}

static int pass_chunk_line(struct http_body *body, const char *bytes, size_t length,
                           const struct http_limits *limits)
{
    struct line line = {bytes, length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX, 0};
    uint64_t size;
    if (!take_size(&line, &size))
        return judge_stop(&line);
    size_t size_end = line.at;
    if (!take_extensions(&line))
        return judge_stop(&line);
    size_t end = line.at;
    if (!take(&line, '\r') || !take(&line, '\n'))
        return judge_stop(&line);
    body->extension_bytes += (uint32_t)(end - size_end);
    if (body->extension_bytes > HTTP_EXTENSIONS_MAX || size > limits->body_bytes - body->total)
        return -413;
    body->total += size;
    body->left = size;
    body->phase = size ? HTTP_BODY_DATA : HTTP_BODY_TRAILERS;
    return (int)line.at;
}

/* --- the rest of the framing --- */

static int pass_chunk_end(struct http_body *body, const char *bytes, size_t length)
{
    if ((length > 0 && bytes[0] != '\r') || (length > 1 && bytes[1] != '\n'))
        return -400;
    if (length < 2)
        return 0;
    body->phase = HTTP_BODY_CHUNK_LINE;
    return 2;
}

static int pass_trailers(struct http_body *body, const char *bytes, size_t length,
                         const struct http_limits *limits)
{
    int section = http_parse_trailers(bytes, length, limits);
    if (section > 0) {
        body->trailer_length = (uint32_t)section - 2;
        body->phase = HTTP_BODY_ENDED;
    }
    return section;
}

void http_body_begin(struct http_body *body, const struct http_request *request)
{
    *body = (struct http_body){.chunked = request->chunked};
    body->left = body->total = request->content_length;
    if (request->chunked)
        body->phase = HTTP_BODY_CHUNK_LINE;
    else
        body->phase = body->left ? HTTP_BODY_DATA : HTTP_BODY_ENDED;
}

int http_body_next(struct http_body *body, const char *bytes, size_t length,
                   const struct http_limits *limits, size_t *piece)
{
    size_t at = 0;
    int passed = 1;
    *piece = 0;
    while (passed > 0 && body->phase != HTTP_BODY_DATA && body->phase != HTTP_BODY_ENDED) {
        if (body->phase == HTTP_BODY_CHUNK_LINE)
            passed = pass_chunk_line(body, bytes + at, length - at, limits);
        else if (body->phase == HTTP_BODY_CHUNK_END)
            passed = pass_chunk_end(body, bytes + at, length - at);
        else {
            body->trailer_at = (uint32_t)at;
            passed = pass_trailers(body, bytes + at, length - at, limits);
        }
        if (passed < 0)
            return passed;
        at += (size_t)passed;
    }
    if (body->phase == HTTP_BODY_DATA)
        *piece = length - at < body->left ? length - at : (size_t)body->left;
    return (int)at;
}

void http_body_take(struct http_body *body, size_t count)
{
    body->left -= count;
    if (body->phase == HTTP_BODY_DATA && body->left == 0)
        body->phase = body->chunked ? HTTP_BODY_CHUNK_END : HTTP_BODY_ENDED;
}
