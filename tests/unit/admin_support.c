#include "admin_support.h"

#include <glib.h>

#define SECOND_NS UINT64_C(1000000000)

void scene_init(struct scene *scene, unsigned reactors)
{
    *scene = (struct scene){
        .view = {.version = "1.2.3",
                 .compiler = "a compiler",
                 .libbpf = "none",
                 .balance = "hash",
                 .phase = ADMIN_SERVING,
                 .uptime_ns = 90 * SECOND_NS,
                 .process = {1 << 20, 1 << 21, 7, 1000, 1500000, 1700000000123},
                 .now = {.taken_ns = 12 * SECOND_NS, .count = reactors},
                 .before = {.taken_ns = 10 * SECOND_NS, .count = reactors}},
    };
    scene->view.now.reactors = scene->now;
    scene->view.before.reactors = scene->before;
}

void scene_sum(struct scene *scene)
{
    scene->view.sum = sample_sum(&scene->view.now);
    scene->view.sum_before = sample_sum(&scene->view.before);
}

char *scene_write(const struct scene *scene, void (*put)(struct text *, const struct admin_view *))
{
    struct text text = {0};
    put(&text, &scene->view);
    g_assert_false(text.torn);
    char *copy = g_strndup(text.bytes.bytes, text.bytes.length);
    buffer_free(&text.bytes);
    return copy;
}
