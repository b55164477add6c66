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

bool http_names_equal(struct http_text text, const char *name, size_t length)
{
    if (text.length != length)
        return false;
    if (memcmp(text.bytes, name, length) == 0) /* most write a name as everyone does */
        return true;
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

struct http_text http_request_target(const struct http_request *request)
{
    return http_request_text(request, request->target);
}

struct http_text http_request_host(const struct http_request *request)
{
    if (!request->has_host)
        return (struct http_text){NULL, 0};
    return http_request_text(request, request->host);
}

struct http_text http_request_path(const struct http_request *request)
{
    return http_request_route_path(request);
}

struct http_text http_request_query(const struct http_request *request)
{
    if (!request->has_query)
        return (struct http_text){NULL, 0};
    const char *query = request->head + request->path.at + request->path.length + 1;
    const char *end = request->head + request->target.at + request->target.length;
    return (struct http_text){query, (size_t)(end - query)};
}

struct http_text http_request_header(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (http_names_equal(http_request_text(request, field->name), name, length))
            return http_request_text(request, field->value);
    }
    return (struct http_text){NULL, 0};
}

bool http_request_field(const struct http_request *request, size_t index, struct http_text *name,
                        struct http_text *value)
{
    if (index >= request->field_count)
        return false;
    *name = http_request_text(request, request->fields[index].name);
    *value = http_request_text(request, request->fields[index].value);
    return true;
}
