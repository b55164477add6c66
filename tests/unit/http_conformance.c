/*
 * Requirements of RFC 9110 and RFC 9112 on a whole conversation that no other test is about:
 * docs/conformance.md says which. One worker, one client over a socket pair.
 */
#include "http/router.h"
#include "net/connection.h"
#include "net/worker.h"

#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELDS    " HTTP/1.1\r\nHost: a\r\n"
#define GO_ON     "HTTP/1.1 100 Continue\r\n\r\n"
#define LAST      "GET /text" FIELDS "Connection: close\r\n\r\n"
#define OLD(text) text " HTTP/1.0\r\n"

/* --- handlers --- */

static int on_text(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    char text[64];
    struct http_text target = http_request_target(request);
    int length = g_snprintf(text, sizeof(text), "<%.*s>", (int)target.length, target.bytes);
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

static int on_status(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct http_text status = http_request_param(request, "status");
    return http_respond(response, (int)g_ascii_strtoll(status.bytes, NULL, 10), "text/plain",
                        "body", 4);
}

static int on_body(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct http_text body = http_request_body(request);
    return http_respond(response, 200, "text/plain", body.bytes, body.length);
}

static int on_collect(struct http_request *request, struct http_response *response, void *arg)
{
    (void)response;
    return http_request_collect(request, 100, on_body, arg);
}

/* Takes one byte at a time, and asks for the next before it returns. */
static int on_piece(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct http_text piece = http_request_body(request);
    http_request_consume(request, http_response_write(response, piece.bytes, piece.length > 0));
    http_request_resume(request);
    return http_request_ended(request) ? http_response_end(response) : HTTP_PENDING;
}

/* Begins the answer before it asks for the body. */
static int on_echo(struct http_request *request, struct http_response *response, void *arg)
{
    int error = http_response_start(response, 200, "text/plain", HTTP_LENGTH_UNKNOWN);
    return error ? error : http_request_stream(request, on_piece, arg);
}

static int on_streamed(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct http_text status = http_request_param(request, "status");
    http_response_start(response, (int)g_ascii_strtoll(status.bytes, NULL, 10), "text/plain",
                        HTTP_LENGTH_UNKNOWN);
    http_response_write(response, "body", 4);
    return http_response_end(response);
}

/* --- one conversation --- */

static struct router *new_router(void)
{
    struct router *router = router_new();
    g_assert_cmpint(router_add(router, NULL, "/text", on_text, NULL), ==, 0);
    g_assert_cmpint(router_add(router, NULL, "/text/{x}", on_text, NULL), ==, 0);
    g_assert_cmpint(router_add(router, NULL, "/status/{status}", on_status, NULL), ==, 0);
    g_assert_cmpint(router_add(router, NULL, "/streamed/{status}", on_streamed, NULL), ==, 0);
    g_assert_cmpint(router_add(router, NULL, "/collect", on_collect, NULL), ==, 0);
    g_assert_cmpint(router_add(router, NULL, "/echo", on_echo, NULL), ==, 0);
    return router;
}

struct heard {
    GString *text;
    bool ended;
};

static void hear(int fd, struct heard *heard)
{
    char bytes[4096];
    ssize_t count;
    while ((count = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        g_string_append_len(heard->text, bytes, count);
    heard->ended |= count == 0;
}

/* Says `first`, hears what comes, says `second` if there is one, and hears the rest. */
static struct heard converse(const char *first, const char *second)
{
    int fds[2];
    struct router *router = new_router();
    struct service service = {.router = router, .limits = http_limits_default};
    service.limits.body_bytes = UINT64_MAX;
    service.max_connections = 1;
    struct reactor *reactor = reactor_new();
    struct worker worker;
    struct heard heard = {.text = g_string_new(NULL)};
    g_assert_cmpint(worker_init(&worker, reactor, &service, 1), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_assert_true(worker_reserve_connection(&worker));
    g_assert_cmpint(
        connection_open(&worker, &(struct visitor){.fd = fds[1], .peer.any.sa_family = AF_UNIX}),
        ==, 0);
    const char *said[] = {first, second};
    for (int i = 0; i < 2 && said[i]; i++) {
        send(fds[0], said[i], strlen(said[i]), MSG_NOSIGNAL);
        for (int turn = 0; turn < 50; turn++) {
            g_assert_cmpint(reactor_run(reactor, 0), >=, 0);
            hear(fds[0], &heard);
        }
    }
    close(fds[0]);
    worker_fini(&worker);
    reactor_destroy(reactor);
    router_free(router);
    return heard;
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

/* The only answer to `request`, in which no `without` is. */
static void expect(const char *request, const char *with, const char *without)
{
    struct heard heard = converse(request, NULL);
    g_test_message("%s", heard.text->str);
    g_assert_cmpuint(count_of(heard.text->str, "HTTP/1.1 "), ==, 1);
    g_assert_nonnull(strstr(heard.text->str, with));
    g_assert_true(!without || !strstr(heard.text->str, without));
    g_string_free(heard.text, TRUE);
}

/* --- RFC 9112 --- */

static void test_space_after_status(void)
{
    expect("GET /status/299" FIELDS "\r\n", "HTTP/1.1 299 ", NULL);
    expect("GET /status/599" FIELDS "\r\n", "HTTP/1.1 599 ", NULL);
}

static void test_transfer_encoding(void)
{
    expect("GET /streamed/200" FIELDS "\r\n", "\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "Content-Length");
    expect("GET /streamed/204" FIELDS "\r\n", "204 No Content", "Transfer-Encoding");
    expect("GET /streamed/204" FIELDS "\r\n", "204 No Content", "body");
    expect(OLD("GET /streamed/200") "\r\n", "\r\n\r\nbody", "Transfer-Encoding");
    expect(OLD("GET /streamed/200") "Connection: keep-alive\r\n\r\n", "Connection: close",
           "chunked");
}

static void test_order(void)
{
    struct heard heard = converse("GET /text/1" FIELDS "\r\n"
                                  "POST /collect" FIELDS "Content-Length: 5\r\n\r\n<col>"
                                  "GET /text/2" FIELDS "\r\n",
                                  "GET /text/3" FIELDS "\r\n");
    const char *at = heard.text->str;
    for (const char *const *next =
             (const char *const[]){"</text/1>", "<col>", "</text/2>", "</text/3>", NULL};
         *next; next++) {
        at = strstr(at, *next);
        g_assert_nonnull(at);
    }
    g_assert_false(heard.ended);
    g_string_free(heard.text, TRUE);
}

/* The body of a request is read to its end, or the connection closed. */
static void test_body_is_read(void)
{
    static const char *const bodies[] = {
        "Content-Length: 17\r\n\r\nGET / HTTP/1.1\r\n\r",
        "Transfer-Encoding: chunked\r\n\r\n11\r\nGET / HTTP/1.1\r\n\r\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autofree char *request = g_strconcat("POST /text" FIELDS, bodies[i], LAST, NULL);
        struct heard heard = converse(request, NULL);
        g_assert_cmpuint(count_of(heard.text->str, "HTTP/1.1 200"), ==, 2);
        g_assert_true(heard.ended);
        g_string_free(heard.text, TRUE);
    }
    expect("POST /text" FIELDS "Content-Length: 9999999\r\n\r\n", "Connection: close", NULL);
}

static void test_close(void)
{
    static const char *const lasts[] = {
        LAST,
        OLD("GET /text") "\r\n",
        "GET /text" FIELDS "Connection: x, CLOSE\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        OLD("GET /streamed/200") "Connection: keep-alive\r\n\r\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lasts); i++) {
        g_autofree char *both = g_strconcat(lasts[i], LAST, NULL);
        for (int apart = 0; apart < 2; apart++) {
            struct heard heard = converse(apart ? lasts[i] : both, apart ? LAST : NULL);
            g_assert_cmpuint(count_of(heard.text->str, "HTTP/1.1 "), ==, 1);
            g_assert_cmpuint(count_of(heard.text->str, "Connection: close\r\n"), ==, 1);
            g_assert_true(heard.ended);
            g_string_free(heard.text, TRUE);
        }
    }
}

/* A head that says Connection: close is the last, though the body turns out to be asked for. */
static void test_close_once_said(void)
{
    struct heard heard = converse(
        "POST /echo" FIELDS "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "ab" LAST);
    g_assert_cmpuint(count_of(heard.text->str, "HTTP/1.1 "), ==, 1);
    g_assert_cmpuint(count_of(heard.text->str, "Connection: close\r\n"), ==, 1);
    g_assert_true(g_str_has_suffix(heard.text->str, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
    g_assert_true(heard.ended);
    g_string_free(heard.text, TRUE);
}

/* --- RFC 9110 --- */

static void test_date(void)
{
    for (int status = 200; status < 600; status += 100) {
        g_autofree char *request = g_strdup_printf("GET /status/%d" FIELDS "\r\n", status);
        struct heard heard = converse(request, NULL);
        g_assert_cmpuint(count_of(heard.text->str, "\r\nDate: "), ==, 1);
        g_string_free(heard.text, TRUE);
    }
}

static void test_head(void)
{
    static const char *const targets[] = {"/text", "/status/404", "/streamed/200", "/nowhere"};
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autofree char *get = g_strconcat("GET ", targets[i], FIELDS "\r\n", NULL);
        g_autofree char *head = g_strconcat("HEAD ", targets[i], FIELDS "\r\n", NULL);
        struct heard full = converse(get, NULL);
        struct heard bare = converse(head, NULL);
        const char *date_of_full = strstr(full.text->str, "\r\nContent-Type");
        const char *date_of_bare = strstr(bare.text->str, "\r\nContent-Type");
        size_t length = strlen(date_of_bare);
        g_assert_true(g_str_has_suffix(bare.text->str, "\r\n\r\n"));
        g_assert_cmpmem(date_of_bare, length, date_of_full, length);
        g_assert_cmpuint(full.text->len, >, bare.text->len);
        g_string_free(full.text, TRUE);
        g_string_free(bare.text, TRUE);
    }
}

#define EXPECTS "Expect: 100-continue\r\nContent-Length: 2\r\n"

static void expect_start(const char *first, const char *second, const char *start, unsigned count)
{
    struct heard heard = converse(first, second);
    g_test_message("%s", heard.text->str);
    g_assert_true(g_str_has_prefix(heard.text->str, start));
    g_assert_cmpuint(count_of(heard.text->str, "HTTP/1.1 "), ==, count);
    g_string_free(heard.text, TRUE);
}

static void test_expect(void)
{
    /* Whoever asks for the body has the client told to go on, and answers then. */
    expect_start("POST /collect" FIELDS EXPECTS "\r\n", "ab", GO_ON "HTTP/1.1 200 OK", 2);
    expect_start("POST /collect" FIELDS EXPECTS "\r\n", NULL, GO_ON, 1);
    /* Not when the body has come already, to HTTP/1.0, or when nobody asks. */
    expect_start("POST /collect" FIELDS EXPECTS "\r\nab", NULL, "HTTP/1.1 200 OK", 1);
    expect_start(OLD("POST /collect") EXPECTS "\r\n", "ab", "HTTP/1.1 200 OK", 1);
    expect_start("POST /text" FIELDS EXPECTS "\r\n", "ab", "HTTP/1.1 200 OK", 1);
    /* Nor when there is no body. */
    expect_start("GET /text" FIELDS "Expect: 100-continue\r\n\r\n", NULL, "HTTP/1.1 200 OK", 1);
}

/* A handler that comes again for the rest of a piece is given it. */
static void test_every_byte_is_handed_over(void)
{
    expect("POST /echo" FIELDS "Content-Length: 4\r\n\r\nabcd",
           "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n", NULL);
}

#define ADD(name, test) g_test_add_func("/http/conformance/" name, test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("space-after-status", test_space_after_status);
    ADD("transfer-encoding", test_transfer_encoding);
    ADD("order", test_order);
    ADD("body-is-read", test_body_is_read);
    ADD("close", test_close);
    ADD("close-once-said", test_close_once_said);
    ADD("date", test_date);
    ADD("head", test_head);
    ADD("expect", test_expect);
    ADD("every-byte-is-handed-over", test_every_byte_is_handed_over);
    return g_test_run();
}
