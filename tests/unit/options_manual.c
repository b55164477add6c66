/* --help and the man page: that they know every option, and are well-formed. */
#include "server/options.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    char letter;
} all[] = {
    {"listen", 'l'},
    {"threads", 'j'},
    {"duration", 'd'},
    {"drain-timeout", 0},
    {"backlog", 0},
    {"balance", 0},
    {"keep-connections", 0},
    {"stall-warning", 0},
    {"stall-trace", 0},
    {"admin", 0},
    {"admin-anywhere", 0},
    {"root", 'r'},
    {"listing", 0},
    {"dotfiles", 0},
    {"follow-symlinks", 0},
    {"cache-control", 0},
    {"header", 0},
    {"not-found", 0},
    {"fallback", 0},
    {"no-compression", 0},
    {"cache-file", 0},
    {"cache-size", 0},
    {"max-header-bytes", 0},
    {"max-headers", 0},
    {"max-uri", 0},
    {"max-body", 0},
    {"max-connections", 0},
    {"max-connections-per-client", 0},
    {"max-requests", 0},
    {"header-timeout", 0},
    {"idle-timeout", 0},
    {"min-body-rate", 0},
    {"min-write-rate", 0},
    {"access-log", 0},
    {"access-log-format", 0},
    {"quiet", 'q'},
    {"help", 'h'},
    {"version", 'V'},
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
    g_assert_nonnull(strstr(manual, "SIGUSR1\n"));
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
    g_test_add_func("/options-manual/help", test_help);
    g_test_add_func("/options-manual/manual", test_manual);
    g_test_add_func("/options-manual/commands", test_manual_commands);
    return g_test_run();
}
