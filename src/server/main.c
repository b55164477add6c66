#include "base/log.h"
#include "handlers/compress.h"
#include "handlers/page.h"
#include "http/parser.h"
#include "net/balance_kernel.h"
#include "server/options.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* Connections cost a descriptor each, so take as many as we may. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* A missing standard stream would give its number to a socket. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void print_version(void)
{
    printf("coreactor %s\n", coreactor_version());
    printf("compiler: %s\n", COREACTOR_COMPILER);
    printf("build: %s%s%s\n", COREACTOR_BUILD_TYPE, COREACTOR_SANITIZERS[0] ? ", sanitizers " : "",
           COREACTOR_SANITIZERS);
    printf("features: openmp %d, glib %d.%d.%d, byte scanner %s, %s, %s\n", _OPENMP,
           GLIB_MAJOR_VERSION, GLIB_MINOR_VERSION, GLIB_MICRO_VERSION, http_parser_scanner(),
           balance_kernel_version(), compress_versions());
}

/* Runs a server of `files`, or of the built-in page without any. */
static int run(const struct options *options, struct files *files)
{
    struct server_options server_options = options->server;
    server_options.handle_signals = true;
    if (files) {
        server_options.reactor_start = files_start;
        server_options.reactor_stop = files_stop;
        server_options.reactor_arg = files;
        server_options.handler_descriptors = FILES_DESCRIPTORS;
    }
    struct server *server = server_new(&server_options);
    if (!server) {
        g_critical("out of memory");
        return EXIT_FAILURE;
    }
    server_route(server, "GET", "/*", files ? files_handler : page_handler, NULL);
    int error = server_run(server);
    if (error)
        g_critical("%s", server_error(server));
    server_free(server);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int serve(const struct options *options)
{
    struct files *files = NULL;
    char *message;
    if (options->root) {
        files = files_new(&options->files, &message);
        if (!files) {
            g_critical("%s", message);
            g_free(message);
            return EXIT_FAILURE;
        }
    }
    int status = run(options, files);
    files_free(files);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    char *message;
    int status = EXIT_SUCCESS;
    open_standard_streams();
    log_to_stderr();
    g_set_prgname("coreactor");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* before and after the run, when there is nothing to reopen */
    raise_descriptor_limit();
    if (!options_parse(&options, argc, argv, &message)) {
        g_critical("%s; see coreactor --help", message);
        g_free(message);
        status = EXIT_USAGE;
    } else if (options.help) {
        options_write_help(stdout);
    } else if (options.version) {
        print_version();
    } else {
        status = serve(&options);
    }
    options_free(&options);
    if ((options.help || options.version) && fflush(stdout) != 0) {
        g_critical("cannot write to standard output");
        status = EXIT_FAILURE;
    }
    return status;
}
