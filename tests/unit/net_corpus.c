/*
 * The corpus of tests/fuzz/fuzz_connection.c and its checks without the fuzzer, in every build. The
 * beginning of a file's name says how the conversation must end.
 */
#include "connection_peer.h"
#include "corpus_support.h"

#include <glib.h>
#include <string.h>

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

static void check(const char *name, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    check_name(name, &fuzz_connection_answered);
}

static void test_corpus(void)
{
    corpus_each(CORPUS, 40, check);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/corpus", test_corpus);
    return g_test_run();
}
