/*
 * options.h - the command line: parsed, explained (--help) and documented (the man page) from one
 * table, options_table.c.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <coreactor/server.h>

#include "handlers/files.h"

#include <stdio.h>

/* The words of --access-log-format, as they are numbered in struct options. */
enum { OPTIONS_COMBINED = 1, OPTIONS_JSON = 2 };

/* The last word of --balance; the others are numbered as in enum server_balance. */
enum { OPTIONS_BALANCE_AUTO = 4 };

struct options {
    struct server_options server;
    char **listen;              /* NULL-terminated, owned; NULL: the default */
    char *access_log;           /* owned; NULL: none */
    int access_log_format;      /* 0: not given */
    struct files_options files; /* its texts are those below */
    char *root;                 /* owned; NULL: the built-in page */
    int listing;                /* flags are as wide as GOption's */
    int dotfiles;
    int follow_symlinks;
    int no_compression;
    char **cache_control; /* owned, as `listen` is */
    char **headers;
    char *not_found; /* owned; NULL: none */
    char *fallback;
    int balance; /* 0: not given */
    int keep_connections;
    int stall_trace;
    char *admin; /* owned; NULL: none */
    int admin_anywhere;
    int quiet;
    int help;
    int version;
};

/* Reads the arguments. False with a one-line text in `*message` (to be freed with g_free()) when
 * they are no valid use of the program. */
bool options_parse(struct options *options, int argc, char **argv, char **message);

void options_free(struct options *options);

/* Writes the help, or the man page's source (man(7)). */
void options_write_help(FILE *to);
void options_write_manual(FILE *to);

#endif
