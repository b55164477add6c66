/*
 * The command line: every option in every spelling, its range, what is said about mistakes, and
 * that help and man page know all of them.
 */
#include "server/options.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16 };

/* Parses a command line that is split at spaces. */
static bool parse_line(struct options *options, const char *line, char **message)
{
    g_auto(GStrv) words = g_strsplit(line, " ", ARGUMENTS_MAX);
    return options_parse(options, (int)g_strv_length(words), words, message);
}

static void accept(struct options *options, const char *line)
{
    char *message;
    g_test_message("%s", line);
    bool ok = parse_line(options, line, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_true(ok);
}

/* Refused, in one line that contains `expected`. */
static void refuse(const char *line, const char *expected)
{
    struct options options;
    char *message;
    g_test_message("%s", line);
    g_assert_false(parse_line(&options, line, &message));
    g_assert_nonnull(message);
    g_assert_nonnull(strstr(message, expected));
    g_assert_null(strchr(message, '\n'));
    g_free(message);
    options_free(&options);
}

static void test_defaults(void)
{
    struct options options;
    accept(&options, "coreactor");
    g_assert_cmpuint(options.server.size, ==, sizeof(struct server_options));
    g_assert_null(options.server.listen);
    g_assert_cmpuint(options.server.threads, ==, 0);
    g_assert_cmpuint(options.server.duration_s, ==, 0);
    g_assert_cmpint(options.server.drain_timeout_s, ==, 10);
    g_assert_cmpuint(options.server.backlog, ==, 0);
    g_assert_cmpuint(options.server.max_connections, ==, 0);
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
        accept(&options, lines[i]);
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
    {"max-connections", 0, 1, 100000000, AT(max_connections)},
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
        accept(&options, line);
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
                refuse(line, name);
                refuse(line, range);
            }
            g_autofree char *too_large = spell(number, way, over);
            g_autofree char *zero = spell(number, way, "0");
            refuse(too_large, name);
            if (number->least > 0)
                refuse(zero, name);
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

/* 0 means "do not wait", which the library calls a negative time. */
static void test_no_drain_timeout(void)
{
    struct options options;
    accept(&options, "c --drain-timeout 0");
    g_assert_cmpint(options.server.drain_timeout_s, <, 0);
    options_free(&options);
}

static void test_last_one_counts(void)
{
    struct options options;
    accept(&options, "c -j2 --threads=3 -j 4 --backlog 5 --backlog 6");
    g_assert_cmpuint(options.server.threads, ==, 4);
    g_assert_cmpuint(options.server.backlog, ==, 6);
    options_free(&options);
}

/* --- flags --- */

static void test_flags(void)
{
    struct options options;
    accept(&options, "c -q");
    g_assert_true(options.quiet && !options.server.announce);
    accept(&options, "c --quiet");
    g_assert_true(options.quiet && !options.server.announce);
    accept(&options, "c -h");
    g_assert_true(options.help && !options.version && !options.quiet);
    accept(&options, "c --help");
    g_assert_true(options.help);
    accept(&options, "c -V");
    g_assert_true(options.version && !options.help);
    accept(&options, "c --version");
    g_assert_true(options.version);
    accept(&options, "c -qhV");
    g_assert_true(options.quiet && options.help && options.version);
    options_free(&options);
}

/* Flags before a letter that takes a value. */
static void test_letters_together(void)
{
    struct options options;
    accept(&options, "c -qj2");
    g_assert_true(options.quiet && options.server.threads == 2);
    options_free(&options);
    accept(&options, "c -qj 3 -Vd4");
    g_assert_true(options.quiet && options.version);
    g_assert_true(options.server.threads == 3 && options.server.duration_s == 4);
    options_free(&options);
    accept(&options, "c -ql127.0.0.1:0 -hl [::1]:0");
    g_assert_true(options.quiet && options.help);
    g_assert_cmpstr(options.server.listen[0], ==, "127.0.0.1:0");
    g_assert_cmpstr(options.server.listen[1], ==, "[::1]:0");
    options_free(&options);
    refuse("c -qjx", "--threads");
    refuse("c -qj", "-j");
    refuse("c -qx2", "x");
    refuse("c -q2", "2");
}

static void test_everything_at_once(void)
{
    struct options options;
    accept(&options, "c -q -j2 -d 3 -l 127.0.0.1:0 --drain-timeout=4 --backlog 5 "
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

/* --- mistakes --- */

static void test_mistakes(void)
{
    refuse("c --no-such-option", "--no-such-option");
    refuse("c -x", "-x");
    refuse("c --thread 2", "--thread");
    refuse("c --threads2", "--threads2");
    refuse("c --quiet=1", "--quiet");
    refuse("c --quiet=no", "--quiet");
    refuse("c -j 2 --help=", "--help");
    refuse("c --version=2 -q", "--version");
    refuse("c -j", "-j");
    refuse("c --threads", "--threads");
    refuse("c -l", "-l");
    refuse("c --listen", "--listen");
    refuse("c -q -d", "-d");
    refuse("c stray", "stray");
    refuse("c -j 2 stray", "stray");
    refuse("c -- stray", "stray");
    refuse("c -j 2 3", "3");
    refuse("c -l 127.0.0.1:0 -j x", "--threads");
    refuse("c -j2 -j x -l 127.0.0.1:0", "--threads");
    refuse("c -l 127.0.0.1:0 --no-such-option", "--no-such-option");
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

/* --- help and man page --- */

static const struct {
    const char *name;
    char letter;
} all[] = {
    {"listen", 'l'},      {"threads", 'j'}, {"duration", 'd'},
    {"drain-timeout", 0}, {"backlog", 0},   {"max-connections", 0},
    {"quiet", 'q'},       {"help", 'h'},    {"version", 'V'},
};

static char *written_by(void (*write)(FILE *to))
{
    char *text;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    g_assert_nonnull(to);
    write(to);
    g_assert_cmpint(fclose(to), ==, 0);
    return text;
}

static void test_help(void)
{
    char *help = written_by(options_write_help);
    int mentioned = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *name = all[i].letter
                                    ? g_strdup_printf("  -%c, --%s", all[i].letter, all[i].name)
                                    : g_strdup_printf("  --%s", all[i].name);
        g_assert_nonnull(strstr(help, name));
    }
    for (const char *at = help; (at = strstr(at, "--")); at += 2)
        mentioned++;
    /* So that an option of which this file knows nothing does not go unnoticed. */
    g_assert_cmpint(mentioned, ==, G_N_ELEMENTS(all));
    free(help);
}

static void test_manual(void)
{
    char *manual = written_by(options_write_manual);
    char *options = strstr(manual, ".SH OPTIONS\n");
    char *end = options ? strstr(options + 1, ".SH ") : NULL;
    int entries = 0;
    g_assert_nonnull(end);
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_auto(GStrv) parts = g_strsplit(all[i].name, "-", -1);
        g_autofree char *name = g_strjoinv("\\-", parts);
        g_autofree char *entry =
            all[i].letter
                ? g_strdup_printf(".TP\n\\fB\\-%c\\fR, \\fB\\-\\-%s\\fR", all[i].letter, name)
                : g_strdup_printf(".TP\n\\fB\\-\\-%s\\fR", name);
        const char *found = strstr(options, entry);
        g_assert_true(found && found < end);
    }
    for (const char *at = options; (at = strstr(at, ".TP\n")) && at < end; at++)
        entries++;
    g_assert_cmpint(entries, ==, G_N_ELEMENTS(all));
    g_assert_true(g_str_has_prefix(manual, ".TH COREACTOR 1 "));
    g_assert_nonnull(strstr(manual, coreactor_version()));
    g_assert_nonnull(strstr(manual, ".SH EXIT STATUS\n"));
    free(manual);
}

/* A line that begins with a dot or an apostrophe would be taken for a command of roff's. */
static void test_manual_commands(void)
{
    char *manual = written_by(options_write_manual);
    g_auto(GStrv) lines = g_strsplit(manual, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_assert_false(g_str_has_prefix(*line, "'"));
        if (**line == '.')
            g_assert_true(g_ascii_isupper((*line)[1]));
    }
    free(manual);
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
    g_test_add_func("/options/no-drain-timeout", test_no_drain_timeout);
    g_test_add_func("/options/last-one-counts", test_last_one_counts);
    g_test_add_func("/options/flags", test_flags);
    g_test_add_func("/options/letters-together", test_letters_together);
    g_test_add_func("/options/everything-at-once", test_everything_at_once);
    g_test_add_func("/options/mistakes", test_mistakes);
    g_test_add_func("/options/arguments-are-kept", test_arguments_are_kept);
    g_test_add_func("/options/help", test_help);
    g_test_add_func("/options/manual", test_manual);
    g_test_add_func("/options/manual-commands", test_manual_commands);
    return g_test_run();
}
