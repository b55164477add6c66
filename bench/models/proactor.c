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

#include <errno.h>
#include <liburing.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
    SUBMISSIONS = 1024, /* more are submitted at once */
    COMPLETIONS = 16384,
    BUFFERS = 1024, /* a power of 2 */
    BUFFER_BYTES = 2048,
    HELD_MAX = 65536,
};

/* What completes: in the low bits of its user data, beside the pointer of what it is for. */
enum kind { NOTHING, ACCEPT, PATIENCE, LINK, RECEIVE, SEND, LINGER, KIND_MASK = 7 };

struct loop {
    struct links links; /* first */
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *bytes; /* of all buffers */
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

/* --- what is submitted --- */

static struct io_uring_sqe *submission(struct loop *loop)
{
    struct io_uring_sqe *entry;
    while (!(entry = io_uring_get_sqe(&loop->ring)))
        io_uring_submit(&loop->ring);
    return entry;
}

static uint64_t tag(void *of, enum kind kind)
{
    return (uint64_t)(uintptr_t)of | kind;
}

static void start_accept(struct loop *loop)
{
    struct io_uring_sqe *entry = submission(loop);
    io_uring_prep_multishot_accept(entry, loop->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, tag(loop, ACCEPT));
}

static void start_timer(struct loop *loop, const struct __kernel_timespec *after, uint64_t data)
{
    struct io_uring_sqe *entry = submission(loop);
    io_uring_prep_timeout(entry, (struct __kernel_timespec *)after, 0, 0);
    io_uring_sqe_set_data64(entry, data);
}

static void start_receive(struct loop *loop, int fd, uint64_t data)
{
    struct io_uring_sqe *entry = submission(loop);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    io_uring_sqe_set_data64(entry, data);
}

static void start_send(struct client *client)
{
    struct io_uring_sqe *entry = submission(client->loop);
    io_uring_prep_send(entry, client->fd, client->sends.bytes + client->sent,
                       client->sends.length - client->sent, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(entry, tag(client, SEND));
    client->sending = true;
}

static void cancel(struct loop *loop, uint64_t data)
{
    struct io_uring_sqe *entry = submission(loop);
    io_uring_prep_cancel64(entry, data, 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, NOTHING);
}

static void start_close(struct loop *loop, int fd)
{
    struct io_uring_sqe *entry = submission(loop);
    io_uring_prep_close(entry, fd);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, NOTHING);
}

static void lend(struct loop *loop, unsigned buffer)
{
    io_uring_buf_ring_add(loop->buffers, loop->bytes + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(loop->buffers, 1);
}

/* --- clients --- */

/* Nothing more is done for it; what is under way for it ends soon. */
static void abandon(struct client *client)
{
    if (client->leaving)
        return;
    client->leaving = true;
    if (client->receiving || client->sending)
        shutdown(client->fd, SHUT_RDWR);
    if (client->lingering)
        cancel(client->loop, tag(client, LINGER));
}

static void free_if_complete(struct client *client)
{
    if (client->receiving || client->sending || client->asking || client->lingering)
        return;
    start_close(client->loop, client->fd);
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
    start_timer(client->loop, &second, tag(client, LINGER));
}

static void hold(struct client *client, const char *bytes, size_t length)
{
    if (client->next == TALK_ENDS)
        return;
    if (buffer_reserve(&client->held, length))
        buffer_put(&client->held, bytes, length);
    else
        abandon(client);
    if (client->held.length > HELD_MAX && client->receiving)
        cancel(client->loop, tag(client, RECEIVE));
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
        start_receive(client->loop, client->fd, tag(client, RECEIVE));
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

static void on_received(struct client *client, const struct io_uring_cqe *cqe, const char *bytes)
{
    client->receiving = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res > 0 && client->next == TALK_READS && !client->sending && !client->held.length)
        client->next = talk_on(&client->talk, bytes, (size_t)cqe->res);
    else if (cqe->res > 0)
        hold(client, bytes, (size_t)cqe->res);
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
        start_close(loop, cqe->res);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res >= 0)
        start_accept(loop);
    else /* descriptors or memory are short */
        start_timer(loop, &patience, tag(loop, PATIENCE));
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
    struct question *next, *done = NULL;
    if (more && (cqe->res != 1 || !link->question))
        shutdown(link->fd, SHUT_RDWR); /* nobody has asked for this; its end comes, too */
    else if (cqe->res != -ENOBUFS)
        done = links_received(&loop->links, link, cqe->res == 1);
    if (!more && (cqe->res == 1 || cqe->res == -ENOBUFS))
        start_receive(loop, link->fd, tag(link, LINK));
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
    start_receive((struct loop *)links, link->fd, tag(link, LINK));
    return true;
}

/* Its number may be another's when it is closed: what was to be sent to it must not wait. */
static void forget(struct links *links, struct link *link)
{
    (void)link;
    io_uring_submit(&((struct loop *)links)->ring);
}

static void put(struct links *links, struct link *link)
{
    struct io_uring_sqe *entry = submission((struct loop *)links);
    io_uring_prep_send(entry, link->fd, "?", 1, MSG_NOSIGNAL);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, NOTHING);
}

/* --- the loop --- */

static void on_complete(struct loop *loop, const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    void *of = (void *)(uintptr_t)(data & ~(uint64_t)KIND_MASK);
    unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    switch ((enum kind)(data & KIND_MASK)) {
    case ACCEPT:
        on_accepted(loop, cqe);
        break;
    case PATIENCE:
        start_accept(loop);
        break;
    case LINK:
        on_link(loop, of, cqe);
        break;
    case RECEIVE:
        on_received(of, cqe, loop->bytes + (size_t)buffer * BUFFER_BYTES);
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
    if (cqe->flags & IORING_CQE_F_BUFFER)
        lend(loop, buffer);
}

/* Ends the program when the kernel does not allow it. */
static void open_ring(struct io_uring *ring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = COMPLETIONS};
    errno = -io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    require(errno == 0, "no io_uring of Linux 6.1 or later here (sysctl kernel.io_uring_disabled, "
                        "seccomp)");
}

static void open_buffers(struct loop *loop)
{
    size_t size = BUFFERS * (sizeof(struct io_uring_buf) + BUFFER_BYTES);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "no memory for buffers");
    struct io_uring_buf_reg all = {.ring_addr = (uintptr_t)memory, .ring_entries = BUFFERS};
    errno = -io_uring_register_buf_ring(&loop->ring, &all, 0);
    require(errno == 0, "cannot lend buffers");
    loop->buffers = memory;
    loop->bytes = (char *)memory + BUFFERS * sizeof(struct io_uring_buf);
    io_uring_buf_ring_init(loop->buffers);
    for (unsigned i = 0; i < BUFFERS; i++)
        lend(loop, i);
}

static void turn(struct loop *loop)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait(&loop->ring, 1);
    io_uring_for_each_cqe(&loop->ring, head, cqe)
    {
        on_complete(loop, cqe);
        count++;
    }
    io_uring_cq_advance(&loop->ring, count);
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, 1000);
    int *listeners = calloc(options.threads, sizeof(*listeners));
    struct io_uring probe;
    require(listeners, "no memory");
    stop_on_signal();
    open_ring(&probe);
    io_uring_queue_exit(&probe);
    talk_open(ask, 0);
    for (unsigned i = 0; i < options.threads; i++)
        listeners[i] = listen_on(options.port, 0);
    omp_set_dynamic(0);
#pragma omp parallel num_threads(options.threads)
    {
        struct loop loop = {.listener = listeners[omp_get_thread_num()],
                            .links = {.watch = watch, .forget = forget, .put = put}};
        links_open(&loop.links, options.service_port, options.pool);
        open_ring(&loop.ring);
        open_buffers(&loop);
        start_accept(&loop);
        for (;;)
            turn(&loop);
    }
}
