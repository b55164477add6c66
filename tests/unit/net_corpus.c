/*
 * The corpus of tests/fuzz/fuzz_connection.c and its checks without the fuzzer, in every build. The
 * beginning of a file's name says how the conversation must end.
 */
#include "connection_peer.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern struct answered fuzz_connection_answered;

static void check_name(const char *name, const struct answered *answered)
{
    if (g_str_has_prefix(name, "valid-"))
        g_assert_cmpuint(answered->errors, ==, 0);
    if (g_str_has_prefix(name, "valid-"))
        g_assert_cmpuint(answered->finals, >, 0);
    if (g_str_has_prefix(name, "smuggle-")) {
        g_assert_cmpuint(answered->finals, ==, 1);
        g_assert_cmpuint(answered->errors, ==, 1);
        g_assert_true(answered->closes);
    }
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
        g_test_message("%s", name);
        g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
        check_name(name, &fuzz_connection_answered);
        count++;
    }
    g_assert_cmpint(count, >=, 40);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/corpus", test_corpus);
    return g_test_run();
}
