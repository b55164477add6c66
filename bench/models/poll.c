/*
 * poll.c - one thread and one loop over poll(2), or select(2): what came before epoll, and the
 * source of both models. Nothing blocks but the wait itself (waits.h), which takes the list of all
 * connections into the kernel and back at every turn: a busy turn shares that between its requests,
 * a quiet one pays it for each.
 */
#include "waits.h"

#include "common/farewell.h"
#include "common/links.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"
#include "common/talk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 16384, PATIENCE_MS = 10, LINKS = 1000 };

struct connection {
    int fd; /* -1: has gone, while the service was being asked for it */
    enum talk_next next;
    size_t sent; /* of talk.out */
    struct talk talk;
    struct question question;
    struct http_response *response; /* that needs the question's answer */
};

/* What a descriptor is for; neither: it is the listener. */
struct use {
    struct connection *connection;
    struct link *link;
};

static struct use *uses; /* by descriptor */
static struct talk_room room;
static struct farewells farewells;
static struct links links;

static bool watch_link(struct links *its, struct link *link)
{
    (void)its;
    if (!waits_watch(link->fd, POLLIN))
        return false;
    uses[link->fd].link = link;
    return true;
}

static void forget_link(struct links *its, struct link *link)
{
    (void)its;
    uses[link->fd].link = NULL;
    waits_forget(link->fd);
}

static int ask(struct http_request *request, struct http_response *response)
{
    struct connection *connection =
        (struct connection *)((char *)talk_of(response) - offsetof(struct connection, talk));
    (void)request;
    connection->response = response;
    int error = links_ask(&links, &connection->question);
    return error ? error : HTTP_PENDING;
}

static void release(struct connection *connection)
{
    talk_end(&connection->talk);
    free(connection);
}

/* `politely`, after the last answer; otherwise the client has gone, but the service may still be
 * about to answer a question of it. */
static void end(struct connection *connection, bool politely)
{
    waits_forget(connection->fd);
    uses[connection->fd].connection = NULL;
    if (politely)
        farewell(&farewells, connection->fd);
    else
        close(connection->fd);
    connection->fd = -1;
    if (connection->next != TALK_PENDS)
        release(connection);
}

/* Sends what there is, and watches for what the connection needs next. */
static void send_out(struct connection *connection)
{
    struct buffer *out = &connection->talk.out;
    while (connection->sent < out->length) {
        ssize_t sent = send(connection->fd, out->bytes + connection->sent,
                            out->length - connection->sent, MSG_NOSIGNAL);
        if (sent >= 0) {
            connection->sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            waits_watch(connection->fd, POLLOUT);
            return;
        } else if (errno != EINTR) {
            end(connection, false);
            return;
        }
    }
    connection->sent = out->length = 0;
    if (connection->next == TALK_ENDS)
        end(connection, true);
    else
        waits_watch(connection->fd, connection->next == TALK_READS ? POLLIN : 0);
}

static void receive(struct connection *connection)
{
    static char bytes[READ_MAX];
    ssize_t got = recv(connection->fd, bytes, sizeof(bytes), 0);
    if (got > 0) {
        connection->next = talk_on(&connection->talk, bytes, (size_t)got);
        send_out(connection);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        end(connection, false);
    }
}

static void on_connection(struct connection *connection, short found)
{
    if (connection->talk.out.length)
        send_out(connection);
    else if (connection->next != TALK_PENDS)
        receive(connection);
    else if (found & (POLLERR | POLLHUP))
        end(connection, false);
}

static void on_link(struct link *link)
{
    for (struct question *next, *done = links_read(&links, link); done; done = next) {
        struct connection *connection =
            (struct connection *)((char *)done - offsetof(struct connection, question));
        next = done->next;
        workload_finish(connection->response, done->error);
        if (connection->fd < 0) {
            release(connection);
            continue;
        }
        connection->next = talk_on(&connection->talk, NULL, 0);
        send_out(connection);
    }
}

static void welcome(int fd)
{
    struct connection *connection = malloc(sizeof(*connection));
    if (!connection || !waits_watch(fd, POLLIN)) {
        free(connection);
        close(fd);
        return;
    }
    *connection = (struct connection){.fd = fd, .talk.room = &room};
    uses[fd].connection = connection;
}

/* Returns for how many milliseconds it is of no use to try again. */
static int accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            welcome(fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return PATIENCE_MS; /* until some connection has ended */
        else if (errno == EAGAIN)
            return 0;
    }
}

static void on_descriptor(int fd, short found)
{
    if (uses[fd].connection)
        on_connection(uses[fd].connection, found);
    else if (uses[fd].link)
        on_link(uses[fd].link);
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, LINKS);
    struct rlimit limit;
    stop_on_signal();
    talk_open(ask, 0);
    links.watch = watch_link;
    links.forget = forget_link;
    links_open(&links, options.service_port, options.pool);
    getrlimit(RLIMIT_NOFILE, &limit);
    uses = calloc(limit.rlim_cur, sizeof(*uses));
    require(uses, "cannot serve");
    waits_open((int)limit.rlim_cur);
    int listener = listen_on(options.port, SOCK_NONBLOCK);
    for (int pause = 0;;) {
        int due = farewells_close(&farewells);
        waits_watch(listener, pause ? 0 : POLLIN);
        int end_of_all = waits_turn(pause ? pause : due);
        pause = waits_found(listener) ? accept_all(listener) : 0;
        for (int fd = 0; fd < end_of_all; fd++) {
            if (waits_found(fd))
                on_descriptor(fd, waits_found(fd));
        }
    }
}
