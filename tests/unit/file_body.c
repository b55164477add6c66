/* Bodies from files: never later than the file, never waiting for a disk on the reactor's thread.
 */
#include "net_support.h"
#include "tree_support.h"

#include "handlers/file_body.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MIB = 1 << 20, MUCH = 3 * MIB + 5 };

/* --- what the system says --- */

static int probe_error;    /* of preadv2() */
static atomic_uint probes; /* that failed with it */
static long system_type;   /* that fstatfs() tells; 0: it fails */
static pthread_t reactors_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool gate_closed;
static unsigned at_gate;
static uint64_t pool_bytes;
static struct pool *the_pool; /* one: how GLib ends one the thread sanitizer cannot see */

ssize_t wrap_preadv2(int fd, const struct iovec *parts, int count, off_t offset,
                     int flags) __asm__("__wrap_preadv2");
ssize_t real_preadv2(int fd, const struct iovec *parts, int count, off_t offset,
                     int flags) __asm__("__real_preadv2");
ssize_t wrap_pread(int fd, void *bytes, size_t length, off_t offset) __asm__("__wrap_pread");
ssize_t real_pread(int fd, void *bytes, size_t length, off_t offset) __asm__("__real_pread");
int wrap_fstatfs(int fd, struct statfs *system) __asm__("__wrap_fstatfs");

ssize_t wrap_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (probe_error && flags & RWF_NOWAIT) {
        atomic_fetch_add(&probes, 1);
        errno = -probe_error;
        return -1;
    }
    return real_preadv2(fd, parts, count, offset, flags);
}

ssize_t wrap_pread(int fd, void *bytes, size_t length, off_t offset)
{
    ssize_t count = real_pread(fd, bytes, length, offset);
    g_assert_false(pthread_equal(pthread_self(), reactors_thread));
    pthread_mutex_lock(&lock);
    pool_bytes += count > 0 ? (uint64_t)count : 0;
    at_gate++;
    pthread_cond_broadcast(&changed);
    while (gate_closed)
        pthread_cond_wait(&changed, &lock);
    at_gate--;
    pthread_mutex_unlock(&lock);
    return count;
}

int wrap_fstatfs(int fd, struct statfs *system)
{
    (void)fd;
    *system = (struct statfs){.f_type = system_type};
    errno = EIO;
    return system_type ? 0 : -1;
}

static void set_gate(bool closed)
{
    pthread_mutex_lock(&lock);
    gate_closed = closed;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_at_gate(void)
{
    pthread_mutex_lock(&lock);
    while (!at_gate)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* --- a server of one file --- */

struct scene {
    struct net net;
    struct client client;
    struct tree tree;
    struct pool *pool;
    struct file_content *content;
    struct http_piece pieces[3];
    size_t count;
    int returned;
    char *bytes;
};

static int serve(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    scene->returned = file_body_respond(request, response, 200, "text/plain", scene->content,
                                        &scene->content->forms[CODING_IDENTITY], scene->pieces,
                                        scene->count, scene->pool);
    return scene->returned < 0 ? 503 : scene->returned;
}

static void begin(struct scene *scene, size_t length, const char *request)
{
    probe_error = 0;
    system_type = 0;
    pool_bytes = 0;
    atomic_store(&probes, 0);
    reactors_thread = pthread_self();
    *scene = (struct scene){.pool = the_pool, .bytes = g_malloc(length + 1), .count = 1};
    for (size_t i = 0; i < length; i++)
        scene->bytes[i] = (char)('a' + i * 7 % 26);
    scene->bytes[length] = '\0';
    scene->pieces[0].length = length;
    tree_open(&scene->tree, NULL);
    scene->tree.settings.memory_max = 0;
    tree_write(&scene->tree, "a", scene->bytes, length);
    scene->content = tree_load(&scene->tree, "a");
    g_usleep(25000); /* more than a tick of the file system */
    net_open(&scene->net);
    net_route(&scene->net, "/file", serve, scene);
    client_init(&scene->client, net_pair(&scene->net), request, strlen(request));
}

static void end(struct scene *scene)
{
    client_fini(&scene->client);
    pool_wait(scene->pool, scene->net.reactor);
    net_close(&scene->net);
    g_assert_cmpuint(scene->content->references, ==, 1);
    file_content_release(scene->content);
    tree_close(&scene->tree);
    g_free(scene->bytes);
}

static void expect_file(struct scene *scene, const char *after)
{
    g_autofree char *expected =
        g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n"
                        "%s%s",
                        strlen(scene->bytes), scene->bytes, after);
    client_run(&scene->client, &scene->net, strlen(expected) + HTTP_COMMON_LENGTH);
    client_run_to_rest(&scene->client, &scene->net);
    g_autofree char *text = client_text(&scene->client, &scene->net);
    g_assert_true(strcmp(text, expected) == 0); /* not shown: they are megabytes */
}

/* --- the right bytes, from wherever they are --- */

static const size_t lengths[] = {1, 2, 65536, 65537, MIB, MIB + 1, MIB + 2, MUCH};

static const struct {
    int probe_error;
    long system_type;
    bool asks_pool;
} systems[] = {
    {0, 0, false},
    {-EAGAIN, TMPFS_MAGIC, true}, /* swapped */
    {-EAGAIN, EXT4_SUPER_MAGIC, true},
    {-EOPNOTSUPP, TMPFS_MAGIC, false},
    {-EOPNOTSUPP, RAMFS_MAGIC, false},
    {-EOPNOTSUPP, FUSE_SUPER_MAGIC, true},
    {-EOPNOTSUPP, 0, true},
};

static void check_system(size_t i, size_t length)
{
    struct scene scene;
    begin(&scene, length, GET("/file"));
    probe_error = systems[i].probe_error;
    system_type = systems[i].system_type;
    expect_file(&scene, "");
    /* Each window is looked at once, and read once. */
    unsigned windows = (unsigned)((length + MIB - 1) / MIB);
    g_test_message("system %zu, %zu bytes: %u probes failed", i, length, atomic_load(&probes));
    g_assert_cmpuint(pool_bytes, >=, systems[i].asks_pool ? length : 0);
    g_assert_cmpuint(pool_bytes, <=, systems[i].asks_pool ? length + windows * 65536 : 0);
    g_assert_cmpuint(atomic_load(&probes), >=, systems[i].probe_error ? windows : 0);
    g_assert_cmpuint(atomic_load(&probes), <=, systems[i].probe_error ? windows + 1 : 0);
    end(&scene);
}

static void test_systems(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(systems); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(lengths); k++)
            check_system(i, lengths[k]);
    }
}

static void test_pieces(void)
{
    for (int cold = 0; cold < 2; cold++) {
        struct scene scene;
        begin(&scene, 10, GET("/file") GET("/1"));
        probe_error = cold ? -EAGAIN : 0;
        scene.pieces[0] = (struct http_piece){.bytes = "<", .length = 1};
        scene.pieces[1] = (struct http_piece){.offset = 3, .length = 5};
        scene.pieces[2] = (struct http_piece){.bytes = ">", .length = 1};
        scene.count = 3;
        g_autofree char *bytes = g_strdup_printf("<%.5s>", scene.bytes + 3);
        g_free(scene.bytes);
        scene.bytes = g_steal_pointer(&bytes);
        expect_file(&scene, PLAIN("6", "", "GET /1"));
        end(&scene);
    }
}

/* --- a file that changes --- */

static void append_byte(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    g_assert_cmpint(write(fd, "!", 1), ==, 1);
    close(fd);
}

static void overwrite(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, "!", 1, MUCH - 1), ==, 1);
    close(fd);
}

static void truncate_file(const char *path)
{
    g_assert_cmpint(truncate(path, 5), ==, 0);
}

static void empty_file(const char *path)
{
    g_assert_cmpint(truncate(path, 0), ==, 0);
}

static void (*const changes[])(const char *path) = {append_byte, overwrite, truncate_file,
                                                    empty_file};

/* The client can tell: it never gets the last byte. */
static void test_changed(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        struct scene scene;
        begin(&scene, MUCH, GET("/file") GET("/1"));
        g_autofree char *path = tree_name(&scene.tree, "a");
        client_step(&scene.client, &scene.net);
        client_step(&scene.client, &scene.net);
        g_assert_cmpuint(scene.client.received->len, >, 0);
        g_assert_false(scene.client.ended);
        changes[i](path);
        client_run_to_end(&scene.client, &scene.net);
        g_assert_cmpuint(scene.client.received->len, <, MUCH);
        g_assert_cmpuint(scene.content->references, ==, 1);
        end(&scene);
    }
}

/* ... nor any, when it changes while the pool reads it. */
static void test_changed_while_cold(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        struct scene scene;
        begin(&scene, MUCH, GET("/file") GET("/1"));
        g_autofree char *path = tree_name(&scene.tree, "a");
        probe_error = -EAGAIN;
        set_gate(true);
        client_run_to_rest(&scene.client, &scene.net);
        wait_at_gate();
        changes[i](path);
        set_gate(false);
        client_run_to_end(&scene.client, &scene.net);
        g_autofree char *text = client_text(&scene.client, &scene.net);
        g_assert_true(g_str_has_suffix(text, "\r\n\r\n"));
        end(&scene);
    }
}

/* --- nobody wants it any more --- */

enum who { CLIENT_GONE, SERVER_ENDS };

/* The content stays until the pool has done with it. */
static void test_released_while_reading(void)
{
    for (enum who who = CLIENT_GONE; who <= SERVER_ENDS; who++) {
        struct scene scene;
        begin(&scene, MUCH, GET("/file"));
        probe_error = -EAGAIN;
        set_gate(true);
        client_run_to_rest(&scene.client, &scene.net);
        wait_at_gate();
        g_assert_cmpuint(scene.content->references, ==, 2);
        if (who == SERVER_ENDS)
            worker_fini(&scene.net.worker);
        else
            g_assert_cmpint(shutdown(scene.client.fd, SHUT_RDWR), ==, 0);
        for (int i = 0; i < 3; i++)
            net_turn(&scene.net);
        g_assert_null(scene.net.worker.connections);
        g_assert_cmpuint(scene.content->references, ==, 2);
        set_gate(false);
        pool_wait(scene.pool, scene.net.reactor);
        if (who == SERVER_ENDS) /* what is posted runs with the reactor's end */
            g_assert_cmpint(
                worker_init(&scene.net.worker, scene.net.reactor, &scene.net.service, 1), ==, 0);
        end(&scene);
    }
}

/* Others are served while the pool reads. */
static void test_others(void)
{
    struct scene scene;
    struct client other;
    begin(&scene, MUCH, GET("/file") GET("/2"));
    probe_error = -EAGAIN;
    set_gate(true);
    client_run_to_rest(&scene.client, &scene.net);
    wait_at_gate();
    client_init(&other, net_pair(&scene.net), GET("/1"), strlen(GET("/1")));
    client_run_to_rest(&other, &scene.net);
    expect_text(&other, &scene.net, PLAIN("6", "", "GET /1"));
    client_fini(&other);
    set_gate(false);
    expect_file(&scene, PLAIN("6", "", "GET /2"));
    end(&scene);
}

/* --- not sent at all --- */

static void test_head(void)
{
    struct scene scene;
    begin(&scene, MUCH, "HEAD /file" FIELDS "\r\n" GET("/1"));
    probe_error = -EAGAIN;
    client_run_to_rest(&scene.client, &scene.net);
    g_autofree char *length = g_strdup_printf("\r\nContent-Length: %d\r\n", MUCH);
    g_autofree char *text = client_text(&scene.client, &scene.net);
    g_assert_nonnull(strstr(text, length));
    g_assert_true(g_str_has_suffix(text, PLAIN("6", "", "GET /1")));
    g_assert_cmpuint(atomic_load(&probes), ==, 0);
    g_assert_cmpuint(scene.content->references, ==, 1);
    end(&scene);
}

/* Returns whether it came to the n-th allocation. */
static bool serve_short_of_memory(int n)
{
    struct scene scene;
    begin(&scene, 10, GET("/file"));
    scene.pieces[1] = (struct http_piece){.offset = 0, .length = 5};
    scene.count = 2;
    memory_fails_in = n;
    client_run_to_rest(&scene.client, &scene.net);
    bool failed = memory_fails_in == 0;
    g_assert_true(failed || scene.returned == 200);
    end(&scene);
    return failed;
}

static void test_memory(void)
{
    int n = 1;
    while (serve_short_of_memory(n))
        n++;
    g_assert_cmpint(n, >, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    the_pool = pool_new(2, 0);
    g_assert_nonnull(the_pool);
    g_test_add_func("/file-body/systems", test_systems);
    g_test_add_func("/file-body/pieces", test_pieces);
    g_test_add_func("/file-body/changed", test_changed);
    g_test_add_func("/file-body/changed-while-cold", test_changed_while_cold);
    g_test_add_func("/file-body/released-while-reading", test_released_while_reading);
    g_test_add_func("/file-body/others", test_others);
    g_test_add_func("/file-body/head", test_head);
    g_test_add_func("/file-body/memory", test_memory);
    return g_test_run();
}
