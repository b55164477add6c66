/* Which form of a file a client gets: what it likes, and what there is. */
#include "handlers/file_answer.h"

#include <glib.h>
#include <string.h>

enum { BR = 1, ZSTD = 2, GZIP = 4, FILE_ONLY = 0 };

static struct file_content content_with(unsigned beside, unsigned made)
{
    struct file_content content = {.compressible = true};
    const unsigned bits[] = {[CODING_BR] = BR, [CODING_ZSTD] = ZSTD, [CODING_GZIP] = GZIP};
    for (int i = 0; i < CODING_COUNT; i++) {
        bool there = i == CODING_IDENTITY || (beside | made) & bits[i];
        content.forms[i].stamp.regular = there;
        content.forms[i].length = 1000;
        content.forms[i].made = i != CODING_IDENTITY && made & bits[i];
    }
    return content;
}

#define ANY     "gzip, deflate, br, zstd"
#define NOTHING CODING_COUNT
#define ITSELF  CODING_IDENTITY

static const struct {
    const char *field; /* NULL: none */
    unsigned beside;
    unsigned made;
    enum coding without_making;
    enum coding making;
} choices[] = {
    {NULL, BR | ZSTD | GZIP, 0, ITSELF, ITSELF},
    {"", BR | ZSTD | GZIP, 0, ITSELF, ITSELF},
    {"identity", BR | ZSTD | GZIP, 0, ITSELF, ITSELF},
    {"deflate", BR | ZSTD | GZIP, 0, ITSELF, ITSELF},
    {ANY, FILE_ONLY, 0, ITSELF, CODING_BR},
    {ANY, GZIP, 0, CODING_GZIP, CODING_GZIP},
    {ANY, ZSTD, 0, CODING_ZSTD, CODING_ZSTD},
    {ANY, BR, 0, CODING_BR, CODING_BR},
    {ANY, ZSTD | GZIP, 0, CODING_ZSTD, CODING_ZSTD},
    {ANY, 0, GZIP, CODING_GZIP, CODING_BR},
    {ANY, 0, BR, CODING_BR, CODING_BR},
    {ANY, GZIP, BR, CODING_GZIP, CODING_GZIP},
    {"gzip", FILE_ONLY, 0, ITSELF, CODING_GZIP},
    {"GZIP", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"x-gzip", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"gzip;q=0", GZIP, 0, ITSELF, ITSELF},
    {"gzip;q=0.001", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"gzip;q=0.5, identity;q=0.4", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"gzip;q=0.5, identity;q=0.5", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"gzip;q=0.4, identity;q=0.5", GZIP, 0, ITSELF, ITSELF},
    {"gzip, br;q=0.5", BR | GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"gzip, br;q=0.5", BR, 0, CODING_BR, CODING_GZIP},
    {"gzip;q=0.9, br;q=0.8, zstd;q=0.7", ZSTD, 0, CODING_ZSTD, CODING_GZIP},
    {"*", FILE_ONLY, 0, ITSELF, CODING_BR},
    {"*", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"*;q=0", GZIP, 0, NOTHING, NOTHING},
    {"*;q=0, identity", GZIP, 0, ITSELF, ITSELF},
    {"*;q=0, gzip", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"*;q=0, gzip", FILE_ONLY, 0, NOTHING, CODING_GZIP},
    {"identity;q=0", FILE_ONLY, 0, NOTHING, NOTHING},
    {"identity;q=0", GZIP, 0, NOTHING, NOTHING},
    {"identity;q=0, *", GZIP, 0, CODING_GZIP, CODING_GZIP},
    {"identity;q=0, deflate", GZIP, 0, NOTHING, NOTHING},
    {"identity;q=0, br", FILE_ONLY, 0, NOTHING, CODING_BR},
    {"identity, *;q=0.5", GZIP, 0, ITSELF, ITSELF},
    {"gzip;q=nonsense, br", GZIP | BR, 0, CODING_BR, CODING_BR},
    {",, ,gzip,", GZIP, 0, CODING_GZIP, CODING_GZIP},
};

static struct http_text field_of(const char *text)
{
    return (struct http_text){text, text ? strlen(text) : 0};
}

static bool all_are_made(void)
{
    return coding_is_made(CODING_BR) && coding_is_made(CODING_ZSTD) && coding_is_made(CODING_GZIP);
}

/* Whatever was asked before. */
static void test_choices(void)
{
    struct coding_weights kept = {.length = 0};
    for (size_t i = 0; i < G_N_ELEMENTS(choices); i++) {
        for (size_t before = 0; before < G_N_ELEMENTS(choices); before++) {
            struct file_content other = content_with(0, 0);
            struct file_content content = content_with(choices[i].beside, choices[i].made);
            struct http_text field = field_of(choices[i].field);
            file_choose_coding(&other, field_of(choices[before].field), true, &kept);
            for (int again = 0; again < 2; again++) {
                g_assert_cmpint(file_choose_coding(&content, field, false, &kept), ==,
                                choices[i].without_making);
                if (all_are_made())
                    g_assert_cmpint(file_choose_coding(&content, field, true, &kept), ==,
                                    choices[i].making);
            }
        }
    }
}

/* What is not worth making, or not to be made of such a file, is not there. */
static void test_not_to_be_made(void)
{
    struct coding_weights kept = {.length = 0};
    struct http_text field = field_of(ANY);
    struct file_content content = content_with(0, 0);
    content.forms[CODING_BR].worthless = true;
    g_assert_true(!all_are_made() ||
                  file_choose_coding(&content, field, true, &kept) == CODING_ZSTD);
    content.forms[CODING_ZSTD].worthless = content.forms[CODING_GZIP].worthless = true;
    g_assert_cmpint(file_choose_coding(&content, field, true, &kept), ==, CODING_IDENTITY);
    content = content_with(0, 0);
    content.compressible = false;
    g_assert_cmpint(file_choose_coding(&content, field, true, &kept), ==, CODING_IDENTITY);
    content = content_with(0, 0);
    content.forms[CODING_IDENTITY].length = FILE_COMPRESS_MAX + 1;
    g_assert_cmpint(file_choose_coding(&content, field, true, &kept), ==, CODING_IDENTITY);
}

/* Fields too long to be kept, and of just that length. */
static void test_long_fields(void)
{
    static const size_t lengths[] = {127, 128, 129, 130, 5000};
    struct coding_weights kept = {.length = 0};
    struct file_content content = content_with(GZIP, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *spaces = g_strnfill(lengths[i] - 4, ' ');
        g_autofree char *likes = g_strconcat(spaces, "gzip", NULL);
        g_autofree char *dislikes = g_strconcat(spaces, "zstd", NULL);
        for (int again = 0; again < 2; again++) {
            g_assert_cmpint(file_choose_coding(&content, field_of(likes), false, &kept), ==,
                            CODING_GZIP);
            g_assert_cmpint(file_choose_coding(&content, field_of(likes), false, &kept), ==,
                            CODING_GZIP);
            g_assert_cmpint(file_choose_coding(&content, field_of(dislikes), false, &kept), ==,
                            CODING_IDENTITY);
            g_assert_cmpint(file_choose_coding(&content, field_of(""), false, &kept), ==,
                            CODING_IDENTITY);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-coding/choices", test_choices);
    g_test_add_func("/file-coding/not-to-be-made", test_not_to_be_made);
    g_test_add_func("/file-coding/long-fields", test_long_fields);
    return g_test_run();
}
