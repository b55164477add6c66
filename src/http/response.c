#include "http/response.h"

#include "http/request.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum {
    READY_MAX =
        65536, /* bytes of a constant body that is worth keeping; copying costs little beyond */
    DECIMAL_MAX = 20,     /* digits of a 64-bit number */
    STATUS_LINE_MAX = 64, /* "HTTP/1.1 511 Network Authentication Required\r\n" fits */
    FRAMING_MAX = 128,    /* the names of our own fields, Content-Length's digits, Connection */
};

/* --- fields of the handler --- */

static bool is_token(struct http_text name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char)name.bytes[i];
        bool alphanumeric =
            (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
        if (!alphanumeric && (!byte || !strchr("!#$%&'*+-.^_`|~", byte)))
            return false;
    }
    return name.length > 0;
}

static inline bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* field-value, which neither begins nor ends with white space (RFC 9110 section 5.5) */
static bool is_value(struct http_text value)
{
    unsigned control = 0;
    for (size_t i = 0; i < value.length; i++) { /* to the end: the compiler makes vectors of it */
        unsigned char byte = (unsigned char)value.bytes[i];
        control |= (byte < ' ' && byte != '\t') | (byte == 0x7f);
    }
    return !control && (value.length == 0 ||
                        (!is_space(value.bytes[0]) && !is_space(value.bytes[value.length - 1])));
}

static bool is_ours(struct http_text name)
{
    static const char *const ours[] = {"connection", "content-length", "content-type",     "date",
                                       "server",     "trailer",        "transfer-encoding"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (http_text_is(name, ours[i]))
            return true;
    }
    return false;
}

int http_response_put_field(struct http_response *response, const char *name, const char *value)
{
    struct http_text name_text = {name, strlen(name)};
    struct http_text value_text = {value, strlen(value)};
    if (!is_token(name_text) || !is_value(value_text) || is_ours(name_text))
        return -EINVAL;
    struct buffer *fields = response->fields;
    if (!buffer_reserve(fields, name_text.length + value_text.length + 4))
        return -ENOMEM;
    buffer_put(fields, name, name_text.length);
    buffer_put(fields, ": ", 2);
    buffer_put(fields, value, value_text.length);
    buffer_put(fields, "\r\n", 2);
    return 0;
}

int http_response_header(struct http_response *response, const char *name, const char *value)
{
    if (response->status)
        return -EALREADY;
    return http_response_put_field(response, name, value);
}

int http_response_lines(struct http_response *response, struct http_text lines)
{
    if (response->status)
        return -EALREADY;
    if (!buffer_reserve(response->fields, lines.length))
        return -ENOMEM;
    if (lines.length)
        buffer_put(response->fields, lines.bytes, lines.length);
    return 0;
}

/* --- the answer --- */

/* The parts of an answer are put through a pointer of its own, not with buffer_put(): the compiler
 * would have to store and reload the buffer's length for each of them. */

static inline char *put(char *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return to + length;
}

#define PUT_LITERAL(to, literal) put(to, literal, sizeof(literal) - 1)

static inline char *put_decimal(char *to, uint64_t number)
{
    char digits[DECIMAL_MAX];
    char *first = digits + sizeof(digits);
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (first < digits + sizeof(digits))
        *to++ = *first++;
    return to;
}

static inline char *put_beginning(char *to, int status, const struct http_date *date)
{
    if (status == 200)
        return put(to, date->ok_and_common, sizeof(date->ok_and_common));
    to += snprintf(to, STATUS_LINE_MAX, "HTTP/1.1 %d %s\r\n", status, http_status_reason(status));
    return put(to, http_date_common(date), HTTP_COMMON_LENGTH);
}

static inline char *put_framing(char *to, const struct http_response *response, uint64_t length)
{
    if (length != HTTP_LENGTH_UNKNOWN) {
        to = PUT_LITERAL(to, "Content-Length: ");
        to = put_decimal(to, length);
        return PUT_LITERAL(to, "\r\n");
    }
    return response->no_chunks ? to : PUT_LITERAL(to, "Transfer-Encoding: chunked\r\n");
}

/* The head, where there is room for it. */
static inline char *put_head(char *to, const struct http_response *response, int status,
                             struct http_text content_type, uint64_t length)
{
    const struct buffer *fields = response->fields;
    to = put_beginning(to, status, response->date);
    if (status != 204 && status != 304) {
        if (content_type.bytes) {
            to = PUT_LITERAL(to, "Content-Type: ");
            to = put(to, content_type.bytes, content_type.length);
            to = PUT_LITERAL(to, "\r\n");
        }
        to = put_framing(to, response, status == 205 ? 0 : length);
    }
    if (fields->length)
        to = put(to, fields->bytes, fields->length);
    if (response->close)
        to = PUT_LITERAL(to, "Connection: close\r\n");
    else if (response->say_keep_alive)
        to = PUT_LITERAL(to, "Connection: keep-alive\r\n");
    return PUT_LITERAL(to, "\r\n");
}

/* Writes the head with room for `more` bytes behind it, unless it returns an error. */
static inline int begin_answer(struct http_response *response, int status, const char *content_type,
                               uint64_t length, size_t more)
{
    if (status < HTTP_STATUS_MIN || status > HTTP_STATUS_MAX)
        return -EINVAL;
    if (response->status)
        return -EALREADY;
    if (response->deferred)
        http_response_prepare(response);
    struct http_text type = {content_type, content_type ? strlen(content_type) : 0};
    if (!is_value(type))
        return -EINVAL;
    struct buffer *out = response->out;
    size_t most =
        STATUS_LINE_MAX + HTTP_COMMON_LENGTH + FRAMING_MAX + type.length + response->fields->length;
    if (more > SIZE_MAX - most || !buffer_reserve(out, most + more))
        return -ENOMEM;
    const char *end = put_head(out->bytes + out->length, response, status, type, length);
    out->length = (size_t)(end - out->bytes);
    response->status = status;
    return 0;
}

int http_response_put_head(struct http_response *response, int status, const char *content_type,
                           uint64_t length, size_t more)
{
    return begin_answer(response, status, content_type, length, more);
}

int http_respond(struct http_response *response, int status, const char *content_type,
                 const void *body, size_t length)
{
    if (status == 205)
        length = 0;
    int error = begin_answer(response, status, content_type, length, length);
    if (error)
        return error;
    if (length && !response->head_only && !http_status_has_no_body(status)) {
        buffer_put(response->out, body, length);
        response->body_bytes = length;
    }
    return status;
}

static bool is_ready(const struct http_response *response, int status, const char *content_type,
                     const void *body, size_t length)
{
    const struct http_ready *ready = response->ready;
    return ready->status == status && ready->body == body && ready->length == length &&
           ready->content_type == content_type && ready->expires_ns == response->date->expires_ns;
}

/* Keeps the answer that starts at `from`; without memory for it, none. */
static void keep_ready(struct http_response *response, size_t from, const char *content_type,
                       const void *body, size_t length)
{
    struct http_ready *ready = response->ready;
    size_t size = response->out->length - from;
    ready->status = 0;
    ready->bytes.length = 0;
    if (!buffer_reserve(&ready->bytes, size))
        return;
    buffer_put(&ready->bytes, response->out->bytes + from, size);
    ready->head_length = size - (http_status_has_no_body(response->status) ? 0 : length);
    ready->status = response->status;
    ready->content_type = content_type;
    ready->body = body;
    ready->length = length;
    ready->expires_ns = response->date->expires_ns;
}

int http_respond_constant(struct http_response *response, int status, const char *content_type,
                          const void *body, size_t length)
{
    bool plain = !response->close && !response->say_keep_alive && !response->deferred &&
                 !response->fields->length;
    if (!plain || response->status)
        return http_respond(response, status, content_type, body, length);
    struct buffer *out = response->out;
    if (!is_ready(response, status, content_type, body, length)) {
        size_t from = out->length;
        int returned = http_respond(response, status, content_type, body, length);
        if (returned == status && !response->head_only && length <= READY_MAX)
            keep_ready(response, from, content_type, body, length);
        return returned;
    }
    const struct http_ready *ready = response->ready;
    size_t size = response->head_only ? ready->head_length : ready->bytes.length;
    if (!buffer_reserve(out, size))
        return -ENOMEM;
    buffer_put(out, ready->bytes.bytes, size);
    response->status = status;
    response->body_bytes = size - ready->head_length;
    return status;
}

bool http_respond_short(struct http_response *response, int status)
{
    char text[STATUS_LINE_MAX];
    int length = snprintf(text, sizeof(text), "%d %s\n", status, http_status_reason(status));
    return http_respond(response, status, "text/plain; charset=utf-8", text, (size_t)length) ==
           status;
}
