/*
 * limit.c - the ceiling that `coreactor` is measured against: an epoll loop that answers without
 * parsing. It reads, counts the "\r\n\r\n" that end requests, and sends that many copies of one
 * constant response in one send(2). What it costs is what the kernel costs; no HTTP server that
 * reads and writes through epoll can be expected to do better.
 *
 * It is no server. It knows no method, no target, no body and no time-out; its `Date` is the time
 * it started; it closes a connection on a short write instead of waiting; and it has no answer to a
 * full descriptor table. No peer can end it, though: any error of a connection closes that
 * connection only.
 *
 * One OpenMP thread has one listener and one loop, as in the server. Listeners are opened in order
 * before the parallel region and handed out by thread number, because a bound SO_REUSEPORT socket
 * that no loop serves swallows its share of the connections.
 *
 *     limit [-p PORT] [-t THREADS]      ends on SIGTERM or SIGINT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    THREADS_MAX = 256,
    EVENTS_MAX = 512,         /* a turn of the loop */
    BUFFER_BYTES = 64 * 1024, /* one read */
    CARRY_BYTES = 64,  /* room before the data for what the last read left; keeps it aligned */
    TAIL_BYTES = 128,  /* room behind the data that a whole SIMD step may read */
    COPIES_MAX = 1024, /* responses in one send */
    RESPONSE_BYTES_MAX = 512
};

/* Bytes of "\r\n\r\n" (0 to 3) that end what a connection sent so far, by descriptor. Threads share
 * the array but not its entries; requests that arrive whole never write to it. */
static unsigned char *matched;
static char *responses; /* COPIES_MAX copies, back to back */
static size_t response_bytes;

static void fail_unless(int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

/* As many bytes, and the same headers, as `coreactor` sends. */
static void response_build(void)
{
    static const char page[] = "<!DOCTYPE html><html><head><title>limit</title></head>"
                               "<body>constant</body></html>\n";
    _Static_assert(sizeof page - 1 == 83, "Content-Length says 83");
    char one[RESPONSE_BYTES_MAX], date[64];
    time_t now = time(NULL);
    struct tm utc;

    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    response_bytes = (size_t)snprintf(one, sizeof one,
                                      "HTTP/1.1 200 OK\r\nServer: coreactor\r\nDate: %s\r\n"
                                      "Content-Type: text/html; charset=utf-8\r\n"
                                      "Content-Length: 83\r\n\r\n%s",
                                      date, page);
    responses = malloc(COPIES_MAX * response_bytes);
    fail_unless(responses != NULL, "responses");
    for (size_t i = 0; i < COPIES_MAX; i++)
        memcpy(responses + i * response_bytes, one, response_bytes);
}

static int is_terminator(const char *at)
{
    return memcmp(at, "\r\n\r\n", 4) == 0;
}

#ifdef __SSE2__
/* One bit for each of 16 positions that have '\r' there and two bytes further on. */
static inline unsigned candidates16(const char *at)
{
    const __m128i cr = _mm_set1_epi8('\r');
    __m128i first = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), cr);
    __m128i third = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(at + 2)), cr);

    return (unsigned)_mm_movemask_epi8(_mm_and_si128(first, third));
}

/* Counts "\r\n\r\n" in [at, end); may read, but not believe, TAIL_BYTES behind `end`. ns per
 * 98-byte request, alone and 16 in one read: memmem 65 and 64, memchr for '\r' 14 and 19, this
 * with 16 bytes a step 7.5 and 6.3, with 64 bytes a step 8.3 and 4.3. */
static size_t count_terminators(const char *at, const char *end)
{
    size_t count = 0;

    for (; end - at >= 4; at += 64) {
        unsigned long long mask = candidates16(at) |
                                  (unsigned long long)candidates16(at + 16) << 16 |
                                  (unsigned long long)candidates16(at + 32) << 32 |
                                  (unsigned long long)candidates16(at + 48) << 48;
        for (; mask != 0; mask &= mask - 1) {
            const char *found = at + __builtin_ctzll(mask);
            count += found + 4 <= end && is_terminator(found);
        }
    }
    return count;
}
#else
static size_t count_terminators(const char *at, const char *end)
{
    size_t count = 0;

    while (end - at >= 4 && (at = memchr(at, '\r', (size_t)(end - at) - 3)) != NULL) {
        int found = is_terminator(at);
        count += (size_t)found;
        at += found ? 4 : 1;
    }
    return count;
}
#endif

/* How many bytes at the end of [at, end) begin a terminator; 0 when it ends with a whole one. */
static unsigned char carry_of(const char *at, const char *end)
{
    if (end - at >= 4 && is_terminator(end - 4))
        return 0;
    for (unsigned char n = 3; n > 0; n--)
        if (end - at >= n && memcmp(end - n, "\r\n\r\n", n) == 0)
            return n;
    return 0;
}

/* Until the queue is empty: one accept a wake-up would cost an epoll_wait a connection. */
static void accept_all(int epoll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        matched[fd] = 0;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

/* `data` has CARRY_BYTES of room before it and TAIL_BYTES behind BUFFER_BYTES. */
static void answer(int fd, char *data)
{
    ssize_t received = recv(fd, data, BUFFER_BYTES, 0);

    if (received <= 0) {
        if (received == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    char *start = data - matched[fd], *end = data + received;
    if (matched[fd] != 0)
        memcpy(start, "\r\n\r", matched[fd]);
    size_t count = count_terminators(start, end);
    unsigned char carry = carry_of(start, end);
    if (carry != matched[fd])
        matched[fd] = carry;
    if (count == 0)
        return;
    size_t bytes = count * response_bytes;
    if (count > COPIES_MAX || send(fd, responses, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        close(fd);
}

static void loop_run(int listener, char *data)
{
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN, .data.fd = listener};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    fail_unless(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0, "epoll");
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                answer(events[i].data.fd, data);
        }
    }
}

static int listener_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    fail_unless(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && /* inherited */
                    bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    listen(fd, SOMAXCONN) == 0,
                "listener");
    return fd;
}

/* The descriptor table bounds `matched`: raise its limit first, then size it by that. */
static void descriptors_prepare(void)
{
    struct rlimit limit;

    fail_unless(getrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    fail_unless(setrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
    matched = calloc(limit.rlim_cur, 1);
    fail_unless(matched != NULL, "descriptor table");
}

/* The whole of `text` as a number from 1 to `high`, or the usage line and exit status 2. */
static int number(const char *text, int high)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > high) {
        fprintf(stderr, "usage: limit [-p PORT] [-t THREADS]\n");
        exit(2);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    int listeners[THREADS_MAX], port = 18470, threads = omp_get_num_procs(), option;

    while ((option = getopt(argc, argv, "p:t:")) != -1) {
        if (option == 'p')
            port = number(optarg, 65535);
        else
            threads = number(option == 't' ? optarg : "", THREADS_MAX);
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    response_build();
    descriptors_prepare();
    for (int i = 0; i < threads; i++)
        listeners[i] = listener_open(port);

    omp_set_dynamic(0);
#pragma omp parallel num_threads(threads)
    {
        errno = EAGAIN;
        fail_unless(omp_get_num_threads() == threads, "threads"); /* each listener needs its loop */
        char *room = aligned_alloc(64, CARRY_BYTES + BUFFER_BYTES + TAIL_BYTES);
        fail_unless(room != NULL, "buffer");
        loop_run(listeners[omp_get_thread_num()], room + CARRY_BYTES);
    }
    return 0;
}
