#include "cgi_environment.h"

#include "http/request.h"
#include "http/uri.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 16384 }; /* no part of a head is longer */

static bool set(const char *name, struct http_text value)
{
    char terminated[VALUE_MAX];
    snprintf(terminated, sizeof(terminated), "%.*s", (int)value.length, value.bytes);
    return setenv(name, terminated, 1) == 0;
}

static bool set_number(const char *name, unsigned number)
{
    char digits[16];
    snprintf(digits, sizeof(digits), "%u", number);
    return setenv(name, digits, 1) == 0;
}

/* Not to be told: credentials, what would be taken for the address of a proxy by HTTP_PROXY, and
 * what has a variable of its own. Two names that differ in '-' and '_' would be one variable. */
static bool is_told(struct http_text name)
{
    static const char *const kept_back[] = {"authorization", "proxy", "content-length",
                                            "content-type"};
    for (size_t i = 0; i < sizeof(kept_back) / sizeof(*kept_back); i++) {
        if (http_text_is(name, kept_back[i]))
            return false;
    }
    return !memchr(name.bytes, '_', name.length);
}

/* The values of fields with the same name become one. */
static bool set_field(struct http_text name, struct http_text value)
{
    char variable[VALUE_MAX], joined[VALUE_MAX];
    snprintf(variable, sizeof(variable), CGI_FIELD "%.*s", (int)name.length, name.bytes);
    for (char *byte = variable; *byte; byte++)
        *byte = *byte == '-' ? '_' : (char)toupper((unsigned char)*byte);
    const char *earlier = getenv(variable);
    snprintf(joined, sizeof(joined), "%s%s%.*s", earlier ? earlier : "", earlier ? ", " : "",
             (int)value.length, value.bytes);
    return setenv(variable, joined, 1) == 0;
}

static bool set_fields(const struct http_request *request)
{
    struct http_text name, value;
    for (size_t i = 0; http_request_field(request, i, &name, &value); i++) {
        if (is_told(name) && !set_field(name, value))
            return false;
    }
    return true;
}

/* Without its port. */
static struct http_text host_name(const struct http_request *request)
{
    struct http_text host = http_request_host(request);
    if (!host.length)
        return (struct http_text){"127.0.0.1", 9};
    size_t end = host.length;
    while (end > 0 && isdigit((unsigned char)host.bytes[end - 1]))
        end--;
    if (end > 0 && host.bytes[end - 1] == ':')
        host.length = end - 1;
    return host;
}

/* All paths are the script's: it has the empty name, and the rest is for it to look at. */
static bool set_target(const struct http_request *request)
{
    char decoded[VALUE_MAX];
    struct http_text path = http_request_path(request);
    struct http_text query = http_request_query(request);
    struct http_text info = {decoded, 0};
    if (!http_percent_decode(path, false, decoded, &info.length))
        info = path;
    return setenv("SCRIPT_NAME", "", 1) == 0 && set("PATH_INFO", info) &&
           set("QUERY_STRING", query.bytes ? query : (struct http_text){"", 0}) &&
           set(CGI_TARGET, http_request_target(request));
}

/* A body in chunks has no length here; the script is told of them by HTTP_TRANSFER_ENCODING. */
static bool set_body(const struct http_request *request)
{
    struct http_text type = http_request_header(request, "Content-Type");
    struct http_text length = http_request_header(request, "Content-Length");
    return (!type.bytes || set("CONTENT_TYPE", type)) &&
           (!length.bytes || set("CONTENT_LENGTH", length));
}

static bool set_server(const struct http_request *request, unsigned port)
{
    return setenv("GATEWAY_INTERFACE", "CGI/1.1", 1) == 0 &&
           setenv("SERVER_SOFTWARE", "coreactor-models", 1) == 0 &&
           setenv("SERVER_PROTOCOL", request->version_minor ? "HTTP/1.1" : "HTTP/1.0", 1) == 0 &&
           set("SERVER_NAME", host_name(request)) && set_number("SERVER_PORT", port) &&
           setenv("REMOTE_ADDR", "127.0.0.1", 1) == 0;
}

bool cgi_describe(const struct http_request *request, unsigned port, unsigned service_port)
{
    return clearenv() == 0 && set_server(request, port) &&
           set("REQUEST_METHOD", http_request_method(request)) && set_target(request) &&
           set_body(request) && set_fields(request) && set_number(CGI_SERVICE, service_port);
}
