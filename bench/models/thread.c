/*
 * thread.c - a thread for each connection. It blocks whenever its client or the service has nothing
 * for it, and the kernel's scheduler finds another one to run.
 */
#include "common/blocking.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

static void *serve(void *arg)
{
    struct talk_room room = {.spare = NULL};
    serve_blocking((int)(intptr_t)arg, &room, (struct http_text){NULL, 0});
    ask_no_more();
    talk_room_close(&room);
    return NULL;
}

static void start_thread(const pthread_attr_t *attributes, int fd)
{
    pthread_t thread;
    int error = pthread_create(&thread, attributes, serve, (void *)(intptr_t)fd);
    if (!error)
        return;
    close(fd);
    report_shortage("no thread for a connection", error);
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, 1);
    pthread_attr_t attributes;
    stop_on_signal();
    blocking_service(options.service_port);
    talk_open(ask_blocking, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int listener = listen_on(options.port, 0);
    for (;;) {
        int fd = accept_blocking(listener);
        if (fd >= 0)
            start_thread(&attributes, fd);
    }
}
