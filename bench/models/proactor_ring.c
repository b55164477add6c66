#include "proactor_ring.h"

#include "common/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SUBMISSIONS = 1024, /* of a turn; with more, some are submitted earlier */
    COMPLETIONS = 16384,
    BUFFERS = 1024, /* a power of 2 */
    BUFFER_BYTES = 2048,
};

/* --- opening --- */

static void open_queues(struct io_uring *uring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = COMPLETIONS};
    errno = -io_uring_queue_init_params(SUBMISSIONS, uring, &params);
    require(errno == 0, "no io_uring of Linux 6.1 or later here (sysctl kernel.io_uring_disabled, "
                        "seccomp)");
}

void ring_probe(void)
{
    struct io_uring uring;
    open_queues(&uring);
    io_uring_queue_exit(&uring);
}

static void lend(struct ring *ring, unsigned buffer)
{
    io_uring_buf_ring_add(ring->buffers, ring->bytes + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(ring->buffers, 1);
}

static void open_buffers(struct ring *ring)
{
    size_t size = BUFFERS * (sizeof(struct io_uring_buf) + BUFFER_BYTES);
    void *memory;
    errno = posix_memalign(&memory, (size_t)sysconf(_SC_PAGESIZE), size);
    require(errno == 0, "no memory for buffers");
    struct io_uring_buf_reg all = {.ring_addr = (uintptr_t)memory, .ring_entries = BUFFERS};
    errno = -io_uring_register_buf_ring(&ring->uring, &all, 0);
    require(errno == 0, "cannot lend buffers to the kernel");
    ring->buffers = memory;
    ring->bytes = (char *)memory + BUFFERS * sizeof(struct io_uring_buf);
    io_uring_buf_ring_init(ring->buffers);
    for (unsigned i = 0; i < BUFFERS; i++)
        lend(ring, i);
}

void ring_open(struct ring *ring)
{
    open_queues(&ring->uring);
    io_uring_register_ring_fd(&ring->uring); /* saves its look-up in each call; need not work */
    open_buffers(ring);
}

/* --- submitting --- */

void ring_submit(struct ring *ring)
{
    io_uring_submit(&ring->uring);
}

static struct io_uring_sqe *next_entry(struct ring *ring)
{
    struct io_uring_sqe *entry;
    while (!(entry = io_uring_get_sqe(&ring->uring)))
        ring_submit(ring);
    return entry;
}

/* Of what nobody waits for, only failures complete. */
static void set_data(struct io_uring_sqe *entry, uint64_t data)
{
    if (!data)
        entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, data);
}

void ring_accept(struct ring *ring, int listener, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_multishot_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
    set_data(entry, data);
}

void ring_receive(struct ring *ring, int fd, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    set_data(entry, data);
}

void ring_send(struct ring *ring, int fd, const char *bytes, size_t length, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_send(entry, fd, bytes, length, MSG_NOSIGNAL | MSG_WAITALL);
    set_data(entry, data);
}

void ring_timer(struct ring *ring, const struct __kernel_timespec *after, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_timeout(entry, (struct __kernel_timespec *)(uintptr_t)after, 0, 0);
    set_data(entry, data);
}

void ring_cancel(struct ring *ring, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_cancel64(entry, data, 0);
    set_data(entry, 0);
}

void ring_close(struct ring *ring, int fd)
{
    struct io_uring_sqe *entry = next_entry(ring);
    io_uring_prep_close(entry, fd);
    set_data(entry, 0);
}

/* --- completing --- */

const char *ring_received(const struct ring *ring, const struct io_uring_cqe *cqe)
{
    return ring->bytes + (size_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) * BUFFER_BYTES;
}

void ring_turn(struct ring *ring, ring_callback on_complete, void *arg)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait(&ring->uring, 1);
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        on_complete(arg, cqe);
        if (cqe->flags & IORING_CQE_F_BUFFER)
            lend(ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
}
