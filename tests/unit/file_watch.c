/* What inotify(7) tells, and that the watch does no harm without it. */
#include "reactor_support.h"

#include "handlers/file_watch.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* --- injection --- */

static int init_error;
static int add_error;
static int ctl_error;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);

static int injected(int error)
{
    errno = error;
    return -1;
}

int __wrap_inotify_init1(int flags)
{
    return init_error ? injected(init_error) : __real_inotify_init1(flags);
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return add_error ? injected(add_error) : __real_inotify_add_watch(fd, path, mask);
}

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return ctl_error ? injected(ctl_error) : __real_epoll_ctl(epoll_fd, operation, fd, event);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- a directory that is watched --- */

struct scene {
    char *path;
    struct reactor *reactor;
    struct file_watch watch;
    int changes;
};

static void on_changed(void *arg)
{
    struct scene *scene = arg;
    scene->changes++;
}

static int open_directory(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static bool add(struct scene *scene, const char *path)
{
    int fd = open_directory(path);
    bool added = file_watch_add(&scene->watch, fd);
    close(fd);
    return added;
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.path = g_dir_make_tmp("coreactor-watch-XXXXXX", NULL),
                            .reactor = new_reactor()};
    g_assert_nonnull(scene->path);
    g_assert_cmpint(file_watch_start(&scene->watch, scene->reactor, on_changed, scene), ==, 0);
    g_assert_true(add(scene, scene->path));
}

static void end(struct scene *scene)
{
    file_watch_stop(&scene->watch);
    end_reactor(scene->reactor);
    g_assert_cmpint(rmdir(scene->path), ==, 0);
    g_free(scene->path);
}

static char *in(const struct scene *scene, const char *name)
{
    return g_build_filename(scene->path, name, NULL);
}

/* inotify(7) has told before the call that changed something returned, so nothing has to wait. */
static void assert_seen(struct scene *scene)
{
    one_turn(scene->reactor);
    g_assert_cmpint(scene->changes, ==, 1);
    scene->changes = 0;
}

static void assert_quiet(struct scene *scene)
{
    one_turn(scene->reactor);
    g_assert_cmpint(scene->changes, ==, 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    g_assert_nonnull(file);
    fputs(text, file);
    g_assert_cmpint(fclose(file), ==, 0);
}

/* --- what is seen --- */

static void test_files(void)
{
    struct scene scene;
    begin(&scene);
    char *file = in(&scene, "file");
    char *other = in(&scene, "other");
    assert_quiet(&scene);
    write_file(file, "one");
    assert_seen(&scene);
    write_file(file, "two");
    assert_seen(&scene);
    g_assert_cmpint(truncate(file, 1), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(chmod(file, 0600), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(utimensat(AT_FDCWD, file, NULL, 0), ==, 0);
    assert_seen(&scene);
    write_file(other, "new");
    assert_seen(&scene);
    g_assert_cmpint(rename(other, file), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(unlink(file), ==, 0);
    assert_seen(&scene);
    assert_quiet(&scene);
    g_free(file);
    g_free(other);
    end(&scene);
}

static void test_names_that_come_and_go(void)
{
    struct scene scene;
    struct scene elsewhere;
    begin(&scene);
    begin(&elsewhere);
    char *here = in(&scene, "name");
    char *there = in(&elsewhere, "name");
    g_assert_cmpint(symlink("nowhere", there), ==, 0);
    assert_seen(&elsewhere);
    g_assert_cmpint(rename(there, here), ==, 0);
    assert_seen(&scene);
    assert_seen(&elsewhere);
    g_assert_cmpint(link(here, there), ==, 0);
    assert_seen(&elsewhere);
    one_turn(scene.reactor); /* the file's number of links changed, too */
    scene.changes = 0;
    g_assert_cmpint(unlink(here), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(mkdir(here, 0700), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(rmdir(here), ==, 0);
    assert_seen(&scene);
    g_assert_cmpint(unlink(there), ==, 0);
    g_free(here);
    g_free(there);
    end(&scene);
    end(&elsewhere);
}

static void test_reading_is_no_change(void)
{
    struct scene scene;
    char byte;
    begin(&scene);
    char *file = in(&scene, "file");
    write_file(file, "text");
    assert_seen(&scene);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(read(fd, &byte, 1), ==, 1);
    close(fd);
    GDir *listing = g_dir_open(scene.path, 0, NULL);
    g_assert_nonnull(g_dir_read_name(listing));
    g_dir_close(listing);
    assert_quiet(&scene);
    g_assert_cmpint(unlink(file), ==, 0);
    g_free(file);
    end(&scene);
}

static void test_directory_that_ends_and_comes_again(void)
{
    struct scene scene;
    begin(&scene);
    char *below = in(&scene, "below");
    char *file = g_build_filename(below, "file", NULL);
    for (int rounds = 0; rounds < 3; rounds++) {
        g_assert_cmpint(mkdir(below, 0700), ==, 0);
        assert_seen(&scene);
        g_assert_true(add(&scene, below));
        g_assert_cmpuint(scene.watch.count, ==, 2);
        write_file(file, "text");
        assert_seen(&scene);
        g_assert_cmpint(unlink(file), ==, 0);
        g_assert_cmpint(rmdir(below), ==, 0);
        assert_seen(&scene);
        g_assert_cmpuint(scene.watch.count, ==, 1);
    }
    g_free(file);
    g_free(below);
    end(&scene);
}

static void test_directory_that_moves(void)
{
    struct scene scene;
    struct scene elsewhere;
    begin(&scene);
    begin(&elsewhere);
    char *here = in(&scene, "below");
    char *there = in(&elsewhere, "below");
    g_assert_cmpint(mkdir(there, 0700), ==, 0);
    assert_seen(&elsewhere);
    g_assert_true(add(&scene, there));
    g_assert_cmpint(rename(there, here), ==, 0);
    assert_seen(&scene);
    g_assert_true(add(&scene, here));
    g_assert_cmpuint(scene.watch.count, ==, 2);
    g_assert_cmpint(rmdir(here), ==, 0);
    assert_seen(&scene);
    g_free(here);
    g_free(there);
    end(&scene);
    end(&elsewhere);
}

static void test_flood(void)
{
    struct scene scene;
    begin(&scene);
    for (int i = 0; i < 3000; i++) {
        char name[32];
        g_snprintf(name, sizeof(name), "file-%d", i);
        char *file = in(&scene, name);
        write_file(file, "text");
        g_assert_cmpint(unlink(file), ==, 0);
        g_free(file);
    }
    int turns = 0;
    do {
        scene.changes = 0;
        one_turn(scene.reactor);
        g_assert_cmpint(scene.changes, <=, 1);
        turns++;
    } while (scene.changes);
    g_assert_cmpint(turns, >, 2);
    end(&scene);
}

/* What has happened so far is known without a turn of the reactor, and told once. */
static void test_poll(void)
{
    struct scene scene;
    begin(&scene);
    char *file = in(&scene, "file");
    file_watch_poll(&scene.watch);
    g_assert_cmpint(scene.changes, ==, 0);
    for (int i = 0; i < 5; i++) {
        write_file(file, "text");
        file_watch_poll(&scene.watch);
        g_assert_cmpint(scene.changes, ==, 1);
        scene.changes = 0;
        assert_quiet(&scene);
    }
    g_assert_cmpint(unlink(file), ==, 0);
    file_watch_poll(&scene.watch);
    g_assert_cmpint(scene.changes, ==, 1);
    scene.changes = 0;
    file_watch_stop(&scene.watch);
    file_watch_poll(&scene.watch); /* without a watch: nothing */
    g_assert_cmpint(scene.changes, ==, 0);
    g_free(file);
    end(&scene);
}

/* --- stopping --- */

static void stop_on_change(void *arg)
{
    struct scene *scene = arg;
    scene->changes++;
    file_watch_stop(&scene->watch);
}

static void test_changed_may_stop(void)
{
    struct scene scene;
    begin(&scene);
    scene.watch.changed = stop_on_change;
    char *below = in(&scene, "below");
    g_assert_cmpint(mkdir(below, 0700), ==, 0);
    g_assert_cmpint(reactor_run(scene.reactor, FAR_MS), ==, REACTOR_IDLE);
    g_assert_cmpint(scene.changes, ==, 1);
    g_assert_false(add(&scene, scene.path));
    g_assert_cmpint(rmdir(below), ==, 0);
    g_free(below);
    end(&scene);
}

/* --- limits and failures --- */

static void test_same_directory_counts_once(void)
{
    struct scene scene;
    begin(&scene);
    for (int i = 0; i < 10; i++)
        g_assert_true(add(&scene, scene.path));
    g_assert_cmpuint(scene.watch.count, ==, 1);
    end(&scene);
}

static void test_limit(void)
{
    struct scene scene;
    begin(&scene);
    char *below = in(&scene, "below");
    g_assert_cmpint(mkdir(below, 0700), ==, 0);
    assert_seen(&scene);
    scene.watch.count = FILE_WATCHES_MAX; /* as if there were more */
    g_assert_false(add(&scene, below));
    g_assert_true(add(&scene, scene.path));
    assert_quiet(&scene); /* the end of the watch is no change */
    g_assert_cmpuint(scene.watch.count, ==, FILE_WATCHES_MAX);
    scene.watch.count = 1;
    g_assert_true(add(&scene, below));
    g_assert_cmpint(rmdir(below), ==, 0);
    assert_seen(&scene);
    g_free(below);
    end(&scene);
}

static void test_what_cannot_be_watched(void)
{
    struct scene scene;
    begin(&scene);
    char *path = in(&scene, "file");
    write_file(path, "text");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    g_assert_false(file_watch_add(&scene.watch, file));
    close(file);
    g_assert_false(file_watch_add(&scene.watch, -1));
    add_error = ENOSPC; /* fs.inotify.max_user_watches */
    g_assert_false(add(&scene, scene.path));
    add_error = 0;
    g_assert_cmpuint(scene.watch.count, ==, 1);
    g_assert_cmpint(unlink(path), ==, 0);
    g_free(path);
    end(&scene);
}

static void assert_starts_not(struct scene *scene, int error)
{
    int before = next_free_fd();
    g_assert_cmpint(file_watch_start(&scene->watch, scene->reactor, on_changed, scene), ==, -error);
    g_assert_cmpint(next_free_fd(), ==, before);
    init_error = 0;
    ctl_error = 0;
    g_assert_false(add(scene, "/"));
    file_watch_stop(&scene->watch);
    file_watch_stop(&scene->watch);
}

static void test_without_inotify(void)
{
    struct scene scene = {.reactor = new_reactor()};
    init_error = EMFILE;
    assert_starts_not(&scene, EMFILE);
    init_error = ENOSYS;
    assert_starts_not(&scene, ENOSYS);
    ctl_error = ENOSPC;
    assert_starts_not(&scene, ENOSPC);
    end_reactor(scene.reactor);
}

#define ADD(path, function) g_test_add_func("/file-watch/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("seen/files", files);
    ADD("seen/names", names_that_come_and_go);
    ADD("seen/not-reading", reading_is_no_change);
    ADD("seen/directory-again", directory_that_ends_and_comes_again);
    ADD("seen/directory-moves", directory_that_moves);
    ADD("seen/flood", flood);
    ADD("seen/poll", poll);
    ADD("stop/by-changed", changed_may_stop);
    ADD("limits/once", same_directory_counts_once);
    ADD("limits/most", limit);
    ADD("limits/not-watched", what_cannot_be_watched);
    ADD("limits/no-inotify", without_inotify);
    return g_test_run();
}
