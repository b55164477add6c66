#include "handlers/page.h"

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";

int page_handler(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond_constant(response, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}
