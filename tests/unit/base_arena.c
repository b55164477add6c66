/* An arena: pieces of its memory, and what stays of it. */
#include "base/arena.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

/* --- injection --- */

static unsigned malloc_count;
static size_t malloc_largest;
static bool malloc_fails;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    malloc_count++;
    malloc_largest = MAX(malloc_largest, size);
    return malloc_fails ? NULL : __real_malloc(size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void *alloc(struct arena *arena, size_t size)
{
    void *piece = arena_alloc(arena, size);
    g_assert_nonnull(piece);
    g_assert_cmpuint((uintptr_t)piece % _Alignof(max_align_t), ==, 0);
    return piece;
}

static void test_arena_pieces_do_not_overlap(void)
{
    enum { COUNT = 3000 };
    struct arena arena = {0};
    g_autofree unsigned char **pieces = g_new(unsigned char *, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = alloc(&arena, i * 7 % 1500);
        memset(pieces[i], (int)(i % 251), i * 7 % 1500);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < i * 7 % 1500; k++)
            g_assert_cmpuint(pieces[i][k], ==, i % 251);
    }
    arena_free(&arena);
}

static void test_arena_every_size(void)
{
    struct arena arena = {0};
    for (size_t size = 0; size <= 3 * BLOCK; size++) {
        memset(alloc(&arena, size), 'x', size);
        if (size % 7 == 0)
            arena_reset(&arena);
    }
    arena_free(&arena);
}

static void test_arena_piece_of_no_bytes_has_a_place(void)
{
    struct arena arena = {0};
    void *first = alloc(&arena, 0);
    void *second = alloc(&arena, 0);
    g_assert_true(first != second);
    arena_free(&arena);
}

static void test_arena_keeps_its_first_block(void)
{
    struct arena arena = {0};
    malloc_count = 0;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++)
            memset(alloc(&arena, 32), round, 32);
        arena_reset(&arena);
    }
    g_assert_cmpuint(malloc_count, ==, 1);
    /* Also when the first piece is nearly all of it. */
    void *piece = alloc(&arena, 4000);
    arena_reset(&arena);
    g_assert_true(alloc(&arena, 4000) == piece);
    g_assert_cmpuint(malloc_count, ==, 1);
    arena_free(&arena);
}

/* One long header does not make each connection hold that much for ever. */
static void test_arena_frees_the_rest_at_reset(void)
{
    struct arena arena = {0};
    void *piece = alloc(&arena, 8);
    for (int i = 0; i < 10; i++) {
        alloc(&arena, 1 << 20);
        alloc(&arena, 1000);
    }
    g_assert_nonnull(arena.others);
    arena_reset(&arena);
    g_assert_null(arena.others);
    malloc_count = 0;
    g_assert_true(alloc(&arena, 8) == piece);
    g_assert_cmpuint(malloc_count, ==, 0);
    arena_free(&arena);
}

static void test_arena_large_piece_leaves_the_block(void)
{
    struct arena arena = {0};
    char *before = alloc(&arena, 16);
    alloc(&arena, 100000);
    g_assert_true((char *)alloc(&arena, 16) == before + 16);
    arena_free(&arena);
    /* Large from the beginning. */
    malloc_count = 0;
    memset(alloc(&arena, 100000), 'x', 100000);
    arena_reset(&arena);
    memset(alloc(&arena, 100000), 'x', 100000);
    g_assert_cmpuint(malloc_count, ==, 2);
    arena_free(&arena);
}

static void test_arena_blocks_have_four_kib(void)
{
    struct arena arena = {0};
    malloc_largest = 0;
    for (int i = 0; i < 1000; i++)
        alloc(&arena, 16);
    g_assert_cmpuint(malloc_largest, ==, BLOCK);
    arena_free(&arena);
}

static void test_arena_free_twice_and_use_again(void)
{
    struct arena arena = {0};
    arena_reset(&arena);
    arena_free(&arena);
    alloc(&arena, 100);
    alloc(&arena, 5000);
    arena_free(&arena);
    g_assert_null(arena.first);
    g_assert_null(arena.others);
    g_assert_cmpuint(arena.left, ==, 0);
    arena_free(&arena);
    alloc(&arena, 100);
    arena_free(&arena);
}

/* What one arena has given out lives as long as the other. */
static void test_arena_adopted_pieces_stay(void)
{
    static const size_t sizes[] = {0, 100, 5000};
    for (size_t i = 0; i < 9; i++) {
        struct arena to = {0};
        struct arena from = {0};
        char *own = sizes[i / 3] ? alloc(&to, sizes[i / 3]) : NULL;
        char *other = sizes[i % 3] ? alloc(&from, sizes[i % 3]) : NULL;
        if (own)
            memset(own, 'o', sizes[i / 3]);
        if (other)
            memset(other, 'x', sizes[i % 3]);
        arena_adopt(&to, &from);
        g_assert_true(!from.first && !from.others && !from.left);
        memset(alloc(&from, 16), '-', 16);
        arena_free(&from);
        memset(alloc(&to, 2000), '-', 2000);
        for (size_t k = 0; k < sizes[i / 3]; k++)
            g_assert_cmpint(own[k], ==, 'o');
        for (size_t k = 0; k < sizes[i % 3]; k++)
            g_assert_cmpint(other[k], ==, 'x');
        arena_reset(&to);
        arena_free(&to);
    }
}

static void assert_unchanged_by(struct arena *arena, size_t size)
{
    struct arena before = *arena;
    g_assert_null(arena_alloc(arena, size));
    g_assert_true(arena->first == before.first && arena->others == before.others);
    g_assert_true(arena->at == before.at && arena->left == before.left);
}

static void test_arena_without_memory_is_unchanged(void)
{
    static const size_t sizes[] = {0, 1, 1024, 1025, 4080, 4096, 4097, 1 << 20};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct arena arena = {0};
        malloc_fails = true;
        assert_unchanged_by(&arena, sizes[i]);
        malloc_fails = false;
        char *piece = alloc(&arena, 4000);
        memset(piece, 'x', 4000);
        malloc_fails = true;
        assert_unchanged_by(&arena, sizes[i] + 4096 - 4000);
        g_assert_nonnull(arena_alloc(&arena, 16)); /* there is room in the block */
        malloc_fails = false;
        for (int k = 0; k < 4000; k++)
            g_assert_cmpint(piece[k], ==, 'x');
        arena_free(&arena);
    }
}

static void test_arena_sizes_do_not_overflow(void)
{
    /* Variables, because the compiler warns about such sizes. */
    static volatile size_t sizes[] = {
        SIZE_MAX,        SIZE_MAX - 1,     SIZE_MAX - 15,       SIZE_MAX - 16,
        SIZE_MAX - 4096, SIZE_MAX / 2 + 1, (size_t)PTRDIFF_MAX, PTRDIFF_MAX - 4000u};
    struct arena arena = {0};
    for (int used = 0; used < 2; used++) {
        malloc_count = 0;
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
            assert_unchanged_by(&arena, sizes[i]);
        g_assert_cmpuint(malloc_count, ==, 0);
        alloc(&arena, 1);
    }
    arena_free(&arena);
}

#define ADD(path, function) g_test_add_func("/base/arena/" path, test_arena_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("pieces", pieces_do_not_overlap);
    ADD("every-size", every_size);
    ADD("no-bytes", piece_of_no_bytes_has_a_place);
    ADD("keeps-first", keeps_its_first_block);
    ADD("frees-the-rest", frees_the_rest_at_reset);
    ADD("large-piece", large_piece_leaves_the_block);
    ADD("block-size", blocks_have_four_kib);
    ADD("free-twice", free_twice_and_use_again);
    ADD("adopted", adopted_pieces_stay);
    ADD("no-memory", without_memory_is_unchanged);
    ADD("overflow", sizes_do_not_overflow);
    return g_test_run();
}
