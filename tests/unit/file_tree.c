/*
 * The root of what is served, when its path leads elsewhere: by the next look at it, once a second,
 * and without waiting for a disk on the reactor's thread.
 */
#include "service_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

/* --- what the kernel has in its memory --- */

static atomic_bool root_is_cold;     /* its path, for those who do not wait */
static _Thread_local unsigned looks; /* at it, without waiting */

long wrap_syscall(long number, long a, long b, long c, long d, long e,
                  long f) __asm__("__wrap_syscall");
long real_syscall(long number, long a, long b, long c, long d, long e,
                  long f) __asm__("__real_syscall");

long wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_openat2 && (int)a == AT_FDCWD &&
        ((const struct open_how *)c)->resolve & RESOLVE_CACHED) {
        looks++;
        errno = EAGAIN;
        if (root_is_cold)
            return -1;
    }
    return real_syscall(number, a, b, c, d, e, f);
}

/* --- two builds of a site --- */

static char *outer;
static struct files *files;

static char *in_outer(const char *name)
{
    return g_build_filename(outer, name, NULL);
}

static void lead_to(const char *name)
{
    g_autofree char *new = in_outer("new");
    g_autofree char *root = in_outer("current");
    g_assert_cmpint(symlink(name, new), ==, 0);
    g_assert_cmpint(g_rename(new, root), ==, 0);
}

static void lead_nowhere(void)
{
    g_autofree char *root = in_outer("current");
    g_assert_cmpint(g_unlink(root), ==, 0);
}

static void make_build(const char *name)
{
    g_autofree char *path = in_outer(name);
    g_autofree char *file = g_build_filename(path, "a.txt", NULL);
    g_autofree char *own = g_build_filename(path, name, NULL);
    g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, name, -1, NULL));
    g_assert_true(g_file_set_contents(own, name, -1, NULL));
}

static void remove_build(const char *name)
{
    g_autofree char *path = in_outer(name);
    g_autofree char *file = g_build_filename(path, "a.txt", NULL);
    g_autofree char *own = g_build_filename(path, name, NULL);
    g_assert_cmpint(g_unlink(file) | g_unlink(own) | g_rmdir(path), ==, 0);
}

static void expect_text_of(struct scene *scene, const char *target, const char *body)
{
    g_autofree char *answer = get(scene, target, "");
    expect_status(answer, body ? 200 : 404);
    if (body)
        expect_body(answer, body);
}

/* A second later the path is looked at, by the next request. */
static void let_time_pass(struct scene *scene)
{
    clock_ahead_ns += SECOND_NS;
    net_turn(&scene->net);
}

static void begin(struct scene *scene)
{
    root_is_cold = false;
    lead_to("one");
    scene_open(scene, files);
    expect_text_of(scene, "/a.txt", "one");
}

/* --- tests --- */

static void test_replaced(void)
{
    for (int cold = 0; cold < 2; cold++) {
        struct scene scene;
        begin(&scene);
        for (int i = 0; i < 6; i++) {
            const char *name = i % 2 ? "one" : "two";
            const struct file_tree *before = scene.shelf->tree;
            lead_to(name);
            let_time_pass(&scene);
            root_is_cold = cold;
            g_free(get(&scene, "/a.txt", "")); /* of the old one, when a thread has to look */
            turn_until(&scene, is_idle);
            g_assert_true(scene.shelf->tree != before || scene.shelf->tree->references == 1);
            expect_text_of(&scene, "/a.txt", name);
            expect_text_of(&scene, i % 2 ? "/one" : "/two", name);
            expect_text_of(&scene, i % 2 ? "/two" : "/one", NULL);
            root_is_cold = false;
        }
        scene_close(&scene);
    }
}

/* What the path leads to need not be opened again. */
static void test_same(void)
{
    for (int cold = 0; cold < 2; cold++) {
        struct scene scene;
        begin(&scene);
        root_is_cold = cold;
        unsigned generation = scene.shelf->generation;
        const struct file_tree *tree = scene.shelf->tree;
        for (int i = 0; i < 3; i++) {
            let_time_pass(&scene);
            expect_text_of(&scene, "/a.txt", "one");
            turn_until(&scene, is_idle);
            g_assert_true(scene.shelf->tree == tree);
        }
        g_assert_cmpuint(scene.shelf->generation, ==, generation);
        scene_close(&scene);
    }
}

/* However many ask, the path is looked at once a second. */
static void test_once_a_second(void)
{
    struct scene scene;
    begin(&scene);
    clock_stands = true;
    let_time_pass(&scene);
    expect_text_of(&scene, "/none", NULL);
    unsigned before = looks;
    for (int i = 0; i < 50; i++)
        expect_text_of(&scene, "/none", NULL);
    g_assert_cmpuint(looks, ==, before);
    let_time_pass(&scene);
    expect_text_of(&scene, "/none", NULL);
    g_assert_cmpuint(looks, >, before);
    clock_stands = false;
    scene_close(&scene);
}

/* What was open goes on, until there is another. */
static void test_nowhere(void)
{
    for (int cold = 0; cold < 2; cold++) {
        struct scene scene;
        begin(&scene);
        lead_nowhere();
        let_time_pass(&scene);
        root_is_cold = cold;
        expect_text_of(&scene, "/a.txt", "one");
        turn_until(&scene, is_idle);
        expect_text_of(&scene, "/one", "one");
        lead_to("two");
        let_time_pass(&scene);
        g_free(get(&scene, "/a.txt", ""));
        turn_until(&scene, is_idle);
        expect_text_of(&scene, "/a.txt", "two");
        scene_close(&scene);
    }
}

/* A job finishes with the tree that it began with. */
static void test_jobs_keep_theirs(void)
{
    struct scene scene;
    struct client client;
    begin(&scene);
    all_is_cold = true;
    gate_set(&loads, true);
    begin_get(&client, &scene, "/one", "");
    gate_await(&scene, &loads, 1);
    lead_to("two");
    let_time_pass(&scene);
    struct client other;
    begin_get(&other, &scene, "/two", "");
    gate_await(&scene, &loads, 2);
    gate_set(&loads, false);
    g_autofree char *old = take_answer(&client, &scene);
    g_autofree char *new = take_answer(&other, &scene);
    expect_body(old, "one");
    expect_status(new, 200);
    expect_body(new, "two");
    client_fini(&client);
    client_fini(&other);
    scene_close(&scene);
}

#define ADD(path, function) g_test_add_func("/file-tree/" path, test_##function)

int main(int argc, char **argv)
{
    char *message;
    g_test_init(&argc, &argv, NULL);
    outer = g_dir_make_tmp("coreactor-tree-XXXXXX", NULL);
    make_build("one");
    make_build("two");
    lead_to("one");
    g_autofree char *root = in_outer("current");
    files = files_new(&(struct files_options){.root = root}, &message);
    g_assert_nonnull(files);
    ADD("replaced", replaced);
    ADD("same", same);
    ADD("once-a-second", once_a_second);
    ADD("nowhere", nowhere);
    ADD("jobs-keep-theirs", jobs_keep_theirs);
    int result = g_test_run();
    lead_nowhere();
    remove_build("one");
    remove_build("two");
    g_assert_cmpint(g_rmdir(outer), ==, 0);
    g_free(outer);
    return result;
}
