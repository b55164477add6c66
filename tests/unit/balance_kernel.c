/*
 * The program in the kernel, with real sockets and connections: whom it chooses and what it counts.
 * No reactor runs; the test accepts when it wants to.
 */
#include "net/balance_kernel.h"

#include "net/listener.h"
#include "segment_support.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 2, BACKLOG = 512 };

static rlim_t descriptors_max;

/* --- injection --- */

static unsigned fails_at; /* the n-th call of those below; 0: none */
static int fails_with;    /* an errno */
static unsigned calls;
static int attached; /* programs to sockets */
static int mapped;   /* pages of theirs */

static bool fails(void)
{
    if (++calls != fails_at)
        return false;
    errno = fails_with;
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
#define WRAPPED(type, name, ...)     \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(struct bpf_object *, bpf_object__open_mem, const void *bytes, size_t size,
        const struct bpf_object_open_opts *options)
{
    return fails() ? NULL : __real_bpf_object__open_mem(bytes, size, options);
}

WRAPPED(int, bpf_map__set_initial_value, struct bpf_map *map, const void *value, size_t size)
{
    return fails() ? -fails_with : __real_bpf_map__set_initial_value(map, value, size);
}

WRAPPED(int, bpf_map__set_max_entries, struct bpf_map *map, __u32 count)
{
    return fails() ? -fails_with : __real_bpf_map__set_max_entries(map, count);
}

WRAPPED(int, bpf_map__reuse_fd, struct bpf_map *map, int fd)
{
    return fails() ? -fails_with : __real_bpf_map__reuse_fd(map, fd);
}

WRAPPED(int, bpf_object__load, struct bpf_object *object)
{
    return fails() ? -fails_with : __real_bpf_object__load(object);
}

WRAPPED(int, bpf_map_update_elem, int fd, const void *key, const void *value, __u64 flags)
{
    return fails() ? -fails_with : __real_bpf_map_update_elem(fd, key, value, flags);
}

WRAPPED(int, setsockopt, int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == SOL_SOCKET && name == SO_ATTACH_REUSEPORT_EBPF && fails())
        return -1;
    int error = __real_setsockopt(fd, level, name, value, length);
    if (level == SOL_SOCKET && error == 0)
        attached += (name == SO_ATTACH_REUSEPORT_EBPF) - (name == SO_DETACH_REUSEPORT_BPF);
    return error;
}

WRAPPED(void *, mmap, void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails())
        return MAP_FAILED;
    mapped++;
    return __real_mmap(at, size, protection, flags, fd, offset);
}

WRAPPED(int, munmap, void *at, size_t size)
{
    mapped--;
    return __real_munmap(at, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- listeners --- */

struct listeners {
    struct balance_sockets sockets;
    struct address addresses[ADDRESSES_MAX];
    int *fds;
    struct load *loads;
};

static void listen_on(struct listeners *listeners, unsigned reactors, const char *const *where)
{
    unsigned addresses = g_strv_length((char **)(uintptr_t)where);
    listeners->fds = g_new(int, (size_t)reactors *addresses);
    listeners->sockets = (struct balance_sockets){listeners->fds, reactors, addresses};
    for (unsigned a = 0; a < addresses; a++) {
        g_assert_true(address_parse(where[a], &listeners->addresses[a]));
        for (unsigned r = 0; r < reactors; r++) {
            int fd = listener_open(&listeners->addresses[a], BACKLOG);
            g_assert_cmpint(fd, >=, 0);
            listeners->fds[r * addresses + a] = fd;
        }
    }
}

static void stop_listening(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->sockets.reactors * listeners->sockets.addresses; i++)
        close(listeners->fds[i]);
    g_free(listeners->fds);
}

static const char *const one_address[] = {"127.0.0.1:0", NULL};
static const char *const two_addresses[] = {"127.0.0.1:0", "[::1]:0", NULL};

/* False when the test cannot go on, which it then says. */
static bool open_listeners(struct listeners *listeners, unsigned reactors, const char *const *where)
{
    char why[128] = "";
    listen_on(listeners, reactors, where);
    listeners->loads = balance_kernel_open(&listeners->sockets, why, sizeof(why));
    if (listeners->loads) {
        g_assert_cmpstr(why, ==, "");
        return true;
    }
    if (!strstr(why, "not permitted"))
        g_error("%s", why);
    g_test_skip(why);
    stop_listening(listeners);
    return false;
}

static void close_listeners(struct listeners *listeners)
{
    balance_kernel_close(listeners->loads, listeners->sockets.reactors);
    stop_listening(listeners);
}

static int connect_to(const struct address *address)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(connect(fd, (const struct sockaddr *)&address->storage, address->length), ==,
                    0);
    return fd;
}

static int accept_from(const struct listeners *listeners, unsigned reactor, unsigned address)
{
    return accept(listeners->fds[reactor * listeners->sockets.addresses + address], NULL, NULL);
}

static unsigned count_assigned(const struct listeners *listeners)
{
    unsigned sum = 0;
    for (unsigned r = 0; r < listeners->sockets.reactors; r++)
        sum += __atomic_load_n(&listeners->loads[r].assigned, __ATOMIC_RELAXED);
    return sum;
}

/* All loads are the same, or one more. */
static void expect_even(const struct listeners *listeners, unsigned sum)
{
    unsigned reactors = listeners->sockets.reactors;
    unsigned counted = 0;
    for (unsigned r = 0; r < reactors; r++) {
        unsigned load = load_of(&listeners->loads[r]);
        g_assert_cmpuint(load, >=, sum / reactors);
        g_assert_cmpuint(load, <=, (sum + reactors - 1) / reactors);
        counted += load;
    }
    g_assert_cmpuint(counted, ==, sum);
}

static unsigned count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* --- choosing --- */

static void test_any_number_of_reactors(void)
{
    const unsigned counts[] = {1, 2, 3, 8, 64, 256, LOADS_MAX};
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        struct listeners listeners;
        int clients[5];
        unsigned descriptors = count_descriptors();
        if (counts[i] + descriptors + G_N_ELEMENTS(clients) > descriptors_max) {
            g_test_message("too few descriptors for %u reactors", counts[i]);
            return;
        }
        if (!open_listeners(&listeners, counts[i], one_address))
            return;
        g_assert_cmpuint(count_descriptors(), ==, descriptors + counts[i]);
        expect_even(&listeners, 0);
        for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++) {
            clients[c] = connect_to(&listeners.addresses[0]);
            expect_even(&listeners, c + 1);
        }
        for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
            close(clients[c]);
        close_listeners(&listeners);
        g_assert_cmpuint(count_descriptors(), ==, descriptors);
    }
}

static void test_too_many_reactors(void)
{
    const struct balance_sockets sockets = {.reactors = LOADS_MAX + 1, .addresses = 1};
    char why[128] = "";
    g_assert_null(balance_kernel_open(&sockets, why, sizeof(why)));
    g_assert_cmpstr(why, ==, "it is for 1024 reactors at most");
}

/* Whether each is accepted at once or all wait, they lie where they were counted. */
static void spread(bool accept_at_once)
{
    enum { REACTORS = 8, CLIENTS = 100 };
    struct listeners listeners;
    int clients[CLIENTS];
    int served[2 * CLIENTS];
    unsigned served_count = 0;
    if (!open_listeners(&listeners, REACTORS, two_addresses))
        return;
    for (unsigned c = 0; c < CLIENTS; c++) {
        clients[c] = connect_to(&listeners.addresses[c % 2]);
        for (unsigned r = 0; accept_at_once && r < REACTORS; r++) {
            int fd = accept_from(&listeners, r, c % 2);
            if (fd < 0)
                continue;
            load_open(&listeners.loads[r], 1);
            load_settle(&listeners.loads[r]);
            g_assert_cmpint(load_pending(&listeners.loads[r]), ==, 0);
            served[served_count++] = fd;
        }
        expect_even(&listeners, c + 1);
    }
    g_assert_cmpuint(served_count, ==, accept_at_once ? CLIENTS : 0);
    for (unsigned r = 0; r < REACTORS; r++) {
        unsigned waiting = 0;
        for (unsigned a = 0; a < 2; a++) {
            int fd;
            while ((fd = accept_from(&listeners, r, a)) >= 0) {
                waiting++;
                served[served_count++] = fd;
            }
        }
        g_assert_cmpint(load_pending(&listeners.loads[r]), ==, (int)waiting);
    }
    g_assert_cmpuint(served_count, ==, CLIENTS);
    for (unsigned c = 0; c < CLIENTS; c++) {
        close(clients[c]);
        close(served[c]);
    }
    close_listeners(&listeners);
}

static void test_spread_of_what_waits(void)
{
    spread(false);
}

static void test_spread_of_what_is_served(void)
{
    spread(true);
}

/* Each part of a load counts, also around the wrap; what is left over goes to any of the equals. */
static void test_weighs_what_load_of_weighs(void)
{
    struct listeners listeners;
    int clients[80];
    if (!open_listeners(&listeners, 6, one_address))
        return;
    struct load *loads = listeners.loads;
    loads[0].open = 100;
    loads[1].work = 100;
    loads[2].assigned = 50;
    loads[2].settled = UINT32_MAX - 49;
    loads[3] = (struct load){.assigned = 30, .settled = 10, .given_up = (__u32)-80};
    loads[4].settled = 10; /* a load is never less than none */
    for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
        clients[c] = connect_to(&listeners.addresses[0]);
    for (unsigned r = 0; r < 4; r++)
        g_assert_cmpuint(load_of(&loads[r]), ==, 100);
    /* 10 are needed before it shows that it has any. */
    g_assert_cmpuint(loads[4].assigned, >=, 10);
    g_assert_cmpuint(loads[4].assigned + loads[5].assigned, ==, G_N_ELEMENTS(clients));
    g_assert_cmpuint(abs((int)load_of(&loads[4]) - (int)load_of(&loads[5])), <=, 1);
    for (unsigned c = 0; c < G_N_ELEMENTS(clients); c++)
        close(clients[c]);
    close_listeners(&listeners);
}

static void test_equals_take_turns(void)
{
    struct listeners listeners;
    bool chosen[4] = {false};
    if (!open_listeners(&listeners, 4, one_address))
        return;
    /* All loads are 0 each time; that one is never chosen has a chance of 4 in 10^25. */
    for (unsigned c = 0; c < 200; c++) {
        close(connect_to(&listeners.addresses[0]));
        for (unsigned r = 0; r < 4; r++) {
            chosen[r] |= load_pending(&listeners.loads[r]) > 0;
            listeners.loads[r].settled = listeners.loads[r].assigned;
        }
    }
    for (unsigned r = 0; r < 4; r++)
        g_assert_true(chosen[r]);
    close_listeners(&listeners);
}

/* A socket that is closed is not chosen; the kernel's hash finds another, and nothing is counted.
 */
static void test_a_closed_listener(void)
{
    struct listeners listeners;
    if (!open_listeners(&listeners, 2, one_address))
        return;
    listeners.loads[1].open = 1000;
    int client = connect_to(&listeners.addresses[0]);
    g_assert_cmpuint(listeners.loads[0].assigned, ==, 1);
    close(client);
    close(listeners.fds[0]);
    listeners.fds[0] = -1;
    client = connect_to(&listeners.addresses[0]);
    g_assert_cmpuint(count_assigned(&listeners), ==, 1);
    int served = accept_from(&listeners, 1, 0);
    g_assert_cmpint(served, >=, 0);
    close(served);
    close(client);
    close_listeners(&listeners);
}

/* --- clients that do not complete the handshake --- */

static unsigned nothing_waits(void *arg, unsigned index)
{
    (void)arg, (void)index;
    return 0;
}

static void wait_for_assigned(const struct listeners *listeners, unsigned count)
{
    int64_t until_us = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (count_assigned(listeners) != count) {
        g_assert_cmpint(g_get_monotonic_time(), <, until_us);
        g_usleep(1000);
    }
}

static void test_half_a_handshake(void)
{
    enum { REACTORS = 4, SEGMENTS = 40 };
    struct listeners listeners;
    int raw = segment_socket();
    if (raw < 0) {
        g_test_skip("raw sockets are not permitted");
        return;
    }
    if (!open_listeners(&listeners, REACTORS, one_address)) {
        close(raw);
        return;
    }
    unsigned port = address_port(&listeners.addresses[0]);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        segment_send(raw, 1024 + i, port, SEGMENT_ACK);
        segment_send(raw, 1024 + i, port, SEGMENT_SYN | SEGMENT_ACK);
        segment_send(raw, 1024 + i, port, SEGMENT_RST);
        segment_send(raw, 1024 + i, port, SEGMENT_SYN);
    }
    wait_for_assigned(&listeners, SEGMENTS);
    expect_even(&listeners, SEGMENTS);

    struct balance balance;
    char why[64];
    const struct balance_sockets none = {.reactors = REACTORS, .addresses = 1};
    g_assert_cmpint(balance_open(&balance, BALANCE_HANDOFF, &none, why, sizeof(why)), ==, 0);
    struct load *own = balance.loads;
    balance.mode = BALANCE_LEAST;
    balance.loads = listeners.loads;
    for (uint64_t ms = 10000; ms < 13000; ms += 100) {
        for (unsigned r = 0; r < REACTORS; r++)
            balance_review(&balance, r, ms * 1000000, 0, nothing_waits, NULL);
    }
    expect_even(&listeners, 0);
    balance.mode = BALANCE_HANDOFF;
    balance.loads = own;
    balance_close(&balance);
    close_listeners(&listeners);
    close(raw);
}

/* --- what fails --- */

static void test_failures(void)
{
    const struct {
        int error;
        const char *why;
    } reasons[] = {
        {EPERM, "eBPF is not permitted (it takes root or CAP_BPF)"},
        {ENOMEM, "out of memory"},
        {EMFILE, "too few descriptors (ulimit -n)"},
        {ENFILE, "too few descriptors (ulimit -n)"},
        {ENOSYS, "this kernel is built without eBPF"},
        {EINVAL, "this kernel does not take the eBPF program: Invalid argument"},
    };
    struct listeners listeners;
    if (!open_listeners(&listeners, 2, two_addresses))
        return;
    close_listeners(&listeners);
    unsigned descriptors = count_descriptors();
    attached = 0;
    mapped = 0;
    for (fails_at = 1;; fails_at++) {
        char why[128] = "";
        /* New ones: a map that is freed lets go of its sockets a little later. */
        listen_on(&listeners, 2, two_addresses);
        fails_with = reasons[fails_at % G_N_ELEMENTS(reasons)].error;
        calls = 0;
        listeners.loads = balance_kernel_open(&listeners.sockets, why, sizeof(why));
        if (listeners.loads)
            break;
        stop_listening(&listeners);
        g_assert_cmpstr(why, ==, reasons[fails_at % G_N_ELEMENTS(reasons)].why);
        g_assert_cmpint(attached, ==, 0);
        g_assert_cmpint(mapped, ==, 0);
        g_assert_cmpuint(count_descriptors(), ==, descriptors);
    }
    /* For each address: open, 3 to prepare, load, 2 sockets, attach; and once the memory. */
    g_assert_cmpuint(fails_at, ==, 2 * 8 + 1 + 1);
    g_assert_cmpint(attached, ==, 2);
    fails_at = 0;
    int client = connect_to(&listeners.addresses[1]);
    expect_even(&listeners, 1);
    close(client);
    close_listeners(&listeners);
    g_assert_cmpint(mapped, ==, 0);
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level, (void)format, (void)arguments;
    return 0;
}

/* Whoever uses libbpf beside us finds it as it was. */
static void test_leaves_libbpf_alone(void)
{
    struct listeners listeners;
    libbpf_print_fn_t before = libbpf_set_print(print_nothing);
    if (open_listeners(&listeners, 2, one_address))
        close_listeners(&listeners);
    g_assert_true(libbpf_set_print(before) == print_nothing);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    g_test_init(&argc, &argv, NULL);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = MIN(limit.rlim_max, 4096);
    setrlimit(RLIMIT_NOFILE, &limit);
    descriptors_max = limit.rlim_cur - 16; /* for libbpf and the program */
    g_test_add_func("/balance-kernel/any-number", test_any_number_of_reactors);
    g_test_add_func("/balance-kernel/too-many", test_too_many_reactors);
    g_test_add_func("/balance-kernel/spread-waiting", test_spread_of_what_waits);
    g_test_add_func("/balance-kernel/spread-served", test_spread_of_what_is_served);
    g_test_add_func("/balance-kernel/weighs", test_weighs_what_load_of_weighs);
    g_test_add_func("/balance-kernel/equals", test_equals_take_turns);
    g_test_add_func("/balance-kernel/closed", test_a_closed_listener);
    g_test_add_func("/balance-kernel/half-a-handshake", test_half_a_handshake);
    g_test_add_func("/balance-kernel/failures", test_failures);
    g_test_add_func("/balance-kernel/libbpf", test_leaves_libbpf_alone);
    return g_test_run();
}
