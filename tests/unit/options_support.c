#include "options_support.h"

#include <glib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16 };

/* Parses a command line that is split at spaces. */
static bool parse_line(struct options *options, const char *line, char **message)
{
    g_auto(GStrv) words = g_strsplit(line, " ", ARGUMENTS_MAX);
    return options_parse(options, (int)g_strv_length(words), words, message);
}

void accept_line(struct options *options, const char *line)
{
    char *message;
    g_test_message("%s", line);
    bool ok = parse_line(options, line, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_true(ok);
}

void refuse_line(const char *line, const char *expected)
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
