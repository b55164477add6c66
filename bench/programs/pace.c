/*
 * pace.c - a client for loads that wrk does not have: requests at a constant rate whose latency
 * counts from the time at which they were due, whether or not a connection was free then; a fixed
 * number of requests in flight; a load on some of the connections only.
 *
 *     pace [-c CONNECTIONS] [-r RATE] [-g MS] [-d SECONDS] [-s] PORT PATH...
 *
 * Asks for several paths in turn, whichever connection is free. An answer with "Connection: close"
 * is no error: the connection is opened anew. No connecting blocks, so a server that does not
 * accept delays only what it would have answered.
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

enum { ANSWER_MAX = 4096, REQUEST_MAX = 512, REQUESTS_MAX = 64, EVENTS_MAX = 256 };
enum { CONNECTIONS_MAX = 60000, PATIENCE_S = 5 /* for what comes before the load */ };
static const int64_t NS_PER_S = 1000000000;

enum state { LOST, CONNECTING, IDLE, BUSY }; /* busy: a request is under way */

struct connection {
    int fd; /* -1 when lost */
    enum state state;
    bool queued;    /* in the ring of those that are ready */
    bool part;      /* of the load */
    int64_t due_ns; /* when the request under way should have been sent */
    size_t got;     /* bytes of the answer so far */
    char answer[ANSWER_MAX];
};

/* The options. */
static unsigned count = 1;
static double rate, stagger_ms, seconds = 1;
static bool choose;
static struct sockaddr_in address;
static char requests[REQUESTS_MAX][REQUEST_MAX];
static size_t request_bytes[REQUESTS_MAX];
static unsigned request_count;

static struct connection *connections;
static unsigned *ready; /* a ring of those without a request, the longest idle first */
static unsigned ready_first, ready_count, connecting;
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
    struct connection *c = &connections[number];
    if (!c->part || c->queued)
        return;
    c->queued = true;
    ready[(ready_first + ready_count++) % count] = number;
}

static unsigned take_ready(void)
{
    unsigned number = ready[ready_first];
    ready_first = (ready_first + 1) % count;
    ready_count--;
    connections[number].queued = false;
    return number;
}

static void connection_lose(unsigned number)
{
    struct connection *c = &connections[number];
    connecting -= c->state == CONNECTING;
    c->state = LOST;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* Begins to connect; on_writable() finishes that. */
static bool connection_open(unsigned number)
{
    struct connection *c = &connections[number];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fail_unless(c->fd >= 0, "socket");
    c->state = CONNECTING, c->got = 0;
    connecting++;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        connection_lose(number);
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = number};
    fail_unless(epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll_ctl");
    return true;
}

/* A connection that the server has ended is opened anew; one that cannot be is out of the load. */
static void connection_renew(unsigned number)
{
    connection_lose(number);
    if (!connection_open(number))
        connect_errors++;
}

/* Connected, or refused. */
static void on_writable(unsigned number)
{
    struct connection *c = &connections[number];
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
        connection_lose(number);
        errno = error;
        fail_unless(begin_ns != 0, "connect");
        connect_errors++;
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    fail_unless(epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event) == 0, "epoll_ctl");
    c->state = IDLE;
    connecting--;
    make_ready(number);
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
    unsigned which = (unsigned)(issued++ % request_count);
    c->state = BUSY, c->got = 0, c->due_ns = due_ns;
    if (send(c->fd, requests[which], request_bytes[which], MSG_NOSIGNAL) ==
        (ssize_t)request_bytes[which])
        return;
    write_errors++;
    connection_renew(number);
}

/* The value of a field of the answer's head, which ends at that place; NULL when there is none. */
static const char *field(const struct connection *c, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = c->answer; line < end;) {
        line = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2;
        if (line < end && strncasecmp(line, name, length) == 0)
            return line + length + strspn(line + length, " ");
    }
    return NULL;
}

/* The length of the answer that begins in the buffer, and whether the connection ends with it; 0
 * while it is not known, SIZE_MAX when it never will be. */
static size_t answer_length(const struct connection *c, bool *last)
{
    const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end)
        return c->got < sizeof c->answer ? 0 : SIZE_MAX;
    const char *length = field(c, end, "Content-Length:"), *said = field(c, end, "Connection:");
    *last = said && strncasecmp(said, "close", 5) == 0;
    return length ? (size_t)(end + 4 - c->answer) + strtoul(length, NULL, 10) : SIZE_MAX;
}

static void answer_complete(unsigned number, bool last)
{
    struct connection *c = &connections[number];
    if (strncmp(c->answer, "HTTP/1.1 2", 10) == 0)
        note_latency(now_ns() - c->due_ns);
    else
        status_errors++;
    c->state = IDLE, c->got = 0;
    if (last)
        connection_renew(number);
    else
        make_ready(number);
}

static void on_readable(unsigned number)
{
    struct connection *c = &connections[number];
    ssize_t got = recv(c->fd, c->answer + c->got, sizeof c->answer - c->got, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0 && c->state == BUSY) {
        bool last = false;
        received += (uint64_t)got;
        c->got += (size_t)got;
        size_t length = answer_length(c, &last);
        if (length == 0 || (length <= sizeof c->answer && c->got < length))
            return;
        if (c->got == length) {
            answer_complete(number, last);
            return;
        }
    }
    read_errors += c->state == BUSY;
    connection_renew(number);
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
        unsigned number = take_ready();
        if (connections[number].state == IDLE) /* the server may have ended it meanwhile */
            connection_send(number, due);
    }
    return end_ns;
}

/* Waits for answers and new connections, at most until that time. */
static void receive(int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left = until_ns - now_ns();
    left = left > 0 ? left : 0;
    struct timespec limit = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    int found = epoll_pwait2(poller, events, EVENTS_MAX, &limit, NULL);
    fail_unless(found >= 0 || errno == EINTR, "epoll_pwait2");
    for (int i = 0; i < found; i++) {
        unsigned number = events[i].data.u32;
        if (connections[number].state == CONNECTING)
            on_writable(number);
        else
            on_readable(number);
    }
}

static void wait_connected(void)
{
    int64_t limit_ns = now_ns() + PATIENCE_S * NS_PER_S;
    while (connecting > 0 && !ended && now_ns() < limit_ns)
        receive(limit_ns);
}

/* One request on each connection, one after the other, so that the server has got them all.
 * Latencies of these are not kept. */
static void greet(void)
{
    for (unsigned i = 0; i < count && !ended; i++) {
        int64_t limit_ns = now_ns() + PATIENCE_S * NS_PER_S;
        if (connections[i].state == IDLE)
            connection_send(i, now_ns());
        while (connections[i].state == BUSY && !ended && now_ns() < limit_ns)
            receive(limit_ns);
        connections[i].part = false;
    }
    if (answered != count && !ended) {
        fputs("pace: the server did not answer on each connection\n", stderr);
        exit(1);
    }
    while (ready_count > 0)
        take_ready();
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
    char *line = NULL, *end;
    size_t room = 0;
    if (getline(&line, &room, stdin) < 0)
        ended = 1;
    for (char *at = line; !ended; at = end) {
        unsigned long number = strtoul(at, &end, 10);
        if (end == at)
            break;
        if (number < count) {
            connections[number].part = true;
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
        in_flight += connections[i].state == BUSY;
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
    fputs("usage: pace [-c CONNECTIONS] [-r RATE] [-g MS] [-d SECONDS] [-s] PORT PATH...\n",
          stderr);
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
    if (argc - optind < 2 || argc - optind - 1 > REQUESTS_MAX || count < 1 ||
        count > CONNECTIONS_MAX || rate < 0 || stagger_ms < 0 || seconds <= 0)
        return false;
    unsigned long port = strtoul(argv[optind], NULL, 10);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    for (int i = optind + 1; i < argc; i++) {
        char *text = requests[request_count];
        int length = snprintf(text, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%lu\r\n\r\n",
                              argv[i], port);
        if (length < 0 || length >= REQUEST_MAX)
            return false;
        request_bytes[request_count++] = (size_t)length;
    }
    return true;
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
    for (unsigned i = 0; i < count; i++) {
        connections[i].part = true;
        fail_unless(connection_open(i), "connect");
    }
    wait_connected();
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
    }
    begin_ns = now_ns();
    int64_t end_ns = begin_ns + (int64_t)(seconds * (double)NS_PER_S);
    while (!ended && now_ns() < end_ns)
        receive(send_due(end_ns));
    print_result(now_ns());
    return 0;
}
