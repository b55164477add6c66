/* Listings: names of every kind, in both forms; what is not shown; order, numbers and failures. */
#include "listing_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct listing_options html = {LISTING_HTML, "a/b", false, false};
static const struct listing_options json = {LISTING_JSON, "a/b", false, false};

static void check_contains(const char *page, const char *text)
{
    if (!strstr(page, text))
        g_error("no %s in %s", text, page);
}

/* --- names --- */

/* U+202E: what follows is shown from right to left. */
#define RIGHT_TO_LEFT \
    "\342\200\256gnp.exe" /* NOLINT(misc-misleading-bidirectional): to be tested */

/* In the order of strverscmp(3). */
static const char *const nasty[] = {" ",
                                    " leading and trailing ",
                                    "!important",
                                    "\"",
                                    "\"><img src=x onerror=alert(1)>",
                                    "#",
                                    "$(id)",
                                    "%",
                                    "%2e%2e",
                                    "&amp;",
                                    "&lt;b&gt;",
                                    "'onclick='",
                                    "+",
                                    ",",
                                    "-",
                                    "100%",
                                    ";",
                                    "<b>bold<",
                                    "=",
                                    "?x=1&y=2",
                                    "@",
                                    "[x]",
                                    "a:b",
                                    "file",
                                    "http:",
                                    "javascript:alert(1)",
                                    "{}",
                                    "~",
                                    "\xc3\xa9",
                                    "\xe2\x80\xa8",
                                    RIGHT_TO_LEFT,
                                    "\xf0\x9f\x98\x80",
                                    NULL};

static void test_nasty_names(void)
{
    struct place place;
    place_open(&place);
    for (size_t i = 0; nasty[i]; i++)
        place_add_file(&place, nasty[i], 0);
    g_autofree char *page = place_list(&place, &html);
    g_autofree char *data = place_list(&place, &json);
    g_autoptr(GPtrArray) read = html_names(page);
    g_autoptr(GPtrArray) asked = html_targets(page);
    g_autoptr(GPtrArray) parsed = json_names(data);
    check_names(read, nasty);
    check_names(asked, nasty);
    check_names(parsed, nasty);
    place_close(&place);
}

/* Names that file_path_decode() would refuse. */
static void test_names_not_served(void)
{
    static const char *const names[] = {"a\nb", "a\tb",     "\x7f",    "\xff", "caf\xe9",
                                        "a\\b", "\xc2\x85", "\x1b[2J", NULL};
    static const char *const none[] = {NULL};
    struct place place;
    place_open(&place);
    for (size_t i = 0; names[i]; i++)
        place_add_file(&place, names[i], 0);
    g_autofree char *data = place_list(&place, &json);
    g_autoptr(GPtrArray) parsed = json_names(data);
    check_names(parsed, none);
    place_close(&place);
}

static void test_longest_name(void)
{
    g_autofree char *name = g_strnfill(255, '&');
    const char *const names[] = {name, NULL};
    struct place place;
    place_open(&place);
    place_add_file(&place, name, 0);
    g_autofree char *page = place_list(&place, &html);
    g_autoptr(GPtrArray) read = html_names(page);
    g_autoptr(GPtrArray) asked = html_targets(page);
    check_names(read, names);
    check_names(asked, names);
    place_close(&place);
}

static void test_order(void)
{
    static const char *const expected[] = {"Z/",  "dir2/", "dir10/", "A",        "a1", "a2",
                                           "a10", "a100",  "b",      "\xc3\xa9", NULL};
    struct place place;
    place_open(&place);
    for (int i = G_N_ELEMENTS(expected) - 2; i >= 3; i--)
        place_add_file(&place, expected[i], 0);
    place_add_directory(&place, "dir10");
    place_add_directory(&place, "Z");
    place_add_directory(&place, "dir2");
    g_autofree char *page = place_list(&place, &html);
    g_autoptr(GPtrArray) read = html_names(page);
    g_autoptr(GPtrArray) asked = html_targets(page);
    check_names(read, expected);
    check_names(asked, expected);
    check_contains(page, "3 directories, 7 files");
    /* Again: the descriptor has not moved. */
    g_autofree char *again = place_list(&place, &html);
    g_assert_cmpstr(again, ==, page);
    place_close(&place);
}

/* --- kinds --- */

static void add_special_files(const struct place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", place->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    close(fd);
    g_assert_cmpint(mkfifoat(place->fd, "fifo", 0600), ==, 0);
    g_assert_cmpint(symlinkat("file", place->fd, "link"), ==, 0);
    g_assert_cmpint(symlinkat("/etc", place->fd, "link-away"), ==, 0);
    g_assert_cmpint(symlinkat("nothing", place->fd, "link-broken"), ==, 0);
    g_assert_cmpint(symlinkat(".", place->fd, "link-directory"), ==, 0);
    g_assert_cmpint(symlinkat("fifo", place->fd, "link-fifo"), ==, 0);
    place_add_file(place, "file", 1234);
    place_add_file(place, ".dotfile", 0);
    place_add_directory(place, ".git");
    place_add_directory(place, "directory");
}

static bool resolves(void *arg, const char *name, struct stat *status)
{
    const struct place *place = arg;
    return strcmp(name, "link-away") != 0 && fstatat(place->fd, name, status, 0) == 0;
}

static void test_kinds(void)
{
    static const struct {
        bool dotfiles;
        bool follow_symlinks;
        const char *names[8];
    } cases[] = {
        {false, false, {"directory", "file"}},
        {true, false, {".git", "directory", ".dotfile", "file"}},
        {false, true, {"directory", "link-directory", "file", "link"}},
        {true, true, {".git", "directory", "link-directory", ".dotfile", "file", "link"}},
    };
    struct place place;
    place_open(&place);
    add_special_files(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct listing_options options = {LISTING_JSON, "", cases[i].dotfiles,
                                          cases[i].follow_symlinks};
        size_t length;
        g_autofree char *page = listing_make(place.fd, &options, resolves, &place, &length);
        g_autofree char *text = g_strndup(page, length);
        g_autoptr(GPtrArray) parsed = json_names(text);
        check_names(parsed, cases[i].names);
        check_contains(text, "{\"name\": \"file\", \"type\": \"file\", \"size\": 1234, ");
        check_contains(text, "{\"name\": \"directory\", \"type\": \"directory\", \"modified\"");
    }
    place_close(&place);
}

/* A file system that does not tell types, and files that vanish or change before they are asked. */
static void test_asked(void)
{
    static const struct {
        unsigned char type;
        mode_t mode;
        unsigned vanish_each;
        guint count;
    } cases[] = {
        {DT_UNKNOWN, S_IFREG, 0, 10}, {DT_UNKNOWN, S_IFDIR, 0, 10}, {DT_UNKNOWN, S_IFIFO, 0, 0},
        {DT_UNKNOWN, S_IFLNK, 0, 0},  {DT_UNKNOWN, S_IFREG, 2, 5},  {DT_REG, S_IFREG, 2, 5},
        {DT_REG, S_IFIFO, 0, 0},      {DT_REG, S_IFDIR, 0, 0},      {DT_DIR, S_IFREG, 0, 0},
        {DT_REG, S_IFLNK, 0, 0},      {DT_CHR, S_IFCHR, 0, 0},      {DT_REG, S_IFREG, 1, 0},
    };
    struct place place;
    place_open(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        made_up = (struct made_up){.count = 10,
                                   .type = cases[i].type,
                                   .mode = cases[i].mode,
                                   .vanish_each = cases[i].vanish_each};
        g_autofree char *page = place_list(&place, &json);
        g_autoptr(GPtrArray) parsed = json_names(page);
        g_assert_cmpuint(parsed->len, ==, cases[i].count);
        made_up.count = 0;
    }
    place_close(&place);
}

/* --- numbers --- */

static void test_sizes(void)
{
    static const struct {
        uint64_t size;
        const char *html;
    } cases[] = {
        {0, "<data value=\"0\" title=\"0 bytes\">0 B</data>"},
        {1, "<data value=\"1\" title=\"1 byte\">1 B</data>"},
        {999, "title=\"999 bytes\">999 B<"},
        {1000, "title=\"1,000 bytes\">1.0 KB<"},
        {1434, "title=\"1,434 bytes\">1.4 KB<"},
        {999949, ">999.9 KB<"},
        {999950, "title=\"999,950 bytes\">1.0 MB<"},
        {3204711, "<data value=\"3204711\" title=\"3,204,711 bytes\">3.2 MB<"},
        {UINT64_C(999949999), ">999.9 MB<"},
        {UINT64_C(1000000000), "title=\"1,000,000,000 bytes\">1.0 GB<"},
        {UINT64_C(4500000000000), ">4.5 TB<"},
        {INT64_MAX, "title=\"9,223,372,036,854,775,807 bytes\">9.2 EB<"},
    };
    struct place place;
    place_open(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        made_up =
            (struct made_up){.count = 1, .type = DT_REG, .mode = S_IFREG, .size = cases[i].size};
        g_autofree char *page = place_list(&place, &html);
        check_contains(page, cases[i].html);
        made_up.count = 0;
    }
    place_close(&place);
}

static void test_times(void)
{
    static const struct {
        int64_t seconds;
        const char *machine;
        const char *person;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01 <span>00:00 UTC</span>"},
        {1551675967, "2019-03-04T05:06:07Z", "2019-03-04 <span>05:06 UTC</span>"},
        {-1, "1969-12-31T23:59:59Z", "1969-12-31 <span>23:59 UTC</span>"},
        {INT64_C(253402300799), "9999-12-31T23:59:59Z", "9999-12-31 <span>23:59 UTC</span>"},
        {INT64_MAX, "9999-12-31T23:59:59Z", "9999-12-31 <span>23:59 UTC</span>"},
        {INT64_MIN, "0001-01-01T00:00:00Z", "0001-01-01 <span>00:00 UTC</span>"},
    };
    struct place place;
    place_open(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        made_up = (struct made_up){
            .count = 1, .type = DT_REG, .mode = S_IFREG, .modified_s = cases[i].seconds};
        g_autofree char *page = place_list(&place, &html);
        g_autofree char *data = place_list(&place, &json);
        g_autofree char *element =
            g_strdup_printf("<time datetime=\"%s\">%s</time>", cases[i].machine, cases[i].person);
        g_autofree char *member = g_strdup_printf("\"modified\": \"%s\"}", cases[i].machine);
        check_contains(page, element);
        check_contains(data, member);
        made_up.count = 0;
    }
    place_close(&place);
}

/* --- counts --- */

static void check_first(const GPtrArray *names, guint count)
{
    g_assert_cmpuint(names->len, ==, count);
    for (guint i = 0; i < count; i++) {
        char name[16];
        g_snprintf(name, sizeof(name), "%u", i);
        g_assert_cmpstr(names->pdata[i], ==, name);
    }
}

static void test_many(void)
{
    static const struct {
        unsigned count;
        unsigned omitted;
        const char *caption;
    } cases[] = {
        {1, 0, "<caption>1 file</caption>"},
        {9999, 0, "<caption>9,999 files</caption>"},
        {10000, 0, "<caption>10,000 files</caption>"},
        {10001, 1, "The first 10,000 entries; 1 more is not shown."},
        {20000, 10000, "The first 10,000 entries; 10,000 more are not shown."},
        {20001, 10001, "The first 10,000 entries; 10,001 more are not shown."},
        {100000, 90000, "The first 10,000 entries; 90,000 more are not shown."},
    };
    struct place place;
    place_open(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        made_up =
            (struct made_up){.count = cases[i].count, .type = DT_REG, .mode = S_IFREG, .size = 1};
        g_autofree char *page = place_list(&place, &html);
        g_autofree char *data = place_list(&place, &json);
        made_up.count = 0;
        g_autoptr(GPtrArray) read = html_names(page);
        g_autoptr(GPtrArray) parsed = json_names(data);
        check_first(read, cases[i].count - cases[i].omitted);
        check_first(parsed, cases[i].count - cases[i].omitted);
        g_autofree char *member = g_strdup_printf("\"omitted\": %u}\n", cases[i].omitted);
        check_contains(data, member);
        check_contains(page, cases[i].caption);
    }
    place_close(&place);
}

static void test_empty(void)
{
    struct place place;
    place_open(&place);
    g_autofree char *page = place_list(&place, &html);
    g_autofree char *data = place_list(&place, &json);
    check_contains(page, "There is nothing to show");
    g_assert_null(strstr(page, "<table"));
    g_assert_cmpstr(data, ==, "{\"path\": \"/a/b/\", \"entries\": [\n], \"omitted\": 0}\n");
    place_close(&place);
}

/* --- the place of the directory --- */

static void test_paths(void)
{
    static const struct {
        const char *path;
        const char *title;
        const char *heading;
        const char *crumbs; /* NULL: none */
        const char *json;
    } cases[] = {
        {"", "<title>/</title>", "<h1>/</h1>", NULL, "\"/\""},
        {"a", "<title>/a/</title>", "<h1>a/</h1>", "<ol><li><a href=\"../\">/</a></li></ol>",
         "\"/a/\""},
        {"a/b&c/\"d\\", "<title>/a/b&#38;c/&#34;d\\/</title>", "<h1>&#34;d\\/</h1>",
         "<ol><li><a href=\"../../../\">/</a></li><li><a href=\"../../\">a</a></li>"
         "<li><a href=\"../\">b&#38;c</a></li></ol>",
         "\"/a/b&c/\\\"d\\\\/\""},
        {"</title><script>", "<title>/&#60;/title&#62;&#60;script&#62;/</title>",
         "<h1>title&#62;&#60;script&#62;/</h1>", "<li><a href=\"../\">&#60;</a></li>",
         "\"/</title><script>/\""},
    };
    struct place place;
    place_open(&place);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct listing_options options = {LISTING_HTML, cases[i].path, false, false};
        g_autofree char *page = place_list(&place, &options);
        options.form = LISTING_JSON;
        g_autofree char *data = place_list(&place, &options);
        check_contains(page, cases[i].title);
        check_contains(page, cases[i].heading);
        check_contains(page, cases[i].crumbs ? cases[i].crumbs : "<main>");
        g_assert_cmpint(strstr(page, "<nav") != NULL, ==, cases[i].crumbs != NULL);
        g_assert_cmpint(strstr(page, "rel=\"up\"") != NULL, ==, cases[i].crumbs != NULL);
        check_contains(data, cases[i].json);
    }
    place_close(&place);
}

/* What a person without a mouse, a screen, or a script needs, and what the policy forbids. */
static void test_document(void)
{
    static const char *const there[] = {
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">",
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
        "color-scheme:light dark",
        "prefers-color-scheme:dark",
        "tabular-nums",
        "<nav aria-label=",
        "<main>",
        "<caption>1 file</caption>",
        "<th scope=\"col\">Name</th>",
        "<th scope=\"row\"><a href=\"./a\">a</a></th>"};
    static const char *const not_there[] = {"<script", "url(", "src=", "http", "style=", "<link"};
    struct place place;
    place_open(&place);
    place_add_file(&place, "a", 1);
    g_autofree char *page = place_list(&place, &html);
    for (size_t i = 0; i < G_N_ELEMENTS(there); i++)
        check_contains(page, there[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(not_there); i++)
        g_assert_null(strstr(page, not_there[i]));
    place_close(&place);
}

/* --- failures --- */

static void expect_error(int fd, int error)
{
    size_t length = 0;
    errno = 0;
    char *page = listing_make(fd, &html, NULL, NULL, &length);
    int found = errno;
    g_assert_null(page);
    g_assert_cmpint(found, ==, error);
}

static void test_unreadable(void)
{
    struct place place;
    place_open(&place);
    place_add_file(&place, "file", 1);
    int file = openat(place.fd, "file", O_RDONLY | O_CLOEXEC);
    expect_error(file, ENOTDIR);
    close(file);
    expect_error(-1, EBADF);
    readdir_error = EIO;
    expect_error(place.fd, EIO);
    readdir_error = 0;
    fdopendir_error = ENOMEM;
    expect_error(place.fd, ENOMEM);
    fdopendir_error = 0;
    if (geteuid() != 0) { /* root may read everything */
        g_assert_cmpint(chmod(place.path, 0100), ==, 0);
        expect_error(place.fd, EACCES);
        g_assert_cmpint(chmod(place.path, 0700), ==, 0);
    }
    place_close(&place);
}

static void test_removed(void)
{
    struct place place;
    place_open(&place);
    g_assert_cmpint(rmdir(place.path), ==, 0);
    g_autofree char *page = place_list(&place, &json);
    check_contains(page, "\"entries\": [\n]");
    g_assert_cmpint(mkdir(place.path, 0700), ==, 0);
    place_close(&place);
}

/* Each allocation fails once. */
static void test_memory(void)
{
    struct place place;
    place_open(&place);
    for (size_t i = 0; nasty[i]; i++)
        place_add_file(&place, nasty[i], 1);
    for (int form = 0; form < 2; form++) {
        char *page = NULL;
        size_t length = 0;
        int successes = 0;
        for (; !page; successes++) {
            allocations_left = successes;
            errno = 0;
            page = listing_make(place.fd, form ? &html : &json, NULL, NULL, &length);
            int error = errno;
            allocations_left = -1;
            g_assert_true(page || error == ENOMEM);
        }
        g_assert_cmpint(successes, >, (int)G_N_ELEMENTS(nasty));
        free(page);
    }
    place_close(&place);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/handlers/listing/nasty-names", test_nasty_names);
    g_test_add_func("/handlers/listing/names-not-served", test_names_not_served);
    g_test_add_func("/handlers/listing/longest-name", test_longest_name);
    g_test_add_func("/handlers/listing/order", test_order);
    g_test_add_func("/handlers/listing/kinds", test_kinds);
    g_test_add_func("/handlers/listing/asked", test_asked);
    g_test_add_func("/handlers/listing/sizes", test_sizes);
    g_test_add_func("/handlers/listing/times", test_times);
    g_test_add_func("/handlers/listing/many", test_many);
    g_test_add_func("/handlers/listing/empty", test_empty);
    g_test_add_func("/handlers/listing/paths", test_paths);
    g_test_add_func("/handlers/listing/document", test_document);
    g_test_add_func("/handlers/listing/unreadable", test_unreadable);
    g_test_add_func("/handlers/listing/removed", test_removed);
    g_test_add_func("/handlers/listing/memory", test_memory);
    return g_test_run();
}
