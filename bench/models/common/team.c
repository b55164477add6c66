#include "team.h"

#include "sockets.h"

#include <glib.h>
#include <omp.h>

void team_run(const struct model_options *options, int flags,
              void (*run)(int listener, const struct model_options *options))
{
    g_autofree int *listeners = g_new(int, options->threads);
    for (unsigned i = 0; i < options->threads; i++)
        listeners[i] = listen_on(options->port, flags);
    omp_set_dynamic(0);
#pragma omp parallel num_threads(options->threads)
    {
        require(omp_get_num_threads() == (int)options->threads, "cannot start every thread");
        run(listeners[omp_get_thread_num()], options);
    }
}
