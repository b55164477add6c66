/*
 * options_support.h - command lines, split at spaces, that are parsed or refused.
 */
#ifndef TESTS_OPTIONS_SUPPORT_H
#define TESTS_OPTIONS_SUPPORT_H

#include "server/options.h"

/* It is; free the options. */
void accept_line(struct options *options, const char *line);

/* Refused, in one line that contains `expected`. */
void refuse_line(const char *line, const char *expected);

#endif
