/*
 * The exposition format: its grammar line by line, and that what it says is what was counted.
 */
#include "admin_support.h"

#include <glib.h>
#include <string.h>

static const char sample_line[] = "^[a-z_]+(\\{[a-z]+=\"([^\"\\\\\\n]|\\\\[\\\\n\"])*\"(,[a-z]+=\"("
                                  "[^\"\\\\\\n]|\\\\[\\\\n\"])*\")*"
                                  "\\})? (0|[1-9][0-9]*)(\\.[0-9]*[1-9])?$";

static void assert_has(const char *text, const char *line)
{
    g_autofree char *whole = g_strdup_printf("\n%s\n", line);
    if (!strstr(text, whole))
        g_error("no line '%s' in:\n%s", line, text);
}

/* The family of a sample: a histogram's have suffixes. */
static bool belongs_to(const char *line, const char *family, bool histogram)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t length = strlen(family);
    if (strncmp(line, family, length) != 0)
        return false;
    line += length;
    for (size_t i = 0; histogram && i < G_N_ELEMENTS(suffixes); i++) {
        if (g_str_has_prefix(line, suffixes[i]))
            return true;
    }
    return !histogram && (*line == '{' || *line == ' ');
}

static void test_grammar(void)
{
    struct scene scene;
    scene_init(&scene, VIEW_REACTORS_MAX);
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    g_autoptr(GHashTable) families = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *family = g_strdup("");
    bool histogram = false;
    g_assert_true(g_str_has_suffix(text, "\n"));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i + 1]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 4);
        if (g_str_has_prefix(lines[i], "# HELP ")) {
            g_free(family);
            family = g_strdup(words[2]);
            g_assert_true(words[3] && *words[3]);
            g_assert_true(g_hash_table_add(families, g_strdup(family))); /* each but once */
            g_assert_true(g_str_has_prefix(lines[i + 1], "# TYPE "));
        } else if (g_str_has_prefix(lines[i], "# TYPE ")) {
            g_assert_cmpstr(words[2], ==, family);
            histogram = g_str_equal(words[3], "histogram");
            g_assert_true(histogram || g_str_equal(words[3], "gauge") ||
                          g_str_equal(words[3], "counter"));
            g_assert_cmpint(g_str_has_suffix(family, "_total"), ==,
                            g_str_equal(words[3], "counter"));
        } else {
            g_test_message("%s", lines[i]);
            g_assert_true(belongs_to(lines[i], family, histogram));
            g_assert_true(g_regex_match_simple(sample_line, lines[i], 0, 0));
        }
    }
    g_assert_cmpuint(g_hash_table_size(families), >, 25);
}

static void test_numbers(void)
{
    struct scene scene;
    scene_init(&scene, 2);
    scene.now[0].requests[2] = UINT64_MAX;
    scene.now[1].requests[4] = 5;
    scene.now[1].requests[0] = 6;
    scene.now[0].received = 7;
    scene.now[1].sent = UINT64_C(1) << 60;
    scene.now[0].states[1] = 8;
    scene.now[1].states[5] = 9;
    scene.now[0].refused[REFUSED_SLOW] = 10;
    scene.now[1].refused[REFUSED_SLOW] = 11;
    scene.now[0].busy_ns = 1500000001;
    scene.now[1].busy_ns = 3000000000;
    scene.before[1].busy_ns = 2000000000;
    scene.now[0].lag_ns = 20000000;
    scene.now[1].moved = 12;
    scene.now[1].load_work = 13;
    scene.now[0].offload_waiting = 14;
    scene.view.phase = ADMIN_DRAINING;
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    static const char *const lines[] = {
        "coreactor_requests_total{reactor=\"0\",class=\"2xx\"} 18446744073709551615",
        "coreactor_requests_total{reactor=\"1\",class=\"4xx\"} 5",
        "coreactor_requests_total{reactor=\"1\",class=\"2xx\"} 0",
        "coreactor_requests_aborted_total{reactor=\"1\"} 6",
        "coreactor_received_bytes_total{reactor=\"0\"} 7",
        "coreactor_sent_bytes_total{reactor=\"1\"} 1152921504606846976",
        "coreactor_connections{reactor=\"0\",state=\"idle\"} 8",
        "coreactor_connections{reactor=\"1\",state=\"wait\"} 9",
        "coreactor_refusals_total{reason=\"slow\"} 21",
        "coreactor_refusals_total{reason=\"full\"} 0",
        "coreactor_loop_busy_seconds_total{reactor=\"0\"} 1.500000001",
        "coreactor_loop_busy_ratio{reactor=\"0\"} 0.75",
        "coreactor_loop_busy_ratio{reactor=\"1\"} 0.5",
        "coreactor_loop_lag_seconds{reactor=\"0\"} 0.02",
        "coreactor_handoffs_total{reactor=\"1\",kind=\"moved\"} 12",
        "coreactor_load{reactor=\"1\",part=\"work\"} 13",
        "coreactor_offload_queue_length{reactor=\"0\"} 14",
        "coreactor_reactors 2",
        "coreactor_draining 1",
        "coreactor_balance_info{mode=\"hash\"} 1",
        "process_cpu_seconds_total 1.5",
        "process_resident_memory_bytes 1048576",
        "process_open_fds 7",
        "process_max_fds 1000",
        "process_start_time_seconds 1700000000.123",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        assert_has(text, lines[i]);
}

/* What no connection is ever in is no state. */
static void test_states(void)
{
    static const char *const states[] = {"idle", "head", "body", "write", "wait", "close"};
    struct scene scene;
    scene_init(&scene, 1);
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    g_auto(GStrv) pieces = g_strsplit(text, "coreactor_connections{", -1);
    g_assert_cmpuint(g_strv_length(pieces), ==, 1 + G_N_ELEMENTS(states));
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
        g_autofree char *line =
            g_strdup_printf("coreactor_connections{reactor=\"0\",state=\"%s\"} 0", states[i]);
        assert_has(text, line);
    }
}

static void test_histogram(void)
{
    struct scene scene;
    scene_init(&scene, 2);
    scene.now[0].latency.buckets[0] = 1;
    scene.now[1].latency.buckets[0] = 2;
    scene.now[1].latency.buckets[4] = 10;
    scene.now[0].latency.buckets[HISTOGRAM_BOUNDS] = 100;
    scene.now[0].latency.sum_ns = 1;
    scene.now[1].latency.sum_ns = 1200000000;
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    assert_has(text, "coreactor_request_duration_seconds_bucket{le=\"0.00005\"} 3");
    assert_has(text, "coreactor_request_duration_seconds_bucket{le=\"0.0005\"} 3");
    assert_has(text, "coreactor_request_duration_seconds_bucket{le=\"0.001\"} 13");
    assert_has(text, "coreactor_request_duration_seconds_bucket{le=\"10\"} 13");
    assert_has(text, "coreactor_request_duration_seconds_bucket{le=\"+Inf\"} 113");
    assert_has(text, "coreactor_request_duration_seconds_sum 1.200000001");
    assert_has(text, "coreactor_request_duration_seconds_count 113");
    assert_has(text, "coreactor_offload_wait_seconds_bucket{le=\"+Inf\"} 0");
    assert_has(text, "coreactor_offload_wait_seconds_count 0");
}

static void test_escaping(void)
{
    struct scene scene;
    scene_init(&scene, 1);
    scene.view.compiler = "a \"b\" \\c\nd";
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    assert_has(text, "coreactor_build_info{version=\"1.2.3\",compiler=\"a \\\"b\\\" \\\\c\\nd\","
                     "libbpf=\"none\"} 1");
}

/* What is not known is left out, with its HELP and TYPE. */
static void test_unknown(void)
{
    struct scene scene;
    scene_init(&scene, 1);
    scene.view.process = (struct process_facts){-1, -1, -1, -1, -1, -1};
    scene_sum(&scene);
    g_autofree char *text = scene_write(&scene, admin_put_metrics);
    g_assert_null(strstr(text, "process_"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admin-metrics/grammar", test_grammar);
    g_test_add_func("/admin-metrics/numbers", test_numbers);
    g_test_add_func("/admin-metrics/states", test_states);
    g_test_add_func("/admin-metrics/histogram", test_histogram);
    g_test_add_func("/admin-metrics/escaping", test_escaping);
    g_test_add_func("/admin-metrics/unknown", test_unknown);
    return g_test_run();
}
