/*
 * http.h - one HTTP request and the answer to it, as a handler sees them.
 *
 * A handler runs on the reactor that owns the connection and must not block it. The request, and
 * every text taken from it, lives until the handler returns.
 */
#ifndef COREACTOR_HTTP_H
#define COREACTOR_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct http_request;
struct http_response;

/* A piece of the request as it arrived: not terminated, not owned. `bytes` is NULL when absent. */
struct http_text {
    const char *bytes;
    size_t length;
};

/* Answers `request` and returns the status of the answer, usually by `return http_respond(...)`.
 * A handler that has not responded may return a bare status from 400 to 599: a short answer is made
 * for it, with the fields added so far. Anything else becomes 500. */
typedef int (*http_handler)(const struct http_request *request, struct http_response *response,
                            void *arg);

/* The method as sent; methods are case-sensitive (RFC 9110 section 9.1). */
struct http_text http_request_method(const struct http_request *request);

/* Whether the method is exactly `method`, such as "GET". */
bool http_request_method_is(const struct http_request *request, const char *method);

/* The path of the target without its query, still percent-encoded (RFC 9112 section 3.2). "*" for
 * an asterisk-form target; "/" for an absolute-form target without a path. */
struct http_text http_request_path(const struct http_request *request);

/* The query after the first '?', without it; `bytes` is NULL when there is no '?'. */
struct http_text http_request_query(const struct http_request *request);

/* The value of the first field called `name` (case-insensitive) without the white space around it.
 */
struct http_text http_request_header(const struct http_request *request, const char *name);

/* Adds a field to the answer; call it before http_respond(). The fields Connection, Content-Length,
 * Content-Type, Date, Server and Transfer-Encoding belong to the library. Both texts are copied.
 * Returns 0, -EINVAL for a name or value that RFC 9110 section 5 does not allow or a field of the
 * library's, -EALREADY when already answered, -ENOMEM. */
int http_response_header(struct http_response *response, const char *name, const char *value);

/* Completes the answer with `status` (200 to 599) and a body of `length` bytes, which is copied,
 * and returns `status`. `content_type` may be NULL when there is no body. HEAD, 204, 205 and 304
 * send no body (RFC 9110 sections 6.4.1 and 15.3.6). Returns -EINVAL for a status out of range or a
 * type that is no field value, -EALREADY when already answered, -ENOMEM; return that value from the
 * handler and the client gets a 500 where that is still possible. */
int http_respond(struct http_response *response, int status, const char *content_type,
                 const void *body, size_t length);

/* http_respond() for an answer that is always the same: while the server runs, the same
 * `content_type` and `body` pointers must always point at the same bytes. Each reactor keeps the
 * last such answer, if its body has at most 64 KiB, and sends it again without making it anew: good
 * for one page that most requests get; where pages alternate, http_respond() costs less. */
int http_respond_constant(struct http_response *response, int status, const char *content_type,
                          const void *body, size_t length);

#ifdef __cplusplus
}
#endif

#endif
