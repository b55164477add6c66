#include "blocking.h"

#include "sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_MAX = 16384, LINGER_S = 1, SHORTAGE_US = 100000 };

static unsigned service_port;
static _Thread_local int service = -1;

void blocking_service(unsigned port)
{
    service_port = port;
}

static ssize_t receive(int fd, char *bytes, size_t length)
{
    ssize_t got;
    do {
        got = recv(fd, bytes, length, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* A client that is refused asks again at once: what there is no room for is not tried all the time.
 */
static int connect_failed(int error)
{
    if (is_shortage(error))
        usleep(SHORTAGE_US);
    return -error;
}

/* One that was idle may have been closed meanwhile: then once more with a new one. */
int ask_blocking(struct http_request *request, struct http_response *response)
{
    char byte = '?';
    (void)request, (void)response;
    for (bool fresh = false; !fresh;) {
        fresh = service < 0;
        if (fresh && (service = connect_to(service_port, 0)) < 0)
            return connect_failed(errno);
        if (send_all(service, &byte, 1) && receive(service, &byte, 1) == 1)
            return 0;
        close(service);
        service = -1;
    }
    return -EPIPE;
}

void ask_no_more(void)
{
    if (service >= 0)
        close(service);
    service = -1;
}

void blocking_patience(int fd, unsigned seconds)
{
    const struct timeval patience = {.tv_sec = (time_t)seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

/* Closing with bytes unread would send a reset, which may overtake the answer. A client that goes
 * on sending is not listened to for longer than one that is silent. */
static void close_politely(int fd, char *bytes)
{
    const struct timeval patience = {.tv_sec = LINGER_S};
    time_t end = now_s() + LINGER_S;
    if (shutdown(fd, SHUT_WR) < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (receive(fd, bytes, READ_MAX) > 0 && now_s() <= end)
        ;
}

void serve_blocking(int fd, struct talk_room *room, struct http_text received)
{
    char bytes[READ_MAX];
    struct talk talk = {.room = room};
    enum talk_next next = TALK_READS;
    const char *from = received.length ? received.bytes : bytes;
    ssize_t got = received.length ? (ssize_t)received.length : receive(fd, bytes, sizeof(bytes));
    while (got > 0) {
        next = talk_on(&talk, from, (size_t)got);
        if (!send_all(fd, talk.out.bytes, talk.out.length) || next == TALK_ENDS)
            break;
        talk.out.length = 0;
        from = bytes;
        got = receive(fd, bytes, sizeof(bytes));
    }
    if (next == TALK_ENDS)
        close_politely(fd, bytes);
    talk_end(&talk);
    close(fd);
}
