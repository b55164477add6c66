/*
 * mailbox.h - work that other threads hand to a reactor: a lock-free list and an eventfd(2).
 *
 * Any thread puts, only the reactor's thread takes.
 */
#ifndef REACTOR_MAILBOX_H
#define REACTOR_MAILBOX_H

#include <coreactor/reactor.h>

#include <stdatomic.h>
#include <stdbool.h>

struct post {
    struct post *next;
    reactor_task task;
    void *arg;
    bool allocated; /* freed once it is taken; false: embedded in something that outlives it */
};

struct mailbox {
    _Atomic(struct post *) newest;
    int wake_fd; /* readable once something was put, or mailbox_wake() was called */
};

/* 0 or -errno of eventfd(2). */
int mailbox_open(struct mailbox *mailbox);
void mailbox_close(struct mailbox *mailbox);

/* Puts a piece of work and wakes the reactor. The post must stay where it is until its task starts.
 */
void mailbox_put(struct mailbox *mailbox, struct post *post);

/* Makes wake_fd readable. Async-signal-safe. */
void mailbox_wake(struct mailbox *mailbox);

/* Makes wake_fd unreadable again; call it before mailbox_run(). */
void mailbox_clear(struct mailbox *mailbox);

/* Runs what was put so far, oldest first. */
void mailbox_run(struct mailbox *mailbox, struct reactor *reactor);

/* reactor_post() without an allocation, for posts that must not fail. Any thread. */
void reactor_post_embedded(struct reactor *reactor, struct post *post);

#endif
