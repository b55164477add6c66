/* Trap 6: what a callback does to descriptors whose events are in the same batch.
 *
 * Every test makes CROWD descriptors ready before one turn, so that epoll_wait(2) returns them
 * together. Whichever is called first acts on all the others. */
#include "reactor_support.h"

#include <errno.h>
#include <fcntl.h>

enum { CROWD = 8 };

struct crowd {
    int fds[CROWD];
    int calls;
    int last_fd;
    uint32_t last_events;
    struct probe fresh[CROWD]; /* of registrations made in the batch */
};

static void open_crowd(struct reactor *reactor, struct crowd *crowd, uint32_t events,
                       reactor_callback callback)
{
    *crowd = (struct crowd){0};
    for (int i = 0; i < CROWD; i++) {
        crowd->fds[i] = readable_fd();
        watch(reactor, crowd->fds[i], events, callback, crowd);
    }
}

static void close_crowd(struct reactor *reactor, struct crowd *crowd)
{
    for (int i = 0; i < CROWD; i++) {
        reactor_deregister(reactor, crowd->fds[i]);
        close(crowd->fds[i]);
    }
}

static void note(struct crowd *crowd, int fd, uint32_t events)
{
    crowd->calls++;
    crowd->last_fd = fd;
    crowd->last_events = events;
}

static int fresh_calls(const struct crowd *crowd)
{
    int calls = 0;
    for (int i = 0; i < CROWD; i++)
        calls += crowd->fresh[i].calls;
    return calls;
}

/* --- deregistered in the batch --- */

static void deregister_all(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;
    note(crowd, fd, events);
    for (int i = 0; i < CROWD; i++)
        g_assert_cmpint(reactor_deregister(reactor, crowd->fds[i]), ==, 0);
}

static void test_deregistered_by_another_callback(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN, deregister_all);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(crowd.calls, ==, 1);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

/* Each with an argument of its own, freed when its descriptor is deregistered. */
struct member {
    struct member **all;
    int fd;
};

static void free_all_members(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)fd, (void)events;
    struct member **all = ((struct member *)arg)->all;
    for (int i = 0; i < CROWD; i++) {
        forget(reactor, all[i]->fd);
        free(all[i]);
    }
}

static void test_arguments_freed_by_another_callback(void)
{
    struct reactor *reactor = new_reactor();
    struct member *all[CROWD];
    for (int i = 0; i < CROWD; i++) {
        all[i] = malloc(sizeof(*all[i]));
        *all[i] = (struct member){.all = all, .fd = readable_fd()};
        watch(reactor, all[i]->fd, EPOLLIN, free_all_members, all[i]);
    }
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    end_reactor(reactor);
}

static void deregister_all_task(struct reactor *reactor, void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < CROWD; i++)
        g_assert_cmpint(reactor_deregister(reactor, crowd->fds[i]), ==, 0);
    crowd->calls = 0;
}

static void note_event(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    (void)reactor;
    note(arg, fd, events);
}

/* The post's own event may come anywhere in the batch: nothing is called after it. */
static void test_deregistered_by_a_post_or_a_timer(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    g_assert_cmpint(reactor_post(reactor, deregister_all_task, &crowd), ==, 0);
    open_crowd(reactor, &crowd, EPOLLIN, note_event);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(crowd.calls, ==, 0);
    close_crowd(reactor, &crowd);

    open_crowd(reactor, &crowd, EPOLLIN, note_event);
    struct reactor_timer *timer = reactor_timer_new(reactor, deregister_all_task, &crowd);
    reactor_timer_start(timer, 0, 0);
    g_assert_cmpint(reactor_run(reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(crowd.calls, ==, 0);
    close_crowd(reactor, &crowd);
    reactor_timer_free(timer);
    end_reactor(reactor);
}

/* --- the number reused in the batch --- */

/* Closes every other descriptor and opens a new one under the same number. */
static void reuse_others(struct reactor *reactor, struct crowd *crowd, int own_fd,
                         int (*open)(void))
{
    for (int i = 0; i < CROWD; i++) {
        if (crowd->fds[i] == own_fd)
            continue;
        g_assert_cmpint(reactor_deregister(reactor, crowd->fds[i]), ==, 0);
        reuse_number(crowd->fds[i], open());
        watch(reactor, crowd->fds[i], EPOLLIN, on_probe, &crowd->fresh[i]);
    }
}

static void reuse_others_as_quiet(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    note(arg, fd, events);
    if (((struct crowd *)arg)->calls == 1)
        reuse_others(reactor, arg, fd, quiet_fd);
}

static void reuse_others_as_readable(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    note(arg, fd, events);
    if (((struct crowd *)arg)->calls == 1)
        reuse_others(reactor, arg, fd, readable_fd);
}

static void test_reused_number_does_not_get_the_old_event(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN, reuse_others_as_quiet);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    for (int turns = 0; turns < 3; turns++)
        one_turn(reactor);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    for (int i = 0; i < CROWD; i++)
        make_readable(crowd.fds[i]);
    one_turn(reactor);
    for (int i = 0; i < CROWD; i++) {
        bool is_fresh = crowd.fds[i] != crowd.last_fd;
        g_assert_cmpint(crowd.fresh[i].calls, ==, is_fresh);
        g_assert_cmpint(crowd.fresh[i].fd, ==, is_fresh ? crowd.fds[i] : 0);
    }
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

static void test_reused_number_gets_its_own_event_next_turn(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN, reuse_others_as_readable);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 2);
    g_assert_cmpint(fresh_calls(&crowd), ==, CROWD - 1);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

static void register_others_anew(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;
    note(crowd, fd, events);
    for (int i = 0; i < CROWD; i++) {
        if (crowd->fds[i] == fd || crowd->calls > 1)
            continue;
        g_assert_cmpint(reactor_deregister(reactor, crowd->fds[i]), ==, 0);
        watch(reactor, crowd->fds[i], EPOLLIN | EPOLLET, on_probe, &crowd->fresh[i]);
    }
}

/* The same open descriptor: dropping the old event must not lose what the new registration is
 * owed, not even when it is told once only. */
static void test_registered_anew_gets_an_event_of_its_own(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN | EPOLLET, register_others_anew);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    one_turn(reactor);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpint(fresh_calls(&crowd), ==, CROWD - 1);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

/* Sources come and go in every turn for a while: memory of one must not be taken for another. */
static void churn(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;
    note(crowd, fd, events);
    g_assert_cmpuint(events, ==, EPOLLIN);
    for (int i = 0; i < CROWD; i++) {
        if (g_test_rand_bit())
            continue;
        g_assert_cmpint(reactor_deregister(reactor, crowd->fds[i]), ==, 0);
        reuse_number(crowd->fds[i], readable_fd());
        watch(reactor, crowd->fds[i], EPOLLIN, churn, crowd);
    }
}

static void test_churn(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN, churn);
    for (int turns = 0; turns < 200; turns++)
        one_turn(reactor);
    g_assert_cmpint(crowd.calls, >=, 200);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

/* --- reregistered in the batch --- */

static void want_others_writable(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;
    note(crowd, fd, events);
    for (int i = 0; i < CROWD; i++) {
        if (crowd->fds[i] != fd) {
            g_assert_cmpint(
                reactor_reregister(reactor, crowd->fds[i], EPOLLOUT, on_probe, &crowd->fresh[i]),
                ==, 0);
        }
    }
}

static void test_reregister_drops_events_no_longer_asked_for(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN | EPOLLOUT, want_others_writable);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpuint(crowd.last_events, ==, EPOLLIN | EPOLLOUT);
    for (int i = 0; i < CROWD; i++) {
        bool changed = crowd.fds[i] != crowd.last_fd;
        g_assert_cmpint(crowd.fresh[i].calls, ==, changed);
        g_assert_cmpuint(crowd.fresh[i].events, ==, changed ? EPOLLOUT : 0);
    }
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

static void test_reregister_leaves_nothing_to_deliver(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    /* Only readable was asked for and reported; only writable is of interest by then. */
    open_crowd(reactor, &crowd, EPOLLIN, want_others_writable);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 1);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

static void mute_others(struct reactor *reactor, int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;
    note(crowd, fd, events);
    for (int i = 0; i < CROWD; i++) {
        if (crowd->fds[i] != fd) {
            g_assert_cmpint(
                reactor_reregister(reactor, crowd->fds[i], 0, on_probe, &crowd->fresh[i]), ==, 0);
        }
    }
}

static void test_reregister_with_no_events_mutes(void)
{
    struct reactor *reactor = new_reactor();
    struct crowd crowd;
    open_crowd(reactor, &crowd, EPOLLIN, mute_others);
    one_turn(reactor);
    one_turn(reactor);
    g_assert_cmpint(crowd.calls, ==, 2);
    g_assert_cmpint(fresh_calls(&crowd), ==, 0);
    close_crowd(reactor, &crowd);
    end_reactor(reactor);
}

#define ADD(path, function) g_test_add_func("/reactor/trap-6/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("deregistered-by-another-callback", deregistered_by_another_callback);
    ADD("arguments-freed-by-another-callback", arguments_freed_by_another_callback);
    ADD("deregistered-by-post-or-timer", deregistered_by_a_post_or_a_timer);
    ADD("number-reused-no-old-event", reused_number_does_not_get_the_old_event);
    ADD("number-reused-own-event-next-turn", reused_number_gets_its_own_event_next_turn);
    ADD("registered-anew-keeps-its-event", registered_anew_gets_an_event_of_its_own);
    ADD("churn", churn);
    ADD("reregister-drops-events", reregister_drops_events_no_longer_asked_for);
    ADD("reregister-leaves-nothing", reregister_leaves_nothing_to_deliver);
    ADD("reregister-mutes", reregister_with_no_events_mutes);
    return g_test_run();
}
