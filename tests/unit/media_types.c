/* Media types: of the table, of the system's file, and of files that are nonsense. */
#include "handlers/media_types.h"

#include "handlers/media_types_table.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

struct type_case {
    const char *name;
    const char *type;
};

static void check_types(const struct media_types *types, const struct type_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        g_assert_cmpstr(media_types_find(types, cases[i].name), ==, cases[i].type);
}

/* What a file with that text has to say. */
static struct media_types *types_of(const char *text, gssize length)
{
    g_autofree char *file = g_build_filename(g_get_tmp_dir(), "media-types-XXXXXX", NULL);
    int fd = g_mkstemp(file);
    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(file, text, length, NULL));
    struct media_types *types = media_types_new(file);
    g_unlink(file);
    return types;
}

static void test_table(void)
{
    static const struct type_case cases[] = {
        {"index.html", "text/html; charset=utf-8"},
        {"INDEX.HTM", "text/html; charset=utf-8"},
        {"a/b.c/site.css", "text/css; charset=utf-8"},
        {"app.js", "text/javascript; charset=utf-8"},
        {"app.min.mjs", "text/javascript; charset=utf-8"},
        {"app.js.map", "application/json"},
        {"data.json", "application/json"},
        {"logo.SvG", "image/svg+xml"},
        {"photo.jpeg", "image/jpeg"},
        {"favicon.ico", "image/vnd.microsoft.icon"},
        {"code.wasm", "application/wasm"},
        {"text.woff2", "font/woff2"},
        {"site.webmanifest", "application/manifest+json"},
        {"archive.tar.gz", "application/gzip"},
        {"README.md", "text/markdown; charset=utf-8"},
        {"feed.xml", "application/xml"},
        {"\xc3\xa9.txt", "text/plain; charset=utf-8"},
        {".hidden.txt", "text/plain; charset=utf-8"},
        {"README", "application/octet-stream"},
        {"a.unheard-of", "application/octet-stream"},
        {".html", "application/octet-stream"},
        {"a/.html", "application/octet-stream"},
        {"a.html/b", "application/octet-stream"},
        {"html", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {".", "application/octet-stream"},
        {"", "application/octet-stream"},
    };
    struct media_types *types = media_types_new(NULL);
    check_types(types, cases, G_N_ELEMENTS(cases));
    media_types_free(types);
}

/* No extension is there twice, and each is found. */
static void test_table_rows(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    struct media_types *types = media_types_new(NULL);
    for (const struct media_type_row *row = media_types_table; row->type; row++) {
        g_auto(GStrv) extensions = g_strsplit(row->extensions, " ", -1);
        for (char **extension = extensions; *extension; extension++) {
            g_autofree char *name = g_strconcat("a.", *extension, NULL);
            g_assert_true(g_str_has_prefix(media_types_find(types, name), row->type));
            g_assert_true(g_hash_table_add(seen, g_strdup(*extension)));
        }
    }
    g_assert_cmpuint(g_hash_table_size(seen), >=, 80);
    media_types_free(types);
}

static void test_file(void)
{
    static const struct type_case cases[] = {
        {"a.xyz", "application/x-xyz"},
        {"a.zyx", "application/x-xyz"},
        {"a.UPPER", "application/x-upper"},
        {"a.crlf", "text/x-crlf; charset=utf-8"},
        {"a.txt", "text/x-mine; charset=utf-8"},
        {"a.both", "audio/second"},
        {"a.last", "application/x-last"},
        {"a.commented", "application/octet-stream"},
        {"a.js", "text/javascript; charset=utf-8"},
        {"a.wasm", "application/wasm"},
        {"a.css", "text/css; charset=utf-8"},
        {"a.html", "text/html; charset=utf-8"},
    };
    struct media_types *types = types_of("# comment\n\n"
                                         "application/x-xyz\t\txyz  zyx # commented\n"
                                         "#application/x-a commented\n"
                                         "application/x-none\n"
                                         "application/x-upper Upper\n"
                                         "text/x-crlf crlf\r\n"
                                         "text/x-mine txt\n"
                                         "audio/first both\naudio/second both\n"
                                         "application/x-javascript js\n"
                                         "application/octet-stream wasm\n"
                                         "text/plain CSS\n"
                                         "application/x-last last",
                                         -1);
    check_types(types, cases, G_N_ELEMENTS(cases));
    media_types_free(types);
}

/* Nothing that could end a field's line, or is no type, gets in. */
static void test_nonsense(void)
{
    static const char text[] = "nonsense bad\n"
                               "/x bad\n"
                               "x/ bad\n"
                               "/ bad\n"
                               "a/b/c bad\n"
                               "text/html;charset=x bad\n"
                               "text/\"html\" bad\n"
                               "text/ht\x01ml bad\n"
                               "text/ht\xc3\xa9ml bad\n"
                               "text/html,text/css bad\n"
                               "text/html\rSet-Cookie:a bad\n"
                               "a/b\v bad2\n"
                               "\0text/html bad\n"
                               "application/x-good good\n";
    struct media_types *types = types_of(text, sizeof(text) - 1);
    g_assert_cmpstr(media_types_find(types, "a.good"), ==, "application/octet-stream");
    g_assert_cmpstr(media_types_find(types, "a.html"), ==, "text/html; charset=utf-8");
    static const char *const values[] = {"a.bad", "a.bad2", "a.Set-Cookie:a"};
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        for (const char *at = media_types_find(types, values[i]); *at; at++)
            g_assert_true(g_ascii_isprint(*at));
    }
    g_assert_cmpstr(media_types_find(types, "a.bad"), ==, "text/html; charset=utf-8");
    media_types_free(types);
}

static void test_absent_file(void)
{
    static const char *const files[] = {"/nowhere/at/all", "/", "/dev/null", "/dev/zero"};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        struct media_types *types = media_types_new(files[i]);
        g_assert_cmpstr(media_types_find(types, "a.html"), ==, "text/html; charset=utf-8");
        media_types_free(types);
    }
}

static void test_large_file(void)
{
    static const char line[] = "application/x-large large\n";
    for (gsize more = 0; more < 2; more++) {
        gsize size = (4 << 20) + more;
        g_autofree char *text = g_strnfill(size, '\n');
        memcpy(text, line, sizeof(line) - 1);
        struct media_types *types = types_of(text, (gssize)size);
        g_assert_cmpstr(media_types_find(types, "a.large"), ==,
                        more ? "application/octet-stream" : "application/x-large");
        media_types_free(types);
    }
}

static void test_compressible(void)
{
    static const char *const yes[] = {
        "text/html; charset=utf-8",  "text/plain",        "TEXT/CSS", "text/javascript",
        "application/json",          "application/XML",   "font/ttf", "application/ld+json",
        "application/manifest+json", "application/wasm",  "font/otf", "image/svg+xml",
        "application/atom+xml;a=b",  "application/x-tar", "image/bmp"};
    static const char *const no[] = {"image/png",
                                     "image/jpeg",
                                     "font/woff2",
                                     "application/zip",
                                     "application/octet-stream",
                                     "application/pdf",
                                     "audio/mpeg",
                                     "video/mp4",
                                     "application/gzip",
                                     "application/jsonx",
                                     "image/svg",
                                     "application",
                                     "",
                                     "font/woff",
                                     "x/texts"};
    for (size_t i = 0; i < G_N_ELEMENTS(yes); i++)
        g_assert_true(media_type_is_compressible(yes[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(no); i++)
        g_assert_false(media_type_is_compressible(no[i]));
    g_autofree char *a_long_one = g_strnfill(1000, 'a');
    g_assert_false(media_type_is_compressible(a_long_one));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/handlers/media-types/table", test_table);
    g_test_add_func("/handlers/media-types/table-rows", test_table_rows);
    g_test_add_func("/handlers/media-types/file", test_file);
    g_test_add_func("/handlers/media-types/nonsense", test_nonsense);
    g_test_add_func("/handlers/media-types/absent-file", test_absent_file);
    g_test_add_func("/handlers/media-types/large-file", test_large_file);
    g_test_add_func("/handlers/media-types/compressible", test_compressible);
    return g_test_run();
}
