/*
 * The corpus of tests/fuzz/fuzz_target.c and its checks without the fuzzer, in every build.
 */
#include <glib.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        count++;
    }
    g_assert_cmpint(count, >=, 30);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/target/corpus", test_corpus);
    return g_test_run();
}
