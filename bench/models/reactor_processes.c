/*
 * reactor_processes.c - a reactor for each process, and a process for each core: they share nothing
 * but the port, and the kernel gives each new connection to one of them by a hash of its addresses.
 * What one does wrong does not reach the others' memory; what one knows, neither.
 *
 * The parent only waits. A child that ends by itself ends the server, with status 1.
 */
#include "common/children.h"
#include "common/reactors.h"
#include "common/sockets.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, REACTORS_LINKS);
    require_port(options.port);
    children_open(options.threads);
    for (unsigned i = 0; i < options.threads; i++) {
        pid_t child = children_fork();
        if (child == 0)
            _exit(reactors_serve(&options, 1, true));
        require(child > 0, "cannot start a process");
    }
    int told = 0;
    while (told == 0 && children_count() == options.threads)
        told = children_wait(-1, -1);
    children_end();
    return told == 0;
}
