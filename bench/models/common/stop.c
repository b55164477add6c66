#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

void stop_on_signal(void)
{
    const struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}
