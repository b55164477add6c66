/*
 * What the operator's pages are made from: sums, rates, quantiles, health; and the page itself.
 */
#include "admin_support.h"

#include <glib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* --- samples --- */

static void test_sum(void)
{
    struct scene scene;
    scene_init(&scene, 3);
    for (unsigned i = 0; i < 3; i++) {
        scene.now[i].requests[2] = i + 1;
        scene.now[i].requests[0] = 100; /* not answered */
        scene.now[i].states[3] = 2;
        scene.now[i].connections = 2;
        scene.now[i].lag_ns = 7 - i;
        scene.now[i].turn_ns = i;
        scene.now[i].busy_ns = 10;
        scene.now[i].load_work = 20;
        scene.now[i].offload.sum_ns = 30;
        scene.now[i].latency.buckets[i] = 5;
        scene.now[i].refused[REFUSED_IDLE] = i;
    }
    scene_sum(&scene);
    const struct reactor_sample *sum = &scene.view.sum;
    g_assert_cmpuint(sample_requests(sum), ==, 6);
    g_assert_cmpuint(sum->requests[0], ==, 300);
    g_assert_cmpuint(sum->states[3], ==, 6);
    g_assert_cmpuint(sum->connections, ==, 6);
    g_assert_cmpuint(sum->lag_ns, ==, 7);
    g_assert_cmpuint(sum->turn_ns, ==, 2);
    g_assert_cmpuint(sum->busy_ns, ==, 30);
    g_assert_cmpuint(sum->load_work, ==, 60);
    g_assert_cmpuint(sum->offload.sum_ns, ==, 90);
    g_assert_cmpuint(sum->refused[REFUSED_IDLE], ==, 3);
    g_assert_cmpuint(sample_count(&sum->latency), ==, 15);
}

static void test_quantiles(void)
{
    struct histogram_sample histogram = {.sum_ns = 0};
    g_assert_cmpuint(sample_quantile(&histogram, 500), ==, 0);
    histogram.buckets[0] = 100; /* at most 50 us */
    g_assert_cmpuint(sample_quantile(&histogram, 500), ==, 25000);
    g_assert_cmpuint(sample_quantile(&histogram, 1000), ==, 50000);
    histogram.buckets[2] = 100; /* 100 us to 250 us */
    g_assert_cmpuint(sample_quantile(&histogram, 500), ==, 50000);
    g_assert_cmpuint(sample_quantile(&histogram, 750), ==, 175000);
    histogram.buckets[HISTOGRAM_BOUNDS] = 1000000; /* beyond: it cannot be told how far */
    g_assert_cmpuint(sample_quantile(&histogram, 990), ==, 10 * SECOND_NS);
}

static void test_rates(void)
{
    struct scene scene;
    scene_init(&scene, 1);
    g_assert_cmpuint(admin_rate(&scene.view, 10, 13), ==, 1500); /* in two seconds */
    g_assert_cmpuint(admin_rate(&scene.view, 10, 10), ==, 0);
    g_assert_cmpuint(admin_rate(&scene.view, 10, 9), ==, 0);
    scene.now[0].busy_ns = SECOND_NS;
    g_assert_cmpuint(admin_busy(&scene.view, 0), ==, 5000);
    scene.now[0].busy_ns = 3 * SECOND_NS;
    g_assert_cmpuint(admin_busy(&scene.view, 0), ==, 10000);
    scene.view.before.taken_ns = scene.view.now.taken_ns;
    g_assert_cmpuint(admin_busy(&scene.view, 0), ==, 0);
    g_assert_cmpuint(admin_rate(&scene.view, 10, 13), ==, 0);
}

/* --- health --- */

static void expect_health(const struct scene *scene, int status, const char *line)
{
    struct text text = {0};
    g_assert_cmpint(admin_put_health(&text, &scene->view), ==, status);
    g_assert_cmpmem(text.bytes.bytes, text.bytes.length, line, strlen(line));
    buffer_free(&text.bytes);
}

static void test_health(void)
{
    struct scene scene;
    scene_init(&scene, 3);
    expect_health(&scene, 200, "ok\n");
    scene.now[1].turn_ns = 30 * SECOND_NS;
    expect_health(&scene, 200, "ok\n");
    scene.now[1].turn_ns = 42 * SECOND_NS + 1;
    expect_health(&scene, 503, "reactor 1 has been in the same turn for 42 s\n");
}

/* --- the page --- */

static void put_page(struct text *text, const struct admin_view *view)
{
    admin_put_page(text, view, 2);
}

static void put_still_page(struct text *text, const struct admin_view *view)
{
    admin_put_page(text, view, 0);
}

static void test_page(void)
{
    struct scene scene;
    scene_init(&scene, 3);
    scene.now[0].requests[2] = 1234567;
    scene.now[2].busy_ns = SECOND_NS;
    scene.now[1].stalls = 3;
    scene.now[0].lag_ns = 999;
    scene.now[1].lag_ns = 1500;
    scene.now[2].lag_ns = 64200000;
    scene.now[0].sent = 9960;
    scene.now[1].latency.buckets[HISTOGRAM_BOUNDS] = 1;
    scene.view.uptime_ns = (2 * 86400 + 3 * 3600 + 4 * 60 + 5) * SECOND_NS;
    scene_sum(&scene);
    g_autofree char *page = scene_write(&scene, put_page);
    static const char *const parts[] = {
        "<html lang=\"en\">",
        "<title>coreactor: status</title>",
        "http-equiv=\"refresh\" content=\"2\"",
        "<th scope=\"row\">2</th>",
        "<td>1,234,567</td>",
        "50 %",
        "<strong>3</strong>",
        "up for 2 d 3 h 4 min 5 s",
        "over 10 s",
        "<td>999 ns</td>",
        "<td>1.5 \302\265s</td>",
        "<td>64 ms</td>",
        "<td>10 kB</td>",
        "3 reactors, balance: hash",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (!strstr(page, parts[i]))
            g_error("no '%s' in %s", parts[i], page);
    }
    g_assert_null(strstr(page, "<script"));
    g_assert_null(strstr(page, "style=")); /* which the policy would not allow */
    g_autofree char *still = scene_write(&scene, put_still_page);
    g_assert_null(strstr(still, "http-equiv"));
}

/* The policy names the digest of the very style that is in the page. */
static void test_policy(void)
{
    struct scene scene;
    scene_init(&scene, 1);
    scene_sum(&scene);
    g_autofree char *page = scene_write(&scene, put_page);
    g_autofree char *policy = admin_page_policy();
    const char *from = strstr(page, "<style>");
    const char *to = strstr(page, "</style>");
    g_assert_true(from && to);
    from += strlen("<style>");
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize length = sizeof(digest);
    g_checksum_update(checksum, (const guchar *)from, to - from);
    g_checksum_get_digest(checksum, digest, &length);
    g_autofree char *base64 = g_base64_encode(digest, length);
    g_autofree char *source = g_strdup_printf("style-src 'sha256-%s';", base64);
    g_assert_nonnull(strstr(policy, source));
    g_assert_nonnull(strstr(policy, "default-src 'none';"));
    g_assert_true(g_str_has_suffix(policy, "\r\n"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admin-view/sum", test_sum);
    g_test_add_func("/admin-view/quantiles", test_quantiles);
    g_test_add_func("/admin-view/rates", test_rates);
    g_test_add_func("/admin-view/health", test_health);
    g_test_add_func("/admin-view/page", test_page);
    g_test_add_func("/admin-view/policy", test_policy);
    return g_test_run();
}
