/*
 * manual.c - a program of the build: writes the man page of coreactor to the file that it is given.
 */
#include "server/options.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE *to = argc == 2 ? fopen(argv[1], "we") : NULL;
    if (!to) {
        fprintf(stderr, "usage: %s FILE, which must be writable\n", argv[0]);
        return EXIT_FAILURE;
    }
    options_write_manual(to);
    return fclose(to) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
