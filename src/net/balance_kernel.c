#include "net/balance_kernel.h"

#include "net/balance_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* --- one program, for one address --- */

static int map_fd(const struct bpf_object *object, const char *name)
{
    return bpf_map__fd(bpf_object__find_map_by_name(object, name));
}

/* Says for how many reactors it is, and has it use the loads of `first`, if there is one. */
static int prepare(struct bpf_object *object, unsigned reactors, const struct bpf_object *first)
{
    struct bpf_map *loads = bpf_object__find_map_by_name(object, "loads");
    struct bpf_map *sockets = bpf_object__find_map_by_name(object, "sockets");
    struct bpf_map *constants = bpf_object__find_map_by_name(object, ".rodata");
    const __u32 count = reactors;
    int error = bpf_map__set_initial_value(constants, &count, sizeof(count));
    if (!error)
        error = bpf_map__set_max_entries(sockets, count);
    if (!error)
        error = first ? bpf_map__reuse_fd(loads, map_fd(first, "loads"))
                      : bpf_map__set_max_entries(loads, count);
    return error;
}

static int load_program(unsigned reactors, const struct bpf_object *first,
                        struct bpf_object **loaded)
{
    struct bpf_object *object = bpf_object__open_mem(balance_object, balance_object_size, NULL);
    if (!object)
        return -errno;
    int error = prepare(object, reactors, first);
    if (!error)
        error = bpf_object__load(object);
    if (error)
        bpf_object__close(object);
    else
        *loaded = object;
    return error;
}

/* Nobody is chosen before all sockets are known: until then the kernel's hash decides. */
static int attach(const struct bpf_object *object, const struct balance_sockets *sockets,
                  unsigned address)
{
    int map = map_fd(object, "sockets");
    for (__u32 r = 0; r < sockets->reactors; r++) {
        __u64 fd = (__u64)sockets->fds[(size_t)r * sockets->addresses + address];
        int error = bpf_map_update_elem(map, &r, &fd, BPF_NOEXIST);
        if (error)
            return error;
    }
    /* One socket's program is that of all that listen on its address. */
    int program = bpf_program__fd(bpf_object__find_program_by_name(object, "choose"));
    return setsockopt(sockets->fds[address], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program,
                      sizeof(program)) < 0
               ? -errno
               : 0;
}

static void detach(const struct balance_sockets *sockets, unsigned address)
{
    const int unused = 0;
    setsockopt(sockets->fds[address], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
}

/* --- all of them --- */

static int attach_all(const struct bpf_object *first, const struct balance_sockets *sockets)
{
    int error = attach(first, sockets, 0);
    unsigned done = error ? 0 : 1;
    while (!error && done < sockets->addresses) {
        struct bpf_object *object;
        error = load_program(sockets->reactors, first, &object);
        if (error)
            break;
        error = attach(object, sockets, done);
        bpf_object__close(object); /* the sockets keep the program, and that its maps */
        done += !error;
    }
    while (error && done > 0)
        detach(sockets, --done);
    return error;
}

static size_t loads_size(unsigned reactors)
{
    return reactors * sizeof(struct load);
}

static int open_all(const struct balance_sockets *sockets, struct load **loads)
{
    struct bpf_object *first;
    int error = load_program(sockets->reactors, NULL, &first);
    if (error)
        return error;
    void *memory = mmap(NULL, loads_size(sockets->reactors), PROT_READ | PROT_WRITE, MAP_SHARED,
                        map_fd(first, "loads"), 0);
    error = memory == MAP_FAILED ? -errno : attach_all(first, sockets);
    bpf_object__close(first);
    if (!error)
        *loads = memory;
    else if (memory != MAP_FAILED)
        munmap(memory, loads_size(sockets->reactors));
    return error;
}

static void explain(int error, char *why, size_t why_size)
{
    switch (error) {
    case -EPERM:
        snprintf(why, why_size, "eBPF is not permitted (it takes root or CAP_BPF)");
        break;
    case -ENOMEM:
        snprintf(why, why_size, "out of memory");
        break;
    case -EMFILE:
    case -ENFILE:
        snprintf(why, why_size, "too few descriptors (ulimit -n)");
        break;
    case -ENOSYS:
        snprintf(why, why_size, "this kernel is built without eBPF");
        break;
    default:
        snprintf(why, why_size, "this kernel does not take the eBPF program: %s", strerror(-error));
    }
}

struct load *balance_kernel_open(const struct balance_sockets *sockets, char *why, size_t why_size)
{
    struct load *loads = NULL;
    if (sockets->reactors > LOADS_MAX) {
        snprintf(why, why_size, "it is for %d reactors at most", LOADS_MAX);
        return NULL;
    }
    libbpf_print_fn_t print = libbpf_set_print(NULL); /* what it would say is in the error */
    int error = open_all(sockets, &loads);
    libbpf_set_print(print);
    if (error)
        explain(error, why, why_size);
    return loads;
}

void balance_kernel_close(struct load *loads, unsigned reactors)
{
    munmap(loads, loads_size(reactors));
}

const char *balance_kernel_version(void)
{
    return "libbpf " COREACTOR_LIBBPF;
}
