/*
 * pace.c - a client for loads that wrk does not have: requests at a constant rate whose latency
 * counts from the time at which they were due, whether or not a connection was free then; a fixed
 * number of requests in flight; a load on some of the connections only.
 *
 *     pace [-c CONNECTIONS] [-r RATE] [-g MS] [-d SECONDS] [-s] PORT PATH
 *
 * Without -r each connection sends its next request when it has the answer; the first ones are
 * spread over MS milliseconds, so that the connections do not go on in step. With -s each
 * connection makes one request, one after the other; then their local ports are printed, and the
 * numbers of those that are to go on (from 0) are read from standard input, in one line.
 *
 * Ends after SECONDS, or on SIGTERM, and then prints what it counted, as one line of JSON.
 * Latencies are those of answers with a status of 2xx, none left out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, REQUEST_MAX = 512, EVENTS_MAX = 256, CONNECTIONS_MAX = 60000 };
static const int64_t NS_PER_S = 1000000000;

struct connection {
    int fd;
    bool busy;      /* a request is under way */
    int64_t due_ns; /* when that should have been sent */
    size_t got;     /* bytes of the answer so far */
    char answer[ANSWER_MAX];
};

/* The options. */
static unsigned count = 1;
static double rate, stagger_ms, seconds = 1;
static bool choose;
static struct sockaddr_in address;
static char request[REQUEST_MAX];
static size_t request_bytes;

static struct connection *connections;
static unsigned *ready; /* a ring of those without a request, the longest idle first */
static unsigned ready_first, ready_count;
static int poller;
static int64_t begin_ns;
static volatile sig_atomic_t ended;

/* What was counted. */
static uint32_t *latencies_us;
static size_t answered, latencies_room;
static uint64_t issued, received;
static unsigned long connect_errors, read_errors, write_errors, status_errors;

static void fail_unless(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "pace: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void make_ready(unsigned number)
{
    ready[(ready_first + ready_count++) % count] = number;
}

static unsigned take_ready(void)
{
    unsigned number = ready[ready_first];
    ready_first = (ready_first + 1) % count;
    ready_count--;
    return number;
}

/* Blocks while it connects: on loopback that is no wait. */
static bool connection_open(unsigned number)
{
    struct connection *c = &connections[number];
    c->busy = false, c->got = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fail_unless(c->fd >= 0, "socket");
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(c->fd);
        c->fd = -1;
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    fail_unless(epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll_ctl");
    return true;
}

/* A connection that the server has ended is opened anew; one that cannot be is out of the load. */
static void connection_renew(unsigned number)
{
    close(connections[number].fd);
    if (!connection_open(number))
        connect_errors++;
}

static void note_latency(int64_t ns)
{
    if (answered == latencies_room) {
        latencies_room = latencies_room ? latencies_room * 2 : 1 << 16;
        uint32_t *larger = realloc(latencies_us, latencies_room * sizeof *latencies_us);
        if (!larger) {
            fputs("pace: no memory for the latencies\n", stderr);
            exit(1);
        }
        latencies_us = larger;
    }
    int64_t us = (ns + 500) / 1000;
    latencies_us[answered++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void connection_send(unsigned number, int64_t due_ns)
{
    struct connection *c = &connections[number];
    c->busy = true, c->got = 0, c->due_ns = due_ns;
    issued++;
    if (send(c->fd, request, request_bytes, MSG_NOSIGNAL) == (ssize_t)request_bytes)
        return;
    write_errors++;
    connection_renew(number);
    if (connections[number].fd >= 0)
        make_ready(number);
}

/* The length of the answer that begins in the buffer; 0 while it is not known, SIZE_MAX when it
 * never will be. */
static size_t answer_length(const struct connection *c)
{
    const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end)
        return c->got < sizeof c->answer ? 0 : SIZE_MAX;
    for (const char *line = c->answer; line < end;) {
        line = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2;
        if (line < end && strncasecmp(line, "Content-Length:", 15) == 0)
            return (size_t)(end + 4 - c->answer) + strtoul(line + 15, NULL, 10);
    }
    return SIZE_MAX;
}

static void answer_complete(unsigned number)
{
    struct connection *c = &connections[number];
    if (strncmp(c->answer, "HTTP/1.1 2", 10) == 0)
        note_latency(now_ns() - c->due_ns);
    else
        status_errors++;
    c->busy = false, c->got = 0;
    make_ready(number);
}

static void on_readable(unsigned number)
{
    struct connection *c = &connections[number];
    ssize_t got = recv(c->fd, c->answer + c->got, sizeof c->answer - c->got, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    bool lost = c->busy;
    if (got > 0 && c->busy) {
        received += (uint64_t)got;
        c->got += (size_t)got;
        size_t length = answer_length(c);
        if (length == 0 || (length <= sizeof c->answer && c->got < length))
            return;
        if (c->got == length) {
            answer_complete(number);
            return;
        }
    }
    read_errors += lost;
    connection_renew(number);
    if (lost && c->fd >= 0)
        make_ready(number);
}

/* When the next request is due, in a closed loop at once. */
static int64_t next_due(int64_t now)
{
    if (rate > 0)
        return begin_ns + (int64_t)((double)issued * (double)NS_PER_S / rate);
    int64_t staggered = begin_ns + (int64_t)((double)issued * stagger_ms * 1e6 / count);
    return issued < count && staggered > now ? staggered : now;
}

/* Sends what is due, as far as there are connections for it. When the next is due; the end when
 * that does not depend on the time. */
static int64_t send_due(int64_t end_ns)
{
    int64_t now = now_ns();
    while (ready_count > 0) {
        int64_t due = next_due(now);
        if (due > now || due >= end_ns)
            return due < end_ns ? due : end_ns;
        connection_send(take_ready(), due);
    }
    return end_ns;
}

/* Waits for answers, at most until that time. */
static void receive(int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left = until_ns - now_ns();
    left = left > 0 ? left : 0;
    struct timespec limit = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    int found = epoll_pwait2(poller, events, EVENTS_MAX, &limit, NULL);
    fail_unless(found >= 0 || errno == EINTR, "epoll_pwait2");
    for (int i = 0; i < found; i++)
        on_readable(events[i].data.u32);
}

/* One request on each connection, one after the other, so that the server has got them all.
 * Latencies of these are not kept. */
static void greet(void)
{
    for (unsigned i = 0; i < count && !ended; i++) {
        connection_send(i, now_ns());
        while (connections[i].busy && !ended)
            receive(now_ns() + NS_PER_S);
    }
    fail_unless(ready_count == count, "the server did not answer on each connection");
    ready_first = ready_count = 0;
    answered = 0, issued = 0;
}

static void print_ports(void)
{
    printf("ports:");
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_in own = {.sin_port = 0};
        socklen_t length = sizeof own;
        fail_unless(getsockname(connections[i].fd, (struct sockaddr *)&own, &length) == 0,
                    "getsockname");
        printf(" %u", ntohs(own.sin_port));
    }
    puts("");
    fflush(stdout);
}

/* Waits for the line with those that are to go on. */
static void read_choice(void)
{
    static bool chosen[CONNECTIONS_MAX];
    char *line = NULL, *end;
    size_t room = 0;
    if (getline(&line, &room, stdin) < 0)
        ended = 1;
    for (char *at = line; !ended; at = end) {
        unsigned long number = strtoul(at, &end, 10);
        if (end == at)
            break;
        if (number < count && !chosen[number]) {
            chosen[number] = true;
            make_ready((unsigned)number);
        }
    }
    free(line);
}

static int by_value(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static uint32_t percentile(double percent)
{
    size_t rank = (size_t)((double)answered * percent / 100 + 0.9999999);
    return latencies_us[rank > 0 ? rank - 1 : 0];
}

static void print_latencies(void)
{
    if (answered == 0) {
        printf("null");
        return;
    }
    qsort(latencies_us, answered, sizeof *latencies_us, by_value);
    printf("{\"50\": %u, \"75\": %u, \"90\": %u, \"99\": %u, \"99.9\": %u, \"max\": %u, "
           "\"samples\": %zu, \"invented\": 0}",
           percentile(50), percentile(75), percentile(90), percentile(99), percentile(99.9),
           latencies_us[answered - 1], answered);
}

/* Requests that were due and not sent, but for those of the last millisecond: a rate that is not
 * kept is an error. */
static uint64_t unsent(double lasted)
{
    double time = (lasted < seconds ? lasted : seconds) - 0.001;
    uint64_t due = rate > 0 && time > 0 ? (uint64_t)(time * rate) : 0;
    return due > issued ? due - issued : 0;
}

static void print_result(int64_t end_ns)
{
    unsigned in_flight = 0;
    for (unsigned i = 0; i < count; i++)
        in_flight += connections[i].busy;
    double lasted = (double)(end_ns - begin_ns) / (double)NS_PER_S;
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"requests_per_s\": %.3f, \"bytes_read\": %llu, "
           "\"in_flight\": %u, \"errors\": {\"connect\": %lu, \"read\": %lu, \"write\": %lu, "
           "\"unsent\": %llu, \"status\": %lu}, \"latency_us\": ",
           answered, lasted, (double)answered / lasted, (unsigned long long)received, in_flight,
           connect_errors, read_errors, write_errors, (unsigned long long)unsent(lasted),
           status_errors);
    print_latencies();
    puts("}");
}

static int usage(void)
{
    fputs("usage: pace [-c CONNECTIONS] [-r RATE] [-g MS] [-d SECONDS] [-s] PORT PATH\n", stderr);
    return 2;
}

static bool read_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "c:r:g:d:s")) != -1;) {
        switch (option) {
        case 'c':
            count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            rate = strtod(optarg, NULL);
            break;
        case 'g':
            stagger_ms = strtod(optarg, NULL);
            break;
        case 'd':
            seconds = strtod(optarg, NULL);
            break;
        case 's':
            choose = true;
            break;
        default:
            return false;
        }
    }
    if (argc - optind != 2 || count < 1 || count > CONNECTIONS_MAX || rate < 0 || stagger_ms < 0 ||
        seconds <= 0)
        return false;
    unsigned long port = strtoul(argv[optind], NULL, 10);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%lu\r\n\r\n",
                          argv[optind + 1], port);
    request_bytes = (size_t)length;
    return length > 0 && request_bytes < sizeof request;
}

static void prepare(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* wake when a request is due, not 50 us later */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    poller = epoll_create1(EPOLL_CLOEXEC);
    fail_unless(poller >= 0, "epoll_create1");
    connections = calloc(count, sizeof *connections);
    ready = calloc(count, sizeof *ready);
    fail_unless(connections && ready, "memory");
    for (unsigned i = 0; i < count; i++)
        fail_unless(connection_open(i), "connect");
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv))
        return usage();
    prepare();
    if (choose) {
        greet();
        print_ports();
        read_choice();
    } else {
        for (unsigned i = 0; i < count; i++)
            make_ready(i);
    }
    begin_ns = now_ns();
    int64_t end_ns = begin_ns + (int64_t)(seconds * (double)NS_PER_S);
    while (!ended && now_ns() < end_ns)
        receive(send_due(end_ns));
    print_result(now_ns());
    return 0;
}
