#include "net_support.h"

#include "exchange_support.h"
#include "net/connection.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* --- failures --- */

struct injection inject_recv;
struct injection inject_send;
struct injection inject_accept;
unsigned epoll_ctl_calls;
bool send_pretends;
size_t send_bytes;
int memory_fails_in;
bool memory_stays_short;
long memory_live;
size_t memory_largest;
uint64_t clock_ahead_ns;
bool clock_stands;

ssize_t wrap_recv(int fd, void *bytes, size_t length, int flags) __asm__("__wrap_recv");
ssize_t real_recv(int fd, void *bytes, size_t length, int flags) __asm__("__real_recv");
ssize_t wrap_send(int fd, const void *bytes, size_t length, int flags) __asm__("__wrap_send");
ssize_t wrap_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");
int wrap_accept4(int fd, struct sockaddr *from, socklen_t *length,
                 int flags) __asm__("__wrap_accept4");
int real_accept4(int fd, struct sockaddr *from, socklen_t *length,
                 int flags) __asm__("__real_accept4");
int wrap_epoll_ctl(int epoll_fd, int operation, int fd,
                   struct epoll_event *event) __asm__("__wrap_epoll_ctl");
int real_epoll_ctl(int epoll_fd, int operation, int fd,
                   struct epoll_event *event) __asm__("__real_epoll_ctl");
void *wrap_malloc(size_t length) __asm__("__wrap_malloc");
void *real_malloc(size_t length) __asm__("__real_malloc");
void *wrap_calloc(size_t count, size_t length) __asm__("__wrap_calloc");
void *real_calloc(size_t count, size_t length) __asm__("__real_calloc");
void *wrap_realloc(void *bytes, size_t length) __asm__("__wrap_realloc");
void *real_realloc(void *bytes, size_t length) __asm__("__real_realloc");
void wrap_free(void *bytes) __asm__("__wrap_free");
void real_free(void *bytes) __asm__("__real_free");
int wrap_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__wrap_clock_gettime");
int real_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__real_clock_gettime");

static int next_step(struct injection *injection)
{
    injection->calls++;
    if (injection->next == injection->count && injection->repeats)
        injection->next = 0;
    return injection->next < injection->count ? injection->steps[injection->next++] : 0;
}

void inject_once(struct injection *injection, const int *steps, size_t count)
{
    *injection = (struct injection){.steps = steps, .count = count};
}

void inject_always(struct injection *injection, const int *steps, size_t count)
{
    *injection = (struct injection){.steps = steps, .count = count, .repeats = true};
}

void inject_nothing(void)
{
    inject_recv = inject_send = inject_accept = (struct injection){0};
    memory_fails_in = 0;
    send_pretends = false;
    send_bytes = 0;
    memory_stays_short = false;
    clock_stands = false;
}

/* What each descriptor is watched for, and whether that must be reported anew: a socket that said
 * EAGAIN, or gave less than was asked for, says so when there is more (epoll(7)). */
enum { WATCHES_MAX = 1024 };

static struct watched {
    int epoll_fd;
    struct epoll_event event;
    bool report;
} watches[WATCHES_MAX];

int wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    g_assert_cmpint(fd, <, WATCHES_MAX);
    epoll_ctl_calls++;
    watches[fd] = (struct watched){0};
    if (operation != EPOLL_CTL_DEL)
        watches[fd] = (struct watched){.epoll_fd = epoll_fd, .event = *event};
    return real_epoll_ctl(epoll_fd, operation, fd, event);
}

static void report_again(void)
{
    for (int fd = 0; fd < WATCHES_MAX; fd++) {
        if (watches[fd].report && watches[fd].epoll_fd)
            real_epoll_ctl(watches[fd].epoll_fd, EPOLL_CTL_MOD, fd, &watches[fd].event);
        watches[fd].report = false;
    }
}

ssize_t wrap_recv(int fd, void *bytes, size_t length, int flags)
{
    int step = next_step(&inject_recv);
    watches[fd].report |= step != 0;
    if (step < 0) {
        errno = -step;
        return -1;
    }
    return real_recv(fd, bytes, step ? MIN(length, (size_t)step) : length, flags);
}

ssize_t wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    struct iovec part = {(void *)bytes, length};
    return wrap_sendmsg(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, flags);
}

/* A step counts the bytes of all parts together. */
ssize_t wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec parts[2];
    struct msghdr cut = *message;
    int step = next_step(&inject_send);
    watches[fd].report |= step != 0;
    if (step < 0) {
        errno = -step;
        return -1;
    }
    size_t most = step ? (size_t)step : SIZE_MAX;
    size_t length = 0;
    g_assert_cmpuint(message->msg_iovlen, <=, G_N_ELEMENTS(parts));
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        parts[i] = message->msg_iov[i];
        parts[i].iov_len = MIN(parts[i].iov_len, most - length);
        length += parts[i].iov_len;
    }
    cut.msg_iov = parts;
    send_bytes += send_pretends ? length : 0;
    return send_pretends ? (ssize_t)length : real_sendmsg(fd, &cut, flags);
}

int wrap_accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
    int step = next_step(&inject_accept);
    if (step < 0) {
        errno = -step;
        return -1;
    }
    return real_accept4(fd, from, length, flags);
}

/* Threads beside the test's have their memory, and the time as it is. */
static _Thread_local bool of_test;

static bool memory_fails(size_t length)
{
    if (!of_test)
        return false;
    memory_largest = MAX(memory_largest, length);
    if (memory_fails_in == 0 || --memory_fails_in > 0)
        return false;
    memory_fails_in = memory_stays_short;
    errno = ENOMEM;
    return true;
}

void *wrap_malloc(size_t length)
{
    void *bytes = memory_fails(length) ? NULL : real_malloc(length);
    if (of_test)
        memory_live += bytes != NULL;
    return bytes;
}

void *wrap_calloc(size_t count, size_t length)
{
    void *bytes = memory_fails(count * length) ? NULL : real_calloc(count, length);
    if (of_test)
        memory_live += bytes != NULL;
    return bytes;
}

void *wrap_realloc(void *bytes, size_t length)
{
    void *moved = memory_fails(length) ? NULL : real_realloc(bytes, length);
    if (of_test)
        memory_live += moved && !bytes;
    return moved;
}

void wrap_free(void *bytes)
{
    if (of_test)
        memory_live -= bytes != NULL;
    real_free(bytes);
}

int wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    static struct timespec stood;
    int result = real_clock_gettime(clock, time);
    if (clock == CLOCK_MONOTONIC && of_test) {
        if (!clock_stands || !stood.tv_sec)
            stood = *time;
        *time = stood;
        uint64_t nanoseconds = (uint64_t)time->tv_nsec + clock_ahead_ns;
        time->tv_sec += (time_t)(nanoseconds / 1000000000);
        time->tv_nsec = (long)(nanoseconds % 1000000000);
    }
    return result;
}

/* --- the worker --- */

enum { LARGE = 300000 };

static char *large_body(void)
{
    static char body[LARGE];
    for (size_t i = 0; i < LARGE && !body[LARGE - 1]; i++)
        body[i] = (char)('a' + i % 26);
    return body;
}

int net_handler(struct http_request *request, struct http_response *response, void *arg)
{
    static const char constant[] = "always the same";
    struct http_text method = http_request_method(request);
    struct http_text path = http_request_path(request);
    char text[256];
    (void)arg;
    if (path.length == 9 && memcmp(path.bytes, "/constant", 9) == 0)
        return http_respond_constant(response, 200, "text/plain", constant, strlen(constant));
    if (path.length == 6 && memcmp(path.bytes, "/large", 6) == 0)
        return http_respond(response, 200, "text/plain", large_body(), LARGE);
    if (path.length == 5 && memcmp(path.bytes, "/none", 5) == 0)
        return http_respond(response, 204, NULL, NULL, 0);
    if (path.length == 8 && memcmp(path.bytes, "/missing", 8) == 0)
        return 404;
    int length = g_snprintf(text, sizeof(text), "%.*s %.*s", (int)method.length, method.bytes,
                            (int)path.length, path.bytes);
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

void net_route(struct net *net, const char *pattern, http_handler handler, void *arg)
{
    g_assert_cmpint(router_add(net->router, NULL, pattern, handler, arg), ==, 0);
}

void net_open(struct net *net)
{
    inject_nothing();
    of_test = true;
    signal(SIGPIPE, SIG_IGN); /* of clients' write(2) */
    *net = (struct net){.router = router_new(), .reactor = reactor_new()};
    g_assert_nonnull(net->router);
    g_assert_nonnull(net->reactor);
    net->service = (struct service){.router = net->router,
                                    .limits = http_limits_default,
                                    .max_connections = 1000,
                                    .drain_timeout_ms = 10000,
                                    .workers = &net->worker,
                                    .worker_count = 1};
    net_route(net, "/*", net_handler, NULL);
    g_assert_cmpint(worker_init(&net->worker, net->reactor, &net->service, 2), ==, 0);
    /* The same date in every answer. */
    http_date_renew(&net->worker.date, 0);
    net->worker.date.expires_ns = UINT64_MAX;
}

void net_close(struct net *net)
{
    inject_nothing();
    worker_fini(&net->worker);
    g_assert_cmpuint(atomic_load(&net->service.connections), ==, 0);
    g_assert_cmpuint(atomic_load(&net->service.paused), ==, 0);
    g_assert_cmpint(reactor_run(net->reactor, 0), !=, REACTOR_TIMEOUT); /* nothing is registered */
    g_assert_cmpint(reactor_destroy(net->reactor), ==, 0);
    router_free(net->router);
}

void net_turn(struct net *net)
{
    report_again();
    g_assert_cmpint(reactor_run(net->reactor, 0), >=, 0);
}

int net_pair(struct net *net)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_true(worker_reserve_connection(&net->worker));
    const struct visitor nobody = {.fd = fds[1], .peer.any.sa_family = AF_UNSPEC};
    if (connection_open(&net->worker, &nobody) != 0) {
        close(fds[1]);
        worker_release_connection(&net->worker);
    }
    return fds[0];
}

/* --- a client --- */

void client_init(struct client *client, int fd, const char *bytes, size_t length)
{
    *client = (struct client){.fd = fd,
                              .bytes = bytes,
                              .length = length,
                              .piece = SIZE_MAX,
                              .received = g_byte_array_new()};
}

void client_fini(struct client *client)
{
    close(client->fd);
    g_byte_array_unref(client->received);
}

static void client_say(struct client *client)
{
    if (client->sent == client->length || client->ended)
        return;
    ssize_t count = write(client->fd, client->bytes + client->sent,
                          MIN(client->piece, client->length - client->sent));
    if (count > 0)
        client->sent += (size_t)count;
    if (client->sent == client->length && client->half_close)
        g_assert_cmpint(shutdown(client->fd, SHUT_WR), ==, 0);
}

static void client_hear(struct client *client)
{
    static char bytes[100000];
    ssize_t count = read(client->fd, bytes, sizeof(bytes));
    if (count > 0)
        g_byte_array_append(client->received, (const guint8 *)bytes, (guint)count);
    else if (count == 0 || (errno != EAGAIN && errno != EINTR))
        client->ended = true;
    if (count < 0 && client->ended)
        client->error = errno;
}

void client_step(struct client *client, struct net *net)
{
    client_say(client);
    net_turn(net);
    client_hear(client);
}

/* Far more than any test needs, so that one that goes wrong ends. */
static gint64 patience_end(void)
{
    return g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
}

void client_run(struct client *client, struct net *net, size_t length)
{
    gint64 end = patience_end();
    while (!client->ended && (client->sent < client->length || client->received->len < length)) {
        client_step(client, net);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

void client_run_to_rest(struct client *client, struct net *net)
{
    enum { QUIET_STEPS = 50 };
    size_t before = 0;
    for (int quiet = 0; quiet < QUIET_STEPS && !client->ended; quiet++) {
        client_step(client, net);
        if (client->sent + client->received->len != before)
            quiet = 0;
        before = client->sent + client->received->len;
    }
}

void client_run_to_end(struct client *client, struct net *net)
{
    gint64 end = patience_end();
    while (!client->ended) {
        client_step(client, net);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

/* --- what a client is owed --- */

static void append(GByteArray *owed, struct buffer *out)
{
    g_byte_array_append(owed, (const guint8 *)out->bytes, (guint)out->length);
    out->length = 0;
}

/* The answer to `exchange.request`. Returns whether another one may follow. */
static bool append_answer(struct lone *lone, GByteArray *owed)
{
    struct http_exchange *exchange = &lone->exchange;
    lone_answer(lone, net_handler);
    append(owed, &lone->out);
    return !exchange->response.close;
}

/* The bytes of the request's body, which is complete. */
static size_t body_length(const struct http_request *request, const char *bytes, size_t length,
                          const struct http_limits *limits)
{
    struct http_body body;
    size_t at = 0;
    size_t piece = 1;
    http_body_begin(&body, request);
    while (!http_body_ended(&body) && piece) {
        int framing = http_body_next(&body, bytes + at, length - at, limits, &piece);
        g_assert_cmpint(framing, >=, 0);
        http_body_take(&body, piece);
        at += (size_t)framing + piece;
    }
    return at;
}

GByteArray *owed_for(struct net *net, const char *bytes, size_t length)
{
    const struct http_limits *limits = &net->service.limits;
    GByteArray *owed = g_byte_array_new();
    struct lone lone;
    size_t at = 0;
    lone_init(&lone);
    lone.date = net->worker.date;
    while (at < length) {
        struct http_request *request = &lone.exchange.request;
        int head = http_parse_request(bytes + at, length - at, limits, request);
        if (head < 0) {
            lone_refuse(&lone, -head);
            append(owed, &lone.out);
        }
        if (head <= 0 || !append_answer(&lone, owed))
            break;
        at += (size_t)head;
        at += body_length(request, bytes + at, length - at, limits);
    }
    lone_fini(&lone);
    return owed;
}

void expect_received(const struct client *client, const GByteArray *owed)
{
    g_assert_cmpmem(client->received->data, client->received->len, owed->data, owed->len);
}

void expect_beginning(const struct client *client, const GByteArray *owed)
{
    guint length = client->received->len;
    g_assert_cmpuint(length, <=, owed->len);
    g_assert_true(length == 0 || memcmp(client->received->data, owed->data, length) == 0);
}

const char mixed[] =
    GET("/1") GET("/constant") "\r\n" GET("/constant") "HEAD /constant" FIELDS "\r\n" GET("/none")
        GET("/missing") "POST /2" FIELDS "Content-Length: 11\r\n\r\nGET / HTTP/1" GET(
            "/3") "PUT /4" FIELDS "Content-Length: 0\r\n\r\n"
                  "GET /5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                  "HEAD /6" FIELDS "\r\n"
                  "POST /8" FIELDS "Transfer-Encoding: chunked\r\n\r\n"
                  "c;x=y\r\nGET / HTTP/1\r\n01\r\n.\r\n0\r\nX: y\r\n\r\n"
                  "GET http://b/7?x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" GET(
                      "/constant");

char *client_text(const struct client *client, const struct net *net)
{
    const GByteArray *received = client->received;
    g_autofree char *all = g_strndup(received->len ? (char *)received->data : "", received->len);
    g_autofree char *common = g_strndup(http_date_common(&net->worker.date), HTTP_COMMON_LENGTH);
    g_auto(GStrv) parts = g_strsplit(all, common, -1);
    return g_strjoinv("", parts);
}

void expect_text(const struct client *client, const struct net *net, const char *text)
{
    g_autofree char *received = client_text(client, net);
    g_assert_cmpstr(received, ==, text);
}

void expect_last(struct client *client, struct net *net, const GByteArray *owed)
{
    client_run_to_end(client, net);
    g_assert_cmpint(client->error, ==, 0);
    g_assert_cmpuint(client->received->len, ==, owed->len + strlen("Connection: close\r\n"));
    client_fini(client);
}
