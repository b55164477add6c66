/*
 * ring.h - records of any length from one thread to one other, in bounded memory, without locks.
 *
 * One thread, the producer, reserves and commits; one other, the consumer, peeks and releases.
 * Neither ever waits for the other.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    RING_LINE = 64,  /* bytes of a cache line */
    RING_ALIGN = 8,  /* of every record */
    RING_HEADER = 8, /* bytes before every record */
};

/* Positions count bytes since the beginning; they are taken modulo the capacity, a power of two. */
struct ring {
    alignas(RING_LINE) unsigned char *bytes;
    size_t capacity;
    alignas(RING_LINE) atomic_size_t written; /* the producer's line */
    size_t read_seen;                         /* a lower bound of `read`: saves looking at it */
    size_t pending;                           /* what ring_commit() makes of `written` */
    alignas(RING_LINE) atomic_size_t read;    /* the consumer's line */
    size_t written_seen;                      /* a lower bound of `written` */
};

/* Prepares an empty ring. `capacity` is a power of two, at least 64. False when memory is short. */
bool ring_init(struct ring *ring, size_t capacity);

/* Frees what the ring holds. */
void ring_fini(struct ring *ring);

/* Producer: room for a record of `length` bytes, in one piece and aligned to RING_ALIGN, or NULL
 * when there is none at present. A record of at most half the capacity less RING_HEADER always fits
 * into an empty ring. The consumer sees nothing of it until ring_commit(). */
void *ring_reserve(struct ring *ring, size_t length);

/* Producer: hands over the record that was reserved last. */
void ring_commit(struct ring *ring);

/* Producer: whether more than `used` bytes, headers included, are not released yet. */
bool ring_past(struct ring *ring, size_t used);

/* Consumer: the oldest record and its length, or NULL when there is none. It stays valid until
 * ring_release(). */
const void *ring_peek(struct ring *ring, size_t *length);

/* Consumer: gives back the room of the record that ring_peek() returned. */
void ring_release(struct ring *ring);

#endif
