/*
 * reactors.h - the models that are the library itself, over its public interface, with the handlers
 * that all models have.
 */
#ifndef MODELS_REACTORS_H
#define MODELS_REACTORS_H

#include "options.h"

#include <stdbool.h>

enum { REACTORS_LINKS = 1000 }; /* the default of --pool: connections to the service, of each */

/* Serves with so many reactors until SIGTERM or SIGINT; `shared`: beside other processes that do
 * the same on that port. Returns the status that the program ends with: 1, after a line on stderr,
 * when that could not be done. */
int reactors_serve(const struct model_options *options, unsigned reactors, bool shared);

#endif
