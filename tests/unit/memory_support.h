/*
 * memory_support.h - memory that ends. The program is linked with --wrap for realloc.
 */
#ifndef TESTS_MEMORY_SUPPORT_H
#define TESTS_MEMORY_SUPPORT_H

/* So many calls of realloc() fail from now on. */
extern int failures_due;

#endif
