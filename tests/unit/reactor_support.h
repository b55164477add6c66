/*
 * reactor_support.h - what the tests of the reactor share.
 */
#ifndef UNIT_REACTOR_SUPPORT_H
#define UNIT_REACTOR_SUPPORT_H

#include <coreactor/reactor.h>

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

enum {
    /* What a test that waits for something sets as its limit: reached only when it has failed. */
    FAR_MS = 60 * 1000,
};

/* What a callback was last called with, and how often. */
struct probe {
    int calls;
    int fd;
    uint32_t events;
};

static inline uint64_t monotonic_ns(void)
{
    struct timespec now;
    g_assert_cmpint(clock_gettime(CLOCK_MONOTONIC, &now), ==, 0);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

static inline struct reactor *new_reactor(void)
{
    struct reactor *reactor = reactor_new();
    g_assert_nonnull(reactor);
    return reactor;
}

static inline void end_reactor(struct reactor *reactor)
{
    g_assert_cmpint(reactor_destroy(reactor), ==, 0);
}

/* A descriptor that stays readable and writable. */
static inline int readable_fd(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A descriptor that is not readable, but writable. */
static inline int quiet_fd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static inline void make_readable(int fd)
{
    g_assert_cmpint(eventfd_write(fd, 1), ==, 0);
}

static inline void make_quiet(int fd)
{
    eventfd_t count;
    g_assert_cmpint(eventfd_read(fd, &count), ==, 0);
}

/* Closes `fd` and opens `fresh` under its number. */
static inline void reuse_number(int fd, int fresh)
{
    g_assert_cmpint(close(fd), ==, 0);
    g_assert_cmpint(dup3(fresh, fd, O_CLOEXEC), ==, fd);
    g_assert_cmpint(close(fresh), ==, 0);
}

/* The number that the next descriptor will get: rises when one was left open. */
static inline int next_free_fd(void)
{
    int fd = dup(STDERR_FILENO);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return fd; /* cppcheck-suppress deallocret ; only the number */
}

static inline void on_probe(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor;
    struct probe *probe = arg;
    probe->calls++;
    probe->fd = fd;
    probe->events = events;
}

static inline void on_unexpected(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor, (void)arg;
    g_error("descriptor %d must not be called, events are %x", fd, events);
}

static inline void stop_on_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)fd, (void)events, (void)arg;
    reactor_stop(reactor);
}

static inline void stop_task(struct reactor *reactor, void *arg)
{
    (void)arg;
    reactor_stop(reactor);
}

static inline void count_task(struct reactor *reactor, void *arg)
{
    (void)reactor;
    ++*(int *)arg;
}

static inline void unexpected_task(struct reactor *reactor, void *arg)
{
    (void)reactor, (void)arg;
    g_error("this task must not run");
}

static inline void watch(struct reactor *reactor, int fd, uint32_t events,
                         reactor_callback callback, void *arg)
{
    g_assert_cmpint(reactor_register(reactor, fd, events, callback, arg), ==, 0);
}

/* Deregisters and closes. */
static inline void forget(struct reactor *reactor, int fd)
{
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
}

/* One turn that does not wait, with something registered. */
static inline void one_turn(struct reactor *reactor)
{
    g_assert_cmpint(reactor_run(reactor, 0), ==, REACTOR_TIMEOUT);
}

#endif
