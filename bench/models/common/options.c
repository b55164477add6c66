#include "options.h"

#include "base/cpus.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { PORT = 18600, SERVICE_PORT = 18599, MOST = 65535, DESCRIPTORS_MAX = 1 << 20 };

/* As far as it is of use: some systems allow a thousand million, and there are tables of them. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = MIN(limit.rlim_max, DESCRIPTORS_MAX);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", g_get_prgname(), what);
    exit(2);
}

struct model_options model_options_read(int argc, char **argv, unsigned pool)
{
    gint port = PORT, service_port = SERVICE_PORT, threads = (gint)cpus_allowed(),
         size = (gint)pool;
    const GOptionEntry entries[] = {
        {"port", 0, 0, G_OPTION_ARG_INT, &port, "where it listens, on 127.0.0.1", "N"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &threads, "loops, if the model has several", "N"},
        {"pool", 0, 0, G_OPTION_ARG_INT, &size, "processes, threads or connections of its pool",
         "N"},
        {"service-port", 0, 0, G_OPTION_ARG_INT, &service_port, "where the service listens", "N"},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
    GError *error = NULL;
    GOptionContext *context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    bool read = g_option_context_parse(context, &argc, &argv, &error);
    g_option_context_free(context);
    if (!read)
        fail(error->message);
    if (argc > 1)
        fail("takes options only; see --help");
    const gint numbers[] = {port, threads, size, service_port};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (numbers[i] < 1 || numbers[i] > MOST)
            fail("every number is from 1 to 65535");
    }
    raise_descriptor_limit();
    return (struct model_options){(unsigned)port, (unsigned)threads, (unsigned)size,
                                  (unsigned)service_port};
}
