/* The command line of the file server. */
#include "options_support.h"

#include <glib.h>
#include <string.h>

#define ROOTED "c --root=/srv "

static void test_root(void)
{
    static const char *const lines[] = {"c --root /srv", "c --root=/srv", "c -r /srv",
                                        "c -r/srv",      "c -qr/srv",     "c --root=/a -r /srv"};
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        struct options options;
        accept_line(&options, lines[i]);
        g_assert_cmpstr(options.files.root, ==, "/srv");
        options_free(&options);
    }
    refuse_line("c --root", "--root");
    refuse_line("c -r", "-r");
    refuse_line("c --root=/srv /srv", "/srv");
}

/* Not the present directory: that is what a script says whose variable is not set. */
static void test_empty_root(void)
{
    refuse_line("c --root=", "--root takes a directory, not ''");
    refuse_line("c --root ", "--root takes a directory, not ''");
    refuse_line("c --listing -r ", "--root takes a directory, not ''");
}

static void test_defaults(void)
{
    struct options options;
    accept_line(&options, "c --root=.");
    const struct files_options *files = &options.files;
    g_assert_cmpstr(files->root, ==, ".");
    g_assert_false(files->follow_symlinks || files->dotfiles || files->listing ||
                   files->no_compression);
    g_assert_true(!files->cache_control && !files->headers && !files->not_found &&
                  !files->fallback);
    g_assert_cmpint(files->memory_max, ==, 0);
    g_assert_cmpint(files->cache_max, ==, 0);
    options_free(&options);
    accept_line(&options, "c");
    g_assert_null(options.files.root);
    options_free(&options);
}

static void test_all(void)
{
    struct options options;
    accept_line(&options,
                ROOTED "--listing --dotfiles --follow-symlinks --no-compression "
                       "--not-found=/404.html --fallback index.html --cache-control *.css=a=b "
                       "--cache-control=x=y --header=A:b --cache-file=1K --cache-size=2M");
    const struct files_options *files = &options.files;
    g_assert_true(files->follow_symlinks && files->dotfiles && files->listing &&
                  files->no_compression);
    g_assert_cmpstr(files->not_found, ==, "/404.html");
    g_assert_cmpstr(files->fallback, ==, "index.html");
    g_assert_cmpstr(files->cache_control[0], ==, "*.css=a=b");
    g_assert_cmpstr(files->cache_control[1], ==, "x=y");
    g_assert_null(files->cache_control[2]);
    g_assert_cmpstr(files->headers[0], ==, "A:b");
    g_assert_null(files->headers[1]);
    g_assert_cmpint(files->memory_max, ==, 1024);
    g_assert_cmpint(files->cache_max, ==, 2 << 20);
    options_free(&options);
}

static void test_flags_alone(void)
{
    static const struct {
        const char *line;
        bool listing;
        bool dotfiles;
        bool follow_symlinks;
        bool no_compression;
    } flags[] = {{ROOTED "--listing", true, false, false, false},
                 {ROOTED "--dotfiles", false, true, false, false},
                 {ROOTED "--follow-symlinks", false, false, true, false},
                 {ROOTED "--no-compression", false, false, false, true}};
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        struct options options;
        accept_line(&options, flags[i].line);
        g_assert_cmpint(options.files.listing, ==, flags[i].listing);
        g_assert_cmpint(options.files.dotfiles, ==, flags[i].dotfiles);
        g_assert_cmpint(options.files.follow_symlinks, ==, flags[i].follow_symlinks);
        g_assert_cmpint(options.files.no_compression, ==, flags[i].no_compression);
        options_free(&options);
        g_autofree char *valued = g_strconcat(flags[i].line, "=no", NULL);
        refuse_line(valued, "takes no value");
    }
}

/* Without a root there is nothing that they could be about. */
static void test_need_root(void)
{
    static const char *const words[] = {"listing",        "dotfiles",     "follow-symlinks",
                                        "no-compression", "header=A: b",  "cache-control=*=x",
                                        "not-found=x",    "fallback=x",   "cache-file=5",
                                        "cache-file=0",   "cache-size=5", "cache-size=0"};
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *word = g_strconcat("--", words[i], NULL);
        char root[] = "--root=/srv";
        char name[] = "c";
        char *arguments[] = {name, word, root, NULL};
        struct options options;
        char *message;
        g_assert_false(options_parse(&options, 2, arguments, &message));
        g_autofree char *expected =
            g_strdup_printf("--%.*s needs --root", (int)strcspn(words[i], "="), words[i]);
        g_assert_cmpstr(message, ==, expected);
        g_free(message);
        options_free(&options);
        g_assert_true(options_parse(&options, 3, arguments, &message));
        options_free(&options);
    }
}

static void check_size(const char *name, const char *text, int64_t expected, const char *most)
{
    struct options options;
    g_autofree char *line = g_strdup_printf(ROOTED "--cache-%s=%s", name, text);
    g_autofree char *message =
        g_strdup_printf("--cache-%s takes a whole number from 0 to %s, or", name, most);
    if (!expected) {
        refuse_line(line, message);
        return;
    }
    bool is_file = strcmp(name, "file") == 0;
    accept_line(&options, line);
    g_assert_cmpint(options.files.memory_max, ==, is_file ? expected : 0);
    g_assert_cmpint(options.files.cache_max, ==, is_file ? 0 : expected);
    options_free(&options);
}

static void test_cache_sizes(void)
{
    static const struct {
        const char *text;
        int64_t file; /* 0: refused */
        int64_t all;
    } sizes[] = {{"0", -1, -1},
                 {"0K", -1, -1},
                 {"1", 1, 1},
                 {"64K", 65536, 65536},
                 {"1G", 1 << 30, 1 << 30},
                 {"1024M", 1 << 30, 1 << 30},
                 {"1073741825", 0, 1073741825},
                 {"2G", 0, INT64_C(2) << 30},
                 {"1024G", 0, INT64_C(1) << 40},
                 {"1025G", 0, 0},
                 {"1099511627777", 0, 0},
                 {"-1", 0, 0},
                 {"1T", 0, 0},
                 {"x", 0, 0},
                 {"", 0, 0}};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        check_size("file", sizes[i].text, sizes[i].file, "1073741824");
        check_size("size", sizes[i].text, sizes[i].all, "1099511627776");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/files/root", test_root);
    g_test_add_func("/options/files/empty-root", test_empty_root);
    g_test_add_func("/options/files/defaults", test_defaults);
    g_test_add_func("/options/files/all", test_all);
    g_test_add_func("/options/files/flags-alone", test_flags_alone);
    g_test_add_func("/options/files/need-root", test_need_root);
    g_test_add_func("/options/files/cache-sizes", test_cache_sizes);
    return g_test_run();
}
