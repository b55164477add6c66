/*
 * From the path of a request to that of a file: every way that is known to leave a root, to name a
 * file twice, or to smuggle a byte.
 */
#include "handlers/file_path.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

static struct guarded guarded;

struct path_case {
    const char *name;
    const char *path;
    int status;
    const char *file; /* when the status is 0 */
    bool directory;
    bool dot; /* it is 404 without dotfiles; the rest is with them */
};

#define FILE_IS(name, path, file)         \
    {                                     \
        name, path, 0, file, false, false \
    }
#define DIRECTORY_IS(name, path, file)   \
    {                                    \
        name, path, 0, file, true, false \
    }
#define DOTFILE_IS(name, path, file)     \
    {                                    \
        name, path, 0, file, false, true \
    }
#define REFUSED(name, path, status)            \
    {                                          \
        name, path, status, NULL, false, false \
    }

static const struct path_case cases[] = {
    DIRECTORY_IS("root", "/", ""),
    FILE_IS("file", "/index.html", "index.html"),
    DIRECTORY_IS("directory", "/css/", "css"),
    FILE_IS("below", "/css/site.css", "css/site.css"),
    DIRECTORY_IS("deep", "/a/b/c/d/", "a/b/c/d"),
    FILE_IS("space", "/a%20b", "a b"),
    FILE_IS("plus", "/a+b", "a+b"),
    FILE_IS("encoded-plain", "/%61%62%2Ehtml", "ab.html"),
    FILE_IS("lower-hex", "/%c3%a9", "\xc3\xa9"),
    FILE_IS("upper-hex", "/%C3%A9", "\xc3\xa9"),
    FILE_IS("raw-utf-8", "/\xc3\xa9", "\xc3\xa9"),
    FILE_IS("raw-and-encoded", "/\xc3%a9", "\xc3\xa9"),
    FILE_IS("question-mark", "/%3Fx", "?x"),
    FILE_IS("fragment", "/%23", "#"),
    FILE_IS("percent", "/100%25", "100%"),
    FILE_IS("colon", "/a:b", "a:b"),
    FILE_IS("drive", "/c:", "c:"),
    FILE_IS("matrix", "/a;b=c", "a;b=c"),
    FILE_IS("tilde", "/~root", "~root"),
    FILE_IS("star", "/*", "*"),
    FILE_IS("dots-inside", "/a..b", "a..b"),
    FILE_IS("dots-last", "/a..", "a.."),
    FILE_IS("trailing-dot", "/a.", "a."),
    FILE_IS("trailing-space", "/a%20", "a "),
    FILE_IS("quotes", "/%22'%3C%3E&", "\"'<>&"),
    FILE_IS("device", "/CON", "CON"),
    FILE_IS("stream", "/a::$DATA", "a::$DATA"),
    FILE_IS("u+00a0", "/%C2%A0", "\xc2\xa0"),
    FILE_IS("u+07ff", "/%DF%BF", "\xdf\xbf"),
    FILE_IS("u+0800", "/%E0%A0%80", "\xe0\xa0\x80"),
    FILE_IS("u+d7ff", "/%ED%9F%BF", "\xed\x9f\xbf"),
    FILE_IS("u+e000", "/%EE%80%80", "\xee\x80\x80"),
    FILE_IS("u+ffff", "/%EF%BF%BF", "\xef\xbf\xbf"),
    FILE_IS("u+10000", "/%F0%90%80%80", "\xf0\x90\x80\x80"),
    FILE_IS("u+10ffff", "/%F4%8F%BF%BF", "\xf4\x8f\xbf\xbf"),
    FILE_IS("fullwidth-dots", "/%EF%BC%8E%EF%BC%8E", "\xef\xbc\x8e\xef\xbc\x8e"),
    FILE_IS("fullwidth-slash", "/%EF%BC%8F", "\xef\xbc\x8f"),

    DOTFILE_IS("dotfile", "/.git", ".git"),
    DOTFILE_IS("dotfile-encoded", "/%2egit", ".git"),
    DOTFILE_IS("below-dotfile", "/.git/config", ".git/config"),
    DOTFILE_IS("dotfile-below", "/a/.htaccess", "a/.htaccess"),
    DOTFILE_IS("three-dots", "/...", "..."),
    DOTFILE_IS("four-dots", "/..../etc", "..../etc"),
    DOTFILE_IS("dots-space", "/..%20", ".. "),
    DOTFILE_IS("dots-semicolon", "/..;/etc", "..;/etc"),
    DOTFILE_IS("dot-colon", "/.:", ".:"),

    /* Decoded once: these are names with percent signs. */
    FILE_IS("twice-dots", "/%252e%252e", "%2e%2e"),
    FILE_IS("twice-slash", "/a%252fb", "a%2fb"),
    FILE_IS("twice-backslash", "/a%255cb", "a%5cb"),
    FILE_IS("twice-nul", "/a%2500", "a%00"),
    FILE_IS("thrice-dots", "/%25252e", "%252e"),
    FILE_IS("percent-then-digits", "/%2541", "%41"),
    FILE_IS("escaped-digits", "/%25%32%65", "%2e"),

    REFUSED("dot", "/.", 404),
    REFUSED("dots", "/..", 404),
    REFUSED("dot-directory", "/./", 404),
    REFUSED("dots-directory", "/../", 404),
    REFUSED("passwd", "/../../../../etc/passwd", 404),
    REFUSED("below-then-up", "/a/../../etc/passwd", 404),
    REFUSED("up-and-back", "/a/../a", 404),
    REFUSED("dot-inside", "/a/./b", 404),
    REFUSED("dots-at-end", "/a/..", 404),
    REFUSED("dot-at-end", "/a/.", 404),
    REFUSED("encoded-dots", "/%2e%2e/etc", 404),
    REFUSED("encoded-upper-dots", "/%2E%2E/etc", 404),
    REFUSED("half-encoded-dots", "/.%2e/etc", 404),
    REFUSED("other-half-encoded-dots", "/%2e./etc", 404),
    REFUSED("encoded-dot", "/%2e/a", 404),
    REFUSED("empty-first", "//", 404),
    REFUSED("empty-authority", "//etc/passwd", 404),
    REFUSED("empty-inside", "/a//b", 404),
    REFUSED("empty-last", "/a//", 404),
    REFUSED("many-slashes", "////////etc", 404),
    REFUSED("double-dot-double-slash", "/....//....//etc", 404),

    REFUSED("encoded-slash", "/a%2fb", 400),
    REFUSED("encoded-upper-slash", "/a%2Fb", 400),
    REFUSED("encoded-slash-first", "/%2fetc/passwd", 400),
    REFUSED("encoded-slash-last", "/a%2f", 400),
    REFUSED("dots-encoded-slash", "/..%2f..%2fetc", 400),
    REFUSED("all-encoded", "/%2e%2e%2fetc%2fpasswd", 400),
    REFUSED("first-slash-encoded", "%2fa", 400),
    REFUSED("backslash", "/a\\b", 400),
    REFUSED("dots-backslash", "/..\\..\\etc", 400),
    REFUSED("encoded-backslash", "/..%5c..%5cetc", 400),
    REFUSED("encoded-upper-backslash", "/a%5Cb", 400),
    REFUSED("share", "/%5c%5chost%5cshare", 400),

    REFUSED("nul", "/a%00", 400),
    REFUSED("nul-extension", "/passwd%00.html", 400),
    REFUSED("nul-first", "/%00", 400),
    REFUSED("dots-nul", "/..%00/", 400),
    REFUSED("tab", "/a%09b", 400),
    REFUSED("line-feed", "/a%0ab", 400),
    REFUSED("header", "/a%0d%0aSet-Cookie:b", 400),
    REFUSED("escape", "/%1b[2J", 400),
    REFUSED("unit-separator", "/%1f", 400),
    REFUSED("delete", "/a%7f", 400),
    REFUSED("raw-control", "/a\x01", 400),
    REFUSED("raw-delete", "/a\x7f", 400),
    REFUSED("u+0080", "/%C2%80", 400),
    REFUSED("next-line", "/a%C2%85b", 400),
    REFUSED("csi", "/%C2%9B2J", 400),
    REFUSED("u+009f", "/%C2%9F", 400),

    REFUSED("overlong-slash", "/..%c0%afetc", 400),
    REFUSED("overlong-slash-3", "/..%e0%80%afetc", 400),
    REFUSED("overlong-slash-4", "/..%f0%80%80%afetc", 400),
    REFUSED("overlong-slash-5", "/..%f8%80%80%80%afetc", 400),
    REFUSED("overlong-slash-6", "/..%fc%80%80%80%80%afetc", 400),
    REFUSED("overlong-dots", "/%c0%ae%c0%ae/etc", 400),
    REFUSED("overlong-backslash", "/%c1%9c", 400),
    REFUSED("overlong-nul", "/a%c0%80", 400),
    REFUSED("overlong-u+007f", "/%C1%BF", 400),
    REFUSED("overlong-u+07ff", "/%E0%9F%BF", 400),
    REFUSED("overlong-u+ffff", "/%F0%8F%BF%BF", 400),
    REFUSED("u+d800", "/%ED%A0%80", 400),
    REFUSED("u+dfff", "/%ED%BF%BF", 400),
    REFUSED("surrogate-pair", "/%ED%A0%80%ED%B0%80", 400),
    REFUSED("u+110000", "/%F4%90%80%80", 400),
    REFUSED("lead-f5", "/%F5%80%80%80", 400),
    REFUSED("lead-ff", "/%FF", 400),
    REFUSED("continuation-alone", "/%80", 400),
    REFUSED("cut-2", "/a%C3", 400),
    REFUSED("cut-3", "/a%E2%82", 400),
    REFUSED("cut-4", "/a%F0%9F%98", 400),
    REFUSED("cut-by-slash", "/a%C3/%A9", 400),
    REFUSED("latin-1", "/caf%E9", 400),
    REFUSED("raw-latin-1", "/caf\xe9", 400),

    REFUSED("percent-alone", "/%", 400),
    REFUSED("percent-last", "/a%", 400),
    REFUSED("one-digit", "/%4", 400),
    REFUSED("no-digits", "/%zz", 400),
    REFUSED("u-escape", "/%u002e%u002e", 400),
    REFUSED("percent-percent", "/%%32%65", 400),
    REFUSED("cut-by-segment", "/%2/e", 400),
    REFUSED("empty", "", 400),
    REFUSED("no-slash", "a", 400),
    REFUSED("asterisk", "*", 400),
    REFUSED("no-slash-dots", "../a", 400),

    /* The first that is wrong decides. */
    REFUSED("missing-then-malformed", "/../%", 404),
    REFUSED("malformed-then-missing", "/%/..", 400),
};

/* Decodes the path, beside memory that cannot be read. */
static int decode(const char *bytes, size_t length, bool dotfiles, struct file_path *decoded)
{
    struct http_text path = {guarded_at_end(&guarded, bytes, length), length};
    return file_path_decode(path, dotfiles, decoded);
}

static void test_case(const void *data)
{
    const struct path_case *expected = data;
    struct file_path decoded;
    for (int dotfiles = 0; dotfiles < 2; dotfiles++) {
        int status = !dotfiles && expected->dot ? 404 : expected->status;
        g_assert_cmpint(decode(expected->path, strlen(expected->path), dotfiles, &decoded), ==,
                        status);
        if (status)
            continue;
        g_assert_cmpstr(decoded.bytes, ==, expected->file);
        g_assert_cmpuint(decoded.length, ==, strlen(expected->file));
        g_assert_cmpint(decoded.directory, ==, expected->directory);
    }
}

static void test_absent(void)
{
    struct file_path decoded;
    g_assert_cmpint(file_path_decode((struct http_text){NULL, 0}, true, &decoded), ==, 400);
}

/* Any byte as it is and encoded: what gets through is what was meant, and harmless. */
static void test_every_byte(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        bool good = byte >= ' ' && byte < 0x7f && byte != '\\' && byte != '/';
        char raw[] = {'/', 'a', (char)byte, 'b'};
        g_autofree char *encoded = g_strdup_printf("/a%%%02xb", byte);
        struct file_path decoded;
        g_assert_cmpint(decode(encoded, 6, true, &decoded), ==, good ? 0 : 400);
        if (good)
            g_assert_cmpmem(decoded.bytes, decoded.length, raw + 1, 3);
        if (byte == '/' || byte == '%')
            continue;
        g_assert_cmpint(decode(raw, 4, true, &decoded), ==, good ? 0 : 400);
    }
}

/* Every code point, and what would be one if surrogates were, as UTF-8. */
static void test_every_character(void)
{
    for (gunichar character = 0; character < 0x110000; character++) {
        char name[8];
        struct http_text text = {name, (size_t)g_unichar_to_utf8(character, name)};
        bool surrogate = character >= 0xd800 && character < 0xe000;
        bool control = character < ' ' || (character >= 0x7f && character < 0xa0);
        bool slash = character == '/' || character == '\\';
        int status = surrogate || control || slash ? 400 : character == '.' ? 404 : 0;
        g_assert_cmpint(file_name_check(text, true), ==, status);
    }
}

static int decode_segment(const char *piece, unsigned times, struct file_path *decoded)
{
    g_autoptr(GString) path = g_string_new("/");
    while (times-- > 0)
        g_string_append(path, piece);
    return decode(path->str, path->len, false, decoded);
}

static void test_long_segment(void)
{
    struct file_path decoded;
    g_assert_cmpint(decode_segment("a", 255, &decoded), ==, 0);
    g_assert_cmpuint(decoded.length, ==, 255);
    g_assert_cmpint(decode_segment("a", 256, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("%61", 255, &decoded), ==, 0);
    g_assert_cmpuint(decoded.length, ==, 255);
    g_assert_cmpint(decode_segment("%61", 256, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("a", 765, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("a", 766, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("%C3%A9", 127, &decoded), ==, 0);
    g_assert_cmpint(decode_segment("%C3%A9", 128, &decoded), ==, 404);
}

static void test_long_path(void)
{
    struct file_path decoded;
    g_assert_cmpint(decode_segment("a/", 2048, &decoded), ==, 0);
    g_assert_cmpuint(decoded.length, ==, FILE_PATH_MAX - 1);
    g_assert_true(decoded.directory);
    g_assert_cmpuint(strlen(decoded.bytes), ==, decoded.length);
    g_assert_cmpint(decode_segment("a/", 2049, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("%61/", 2048, &decoded), ==, 0);
    g_assert_cmpint(decode_segment("%61/", 4000, &decoded), ==, 404);
    g_assert_cmpint(decode_segment("../", 5000, &decoded), ==, 404);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 32768);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/handlers/file-path/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/handlers/file-path/absent", test_absent);
    g_test_add_func("/handlers/file-path/every-byte", test_every_byte);
    g_test_add_func("/handlers/file-path/every-character", test_every_character);
    g_test_add_func("/handlers/file-path/long-segment", test_long_segment);
    g_test_add_func("/handlers/file-path/long-path", test_long_path);
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
