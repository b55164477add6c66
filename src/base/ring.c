#include "base/ring.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SKIP UINT64_MAX /* in place of a length: the next record is at the beginning */

_Static_assert(RING_HEADER == sizeof(uint64_t), "a header is a length");
_Static_assert(RING_HEADER == RING_ALIGN, "so that a header always fits before the end");

bool ring_init(struct ring *ring, size_t capacity)
{
    unsigned char *bytes = aligned_alloc(RING_LINE, capacity);
    if (!bytes)
        return false;
    *ring = (struct ring){.bytes = bytes, .capacity = capacity};
    atomic_init(&ring->written, 0);
    atomic_init(&ring->read, 0);
    return true;
}

void ring_fini(struct ring *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

static unsigned char *at(const struct ring *ring, size_t position)
{
    return ring->bytes + (position & (ring->capacity - 1));
}

static size_t until_end(const struct ring *ring, size_t position)
{
    return ring->capacity - (position & (ring->capacity - 1));
}

/* What a record takes with its header, so that the next one is aligned. */
static size_t taken_by(size_t length)
{
    return RING_HEADER + (length + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;
}

static uint64_t header_at(const struct ring *ring, size_t position)
{
    uint64_t header;
    memcpy(&header, at(ring, position), sizeof(header));
    return header;
}

static void set_header(struct ring *ring, size_t position, uint64_t header)
{
    memcpy(at(ring, position), &header, sizeof(header));
}

/* --- the producer --- */

bool ring_past(struct ring *ring, size_t used)
{
    size_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (written - ring->read_seen <= used)
        return false;
    /* Acquires, because what was released is written over next. */
    ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
    return written - ring->read_seen > used;
}

void *ring_reserve(struct ring *ring, size_t length)
{
    if (length > ring->capacity)
        return NULL;
    size_t position = atomic_load_explicit(&ring->written, memory_order_relaxed);
    size_t size = taken_by(length);
    size_t skipped = until_end(ring, position) < size ? until_end(ring, position) : 0;
    if (skipped + size > ring->capacity || ring_past(ring, ring->capacity - skipped - size))
        return NULL;
    if (skipped)
        set_header(ring, position, SKIP);
    set_header(ring, position + skipped, length);
    ring->pending = position + skipped + size;
    return at(ring, position + skipped) + RING_HEADER;
}

void ring_commit(struct ring *ring)
{
    atomic_store_explicit(&ring->written, ring->pending, memory_order_release);
}

/* --- the consumer --- */

const void *ring_peek(struct ring *ring, size_t *length)
{
    size_t position = atomic_load_explicit(&ring->read, memory_order_relaxed);
    if (position == ring->written_seen) {
        ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
        if (position == ring->written_seen)
            return NULL;
    }
    uint64_t header = header_at(ring, position);
    if (header == SKIP) {
        /* A record follows for certain: both were handed over at once. */
        position += until_end(ring, position);
        header = header_at(ring, position);
        atomic_store_explicit(&ring->read, position, memory_order_release);
    }
    *length = (size_t)header;
    return at(ring, position) + RING_HEADER;
}

void ring_release(struct ring *ring)
{
    size_t position = atomic_load_explicit(&ring->read, memory_order_relaxed);
    position += taken_by((size_t)header_at(ring, position));
    atomic_store_explicit(&ring->read, position, memory_order_release);
}
