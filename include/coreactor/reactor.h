/*
 * reactor.h - an event loop over epoll(7): descriptors, timers, work from other threads.
 *
 * A reactor belongs to one thread, the one that calls reactor_run(). Every function here must be
 * called on that thread, or by whoever has the reactor to itself before or after the run, except
 * reactor_post() and reactor_stop(), which any thread may call.
 *
 * Functions that can fail return 0 or a negative errno value.
 */
#ifndef COREACTOR_REACTOR_H
#define COREACTOR_REACTOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct reactor;
struct reactor_timer;

/* Called when `fd` is ready. `events` holds epoll bits (EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP ...),
 * only those asked for plus EPOLLERR and EPOLLHUP, which are always reported. The callback may
 * register, reregister and deregister any descriptor, its own included. */
typedef void (*reactor_callback)(struct reactor *reactor, int fd, uint32_t events, void *arg);

/* Called for a timer or a posted piece of work. */
typedef void (*reactor_task)(struct reactor *reactor, void *arg);

/* What ended reactor_run(). */
enum reactor_outcome {
    REACTOR_IDLE = 0,    /* no descriptor is registered and no timer is started */
    REACTOR_TIMEOUT = 1, /* the time-out passed */
    REACTOR_STOPPED = 2  /* reactor_stop() was called */
};

/* A new reactor with nothing registered, or NULL with errno set (EMFILE, ENFILE, ENOMEM).
 * The caller owns it and ends it with reactor_destroy(). Source: epoll_create1(2), eventfd(2). */
struct reactor *reactor_new(void);

/* Frees the reactor and everything it holds. Work that was posted and has not run yet runs now, so
 * that every successful reactor_post() runs exactly once. Registered descriptors are forgotten, not
 * closed; timers that are still started are stopped, and remain their owner's to free.
 * NULL is allowed. Returns 0, or -EBUSY when called from inside reactor_run() or by work that
 * reactor_destroy() runs. */
int reactor_destroy(struct reactor *reactor);

/* Watches `fd`, which must be open and pollable, for the epoll bits in `events` (level-triggered
 * unless EPOLLET is among them). The reactor does not own the descriptor: deregister it before you
 * close it. Errors: -EEXIST (already registered), -EINVAL (no callback), and those of epoll_ctl(2)
 * (-EPERM for a regular file, -ENOSPC, -ENOMEM). */
int reactor_register(struct reactor *reactor, int fd, uint32_t events, reactor_callback callback,
                     void *arg);

/* Replaces what is watched and who is called. With `events` 0 the descriptor stays registered and
 * is only called for EPOLLERR and EPOLLHUP. Events of the turn in progress that are no longer asked
 * for are not delivered. Errors: -ENOENT (not registered), -EINVAL, those of epoll_ctl(2). */
int reactor_reregister(struct reactor *reactor, int fd, uint32_t events, reactor_callback callback,
                       void *arg);

/* Forgets `fd`. Its callback is not called again, not even for events of the turn in progress, and
 * the number may be closed and used anew at once. Error: -ENOENT (not registered). */
int reactor_deregister(struct reactor *reactor, int fd);

/* Runs turns of the loop - wait, descriptors, posted work, timers - until the first of:
 * reactor_stop(), `timeout_ms` milliseconds have passed (negative: no limit; 0: one turn that does
 * not wait), or nothing is registered. The time-out holds under constant traffic too. Posted work
 * alone does not keep the loop running. Signals interrupt nothing (EINTR is handled). Returns an
 * enum reactor_outcome, or a negative errno (-EBUSY: already running). */
int reactor_run(struct reactor *reactor, int timeout_ms);

/* Ends reactor_run() when the turn in progress is complete, so that no event that was received is
 * lost. Without a run in progress, the next one returns at once. Any thread, and async-signal-safe
 * (signal-safety(7)); the reactor must exist until the call has returned. */
void reactor_stop(struct reactor *reactor);

/* Runs task(reactor, arg) on the reactor's thread in one of its next turns, in the order of the
 * posts of each thread. Any thread; the reactor must exist until the call has returned. Errors, and
 * then it will not run: -ENOMEM, -ESHUTDOWN (from work that reactor_destroy() runs). */
int reactor_post(struct reactor *reactor, reactor_task task, void *arg);

/* The time at which the present turn's events were received: nanoseconds of CLOCK_MONOTONIC
 * (clock_gettime(2)). Costs nothing; outside reactor_run() it is the time of the last turn. */
uint64_t reactor_now(const struct reactor *reactor);

/* A pointer of the reactor's owner's, NULL at first; the reactor does nothing with it. */
void reactor_set_data(struct reactor *reactor, void *data);
void *reactor_data(const struct reactor *reactor);

/* A stopped timer that will call task(reactor, arg); NULL when memory is short. The caller owns it
 * and frees it with reactor_timer_free(), which its own task may do too. */
struct reactor_timer *reactor_timer_new(struct reactor *reactor, reactor_task task, void *arg);

/* Starts the timer, or starts it afresh: it fires once after `delay_ms` milliseconds, never
 * earlier, and then every `period_ms` (0: never again). Timers fire in the order of their
 * deadlines, equal deadlines in the order in which they were started. A repeating timer that could
 * not fire for several periods fires once for all of them. Starting and stopping allocate nothing
 * and cannot fail. */
void reactor_timer_start(struct reactor_timer *timer, uint32_t delay_ms, uint32_t period_ms);

/* Stops the timer; harmless when it is not started. Its task is not called until the next start. */
void reactor_timer_stop(struct reactor_timer *timer);

/* Stops and frees the timer. NULL is allowed. */
void reactor_timer_free(struct reactor_timer *timer);

#ifdef __cplusplus
}
#endif

#endif
