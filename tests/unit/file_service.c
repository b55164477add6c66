/*
 * Requests for files, from the path to the answer: what is kept, what is waited for, and who is
 * told to come again.
 */
#include "service_support.h"

#include "tree_support.h"

#include "net/connection_private.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tree tree;
static struct files *files;

#define GZIP "Accept-Encoding: gzip\r\n"

/* A file of so many bytes whose first line is `title`, in place of another at once. */
static void put(const char *name, const char *title, size_t length)
{
    g_autofree char *bytes = g_strnfill(length, '.');
    g_autofree char *from = tree_name(&tree, "new");
    g_autofree char *to = tree_name(&tree, name);
    memcpy(bytes, title, strlen(title));
    bytes[strlen(title)] = '\n';
    tree_write(&tree, "new", bytes, length);
    g_assert_cmpint(g_rename(from, to), ==, 0);
}

static void put_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("%u.txt", i);
        put(name, name, 1000);
    }
}

static void begin_many(struct client *clients, struct scene *scene, unsigned count,
                       const char *fields)
{
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *target = g_strdup_printf("/%u.txt", i);
        begin_get(&clients[i], scene, target, fields);
    }
}

static void leave(struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        client_fini(&clients[i]);
}

static unsigned entries(const struct scene *scene)
{
    unsigned count = 0;
    for (const struct file_entry *at = scene->shelf->cache.newest; at; at = at->older)
        count++;
    return count;
}

/* --- one entry --- */

/* However a path is spelt. */
static void test_spellings(void)
{
    static const char *const targets[] = {"/a.txt", "/%61.txt", "/a%2Etxt", "/a%2etx%74?query",
                                          "/%61%2e%74%78%74"};
    struct scene scene;
    put("a.txt", "title", 1000);
    scene_open(&scene, files);
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(targets); i++) {
        g_autofree char *answer = get(&scene, targets[i / 2], GZIP);
        expect_status(answer, 200);
        expect_body(answer, "made of title");
    }
    g_assert_cmpuint(gate_calls(&makings), ==, 1);
    g_assert_cmpuint(entries(&scene), ==, 1);
    scene_close(&scene);
}

/* Many ask for what is cold: it is read once. */
static void test_read_once(void)
{
    enum { CLIENTS = 10 };
    struct scene scene;
    struct client clients[CLIENTS];
    put("a.txt", "title", 100);
    scene_open(&scene, files);
    all_is_cold = true;
    gate_set(&loads, true);
    for (int i = 0; i < CLIENTS; i++)
        begin_get(&clients[i], &scene, i % 2 ? "/a.txt" : "/%61.txt", "");
    gate_await(&scene, &loads, 1);
    gate_set(&loads, false);
    for (int i = 0; i < CLIENTS; i++) {
        g_autofree char *answer = take_answer(&clients[i], &scene);
        expect_status(answer, 200);
    }
    g_assert_cmpuint(gate_calls(&loads), ==, 1);
    leave(clients, CLIENTS);
    scene_close(&scene);
}

/* --- nobody wants it any more --- */

static unsigned wanted;

static bool are_begun(const struct scene *scene)
{
    unsigned jobs = 0;
    for (const struct file_entry *at = scene->shelf->cache.newest; at; at = at->older)
        jobs += at->making || (at->loading && all_is_cold);
    return jobs == wanted;
}

static bool is_left_by_but_one(const struct scene *scene)
{
    return scene->net.worker.connections && !scene->net.worker.connections->next;
}

/* What is not under way yet when all have left is not done; what one of them still wants is. */
static void check_unwanted(struct gate *gate, const char *fields, unsigned threads)
{
    enum { CLIENTS = 20, WANTED = 15 };
    struct scene scene;
    struct client clients[CLIENTS];
    struct client again;
    put_many(CLIENTS);
    scene_open(&scene, files);
    all_is_cold = gate == &loads;
    gate_set(gate, true);
    begin_many(clients, &scene, CLIENTS, fields);
    wanted = CLIENTS;
    turn_until(&scene, are_begun);
    gate_await(&scene, gate, threads);
    leave(clients, CLIENTS);
    turn_until(&scene, is_deserted);
    begin_get(&again, &scene, "/15.txt", fields);
    turn_until(&scene, is_left_by_but_one);
    gate_set(gate, false);
    g_autofree char *answer = take_answer(&again, &scene);
    expect_status(answer, 200);
    turn_until(&scene, is_idle);
    g_assert_cmpuint(gate_calls(gate), ==, threads + 1);
    client_fini(&again);
    g_autofree char *other = get(&scene, "/19.txt", fields);
    expect_status(other, 200);
    g_assert_cmpuint(gate_calls(gate), ==, threads + 2);
    scene_close(&scene);
}

static void test_unwanted_makings(void)
{
    check_unwanted(&makings, GZIP, 2);
}

static void test_unwanted_loads(void)
{
    check_unwanted(&loads, "", 8);
}

/* --- too much at a time --- */

enum { MAKINGS_MAX = 32, LISTINGS_MAX = 16, MORE = 5 };

/* Others are sent the file as it is, if they take it. */
static void test_many_makings(void)
{
    struct scene scene;
    struct client clients[MAKINGS_MAX];
    put_many(MAKINGS_MAX + MORE);
    scene_open(&scene, files);
    gate_set(&makings, true);
    begin_many(clients, &scene, MAKINGS_MAX, GZIP);
    wanted = MAKINGS_MAX;
    turn_until(&scene, are_begun);
    for (unsigned i = MAKINGS_MAX; i < MAKINGS_MAX + MORE; i++) {
        g_autofree char *target = g_strdup_printf("/%u.txt", i);
        g_autofree char *plain = get(&scene, target, GZIP);
        expect_status(plain, 200);
        g_assert_null(strstr(plain, "Content-Encoding"));
        g_assert_nonnull(strstr(plain, "\r\nVary: Accept-Encoding\r\n"));
        g_autofree char *refused = get(&scene, target, GZIP "Accept-Encoding: identity;q=0\r\n");
        expect_status(refused, 503);
        g_assert_nonnull(strstr(refused, "\r\nRetry-After: 1\r\n"));
    }
    /* Whoever asks for what is being made waits with the others. */
    struct client other;
    begin_get(&other, &scene, "/3.txt", GZIP);
    gate_set(&makings, false);
    g_autofree char *third = take_answer(&other, &scene);
    expect_body(third, "made of 3.txt");
    client_fini(&other);
    for (unsigned i = 0; i < MAKINGS_MAX; i++) {
        g_autofree char *answer = take_answer(&clients[i], &scene);
        g_autofree char *body = g_strdup_printf("made of %u.txt", i);
        expect_body(answer, body);
    }
    g_assert_cmpuint(gate_calls(&makings), ==, MAKINGS_MAX);
    leave(clients, MAKINGS_MAX);
    scene_close(&scene);
}

static void expect_refused(struct scene *scene, const char *target)
{
    g_autofree char *answer = get(scene, target, "");
    expect_status(answer, 503);
    g_assert_nonnull(strstr(answer, "\r\nRetry-After: 1\r\n"));
}

static bool are_listed(const struct scene *scene)
{
    return scene->shelf->listings == LISTINGS_MAX;
}

static void test_many_listings(void)
{
    struct scene scene;
    struct client clients[LISTINGS_MAX];
    scene_open(&scene, files);
    gate_set(&listings, true);
    for (int i = 0; i < LISTINGS_MAX; i++)
        begin_get(&clients[i], &scene, "/", "");
    turn_until(&scene, are_listed);
    for (int i = 0; i < MORE; i++)
        expect_refused(&scene, "/");
    gate_set(&listings, false);
    for (int i = 0; i < LISTINGS_MAX; i++) {
        g_autofree char *answer = take_answer(&clients[i], &scene);
        expect_status(answer, 200);
    }
    g_autofree char *answer = get(&scene, "/", "");
    expect_status(answer, 200);
    leave(clients, LISTINGS_MAX);
    scene_close(&scene);
}

static void test_unwanted_listings(void)
{
    struct scene scene;
    struct client clients[LISTINGS_MAX];
    scene_open(&scene, files);
    gate_set(&listings, true);
    for (int i = 0; i < LISTINGS_MAX; i++)
        begin_get(&clients[i], &scene, "/", "");
    turn_until(&scene, are_listed);
    gate_await(&scene, &listings, 8);
    leave(clients, LISTINGS_MAX);
    turn_until(&scene, is_deserted);
    expect_refused(&scene, "/"); /* they are not over yet */
    gate_set(&listings, false);
    turn_until(&scene, is_idle);
    g_assert_cmpuint(gate_calls(&listings), ==, 8);
    scene_close(&scene);
}

/* Pages that their clients do not take are limited; when some leave, others are served. */
static void test_unsent_listings(void)
{
    enum { PAGES = 8 };
    struct scene scene;
    struct client clients[PAGES];
    scene_open(&scene, files);
    page_length = 4 << 20;
    for (unsigned i = 0; i < PAGES; i++) {
        begin_get(&clients[i], &scene, "/", "");
        while (scene.shelf->page_bytes <= i * page_length)
            net_turn(&scene.net);
    }
    g_assert_cmpuint(scene.shelf->page_bytes, ==, 32 << 20);
    expect_refused(&scene, "/");
    client_fini(&clients[0]);
    for (int i = 0; i < 3; i++)
        net_turn(&scene.net);
    page_length = 0;
    g_autofree char *answer = get(&scene, "/", "");
    expect_status(answer, 200);
    leave(clients + 1, PAGES - 1);
    scene_close(&scene);
}

/* --- changes --- */

/* Inotify has told before the rename has returned, and it is asked before each answer. */
static void test_next_request(void)
{
    struct scene scene;
    struct client client;
    put("a.txt", "-1", 100);
    put("large.txt", "-1", 100000);
    scene_open(&scene, files);
    begin_get(&client, &scene, "/a.txt", "");
    g_free(take_answer(&client, &scene));
    for (int i = 0; i < 200; i++) {
        const char *name = i % 2 ? "a.txt" : "large.txt";
        g_autofree char *title = g_strdup_printf("version %d", i);
        g_autofree char *request = g_strdup_printf("GET /%s" FIELDS "\r\n", name);
        /* The reactor hears of the request first, though most of it comes after the change. */
        g_assert_cmpint(write(client.fd, request, 5), ==, 5);
        put(name, title, i % 2 ? 100 : 100000);
        client.bytes = request;
        client.length = strlen(request);
        client.sent = 5;
        g_autofree char *answer = take_answer(&client, &scene);
        expect_status(answer, 200);
        g_autofree char *begins = g_strdup_printf("\r\n\r\n%s\n", title);
        g_assert_nonnull(strstr(answer, begins));
    }
    client_fini(&client);
    scene_close(&scene);
}

/* What was read before a change is not for who came after it, be it a file or that there is none.
 */
static void test_changed_while_loaded(void)
{
    for (int there = 0; there < 2; there++) {
        struct scene scene;
        struct client first;
        struct client second;
        put("b.txt", "other", 100);
        scene_open(&scene, files);
        g_free(get(&scene, "/b.txt", "")); /* so that the directory is watched */
        tree_remove(&tree, "b.txt");
        if (there)
            put("b.txt", "old", 100);
        all_is_cold = true;
        gate_set(&loads, true);
        begin_get(&first, &scene, "/b.txt", "");
        gate_await(&scene, &loads, 1);
        put("b.txt", "new", 100);
        begin_get(&second, &scene, "/b.txt", "");
        gate_set(&loads, false);
        g_autofree char *one = take_answer(&first, &scene);
        g_autofree char *other = take_answer(&second, &scene);
        expect_status(one, there ? 200 : 404);
        expect_status(other, 200);
        g_assert_nonnull(strstr(other, "\r\n\r\nnew\n"));
        client_fini(&first);
        client_fini(&second);
        scene_close(&scene);
    }
}

/* Who waits for a form of what the file was gets one of what it is. */
static void test_replaced_while_made(void)
{
    struct scene scene;
    struct client clients[3];
    put("a.txt", "old", 1000);
    scene_open(&scene, files);
    gate_set(&makings, true);
    begin_get(&clients[0], &scene, "/a.txt", GZIP);
    gate_await(&scene, &makings, 1);
    put("a.txt", "new", 1000);
    begin_get(&clients[1], &scene, "/a.txt", GZIP);
    begin_get(&clients[2], &scene, "/a.txt", GZIP "If-None-Match: \"x\"\r\n");
    gate_set(&makings, false);
    for (int i = 0; i < 3; i++) {
        g_autofree char *answer = take_answer(&clients[i], &scene);
        expect_status(answer, 200);
        expect_body(answer, "made of new");
    }
    leave(clients, 3);
    scene_close(&scene);
}

/* A file that changes whenever a form of it is made is sent as it is in the end. */
static void test_replaced_again_and_again(void)
{
    struct scene scene;
    struct client client;
    put("a.txt", "first", 1000);
    scene_open(&scene, files);
    gate_set(&makings, true);
    begin_get(&client, &scene, "/a.txt", GZIP);
    unsigned rounds = 0;
    while (client.received->len == 0 && rounds < 100) {
        if (gate_waiting(&makings)) { /* one may pass while the gate is open */
            unsigned calls = gate_calls(&makings);
            put("a.txt", "other", 1000);
            gate_set(&makings, false);
            while (scene.shelf->makings && gate_calls(&makings) == calls)
                client_step(&client, &scene.net);
            gate_set(&makings, true);
            rounds++;
        }
        client_step(&client, &scene.net);
    }
    gate_set(&makings, false);
    g_autofree char *answer = take_answer(&client, &scene);
    expect_status(answer, 200);
    g_assert_cmpuint(rounds, <=, 5);
    client_fini(&client);
    scene_close(&scene);
}

/* --- clients that have nothing more to say --- */

/* They get what they have asked for, though it takes a while. */
static void check_half_closed(const char *target, const char *fields, struct gate *gate)
{
    struct scene scene;
    struct client client;
    put("a.txt", "title", 1000);
    scene_open(&scene, files);
    all_is_cold = gate == &loads;
    gate_set(gate, true);
    begin_get(&client, &scene, target, fields);
    gate_await(&scene, gate, 1);
    g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
    for (int i = 0; i < 10; i++)
        client_step(&client, &scene.net);
    g_assert_false(client.ended);
    gate_set(gate, false);
    g_autofree char *answer = take_answer(&client, &scene);
    expect_status(answer, 200);
    client_run_to_end(&client, &scene.net);
    client_fini(&client);
    scene_close(&scene);
}

static void test_half_closed(void)
{
    check_half_closed("/a.txt", "", &loads);
    check_half_closed("/a.txt", GZIP, &makings);
    check_half_closed("/", "", &listings);
}

/* --- what is cold and not there --- */

static void test_cold_errors(void)
{
    static const struct {
        const char *target;
        int status;
    } cases[] = {
        {"/none", 404}, {"/sub", 301}, {"/sub/none", 404}, {"/a.txt/", 404}, {"/sub/", 200}};
    g_autofree char *directory = tree_name(&tree, "sub");
    struct scene scene;
    g_assert_cmpint(g_mkdir(directory, 0755), ==, 0);
    put("a.txt", "title", 1000);
    scene_open(&scene, files);
    all_is_cold = true;
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(cases); i++) {
        g_autofree char *answer = get(&scene, cases[i / 2].target, "");
        expect_status(answer, cases[i / 2].status);
    }
    scene_close(&scene);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

#define ADD(path, function) g_test_add_func("/file-service/" path, test_##function)

int main(int argc, char **argv)
{
    char *message;
    g_test_init(&argc, &argv, NULL);
    tree_open(&tree, NULL);
    files = files_new(&(struct files_options){.root = tree.path, .listing = true}, &message);
    g_assert_nonnull(files);
    ADD("spellings", spellings);
    ADD("read-once", read_once);
    ADD("unwanted/makings", unwanted_makings);
    ADD("unwanted/loads", unwanted_loads);
    ADD("unwanted/listings", unwanted_listings);
    ADD("many/makings", many_makings);
    ADD("many/listings", many_listings);
    ADD("many/unsent-listings", unsent_listings);
    ADD("changes/next-request", next_request);
    ADD("changes/while-loaded", changed_while_loaded);
    ADD("changes/while-made", replaced_while_made);
    ADD("changes/again-and-again", replaced_again_and_again);
    ADD("half-closed", half_closed);
    ADD("cold-errors", cold_errors);
    int result = g_test_run();
    tree_close(&tree);
    return result;
}
