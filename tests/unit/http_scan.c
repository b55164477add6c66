/*
 * The byte scanners against a reference that looks at one byte after the other and uses no tables:
 * every implementation that this CPU can run must give the same result and the same marks.
 */
#include "http/scan.h"
#include "http_support.h"

#include <glib.h>
#include <string.h>

/* --- the reference, as scan.h puts it --- */

static bool is_tchar(unsigned char byte)
{
    return g_ascii_isalnum(byte) || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static bool is_control(unsigned char byte)
{
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

/* A line whose CR comes two bytes after another CR ends the head; if these are no CRLFCRLF, it is
 * the second pass that refuses them. */
static int reference_scan(const unsigned char *bytes, size_t length)
{
    length = MIN(length, (size_t)HTTP_HEAD_MAX);
    for (size_t i = 0; i < length; i++) {
        bool after_cr = i > 0 && bytes[i - 1] == '\r';
        if (bytes[i] == '\r' && i >= 2 && bytes[i - 2] == '\r')
            return i + 2 <= length ? (int)i + 2 : 0;
        if (is_control(bytes[i]) && bytes[i] != '\r' && !after_cr)
            return HTTP_SCAN_MALFORMED;
    }
    return 0;
}

static void check_marks(const struct http_scan *scan, const unsigned char *bytes, size_t head)
{
    for (size_t i = 0; i < head; i++) {
        const struct http_marks *marks = &scan->words[i / 64];
        g_assert_cmpint(marks->cr >> i % 64 & 1, ==, bytes[i] == '\r');
        g_assert_cmpint(marks->not_token >> i % 64 & 1, ==, !is_tchar(bytes[i]));
    }
}

/* Words past the head are not written. */
static void check_untouched(const struct http_scan *scan, size_t from_word)
{
    for (size_t i = from_word; i < HTTP_SCAN_WORDS; i++) {
        g_assert_cmpuint(scan->words[i].cr, ==, UINT64_MAX / 3);
        g_assert_cmpuint(scan->words[i].not_token, ==, UINT64_MAX / 3);
    }
}

static int check_scan(const char *bytes, size_t length)
{
    static struct http_scan scan;
    int expected = reference_scan((const unsigned char *)bytes, length);
    for (const struct http_scanner *scanner = http_scanners; scanner->name; scanner++) {
        if (!scanner->supported())
            continue;
        memset(&scan, 0x55, sizeof(scan));
        int result = scanner->scan(bytes, length, &scan);
        if (result != expected)
            g_test_message("%s gives %d, not %d, for %zu bytes", scanner->name, result, expected,
                           length);
        g_assert_cmpint(result, ==, expected);
        /* The last CR ends every search: nothing is promised about the LF after it. */
        size_t seen = result > 0 ? (size_t)result - 1 : MIN(length, (size_t)HTTP_HEAD_MAX);
        if (result > 0)
            check_marks(&scan, (const unsigned char *)bytes, seen);
        check_untouched(&scan, (seen + 63) / 64);
    }
    return expected;
}

/* --- inputs --- */

/* What attacks are made of, more often than their share. */
static char random_byte(bool hostile)
{
    static const char spice[] = "\r\n\r\n: \t;#\0\x01\x1f\x7f\x80\xff\x0b\"(),/";
    if (hostile && g_test_rand_int_range(0, 3) == 0)
        return spice[g_test_rand_int_range(0, (int)sizeof(spice) - 1)];
    return (char)g_test_rand_int_range(0x20, 0x7f);
}

/* Bytes that could be a head: lines that end in CRLF now and then. */
static void fill_lines(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bytes[i] = random_byte(false);
        if (i + 1 < length && g_test_rand_int_range(0, 12) == 0) {
            bytes[i++] = '\r';
            bytes[i] = '\n';
        }
    }
}

static void test_list(void)
{
    const struct http_scanner *best = http_scanner_best();
    const struct http_scanner *scanner = http_scanners;
    while (!scanner->supported()) {
        g_test_message("not supported by this CPU: %s", scanner->name);
        scanner++;
    }
    g_assert_true(best == scanner);
    g_assert_cmpstr(http_parser_scanner(), ==, best->name);
    while (scanner[1].name)
        scanner++;
    g_assert_cmpstr(scanner->name, ==, "portable");
    g_assert_true(scanner->supported());
}

static void test_every_length_and_alignment(void)
{
    enum { LENGTH_MAX = 260 };
    const int rounds = g_test_quick() ? 1 : 8;
    struct guarded guarded;
    char bytes[LENGTH_MAX];
    guarded_open(&guarded, LENGTH_MAX + 64);
    for (size_t length = 0; length <= LENGTH_MAX; length++) {
        check_scan(guarded_at_end(&guarded, bytes, 0), 0);
        for (int round = 0; round < rounds; round++) {
            fill_lines(bytes, length);
            check_scan(guarded_at_end(&guarded, bytes, length), length);
            size_t step = g_test_quick() ? 7 : 1;
            for (size_t offset = 0; offset < 64; offset += step) {
                char *placed = guarded.start + offset;
                memcpy(placed, bytes, length);
                check_scan(placed, length);
            }
        }
    }
    guarded_close(&guarded);
}

/* Each byte value at the places where vectors and words meet, in an otherwise fine head. */
static void test_every_byte(void)
{
    static const size_t places[] = {0, 1, 15, 16, 31, 32, 47, 62, 63, 64, 65, 127, 128, 143};
    char bytes[150];
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        for (int value = 0; value < 256; value++) {
            memset(bytes, 'a', sizeof(bytes));
            memcpy(bytes + sizeof(bytes) - 6, "\r\n\r\nab", 6);
            bytes[places[i]] = (char)value;
            check_scan(bytes, sizeof(bytes));
            check_scan(bytes, places[i] + 1);
        }
    }
}

/* The empty line at every place, with friendly and hostile bytes behind it and cut within it. */
static void test_every_end(void)
{
    struct guarded guarded;
    char bytes[512];
    guarded_open(&guarded, sizeof(bytes));
    for (size_t end = 4; end <= 200; end++) {
        for (size_t after = 0; after <= 66; after += g_test_quick() ? 11 : 1) {
            memset(bytes, 'a', end - 4);
            memcpy(bytes + end - 4, "\r\n\r\n", 4);
            memset(bytes + end, after % 2 ? '\n' : 0, after);
            const char *placed = guarded_at_end(&guarded, bytes, end + after);
            g_assert_cmpint(check_scan(placed, end + after), ==, (int)end);
        }
        for (size_t cut = 1; cut <= 4; cut++)
            g_assert_cmpint(check_scan(guarded_at_end(&guarded, bytes, end - cut), end - cut), ==,
                            0);
    }
    guarded_close(&guarded);
}

/* CR and LF in every combination of four, across every boundary of a word. */
static void test_line_ends(void)
{
    static const char choices[] = "\r\na";
    char bytes[160];
    for (size_t at = 0; at < 140; at += g_test_quick() ? 3 : 1) {
        for (int pattern = 0; pattern < 243; pattern++) {
            memset(bytes, 'x', sizeof(bytes));
            for (int i = 0, rest = pattern; i < 5; i++, rest /= 3)
                bytes[at + (size_t)i] = choices[rest % 3];
            check_scan(bytes, at + 5);
            check_scan(bytes, sizeof(bytes));
        }
    }
}

static void test_largest_head(void)
{
    enum { ROOM = HTTP_HEAD_MAX + 200 };
    struct guarded guarded;
    g_autofree char *bytes = g_malloc(ROOM);
    guarded_open(&guarded, ROOM);
    for (size_t end = HTTP_HEAD_MAX - 3; end <= HTTP_HEAD_MAX + 3; end++) {
        memset(bytes, 'a', ROOM);
        memcpy(bytes + end - 4, "\r\n\r\n", 4);
        int expected = end <= HTTP_HEAD_MAX ? (int)end : 0;
        for (size_t after = 0; after < 140; after += 23) {
            const char *placed = guarded_at_end(&guarded, bytes, end + after);
            g_assert_cmpint(check_scan(placed, end + after), ==, expected);
        }
    }
    /* What is past the limit is not looked at. */
    memset(bytes, 'a', ROOM);
    bytes[HTTP_HEAD_MAX] = '\0';
    g_assert_cmpint(check_scan(bytes, ROOM), ==, 0);
    bytes[HTTP_HEAD_MAX - 1] = '\0';
    g_assert_cmpint(check_scan(bytes, ROOM), ==, HTTP_SCAN_MALFORMED);
    guarded_close(&guarded);
}

static void test_random(void)
{
    enum { LENGTH_MAX = 700 };
    const int rounds = g_test_quick() ? 2000 : 100000;
    struct guarded guarded;
    char bytes[LENGTH_MAX];
    guarded_open(&guarded, LENGTH_MAX);
    for (int round = 0; round < rounds; round++) {
        size_t length = (size_t)g_test_rand_int_range(0, LENGTH_MAX + 1);
        fill_lines(bytes, length);
        if (length >= 4 && round % 2)
            memcpy(bytes + g_test_rand_int_range(0, (int)length - 3), "\r\n\r\n", 4);
        for (int faults = round % 4; length && faults > 0; faults--)
            bytes[g_test_rand_int_range(0, (int)length)] = random_byte(true);
        check_scan(guarded_at_end(&guarded, bytes, length), length);
    }
    guarded_close(&guarded);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/scan/list", test_list);
    g_test_add_func("/http/scan/every-length-and-alignment", test_every_length_and_alignment);
    g_test_add_func("/http/scan/every-byte", test_every_byte);
    g_test_add_func("/http/scan/every-end", test_every_end);
    g_test_add_func("/http/scan/line-ends", test_line_ends);
    g_test_add_func("/http/scan/largest-head", test_largest_head);
    g_test_add_func("/http/scan/random", test_random);
    return g_test_run();
}
