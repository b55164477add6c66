#include "server/options.h"

#include "server/options_table.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>

/* --- parsing --- */

static void *place(struct options *options, const struct option *option)
{
    return (char *)options + option->at;
}

/* The unit that ends a size: "K" is 10 bits. 0 when there is none. */
static unsigned unit_bits(const char *text, size_t length)
{
    switch (length ? text[length - 1] : 0) {
    case 'K':
        return 10;
    case 'M':
        return 20;
    case 'G':
        return 30;
    default:
        return 0;
    }
}

static bool read_number(const struct option *option, const char *text, guint64 *number)
{
    size_t length = strlen(text);
    unsigned bits = option->kind == OPTION_SIZE ? unit_bits(text, length) : 0;
    g_autofree char *digits = g_strndup(text, bits ? length - 1 : length);
    if (!g_ascii_string_to_unsigned(digits, 10, option->least >> bits, option->most >> bits, number,
                                    NULL))
        return false;
    *number <<= bits;
    return true;
}

static bool store_number(struct options *options, const struct option *option, const char *text,
                         char **message)
{
    guint64 number;
    if (!read_number(option, text, &number)) {
        *message = g_strdup_printf(
            "--%s takes a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
            "%s, not '%s'",
            option->name, option->least, option->most,
            option->kind == OPTION_SIZE ? ", or one that ends with K, M or G" : "", text);
        return false;
    }
    if (option->kind == OPTION_NUMBER)
        *(unsigned *)place(options, option) = (unsigned)number;
    else if (option->kind == OPTION_LIMIT) /* 0 is "the default" to the library */
        *(int *)place(options, option) = number ? (int)number : -1;
    else
        *(int64_t *)place(options, option) = number ? (int64_t)number : -1;
    return true;
}

static bool store_choice(struct options *options, const struct option *option, const char *text,
                         char **message)
{
    g_auto(GStrv) words = g_strsplit(option->value, "|", -1);
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *(int *)place(options, option) = i + 1;
            return true;
        }
    }
    g_autofree char *list = g_strjoinv(" or ", words);
    *message = g_strdup_printf("--%s takes %s, not '%s'", option->name, list, text);
    return false;
}

/* Whether GOption hands over a text, so that it is checked against the table and nowhere else. */
static bool is_checked_here(const struct option *option)
{
    return option->kind == OPTION_NUMBER || option->kind == OPTION_LIMIT ||
           option->kind == OPTION_SIZE || option->kind == OPTION_CHOICE;
}

static bool store(struct options *options, const struct option *option, const char *text,
                  char **message)
{
    if (!text)
        return true;
    return option->kind == OPTION_CHOICE ? store_choice(options, option, text, message)
                                         : store_number(options, option, text, message);
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (letter && option_table[i].letter == letter)
            return &option_table[i];
    }
    return NULL;
}

/* Adds "-qj2" as "-q" "-j" "2": GOption knows no value behind its letter. What is no such group of
 * letters is added as it is. */
static void split_letters(GPtrArray *split, const char *text)
{
    const char *at = text + 1;
    const struct option *option = NULL;
    while (text[0] == '-' && (option = find_letter(*at)) && option->kind == OPTION_FLAG)
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
        for (size_t i = 0; i < OPTION_COUNT; i++) {
            size_t length = strlen(option_table[i].name);
            if (option_table[i].kind == OPTION_FLAG && g_str_has_prefix(*arguments, "--") &&
                strncmp(*arguments + 2, option_table[i].name, length) == 0 &&
                (*arguments)[2 + length] == '=')
                return &option_table[i];
        }
    }
    return NULL;
}

static GOptionArg argument_kind(const struct option *option)
{
    switch (option->kind) {
    case OPTION_FLAG:
        return G_OPTION_ARG_NONE;
    case OPTION_TEXTS:
        return G_OPTION_ARG_STRING_ARRAY;
    case OPTION_TEXT:
        return G_OPTION_ARG_FILENAME; /* any bytes */
    default:
        return G_OPTION_ARG_STRING;
    }
}

static GOptionContext *new_context(struct options *options, char *texts[])
{
    GOptionEntry entries[OPTION_COUNT + 1] = {{0}};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];
        entries[i] = (GOptionEntry){
            .long_name = option->name,
            .short_name = option->letter,
            .arg = argument_kind(option),
            .arg_data = is_checked_here(option) ? (void *)&texts[i] : place(options, option),
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

/* Reads the words into `options`, and into `texts` what is to be checked. */
static bool read_words(struct options *options, int argc, char **argv, char *texts[],
                       char **message)
{
    GError *error = NULL;
    g_auto(GStrv) words = split_arguments(argc, argv);
    const struct option *valued_flag = find_valued_flag(words);
    GOptionContext *context = new_context(options, texts);
    bool ok = g_option_context_parse_strv(context, &words, &error);
    g_option_context_free(context);
    if (!ok) {
        *message = g_strdup(error->message);
        g_error_free(error);
    } else if (valued_flag) {
        *message = g_strdup_printf("--%s takes no value", valued_flag->name);
    } else if (words[0] && words[1]) {
        *message = g_strdup_printf("unexpected argument '%s'", words[1]);
    }
    return !*message;
}

/* Options that mean nothing without another one. */
static bool check_together(const struct options *options, char **message)
{
    const struct {
        const char *name;
        bool is_given;
    } for_files[] = {
        {"listing", options->listing},
        {"dotfiles", options->dotfiles},
        {"follow-symlinks", options->follow_symlinks},
        {"cache-control", options->cache_control},
        {"header", options->headers},
        {"not-found", options->not_found},
        {"fallback", options->fallback},
        {"no-compression", options->no_compression},
        {"cache-file", options->files.memory_max},
        {"cache-size", options->files.cache_max},
    };
    if (options->access_log_format && !options->access_log)
        *message = g_strdup("--access-log-format needs --access-log");
    else if (options->admin_anywhere && !options->admin)
        *message = g_strdup("--admin-anywhere needs --admin");
    else if (options->stall_trace && options->server.stall_warning_ms < 0)
        *message = g_strdup("--stall-trace needs --stall-warning");
    else if (options->root && !*options->root) /* a script's variable is not set */
        *message = g_strdup("--root takes a directory, not ''");
    for (size_t i = 0; i < G_N_ELEMENTS(for_files) && !options->root && !*message; i++) {
        if (for_files[i].is_given)
            *message = g_strdup_printf("--%s needs --root", for_files[i].name);
    }
    return !*message;
}

bool options_parse(struct options *options, int argc, char **argv, char **message)
{
    char *texts[OPTION_COUNT] = {NULL};
    *options = (struct options){.server = {.size = sizeof(options->server)}};
    *message = NULL;
    bool ok = read_words(options, argc, argv, texts, message);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        ok = ok && store(options, &option_table[i], texts[i], message);
        g_free(texts[i]);
    }
    ok = ok && check_together(options, message);
    if (!ok) { /* an argument that is quoted must not make it two lines */
        char *escaped = g_strescape(*message, "\"");
        g_free(*message);
        *message = escaped;
    }
    options->server.listen = (const char *const *)options->listen;
    options->server.access_log = options->access_log;
    options->server.access_log_json = options->access_log_format == OPTIONS_JSON;
    options->files.listing = options->listing;
    options->files.dotfiles = options->dotfiles;
    options->files.follow_symlinks = options->follow_symlinks;
    options->files.no_compression = options->no_compression;
    options->files.cache_control = (const char *const *)options->cache_control;
    options->files.headers = (const char *const *)options->headers;
    options->files.not_found = options->not_found;
    options->files.fallback = options->fallback;
    options->files.root = options->root;
    options->server.announce = !options->quiet;
    if (options->balance != OPTIONS_BALANCE_AUTO)
        options->server.balance = (enum server_balance)options->balance;
    options->server.keep_connections = options->keep_connections;
    options->server.stall_trace = options->stall_trace;
    options->server.admin = options->admin;
    options->server.admin_anywhere = options->admin_anywhere;
    return ok;
}

void options_free(struct options *options)
{
    g_strfreev(options->listen);
    g_free(options->access_log);
    g_free(options->admin);
    g_free(options->root);
    g_strfreev(options->cache_control);
    g_strfreev(options->headers);
    g_free(options->not_found);
    g_free(options->fallback);
}

/* --- explaining --- */

void options_write_help(FILE *to)
{
    struct options unused;
    char *texts[OPTION_COUNT] = {NULL};
    GOptionContext *context = new_context(&unused, texts);
    char *help = g_option_context_get_help(context, TRUE, NULL);
    fputs(help, to);
    g_free(help);
    g_option_context_free(context);
}
