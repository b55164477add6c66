#include <coreactor/server.h>

static int hello(const struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond(response, 200, "text/plain", "Hello!\n", 7);
}

int main(void)
{
    struct server *server = server_new(NULL); /* one reactor per core, on 127.0.0.1:18470 */
    server_handle(server, hello, NULL);
    return server_run(server);
}
