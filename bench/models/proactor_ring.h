/*
 * proactor_ring.h - io_uring as the proactor uses it: what can be submitted, the buffers that are
 * lent to the kernel, and a turn of the loop.
 *
 * A ring belongs to the thread that opens it. What is submitted goes to the kernel with the next
 * turn, in order. Each completion carries the `data` that it was submitted with; 0 for what
 * nobody waits for.
 */
#ifndef MODELS_PROACTOR_RING_H
#define MODELS_PROACTOR_RING_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buffers;
    char *bytes; /* of all buffers */
};

/* A line on stderr and the end of the program when the kernel does not allow it. */
void ring_probe(void);
void ring_open(struct ring *ring);

/* Completes for each connection; the last completion is without IORING_CQE_F_MORE. */
void ring_accept(struct ring *ring, int listener, uint64_t data);

/* Completes each time that something has come, with a buffer, and the last time as above. */
void ring_receive(struct ring *ring, int fd, uint64_t data);

/* The bytes must stay until it completes. */
void ring_send(struct ring *ring, int fd, const char *bytes, size_t length, uint64_t data);

/* `after` must stay until it is submitted. */
void ring_timer(struct ring *ring, const struct __kernel_timespec *after, uint64_t data);

/* Ends what was submitted with that data, which completes then. */
void ring_cancel(struct ring *ring, uint64_t data);

void ring_close(struct ring *ring, int fd);

/* Before the next turn. */
void ring_submit(struct ring *ring);

/* What was received. It is lent to the kernel again when the completion has been dealt with. */
const char *ring_received(const struct ring *ring, const struct io_uring_cqe *cqe);

typedef void (*ring_callback)(void *arg, const struct io_uring_cqe *cqe);

/* Submits, waits until something is complete, and calls `on_complete` for all that is. */
void ring_turn(struct ring *ring, ring_callback on_complete, void *arg);

#endif
