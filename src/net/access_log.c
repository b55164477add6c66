#include "net/access_log.h"

#include "base/aside.h"
#include "base/ring.h"
#include "net/access_output.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    RING_SIZE = 1 << 20,
    RING_WAKES = RING_SIZE / 4, /* bytes in a ring that are not left until the time-out */
    LINES_PER_TURN = 1024,      /* of one ring, so that a busy one does not starve the others */
    IDLE_MS = 200,              /* after which a line appears at the latest */
    BLOCKED_MS = 100,           /* how often a blocked output is seen to be given up */
    CLOSE_MS = 2000,
    CLOSE_GRACE_MS = 500, /* for a thread that hangs in write(2) */
    WARN_INTERVAL_S = 10,
};

struct access_ring {
    struct ring ring;
    struct access_log *log;
    atomic_uint_fast64_t lost; /* lines that did not fit; only the reactor changes it */
};

struct access_log {
    alignas(RING_LINE) atomic_bool woken; /* the thread has been told that it has much to do */
    atomic_bool reopen;
    _Atomic(int64_t) close_by_us; /* 0: not closing */
    atomic_bool parted;           /* set by the thread's end or by a close that waits no more */
    int wake_fd;                  /* for the thread */
    int ended_fd;                 /* readable when the thread has ended */
    pthread_t thread;
    unsigned reactors;
    struct access_ring *rings;
    /* The rest belongs to the thread. */
    alignas(RING_LINE) struct access_line line;
    struct access_output output;
    uint64_t reported_slow; /* of the lost lines */
    uint64_t reported_failed;
    int64_t next_report_us;
};

static void notify(int fd)
{
    const uint64_t one = 1;
    int saved = errno;
    /* EAGAIN means that the counter is full, so the descriptor is readable already. */
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

/* --- the reactors --- */

struct access_ring *access_log_ring(struct access_log *log, unsigned reactor)
{
    return &log->rings[reactor];
}

static void wake(struct access_log *log)
{
    /* Looks before it writes, because most of the time the flag is set already. */
    if (!atomic_load_explicit(&log->woken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&log->woken, true, memory_order_relaxed))
        notify(log->wake_fd);
}

void access_log_add(struct access_ring *ring, const struct access_entry *entry)
{
    struct access_record *record = ring_reserve(&ring->ring, access_record_size(entry));
    if (record) {
        access_record_fill(record, entry);
        ring_commit(&ring->ring);
    } else {
        uint64_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
        atomic_store_explicit(&ring->lost, lost + 1, memory_order_relaxed);
    }
    if (ring_past(&ring->ring, RING_WAKES))
        wake(ring->log);
}

void access_log_reopen(struct access_log *log)
{
    atomic_store(&log->reopen, true);
    notify(log->wake_fd);
}

/* --- what was lost --- */

/* Standard error may be the very pipe that is blocked. Whoever waits for it while it is locked
 * stops all who have something to say. */
static bool can_warn(void)
{
    struct pollfd waiting = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&waiting, 1, 0) != 0;
}

/* `last`: the log ends. Before that, at most every WARN_INTERVAL_S, and not while it is closed. */
static void report(struct access_log *log, bool last)
{
    uint64_t slow = 0;
    for (unsigned i = 0; i < log->reactors; i++)
        slow += atomic_load_explicit(&log->rings[i].lost, memory_order_relaxed);
    uint64_t more_slow = slow - log->reported_slow;
    uint64_t more_failed = log->output.lost - log->reported_failed;
    int64_t now_us = g_get_monotonic_time();
    if (!last && (now_us < log->next_report_us || atomic_load(&log->close_by_us)))
        return;
    if ((!more_slow && !more_failed) || !can_warn())
        return;
    log->reported_slow = slow;
    log->reported_failed = log->output.lost;
    log->next_report_us = now_us + WARN_INTERVAL_S * G_USEC_PER_SEC;
    const char *path = log->output.path ? log->output.path : "standard output";
    if (!more_failed)
        g_warning("access log: %" PRIu64 " lines lost: %s takes them too slowly", more_slow, path);
    else
        g_warning("access log: %" PRIu64 " lines lost: %" PRIu64 " because %s takes them too "
                  "slowly, %" PRIu64 " because writing failed (%s)",
                  more_slow + more_failed, more_slow, path, more_failed,
                  g_strerror(log->output.error));
}

/* --- the thread --- */

static bool is_late(const struct access_log *log)
{
    int64_t by_us = atomic_load(&log->close_by_us);
    return by_us && g_get_monotonic_time() >= by_us;
}

/* Writes what was collected, however long the output is blocked, unless the log is closed. */
static void flush(struct access_log *log)
{
    int64_t wait_us = is_late(log) ? 0 : BLOCKED_MS * 1000;
    while (!access_output_flush(&log->output, g_get_monotonic_time() + wait_us)) {
        if (is_late(log))
            access_output_give_up(&log->output, ETIMEDOUT);
        report(log, false);
    }
}

/* Takes some of the lines of a ring; false when it is empty. */
static bool drain_ring(struct access_log *log, struct ring *ring)
{
    for (int i = 0; i < LINES_PER_TURN; i++) {
        size_t length;
        const struct access_record *record = ring_peek(ring, &length);
        if (!record)
            return false;
        char *text = access_output_room(&log->output);
        if (!text) {
            flush(log);
            text = access_output_room(&log->output);
        }
        access_output_add(&log->output, access_line_make(&log->line, record, text));
        ring_release(ring);
    }
    return true;
}

/* Writes some of what waits in the rings; false when it was all. */
static bool drain(struct access_log *log)
{
    bool more = false;
    for (unsigned i = 0; i < log->reactors; i++)
        more |= drain_ring(log, &log->rings[i].ring);
    flush(log);
    return more;
}

static void wait_for_work(struct access_log *log)
{
    struct pollfd waiting = {.fd = log->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&waiting, 1, IDLE_MS) > 0 && read(log->wake_fd, &count, sizeof(count)) < 0)
        count = 0;
    /* Before the rings are looked at: who finds the flag set knows that its lines are seen. */
    atomic_store(&log->woken, false);
}

static void free_log(struct access_log *log)
{
    for (unsigned i = 0; log->rings && i < log->reactors; i++)
        ring_fini(&log->rings[i].ring);
    free(log->rings);
    access_output_close(&log->output);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    if (log->ended_fd >= 0)
        close(log->ended_fd);
    free(log);
}

/* What is left when the time is over. */
static void lose_rest(struct access_log *log)
{
    size_t length;
    for (unsigned i = 0; i < log->reactors; i++) {
        while (ring_peek(&log->rings[i].ring, &length)) {
            ring_release(&log->rings[i].ring);
            log->output.lost++;
            log->output.error = ETIMEDOUT;
        }
    }
}

static void *run(void *arg)
{
    struct access_log *log = arg;
    for (;;) {
        bool closing = atomic_load(&log->close_by_us) != 0;
        if (atomic_exchange(&log->reopen, false))
            access_output_reopen(&log->output);
        bool more = drain(log);
        report(log, false);
        if (closing && (!more || is_late(log)))
            break;
        if (!more)
            wait_for_work(log);
    }
    lose_rest(log);
    access_output_give_up(&log->output, log->output.error);
    report(log, true);
    notify(log->ended_fd);
    if (atomic_exchange(&log->parted, true))
        free_log(log);
    return NULL;
}

/* --- opening and closing --- */

static int open_rings(struct access_log *log, unsigned reactors)
{
    log->rings = aligned_alloc(RING_LINE, reactors * sizeof(*log->rings));
    if (!log->rings)
        return -ENOMEM;
    for (; log->reactors < reactors; log->reactors++) {
        struct access_ring *ring = &log->rings[log->reactors];
        if (!ring_init(&ring->ring, RING_SIZE))
            return -ENOMEM;
        ring->log = log;
        atomic_init(&ring->lost, 0);
    }
    return 0;
}

/* Without signals: a pipe without readers is an error, not a SIGPIPE. */
static int start_thread(struct access_log *log)
{
    struct aside before;
    aside_begin(&before);
    int error = pthread_create(&log->thread, NULL, run, log);
    aside_end(&before);
    if (!error)
        pthread_setname_np(log->thread, "access-log");
    return -error;
}

static int open_log(struct access_log *log, const char *path, unsigned reactors)
{
    int error = access_output_open(&log->output, path);
    if (error)
        return error;
    log->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    log->ended_fd = log->wake_fd < 0 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (log->ended_fd < 0)
        return -errno;
    error = open_rings(log, reactors);
    return error ? error : start_thread(log);
}

struct access_log *access_log_open(const char *path, enum access_format format, unsigned reactors)
{
    struct access_log *log = aligned_alloc(RING_LINE, sizeof(*log));
    if (!log)
        return NULL;
    *log = (struct access_log){.wake_fd = -1, .ended_fd = -1, .line.format = format};
    int error = open_log(log, path, reactors);
    if (!error)
        return log;
    free_log(log);
    errno = -error;
    return NULL;
}

/* Whether the thread ends in time. */
static bool await_end(const struct access_log *log, int64_t until_us)
{
    struct pollfd ended = {.fd = log->ended_fd, .events = POLLIN};
    int ready;
    do {
        int64_t wait_us = until_us - g_get_monotonic_time();
        ready = poll(&ended, 1, wait_us > 0 ? (int)(wait_us / 1000) : 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

void access_log_close(struct access_log *log)
{
    if (!log)
        return;
    pthread_t thread = log->thread;
    int64_t by_us = g_get_monotonic_time() + CLOSE_MS * 1000;
    atomic_store(&log->close_by_us, by_us);
    notify(log->wake_fd);
    if (await_end(log, by_us + CLOSE_GRACE_MS * 1000) || atomic_exchange(&log->parted, true)) {
        pthread_join(thread, NULL);
        free_log(log);
        return;
    }
    /* It hangs in write(2). When that returns, the thread frees the log. */
    pthread_detach(thread);
    if (can_warn())
        g_warning("access log: the output hangs; what was not written yet is lost");
}
