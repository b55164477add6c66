/*
 * file_tree.c - the root of what is served, and how its changes are noticed.
 */
#include "handlers/file_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens what the root's path leads to now. NULL with `*error` set. */
static struct file_tree *open_tree(const struct files *files, int *error)
{
    struct file_tree *tree = malloc(sizeof(*tree));
    if (!tree) {
        *error = -ENOMEM;
        return NULL;
    }
    tree->references = 1;
    *error = file_root_open(&tree->root, files->root, files->follow_symlinks);
    if (*error) {
        free(tree);
        return NULL;
    }
    *error = file_stamp_take(tree->root.fd, true, &tree->stamp);
    if (*error) {
        file_tree_release(tree);
        return NULL;
    }
    return tree;
}

int file_tree_open(struct file_shelf *shelf)
{
    int error = 0;
    shelf->tree = open_tree(shelf->files, &error);
    return error;
}

void file_tree_release(struct file_tree *tree)
{
    if (!tree || --tree->references)
        return;
    file_root_close(&tree->root);
    free(tree);
}

/* The other directory that the root's path leads to now takes the place of the old one. */
static void replace_tree(struct file_shelf *shelf, struct file_tree *tree)
{
    if (file_stamps_same_file(&tree->stamp, &shelf->tree->stamp)) {
        file_tree_release(tree);
        return;
    }
    file_tree_release(shelf->tree);
    shelf->tree = tree;
    shelf->generation++;
    if (shelf->watch.fd < 0)
        return;
    /* The directories of the old tree may stay for long; they are not to be watched any more. */
    file_watch_stop(&shelf->watch);
    file_watch_start(&shelf->watch, shelf->reactor, shelf->watch.changed, shelf->watch.arg);
}

struct tree_job {
    struct pool_job job;
    struct file_shelf *shelf;
    struct file_tree *tree; /* NULL: none */
};

static void open_later(struct pool_job *pool_job)
{
    struct tree_job *job = (struct tree_job *)pool_job;
    int error;
    job->tree = open_tree(job->shelf->files, &error);
}

static void finish(struct pool_job *pool_job)
{
    struct tree_job *job = (struct tree_job *)pool_job;
    job->shelf->tree_is_checked = false;
    if (job->tree)
        replace_tree(job->shelf, job->tree);
    file_shelf_release(job->shelf);
    free(job);
}

/* Has the tree opened by a thread that may wait for it. */
static void check_later(struct file_shelf *shelf)
{
    struct tree_job *job = malloc(sizeof(*job));
    if (!job)
        return; /* the next check will do it */
    *job = (struct tree_job){.job = {.run = open_later, .done = finish, .reactor = shelf->reactor},
                             .shelf = shelf};
    shelf->references++;
    shelf->tree_is_checked = true;
    pool_submit(shelf->files->readers, &job->job);
}

/* Where the path leads nowhere now, what was open goes on: it is empty, or has been moved away. */
void file_tree_check(struct file_shelf *shelf)
{
    struct file_stamp now;
    uint64_t now_ns = reactor_now(shelf->reactor);
    if (shelf->tree_is_checked || now_ns - shelf->tree_checked_ns < RECHECK_NS)
        return;
    shelf->tree_checked_ns = now_ns;
    int error = file_root_look(shelf->files->root, &now);
    if (!error && file_stamps_same_file(&now, &shelf->tree->stamp))
        return;
    struct file_tree *tree = error ? NULL : open_tree(shelf->files, &error);
    if (tree)
        replace_tree(shelf, tree);
    else if (error == -EAGAIN)
        check_later(shelf);
}

/* Watches the directory at the first `length` bytes of the path; 0 is the root itself. False when
 * there is none, or it is not known yet. */
static bool watch_directory(struct file_shelf *shelf, char *path, size_t length)
{
    char after = path[length];
    path[length] = '\0';
    int fd = file_root_find(&shelf->tree->root, length ? path : ".", O_PATH | O_DIRECTORY, false);
    path[length] = after;
    if (fd < 0)
        return false; /* it is looked at once a second, as all files are */
    file_watch_add(&shelf->watch, fd);
    close(fd);
    return true;
}

void file_shelf_watch(struct file_shelf *shelf, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (shelf->watch.fd < 0 ||
        (shelf->watched_generation == shelf->generation &&
         strncmp(shelf->watched, path, length) == 0 && shelf->watched[length] == '\0'))
        return;
    memcpy(shelf->watched, path, length);
    shelf->watched[length] = '\0';
    shelf->watched_generation = shelf->generation;
    bool goes_on = watch_directory(shelf, shelf->watched, 0);
    for (size_t at = 1; at <= length && goes_on; at++) {
        if (shelf->watched[at] == '/' || at == length)
            goes_on = watch_directory(shelf, shelf->watched, at);
    }
    if (!goes_on)
        shelf->watched_generation = 0;
}
