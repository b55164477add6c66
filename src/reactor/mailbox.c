#include "reactor/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_open(struct mailbox *mailbox)
{
    atomic_init(&mailbox->newest, NULL);
    mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mailbox->wake_fd < 0 ? -errno : 0;
}

void mailbox_close(struct mailbox *mailbox)
{
    close(mailbox->wake_fd);
}

void mailbox_wake(struct mailbox *mailbox)
{
    const uint64_t one = 1;
    int saved = errno;
    /* EAGAIN means that the counter is full, so the descriptor is readable already. */
    while (write(mailbox->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void mailbox_clear(struct mailbox *mailbox)
{
    uint64_t count;
    while (read(mailbox->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

void mailbox_put(struct mailbox *mailbox, struct post *post)
{
    struct post *head = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &head, post,
                                                    memory_order_release, memory_order_relaxed));
    /* Whoever put the first one has woken the reactor, which takes them all. */
    if (!head)
        mailbox_wake(mailbox);
}

void mailbox_run(struct mailbox *mailbox, struct reactor *reactor)
{
    struct post *newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct post *oldest = NULL;
    while (newest) {
        struct post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct post post = *oldest;
        if (post.allocated)
            free(oldest);
        oldest = post.next;
        post.task(reactor, post.arg);
    }
}
