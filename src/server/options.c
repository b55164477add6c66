#include "server/options.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>

enum kind { FLAG, NUMBER, TEXTS };

/* The single source. `at` is where the value goes in struct options. */
struct option {
    const char *name;
    char letter;
    enum kind kind;
    size_t at;
    unsigned least;
    unsigned most;
    const char *value;   /* what the value is called */
    const char *help;    /* a phrase for --help, with the default */
    const char *details; /* sentences for the man page */
};

#define AT(member) offsetof(struct options, member)

static const struct option table[] = {
    {"listen", 'l', TEXTS, AT(listen), 0, 0, "ADDR:PORT",
     "listen there; may be repeated (default 127.0.0.1:18470)",
     "A numeric IPv4 or IPv6 address and a port, such as 0.0.0.0:80 or [::1]:8080. Port 0 lets the "
     "kernel choose. An IPv6 address does not accept IPv4 clients; give both."},
    {"threads", 'j', NUMBER, AT(server.threads), 1, 1024, "N",
     "reactors, a thread each (default: the CPUs this process may use)",
     "Each thread has an event loop and a listening socket of its own. The default counts the CPUs "
     "of the "
     "affinity mask, or fewer where a control group allows less time than that. 1 is a "
     "single-threaded server."},
    {"duration", 'd', NUMBER, AT(server.duration_s), 1, 4000000, "SECONDS",
     "drain and stop after that time (default: run until a signal)", ""},
    {"drain-timeout", 0, NUMBER, AT(server.drain_timeout_s), 0, 86400, "SECONDS",
     "how long a drain may take (default 10)",
     "What is still open then is closed, answered or not. 0 does not wait at all."},
    {"backlog", 0, NUMBER, AT(server.backlog), 1, 65535, "N",
     "connections that may wait to be accepted, a listener (default 4096)",
     "The kernel allows no more than net.core.somaxconn."},
    {"max-connections", 0, NUMBER, AT(server.max_connections), 1, 100000000, "N",
     "connections at a time (default: what the descriptor limit allows)",
     "Over all threads. Further clients wait in the backlog until one closes."},
    {"quiet", 'q', FLAG, AT(quiet), 0, 0, NULL, "print nothing but warnings and errors", ""},
    {"help", 'h', FLAG, AT(help), 0, 0, NULL, "print this help and exit", ""},
    {"version", 'V', FLAG, AT(version), 0, 0, NULL, "print version and build and exit", ""},
};

/* --- parsing --- */

static void *place(struct options *options, const struct option *option)
{
    return (char *)options + option->at;
}

static bool read_number(const struct option *option, const char *text, unsigned *number)
{
    guint64 value;
    if (!g_ascii_string_to_unsigned(text, 10, option->least, option->most, &value, NULL))
        return false;
    *number = (unsigned)value;
    return true;
}

/* GOption hands over texts, so that numbers are checked against the table's range and nowhere else.
 */
static bool store(struct options *options, const struct option *option, const char *text,
                  char **message)
{
    unsigned *number = place(options, option);
    if (!text || option->kind != NUMBER)
        return true;
    if (!read_number(option, text, number)) {
        *message = g_strdup_printf("--%s takes a whole number from %u to %u, not '%s'",
                                   option->name, option->least, option->most, text);
        return false;
    }
    return true;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (letter && table[i].letter == letter)
            return &table[i];
    }
    return NULL;
}

/* Adds "-qj2" as "-q" "-j" "2": GOption knows no value behind its letter. What is no such group of
 * letters is added as it is. */
static void split_letters(GPtrArray *split, const char *text)
{
    const char *at = text + 1;
    const struct option *option = NULL;
    while (text[0] == '-' && (option = find_letter(*at)) && option->kind == FLAG)
        at++;
    if (text[0] != '-' || (!option && (*at || at == text + 1))) {
        g_ptr_array_add(split, g_strdup(text));
        return;
    }
    for (const char *flag = text + 1; flag < at; flag++)
        g_ptr_array_add(split, g_strdup_printf("-%c", *flag));
    if (option)
        g_ptr_array_add(split, g_strdup_printf("-%c", *at++));
    if (*at)
        g_ptr_array_add(split, g_strdup(at));
}

static char **split_arguments(int argc, char **argv)
{
    GPtrArray *split = g_ptr_array_new();
    g_ptr_array_add(split, g_strdup(argc ? argv[0] : "coreactor"));
    for (int i = 1; i < argc; i++)
        split_letters(split, argv[i]);
    g_ptr_array_add(split, NULL);
    return (char **)g_ptr_array_free(split, FALSE);
}

/* The flag to which an argument such as "--quiet=no" gives a value, which GOption would ignore. */
static const struct option *find_valued_flag(char **arguments)
{
    for (; *arguments; arguments++) {
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
            size_t length = strlen(table[i].name);
            if (table[i].kind == FLAG && g_str_has_prefix(*arguments, "--") &&
                strncmp(*arguments + 2, table[i].name, length) == 0 &&
                (*arguments)[2 + length] == '=')
                return &table[i];
        }
    }
    return NULL;
}

static GOptionContext *new_context(struct options *options, char *texts[])
{
    GOptionEntry entries[G_N_ELEMENTS(table) + 1] = {{0}};
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const struct option *option = &table[i];
        entries[i] = (GOptionEntry){
            .long_name = option->name,
            .short_name = option->letter,
            .arg = option->kind == FLAG     ? G_OPTION_ARG_NONE
                   : option->kind == NUMBER ? G_OPTION_ARG_STRING
                                            : G_OPTION_ARG_STRING_ARRAY,
            .arg_data = option->kind == NUMBER ? (void *)&texts[i] : place(options, option),
            .description = option->help,
            .arg_description = option->value,
        };
    }
    GOptionContext *context = g_option_context_new(NULL);
    g_option_context_set_help_enabled(context, FALSE); /* it knows no -h */
    g_option_context_set_summary(context,
                                 "An HTTP/1.1 server with one epoll reactor per CPU core.");
    g_option_context_add_main_entries(context, entries, NULL);
    return context;
}

bool options_parse(struct options *options, int argc, char **argv, char **message)
{
    char *texts[G_N_ELEMENTS(table)] = {NULL};
    GError *error = NULL;
    *options = (struct options){.server = {.size = sizeof(options->server), .drain_timeout_s = 10}};
    *message = NULL;

    char **arguments = split_arguments(argc, argv);
    const struct option *valued_flag = find_valued_flag(arguments);
    GOptionContext *context = new_context(options, texts);
    bool ok = g_option_context_parse_strv(context, &arguments, &error);
    g_option_context_free(context);
    if (!ok) {
        *message = g_strdup(error->message);
        g_error_free(error);
    } else if (valued_flag) {
        ok = false;
        *message = g_strdup_printf("--%s takes no value", valued_flag->name);
    } else if (arguments[0] && arguments[1]) {
        ok = false;
        *message = g_strdup_printf("unexpected argument '%s'", arguments[1]);
    }
    g_strfreev(arguments);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        ok = ok && store(options, &table[i], texts[i], message);
        g_free(texts[i]);
    }
    if (options->server.drain_timeout_s == 0)
        options->server.drain_timeout_s = -1; /* 0 is "the default" to the library */
    options->server.listen = (const char *const *)options->listen;
    options->server.announce = !options->quiet;
    return ok;
}

void options_free(struct options *options)
{
    g_strfreev(options->listen);
}

/* --- explaining --- */

void options_write_help(FILE *to)
{
    struct options unused;
    char *texts[G_N_ELEMENTS(table)] = {NULL};
    GOptionContext *context = new_context(&unused, texts);
    char *help = g_option_context_get_help(context, TRUE, NULL);
    fputs(help, to);
    g_free(help);
    g_option_context_free(context);
}

/* Text in the man page: hyphens that are to stay hyphens are escaped. */
static void write_roff(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
}

static void write_manual_option(FILE *to, const struct option *option)
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

void options_write_manual(FILE *to)
{
    fprintf(to, ".TH COREACTOR 1 \"\" \"coreactor %s\" \"User Commands\"\n", coreactor_version());
    fputs(".SH NAME\ncoreactor \\- HTTP/1.1 server with one epoll reactor per CPU core\n"
          ".SH SYNOPSIS\n.B coreactor\n[\\fIOPTIONS\\fR]\n"
          ".SH DESCRIPTION\n"
          "Serves a built\\-in page to GET and HEAD requests on every path. Every thread runs an "
          "event loop "
          "of its own\nand listens on a socket of its own; the kernel spreads connections over "
          "them.\n"
          "It runs in the foreground, needs no configuration file, and is ready once it says "
          "where it listens.\n"
          ".SH OPTIONS\n",
          to);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        write_manual_option(to, &table[i]);
    fputs(".SH SIGNALS\n"
          ".TP\n.BR SIGTERM \", \" SIGINT\n"
          "Drain: stop accepting, answer the requests that have arrived with Connection: close, "
          "then exit. "
          "A second one\nends the process at once.\n"
          ".SH EXIT STATUS\n"
          ".TP\n0\nIt drained after a signal or after \\-\\-duration.\n"
          ".TP\n1\nIt could not start or go on; one line on standard error says why.\n"
          ".TP\n2\nThe command line was wrong.\n"
          ".SH SEE ALSO\n.BR epoll (7),\n.BR socket (7)\n",
          to);
}
