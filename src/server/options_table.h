/*
 * options_table.h - the options of the command line: the one table from which they are parsed and
 * checked (options.c), and explained in --help and in the man page (options_manual.c).
 */
#ifndef SERVER_OPTIONS_TABLE_H
#define SERVER_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* What an option takes, and what it is in struct options. */
enum option_kind {
    OPTION_FLAG,   /* nothing: an int that becomes 1 */
    OPTION_NUMBER, /* a number: an unsigned */
    OPTION_LIMIT,  /* a number: an int, -1 for 0, which switches the limit off */
    OPTION_SIZE,   /* a number that may end with K, M or G: an int64_t, -1 for 0 as above */
    OPTION_CHOICE, /* one of the words of `value`: an int, its place among them, from 1 */
    OPTION_TEXT,   /* a text: a char * */
    OPTION_TEXTS,  /* texts, each with the option before it: a char ** that ends with NULL */
};

struct option {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    size_t at;      /* where the value goes in struct options */
    uint64_t least; /* of a number */
    uint64_t most;
    const char *value;   /* what the value is called; the words of a choice, divided by '|' */
    const char *help;    /* a phrase for --help, with the default */
    const char *details; /* sentences for the man page, or "" */
};

enum { OPTION_COUNT = 38 };

extern const struct option option_table[OPTION_COUNT];

#endif
