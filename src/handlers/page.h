/*
 * page.h - the built-in page: the article's, 83 bytes of HTML, on every path.
 */
#ifndef HANDLERS_PAGE_H
#define HANDLERS_PAGE_H

#include <coreactor/http.h>

/* Answers with the page, whatever the request. An http_handler without an argument, for GET. */
int page_handler(struct http_request *request, struct http_response *response, void *arg);

#endif
