/*
 * http.h - one HTTP request and the answer to it, as a handler sees them.
 *
 * A handler is called on the reactor that owns the connection, when the head of a request has
 * arrived, and must not block it. It answers at once, or returns HTTP_PENDING and answers later on
 * the same reactor: from a timer, another descriptor, a post, or when the body has arrived.
 *
 * The request, the response and every text taken from them live until the answer is complete or
 * cancelled. All functions here must be called on the reactor's thread, except by a handler of
 * server_route_offload(), which has a thread of its own. None of them calls a handler, or ends a
 * request, before it returns.
 */
#ifndef COREACTOR_HTTP_H
#define COREACTOR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct http_request;
struct http_response;
struct reactor;

/* Bytes, not terminated, not owned. `bytes` is NULL when absent. */
struct http_text {
    const char *bytes;
    size_t length;
};

/* A handler's promise to answer later. */
enum { HTTP_PENDING = 1 };

/* Answers `request` and returns the status of the answer, usually by `return http_respond(...)`; or
 * returns HTTP_PENDING. A handler that has not responded may return a bare status from 400 to 599:
 * a short answer is made for it, with the fields added so far. Anything else becomes 500 and a line
 * in the log; when a streamed answer has begun, it ends the connection instead. */
typedef int (*http_handler)(struct http_request *request, struct http_response *response,
                            void *arg);

/* --- the request: line and fields --- */

/* The method as sent; methods are case-sensitive (RFC 9110 section 9.1). */
struct http_text http_request_method(const struct http_request *request);

/* Whether the method is exactly `method`, such as "GET". */
bool http_request_method_is(const struct http_request *request, const char *method);

/* The target as sent, in any of its forms (RFC 9112 section 3.2). */
struct http_text http_request_target(const struct http_request *request);

/* The path of the target without its query, still percent-encoded (RFC 9112 section 3.2). "*" for
 * an asterisk-form target; "/" for an absolute-form target without a path. */
struct http_text http_request_path(const struct http_request *request);

/* The query after the first '?', without it, still encoded; `bytes` is NULL when there is no '?'.
 */
struct http_text http_request_query(const struct http_request *request);

/* Whom the request is for, "host" or "host:port": of an absolute-form target, else of the field
 * Host (RFC 9112 section 3.3). Absent when an HTTP/1.0 client sent neither. */
struct http_text http_request_host(const struct http_request *request);

/* The value of the first field called `name` (case-insensitive) without the white space around it.
 * Not copied. */
struct http_text http_request_header(const struct http_request *request, const char *name);

/* The values of all fields called `name`, joined by ", " in their order (RFC 9110 section 5.3).
 * Absent when there is none, or when memory is short. */
struct http_text http_request_header_list(struct http_request *request, const char *name);

/* The fields in their order: false when there is no field number `index` (from 0). */
bool http_request_field(const struct http_request *request, size_t index, struct http_text *name,
                        struct http_text *value);

/* --- the request: decoded --- */

/* What the part `name` of the route's pattern stands for in the path, percent-decoded; for a
 * trailing '*', called "*", the rest of the path as it was sent. Absent when the pattern has no
 * such part. */
struct http_text http_request_param(const struct http_request *request, const char *name);

/* The value of the first `name=value` of the query, decoded ('+' is a space, and %41 is 'A': the
 * URL Standard's application/x-www-form-urlencoded). Empty for a name without '='; absent when
 * there is no such name, its encoding is broken, or memory is short. */
struct http_text http_request_query_value(struct http_request *request, const char *name);

/* Goes through the query's pairs: `*cursor` is 0 at first, and false is returned after the last.
 * Both are decoded; a value whose encoding is broken is absent. */
bool http_request_query_next(struct http_request *request, size_t *cursor, struct http_text *name,
                             struct http_text *value);

/* `text` percent-decoded ('+' stays '+'). Absent when a '%' is not followed by two hexadecimal
 * digits, or when memory is short. */
struct http_text http_request_decode(struct http_request *request, struct http_text text);

/* --- the request: its place --- */

/* Memory that is freed with the request, aligned for any type; NULL when memory is short. */
void *http_request_alloc(struct http_request *request, size_t size);

/* The reactor that serves it, for timers, descriptors, reactor_post() and reactor_data(). */
struct reactor *http_request_reactor(const struct http_request *request);

/* The address that the request came from, and the one that it arrived at: "192.0.2.1:4711",
 * "[2001:db8::1]:80"; "unknown" when it is neither IPv4 nor IPv6. Absent when memory is short. */
struct http_text http_request_client(struct http_request *request);
struct http_text http_request_server(struct http_request *request);

/* Whether the answer of a handler of server_route_offload() is not wanted any more, for the same
 * reasons as those of http_response_on_cancel(): it may ask now and then, at little cost, and give
 * up early; what it returns then does not matter. Always false for other handlers. Any thread,
 * while the handler runs. */
bool http_request_is_cancelled(const struct http_request *request);

/* --- the request: its body --- */

/* A body is read only when the handler asks for it by one of the two functions below, each at most
 * once; then a client that sent `Expect: 100-continue` is told to go on (RFC 9110 section 10.1.1).
 * What nobody asked for is read and discarded after the answer, up to 1 MiB; beyond that the
 * connection is closed. */

/* Has `handler` called once, when the whole body is there: http_request_body(). It holds at most
 * `limit` bytes; a longer body is answered with 413 instead. When the body does not come, is
 * malformed or too long, `handler` is not called: whoever has something to give back by then needs
 * http_response_on_cancel(). Returns what the calling handler is to return: HTTP_PENDING, or 413,
 * or -EALREADY. */
int http_request_collect(struct http_request *request, size_t limit, http_handler handler,
                         void *arg);

/* Has `handler` called for every piece of the body, and then once with no bytes for its end:
 * http_request_ended(). It takes what it can use of
 * http_request_body() by http_request_consume(), and returns HTTP_PENDING until it answers. While
 * it leaves bytes there, nothing more is read from the client; it is called again after
 * http_request_resume(), or when a short http_response_write() can go on. Returns HTTP_PENDING, or
 * -EALREADY. */
int http_request_stream(struct http_request *request, http_handler handler, void *arg);

/* The body that was collected, or the piece of a streamed one that has not been consumed: it is
 * valid until the handler returns. */
struct http_text http_request_body(const struct http_request *request);

/* Takes the first `count` bytes of the piece, at most its length. */
void http_request_consume(struct http_request *request, size_t count);

/* Whether the whole body has arrived, and the handler has been given all of it. */
bool http_request_ended(const struct http_request *request);

/* Has the stream's handler called again, soon, with what it left, and with nothing more than that:
 * a part of something longer is to be consumed and kept by the handler. */
void http_request_resume(struct http_request *request);

/* The value of the first trailer field called `name`, once the body has ended (RFC 9110 section
 * 6.5). */
struct http_text http_request_trailer(const struct http_request *request, const char *name);

/* --- the answer --- */

/* Adds a field to the answer; call it before the answer begins. The fields Connection,
 * Content-Length, Content-Type, Date, Server, Trailer and Transfer-Encoding belong to the library.
 * Both texts are copied. Returns 0, -EINVAL for a name or value that RFC 9110 section 5 does not
 * allow or a field of the library's, -EALREADY when already answered, -ENOMEM. */
int http_response_header(struct http_response *response, const char *name, const char *value);

/* Adds fields that were made and checked beforehand: complete lines "Name: value\r\n", which are
 * copied as they are. Returns 0, -EALREADY or -ENOMEM as above. */
int http_response_lines(struct http_response *response, struct http_text lines);

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

/* http_respond() with `length` bytes of the regular file `fd` from `offset`, which are sent by the
 * kernel (sendfile(2)). The response owns the descriptor from now on, and closes it, whatever is
 * returned. A file that ends early ends the connection, so that the client can tell. Returns as
 * http_respond() does, and -EINVAL for a negative offset. */
int http_respond_file(struct http_response *response, int status, const char *content_type, int fd,
                      int64_t offset, uint64_t length);

/* --- the answer from elsewhere --- */

/* A part of a body: of memory, or of the source's file when `bytes` is NULL. */
struct http_piece {
    const void *bytes;
    int64_t offset; /* in the file */
    uint64_t length;
};

/* Where a body comes from that is not copied. */
struct http_source {
    int fd; /* of a regular file; -1 when all pieces are memory */
    /* NULL, or asked before bytes of the file are sent, of `length` bytes from `offset`, how many
     * can be sent now without blocking and without being wrong. Returns that number, at least 1;
     * -EAGAIN when it calls http_response_ready() later; any other negative errno ends the
     * connection. The last byte is asked for, and sent, alone, so that what goes wrong before it is
     * never sent whole. `length` is 0 when memory is to be sent: 0 agrees. */
    int64_t (*prepare)(void *arg, int64_t offset, size_t length);
    /* Called once, when the source and the memory of the pieces are not needed any more: all is
     * sent, or will not be. It may be before http_respond_from() returns. */
    void (*release)(void *arg);
    void *arg; /* for both */
};

/* http_respond() with a body of `count` pieces one after another, which stay where they are until
 * the source is released; the array itself is copied. The kernel sends the file's (sendfile(2)).
 * Returns as http_respond() does, and -EINVAL for pieces of more than INT64_MAX bytes, or for
 * `prepare` of an offloaded handler's source (server_route_offload()). */
int http_respond_from(struct http_response *response, int status, const char *content_type,
                      const struct http_source *source, const struct http_piece *pieces,
                      size_t count);

/* Says that what `prepare` had to refuse with -EAGAIN can be asked for again. Not from within it.
 */
void http_response_ready(struct http_response *response);

/* --- the answer in pieces --- */

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* Begins an answer whose body follows by http_response_write(). With HTTP_LENGTH_UNKNOWN it is sent
 * in chunks, or to HTTP/1.0 until the connection closes. Returns 0, or as http_respond() does. */
int http_response_start(struct http_response *response, int status, const char *content_type,
                        uint64_t length);

/* Takes up to `length` bytes of the body, which are copied, and returns how many: fewer, and then
 * possibly none, when the client does not read fast enough (about 64 KiB wait for it). Bytes beyond
 * the announced length are not taken; those that HEAD, 204, 205 and 304 do not send are taken and
 * dropped. 0 when no streamed answer has begun or it is complete. */
size_t http_response_write(struct http_response *response, const void *bytes, size_t length);

/* Has `handler` called when http_response_write() can take bytes: soon, and again after each time
 * that it took fewer than given because the client does not read. NULL: not any more. It returns
 * HTTP_PENDING until the answer is complete. */
void http_response_on_room(struct http_response *response, http_handler handler, void *arg);

/* Adds a trailer field, sent after the body where that is in chunks (RFC 9110 section 6.5), else
 * dropped. After http_response_start(). Returns as http_response_header() does, -EALREADY when the
 * answer is not being streamed; fields that concern framing, routing or the content are refused. */
int http_response_trailer(struct http_response *response, const char *name, const char *value);

/* Completes the body of a streamed answer and returns its status, which a handler returns, or which
 * http_response_finish() is given. -EINVAL when it is not being streamed, or
 * when less than the announced length was written; return that value from the handler, and the
 * connection is closed so that the client can tell. */
int http_response_end(struct http_response *response);

/* --- the answer later --- */

/* Says that a pending answer will not take long: a client that closes its sending side meanwhile
 * is not taken for one that has gone away (see below), and still gets it. */
void http_response_soon(struct http_response *response);

/* Ends what a handler left pending: `returned` is what a handler would return, so usually
 * http_response_finish(response, http_respond(response, ...)). Every pending answer needs this
 * once, unless a handler that is called later (for the body, or for room) returns its status; until
 * then the connection waits. The request and the response must not be used afterwards. */
void http_response_finish(struct http_response *response, int returned);

/* Has `callback` called when a pending answer is not wanted any more: the client has gone away, its
 * body is malformed, too long or too slow (the server answers that itself), or the server ends.
 * Then there is nothing to finish, and the request and the response must not be used. Whoever keeps
 * either of them, in a timer or elsewhere, needs this: exactly one of finishing and cancelling
 * happens. A client that closes its sending side while an answer is pending has gone away. A drain
 * does not cancel: it waits for pending answers, for drain_timeout_s at most. NULL: not any more.
 */
void http_response_on_cancel(struct http_response *response, void (*callback)(void *arg),
                             void *arg);

#ifdef __cplusplus
}
#endif

#endif
