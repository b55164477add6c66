/*
 * The corpus of tests/fuzz/fuzz_files.c and its checks without the fuzzer, in every build.
 */
#include "corpus_support.h"

#include <glib.h>

static void test_corpus(void)
{
    corpus_each(CORPUS, 30, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/files/corpus", test_corpus);
    return g_test_run();
}
