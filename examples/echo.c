/*
 * echo.c - sends a body of any size back while it arrives, in constant memory:
 *
 *     echo [ADDR:PORT]...          curl -T big-file http://127.0.0.1:18470/ | cmp - big-file
 *
 * A client that does not read its echo is not read from either: what the response does not take
 * stays where it is, and the server calls again when there is room.
 */
#include <coreactor/server.h>
#include <stdio.h>

/* Called for every piece of the body, when there is room again, and for the end. */
static int pass_on(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    struct http_text piece = http_request_body(request);
    http_request_consume(request, http_response_write(response, piece.bytes, piece.length));
    return http_request_ended(request) ? http_response_end(response) : HTTP_PENDING;
}

static int echo(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text type = http_request_header(request, "Content-Type");
    char content_type[128];
    if (!type.bytes || type.length >= sizeof(content_type))
        type = (struct http_text){"application/octet-stream", 24};
    snprintf(content_type, sizeof(content_type), "%.*s", (int)type.length, type.bytes);
    /* The body first: a client that waits for 100 Continue is told before the answer begins. */
    int pending = http_request_stream(request, pass_on, arg);
    int error = http_response_start(response, 200, content_type, HTTP_LENGTH_UNKNOWN);
    return error ? error : pending;
}

int main(int argc, char **argv)
{
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = argc > 1 ? (const char **)argv + 1 : NULL,
        .max_body_bytes = -1,
        .handle_signals = true,
        .announce = true,
    });
    server_route(server, "POST", "/*", echo, NULL);
    server_route(server, "PUT", "/*", echo, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "echo: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
