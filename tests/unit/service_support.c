#include "service_support.h"

#include "handlers/listing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- gates --- */

struct gate loads;
struct gate makings;
struct gate listings;
bool all_is_cold;
size_t page_length;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&lock);
    gate->calls++;
    gate->waiting++;
    pthread_cond_broadcast(&changed);
    while (gate->closed)
        pthread_cond_wait(&changed, &lock);
    gate->waiting--;
    pthread_mutex_unlock(&lock);
}

void gate_set(struct gate *gate, bool closed)
{
    pthread_mutex_lock(&lock);
    gate->closed = closed;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

unsigned gate_calls(const struct gate *gate)
{
    pthread_mutex_lock(&lock);
    unsigned calls = gate->calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

unsigned gate_waiting(const struct gate *gate)
{
    pthread_mutex_lock(&lock);
    unsigned waiting = gate->waiting;
    pthread_mutex_unlock(&lock);
    return waiting;
}

/* --- jobs --- */

int wrap_load(const struct file_settings *settings, const struct file_root *root, const char *path,
              bool may_wait, struct file_content **content) __asm__("__wrap_file_content_load");
int real_load(const struct file_settings *settings, const struct file_root *root, const char *path,
              bool may_wait, struct file_content **content) __asm__("__real_file_content_load");
char *wrap_compress(const struct file_content *content, enum coding coding,
                    size_t *length) __asm__("__wrap_file_content_compress");
char *wrap_listing(int fd, const struct listing_options *options, void *resolves, void *arg,
                   size_t *length) __asm__("__wrap_listing_make");
char *real_listing(int fd, const struct listing_options *options, void *resolves, void *arg,
                   size_t *length) __asm__("__real_listing_make");

int wrap_load(const struct file_settings *settings, const struct file_root *root, const char *path,
              bool may_wait, struct file_content **content)
{
    if (all_is_cold && !may_wait)
        return -EAGAIN;
    int error = real_load(settings, root, path, may_wait, content);
    if (may_wait)
        gate_pass(&loads);
    return error;
}

/* Only of files in memory. */
char *wrap_compress(const struct file_content *content, enum coding coding, size_t *length)
{
    const struct file_form *form = &content->forms[CODING_IDENTITY];
    const char *end = memchr(form->body, '\n', form->length);
    size_t title = end ? (size_t)(end - form->body) : form->length;
    (void)coding;
    gate_pass(&makings);
    *length = strlen("made of ") + title;
    char *made = malloc(*length + 1);
    memcpy(made, "made of ", strlen("made of "));
    memcpy(made + strlen("made of "), form->body, title);
    return made;
}

char *wrap_listing(int fd, const struct listing_options *options, void *resolves, void *arg,
                   size_t *length)
{
    gate_pass(&listings);
    if (!page_length)
        return real_listing(fd, options, resolves, arg, length);
    *length = page_length;
    return calloc(1, page_length);
}

/* --- the service --- */

void scene_open(struct scene *scene, struct files *files)
{
    struct gate *const gates[] = {&loads, &makings, &listings};
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < G_N_ELEMENTS(gates); i++)
        gates[i]->calls = 0;
    pthread_mutex_unlock(&lock);
    all_is_cold = false;
    page_length = 0;
    *scene = (struct scene){.files = files};
    net_open(&scene->net);
    router_free(scene->net.router);
    scene->net.service.router = scene->net.router = router_new();
    net_route(&scene->net, "/*", files_handler, files);
    g_assert_cmpint(files_start(scene->net.reactor, 0, files), ==, 0);
    scene->shelf = reactor_data(scene->net.reactor);
}

void scene_close(struct scene *scene)
{
    turn_until(scene, is_deserted);
    turn_until(scene, is_idle);
    g_assert_cmpuint(scene->shelf->page_bytes, ==, 0);
    g_assert_cmpuint(scene->shelf->references, ==, 1);
    files_stop(scene->net.reactor, 0, scene->files);
    net_close(&scene->net);
}

static gint64 patience_end(void)
{
    return g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
}

void turn_until(struct scene *scene, bool (*condition)(const struct scene *scene))
{
    gint64 end = patience_end();
    while (!condition(scene)) {
        net_turn(&scene->net);
        g_usleep(100);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

void gate_await(struct scene *scene, const struct gate *gate, unsigned waiting)
{
    gint64 end = patience_end();
    unsigned now = 0;
    while (now != waiting) {
        net_turn(&scene->net);
        g_usleep(100);
        now = gate_waiting(gate);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

bool is_idle(const struct scene *scene)
{
    const struct file_shelf *shelf = scene->shelf;
    for (const struct file_entry *at = shelf->cache.newest; at; at = at->older) {
        if (at->loading || at->making)
            return false;
    }
    return !shelf->listings && !shelf->makings && !shelf->tree_is_checked;
}

bool is_deserted(const struct scene *scene)
{
    return !scene->net.worker.connections;
}

/* --- clients --- */

void begin_get(struct client *client, struct scene *scene, const char *target, const char *fields)
{
    g_autofree char *request = g_strdup_printf("GET %s" FIELDS "%s\r\n", target, fields);
    client_init(client, net_pair(&scene->net), "", 0);
    g_assert_cmpint(write(client->fd, request, strlen(request)), ==, (ssize_t)strlen(request));
    net_turn(&scene->net);
}

/* How long the first answer is; 0: its head is not there yet. */
static size_t length_of(const GByteArray *received)
{
    g_autofree char *text = g_strndup((const char *)received->data, received->len);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = end ? strstr(text, "\r\nContent-Length: ") : NULL;
    if (!end)
        return 0;
    size_t body =
        length && length < end ? strtoul(length + strlen("\r\nContent-Length: "), NULL, 10) : 0;
    return (size_t)(end - text) + 4 + body;
}

char *take_answer(struct client *client, struct scene *scene)
{
    gint64 end = patience_end();
    size_t length = 0;
    while (!length || client->received->len < length) {
        g_assert_false(client->ended);
        client_step(client, &scene->net);
        length = client->received->len ? length_of(client->received) : 0;
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    char *text = g_strndup((const char *)client->received->data, length);
    g_byte_array_remove_range(client->received, 0, (guint)length);
    return text;
}

char *get(struct scene *scene, const char *target, const char *fields)
{
    struct client client;
    begin_get(&client, scene, target, fields);
    char *answer = take_answer(&client, scene);
    client_fini(&client);
    return answer;
}

void expect_status(const char *answer, int status)
{
    g_autofree char *line = g_strdup_printf("HTTP/1.1 %d ", status);
    g_test_message("%.200s", answer);
    g_assert_true(g_str_has_prefix(answer, line));
}

void expect_body(const char *answer, const char *body)
{
    g_assert_cmpstr(strstr(answer, "\r\n\r\n") + 4, ==, body);
}
