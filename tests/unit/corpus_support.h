/*
 * corpus_support.h - a fuzz target's committed inputs, gone through without the fuzzer.
 */
#ifndef TESTS_CORPUS_SUPPORT_H
#define TESTS_CORPUS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/* The target that is linked in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Called for each file, after the target has run on it. */
typedef void (*corpus_check)(const char *name, const char *bytes, size_t length);

/* Runs the target, and `check` unless it is NULL, on all files of the folder, at least `least`. */
void corpus_each(const char *folder, int least, corpus_check check);

#endif
