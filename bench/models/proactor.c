/*
 * proactor.c - completions instead of readiness: what is to be done is put in a ring that the
 * kernel shares (io_uring), and what has been done is found in another. A thread for each core has
 * a ring, a listener and connections of its own. Accepting and receiving are asked for once and
 * complete again and again, into buffers that are lent to the kernel; one system call submits all
 * that a turn asks for and waits for what comes next.
 *
 * An object may be freed only when all that the kernel does for it is complete.
 */
#include "common/links.h"
#include "common/options.h"
#include "common/sockets.h"
#include "common/stop.h"
#include "common/talk.h"
#include "common/team.h"
#include "proactor_ring.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    LINKS = 1000,
    HELD_MAX = 65536, /* bytes of a client's, beyond which nothing is received */
};

/* What completes: in the low bits of its user data, beside the pointer of what it is for. */
enum kind { NOBODY, ACCEPT, PATIENCE, LINK, RECEIVE, SEND, LINGER, KIND_MASK = 7 };

struct loop {
    struct links links; /* first */
    struct ring ring;
    int listener;
    struct talk_room room;
};

struct client {
    struct talk talk; /* first */
    struct loop *loop;
    struct question question;
    struct http_response *response; /* that waits for the service */
    struct buffer sends;            /* being sent */
    size_t sent;
    struct buffer held; /* received, and not dealt with before the answers are sent */
    enum talk_next next;
    int fd;
    bool receiving, sending, asking, lingering; /* what is under way */
    bool ended;                                 /* it has closed its sending side */
    bool leaving;                               /* nothing is done for it any more */
};

static uint64_t tag(void *of, enum kind kind)
{
    return (uint64_t)(uintptr_t)of | kind;
}

/* --- clients --- */

static void start_send(struct client *client)
{
    ring_send(&client->loop->ring, client->fd, client->sends.bytes + client->sent,
              client->sends.length - client->sent, tag(client, SEND));
    client->sending = true;
}

/* Nothing more is done for it; what is under way for it ends soon. */
static void abandon(struct client *client)
{
    if (client->leaving)
        return;
    client->leaving = true;
    if (client->receiving || client->sending)
        shutdown(client->fd, SHUT_RDWR);
    if (client->lingering)
        ring_cancel(&client->loop->ring, tag(client, LINGER));
}

static void free_if_complete(struct client *client)
{
    if (client->receiving || client->sending || client->asking || client->lingering)
        return;
    ring_close(&client->loop->ring, client->fd);
    talk_end(&client->talk);
    buffer_free(&client->sends);
    buffer_free(&client->held);
    free(client);
}

/* See TALK_ENDS in talk.h. */
static void linger(struct client *client)
{
    static const struct __kernel_timespec second = {.tv_sec = 1};
    if (client->lingering)
        return;
    client->lingering = true;
    shutdown(client->fd, SHUT_WR);
    ring_timer(&client->loop->ring, &second, tag(client, LINGER));
}

static void hold(struct client *client, const char *bytes, size_t length)
{
    if (buffer_reserve(&client->held, length))
        buffer_put(&client->held, bytes, length);
    else
        abandon(client);
    if (client->held.length > HELD_MAX && client->receiving)
        ring_cancel(&client->loop->ring, tag(client, RECEIVE));
}

static void take(struct client *client, const char *bytes, size_t length)
{
    if (client->leaving || client->next == TALK_ENDS)
        return;
    if (client->next == TALK_READS && !client->sending && !client->held.length)
        client->next = talk_on(&client->talk, bytes, length);
    else
        hold(client, bytes, length);
}

static void take_held(struct client *client)
{
    struct buffer held = client->held;
    client->held = (struct buffer){.length = 0};
    client->next = talk_on(&client->talk, held.bytes, held.length);
    buffer_free(&held);
}

static void send_answers(struct client *client)
{
    struct buffer sent = client->sends;
    client->sends = client->talk.out;
    client->sent = 0;
    client->talk.out = sent;
    client->talk.out.length = 0;
    start_send(client);
}

/* Starts what can be done next for a client that stays. */
static void carry_on(struct client *client)
{
    if (!client->sending && client->next == TALK_READS && client->held.length)
        take_held(client);
    if (!client->sending && client->talk.out.length)
        send_answers(client);
    if (!client->receiving && !client->ended && client->held.length <= HELD_MAX) {
        ring_receive(&client->loop->ring, client->fd, tag(client, RECEIVE));
        client->receiving = true;
    }
    if (client->sending || client->next == TALK_PENDS)
        return;
    if (client->ended)
        abandon(client);
    else if (client->next == TALK_ENDS)
        linger(client);
}

/* When something is complete. The client may be gone afterwards. */
static void go_on(struct client *client)
{
    if (!client->leaving)
        carry_on(client);
    if (client->leaving)
        free_if_complete(client);
}

static void on_received(struct client *client, const struct io_uring_cqe *cqe)
{
    client->receiving = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res > 0)
        take(client, ring_received(&client->loop->ring, cqe), (size_t)cqe->res);
    else if (cqe->res == 0)
        client->ended = true;
    else if (cqe->res != -ENOBUFS && cqe->res != -ECANCELED)
        abandon(client);
    go_on(client);
}

static void on_sent(struct client *client, int result)
{
    client->sending = false;
    if (result <= 0)
        abandon(client);
    else if ((client->sent += (size_t)result) < client->sends.length)
        start_send(client);
    go_on(client);
}

static void on_lingered(struct client *client)
{
    client->lingering = false;
    abandon(client);
    go_on(client);
}

static void on_accepted(struct loop *loop, const struct io_uring_cqe *cqe)
{
    static const struct __kernel_timespec patience = {.tv_nsec = 10000000};
    struct client *client = cqe->res >= 0 ? calloc(1, sizeof(*client)) : NULL;
    if (client) {
        client->talk.room = &loop->room;
        client->loop = loop;
        client->fd = cqe->res;
        go_on(client);
    } else if (cqe->res >= 0) {
        ring_close(&loop->ring, cqe->res);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res >= 0)
        ring_accept(&loop->ring, loop->listener, tag(loop, ACCEPT));
    else /* descriptors or memory are short */
        ring_timer(&loop->ring, &patience, tag(loop, PATIENCE));
}

/* --- the service --- */

static int ask(struct http_request *request, struct http_response *response)
{
    struct client *client = (struct client *)talk_of(response);
    (void)request;
    client->response = response;
    int error = links_ask(&client->loop->links, &client->question);
    client->asking = !error;
    return error ? error : HTTP_PENDING;
}

static void on_link(struct loop *loop, struct link *link, const struct io_uring_cqe *cqe)
{
    bool more = cqe->flags & IORING_CQE_F_MORE;
    bool stays = cqe->res == -ENOBUFS || (cqe->res == 1 && link->question);
    struct question *next, *done = NULL;
    if (more && !stays)
        shutdown(link->fd, SHUT_RDWR); /* nobody has asked for this; its end comes, too */
    else if (cqe->res != -ENOBUFS)
        done = links_received(&loop->links, link, cqe->res == 1);
    if (!more && stays)
        ring_receive(&loop->ring, link->fd, tag(link, LINK));
    for (; done; done = next) {
        struct client *client = (struct client *)((char *)done - offsetof(struct client, question));
        next = done->next;
        client->asking = false;
        client->talk.closing |= client->leaving;
        workload_finish(client->response, done->error);
        client->next = talk_on(&client->talk, NULL, 0);
        go_on(client);
    }
}

static bool watch(struct links *links, struct link *link)
{
    ring_receive(&((struct loop *)links)->ring, link->fd, tag(link, LINK));
    return true;
}

/* Its number may be another's when it is closed: what was to be sent to it must not wait. */
static void forget(struct links *links, struct link *link)
{
    (void)link;
    ring_submit(&((struct loop *)links)->ring);
}

static void put(struct links *links, struct link *link)
{
    ring_send(&((struct loop *)links)->ring, link->fd, "?", 1, NOBODY);
}

/* --- the loop --- */

static void on_complete(void *arg, const struct io_uring_cqe *cqe)
{
    struct loop *loop = arg;
    uint64_t data = io_uring_cqe_get_data64(cqe);
    void *of = (void *)(uintptr_t)(data & ~(uint64_t)KIND_MASK);
    switch ((enum kind)(data & KIND_MASK)) {
    case ACCEPT:
        on_accepted(loop, cqe);
        break;
    case PATIENCE:
        ring_accept(&loop->ring, loop->listener, tag(loop, ACCEPT));
        break;
    case LINK:
        on_link(loop, of, cqe);
        break;
    case RECEIVE:
        on_received(of, cqe);
        break;
    case SEND:
        on_sent(of, cqe->res);
        break;
    case LINGER:
        on_lingered(of);
        break;
    default:
        break;
    }
}

static void run(int listener, const struct model_options *options)
{
    struct loop loop = {.listener = listener,
                        .links = {.watch = watch, .forget = forget, .put = put}};
    links_open(&loop.links, options->service_port, options->pool);
    ring_open(&loop.ring);
    ring_accept(&loop.ring, loop.listener, tag(&loop, ACCEPT));
    for (;;)
        ring_turn(&loop.ring, on_complete, &loop);
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, LINKS);
    stop_on_signal();
    ring_probe();
    talk_open(ask, 0);
    team_run(&options, 0, run);
}
