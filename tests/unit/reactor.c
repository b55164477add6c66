/* The registry of the reactor: who is called for what, and who is not called any more. */
#include "reactor_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* --- who is called --- */

static void test_callback_gets_descriptor_events_and_argument(void)
{
    struct reactor *reactor = new_reactor();
    struct probe first = {0};
    struct probe second = {0};
    int readable = readable_fd();
    int quiet = quiet_fd();
    watch(reactor, readable, EPOLLIN, on_probe, &first);
    watch(reactor, quiet, EPOLLIN, on_probe, &second);
    one_turn(reactor);
    g_assert_cmpint(first.calls, ==, 1);
    g_assert_cmpint(first.fd, ==, readable);
    g_assert_cmpuint(first.events, ==, EPOLLIN);
    g_assert_cmpint(second.calls, ==, 0);
    make_readable(quiet);
    one_turn(reactor);
    g_assert_cmpint(first.calls, ==, 2);
    g_assert_cmpint(second.calls, ==, 1);
    g_assert_cmpint(second.fd, ==, quiet);
    forget(reactor, readable);
    forget(reactor, quiet);
    end_reactor(reactor);
}

static void test_only_events_that_were_asked_for(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLOUT, on_probe, &probe);
    one_turn(reactor);
    g_assert_cmpuint(probe.events, ==, EPOLLOUT);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLIN | EPOLLOUT, on_probe, &probe), ==, 0);
    one_turn(reactor);
    g_assert_cmpuint(probe.events, ==, EPOLLIN | EPOLLOUT);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_hangup_is_reported_without_being_asked_for(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(ends[1], "x", 1), ==, 1);
    watch(reactor, ends[0], 0, on_probe, &probe);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 0);
    close(ends[1]);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpuint(probe.events, ==, EPOLLHUP);
    forget(reactor, ends[0]);
    end_reactor(reactor);
}

static void test_reregister_replaces_callback_and_argument(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLIN, on_probe, &probe), ==, 0);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_more_descriptors_than_one_batch_holds(void)
{
    enum { COUNT = 600 };
    struct reactor *reactor = new_reactor();
    static struct probe probes[COUNT];
    static int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = readable_fd();
        watch(reactor, fds[i], EPOLLIN, on_probe, &probes[i]);
    }
    /* Level-triggered, so epoll(7) reports them round and round. */
    for (int turns = 0; turns < 10; turns++)
        one_turn(reactor);
    for (int i = 0; i < COUNT; i++) {
        g_assert_cmpint(probes[i].calls, >=, 1);
        g_assert_cmpint(probes[i].fd, ==, fds[i]);
        forget(reactor, fds[i]);
    }
    end_reactor(reactor);
}

static void test_descriptor_zero(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int saved = dup(STDIN_FILENO);
    int fd = readable_fd();
    g_assert_cmpint(dup2(fd, STDIN_FILENO), ==, STDIN_FILENO);
    g_assert_cmpint(reactor_deregister(reactor, 0), ==, -ENOENT);
    watch(reactor, 0, EPOLLIN, on_probe, &probe);
    g_assert_cmpint(reactor_register(reactor, 0, EPOLLIN, on_probe, &probe), ==, -EEXIST);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpint(reactor_deregister(reactor, 0), ==, 0);
    close(STDIN_FILENO);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    close(fd);
    end_reactor(reactor);
}

/* --- what is refused --- */

static void test_register_twice(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLOUT, on_unexpected, NULL), ==, -EEXIST);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpuint(probe.events, ==, EPOLLIN);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_deregister_and_reregister_unknown(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -ENOENT);
    g_assert_cmpint(reactor_deregister(reactor, -1), ==, -ENOENT);
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -ENOENT);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    close(fd);
    end_reactor(reactor);
}

static void test_regular_file(void)
{
    struct reactor *reactor = new_reactor();
    FILE *file = tmpfile();
    g_assert_nonnull(file);
    int fd = fileno(file);
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -EPERM);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    fclose(file);
    end_reactor(reactor);
}

static void test_descriptor_that_is_not_open(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    close(fd);
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -EBADF);
    g_assert_cmpint(reactor_register(reactor, -1, EPOLLIN, on_unexpected, NULL), ==, -EBADF);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    end_reactor(reactor);
}

static void test_null_callback(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, NULL, NULL), ==, -EINVAL);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLOUT, NULL, NULL), ==, -EINVAL);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    g_assert_cmpuint(probe.events, ==, EPOLLIN);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- closed too early --- */

static void test_deregister_after_close(void)
{
    struct reactor *reactor = new_reactor();
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    close(fd);
    g_assert_cmpint(reactor_reregister(reactor, fd, EPOLLIN, on_unexpected, NULL), ==, -EBADF);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
}

static void test_number_reused_after_an_early_close(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, on_unexpected, NULL);
    reuse_number(fd, readable_fd());
    g_assert_cmpint(reactor_register(reactor, fd, EPOLLIN, on_probe, &probe), ==, -EEXIST);
    one_turn(reactor);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    watch(reactor, fd, EPOLLIN, on_probe, &probe);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* --- from a callback --- */

static void deregister_itself(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    on_probe(reactor, fd, events, arg);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, -ENOENT);
}

static void test_own_deregistration(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, deregister_itself, &probe);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(probe.calls, ==, 1);
    close(fd);
    end_reactor(reactor);
}

static void register_itself_anew(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)events;
    g_assert_cmpint(reactor_deregister(reactor, fd), ==, 0);
    watch(reactor, fd, EPOLLIN, on_probe, arg);
}

static void test_own_registration_anew(void)
{
    struct reactor *reactor = new_reactor();
    struct probe probe = {0};
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, register_itself_anew, &probe);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 0);
    one_turn(reactor);
    g_assert_cmpint(probe.calls, ==, 1);
    forget(reactor, fd);
    end_reactor(reactor);
}

/* A callback's argument, allocated, that its own callback frees: what a connection does. */
static void close_and_free_itself(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)events;
    forget(reactor, fd);
    free(arg);
}

static void test_callback_frees_its_argument(void)
{
    struct reactor *reactor = new_reactor();
    for (int i = 0; i < 20; i++)
        watch(reactor, readable_fd(), EPOLLIN, close_and_free_itself, malloc(16));
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
}

/* --- life --- */

static void test_new_and_destroy_leave_no_descriptor_open(void)
{
    int before = next_free_fd();
    for (int i = 0; i < 100; i++)
        end_reactor(new_reactor());
    g_assert_cmpint(next_free_fd(), ==, before);
}

static void test_destroy_null(void)
{
    g_assert_cmpint(reactor_destroy(NULL), ==, 0);
}

static void test_trap_7_destroy_with_sources_timers_and_posts(void)
{
    enum { COUNT = 300 };
    struct reactor *reactor = new_reactor();
    struct reactor_timer *timers[COUNT];
    int fds[COUNT];
    int runs = 0;
    for (int i = 0; i < COUNT; i++) {
        fds[i] = readable_fd();
        watch(reactor, fds[i], EPOLLIN, on_unexpected, NULL);
        timers[i] = reactor_timer_new(reactor, unexpected_task, NULL);
        reactor_timer_start(timers[i], (uint32_t)i % 7, (uint32_t)i % 3);
        g_assert_cmpint(reactor_post(reactor, count_task, &runs), ==, 0);
    }
    end_reactor(reactor);
    g_assert_cmpint(runs, ==, COUNT);
    for (int i = 0; i < COUNT; i++) {
        g_assert_cmpint(fcntl(fds[i], F_GETFD), >=, 0);
        close(fds[i]);
        /* Stopped by the reactor's end, and still its owner's to stop and free. */
        reactor_timer_stop(timers[i]);
        reactor_timer_free(timers[i]);
    }
}

struct leftovers {
    struct reactor_timer *timer;
    int fd;
    int runs;
};

/* Everything that a task may do, in the destruction of the reactor. */
static void leave_more_behind(struct reactor *reactor, void *arg)
{
    struct leftovers *left = arg;
    left->fd = readable_fd();
    watch(reactor, left->fd, EPOLLIN, on_unexpected, NULL);
    left->timer = reactor_timer_new(reactor, unexpected_task, NULL);
    reactor_timer_start(left->timer, 0, 1);
    reactor_stop(reactor);
    g_assert_cmpint(reactor_post(reactor, count_task, &left->runs), ==, -ESHUTDOWN);
    left->runs++;
    int unused = readable_fd();
    watch(reactor, unused, EPOLLIN, on_unexpected, NULL);
    forget(reactor, unused);
}

static void test_trap_7_destroy_runs_posts_that_leave_more_behind(void)
{
    struct reactor *reactor = new_reactor();
    struct leftovers left = {0};
    g_assert_cmpint(reactor_post(reactor, leave_more_behind, &left), ==, 0);
    end_reactor(reactor);
    g_assert_cmpint(left.runs, ==, 1);
    close(left.fd);
    reactor_timer_free(left.timer);
}

static void expect_busy(struct reactor *reactor, void *arg)
{
    count_task(reactor, arg);
    g_assert_cmpint(reactor_destroy(reactor), ==, -EBUSY);
    g_assert_cmpint(reactor_run(reactor, 0), ==, -EBUSY);
}

static void expect_busy_on_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)fd, (void)events;
    expect_busy(reactor, arg);
}

static void test_nested_run_and_destroy_are_busy(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    int fd = readable_fd();
    watch(reactor, fd, EPOLLIN, expect_busy_on_event, &runs);
    struct reactor_timer *timer = reactor_timer_new(reactor, expect_busy, &runs);
    reactor_timer_start(timer, 0, 0);
    g_assert_cmpint(reactor_post(reactor, expect_busy, &runs), ==, 0);
    one_turn(reactor);
    g_assert_cmpint(runs, ==, 3);
    reactor_timer_free(timer);
    forget(reactor, fd);
    end_reactor(reactor);
}

static void test_trap_7_posts_that_destroy_runs_cannot_destroy_again(void)
{
    struct reactor *reactor = new_reactor();
    int runs = 0;
    g_assert_cmpint(reactor_post(reactor, expect_busy, &runs), ==, 0);
    g_assert_cmpint(reactor_post(reactor, expect_busy, &runs), ==, 0);
    end_reactor(reactor);
    g_assert_cmpint(runs, ==, 2);
}

static void test_data_of_the_owner(void)
{
    struct reactor *reactor = new_reactor();
    int data = 0;
    g_assert_null(reactor_data(reactor));
    reactor_set_data(reactor, &data);
    g_assert_true(reactor_data(reactor) == &data);
    reactor_set_data(reactor, NULL);
    g_assert_null(reactor_data(reactor));
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("call/descriptor-events-argument", callback_gets_descriptor_events_and_argument);
    ADD("call/only-what-was-asked-for", only_events_that_were_asked_for);
    ADD("call/hangup-unasked", hangup_is_reported_without_being_asked_for);
    ADD("call/reregister-replaces", reregister_replaces_callback_and_argument);
    ADD("call/more-than-one-batch", more_descriptors_than_one_batch_holds);
    ADD("call/descriptor-zero", descriptor_zero);
    ADD("refused/register-twice", register_twice);
    ADD("refused/unknown", deregister_and_reregister_unknown);
    ADD("refused/regular-file", regular_file);
    ADD("refused/not-open", descriptor_that_is_not_open);
    ADD("refused/null-callback", null_callback);
    ADD("refused/nested-run-and-destroy", nested_run_and_destroy_are_busy);
    ADD("early-close/deregister", deregister_after_close);
    ADD("early-close/number-reused", number_reused_after_an_early_close);
    ADD("callback/deregisters-itself", own_deregistration);
    ADD("callback/registers-itself-anew", own_registration_anew);
    ADD("callback/frees-its-argument", callback_frees_its_argument);
    ADD("life/no-descriptor-left-open", new_and_destroy_leave_no_descriptor_open);
    ADD("life/destroy-null", destroy_null);
    ADD("life/data", data_of_the_owner);
    ADD("trap-7/destroy-with-everything", trap_7_destroy_with_sources_timers_and_posts);
    ADD("trap-7/posts-leave-more", trap_7_destroy_runs_posts_that_leave_more_behind);
    ADD("trap-7/destroy-within-destroy", trap_7_posts_that_destroy_runs_cannot_destroy_again);
    return g_test_run();
}
