/*
 * buffer.h - bytes that grow at the end. Not for several threads.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
    char *bytes;
    size_t length;
    size_t capacity;
};

/* Makes room for `more` bytes after the end, by doubling. False when memory is short; nothing
 * changes. */
bool buffer_grow(struct buffer *buffer, size_t more);

/* Frees the bytes and empties the buffer. */
void buffer_free(struct buffer *buffer);

static inline bool buffer_reserve(struct buffer *buffer, size_t more)
{
    return buffer->capacity - buffer->length >= more || buffer_grow(buffer, more);
}

/* Appends to a buffer that has the room. */
static inline void buffer_put(struct buffer *buffer, const void *bytes, size_t length)
{
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

#endif
