/*
 * coroutine.c - a stackful coroutine for each connection, over one epoll loop a thread. serve()
 * reads from top to bottom as the one of a thread would, handlers that ask the service included:
 * what would block lets the loop run the next coroutine instead. A switch costs tens of
 * instructions, not a system call; a connection costs a stack, of which the touched pages count.
 *
 * Descriptors are registered once, edge-triggered: what epoll has said of one is remembered until a
 * call has found it untrue.
 */
#include "fiber.h"

#include "common/farewell.h"
#include "common/links.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"
#include "common/talk.h"
#include "common/team.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 16384,
    EVENTS_MAX = 512,
    PATIENCE_MS = 10,
    LINKS = 1000,
    GONE = EPOLLERR | EPOLLHUP,
    READABLE = EPOLLIN | EPOLLRDHUP | GONE,
    WRITABLE = EPOLLOUT | GONE
};

/* What bytes are received into. A coroutine has one while it deals with them: nearly always the
 * loop's first, unless some have to wait for the service meanwhile. */
struct block {
    struct block *next;
    char bytes[BLOCK_BYTES];
};

struct loop {
    int epoll, listener;
    bool accepts; /* there are, or may be, connections to be accepted */
    struct block *blocks;
    struct talk_room room;
    struct farewells farewells;
    struct links links;
};

/* What epoll's events point at; on the stack of its coroutine. */
struct connection {
    int fd;
    uint32_t ready;  /* events that hold, as far as is known */
    uint32_t awaits; /* events that it waits for, if it does */
    bool asks;       /* it waits for the service */
    struct fiber *fiber;
    struct talk talk;
    struct question question;
};

/* Set in what events say of links, not of connections. */
static const uint64_t LINK = 1;

static _Thread_local struct loop loop;

static bool watch(struct connection *self, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = self};
    return epoll_ctl(loop.epoll, operation, self->fd, &event) == 0;
}

/* --- calls that seem to block --- */

static void await(struct connection *self, uint32_t events)
{
    self->awaits = events;
    while (!(self->ready & events))
        fiber_wait();
    self->awaits = 0;
}

/* Into the loop's first block. */
static ssize_t receive(struct connection *self)
{
    for (;;) {
        await(self, READABLE);
        if (!loop.blocks && !(loop.blocks = calloc(1, sizeof(*loop.blocks))))
            return -1;
        ssize_t got = recv(self->fd, loop.blocks->bytes, BLOCK_BYTES, 0);
        /* A short read has emptied the socket; what comes later is an event of its own. After a
         * full one it is the others' turn, and epoll has to look again. */
        self->ready &= ~(uint32_t)EPOLLIN;
        if (got == BLOCK_BYTES && !watch(self, EPOLL_CTL_MOD))
            return -1;
        if (got >= 0 || errno != EAGAIN)
            return got;
    }
}

static bool send_out(struct connection *self)
{
    struct buffer *out = &self->talk.out;
    for (size_t at = 0; at < out->length;) {
        ssize_t sent = send(self->fd, out->bytes + at, out->length - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0) {
            self->ready &= ~(uint32_t)EPOLLOUT;
            await(self, WRITABLE);
        } else {
            at += (size_t)sent;
        }
    }
    out->length = 0;
    return true;
}

static int ask(struct http_request *request, struct http_response *response)
{
    struct connection *self =
        (struct connection *)((char *)talk_of(response) - offsetof(struct connection, talk));
    (void)request;
    self->asks = true;
    int error = links_ask(&loop.links, &self->question);
    if (error)
        return error;
    while (self->asks)
        fiber_wait();
    return self->question.error;
}

/* --- a connection, from its beginning to its end --- */

static enum talk_next serve_block(struct connection *self, size_t length)
{
    struct block *block = loop.blocks;
    loop.blocks = block->next;
    enum talk_next next = talk_on(&self->talk, block->bytes, length);
    block->next = loop.blocks;
    loop.blocks = block;
    return next;
}

static void converse(struct connection *self)
{
    enum talk_next next = TALK_READS;
    while (next != TALK_ENDS) {
        ssize_t got = receive(self);
        if (got <= 0)
            break;
        next = serve_block(self, (size_t)got);
        if (!send_out(self))
            break;
    }
    if (next == TALK_ENDS && self->talk.out.length == 0) {
        epoll_ctl(loop.epoll, EPOLL_CTL_DEL, self->fd, NULL);
        farewell(&loop.farewells, self->fd);
    } else {
        close(self->fd);
    }
}

static void serve(void *arg)
{
    struct connection self = {
        .fd = (int)(intptr_t)arg, .fiber = fiber_self(), .talk.room = &loop.room};
    if (watch(&self, EPOLL_CTL_ADD))
        converse(&self);
    else
        close(self.fd);
    talk_end(&self.talk);
}

/* --- the loop --- */

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(loop.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0 ||
           errno == ECONNABORTED) {
        if (fd >= 0 && !fiber_start(serve, (void *)(intptr_t)fd))
            close(fd);
    }
    loop.accepts = errno != EAGAIN; /* otherwise there is no room, until some have ended */
}

static void on_connection(struct connection *connection, uint32_t events)
{
    connection->ready |= events;
    if (connection->awaits & events)
        fiber_go_on(connection->fiber);
}

static bool watch_link(struct links *links, struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)link | LINK};
    (void)links;
    return epoll_ctl(loop.epoll, EPOLL_CTL_ADD, link->fd, &event) == 0;
}

/* Closing it is enough. */
static void forget_link(struct links *links, struct link *link)
{
    (void)links, (void)link;
}

/* Appends the questions that are done. */
static struct question **read_link(struct link *link, struct question **end)
{
    *end = links_read(&loop.links, link);
    while (*end)
        end = &(*end)->next;
    return end;
}

/* A coroutine that goes on may end, and its connection with it. That of an answer does so after the
 * turn's events, one of which may be for that connection. */
static void turn(const struct epoll_event *events, int count)
{
    struct question *done = NULL, **end = &done;
    for (int i = 0; i < count; i++) {
        if (!events[i].data.ptr)
            loop.accepts = true;
        else if (events[i].data.u64 & LINK)
            end = read_link((struct link *)(uintptr_t)(events[i].data.u64 & ~LINK), end);
        else
            on_connection(events[i].data.ptr, events[i].events);
    }
    for (struct question *next; done; done = next) {
        struct connection *connection =
            (struct connection *)((char *)done - offsetof(struct connection, question));
        next = done->next;
        connection->asks = false;
        fiber_go_on(connection->fiber);
    }
    if (loop.accepts)
        accept_all();
}

static void run(int listener, const struct model_options *options)
{
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN | EPOLLET};
    loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC),
                         .listener = listener,
                         .links = {.watch = watch_link, .forget = forget_link}};
    links_open(&loop.links, options->service_port, options->pool);
    require(loop.epoll >= 0 && epoll_ctl(loop.epoll, EPOLL_CTL_ADD, listener, &event) == 0,
            "cannot watch the listener");
    for (;;) {
        int due = farewells_close(&loop.farewells);
        turn(events, epoll_wait(loop.epoll, events, EVENTS_MAX, loop.accepts ? PATIENCE_MS : due));
    }
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, LINKS);
    stop_on_signal();
    talk_open(ask, 0);
    team_run(&options, SOCK_NONBLOCK, run);
}
