/*
 * The fuzzer's corpus and its checks without the fuzzer, in every build: tests/fuzz/fuzz_parser.c
 * is linked in. The beginning of a file's name says what its bytes must give.
 */
#include "http_support.h"

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "error-400-..." and so on; other names promise nothing. */
static void check_name(const char *name, int result)
{
    if (g_str_has_prefix(name, "error-"))
        g_assert_cmpint(result, ==, -(int)g_ascii_strtoll(name + strlen("error-"), NULL, 10));
    else if (g_str_has_prefix(name, "valid-") || g_str_has_prefix(name, "limit-"))
        g_assert_cmpint(result, >, 0);
    else if (g_str_has_prefix(name, "smuggle-"))
        g_assert_cmpint(result, <, 0);
    else if (g_str_has_prefix(name, "incomplete-"))
        g_assert_cmpint(result, ==, 0);
}

static void test_corpus(void)
{
    g_autoptr(GDir) folder = g_dir_open(CORPUS, 0, NULL);
    const char *name;
    int count = 0;
    g_assert_nonnull(folder);
    while ((name = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(CORPUS, name, NULL);
        g_autofree char *bytes = NULL;
        gsize length;
        struct http_request request;
        g_test_message("%s", name);
        g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        check_name(name, parse(bytes, length, &request));
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
        count++;
    }
    g_assert_cmpint(count, >=, 40);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/corpus", test_corpus);
    return g_test_run();
}
