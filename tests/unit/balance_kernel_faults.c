/*
 * What happens when one of the calls fails that bring the program into the kernel: it is clear why,
 * and nothing of it stays.
 */
#include "listeners_support.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* --- tests --- */

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
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balance-kernel-faults/failures", test_failures);
    g_test_add_func("/balance-kernel-faults/libbpf", test_leaves_libbpf_alone);
    return g_test_run();
}
