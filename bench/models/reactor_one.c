/*
 * reactor_one.c - one reactor: a thread that waits for all its descriptors at once with epoll, and
 * serves whatever is ready. Nobody else runs, so nothing is locked and nobody is switched to; but
 * there is one core, and a handler that takes long keeps all others waiting.
 */
#include "common/reactors.h"

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, REACTORS_LINKS);
    return reactors_serve(&options, 1, false);
}
