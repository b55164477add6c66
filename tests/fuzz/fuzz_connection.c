/*
 * fuzz_connection.c - libFuzzer target for a whole connection: a worker on its reactor at one end
 * of a socket pair, a client that does what the input says at the other.
 *
 * The first line of an input is the client's script, a letter a step, from the first again while
 * there is something to say; the rest is what it says. README.md beside this file has the letters.
 *
 * Time is the input's too: the program is linked with --wrap=clock_gettime. The worker is used by
 * all inputs in turn, which is fast, and shows what one connection leaves behind for the next.
 */
#include "connection_peer.h"
#include "net/connection.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    STEPS_MAX = 300,
    RECEIVED_MAX = 8 << 20,
    SETTLE_MAX = 20000, /* turns; far more than any input needs */
    QUIET_TURNS = 10,   /* of 1 ms: more than a handler takes */
    DESCRIPTORS_MAX = 64,
    WINDOW_MS = 5000, /* after which a client may be too slow */
};

/* What became of the last input, for the unit test. */
struct answered fuzz_connection_answered;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the clock --- */

int wrap_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__wrap_clock_gettime");
int real_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__real_clock_gettime");

static uint64_t clock_ms = 1000000;

int wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_MONOTONIC)
        return real_clock_gettime(clock, time);
    *time = (struct timespec){.tv_sec = (time_t)(clock_ms / 1000),
                              .tv_nsec = (long)(clock_ms % 1000 * 1000000)};
    return 0;
}

/* --- the server --- */

static struct service service = {
    .limits = {.head_bytes = HEAD_MAX,
               .target_bytes = TARGET_MAX,
               .field_count = FIELDS_MAX,
               .body_bytes = BODY_MAX},
    .header_timeout_ms = 10000,
    .idle_timeout_ms = 75000,
    .min_body_rate = 240,
    .min_write_rate = 240,
    .max_requests = 30,
    .max_connections = 10,
    .drain_timeout_ms = 10000,
};
static struct reactor *reactor;
static struct worker worker;

static void open_worker(void)
{
    service.router = handlers_router();
    reactor = reactor_new();
    CHECK(reactor && worker_init(&worker, reactor, &service, 1) == 0);
    worker.next_warning_ns = UINT64_MAX;
}

static void turn(void)
{
    CHECK(reactor_run(reactor, 0) >= 0);
}

/* --- the client --- */

struct client {
    int fd; /* -1 once it has closed */
    int served_fd;
    const char *bytes;
    size_t length;
    size_t sent;
    bool half_closed;
    bool ended; /* the server has closed */
    size_t passed_ms;
    size_t received;
};

static char received[RECEIVED_MAX];

static void client_open(struct client *client)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(worker_reserve_connection(&worker));
    CHECK(connection_open(&worker,
                          &(struct visitor){.fd = fds[1], .peer.any.sa_family = AF_UNIX}) == 0);
    client->fd = fds[0];
    client->served_fd = fds[1];
}

static void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void client_say(struct client *client, size_t most)
{
    size_t left = client->length - client->sent;
    if (client->fd < 0 || client->half_closed || left == 0)
        return;
    ssize_t count =
        send(client->fd, client->bytes + client->sent, most < left ? most : left, MSG_NOSIGNAL);
    if (count > 0)
        client->sent += (size_t)count;
}

static void client_hear(struct client *client, size_t most)
{
    while (client->fd >= 0 && !client->ended && most) {
        CHECK(client->received < RECEIVED_MAX);
        size_t room = RECEIVED_MAX - client->received;
        ssize_t count = recv(client->fd, received + client->received, most < room ? most : room, 0);
        if (count < 0 && errno == EAGAIN)
            return;
        client->ended = count <= 0;
        if (count > 0) {
            client->received += (size_t)count;
            most -= (size_t)count;
        }
    }
}

static void pass(struct client *client, size_t time_ms)
{
    clock_ms += time_ms;
    client->passed_ms += time_ms;
}

static void client_step(struct client *client, char step)
{
    if (step >= '0' && step <= '9')
        client_say(client, (size_t)1 << (step - '0'));
    else if (step == 'A')
        client_say(client, SIZE_MAX);
    else if (step == 'r')
        client_hear(client, 1000);
    else if (step == 'R')
        client_hear(client, SIZE_MAX);
    else if (step == 't')
        pass(client, 4);
    else if (step == 'T')
        pass(client, 1000);
    else if (step == 'W')
        pass(client, WINDOW_MS + 1000);
    else if (step == 'L')
        pass(client, 100000);
    else if (step == 'h' && client->fd >= 0)
        client->half_closed = shutdown(client->fd, SHUT_WR) == 0;
    else if (step == 'c')
        client_close(client);
    else if (step == 'd')
        atomic_store(&service.draining, true);
    else if (step == 's' && client->sent == 0) /* no event yet: the server has the socket still */
        setsockopt(client->served_fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
}

/* Says the rest, hears everything, and waits for as long as handlers take. */
static void client_settle(struct client *client)
{
    unsigned quiet = 0;
    for (unsigned i = 0; quiet < (handlers.pending ? QUIET_TURNS : 2); i++) {
        size_t before = client->sent + client->received + handlers.calls;
        CHECK(i < SETTLE_MAX);
        client_say(client, SIZE_MAX);
        turn();
        client_hear(client, SIZE_MAX);
        clock_ms++;
        bool same = client->sent + client->received + handlers.calls == before;
        quiet = same ? quiet + 1 : 0;
    }
}

/* --- what must hold --- */

static void check_conversation(const struct client *client)
{
    static struct said said;
    static char *bodies;
    free(bodies);
    bodies = malloc(client->sent + 1);
    CHECK(bodies);
    said_read(&said, client->bytes, client->sent, bodies);
    struct answered *answered = &fuzz_connection_answered;
    answered_read(answered, &said, received, client->received, client->ended);
    bool certain = said.certain == SIZE_MAX || answered->closes;
    if (!certain || handlers.tore || handlers.never || client->half_closed || client->fd < 0 ||
        client->passed_ms >= WINDOW_MS)
        return;
    /* A client that is fast and patient gets every answer, and the end only after it was announced
     * or after a request that is not well-formed. */
    if (client->ended)
        CHECK(answered->closes || answered->finals + answered->partial > said.complete ||
              said.complete < said.count);
    else
        CHECK(answered->finals >= said.complete);
    CHECK(!answered->partial || answered->finals >= said.complete);
    /* The end may wait for the body of the request that was answered last. */
    CHECK(client->ended || !answered->closes || answered->finals > said.complete);
}

static uint64_t open_descriptors(void)
{
    uint64_t open = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        open |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
    return open;
}

/* Once the client has gone, nothing of it may be left. */
static void check_gone(uint64_t open)
{
    for (int i = 0; i < 4; i++)
        turn();
    CHECK(!worker.connections && atomic_load(&service.connections) == 0);
    CHECK(worker.out.length == 0 && worker.spare_count <= 1 && worker.exchange_count <= 1);
    CHECK(open_descriptors() == open);
    handlers_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!reactor)
        open_worker();
    const char *script = (const char *)data;
    const char *line_end = size ? memchr(script, '\n', size) : NULL;
    if (!line_end)
        return 0;
    size_t steps = (size_t)(line_end - script);
    uint64_t open = open_descriptors();
    struct client client = {.bytes = line_end + 1, .length = size - steps - 1};
    handlers_begin();
    atomic_store(&service.draining, false);
    client_open(&client);
    for (size_t i = 0; steps && i < STEPS_MAX; i++) {
        if (i >= steps && client.sent == client.length)
            break;
        client_step(&client, script[i % steps]);
        turn();
    }
    client_settle(&client);
    check_conversation(&client);
    client_close(&client);
    check_gone(open);
    return 0;
}
