#include "listing_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct made_up made_up;
int allocations_left = -1;
int readdir_error;
int fdopendir_error;

/* --- stand-ins --- */

void *wrap_malloc(size_t length) __asm__("__wrap_malloc");
void *real_malloc(size_t length) __asm__("__real_malloc");
void *wrap_realloc(void *bytes, size_t length) __asm__("__wrap_realloc");
void *real_realloc(void *bytes, size_t length) __asm__("__real_realloc");
struct dirent *wrap_readdir(DIR *directory) __asm__("__wrap_readdir");
struct dirent *real_readdir(DIR *directory) __asm__("__real_readdir");
DIR *wrap_fdopendir(int fd) __asm__("__wrap_fdopendir");
DIR *real_fdopendir(int fd) __asm__("__real_fdopendir");
int wrap_fstatat(int fd, const char *name, struct stat *status,
                 int flags) __asm__("__wrap_fstatat");
int real_fstatat(int fd, const char *name, struct stat *status,
                 int flags) __asm__("__real_fstatat");

static bool allocation_fails(void)
{
    if (allocations_left != 0) {
        allocations_left -= allocations_left > 0;
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *wrap_malloc(size_t length)
{
    return allocation_fails() ? NULL : real_malloc(length);
}

void *wrap_realloc(void *bytes, size_t length)
{
    return allocation_fails() ? NULL : real_realloc(bytes, length);
}

DIR *wrap_fdopendir(int fd)
{
    made_up.at = 0;
    errno = fdopendir_error;
    return fdopendir_error ? NULL : real_fdopendir(fd);
}

/* A prime that does not divide the count mixes the order. */
static struct dirent *readdir_made_up(void)
{
    static struct dirent entry;
    if (made_up.at == made_up.count)
        return NULL;
    entry.d_type = made_up.type;
    g_snprintf(entry.d_name, sizeof(entry.d_name), "%u",
               (unsigned)(made_up.at++ * UINT64_C(7919) % made_up.count));
    return &entry;
}

struct dirent *wrap_readdir(DIR *directory)
{
    struct dirent *found = made_up.count ? readdir_made_up() : real_readdir(directory);
    if (!found && readdir_error)
        errno = readdir_error;
    return found;
}

int wrap_fstatat(int fd, const char *name, struct stat *status, int flags)
{
    if (!made_up.count)
        return real_fstatat(fd, name, status, flags);
    if (made_up.vanish_each && strtoul(name, NULL, 10) % made_up.vanish_each == 0) {
        errno = ENOENT;
        return -1;
    }
    *status = (struct stat){.st_mode = made_up.mode, .st_size = (off_t)made_up.size};
    status->st_mtim.tv_sec = made_up.modified_s;
    return 0;
}

/* --- places --- */

void place_open(struct place *place)
{
    place->path = g_dir_make_tmp("listing-XXXXXX", NULL);
    g_assert_nonnull(place->path);
    place->fd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(place->fd, >=, 0);
}

void place_close(struct place *place)
{
    GDir *directory = g_dir_open(place->path, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(place->path, name, NULL);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
    g_dir_close(directory);
    g_assert_cmpint(g_rmdir(place->path), ==, 0);
    close(place->fd);
    g_free(place->path);
}

void place_add_file(const struct place *place, const char *name, off_t size)
{
    int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
}

void place_add_directory(const struct place *place, const char *name)
{
    g_assert_cmpint(mkdirat(place->fd, name, 0700), ==, 0);
}

char *place_list(const struct place *place, const struct listing_options *options)
{
    size_t length;
    g_autofree char *page = listing_make(place->fd, options, NULL, NULL, &length);
    g_assert_nonnull(page);
    char *text = g_strndup(page, length);
    g_assert_cmpuint(strlen(text), ==, length);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    return text;
}

/* --- names --- */

/* What is between the two texts, once in a line at most. Line by line, because the sanitizer looks
 * at all of a text each time that something is looked for in it. */
static GPtrArray *texts_between(const char *page, const char *before, const char *after)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *copy = g_strdup(page);
    char *rest = copy;
    const char *line;
    while ((line = strsep(&rest, "\n"))) {
        const char *at = strstr(line, before);
        if (!at)
            continue;
        at += strlen(before);
        const char *end = strstr(at, after);
        g_assert_nonnull(end);
        g_ptr_array_add(texts, g_strndup(at, (gsize)(end - at)));
    }
    return texts;
}

GPtrArray *json_names(const char *page)
{
    GPtrArray *names = texts_between(page, "{\"name\": \"", "\", \"type\": ");
    for (guint i = 0; i < names->len; i++) {
        char *to = names->pdata[i];
        for (const char *from = to; *from; from++) {
            g_assert_cmpint(*from, !=, '"');
            from += *from == '\\';
            g_assert_true((guchar)*from >= ' ');
            *to++ = *from;
        }
        *to = '\0';
    }
    return names;
}

/* The text of HTML in which there are only decimal references. */
static char *html_text(const char *html)
{
    GString *text = g_string_new(NULL);
    while (*html) {
        g_assert_null(strchr("<>\"'", *html));
        if (*html == '&') {
            char *end;
            g_assert_cmpint(html[1], ==, '#');
            g_string_append_c(text, (char)strtol(html + 2, &end, 10));
            g_assert_cmpint(*end, ==, ';');
            html = end + 1;
        } else {
            g_string_append_c(text, *html++);
        }
    }
    return g_string_free(text, FALSE);
}

GPtrArray *html_names(const char *page)
{
    g_autoptr(GPtrArray) links = texts_between(page, "<th scope=\"row\"><a", "</a></th>");
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < links->len; i++)
        g_ptr_array_add(names, html_text(strchr(links->pdata[i], '>') + 1));
    return names;
}

GPtrArray *html_targets(const char *page)
{
    g_autoptr(GPtrArray) encoded = texts_between(page, " href=\"./", "\">");
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < encoded->len; i++) {
        const char *text = encoded->pdata[i];
        g_assert_null(strpbrk(text, ":?#&<>\"' \\"));
        char *name = g_uri_unescape_string(text, NULL);
        g_assert_nonnull(name);
        g_ptr_array_add(names, name);
    }
    return names;
}

void check_names(const GPtrArray *names, const char *const *expected)
{
    guint i = 0;
    for (; expected[i]; i++) {
        g_assert_cmpuint(i, <, names->len);
        g_assert_cmpstr(names->pdata[i], ==, expected[i]);
    }
    g_assert_cmpuint(names->len, ==, i);
}
