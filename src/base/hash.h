/*
 * hash.h - a 64-bit hash of bytes, for tables and for telling versions apart. Not cryptographic:
 * where peers choose the bytes and collisions would cost time, the seed has to be secret.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 hash_product;

static inline uint64_t hash_mix(uint64_t one, uint64_t other)
{
    hash_product product = (hash_product)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Each eight bytes are folded in by a multiplication of 64 to 128 bits, whose halves are added. Any
 * thread. */
static inline uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    static const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / the golden ratio */
    const char *at = bytes;
    uint64_t hash = seed ^ hash_mix(length ^ odd, odd);
    uint64_t word;
    for (size_t left = length; left; left -= left < 8 ? left : 8, at += 8) {
        word = 0;
        memcpy(&word, at, left < 8 ? left : 8);
        hash = hash_mix(hash ^ word, odd ^ seed);
    }
    return hash_mix(hash, odd);
}

#endif
