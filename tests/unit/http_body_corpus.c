/*
 * The corpus of the chunked bodies' fuzz target and its checks without the fuzzer, in every build:
 * tests/fuzz/fuzz_body.c is linked in. The beginning of a file's name says what its bytes give.
 */
#include "body_support.h"
#include "corpus_support.h"

#include <string.h>

enum { SIZES = 4 }; /* bytes before the body: see fuzz_body.c */

static int status_of(const char *bytes, size_t length)
{
    static const size_t whole = 1 << 20;
    struct http_request request = chunked_request();
    struct reading reading =
        read_body(&request, bytes, length, &http_limits_default, &whole, 1, SIZE_MAX);
    reading_free(&reading);
    return reading.status;
}

/* "error-400-..." and so on; other names promise nothing. */
static void check_name(const char *name, int status)
{
    if (g_str_has_prefix(name, "error-"))
        g_assert_cmpint(status, ==, -(int)g_ascii_strtoll(name + strlen("error-"), NULL, 10));
    else if (g_str_has_prefix(name, "valid-"))
        g_assert_cmpint(status, ==, READING_ENDED);
    else if (g_str_has_prefix(name, "incomplete-"))
        g_assert_cmpint(status, ==, READING_UNFINISHED);
}

static void check(const char *name, const char *bytes, size_t length)
{
    g_assert_cmpuint(length, >=, SIZES);
    check_name(name, status_of(bytes + SIZES, length - SIZES));
}

static void test_corpus(void)
{
    corpus_each(CORPUS, 30, check);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/body-corpus", test_corpus);
    return g_test_run();
}
