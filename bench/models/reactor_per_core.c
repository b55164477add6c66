/*
 * reactor_per_core.c - the library as it is: a reactor for each core, each a thread with an epoll
 * set, connections and connections to the service of its own. Threads share nothing on the way of a
 * request; new connections go to the reactor that has least to do.
 */
#include "common/reactors.h"

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, REACTORS_LINKS);
    return reactors_serve(&options, options.threads, false);
}
