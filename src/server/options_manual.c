/*
 * The man page's source. Only the section of the options comes from the table.
 */
#include "server/options.h"
#include "server/options_table.h"

#include <glib.h>

/* Text in the man page: hyphens that are to stay hyphens are escaped. */
static void write_roff(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
}

static void write_option(FILE *to, const struct option *option)
{
    fputs(".TP\n", to);
    if (option->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", to);
    write_roff(to, option->name);
    fputs("\\fR", to);
    if (option->value)
        fprintf(to, " \\fI%s\\fR", option->value);
    fprintf(to, "\n%c", g_ascii_toupper(option->help[0]));
    write_roff(to, option->help + 1);
    fputs(".\n", to);
    if (option->details[0]) {
        write_roff(to, option->details);
        fputc('\n', to);
    }
}

static const char before_options[] =
    ".SH NAME\n"
    "coreactor \\- HTTP/1.1 server with one epoll reactor per CPU core\n"
    ".SH SYNOPSIS\n"
    ".B coreactor\n"
    "[\\fIOPTIONS\\fR]\n"
    ".SH DESCRIPTION\n"
    "Serves a built\\-in page to GET and HEAD requests on every path.\n"
    "Every thread runs an event loop of its own and listens on a socket of its own;\n"
    "the kernel spreads connections over them.\n"
    "It runs in the foreground, needs no configuration file,\n"
    "and is ready once it says where it listens.\n"
    ".SH OPTIONS\n";

static const char after_options[] =
    ".SH SIGNALS\n"
    ".TP\n"
    ".BR SIGTERM \", \" SIGINT\n"
    "Drain: stop accepting, answer the requests that have arrived with Connection: close,\n"
    "then exit. A second one ends the process at once.\n"
    ".TP\n"
    ".B SIGUSR1\n"
    "Open the access log anew, after a program such as logrotate has renamed the file.\n"
    "Without an access log it has no effect.\n"
    ".SH EXIT STATUS\n"
    ".TP\n"
    "0\n"
    "It drained after a signal or after \\-\\-duration.\n"
    ".TP\n"
    "1\n"
    "It could not start or go on; one line on standard error says why.\n"
    ".TP\n"
    "2\n"
    "The command line was wrong.\n"
    ".SH SEE ALSO\n"
    ".BR epoll (7),\n"
    ".BR socket (7)\n";

void options_write_manual(FILE *to)
{
    fprintf(to, ".TH COREACTOR 1 \"\" \"coreactor %s\" \"User Commands\"\n", coreactor_version());
    fputs(before_options, to);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        write_option(to, &option_table[i]);
    fputs(after_options, to);
}
