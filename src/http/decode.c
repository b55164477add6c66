/*
 * decode.c - what handlers read of a request beyond its bytes as sent.
 */
#include "http/exchange.h"
#include "http/uri.h"

static const struct http_text absent = {NULL, 0};

static struct http_text decode(struct http_request *request, struct http_text text, bool form)
{
    size_t length;
    char *to = text.bytes ? http_request_alloc(request, text.length) : NULL;
    if (!to || !http_percent_decode(text, form, to, &length))
        return absent;
    return (struct http_text){to, length};
}

struct http_text http_request_decode(struct http_request *request, struct http_text text)
{
    return decode(request, text, false);
}

struct http_text http_request_param(const struct http_request *request, const char *name)
{
    const struct router_match *match = &http_exchange_with(request)->match;
    for (unsigned i = 0; i < match->param_count; i++) {
        if (strcmp(match->params[i].name, name) == 0)
            return match->params[i].value;
    }
    return absent;
}

bool http_request_query_next(struct http_request *request, size_t *cursor, struct http_text *name,
                             struct http_text *value)
{
    struct http_text raw_name;
    struct http_text raw_value;
    if (!http_query_split(http_request_query(request), cursor, &raw_name, &raw_value))
        return false;
    *name = decode(request, raw_name, true);
    *value = decode(request, raw_value, true);
    return true;
}

/* Whether the name, decoded, is `name`. Most need no decoding. */
static bool is_called(struct http_request *request, struct http_text raw, const char *name)
{
    size_t length = strlen(name);
    if (raw.length < length)
        return false;
    if (memchr(raw.bytes, '%', raw.length) || memchr(raw.bytes, '+', raw.length))
        raw = decode(request, raw, true);
    return raw.length == length && raw.bytes && memcmp(raw.bytes, name, length) == 0;
}

struct http_text http_request_query_value(struct http_request *request, const char *name)
{
    size_t cursor = 0;
    struct http_text raw_name;
    struct http_text raw_value;
    while (http_query_split(http_request_query(request), &cursor, &raw_name, &raw_value)) {
        if (is_called(request, raw_name, name))
            return decode(request, raw_value, true);
    }
    return absent;
}

/* --- combined fields --- */

static bool is_field(const struct http_request *request, size_t index, const char *name,
                     struct http_text *value)
{
    struct http_text found;
    return http_request_field(request, index, &found, value) &&
           http_names_equal(found, name, strlen(name));
}

struct http_text http_request_header_list(struct http_request *request, const char *name)
{
    struct http_text value;
    size_t length = 0;
    for (size_t i = 0; i < request->field_count; i++)
        length += is_field(request, i, name, &value) ? value.length + 2 : 0;
    char *list = length ? http_request_alloc(request, length) : NULL;
    if (!list)
        return absent;
    char *to = list;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!is_field(request, i, name, &value))
            continue;
        memcpy(to, value.bytes, value.length);
        memcpy(to + value.length, ", ", 2);
        to += value.length + 2;
    }
    return (struct http_text){list, length - 2};
}
