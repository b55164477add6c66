#include "http/response.h"

#include "http/request.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum {
    DECIMAL_MAX = 20,     /* digits of a 64-bit number */
    STATUS_LINE_MAX = 64, /* "HTTP/1.1 511 Network Authentication Required\r\n" fits */
    FRAMING_MAX = 128,    /* the names of our own fields, Content-Length's digits, Connection */
};

#define PUT(buffer, literal) buffer_put(buffer, literal, sizeof(literal) - 1)

void http_response_begin(struct http_response *response)
{
    response->fields->length = 0;
    response->status = 0;
}

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

/* field-value, which neither begins nor ends with white space (RFC 9110 section 5.5) */
static bool is_value(struct http_text value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return false;
    }
    return value.length == 0 ||
           (!strchr(" \t", value.bytes[0]) && !strchr(" \t", value.bytes[value.length - 1]));
}

static bool is_ours(struct http_text name)
{
    static const char *const ours[] = {"connection", "content-length", "date", "server",
                                       "transfer-encoding"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (http_text_is(name, ours[i]))
            return true;
    }
    return false;
}

int http_response_header(struct http_response *response, const char *name, const char *value)
{
    struct http_text name_text = {name, strlen(name)};
    struct http_text value_text = {value, strlen(value)};
    if (!is_token(name_text) || !is_value(value_text) || is_ours(name_text))
        return -EINVAL;
    struct buffer *fields = response->fields;
    if (!buffer_reserve(fields, name_text.length + value_text.length + 4))
        return -ENOMEM;
    buffer_put(fields, name, name_text.length);
    PUT(fields, ": ");
    buffer_put(fields, value, value_text.length);
    PUT(fields, "\r\n");
    return 0;
}

/* --- the answer --- */

static void put_decimal(struct buffer *out, size_t number)
{
    char digits[DECIMAL_MAX];
    char *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buffer_put(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_status_line(struct buffer *out, int status)
{
    if (status == 200) {
        PUT(out, "HTTP/1.1 200 OK\r\n");
        return;
    }
    out->length += (size_t)snprintf(out->bytes + out->length, STATUS_LINE_MAX, "HTTP/1.1 %d %s\r\n",
                                    status, http_status_reason(status));
}

/* Statuses whose answers end after the fields, whatever these say (RFC 9112 section 6.3). */
static bool is_bodiless(int status)
{
    return status == 204 || status == 304;
}

int http_respond(struct http_response *response, int status, const char *content_type,
                 const void *body, size_t length)
{
    if (status < HTTP_STATUS_MIN || status > HTTP_STATUS_MAX)
        return -EINVAL;
    if (response->status)
        return -EALREADY;
    struct buffer *out = response->out;
    const struct buffer *fields = response->fields;
    size_t type_length = content_type ? strlen(content_type) : 0;
    if (!buffer_reserve(out, STATUS_LINE_MAX + HTTP_COMMON_LENGTH + FRAMING_MAX + type_length +
                                 fields->length + length))
        return -ENOMEM;
    put_status_line(out, status);
    buffer_put(out, response->date->common, HTTP_COMMON_LENGTH);
    if (content_type && !is_bodiless(status)) {
        PUT(out, "Content-Type: ");
        buffer_put(out, content_type, type_length);
        PUT(out, "\r\n");
    }
    if (!is_bodiless(status)) {
        PUT(out, "Content-Length: ");
        put_decimal(out, length);
        PUT(out, "\r\n");
    }
    if (fields->length)
        buffer_put(out, fields->bytes, fields->length);
    if (response->close)
        PUT(out, "Connection: close\r\n");
    else if (response->say_keep_alive)
        PUT(out, "Connection: keep-alive\r\n");
    PUT(out, "\r\n");
    if (length && !response->head_only && !is_bodiless(status))
        buffer_put(out, body, length);
    response->status = status;
    return status;
}

bool http_response_finish(struct http_response *response, int returned)
{
    if (response->status)
        return true;
    if (returned < 400 || returned > HTTP_STATUS_MAX) {
        returned = 500;
        response->fields->length = 0; /* whatever they were, they were not meant for this answer */
    }
    char text[STATUS_LINE_MAX];
    int length = snprintf(text, sizeof(text), "%d %s\n", returned, http_status_reason(returned));
    return http_respond(response, returned, "text/plain; charset=utf-8", text, (size_t)length) ==
           returned;
}
