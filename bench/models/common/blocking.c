#include "blocking.h"

#include "sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 16384, LINGER_S = 1 };

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

/* One that was idle may have been closed meanwhile: then once more with a new one. */
int ask_blocking(struct http_request *request, struct http_response *response)
{
    char byte = '?';
    (void)request, (void)response;
    for (bool fresh = false; !fresh;) {
        fresh = service < 0;
        if (fresh && (service = connect_to(service_port, 0)) < 0)
            return -errno;
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

/* Closing with bytes unread would send a reset, which may overtake the answer. */
static void close_politely(int fd, char *bytes)
{
    const struct timeval patience = {.tv_sec = LINGER_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (shutdown(fd, SHUT_WR) == 0)
        while (receive(fd, bytes, READ_MAX) > 0)
            ;
}

void serve_blocking(int fd, struct talk_room *room)
{
    char bytes[READ_MAX];
    struct talk talk = {.room = room};
    enum talk_next next = TALK_READS;
    ssize_t got = 0;
    while (next != TALK_ENDS && (got = receive(fd, bytes, sizeof(bytes))) > 0) {
        next = talk_on(&talk, bytes, (size_t)got);
        if (!send_all(fd, talk.out.bytes, talk.out.length))
            break;
        talk.out.length = 0;
    }
    if (next == TALK_ENDS && got > 0)
        close_politely(fd, bytes);
    talk_end(&talk);
    close(fd);
}
