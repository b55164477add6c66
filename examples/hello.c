#include <coreactor/server.h>
#include <stdio.h>

static int hello(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "Hello!\n", 7);
}

int main(int argc, char **argv) /* [ADDR:PORT]...; one reactor per core */
{
    struct server *server =
        server_new(&(struct server_options){.size = sizeof(struct server_options),
                                            .listen = argc > 1 ? (const char **)argv + 1 : NULL,
                                            .handle_signals = true,
                                            .announce = true});
    server_route(server, "GET", "/", hello, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "%s\n", server_error(server));
    server_free(server);
    return error != 0;
}
