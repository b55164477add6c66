#include <coreactor/server.h>
#include <stdio.h>

static int hello(const struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "Hello!\n", 7);
}

int main(void) /* one reactor per core, on 127.0.0.1:18470 */
{
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options), .handle_signals = true, .announce = true});
    server_handle(server, hello, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "%s\n", server_error(server));
    server_free(server);
    return error != 0;
}
