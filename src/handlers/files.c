#include "handlers/files.h"

#include "handlers/file_service.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>

enum {
    READERS = 8, /* requests that a slow disk gets at a time */
    MAKERS = 2,  /* forms that are compressed at a time: few, so that the reactors are left alone */
    MEMORY_MAX = 64 << 10,
    CACHE_MAX = 32 << 20,
    SWEEP_MS = 10000,
};
#define UNUSED_NS \
    (UINT64_C(60) * 1000000000) /* as long a file that was deleted may keep its blocks */

/* --- start --- */

static bool set_page(const char *option, const char *path, char **to, char **message)
{
    struct file_path decoded;
    if (!path)
        return true;
    while (*path == '/')
        path++;
    g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);
    g_autofree char *target = g_strconcat("/", escaped, NULL);
    if (file_path_decode((struct http_text){target, strlen(target)}, true, &decoded) ||
        decoded.directory) {
        *message =
            g_strdup_printf("--%s takes the path of a file below the root, not '%s'", option, path);
        return false;
    }
    *to = g_strdup(decoded.bytes);
    return true;
}

/* Whether the root can be opened at all; each reactor opens its own. */
static bool try_root(const struct files *files, const char *path, char **message)
{
    struct file_root root;
    /* An empty path, of a variable that is not set, must not mean the working directory. */
    int error = *path ? file_root_open(&root, files->root, files->follow_symlinks) : -ENOENT;
    if (error) {
        *message = g_strdup_printf("cannot serve '%s': %s", path, g_strerror(-error));
        return false;
    }
    if (root.walks && files->follow_symlinks)
        g_warning("this kernel has no openat2(2), so no symbolic link is followed");
    file_root_close(&root);
    return true;
}

/* As the kernel sees it: ".." behind a link is not what stands before it. */
static char *absolute(const char *path)
{
    g_autofree char *here = g_get_current_dir();
    return *path == '/' ? g_strdup(path) : g_build_filename(here, path, NULL);
}

static size_t size_or(int64_t chosen, size_t otherwise)
{
    if (chosen < 0)
        return 0;
    return chosen ? (size_t)chosen : otherwise;
}

static bool set_up(struct files *files, const struct files_options *options, char **message)
{
    struct file_settings *settings = &files->settings;
    files->root = absolute(options->root);
    files->follow_symlinks = options->follow_symlinks;
    files->dotfiles = options->dotfiles;
    files->listing = options->listing;
    files->cache_max = size_or(options->cache_max, CACHE_MAX);
    settings->descriptor_bytes = files->cache_max / (FILES_DESCRIPTORS - 2) + 1;
    settings->compress = !options->no_compression;
    /* What could not be kept, with all its forms, is better sent from where it is. */
    settings->memory_max = MIN(size_or(options->memory_max, MEMORY_MAX),
                               file_cache_most(files->cache_max) / CODING_COUNT);
    settings->types = media_types_new("/etc/mime.types");
    settings->policy = file_policy_new(options->cache_control, options->headers, message);
    if (!settings->policy || !try_root(files, options->root, message) ||
        !set_page("not-found", options->not_found, &files->not_found, message) ||
        !set_page("fallback", options->fallback, &files->fallback, message))
        return false;
    files->readers = pool_new(READERS, 0);
    files->makers = files->readers ? pool_new(MAKERS, 0) : NULL;
    if (!files->makers)
        *message = g_strdup_printf("cannot start threads: %s", g_strerror(errno));
    return files->makers;
}

struct files *files_new(const struct files_options *options, char **message)
{
    struct files *files = g_new0(struct files, 1);
    if (set_up(files, options, message))
        return files;
    files_free(files);
    return NULL;
}

void files_free(struct files *files)
{
    if (!files)
        return;
    pool_free(files->readers);
    pool_free(files->makers);
    media_types_free(files->settings.types);
    file_policy_free(files->settings.policy);
    g_free(files->root);
    g_free(files->not_found);
    g_free(files->fallback);
    g_free(files);
}

/* --- on each reactor --- */

static void on_change(void *arg)
{
    struct file_shelf *shelf = arg;
    shelf->generation++;
}

static void on_sweep(struct reactor *reactor, void *arg)
{
    struct file_shelf *shelf = arg;
    uint64_t now_ns = reactor_now(reactor);
    if (now_ns > UNUSED_NS)
        file_cache_expire(&shelf->cache, now_ns - UNUSED_NS);
}

static int open_shelf(struct file_shelf *shelf)
{
    int error = file_tree_open(shelf);
    if (error)
        return error;
    error = file_cache_init(&shelf->cache, shelf->files->cache_max);
    if (error)
        return error;
    shelf->sweep = reactor_timer_new(shelf->reactor, on_sweep, shelf);
    if (!shelf->sweep)
        return -ENOMEM;
    reactor_timer_start(shelf->sweep, SWEEP_MS, SWEEP_MS);
    return 0;
}

int files_start(struct reactor *reactor, unsigned index, void *arg)
{
    struct file_shelf *shelf = calloc(1, sizeof(*shelf));
    if (!shelf)
        return -ENOMEM;
    shelf->references = 1;
    shelf->files = arg;
    shelf->reactor = reactor;
    shelf->generation = 1;
    shelf->watch.fd = -1;
    reactor_set_data(reactor, shelf);
    int error = open_shelf(shelf);
    if (error) {
        files_stop(reactor, index, arg);
        return error;
    }
    file_watch_start(&shelf->watch, reactor, on_change, shelf); /* without it, they are looked at */
    return 0;
}

void file_shelf_release(struct file_shelf *shelf)
{
    if (--shelf->references)
        return;
    if (shelf->cache.buckets)
        file_cache_fini(&shelf->cache);
    file_tree_release(shelf->tree);
    free(shelf);
}

void files_stop(struct reactor *reactor, unsigned index, void *arg)
{
    struct file_shelf *shelf = reactor_data(reactor);
    (void)index, (void)arg;
    pool_wait(shelf->files->readers, reactor);
    pool_wait(shelf->files->makers, reactor);
    file_watch_stop(&shelf->watch);
    reactor_timer_free(shelf->sweep);
    reactor_set_data(reactor, NULL);
    file_shelf_release(shelf);
}
