/*
 * The fuzzer's corpus and its checks without the fuzzer, in every build: tests/fuzz/fuzz_parser.c
 * is linked in. The beginning of a file's name says what its bytes must give.
 */
#include "corpus_support.h"
#include "http_support.h"

#include <glib.h>

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

static void check(const char *name, const char *bytes, size_t length)
{
    struct http_request request;
    check_name(name, parse(bytes, length, &request));
}

static void test_corpus(void)
{
    corpus_each(CORPUS, 40, check);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/corpus", test_corpus);
    return g_test_run();
}
