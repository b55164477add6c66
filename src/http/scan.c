#include "http/scan.h"

#include <string.h>

/* What CLASSIFY finds out about 64 bytes, a bit each. */
struct scan_word {
    uint64_t cr;
    uint64_t control; /* 0x00-0x1F but HTAB, and DEL; CR is among them */
    uint64_t not_token;
};

#define SCAN_CONCAT_(a, b) a##b
#define SCAN_CONCAT(a, b)  SCAN_CONCAT_(a, b)

/* --- portable C --- */

enum { NOT_TOKEN = 1, CONTROL = 2, CR = 4 };

#define N NOT_TOKEN
#define C (NOT_TOKEN | CONTROL)
#define R (NOT_TOKEN | CONTROL | CR)
/* clang-format off */
static const unsigned char classes[256] = {
    C, C, C, C, C, C, C, C, C, N, C, C, C, R, C, C,
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
    N, 0, N, 0, 0, 0, 0, 0, N, N, 0, 0, N, 0, 0, N,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, N, N, N, N, N,
    N, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, N, N, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, 0, N, 0, C,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
};
/* clang-format on */
#undef N
#undef C
#undef R

static inline void classify_portable(const char *bytes, struct scan_word *word)
{
    *word = (struct scan_word){0};
    for (int i = 0; i < 64; i++) {
        uint64_t class = classes[(unsigned char)bytes[i]];
        word->not_token |= (class & NOT_TOKEN) << i;
        word->control |= (class & CONTROL) / CONTROL << i;
        word->cr |= (class & CR) / CR << i;
    }
}

#define SCAN_NAME   scan_portable
#define SCAN_TARGET static
#define CLASSIFY    classify_portable
#include "http/scan_loop.h"

static int supported_anywhere(void)
{
    return 1;
}

#ifdef __x86_64__
#include <immintrin.h>

/* --- SSE4.2 --- */

#define SCAN_NAME   scan_sse42
#define SCAN_TARGET __attribute__((target("sse4.2"))) static
#define CLASSIFY    classify_sse42
#define VECTOR      __m128i
#define LANES       16
#define V(op)       _mm_##op
#define VSI(op)     _mm_##op##_si128
#define LOAD(p)     _mm_loadu_si128((const __m128i *)(const void *)(p))
#define TABLE(...)  _mm_setr_epi8(__VA_ARGS__)
#define MASK(v)     (uint32_t) _mm_movemask_epi8(v)
#include "http/scan_simd.h"
/* the loop comes after, because it calls CLASSIFY */
#include "http/scan_loop.h"

static int supported_sse42(void)
{
    return __builtin_cpu_supports("sse4.2");
}

/* --- AVX2 --- */

#define SCAN_NAME   scan_avx2
#define SCAN_TARGET __attribute__((target("avx2"))) static
#define CLASSIFY    classify_avx2
#define VECTOR      __m256i
#define LANES       32
#define V(op)       _mm256_##op
#define VSI(op)     _mm256_##op##_si256
#define LOAD(p)     _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define TABLE(...)  _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define MASK(v)     (uint32_t) _mm256_movemask_epi8(v)
#include "http/scan_simd.h"
/* the loop comes after, because it calls CLASSIFY */
#include "http/scan_loop.h"

static int supported_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

const struct http_scanner http_scanners[] = {
#ifdef __x86_64__
    {"avx2", scan_avx2, supported_avx2},
    {"sse4.2", scan_sse42, supported_sse42},
#endif
    {"portable", scan_portable, supported_anywhere},
    {NULL, NULL, NULL},
};

bool http_is_tchar(char byte)
{
    return !(classes[(unsigned char)byte] & NOT_TOKEN);
}

const struct http_scanner *http_scanner_best(void)
{
    const struct http_scanner *scanner = http_scanners;
    while (!scanner->supported())
        scanner++;
    return scanner;
}
