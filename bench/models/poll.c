/*
 * poll.c - one thread and one loop over poll(2), or select(2): what came before epoll, and the
 * source of both models. Nothing blocks but the wait itself (waits.h), which takes the list of all
 * connections into the kernel and back at every turn: a busy turn shares that between its requests,
 * a quiet one pays it for each.
 */
#include "waits.h"

#include "common/client.h"
#include "common/farewell.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 16384, PATIENCE_MS = 10, LINKS = 1000 };

/* What a descriptor is for; neither: it is the listener. */
struct use {
    struct client *client;
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
    (void)request;
    return client_ask(response, &links);
}

static void end(struct client *client, bool politely)
{
    waits_forget(client->fd);
    uses[client->fd].client = NULL;
    if (politely)
        farewell(&farewells, client->fd);
    else
        close(client->fd);
    client_release(client);
}

/* Sends what there is, and watches for what the client needs next. */
static void send_out(struct client *client)
{
    static const short watched[] = {
        [CLIENT_INPUT] = POLLIN, [CLIENT_ROOM] = POLLOUT, [CLIENT_LINK] = 0};
    enum client_wait wait = client_send(client);
    if (wait == CLIENT_ENDS || wait == CLIENT_LOST)
        end(client, wait == CLIENT_ENDS);
    else
        waits_watch(client->fd, watched[wait]);
}

static void receive(struct client *client)
{
    static char bytes[READ_MAX];
    ssize_t got = recv(client->fd, bytes, sizeof(bytes), 0);
    if (got > 0) {
        client->next = talk_on(&client->talk, bytes, (size_t)got);
        send_out(client);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        end(client, false);
    }
}

static void on_client(struct client *client, short found)
{
    if (client->talk.out.length)
        send_out(client);
    else if (client->next != TALK_PENDS)
        receive(client);
    else if (found & (POLLERR | POLLHUP)) /* which poll(2) reports unasked */
        end(client, false);
}

static void on_link(struct link *link)
{
    for (struct question *next, *done = links_read(&links, link); done; done = next) {
        next = done->next;
        struct client *client = client_answered(done);
        if (client)
            send_out(client);
    }
}

static void welcome(int fd)
{
    struct client *client = malloc(sizeof(*client));
    if (!client || !waits_watch(fd, POLLIN)) {
        free(client);
        close(fd);
        return;
    }
    *client = (struct client){.fd = fd, .talk.room = &room};
    uses[fd].client = client;
}

/* Returns for how many milliseconds it is of no use to try again. */
static int accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            welcome(fd);
        else if (is_shortage(errno))
            return PATIENCE_MS; /* until some connection has ended */
        else if (errno == EAGAIN)
            return 0;
    }
}

static void on_descriptor(int fd, short found)
{
    if (uses[fd].client)
        on_client(uses[fd].client, found);
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
