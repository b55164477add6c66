/*
 * "ADDR:PORT" texts: only numbers, and only in one spelling, so that what is listened on is what
 * was written.
 */
#include "net/address.h"

#include <glib.h>
#include <netinet/in.h>
#include <string.h>

static const char *const round_trips[] = {
    "127.0.0.1:80", "0.0.0.0:0",          "255.255.255.255:65535",        "[::]:0",
    "[::1]:18470",  "[2001:db8::1]:8080", "[2001:db8:1:2:3:4:5:6]:65535", "[::ffff:192.0.2.1]:1",
};

static void test_round_trip(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(round_trips); i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX];
        g_test_message("%s", round_trips[i]);
        g_assert_true(address_parse(round_trips[i], &address));
        address_format(&address, text);
        g_assert_cmpstr(text, ==, round_trips[i]);
        g_assert_cmpstr(strrchr(text, ':') + 1, ==, strrchr(round_trips[i], ':') + 1);
    }
}

static void test_normal_form(void)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    g_assert_true(address_parse("[2001:DB8:0:0:0:0:0:1]:00080", &address));
    address_format(&address, text);
    g_assert_cmpstr(text, ==, "[2001:db8::1]:80");
}

static void test_parts(void)
{
    struct address address;
    g_assert_true(address_parse("127.0.0.2:258", &address));
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address.storage;
    g_assert_cmpuint(address.length, ==, sizeof(*ipv4));
    g_assert_cmpint(ipv4->sin_family, ==, AF_INET);
    g_assert_cmpuint(ntohl(ipv4->sin_addr.s_addr), ==, 0x7f000002);
    g_assert_cmpuint(ntohs(ipv4->sin_port), ==, 258);
    g_assert_true(address_parse("[::1]:258", &address));
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address.storage;
    g_assert_cmpuint(address.length, ==, sizeof(*ipv6));
    g_assert_cmpint(ipv6->sin6_family, ==, AF_INET6);
    g_assert_cmpmem(&ipv6->sin6_addr, sizeof(ipv6->sin6_addr), &in6addr_loopback,
                    sizeof(in6addr_loopback));
    g_assert_cmpuint(ntohs(ipv6->sin6_port), ==, 258);
}

static void test_port(void)
{
    static const char *const texts[] = {"127.0.0.1:0", "[::1]:0"};
    static const unsigned ports[] = {0, 1, 80, 255, 256, 18470, 65535};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        struct address address;
        g_assert_true(address_parse(texts[i], &address));
        for (size_t j = 0; j < G_N_ELEMENTS(ports); j++) {
            address_set_port(&address, ports[j]);
            g_assert_cmpuint(address_port(&address), ==, ports[j]);
        }
    }
}

static const char *const refused[] = {
    "",
    ":",
    ":80",
    "80",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:99999",
    "127.0.0.1:000080",
    "127.0.0.1:-1",
    "127.0.0.1:+80",
    "127.0.0.1: 80",
    "127.0.0.1:80 ",
    "127.0.0.1:80x",
    "127.0.0.1:0x50",
    "127.0.0.1:http",
    " 127.0.0.1:80",
    "127.0.0.1 :80",
    "127.0.0.1\n:80",
    "127.0.0.256:80",
    "127.0.0.1.1:80",
    "127.0.0:80",
    /* Other spellings of IPv4 that inet_aton(3) knows. */
    "127.1:80",
    "2130706433:80",
    "0x7f000001:80",
    "0x7f.0.0.1:80",
    "0177.0.0.1:80",
    "010.0.0.1:80",
    "1:80",
    "localhost:80",
    "example.com:80",
    "*:80",
    "::1:80",
    ":::80",
    "[]:80",
    "[:80",
    "]:80",
    "[::1]",
    "[::1]80",
    "[::1:80",
    "::1]:80",
    "[[::1]]:80",
    "[::1 ]:80",
    "[::g]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[127.0.0.1]:80",
    "[localhost]:80",
    "[::1%no-such-interface]:80",
    "http://127.0.0.1:80",
    "127.0.0.1:80/",
    "127.0.0.1:80,127.0.0.1:81",
};

static void test_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        struct address address;
        g_test_message("%s", refused[i]);
        g_assert_false(address_parse(refused[i], &address));
    }
}

/* Texts longer than any address, up to and over the size of what they are copied to. */
static void test_long(void)
{
    for (size_t length = 1; length < 300; length++) {
        struct address address;
        g_autofree char *digits = g_strnfill(length, '1');
        g_autofree char *ipv4 = g_strconcat(digits, ":80", NULL);
        g_autofree char *ipv6 = g_strconcat("[", digits, "]:80", NULL);
        g_autofree char *port = g_strconcat("127.0.0.1:", digits, NULL);
        g_assert_false(address_parse(ipv4, &address));
        g_assert_false(address_parse(ipv6, &address));
        g_assert_cmpint(address_parse(port, &address), ==, length <= 5);
    }
}

static void test_format_unknown(void)
{
    struct address address = {.length = 0};
    char text[ADDRESS_TEXT_MAX];
    address_format(&address, text);
    g_assert_cmpstr(text, ==, "unknown");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/address/round-trip", test_round_trip);
    g_test_add_func("/net/address/normal-form", test_normal_form);
    g_test_add_func("/net/address/parts", test_parts);
    g_test_add_func("/net/address/port", test_port);
    g_test_add_func("/net/address/refused", test_refused);
    g_test_add_func("/net/address/long", test_long);
    g_test_add_func("/net/address/format-unknown", test_format_unknown);
    return g_test_run();
}
