/*
 * team.h - the threads of a model that has a loop in each.
 */
#ifndef MODELS_TEAM_H
#define MODELS_TEAM_H

#include "options.h"

/* Has each of `options->threads` threads call run() with a listener of its own on the port, which
 * they share by SO_REUSEPORT; `flags` are those of listen_on(). run() is not to return. Ends the
 * program when not all can be started: a listener without a loop swallows its share of the
 * connections. */
void team_run(const struct model_options *options, int flags,
              void (*run)(int listener, const struct model_options *options));

#endif
