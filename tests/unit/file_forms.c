/* The fields of each form of a file, their entity tags, and the forms that are made here. */
#include "file_faults.h"
#include "tree_support.h"

#include "http/date.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static void begin(struct tree *tree)
{
    no_faults();
    clock_ahead_s = 60; /* nothing has been changed just now */
    tree_open(tree, NULL);
}

static void end(struct tree *tree)
{
    no_faults();
    tree_close(tree);
}

static char *long_text(size_t length)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; text->len < length; i++)
        g_string_append_printf(text, "%u bottles of beer on the wall\n", i);
    g_string_truncate(text, length);
    return g_string_free(text, FALSE);
}

static const struct file_form *form_of(const struct file_content *content, enum coding coding)
{
    g_assert_true(file_form_is_there(&content->forms[coding]));
    return &content->forms[coding];
}

static char *etag_of(const struct file_content *content, enum coding coding)
{
    const struct file_form *form = form_of(content, coding);
    return g_strndup(form->etag.bytes, form->etag.length);
}

/* --- fields --- */

/* The lines of a form with '|' where its parts begin, and without its tag and date, which are
 * checked. */
static char *lines_of(const struct file_content *content, enum coding coding)
{
    const struct file_form *form = form_of(content, coding);
    char date[HTTP_DATE_LENGTH + 1] = "";
    http_date_format(date, content->modified_s);
    g_autofree char *etag = etag_of(content, coding);
    g_autofree char *validators = g_strdup_printf("ETag: %s\r\nLast-Modified: %s\r\n", etag, date);
    size_t at = form->validators_at;
    g_assert_cmpuint(form->cached_at, <=, at);
    g_assert_cmpmem(form->lines + at, form->cached_end - at, validators, strlen(validators));
    return g_strdup_printf("%.*s|%.*s|VALIDATORS|%.*s", (int)form->cached_at, form->lines,
                           (int)(at - form->cached_at), form->lines + form->cached_at,
                           (int)(form->lines_length - form->cached_end),
                           form->lines + form->cached_end);
}

#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"
#define VARY    "Vary: Accept-Encoding\r\n"
#define RANGES  "|VALIDATORS|Accept-Ranges: bytes\r\n"
#define CACHED  "Cache-Control: max-age=5\r\n"
#define OTHERS  "A: b\r\nC: d\r\n"

static const struct {
    const char *name;
    size_t length;
    bool sibling;
    bool compress;
    bool policy;
    const char *lines;
    const char *of_sibling;
} fields[] = {
    {"a.png", 5, false, true, false, NOSNIFF "|" RANGES, NULL},
    {"a.png", 5, true, true, false, NOSNIFF "|" VARY RANGES,
     "Content-Encoding: gzip\r\n" NOSNIFF "|" VARY RANGES},
    {"a.png", 5000, false, true, true, NOSNIFF "|" OTHERS RANGES, NULL},
    {"a.txt", 255, false, true, false, NOSNIFF "|" RANGES, NULL},
    {"a.txt", 256, false, true, false, NOSNIFF "|" VARY RANGES, NULL},
    {"a.txt", 256, false, false, false, NOSNIFF "|" RANGES, NULL},
    {"a.txt", 4 << 20, false, true, false, NOSNIFF "|" VARY RANGES, NULL},
    {"a.txt", (4 << 20) + 1, false, true, false, NOSNIFF "|" RANGES, NULL},
    {"a.txt", 256, true, false, true, NOSNIFF "|" VARY OTHERS CACHED RANGES,
     "Content-Encoding: gzip\r\n" NOSNIFF "|" VARY OTHERS CACHED RANGES},
};

static void test_fields(void)
{
    static const char *const cache_control[] = {"*.txt=max-age=5", NULL};
    static const char *const headers[] = {"A: b", "C: d", NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        struct tree tree;
        g_autofree char *text = long_text(fields[i].length);
        g_autofree char *sibling = g_strconcat(fields[i].name, ".gz", NULL);
        begin(&tree);
        tree.settings.compress = fields[i].compress;
        if (fields[i].policy)
            tree_set_policy(&tree, cache_control, headers);
        tree_write(&tree, fields[i].name, text, fields[i].length);
        if (fields[i].sibling)
            tree_write_text(&tree, sibling, "gz");
        struct file_content *content = tree_load(&tree, fields[i].name);
        g_autofree char *lines = lines_of(content, CODING_IDENTITY);
        g_assert_cmpstr(lines, ==, fields[i].lines);
        if (fields[i].sibling) {
            g_autofree char *others = lines_of(content, CODING_GZIP);
            g_assert_cmpstr(others, ==, fields[i].of_sibling);
        }
        file_content_release(content);
        end(&tree);
    }
}

/* The type is the file's name's, wherever it lies and whatever lies beside it. */
static void test_types(void)
{
    struct tree tree;
    begin(&tree);
    tree_write_text(&tree, "a.html", "html");
    tree_write_text(&tree, "a.html.gz", "gz");
    tree_write_text(&tree, "unknown", "?");
    static const struct {
        const char *name;
        const char *type;
    } types[] = {{"a.html", "text/html; charset=utf-8"},
                 {"a.html.gz", "application/gzip"},
                 {"unknown", "application/octet-stream"}};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        struct file_content *content = tree_load(&tree, types[i].name);
        g_assert_cmpstr(content->content_type, ==, types[i].type);
        file_content_release(content);
    }
    end(&tree);
}

/* --- entity tags --- */

static void expect_etag(const char *etag, bool weak, const char *coding)
{
    g_autofree char *pattern = g_strdup_printf("^%s\"[0-9a-f]{16}%s\"$", weak ? "W/" : "", coding);
    g_assert_true(g_regex_match_simple(pattern, etag, 0, 0));
}

static void test_etags(void)
{
    static const struct {
        const char *suffix;
        const char *in_tag;
        enum coding coding;
    } forms[] = {{".br", "-br", CODING_BR},
                 {".zst", "-zstd", CODING_ZSTD},
                 {".gz", "-gzip", CODING_GZIP},
                 {"", "", CODING_IDENTITY}};
    struct tree tree;
    begin(&tree);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int version = 0; version < 3; version++) {
        for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
            g_autofree char *name = g_strconcat("a.txt", forms[i].suffix, NULL);
            tree_write_text(&tree, name, "same");
        }
        struct file_content *content = tree_load(&tree, "a.txt");
        struct file_content *again = tree_load(&tree, "a.txt");
        for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
            char *etag = etag_of(content, forms[i].coding);
            g_autofree char *other = etag_of(again, forms[i].coding);
            expect_etag(etag, false, forms[i].in_tag);
            g_assert_cmpstr(etag, ==, other);
            g_assert_true(g_hash_table_add(seen, etag));
        }
        file_content_release(content);
        file_content_release(again);
        g_usleep(25000); /* more than a tick of the file system */
    }
    end(&tree);
}

#define MS INT64_C(1000000)

/* How long before the file was loaded it was changed. */
static const struct {
    int64_t age_ns;
    bool whole_seconds;
    bool racy;
} ages[] = {
    {0, false, true},
    {20 * MS - 1, false, true},
    {20 * MS, false, false},
    {3600 * 1000 * MS, false, false},
    {-20 * MS + 1, false, true}, /* somebody has put the clock back a little ... */
    {-20 * MS, false, false},    /* ... or much: it will not change again at that time for long */
    {-3600 * 1000 * MS, false, false},
    {0, true, true},
    {2000 * MS - 1, true, true},
    {2000 * MS, true, false},
    {-2000 * MS + 1, true, true},
    {-2000 * MS, true, false},
};

static void check_age(size_t i, const char *newest)
{
    struct tree tree;
    begin(&tree);
    tree_write_text(&tree, "a.txt", "file");
    tree_write_text(&tree, newest, "newest");
    int64_t changed_ns = tree_changed_ns(&tree, newest);
    whole_seconds = ages[i].whole_seconds;
    if (whole_seconds)
        changed_ns -= changed_ns % (1000 * MS);
    clock_at_ns = changed_ns + ages[i].age_ns;
    struct file_content *content = tree_load(&tree, "a.txt");
    g_autofree char *etag = etag_of(content, CODING_IDENTITY);
    g_test_message("age %zu, %s", i, newest);
    expect_etag(etag, ages[i].racy, "");
    g_assert_cmpint(content->racy, ==, ages[i].racy);
    g_assert_cmpint(file_content_is_current(content, &tree.root, "a.txt", true), ==, !ages[i].racy);
    file_content_release(content);
    end(&tree);
}

/* A further change might not show. */
static void test_racy(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ages); i++) {
        check_age(i, "a.txt");
        if (ages[i].age_ns >= 0) /* the newest of its files counts */
            check_age(i, "a.txt.br");
    }
}

/* --- forms that are made --- */

static const enum coding made[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};

static void make(const struct tree *tree, struct file_content *content, enum coding coding)
{
    size_t length = 0;
    char *body = file_content_compress(content, coding, &length);
    file_content_add(content, &tree->settings, coding, body, length);
}

static void test_made(void)
{
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(made); i++) {
        enum coding coding = made[i / 2];
        struct tree tree;
        g_autofree char *text = long_text(20000);
        begin(&tree);
        tree.settings.memory_max = i % 2 ? 20000 : 0; /* from memory, from the file */
        tree_write_text(&tree, "a.txt", text);
        struct file_content *content = tree_load(&tree, "a.txt");
        size_t before = content->bytes;
        g_assert_cmpint(file_content_offers(content, coding), ==, coding_is_made(coding));
        make(&tree, content, coding);
        g_assert_cmpint(file_content_is_current(content, &tree.root, "a.txt", true), ==, 1);
        if (coding_is_made(coding)) {
            const struct file_form *form = form_of(content, coding);
            g_autofree char *lines = lines_of(content, coding);
            g_autofree char *expected = g_strdup_printf(
                "Content-Encoding: %s\r\n" NOSNIFF "|" VARY RANGES, coding_name(coding));
            g_autofree char *etag = etag_of(content, coding);
            g_autofree char *suffix = g_strconcat("-", coding_name(coding), NULL);
            g_assert_cmpstr(lines, ==, expected);
            expect_etag(etag, false, suffix);
            g_assert_true(form->made && form->body && form->fd == -1);
            g_assert_cmpuint(form->length, <, 20000);
            g_assert_cmpuint(content->bytes, ==, before + form->lines_length + form->length);
        }
        /* One that lies there by now is another. */
        g_autofree char *name = g_strconcat("a.txt", coding_suffix(coding), NULL);
        tree_write_text(&tree, name, "beside");
        g_assert_cmpint(file_content_is_current(content, &tree.root, "a.txt", true), ==, 0);
        file_content_release(content);
        end(&tree);
    }
}

/* What would not get smaller is offered no more. */
static void test_worthless(void)
{
    struct tree tree;
    char noise[300];
    guint32 state = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        state = state * 1103515245 + 12345;
        noise[i] = (char)(state >> 24);
    }
    begin(&tree);
    tree_write(&tree, "a.txt", noise, sizeof(noise));
    struct file_content *content = tree_load(&tree, "a.txt");
    size_t before = content->bytes;
    for (size_t i = 0; i < G_N_ELEMENTS(made); i++) {
        make(&tree, content, made[i]);
        g_assert_false(file_form_is_there(&content->forms[made[i]]));
        g_assert_false(file_content_offers(content, made[i]));
    }
    g_assert_cmpuint(content->bytes, ==, before);
    g_assert_cmpint(file_content_is_current(content, &tree.root, "a.txt", true), ==, 1);
    file_content_release(content);
    end(&tree);
}

/* A file that has changed since is not compressed under its old tag. */
static void test_changed(void)
{
    static const size_t lengths[] = {20000, 100, 30000};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        struct tree tree;
        size_t length = 0;
        g_autofree char *text = long_text(20000);
        g_autofree char *other = long_text(lengths[i]);
        begin(&tree);
        tree.settings.memory_max = 0;
        tree_write_text(&tree, "a.txt", text);
        struct file_content *content = tree_load(&tree, "a.txt");
        g_usleep(25000);
        tree_write_text(&tree, "a.txt", other);
        g_assert_null(file_content_compress(content, CODING_GZIP, &length));
        file_content_release(content);
        end(&tree);
    }
}

static void test_offers(void)
{
    static const struct {
        const char *name;
        size_t length;
        bool compress;
        bool offered;
    } kinds[] = {{"a.txt", 255, true, false},  {"a.txt", 256, true, true},
                 {"a.txt", 256, false, false}, {"a.png", 5000, true, false},
                 {"a.txt", 0, true, false},    {"a.txt", (4 << 20) + 1, true, false}};
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        struct tree tree;
        g_autofree char *text = long_text(kinds[i].length);
        begin(&tree);
        tree.settings.compress = kinds[i].compress;
        tree_write_text(&tree, kinds[i].name, text);
        struct file_content *content = tree_load(&tree, kinds[i].name);
        for (size_t k = 0; k < G_N_ELEMENTS(made); k++)
            g_assert_cmpint(file_content_offers(content, made[k]), ==,
                            kinds[i].offered && coding_is_made(made[k]));
        g_assert_true(file_content_offers(content, CODING_IDENTITY));
        file_content_release(content);
        end(&tree);
    }
}

/* --- memory and disks --- */

static void test_memory(void)
{
    struct tree tree;
    g_autofree char *text = long_text(20000);
    begin(&tree);
    tree.settings.memory_max = 0;
    tree_write_text(&tree, "a.txt", text);
    bool ended = false;
    for (int n = 1; !ended; n++) {
        struct file_content *content = tree_load(&tree, "a.txt");
        allocation_fails_in = n;
        make(&tree, content, CODING_GZIP);
        ended = allocation_fails_in > 0 || !coding_is_made(CODING_GZIP);
        allocation_fails_in = 0;
        const struct file_form *form = &content->forms[CODING_GZIP];
        g_assert_true(file_form_is_there(form) || form->worthless);
        g_assert_true(file_form_is_there(form) || (!form->lines && !form->body));
        file_content_release(content);
        g_assert_cmpint(n, <, 100);
    }
    end(&tree);
}

static void test_read_error(void)
{
    struct tree tree;
    size_t length = 0;
    g_autofree char *text = long_text(20000);
    begin(&tree);
    tree.settings.memory_max = 0;
    tree_write_text(&tree, "a.txt", text);
    struct file_content *content = tree_load(&tree, "a.txt");
    read_error = -5;
    g_assert_null(file_content_compress(content, CODING_GZIP, &length));
    file_content_release(content);
    end(&tree);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-forms/fields", test_fields);
    g_test_add_func("/file-forms/types", test_types);
    g_test_add_func("/file-forms/etags", test_etags);
    g_test_add_func("/file-forms/racy", test_racy);
    g_test_add_func("/file-forms/made", test_made);
    g_test_add_func("/file-forms/worthless", test_worthless);
    g_test_add_func("/file-forms/changed", test_changed);
    g_test_add_func("/file-forms/offers", test_offers);
    g_test_add_func("/file-forms/memory", test_memory);
    g_test_add_func("/file-forms/read-error", test_read_error);
    return g_test_run();
}
