#include "memory_support.h"

#include <stddef.h>

int failures_due;

void *wrap_realloc(void *bytes, size_t length) __asm__("__wrap_realloc");
void *real_realloc(void *bytes, size_t length) __asm__("__real_realloc");

void *wrap_realloc(void *bytes, size_t length)
{
    if (failures_due > 0) {
        failures_due--;
        return NULL;
    }
    return real_realloc(bytes, length);
}
