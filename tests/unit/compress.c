/* What is made decodes to what it was made from, by the decoders of the same libraries. */
#include "handlers/compress.h"

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef COREACTOR_BROTLI
#include <brotli/decode.h>
#endif
#ifdef COREACTOR_ZLIB
#include <zlib.h>
#endif
#ifdef COREACTOR_ZSTD
#include <zstd.h>
#endif

/* --- decoding --- */

#ifdef COREACTOR_BROTLI
static size_t decode_br(const void *made, size_t made_length, void *bytes, size_t room)
{
    g_assert_cmpint(BrotliDecoderDecompress(made_length, made, &room, bytes), ==,
                    BROTLI_DECODER_RESULT_SUCCESS);
    return room;
}
#else
#define decode_br NULL
#endif

#ifdef COREACTOR_ZSTD
static size_t decode_zstd(const void *made, size_t made_length, void *bytes, size_t room)
{
    size_t length = ZSTD_decompress(bytes, room, made, made_length);
    g_assert_false(ZSTD_isError(length));
    return length;
}
#else
#define decode_zstd NULL
#endif

#ifdef COREACTOR_ZLIB
static size_t decode_gzip(const void *made, size_t made_length, void *bytes, size_t room)
{
    z_stream stream = {
        .next_in = (void *)made,
        .avail_in = (uInt)made_length,
        .next_out = bytes,
        .avail_out = (uInt)room,
    };
    g_assert_cmpint(inflateInit2(&stream, 15 + 16), ==, Z_OK);
    g_assert_cmpint(inflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    g_assert_cmpuint(stream.avail_in, ==, 0);
    inflateEnd(&stream);
    return stream.total_out;
}
#else
#define decode_gzip NULL
#endif

static size_t (*const decoders[CODING_COUNT])(const void *made, size_t made_length, void *bytes,
                                              size_t room) = {
    [CODING_BR] = decode_br,
    [CODING_ZSTD] = decode_zstd,
    [CODING_GZIP] = decode_gzip,
};

/* --- what is compressed --- */

static char *text_of(size_t length)
{
    static const char words[] = "<li class=\"entry\"><a href=\"/some/where\">a thing</a></li>\n";
    char *text = g_malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = i % 97 ? words[i % (sizeof(words) - 1)] : (char)('a' + i / 97 % 26);
    return text;
}

static uint8_t *noise_of(size_t length)
{
    GRand *random = g_rand_new_with_seed(20261122);
    uint8_t *noise = g_malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        noise[i] = (uint8_t)g_rand_int(random);
    g_rand_free(random);
    return noise;
}

static void assert_round_trip(enum coding coding, const void *bytes, size_t length)
{
    size_t made_length = 0;
    void *made = compress_bytes(coding, bytes, length, SIZE_MAX, &made_length);
    g_assert_nonnull(made);
    char *decoded = g_malloc(length + 1);
    size_t decoded_length = decoders[coding](made, made_length, decoded, length + 1);
    g_assert_cmpmem(decoded, decoded_length, bytes, length);
    g_free(decoded);
    free(made);
}

static const size_t lengths[] = {0, 1, 20, 1000, 65535, 65536, 70000, 1 << 20, 5 << 20};

static void test_round_trip(gconstpointer data)
{
    enum coding coding = GPOINTER_TO_INT(data);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        char *text = text_of(lengths[i]);
        assert_round_trip(coding, text, lengths[i]);
        g_free(text);
    }
}

/* With any limit there is room for what cannot be made smaller. */
static void test_noise(gconstpointer data)
{
    enum coding coding = GPOINTER_TO_INT(data);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        size_t made_length;
        uint8_t *noise = noise_of(lengths[i]);
        assert_round_trip(coding, noise, lengths[i]);
        g_assert_null(compress_bytes(coding, noise, lengths[i], lengths[i], &made_length));
        g_free(noise);
    }
}

static void test_smaller_than_worth(gconstpointer data)
{
    enum coding coding = GPOINTER_TO_INT(data);
    size_t length = 20000;
    size_t least = 0;
    size_t made_length = 0;
    char *text = text_of(length);
    free(compress_bytes(coding, text, length, SIZE_MAX, &least));
    g_assert_cmpuint(least, >, 0);
    g_assert_cmpuint(least, <, length / 4);
    static const size_t none[] = {0, 1, 2, 100};
    for (size_t i = 0; i < G_N_ELEMENTS(none); i++)
        g_assert_null(compress_bytes(coding, text, length, none[i], &made_length));
    g_assert_null(compress_bytes(coding, text, length, least, &made_length));
    for (size_t worth = least + 1; worth < length; worth *= 2) {
        void *made = compress_bytes(coding, text, length, worth, &made_length);
        /* What fits barely may be refused by a library that wants some room to work in. */
        g_assert_true(made || worth < least + 64);
        g_assert_true(!made || made_length < worth);
        free(made);
    }
    g_free(text);
}

/* A validator that is made from the bytes stays the same. */
static void test_same_bytes_twice(gconstpointer data)
{
    enum coding coding = GPOINTER_TO_INT(data);
    size_t lengths_made[2];
    void *made[2];
    char *text = text_of(100000);
    for (int i = 0; i < 2; i++)
        made[i] = compress_bytes(coding, text, 100000, SIZE_MAX, &lengths_made[i]);
    g_assert_cmpmem(made[0], lengths_made[0], made[1], lengths_made[1]);
    free(made[0]);
    free(made[1]);
    g_free(text);
}

#ifdef COREACTOR_ZLIB
/* RFC 1952 section 2.3: neither a time nor a name, which would tell of this machine. */
static void test_gzip_header(void)
{
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
    size_t made_length = 0;
    void *made = compress_bytes(CODING_GZIP, "text", 4, SIZE_MAX, &made_length);
    g_assert_cmpuint(made_length, >, 18);
    g_assert_cmpmem(made, sizeof(header), header, sizeof(header));
    free(made);
}
#endif

#ifdef COREACTOR_ZSTD
/* RFC 9659: clients need not have room for more than 8 MiB; a frame that is one segment needs as
 * much as its content. */
static void test_zstd_window(void)
{
    size_t length = (size_t)20 << 20;
    size_t made_length = 0;
    char *text = text_of(length);
    uint8_t *made = compress_bytes(CODING_ZSTD, text, length, SIZE_MAX, &made_length);
    g_assert_nonnull(made);
    g_assert_cmpuint(made_length, >, 6);
    g_assert_cmpint(made[4] & 0x20, ==, 0); /* RFC 8878 section 3.1.1.1: not a single segment */
    g_assert_cmpint(10 + (made[5] >> 3), <=, 22);
    free(made);
    g_free(text);
}
#endif

/* --- names --- */

static void test_names(void)
{
    static const char *const names[CODING_COUNT] = {"br", "zstd", "gzip", "identity"};
    static const char *const suffixes[CODING_COUNT] = {".br", ".zst", ".gz", ""};
    for (int coding = 0; coding < CODING_COUNT; coding++) {
        g_assert_cmpstr(coding_name(coding), ==, names[coding]);
        g_assert_cmpstr(coding_suffix(coding), ==, suffixes[coding]);
        g_assert_cmpint(coding_is_made(coding), ==, decoders[coding] != NULL);
    }
}

static void test_what_is_not_made(void)
{
    size_t made_length;
    for (int coding = 0; coding < CODING_COUNT; coding++) {
        if (!coding_is_made(coding))
            g_assert_null(compress_bytes(coding, "text", 4, SIZE_MAX, &made_length));
    }
}

static void assert_told(bool made, const char *library)
{
    char *without = g_strconcat("no ", library, NULL);
    g_assert_nonnull(strstr(compress_versions(), library));
    g_assert_cmpint(strstr(compress_versions(), without) == NULL, ==, made);
    g_free(without);
}

static void test_versions(void)
{
    assert_told(coding_is_made(CODING_BR), "brotli");
    assert_told(coding_is_made(CODING_GZIP), "zlib");
    assert_told(coding_is_made(CODING_ZSTD), "zstd");
}

static void add_for(enum coding coding, const char *name, GTestDataFunc test)
{
    char *path = g_strdup_printf("/compress/%s/%s", coding_name(coding), name);
    g_test_add_data_func(path, GINT_TO_POINTER(coding), test);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int coding = 0; coding < CODING_COUNT; coding++) {
        if (!coding_is_made(coding))
            continue;
        add_for(coding, "round-trip", test_round_trip);
        add_for(coding, "noise", test_noise);
        add_for(coding, "worth", test_smaller_than_worth);
        add_for(coding, "same-bytes", test_same_bytes_twice);
    }
#ifdef COREACTOR_ZLIB
    g_test_add_func("/compress/gzip/header", test_gzip_header);
#endif
#ifdef COREACTOR_ZSTD
    g_test_add_func("/compress/zstd/window", test_zstd_window);
#endif
    g_test_add_func("/compress/names", test_names);
    g_test_add_func("/compress/not-made", test_what_is_not_made);
    g_test_add_func("/compress/versions", test_versions);
    return g_test_run();
}
