/*
 * moving_server.c - a reactor that is as busy as the clients of its connections make it, for
 * test_balance.py:
 *
 *     moving_server ADDR:PORT THREADS --admin ADDR:PORT
 *
 *     GET /work?WORD   sleeps for 2 ms, and answers with WORD and the number of its thread
 *
 * It sleeps instead of computing, so that it takes its reactor's time and not the machine's.
 */
#include <coreactor/server.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WORK_NS = 2000000, ANSWER_MAX = 200 };

static int work(struct http_request *request, struct http_response *response, void *arg)
{
    (void)arg;
    char answer[ANSWER_MAX];
    struct http_text word = http_request_query(request);
    struct timespec left = {.tv_nsec = WORK_NS};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
    int length = snprintf(answer, sizeof(answer), "%.*s %d", (int)word.length,
                          word.bytes ? word.bytes : "", (int)gettid());
    if (length >= ANSWER_MAX)
        return 414;
    return http_respond(response, 200, "text/plain", answer, (size_t)length);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    const char *listen[] = {argv[1], NULL};
    struct server *server = server_new(&(struct server_options){
        .size = sizeof(struct server_options),
        .listen = listen,
        .threads = (unsigned)strtoul(argv[2], NULL, 10),
        .balance = SERVER_BALANCE_HANDOFF,
        .admin = argv[4],
        .stall_warning_ms = -1,
        .handle_signals = true,
        .announce = true,
    });
    server_route(server, "GET", "/work", work, NULL);
    int error = server_run(server);
    if (error)
        fprintf(stderr, "moving_server: %s\n", server_error(server));
    server_free(server);
    return error != 0;
}
