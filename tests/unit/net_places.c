/* Where a request comes from and where it arrived, as a handler sees it. */
#include "tcp_support.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

static int tell_places(struct http_request *request, struct http_response *response, void *arg)
{
    struct http_text client = http_request_client(request);
    struct http_text server = http_request_server(request);
    (void)arg;
    g_assert_nonnull(http_request_reactor(request));
    g_autofree char *text = g_strdup_printf("%.*s -> %.*s", (int)client.length, client.bytes,
                                            (int)server.length, server.bytes);
    return http_respond(response, 200, "text/plain", text, strlen(text));
}

static void check_places(struct net *net, int fd, const char *expected)
{
    struct client client;
    client_init(&client, fd, GET("/places"), strlen(GET("/places")));
    client_run(&client, net, 1);
    g_autofree char *received = g_strndup((char *)client.received->data, client.received->len);
    g_assert_true(g_str_has_suffix(received, expected));
    client_fini(&client);
}

static void test_tcp(void)
{
    struct tcp tcp;
    struct address own = {.length = sizeof(own.storage)};
    char from[ADDRESS_TEXT_MAX];
    char to[ADDRESS_TEXT_MAX];
    tcp_open(&tcp);
    net_route(&tcp.net, "/places", tell_places, NULL);
    int fd = tcp_connect(&tcp);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&own.storage, &own.length), ==, 0);
    address_format(&own, from);
    address_format(&tcp.address, to);
    g_autofree char *expected = g_strdup_printf("\r\n\r\n%s -> %s", from, to);
    check_places(&tcp.net, fd, expected);
    turn_until_empty(&tcp);
    net_close(&tcp.net);
}

/* A socket pair has no address. */
static void test_neither(void)
{
    struct net net;
    net_open(&net);
    net_route(&net, "/places", tell_places, NULL);
    check_places(&net, net_pair(&net), "\r\n\r\nunknown -> unknown");
    net_close(&net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/places/tcp", test_tcp);
    g_test_add_func("/net/places/neither", test_neither);
    return g_test_run();
}
