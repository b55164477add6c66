/*
 * options.h - the command line: one table from which it is parsed, explained (--help) and
 * documented (the man page).
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <coreactor/server.h>

#include <stdio.h>

struct options {
    struct server_options server;
    char **listen; /* NULL-terminated, owned; NULL: the default */
    int quiet;     /* flags are as wide as GOption's */
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
