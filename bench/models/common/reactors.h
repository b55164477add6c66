/*
 * reactors.h - the models that are the library itself, over its public interface, with the handlers
 * that all models have.
 */
#ifndef MODELS_REACTORS_H
#define MODELS_REACTORS_H

#include "options.h"

/* Serves with so many reactors until SIGTERM or SIGINT. Returns the status that the program ends
 * with: 1, after a line on stderr, when that could not be done. */
int reactors_serve(const struct model_options *options, unsigned reactors);

#endif
