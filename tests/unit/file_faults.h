/*
 * file_faults.h - calls that fail when the test says so. The program is linked with --wrap for
 * preadv2, statx, clock_gettime, malloc, calloc and realloc.
 */
#ifndef TESTS_FILE_FAULTS_H
#define TESTS_FILE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* preadv2(): what it returns in place of reading, as negative errno; 0: nothing. */
extern int read_error;          /* of every call */
extern int read_error_once;     /* of the next */
extern int read_error_nowait;   /* of those with RWF_NOWAIT */
extern size_t read_most;        /* bytes at a time; 0: any */
extern void (*read_hook)(void); /* called before each */
extern unsigned reads;

extern int allocation_fails_in; /* the n-th from now; 0: none */
extern long clock_ahead_s;      /* added to CLOCK_REALTIME */
extern int64_t clock_at_ns;     /* what it is in place of that; 0: nothing */
extern bool whole_seconds;      /* the file system counts no fractions of them */

void no_faults(void);

#endif
