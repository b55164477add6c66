/* The command line: every option in every spelling, its range, what is said about mistakes. */
#include "options_support.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void test_defaults(void)
{
    struct options options;
    accept_line(&options, "coreactor");
    g_assert_cmpuint(options.server.size, ==, sizeof(struct server_options));
    g_assert_null(options.server.listen);
    g_assert_cmpuint(options.server.threads, ==, 0);
    g_assert_cmpuint(options.server.duration_s, ==, 0);
    g_assert_cmpint(options.server.drain_timeout_s, ==, 0);
    g_assert_cmpuint(options.server.backlog, ==, 0);
    g_assert_cmpuint(options.server.max_connections, ==, 0);
    g_assert_cmpint(options.server.max_body_bytes, ==, 0);
    g_assert_null(options.server.access_log);
    g_assert_false(options.server.access_log_json);
    g_assert_true(options.server.announce);
    g_assert_false(options.quiet || options.help || options.version);
    options_free(&options);
}

static void test_no_name(void)
{
    struct options options;
    char *message;
    char *none[] = {NULL};
    g_assert_true(options_parse(&options, 0, none, &message));
    g_assert_null(message);
    options_free(&options);
}

static void test_listen(void)
{
    static const char *const lines[] = {"c -l 0.0.0.0:1 -l [::1]:2", "c -l0.0.0.0:1 -l[::1]:2",
                                        "c --listen 0.0.0.0:1 --listen [::1]:2",
                                        "c --listen=0.0.0.0:1 --listen=[::1]:2",
                                        "c --listen=0.0.0.0:1 -q -l [::1]:2"};
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        struct options options;
        accept_line(&options, lines[i]);
        g_assert_cmpstr(options.server.listen[0], ==, "0.0.0.0:1");
        g_assert_cmpstr(options.server.listen[1], ==, "[::1]:2");
        g_assert_null(options.server.listen[2]);
        options_free(&options);
    }
}

/* --- numbers --- */

struct number {
    const char *name;
    char letter;
    unsigned least;
    unsigned most;
    size_t at;
};

#define AT(member) offsetof(struct options, server.member)

static const struct number numbers[] = {
    {"threads", 'j', 1, 1024, AT(threads)},
    {"duration", 'd', 1, 4000000, AT(duration_s)},
    {"drain-timeout", 0, 0, 86400, AT(drain_timeout_s)},
    {"backlog", 0, 1, 65535, AT(backlog)},
    {"max-header-bytes", 0, 64, 16384, AT(max_header_bytes)},
    {"max-headers", 0, 1, 100, AT(max_headers)},
    {"max-uri", 0, 1, 16384, AT(max_uri_bytes)},
    {"max-connections", 0, 1, 100000000, AT(max_connections)},
    {"max-connections-per-client", 0, 0, 100000000, AT(max_connections_per_client)},
    {"max-requests", 0, 0, 4000000000, AT(max_requests)},
    {"header-timeout", 0, 0, 86400, AT(header_timeout_s)},
    {"idle-timeout", 0, 0, 86400, AT(idle_timeout_s)},
    {"min-body-rate", 0, 0, 2147483647, AT(min_body_rate)},
    {"min-write-rate", 0, 0, 2147483647, AT(min_write_rate)},
};

/* Every way to write an option with its value; `way` counts from 0. */
static char *spell(const struct number *number, int way, const char *value)
{
    switch (way) {
    case 0:
        return g_strdup_printf("c --%s=%s", number->name, value);
    case 1:
        return g_strdup_printf("c --%s %s", number->name, value);
    case 2:
        return g_strdup_printf("c -%c %s", number->letter, value);
    default:
        return g_strdup_printf("c -%c%s", number->letter, value);
    }
}

static int ways(const struct number *number)
{
    return number->letter ? 4 : 2;
}

static void accept_number(const struct number *number, const char *value, unsigned expected)
{
    for (int way = 0; way < ways(number); way++) {
        g_autofree char *line = spell(number, way, value);
        struct options options;
        unsigned stored;
        accept_line(&options, line);
        memcpy(&stored, (const char *)&options + number->at, sizeof(stored));
        g_assert_cmpuint(stored, ==, expected);
        options_free(&options);
    }
}

static void test_numbers(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const struct number *number = &numbers[i];
        g_autofree char *least = g_strdup_printf("%u", MAX(number->least, 1));
        g_autofree char *most = g_strdup_printf("%u", number->most);
        g_autofree char *zeros = g_strdup_printf("000%u", number->most);
        accept_number(number, least, MAX(number->least, 1));
        accept_number(number, most, number->most);
        accept_number(number, zeros, number->most);
        if (number->least <= 2)
            accept_number(number, "2", 2);
    }
}

static void test_bad_numbers(void)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "2x",
                                      "x2",
                                      "+2",
                                      "2.0",
                                      "0x2",
                                      "2K",
                                      "1e3",
                                      "2,3",
                                      "-1",
                                      "--2",
                                      "99999999999999999999",
                                      "18446744073709551617",
                                      "4294967297"};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const struct number *number = &numbers[i];
        g_autofree char *name = g_strdup_printf("--%s", number->name);
        g_autofree char *range = g_strdup_printf("from %u to %u", number->least, number->most);
        g_autofree char *over = g_strdup_printf("%u", number->most + 1);
        for (int way = 0; way < ways(number); way++) {
            for (size_t j = 0; j < G_N_ELEMENTS(bad); j++) {
                if (way == 3 && !*bad[j])
                    continue; /* is an option without a value */
                g_autofree char *line = spell(number, way, bad[j]);
                refuse_line(line, name);
                refuse_line(line, range);
            }
            g_autofree char *too_large = spell(number, way, over);
            g_autofree char *zero = spell(number, way, "0");
            refuse_line(too_large, name);
            if (number->least > 0)
                refuse_line(zero, name);
        }
    }
}

/* White space cannot be written in a line that is split at spaces. */
static void test_blank_numbers(void)
{
    static char *const values[] = {" ", " 2", "2 ", "2\n", "\t2"};
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        char *words[] = {"c", "-j", values[i], NULL};
        struct options options;
        char *message;
        g_assert_false(options_parse(&options, 3, words, &message));
        g_assert_nonnull(strstr(message, "--threads"));
        g_free(message);
        options_free(&options);
    }
}

/* 0 switches a limit off, for which the library has negative numbers. */
static void test_limits_off(void)
{
    struct options options;
    accept_line(&options,
                "c --drain-timeout 0 --header-timeout 0 --idle-timeout=0 --min-body-rate 0 "
                "--min-write-rate=0 --max-body 0");
    g_assert_cmpint(options.server.drain_timeout_s, ==, -1);
    g_assert_cmpint(options.server.header_timeout_s, ==, -1);
    g_assert_cmpint(options.server.idle_timeout_s, ==, -1);
    g_assert_cmpint(options.server.min_body_rate, ==, -1);
    g_assert_cmpint(options.server.min_write_rate, ==, -1);
    g_assert_cmpint(options.server.max_body_bytes, ==, -1);
    options_free(&options);
    accept_line(&options, "c --max-requests 0 --max-connections-per-client 0");
    g_assert_cmpuint(options.server.max_requests, ==, 0);
    g_assert_cmpuint(options.server.max_connections_per_client, ==, 0);
    options_free(&options);
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"1", 1},
        {"1048577", 1048577},
        {"1K", 1024},
        {"64M", 64 << 20},
        {"003G", INT64_C(3) << 30},
        {"0K", -1},
        {"9223372036854775807", INT64_MAX},
        {"9007199254740991K", INT64_C(9007199254740991) << 10},
        {"8589934591G", INT64_C(8589934591) << 30},
    };
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "1k",
                                      "1KB",
                                      "K1",
                                      "1.5M",
                                      "1KK",
                                      "9223372036854775808",
                                      "1T",
                                      "0x1",
                                      "-1K",
                                      "+1K",
                                      "9007199254740992K",
                                      "8589934592G",
                                      "18446744073709551616",
                                      "18014398509481984K"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *line = g_strdup_printf("c --max-body %s", good[i].text);
        struct options options;
        accept_line(&options, line);
        g_assert_cmpint(options.server.max_body_bytes, ==, good[i].bytes);
        options_free(&options);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *line = g_strdup_printf("c --max-body=%s", bad[i]);
        refuse_line(line, "--max-body");
    }
    refuse_line("c --max-body=x", "from 0 to 9223372036854775807, or one that ends with K, M or G");
}

static void test_last_one_counts(void)
{
    struct options options;
    accept_line(&options, "c -j2 --threads=3 -j 4 --backlog 5 --backlog 6");
    g_assert_cmpuint(options.server.threads, ==, 4);
    g_assert_cmpuint(options.server.backlog, ==, 6);
    options_free(&options);
}

/* --- flags --- */

static void test_flags(void)
{
    struct options options;
    accept_line(&options, "c -q");
    g_assert_true(options.quiet && !options.server.announce);
    accept_line(&options, "c --quiet");
    g_assert_true(options.quiet && !options.server.announce);
    accept_line(&options, "c -h");
    g_assert_true(options.help && !options.version && !options.quiet);
    accept_line(&options, "c --help");
    g_assert_true(options.help);
    accept_line(&options, "c -V");
    g_assert_true(options.version && !options.help);
    accept_line(&options, "c --version");
    g_assert_true(options.version);
    accept_line(&options, "c -qhV");
    g_assert_true(options.quiet && options.help && options.version);
    options_free(&options);
}

/* Flags before a letter that takes a value. */
static void test_letters_together(void)
{
    struct options options;
    accept_line(&options, "c -qj2");
    g_assert_true(options.quiet && options.server.threads == 2);
    options_free(&options);
    accept_line(&options, "c -qj 3 -Vd4");
    g_assert_true(options.quiet && options.version);
    g_assert_true(options.server.threads == 3 && options.server.duration_s == 4);
    options_free(&options);
    accept_line(&options, "c -ql127.0.0.1:0 -hl [::1]:0");
    g_assert_true(options.quiet && options.help);
    g_assert_cmpstr(options.server.listen[0], ==, "127.0.0.1:0");
    g_assert_cmpstr(options.server.listen[1], ==, "[::1]:0");
    options_free(&options);
    refuse_line("c -qjx", "--threads");
    refuse_line("c -qj", "-j");
    refuse_line("c -qx2", "x");
    refuse_line("c -q2", "2");
}

static void test_everything_at_once(void)
{
    struct options options;
    accept_line(&options, "c -q -j2 -d 3 -l 127.0.0.1:0 --drain-timeout=4 --backlog 5 "
                          "--max-connections=6");
    g_assert_true(options.quiet);
    g_assert_cmpuint(options.server.threads, ==, 2);
    g_assert_cmpuint(options.server.duration_s, ==, 3);
    g_assert_cmpint(options.server.drain_timeout_s, ==, 4);
    g_assert_cmpuint(options.server.backlog, ==, 5);
    g_assert_cmpuint(options.server.max_connections, ==, 6);
    g_assert_cmpstr(options.server.listen[0], ==, "127.0.0.1:0");
    options_free(&options);
}

/* --- the access log --- */

static void test_access_log(void)
{
    struct options options;
    accept_line(&options, "c --access-log /a/b.log");
    g_assert_cmpstr(options.server.access_log, ==, "/a/b.log");
    g_assert_false(options.server.access_log_json);
    options_free(&options);
    accept_line(&options, "c --access-log=a --access-log - --access-log-format json");
    g_assert_cmpstr(options.server.access_log, ==, "-");
    g_assert_true(options.server.access_log_json);
    options_free(&options);
    accept_line(&options, "c --access-log-format=json --access-log-format=combined --access-log=a");
    g_assert_false(options.server.access_log_json);
    options_free(&options);
    refuse_line("c --access-log", "--access-log");
    refuse_line("c --access-log=a --access-log-format", "--access-log-format");
    refuse_line("c --access-log=a --access-log-format=", "combined or json, not ''");
    refuse_line("c --access-log=a --access-log-format=JSON", "combined or json, not 'JSON'");
    refuse_line("c --access-log-format=json", "--access-log-format needs --access-log");
    refuse_line("c --access-log-format=combined", "--access-log-format needs --access-log");
}

/* The name of a file may have any bytes. */
static void test_bytes_of_a_name(void)
{
    char *words[] = {"c", "--access-log", "\xff\xe4", NULL};
    struct options options;
    char *message;
    g_assert_true(options_parse(&options, 3, words, &message));
    g_assert_cmpstr(options.server.access_log, ==, "\xff\xe4");
    options_free(&options);
}

/* --- mistakes --- */

static void test_mistakes(void)
{
    refuse_line("c --no-such-option", "--no-such-option");
    refuse_line("c -x", "-x");
    refuse_line("c --thread 2", "--thread");
    refuse_line("c --threads2", "--threads2");
    refuse_line("c --quiet=1", "--quiet");
    refuse_line("c --quiet=no", "--quiet");
    refuse_line("c -j 2 --help=", "--help");
    refuse_line("c --version=2 -q", "--version");
    refuse_line("c -j", "-j");
    refuse_line("c --threads", "--threads");
    refuse_line("c -l", "-l");
    refuse_line("c --listen", "--listen");
    refuse_line("c -q -d", "-d");
    refuse_line("c stray", "stray");
    refuse_line("c -j 2 stray", "stray");
    refuse_line("c -- stray", "stray");
    refuse_line("c -j 2 3", "3");
    refuse_line("c -l 127.0.0.1:0 -j x", "--threads");
    refuse_line("c -j2 -j x -l 127.0.0.1:0", "--threads");
    refuse_line("c -l 127.0.0.1:0 --no-such-option", "--no-such-option");
}

/* What is quoted from the command line does not break the line that says so. */
static void test_mistakes_on_one_line(void)
{
    static char *const mistakes[] = {"a\nb",      "--a\nb", "--backlog=a\nb", "--max-body=\n",
                                     "--qu\niet", "-\n",    "--quiet=\r\n",   "a\033[1mb"};
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        char *words[] = {"c", mistakes[i], NULL};
        struct options options;
        char *message;
        g_assert_false(options_parse(&options, 2, words, &message));
        for (const char *at = message; *at; at++)
            g_assert_false(g_ascii_iscntrl(*at));
        g_free(message);
        options_free(&options);
    }
}

/* The caller's arguments are as they were. */
static void test_arguments_are_kept(void)
{
    char *words[] = {"c", "-j2", "-q", "--backlog=3", NULL};
    struct options options;
    char *message;
    g_assert_true(options_parse(&options, 4, words, &message));
    g_assert_cmpstr(words[1], ==, "-j2");
    g_assert_cmpstr(words[2], ==, "-q");
    g_assert_cmpstr(words[3], ==, "--backlog=3");
    g_assert_null(words[4]);
    options_free(&options);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/no-name", test_no_name);
    g_test_add_func("/options/listen", test_listen);
    g_test_add_func("/options/numbers", test_numbers);
    g_test_add_func("/options/bad-numbers", test_bad_numbers);
    g_test_add_func("/options/blank-numbers", test_blank_numbers);
    g_test_add_func("/options/limits-off", test_limits_off);
    g_test_add_func("/options/sizes", test_sizes);
    g_test_add_func("/options/last-one-counts", test_last_one_counts);
    g_test_add_func("/options/flags", test_flags);
    g_test_add_func("/options/letters-together", test_letters_together);
    g_test_add_func("/options/everything-at-once", test_everything_at_once);
    g_test_add_func("/options/access-log", test_access_log);
    g_test_add_func("/options/bytes-of-a-name", test_bytes_of_a_name);
    g_test_add_func("/options/mistakes", test_mistakes);
    g_test_add_func("/options/mistakes-on-one-line", test_mistakes_on_one_line);
    g_test_add_func("/options/arguments-are-kept", test_arguments_are_kept);
    return g_test_run();
}
