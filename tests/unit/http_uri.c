/* Percent-decoding and the pairs of queries, beside memory that cannot be read. */
#include "http/uri.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

static struct guarded guarded;

struct decode_case {
    const char *name;
    const char *encoded;
    const char *plain; /* NULL: refused */
    size_t plain_length;
    const char *form; /* when it differs; of the same length */
};

#define PLAIN(literal) literal, sizeof(literal) - 1, NULL
#define DECODES(name, encoded, literal) \
    {                                   \
        name, encoded, PLAIN(literal)   \
    }
#define FORM(name, encoded, literal, form)                \
    {                                                     \
        name, encoded, literal, sizeof(literal) - 1, form \
    }
#define REFUSED(name, encoded)       \
    {                                \
        name, encoded, NULL, 0, NULL \
    }

static const struct decode_case decodings[] = {
    DECODES("empty", "", ""),
    DECODES("plain", "abc", "abc"),
    DECODES("unreserved", "a-b.c_d~e", "a-b.c_d~e"),
    DECODES("reserved", "/?:@!$&'()*,;=#[]", "/?:@!$&'()*,;=#[]"),
    DECODES("upper", "%4A%4F", "JO"),
    DECODES("lower", "%4a%4f", "JO"),
    DECODES("mixed", "%4a%4F", "JO"),
    DECODES("digits", "%30%39", "09"),
    DECODES("slash", "a%2Fb%2fc", "a/b/c"),
    DECODES("percent", "%25", "%"),
    DECODES("once-only", "%2541", "%41"),
    DECODES("once-only-twice", "%252541", "%2541"),
    DECODES("nul", "a%00b", "a\0b"),
    DECODES("high", "%80%fF", "\x80\xff"),
    DECODES("utf-8", "%C3%a9", "\xc3\xa9"),
    DECODES("overlong-is-bytes", "%c0%af", "\xc0\xaf"),
    DECODES("crlf", "%0d%0A", "\r\n"),
    DECODES("first-and-last", "%41bc%44", "AbcD"),
    DECODES("raw-high", "\xff\x80", "\xff\x80"),
    DECODES("dots", "%2e%2E/.", "../."),
    FORM("plus", "a+b", "a+b", "a b"),
    FORM("pluses", "+++", "+++", "   "),
    DECODES("encoded-plus", "%2B", "+"),
    FORM("both-pluses", "+%2b+", "+++", " + "),
    DECODES("encoded-space", "a%20b", "a b"),
    REFUSED("alone", "%"),
    REFUSED("alone-last", "abc%"),
    REFUSED("one-digit", "%4"),
    REFUSED("one-digit-last", "abc%4"),
    REFUSED("no-digits", "%zz"),
    REFUSED("first-no-digit", "%g0"),
    REFUSED("second-no-digit", "%0g"),
    REFUSED("at-sign", "%@0"),
    REFUSED("backquote", "%0`"),
    REFUSED("colon", "%:0"),
    REFUSED("slash-digit", "%0/"),
    REFUSED("percent-digit", "%%41"),
    REFUSED("percent-second-digit", "%4%41"),
    REFUSED("sign", "%+1"),
    REFUSED("minus", "%-1"),
    REFUSED("space", "% 1"),
    REFUSED("u-escape", "%u0041"),
    REFUSED("high-digit", "%\xb0\xb0"),
    REFUSED("bit-5-of-digit", "%\x10\x11"),
    REFUSED("after-good-ones", "%41%42%4x"),
};

static void check_decoded(const struct decode_case *decoding, bool form, const char *bytes,
                          size_t length)
{
    const char *expected = form && decoding->form ? decoding->form : decoding->plain;
    g_assert_cmpmem(bytes, length, expected, decoding->plain_length);
}

static void test_decode(const void *data)
{
    const struct decode_case *decoding = data;
    size_t length = strlen(decoding->encoded);
    for (int form = 0; form < 2; form++) {
        const char *bytes = guarded_at_end(&guarded, decoding->encoded, length);
        char to[64];
        size_t decoded = 12345;
        bool good = http_percent_decode((struct http_text){bytes, length}, form, to, &decoded);
        g_assert_cmpint(good, ==, decoding->plain != NULL);
        if (good)
            check_decoded(decoding, form, to, decoded);
        /* In place. */
        char *place = guarded.end - length;
        good = http_percent_decode((struct http_text){place, length}, form, place, &decoded);
        g_assert_cmpint(good, ==, decoding->plain != NULL);
        if (good)
            check_decoded(decoding, form, place, decoded);
    }
}

/* All 65,536 pairs of bytes after a '%'. */
static void test_decode_every_pair(void)
{
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char encoded[3] = {'%', (char)(pair >> 8), (char)pair};
        bool digits = g_ascii_isxdigit(encoded[1]) && g_ascii_isxdigit(encoded[2]);
        char to[3];
        size_t length;
        g_assert_cmpint(http_percent_decode((struct http_text){encoded, 3}, false, to, &length), ==,
                        digits);
        if (digits) {
            g_assert_cmpuint(length, ==, 1);
            g_assert_cmpint((unsigned char)to[0], ==,
                            g_ascii_xdigit_value(encoded[1]) * 16 +
                                g_ascii_xdigit_value(encoded[2]));
        }
    }
}

static void test_decode_absent(void)
{
    char to[1] = {'x'};
    size_t length = 1;
    g_assert_true(http_percent_decode((struct http_text){NULL, 0}, true, to, &length));
    g_assert_cmpuint(length, ==, 0);
    g_assert_cmpint(to[0], ==, 'x');
}

struct split_case {
    const char *name;
    const char *query;
    const char *pairs; /* "name|value" each, joined by ';' */
};

static const struct split_case splits[] = {
    {"empty", "", ""},
    {"one", "a=1", "a|1"},
    {"two", "a=1&b=2", "a|1;b|2"},
    {"repeated", "a=1&a=2", "a|1;a|2"},
    {"no-value", "a", "a|"},
    {"no-values", "a&b", "a|;b|"},
    {"empty-value", "a=", "a|"},
    {"empty-name", "=1", "|1"},
    {"only-equals", "=", "|"},
    {"second-equals", "a=b=c", "a|b=c"},
    {"many-equals", "===", "|=="},
    {"empty-pairs", "&&a=1&&&b=2&&", "a|1;b|2"},
    {"only-empty-pairs", "&&&&", ""},
    {"one-ampersand", "&", ""},
    {"trailing", "a=1&", "a|1"},
    {"leading", "&a=1", "a|1"},
    {"encoded-stay", "a%26b=c%3Dd+e", "a%26b|c%3Dd+e"},
    {"broken-stay", "%zz=%", "%zz|%"},
    {"question-mark", "a?b=/?", "a?b|/?"},
    {"value-ampersand-name", "a=&=b", "a|;|b"},
    {"last-no-value", "a=1&b", "a|1;b|"},
};

static void test_split(const void *data)
{
    const struct split_case *split = data;
    size_t length = strlen(split->query);
    struct http_text query = {guarded_at_end(&guarded, split->query, length), length};
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    g_autoptr(GString) found = g_string_new(NULL);
    while (http_query_split(query, &cursor, &name, &value)) {
        g_assert_cmpuint(cursor, <=, length);
        g_assert_true(name.bytes >= query.bytes && value.bytes >= name.bytes + name.length);
        g_assert_true(value.bytes + value.length <= query.bytes + length);
        g_string_append_printf(found, "%s%.*s|%.*s", found->len ? ";" : "", (int)name.length,
                               name.bytes, (int)value.length, value.bytes);
    }
    g_assert_cmpstr(found->str, ==, split->pairs);
    /* It stays at the end. */
    g_assert_false(http_query_split(query, &cursor, &name, &value));
    g_assert_cmpuint(cursor, ==, length);
}

static void test_split_absent(void)
{
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    g_assert_false(http_query_split((struct http_text){NULL, 0}, &cursor, &name, &value));
    g_assert_cmpuint(cursor, ==, 0);
    /* A cursor of another query. */
    cursor = 100;
    g_assert_false(http_query_split((struct http_text){"a=1", 3}, &cursor, &name, &value));
}

static void test_split_many(void)
{
    enum { COUNT = 100000 };
    g_autofree char *bytes = g_strnfill(2 * (gsize)COUNT, '&');
    struct http_text query = {bytes, 2 * (size_t)COUNT};
    struct http_text name;
    struct http_text value;
    size_t cursor = 0;
    int count = 0;
    for (size_t i = 0; i < COUNT; i++)
        bytes[2 * i] = 'a';
    while (http_query_split(query, &cursor, &name, &value)) {
        g_assert_true(name.bytes == bytes + (size_t)count * 2);
        count++;
    }
    g_assert_cmpint(count, ==, COUNT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    for (size_t i = 0; i < G_N_ELEMENTS(decodings); i++) {
        g_autofree char *path = g_strdup_printf("/http/uri/decode/%s", decodings[i].name);
        g_test_add_data_func(path, &decodings[i], test_decode);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(splits); i++) {
        g_autofree char *path = g_strdup_printf("/http/uri/split/%s", splits[i].name);
        g_test_add_data_func(path, &splits[i], test_split);
    }
    g_test_add_func("/http/uri/decode-every-pair", test_decode_every_pair);
    g_test_add_func("/http/uri/decode-absent", test_decode_absent);
    g_test_add_func("/http/uri/split-absent", test_split_absent);
    g_test_add_func("/http/uri/split-many", test_split_many);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
