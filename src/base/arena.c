#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    _Alignas(max_align_t) char bytes[];
};

enum {
    ALIGNMENT = _Alignof(max_align_t),
    BLOCK_MAX = 4096 - sizeof(struct arena_block), /* bytes of a block that pieces are cut from */
    /* A larger piece gets a block of its own: it would waste too much of the block it ends. */
    PIECE_MAX = BLOCK_MAX / 4,
};

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = malloc(sizeof(*block) + size);
    if (block)
        block->next = NULL;
    return block;
}

static void add_other(struct arena *arena, struct arena_block *block)
{
    block->next = arena->others;
    arena->others = block;
}

static void *alloc_alone(struct arena *arena, size_t size)
{
    struct arena_block *block = block_new(size);
    if (!block)
        return NULL;
    add_other(arena, block);
    return block->bytes;
}

static void begin(struct arena *arena, struct arena_block *block)
{
    arena->at = block->bytes;
    arena->left = BLOCK_MAX;
}

static struct arena_block *begin_new(struct arena *arena)
{
    struct arena_block *block = block_new(BLOCK_MAX);
    if (!block)
        return NULL;
    if (arena->first)
        add_other(arena, block);
    else
        arena->first = block;
    begin(arena, block);
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > PTRDIFF_MAX - BLOCK_MAX)
        return NULL;
    /* A piece of no bytes has a place of its own as well. */
    size = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (size > arena->left) {
        if (size > BLOCK_MAX || (size > PIECE_MAX && arena->first))
            return alloc_alone(arena, size);
        if (!begin_new(arena))
            return NULL;
    }
    char *piece = arena->at;
    arena->at += size;
    arena->left -= size;
    return piece;
}

void arena_adopt(struct arena *to, struct arena *from)
{
    while (from->others) {
        struct arena_block *block = from->others;
        from->others = block->next;
        add_other(to, block);
    }
    if (from->first)
        add_other(to, from->first);
    *from = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    while (arena->others) {
        struct arena_block *block = arena->others;
        arena->others = block->next;
        free(block);
    }
    if (arena->first)
        begin(arena, arena->first);
}

void arena_free(struct arena *arena)
{
    arena_reset(arena);
    free(arena->first);
    *arena = (struct arena){0};
}
