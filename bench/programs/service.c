/*
 * service.c - the external service that the /wait workload needs: every byte that a client sends is
 * answered with one byte 10 ms later, in order, never earlier.
 *
 *     service [--port PORT]        default 18599, on 127.0.0.1
 *
 * It shares the CPUs with the servers under test, so it is made to cost little: one thread and one
 * epoll set; and because the delay is always the same, what is due next is the head of a queue, and
 * no timer is ever set but the time-out of the wait.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT = 18599,
    PORT_MAX = 65535,
    DESCRIPTORS_MAX = 20100, /* 20,000 connections, and what a process has besides */
    EVENTS_MAX = 256,
    BYTES_MAX = 4096,
    DUE_MAX = 1 << 17, /* more than are received in 10 ms, but for a crowd: that is slowed down */
};

#define MILLISECOND INT64_C(1000000)
#define DELAY       (10 * MILLISECOND)
#define PATIENCE    (10 * MILLISECOND) /* until it accepts again when descriptors are short */

/* By descriptor. */
static struct client {
    uint32_t generation; /* tells the connection from others that had its descriptor before */
    bool open;
    bool ended;   /* it has closed its sending side */
    size_t queue; /* answers that are not due */
    size_t owed;  /* answers that are due, and its socket has no room for */
} clients[DESCRIPTORS_MAX];

/* Answers, in the order in which they are due: a ring. */
static struct due {
    int64_t at;
    uint32_t fd;
    uint32_t generation;
    size_t count;
} dues[DUE_MAX];
static size_t due_first, due_last; /* count on; modulo DUE_MAX they are places */

static int epoll, listener;
static bool short_of_descriptors;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 * MILLISECOND + time.tv_nsec;
}

static void require(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "service: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void end_client(int fd)
{
    struct client *client = &clients[fd];
    *client = (struct client){.generation = client->generation + 1};
    close(fd);
}

/* Sends what is owed, as far as the client takes it. The socket says when there is room again. */
static void answer(int fd)
{
    static const char answers[BYTES_MAX];
    struct client *client = &clients[fd];
    while (client->owed) {
        size_t length = client->owed < BYTES_MAX ? client->owed : BYTES_MAX;
        ssize_t sent = send(fd, answers, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            end_client(fd);
        if (sent < 0)
            return;
        client->owed -= (size_t)sent;
    }
    if (client->ended && !client->queue)
        end_client(fd);
}

static void answer_due(void)
{
    int64_t time = now();
    while (due_first != due_last) {
        const struct due *due = &dues[due_first % DUE_MAX];
        if (due->at > time && due->at > (time = now()))
            return;
        due_first++;
        struct client *client = &clients[due->fd];
        if (!client->open || client->generation != due->generation)
            continue;
        client->queue -= due->count;
        client->owed += due->count;
        answer((int)due->fd);
    }
}

static void put_off(int fd, size_t count)
{
    struct client *client = &clients[fd];
    const uint32_t generation = client->generation;
    while (due_last - due_first == DUE_MAX) {
        usleep(1000);
        answer_due();
    }
    if (client->generation != generation) /* it has gone meanwhile */
        return;
    client->queue += count;
    dues[due_last++ % DUE_MAX] = (struct due){now() + DELAY, (uint32_t)fd, generation, count};
}

/* Reads until nothing is left: the descriptor is reported once for what has come. When it has
 * given less than was asked for, only an end can have been left, and that is reported, too. */
static void receive(int fd, bool ends)
{
    char bytes[BYTES_MAX];
    uint32_t generation = clients[fd].generation;
    while (clients[fd].generation == generation) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno != EAGAIN)
            end_client(fd);
        if (got < 0)
            return;
        if (got == 0) {
            clients[fd].ended = true;
            if (!clients[fd].queue && !clients[fd].owed)
                end_client(fd);
            return;
        }
        put_off(fd, (size_t)got);
        if ((size_t)got < sizeof(bytes) && !ends)
            return;
    }
}

static uint64_t name_of(int fd)
{
    return (uint64_t)clients[fd].generation << 32 | (uint32_t)fd;
}

static void begin_client(int fd)
{
    if (fd >= DESCRIPTORS_MAX) {
        close(fd);
        return;
    }
    clients[fd].open = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = name_of(fd)};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        end_client(fd);
}

/* Short of descriptors or memory, it tries again a little later. */
static void accept_all(void)
{
    int fd;
    short_of_descriptors = false;
    do {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            begin_client(fd);
    } while (fd >= 0 || errno == ECONNABORTED || errno == EINTR);
    short_of_descriptors = errno != EAGAIN;
}

static void on_event(const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    if (fd == listener) {
        accept_all();
        return;
    }
    if (event->data.u64 == name_of(fd) && event->events & EPOLLOUT && clients[fd].owed)
        answer(fd);
    if (event->data.u64 == name_of(fd) && event->events & ~(uint32_t)EPOLLOUT)
        receive(fd, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

static void turn(void)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec patience = {.tv_nsec = PATIENCE};
    bool waits = due_first != due_last;
    if (waits) {
        int64_t left = dues[due_first % DUE_MAX].at - now();
        patience.tv_nsec = left > 0 ? (long)left : 0; /* at most the delay: less than a second */
    }
    int count = epoll_pwait2(epoll, events, EVENTS_MAX,
                             waits || short_of_descriptors ? &patience : NULL, NULL);
    if (short_of_descriptors)
        accept_all();
    for (int i = 0; i < count; i++)
        on_event(&events[i]);
    answer_due();
}

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

static void listen_on(unsigned port)
{
    const int on = 1;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    event.data.u64 = (uint32_t)listener;
    require(listener >= 0 && epoll >= 0 &&
                setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
                bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                listen(listener, SOMAXCONN) == 0 &&
                epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0,
            "cannot listen");
}

/* Ends the program when it is no port. */
static unsigned read_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (end == text || *end || port < 1 || port > PORT_MAX) {
        fprintf(stderr, "service: not a port: %s\n", text);
        exit(2);
    }
    return (unsigned)port;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    unsigned port = PORT;
    for (int option; (option = getopt_long(argc, argv, "p:", names, NULL)) != -1;) {
        if (option != 'p')
            return 2;
        port = read_port(optarg);
    }
    const struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "cannot read the limit of descriptors");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    /* Else the kernel lets each wait take up to 50 us longer. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    listen_on(port);
    for (;;)
        turn();
}
