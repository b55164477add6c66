/*
 * article.c - the design of the article that this project started from, with what it costs and
 * without what made it crash. A thread-private reactor finds the callback of a descriptor in a hash
 * table; a callback that has read a request registers the one that will write the answer, and that
 * one registers the reader again: for each request two epoll_ctl(2), two records allocated and
 * freed, and two turns of the loop, although the socket could nearly always have been written at
 * once. One connection is accepted a turn.
 *
 * The article's server ended with the first reset or full descriptor table, dropped pipelined
 * requests and lost the rest of a short write; this one does not. It knew no external service: a
 * client that waits for that is deregistered meanwhile.
 */
#include "common/client.h"
#include "common/farewell.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"
#include "common/team.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 16384, EVENTS_MAX = 64, PATIENCE_MS = 10, LINKS = 1000 };

/* What the table holds: who is told that the descriptor is ready. */
struct record {
    void (*callback)(int fd, void *arg);
    void *arg;
};

struct reactor {
    int epoll;
    bool tired;          /* nothing can be accepted */
    GHashTable *records; /* by descriptor */
    struct talk_room room;
    struct farewells farewells;
    struct links links;
};

static struct reactor *reactor;
#pragma omp threadprivate(reactor)

/* As in the article, a table that cannot grow ends the program: that is how GLib allocates. */
static bool reactor_control(int operation, int fd, uint32_t interest, void (*callback)(int, void *),
                            void *arg)
{
    struct epoll_event event = {.events = interest, .data.fd = fd};
    struct record *record = malloc(sizeof(*record));
    if (!record || epoll_ctl(reactor->epoll, operation, fd, &event) < 0) {
        free(record);
        return false;
    }
    *record = (struct record){callback, arg};
    g_hash_table_replace(reactor->records, GINT_TO_POINTER(fd), record);
    return true;
}

static bool reactor_register(int fd, uint32_t interest, void (*callback)(int, void *), void *arg)
{
    return reactor_control(EPOLL_CTL_ADD, fd, interest, callback, arg);
}

static bool reactor_reregister(int fd, uint32_t interest, void (*callback)(int, void *), void *arg)
{
    return reactor_control(EPOLL_CTL_MOD, fd, interest, callback, arg);
}

static void reactor_deregister(int fd)
{
    epoll_ctl(reactor->epoll, EPOLL_CTL_DEL, fd, NULL);
    g_hash_table_remove(reactor->records, GINT_TO_POINTER(fd));
}

static void end(struct client *client, bool politely)
{
    reactor_deregister(client->fd);
    if (politely)
        farewell(&reactor->farewells, client->fd);
    else
        close(client->fd);
    client_release(client);
}

static void on_readable(int fd, void *arg);

static void on_writable(int fd, void *arg)
{
    struct client *client = arg;
    enum client_wait wait = client_send(client);
    if (wait == CLIENT_LINK)
        reactor_deregister(fd);
    else if (wait == CLIENT_ENDS || wait == CLIENT_LOST ||
             (wait == CLIENT_INPUT && !reactor_reregister(fd, EPOLLIN, on_readable, client)))
        end(client, wait == CLIENT_ENDS);
}

static void on_readable(int fd, void *arg)
{
    char bytes[READ_MAX];
    struct client *client = arg;
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        client->next = talk_on(&client->talk, bytes, (size_t)got);
    if (got > 0 && client->talk.out.length == 0 && client->next != TALK_ENDS) {
        if (client->next == TALK_PENDS)
            reactor_deregister(fd);
        return;
    }
    if (got <= 0 || !reactor_reregister(fd, EPOLLOUT, on_writable, client))
        end(client, false);
}

static void on_accept(int listener, void *arg)
{
    (void)arg;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        reactor->tired = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
        return;
    }
    struct client *client = malloc(sizeof(*client));
    if (!client || !reactor_register(fd, EPOLLIN, on_readable, client)) {
        free(client);
        close(fd);
        return;
    }
    *client = (struct client){.fd = fd, .talk.room = &reactor->room};
}

/* --- the service --- */

static int ask(struct http_request *request, struct http_response *response)
{
    (void)request;
    return client_ask(response, &reactor->links);
}

static void on_link(int fd, void *arg)
{
    (void)fd;
    for (struct question *next, *done = links_read(&reactor->links, arg); done; done = next) {
        next = done->next;
        struct client *client = client_answered(done);
        /* Still registered: what was pipelined before is waiting for room. */
        if (client && !g_hash_table_contains(reactor->records, GINT_TO_POINTER(client->fd)) &&
            !reactor_register(client->fd, EPOLLOUT, on_writable, client))
            end(client, false);
    }
}

static bool watch_link(struct links *links, struct link *link)
{
    (void)links;
    return reactor_register(link->fd, EPOLLIN, on_link, link);
}

static void forget_link(struct links *links, struct link *link)
{
    (void)links;
    reactor_deregister(link->fd);
}

/* --- the loop --- */

/* What a callback has deregistered, of the same turn, is no longer found. */
static void reactor_turn(int timeout)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(reactor->epoll, events, EVENTS_MAX, timeout);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        const struct record *record = g_hash_table_lookup(reactor->records, GINT_TO_POINTER(fd));
        if (record)
            record->callback(fd, record->arg);
    }
}

static void reactor_run(int listener, const struct model_options *options)
{
    struct reactor own = {.epoll = epoll_create1(EPOLL_CLOEXEC),
                          .links = {.watch = watch_link, .forget = forget_link}};
    reactor = &own;
    own.records = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, free);
    links_open(&own.links, options->service_port, options->pool);
    require(own.epoll >= 0 && reactor_register(listener, EPOLLIN, on_accept, NULL),
            "cannot watch the listener");
    for (;;) {
        reactor_turn(farewells_close(&own.farewells));
        if (!own.tired)
            continue;
        own.tired = false; /* a turn without the listener, until some connection has ended */
        reactor_deregister(listener);
        reactor_turn(PATIENCE_MS);
        require(reactor_register(listener, EPOLLIN, on_accept, NULL), "cannot watch the listener");
    }
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, LINKS);
    stop_on_signal();
    talk_open(ask, 0);
    team_run(&options, SOCK_NONBLOCK, reactor_run);
}
