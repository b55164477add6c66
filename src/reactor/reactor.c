/*
 * The event loop. `epoll_event.data.ptr` points at the source, so an event reaches its callback
 * without a look-up; the hash table from descriptor to source serves registering and deregistering
 * only.
 *
 * A source that is deregistered loses its callback at once, which is how the rest of the turn knows
 * to skip it, and is freed when the turn ends: until then an event of the batch may still point at
 * it.
 */
#include "reactor/mailbox.h"
#include "reactor/timer.h"
#include "reactor/turns.h"

#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 256 };

#define NS_PER_MS UINT64_C(1000000)
#define NEVER     UINT64_MAX

struct source {
    int fd;
    uint32_t events;
    reactor_callback callback; /* NULL once deregistered */
    void *arg;
    struct source *next_dead;
};

struct reactor {
    int epoll_fd;
    bool running;
    bool destroying;
    bool woken; /* in this turn, by a post or a stop */
    atomic_bool stop;
    uint64_t now_ns;   /* when the present turn began */
    uint64_t ended_ns; /* ... and the last one ended */
    struct watch watch;
    GHashTable *sources; /* descriptor -> struct source, owned */
    struct source *dead; /* deregistered in this turn */
    struct timer_heap timers;
    struct mailbox mailbox;
    void *data; /* the owner's */
    struct epoll_event ready[EVENTS_PER_TURN];
};

/* --- life --- */

struct reactor *reactor_new(void)
{
    struct reactor *reactor = calloc(1, sizeof(*reactor));
    if (!reactor)
        return NULL;
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reactor->epoll_fd < 0)
        goto no_epoll;
    int error = mailbox_open(&reactor->mailbox);
    if (error) {
        errno = -error;
        goto no_mailbox;
    }
    /* The mailbox is no source: it has no entry in the registry and does not keep the loop alive.
     */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->mailbox.wake_fd, &event) < 0)
        goto no_wake;
    reactor->sources = g_hash_table_new_full(NULL, NULL, NULL, free);
    reactor->now_ns = watch_clock();
    return reactor;

no_wake:
    error = errno;
    mailbox_close(&reactor->mailbox);
    errno = error;
no_mailbox:
    error = errno;
    close(reactor->epoll_fd);
    errno = error;
no_epoll:
    free(reactor);
    return NULL;
}

static void reap(struct reactor *reactor)
{
    while (reactor->dead) {
        struct source *source = reactor->dead;
        reactor->dead = source->next_dead;
        free(source);
    }
}

int reactor_destroy(struct reactor *reactor)
{
    if (!reactor)
        return 0;
    if (reactor->running)
        return -EBUSY;
    reactor->running = true; /* for the tasks: neither destroy nor run from within */
    reactor->destroying = true;
    while (atomic_load(&reactor->mailbox.newest))
        mailbox_run(&reactor->mailbox, reactor);
    while (reactor->timers.root)
        timer_heap_remove(&reactor->timers, reactor->timers.root);
    reap(reactor);
    g_hash_table_destroy(reactor->sources);
    mailbox_close(&reactor->mailbox);
    close(reactor->epoll_fd);
    free(reactor);
    return 0;
}

/* --- the registry --- */

static struct source *find(const struct reactor *reactor, int fd)
{
    return g_hash_table_lookup(reactor->sources, GINT_TO_POINTER(fd));
}

int reactor_register(struct reactor *reactor, int fd, uint32_t events, reactor_callback callback,
                     void *arg)
{
    if (!callback)
        return -EINVAL;
    if (find(reactor, fd))
        return -EEXIST;
    struct source *source = malloc(sizeof(*source));
    if (!source)
        return -ENOMEM;
    *source = (struct source){.fd = fd, .events = events, .callback = callback, .arg = arg};
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int error = -errno;
        free(source);
        return error;
    }
    g_hash_table_insert(reactor->sources, GINT_TO_POINTER(fd), source);
    return 0;
}

int reactor_reregister(struct reactor *reactor, int fd, uint32_t events, reactor_callback callback,
                       void *arg)
{
    if (!callback)
        return -EINVAL;
    struct source *source = find(reactor, fd);
    if (!source)
        return -ENOENT;
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0)
        return -errno;
    source->events = events;
    source->callback = callback;
    source->arg = arg;
    return 0;
}

int reactor_deregister(struct reactor *reactor, int fd)
{
    struct source *source = find(reactor, fd);
    if (!source)
        return -ENOENT;
    /* Fails when the owner has closed the descriptor already, which is too late (reactor.h) but,
     * unless the file is open elsewhere too, harmless: it has left epoll by itself. */
    epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    g_hash_table_steal(reactor->sources, GINT_TO_POINTER(fd));
    source->callback = NULL;
    source->next_dead = reactor->dead;
    reactor->dead = source;
    if (!reactor->running)
        reap(reactor);
    return 0;
}

/* --- one turn --- */

static void dispatch(struct reactor *reactor, const struct epoll_event *ready)
{
    struct source *source = ready->data.ptr;
    if (!source) {
        reactor->woken = true;
        return;
    }
    /* Asked anew, because a callback of this turn may have changed what is of interest. */
    uint32_t events = ready->events & (source->events | EPOLLERR | EPOLLHUP);
    if (source->callback && events)
        source->callback(reactor, source->fd, events, source->arg);
}

static void run_posts(struct reactor *reactor)
{
    if (!reactor->woken)
        return;
    reactor->woken = false;
    mailbox_clear(&reactor->mailbox);
    mailbox_run(&reactor->mailbox, reactor);
}

/* The next deadline on the grid of a repeating timer that lies after now: missed ones are skipped.
 */
static uint64_t next_tick(const struct reactor_timer *timer, uint64_t now_ns)
{
    uint64_t period_ns = timer->period_ms * NS_PER_MS;
    uint64_t missed = (now_ns - timer->deadline_ns) / period_ns;
    return timer->deadline_ns + (missed + 1) * period_ns;
}

static void fire_timers(struct reactor *reactor)
{
    /* A timer started by a task of this phase waits for the next turn, even with no delay:
     * otherwise a task that restarts its own timer would keep the descriptors from being served. */
    const uint64_t sequence_limit = reactor->timers.next_sequence;
    struct reactor_timer *timer;
    while ((timer = timer_heap_pop_due(&reactor->timers, reactor->now_ns, sequence_limit))) {
        if (timer->period_ms) {
            timer->deadline_ns = next_tick(timer, reactor->now_ns);
            timer_heap_insert(&reactor->timers, timer);
        }
        timer->task(reactor, timer->arg); /* may free the timer */
    }
}

/* How long epoll_wait() may sleep: rounded up, so that nothing fires early or spins. */
static int wait_ms(const struct reactor *reactor, uint64_t deadline_ns)
{
    const struct reactor_timer *first = reactor->timers.root;
    if (first && first->deadline_ns < deadline_ns)
        deadline_ns = first->deadline_ns;
    if (deadline_ns == NEVER)
        return -1;
    if (deadline_ns <= reactor->ended_ns)
        return 0;
    uint64_t wait = (deadline_ns - reactor->ended_ns + NS_PER_MS - 1) / NS_PER_MS;
    return wait < INT_MAX ? (int)wait : INT_MAX;
}

/* Waits, then serves descriptors, posts and timers. 0 or -errno. */
static int turn(struct reactor *reactor, uint64_t deadline_ns)
{
    int count = epoll_wait(reactor->epoll_fd, reactor->ready, EVENTS_PER_TURN,
                           wait_ms(reactor, deadline_ns));
    if (count < 0 && errno != EINTR)
        return -errno;
    reactor->now_ns = watch_clock();
    watch_turn_begins(&reactor->watch, reactor->now_ns);
    /* The whole batch, even after reactor_stop(): an edge-triggered event is not reported twice. */
    for (int i = 0; i < count; i++)
        dispatch(reactor, &reactor->ready[i]);
    run_posts(reactor);
    fire_timers(reactor);
    reap(reactor);
    reactor->ended_ns = watch_clock();
    watch_turn_ends(&reactor->watch, reactor->now_ns, reactor->ended_ns);
    return 0;
}

int reactor_run(struct reactor *reactor, int timeout_ms)
{
    if (reactor->running)
        return -EBUSY;
    reactor->running = true;
    reactor->ended_ns = watch_clock();
    const uint64_t deadline_ns =
        timeout_ms < 0 ? NEVER : reactor->ended_ns + (uint64_t)timeout_ms * NS_PER_MS;
    int outcome;
    for (;;) {
        if (atomic_exchange(&reactor->stop, false)) {
            outcome = REACTOR_STOPPED;
            break;
        }
        if (!g_hash_table_size(reactor->sources) && !reactor->timers.root) {
            outcome = REACTOR_IDLE;
            break;
        }
        outcome = turn(reactor, deadline_ns);
        if (outcome < 0)
            break;
        if (reactor->now_ns >= deadline_ns && !atomic_load(&reactor->stop)) {
            outcome = REACTOR_TIMEOUT;
            break;
        }
    }
    reactor->running = false;
    return outcome;
}

uint64_t reactor_now(const struct reactor *reactor)
{
    return reactor->now_ns;
}

struct watch *reactor_watch(struct reactor *reactor)
{
    return &reactor->watch;
}

void reactor_set_data(struct reactor *reactor, void *data)
{
    reactor->data = data;
}

void *reactor_data(const struct reactor *reactor)
{
    return reactor->data;
}

/* --- from other threads --- */

void reactor_stop(struct reactor *reactor)
{
    atomic_store(&reactor->stop, true);
    mailbox_wake(&reactor->mailbox);
}

void reactor_post_embedded(struct reactor *reactor, struct post *post)
{
    mailbox_put(&reactor->mailbox, post);
}

int reactor_post(struct reactor *reactor, reactor_task task, void *arg)
{
    if (reactor->destroying)
        return -ESHUTDOWN; /* a task that posts itself would keep it from ending */
    struct post *post = malloc(sizeof(*post));
    if (!post)
        return -ENOMEM;
    *post = (struct post){.task = task, .arg = arg, .allocated = true};
    mailbox_put(&reactor->mailbox, post);
    return 0;
}

/* --- timers --- */

void reactor_timer_init(struct reactor_timer *timer, struct reactor *reactor, reactor_task task,
                        void *arg)
{
    *timer = (struct reactor_timer){.reactor = reactor, .task = task, .arg = arg};
}

struct reactor_timer *reactor_timer_new(struct reactor *reactor, reactor_task task, void *arg)
{
    struct reactor_timer *timer = malloc(sizeof(*timer));
    if (timer)
        reactor_timer_init(timer, reactor, task, arg);
    return timer;
}

void reactor_timer_start(struct reactor_timer *timer, uint32_t delay_ms, uint32_t period_ms)
{
    struct timer_heap *heap = &timer->reactor->timers;
    if (timer->started)
        timer_heap_remove(heap, timer);
    timer->period_ms = period_ms;
    timer->deadline_ns = watch_clock() + delay_ms * NS_PER_MS;
    timer->sequence = heap->next_sequence++;
    timer_heap_insert(heap, timer);
}

void reactor_timer_stop(struct reactor_timer *timer)
{
    if (timer->started)
        timer_heap_remove(&timer->reactor->timers, timer);
}

void reactor_timer_free(struct reactor_timer *timer)
{
    if (!timer)
        return;
    reactor_timer_stop(timer);
    free(timer);
}
