#include "handlers/page.h"

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";

int page_handler(const struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    if (!http_request_method_is(request, "GET") && !http_request_method_is(request, "HEAD")) {
        http_response_header(response, "Allow", "GET, HEAD");
        return 405;
    }
    return http_respond_constant(response, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}
