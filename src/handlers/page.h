/*
 * page.h - the built-in page: the article's, 83 bytes of HTML, on every path.
 */
#ifndef HANDLERS_PAGE_H
#define HANDLERS_PAGE_H

#include <coreactor/http.h>

/* Answers GET and HEAD with the page, every other method with 405. An http_handler without an
 * argument. */
int page_handler(const struct http_request *request, struct http_response *response, void *arg);

#endif
