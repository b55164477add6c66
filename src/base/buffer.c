#include "base/buffer.h"

#include <stdint.h>
#include <stdlib.h>

enum { BUFFER_MIN = 256 };

bool buffer_grow(struct buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 4 - buffer->length)
        return false;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_MIN;
    while (capacity - buffer->length < more)
        capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
