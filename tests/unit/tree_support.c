#include "tree_support.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_open(struct tree *tree, const char *parent)
{
    char *message;
    *tree = (struct tree){.settings = {.compress = true, .memory_max = 1000}};
    tree->path = g_build_filename(parent ? parent : g_get_tmp_dir(), "coreactor-tree-XXXXXX", NULL);
    g_assert_nonnull(g_mkdtemp_full(tree->path, 0755));
    g_assert_cmpint(file_root_open(&tree->root, tree->path, false), ==, 0);
    tree->settings.types = media_types_new(NULL);
    tree->settings.policy = file_policy_new(NULL, NULL, &message);
    g_assert_nonnull(tree->settings.policy);
}

void tree_close(struct tree *tree)
{
    GDir *directory = g_dir_open(tree->path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(directory));)
        tree_remove(tree, name);
    g_dir_close(directory);
    g_assert_cmpint(rmdir(tree->path), ==, 0);
    file_root_close(&tree->root);
    media_types_free(tree->settings.types);
    file_policy_free(tree->settings.policy);
    g_free(tree->path);
}

void tree_set_policy(struct tree *tree, const char *const *cache_control,
                     const char *const *headers)
{
    char *message;
    file_policy_free(tree->settings.policy);
    tree->settings.policy = file_policy_new(cache_control, headers, &message);
    g_assert_cmpstr(message, ==, NULL);
}

char *tree_name(const struct tree *tree, const char *name)
{
    return g_build_filename(tree->path, name, NULL);
}

void tree_write(const struct tree *tree, const char *name, const char *bytes, size_t length)
{
    g_autofree char *path = tree_name(tree, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, bytes, length), ==, (ssize_t)length);
    close(fd);
}

void tree_write_text(const struct tree *tree, const char *name, const char *text)
{
    tree_write(tree, name, text, strlen(text));
}

int64_t tree_changed_ns(const struct tree *tree, const char *name)
{
    struct stat status;
    g_autofree char *path = tree_name(tree, name);
    g_assert_cmpint(stat(path, &status), ==, 0);
    return status.st_ctim.tv_sec * INT64_C(1000000000) + status.st_ctim.tv_nsec;
}

void tree_remove(const struct tree *tree, const char *name)
{
    g_autofree char *path = tree_name(tree, name);
    g_assert_cmpint(g_remove(path), ==, 0);
}

struct file_content *tree_load(const struct tree *tree, const char *name)
{
    struct file_content *content = NULL;
    int error = file_content_load(&tree->settings, &tree->root, name, true, &content);
    g_assert_cmpint(error, ==, 0);
    return content;
}

unsigned descriptors(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;
    while (g_dir_read_name(directory))
        count++;
    g_dir_close(directory);
    return count;
}
