#include "http/request.h"

#include <string.h>

static inline unsigned char to_lower(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

bool http_text_is(struct http_text text, const char *lower)
{
    for (size_t i = 0; i < text.length; i++) {
        if (to_lower((unsigned char)text.bytes[i]) != (unsigned char)lower[i])
            return false; /* also at the end of a shorter `lower` */
    }
    return lower[text.length] == '\0';
}

static bool names_equal(struct http_text text, const char *name, size_t length)
{
    if (text.length != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (to_lower((unsigned char)text.bytes[i]) != to_lower((unsigned char)name[i]))
            return false;
    }
    return true;
}

struct http_text http_request_method(const struct http_request *request)
{
    return http_request_text(request, request->method);
}

bool http_request_method_is(const struct http_request *request, const char *method)
{
    const char *sent = request->head + request->method.at;
    size_t i = 0;
    while (i < request->method.length && sent[i] == method[i])
        i++; /* the end of a shorter `method` is no byte of a token */
    return i == request->method.length && method[i] == '\0';
}

/* The '?' of the target, or NULL. */
static const char *find_query(const struct http_request *request)
{
    return memchr(request->head + request->path.at, '?', request->path.length);
}

struct http_text http_request_path(const struct http_request *request)
{
    struct http_text path = http_request_text(request, request->path);
    const char *query = find_query(request);
    if (query)
        path.length = (size_t)(query - path.bytes);
    if (path.length == 0)
        path = (struct http_text){"/", 1};
    return path;
}

struct http_text http_request_query(const struct http_request *request)
{
    const char *query = find_query(request);
    if (!query)
        return (struct http_text){NULL, 0};
    const char *end = request->head + request->path.at + request->path.length;
    return (struct http_text){query + 1, (size_t)(end - query - 1)};
}

struct http_text http_request_header(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (names_equal(http_request_text(request, field->name), name, length))
            return http_request_text(request, field->value);
    }
    return (struct http_text){NULL, 0};
}
