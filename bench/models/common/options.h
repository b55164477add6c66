/*
 * options.h - the command line that all models have.
 */
#ifndef MODELS_OPTIONS_H
#define MODELS_OPTIONS_H

struct model_options {
    unsigned port;    /* 127.0.0.1 is listened on */
    unsigned threads; /* loops, of models that have several; the allowed CPUs by default */
    unsigned pool;    /* processes or threads of a pool; connections to the service, of a loop */
    unsigned service_port; /* of bench/programs/service.c; 127.0.0.1, too */
};

/* Reads the command line; `pool` is the default of the model. Ends the program when that cannot be
 * done: status 2. Also raises the limit of descriptors to what is allowed. */
struct model_options model_options_read(int argc, char **argv, unsigned pool);

#endif
