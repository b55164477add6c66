#include "tcp_support.h"

#include <fcntl.h>
#include <string.h>

enum { TURNS_MAX = 100000 };

void tcp_open(struct tcp *tcp)
{
    net_open(&tcp->net);
    g_assert_true(address_parse("127.0.0.1:0", &tcp->address));
    int fd = listener_open(&tcp->address, 512);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(worker_listen(&tcp->net.worker, fd), ==, 0);
}

int tcp_connect(const struct tcp *tcp)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(
        connect(fd, (const struct sockaddr *)&tcp->address.storage, tcp->address.length), ==, 0);
    g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
    return fd;
}

static const uint64_t ms = 1000000;

void serve(struct tcp *tcp, int fd)
{
    struct client client;
    g_autoptr(GByteArray) owed = owed_for(&tcp->net, GET("/1"), strlen(GET("/1")));
    client_init(&client, fd, GET("/1"), strlen(GET("/1")));
    while (client.received->len < owed->len && !client.ended) {
        clock_ahead_ns += 10 * ms;
        client_step(&client, &tcp->net);
    }
    expect_received(&client, owed);
    client_fini(&client);
}

void turn_until_calls(struct tcp *tcp, unsigned calls)
{
    for (int i = 0; i < TURNS_MAX && inject_accept.calls < calls; i++)
        net_turn(&tcp->net);
    g_assert_cmpuint(inject_accept.calls, >=, calls);
}

void turn_until_empty(struct tcp *tcp)
{
    for (int i = 0; i < TURNS_MAX && tcp->net.worker.connections; i++)
        net_turn(&tcp->net);
    g_assert_null(tcp->net.worker.connections);
}

void expect_warning(void)
{
    g_test_expect_message("coreactor", G_LOG_LEVEL_WARNING, "cannot accept connections for now*");
}
