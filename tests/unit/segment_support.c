#include "segment_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENT = 0x7f090909, SERVER = INADDR_LOOPBACK }; /* in host order */

static struct sockaddr_in address_of(uint32_t host)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
}

int segment_socket(void)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    const struct sockaddr_in client = address_of(CLIENT);
    g_assert_cmpint(bind(fd, (const struct sockaddr *)&client, sizeof(client)), ==, 0);
    return fd;
}

/* RFC 9293 section 3.1; everything in network order. */
static uint16_t checksum(const struct tcphdr *header)
{
    uint16_t words[sizeof(*header) / 2];
    const uint32_t from = htonl(CLIENT);
    const uint32_t to = htonl(SERVER);
    uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(*header));
    memcpy(words, header, sizeof(words));
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        sum += words[i];
    sum += (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    return (uint16_t)~sum;
}

void segment_send(int raw, unsigned from_port, unsigned to_port, unsigned flags)
{
    const struct sockaddr_in to = address_of(SERVER);
    struct tcphdr header = {.th_sport = htons((uint16_t)from_port),
                            .th_dport = htons((uint16_t)to_port),
                            .th_seq = htonl(1),
                            .th_off = sizeof(header) / 4,
                            .th_flags = (uint8_t)flags,
                            .th_win = htons(1024)};
    header.th_sum = checksum(&header);
    g_assert_cmpint(
        sendto(raw, &header, sizeof(header), 0, (const struct sockaddr *)&to, sizeof(to)), ==,
        sizeof(header));
}
