/*
 * Texts piece by piece, their numbers, and what becomes of them without memory.
 */
#include "base/text.h"

#include "memory_support.h"

#include <glib.h>

static void expect(struct text *text, const char *expected)
{
    g_assert_cmpmem(text->bytes.bytes, text->bytes.length, expected, strlen(expected));
    text->bytes.length = 0;
}

static void test_decimal(void)
{
    static const struct {
        uint64_t number;
        unsigned places;
        const char *text;
    } cases[] = {
        {0, 0, "0"},
        {0, 9, "0"},
        {UINT64_MAX, 0, "18446744073709551615"},
        {1, 9, "0.000000001"},
        {1500, 3, "1.5"},
        {1000, 3, "1"},
        {100050, 3, "100.05"},
        {UINT64_MAX, 18, "18.446744073709551615"},
    };
    struct text text = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        text_decimal(&text, cases[i].number, cases[i].places);
        expect(&text, cases[i].text);
    }
    buffer_free(&text.bytes);
}

static void test_grouped(void)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {1002003, "1,002,003"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    struct text text = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        text_grouped(&text, cases[i].number);
        expect(&text, cases[i].text);
    }
    buffer_free(&text.bytes);
}

static void test_pieces(void)
{
    struct text text = {0};
    text_puts(&text, "");
    text_put(&text, "abc", 2);
    text_puts(&text, "c");
    text_printf(&text, "%d%s", 1, "x");
    expect(&text, "abc1x");
    buffer_free(&text.bytes);
}

/* Nothing follows what was dropped, even if there is memory again. */
static void test_torn(void)
{
    struct text text = {0};
    failures_due = 1;
    text_puts(&text, "lost");
    text_puts(&text, "too late");
    g_assert_true(text.torn);
    g_assert_cmpuint(text.bytes.length, ==, 0);
    buffer_free(&text.bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/decimal", test_decimal);
    g_test_add_func("/text/grouped", test_grouped);
    g_test_add_func("/text/pieces", test_pieces);
    g_test_add_func("/text/torn", test_torn);
    return g_test_run();
}
