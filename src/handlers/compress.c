#include "handlers/compress.h"

#include <limits.h>
#include <stdlib.h>

#ifdef COREACTOR_BROTLI
#include <brotli/encode.h>
#endif
#ifdef COREACTOR_ZLIB
#include <zlib.h>
#endif
#ifdef COREACTOR_ZSTD
#include <zstd.h>
#endif

/* Compresses into `room` bytes. Returns how many it took, or 0 when it failed or did not fit. */
typedef size_t (*compressor)(const void *bytes, size_t length, void *made, size_t room);

#ifdef COREACTOR_BROTLI
enum { BROTLI_LEVEL = 5 }; /* the highest that is about as fast as gzip */

/* The smallest window that holds it all (RFC 7932 section 9.1: 16 bytes less than the power of
 * two): a larger one takes memory, of the client as well. */
static int brotli_window(size_t length)
{
    int bits = BROTLI_MIN_WINDOW_BITS;
    while (bits < BROTLI_DEFAULT_WINDOW && ((size_t)1 << bits) - 16 < length)
        bits++;
    return bits;
}

static size_t make_br(const void *bytes, size_t length, void *made, size_t room)
{
    size_t made_length = room;
    return BrotliEncoderCompress(BROTLI_LEVEL, brotli_window(length), BROTLI_MODE_TEXT, length,
                                 bytes, &made_length, made)
               ? made_length
               : 0;
}
#else
#define make_br NULL
#endif

#ifdef COREACTOR_ZSTD
/* Its window has at most 4 MiB; RFC 9659 lets clients refuse more than 8. */
enum { ZSTD_LEVEL = 9 };

static size_t make_zstd(const void *bytes, size_t length, void *made, size_t room)
{
    size_t made_length = ZSTD_compress(made, room, bytes, length, ZSTD_LEVEL);
    return ZSTD_isError(made_length) ? 0 : made_length;
}
#else
#define make_zstd NULL
#endif

#ifdef COREACTOR_ZLIB
enum {
    GZIP_LEVEL = 6,
    GZIP_WINDOW_BITS = 15 + 16, /* 16: as gzip; its header then holds neither a time nor a name */
    GZIP_MEMORY_LEVEL = 8,      /* zlib's own default */
};

static size_t make_gzip(const void *bytes, size_t length, void *made, size_t room)
{
    z_stream stream = {
        .next_in = (void *)bytes, /* not written to */
        .avail_in = (uInt)length,
        .next_out = made,
        .avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX,
    };
    if (length > UINT_MAX || deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS,
                                          GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    size_t made_length = deflate(&stream, Z_FINISH) == Z_STREAM_END ? stream.total_out : 0;
    deflateEnd(&stream);
    return made_length;
}
#else
#define make_gzip NULL
#endif

static const struct {
    const char *name;
    const char *suffix;
    compressor make;
} codings[CODING_COUNT] = {
    [CODING_BR] = {"br", ".br", make_br},
    [CODING_ZSTD] = {"zstd", ".zst", make_zstd},
    [CODING_GZIP] = {"gzip", ".gz", make_gzip},
    [CODING_IDENTITY] = {"identity", "", NULL},
};

const char *coding_name(enum coding coding)
{
    return codings[coding].name;
}

const char *coding_suffix(enum coding coding)
{
    return codings[coding].suffix;
}

bool coding_is_made(enum coding coding)
{
    return codings[coding].make;
}

const char *compress_versions(void)
{
    /* The definitions are the versions that were found, as texts. */
    return
#ifdef COREACTOR_BROTLI
        "brotli " COREACTOR_BROTLI
#else
        "no brotli"
#endif
#ifdef COREACTOR_ZLIB
        ", zlib " COREACTOR_ZLIB
#else
        ", no zlib"
#endif
#ifdef COREACTOR_ZSTD
        ", zstd " COREACTOR_ZSTD;
#else
        ", no zstd";
#endif
}

void *compress_bytes(enum coding coding, const void *bytes, size_t length, size_t worth,
                     size_t *made_length)
{
    /* More than any of the libraries needs, even for what cannot be compressed. */
    size_t most = length + length / 64 + 1024;
    size_t room = worth <= most ? worth : most + 1;
    if (!codings[coding].make || room <= 1)
        return NULL;
    void *made = malloc(room - 1);
    if (!made)
        return NULL;
    *made_length = codings[coding].make(bytes, length, made, room - 1);
    if (!*made_length) {
        free(made);
        return NULL;
    }
    /* Results are kept; without memory to make it smaller it stays as it is. */
    void *fitting = realloc(made, *made_length);
    return fitting ? fitting : made; /* cppcheck-suppress memleak ; realloc() has freed the other */
}
