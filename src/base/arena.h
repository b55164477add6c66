/*
 * arena.h - memory that is given out in pieces and freed as one. Not for several threads.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* All zero: empty. */
struct arena {
    struct arena_block *first;  /* stays when the arena is reset */
    struct arena_block *others; /* every other one, the last first */
    char *at;                   /* what is left of the block that pieces are cut from */
    size_t left;
};

/* `size` bytes, aligned for any type, until the arena is reset or freed; of no bytes too. NULL when
 * memory is short; nothing changes. */
void *arena_alloc(struct arena *arena, size_t size);

/* What `from` has given out belongs to `to` from now on; `from` is empty. */
void arena_adopt(struct arena *to, struct arena *from);

/* Takes everything back. The first 4 KiB stay, so that whoever fills and resets an arena over and
 * over allocates nothing while that is enough. */
void arena_reset(struct arena *arena);

/* Frees everything and empties the arena. */
void arena_free(struct arena *arena);

#endif
