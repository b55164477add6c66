#include "http/target.h"

size_t http_ip_literal_end(const char *bytes, size_t from)
{
    size_t end = from + 1;
    while (http_is_host_byte(bytes[end]) || bytes[end] == ':')
        end++;
    return bytes[end] == ']' && end > from + 1 ? end + 1 : from;
}

static bool starts_with(struct http_text text, const char *lower)
{
    size_t prefix = strlen(lower);
    return text.length >= prefix && http_text_is((struct http_text){text.bytes, prefix}, lower);
}

/* http://host[:port][/path][?query] */
static int parse_absolute_form(struct http_request *request, struct http_text target)
{
    size_t host;
    if (starts_with(target, "http://"))
        host = strlen("http://");
    else if (starts_with(target, "https://"))
        return -421; /* not on a connection without TLS (RFC 9110 section 7.4) */
    else
        return -400;
    size_t end = host;
    while (end < target.length && target.bytes[end] != '/' && target.bytes[end] != '?')
        end++;
    if (end == host || !http_is_host(target.bytes, host, end))
        return -400;
    size_t at = request->target.at;
    request->host = http_span_of(at + host, at + end);
    request->has_host = true;
    request->path = http_span_of(at + end, (size_t)request->path.at + request->path.length);
    return 0;
}

int http_parse_target(struct http_request *request)
{
    struct http_text target = http_request_text(request, request->target);
    if (target.length == 1 && target.bytes[0] == '*')
        return http_method_is(request, "OPTIONS") ? 0 : -400;
    return parse_absolute_form(request, target);
}
