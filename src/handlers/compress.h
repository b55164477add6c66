/*
 * compress.h - content codings (RFC 9110 section 8.4.1): gzip by zlib, br by brotli, zstd.
 *
 * Each library is optional when this is built; what is not there cannot be made.
 */
#ifndef HANDLERS_COMPRESS_H
#define HANDLERS_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

/* In the order of preference among equals. */
enum coding { CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_IDENTITY, CODING_COUNT };

/* As in Content-Encoding: "br", "zstd", "gzip", "identity". */
const char *coding_name(enum coding coding);

/* The end of the name of a file that holds this form of another: ".br", ".zst", ".gz", "". */
const char *coding_suffix(enum coding coding);

/* Whether this build can make it; not for CODING_IDENTITY. */
bool coding_is_made(enum coding coding);

/* For --version: "brotli 1.0.9, zlib 1.2.13, zstd 1.5.4" or "no brotli, ..."; static. */
const char *compress_versions(void);

/* Compresses `length` bytes. The result has `*made_length` bytes and is to be freed with free();
 * NULL when memory is short, the coding is not to be had, or it would not be smaller than `worth`
 * bytes. Any thread; takes milliseconds. */
void *compress_bytes(enum coding coding, const void *bytes, size_t length, size_t worth,
                     size_t *made_length);

#endif
