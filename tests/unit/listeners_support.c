#include "listeners_support.h"

#include "net/listener.h"

#include <glib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BACKLOG = 512, DESCRIPTORS = 4096 };

void listen_on(struct listeners *listeners, unsigned reactors, const char *const *where)
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

void stop_listening(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->sockets.reactors * listeners->sockets.addresses; i++)
        close(listeners->fds[i]);
    g_free(listeners->fds);
}

const char *const one_address[] = {"127.0.0.1:0", NULL};
const char *const two_addresses[] = {"127.0.0.1:0", "[::1]:0", NULL};

bool open_listeners(struct listeners *listeners, unsigned reactors, const char *const *where)
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

void close_listeners(struct listeners *listeners)
{
    balance_kernel_close(listeners->loads, listeners->sockets.reactors);
    stop_listening(listeners);
}

int connect_to(const struct address *address)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(connect(fd, (const struct sockaddr *)&address->storage, address->length), ==,
                    0);
    return fd;
}

void expect_even(const struct listeners *listeners, unsigned sum)
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

unsigned count_descriptors(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;
    while (g_dir_read_name(directory))
        count++;
    g_dir_close(directory);
    return count;
}

unsigned raise_descriptors(void)
{
    struct rlimit limit;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = MIN(limit.rlim_max, DESCRIPTORS);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    return (unsigned)limit.rlim_cur;
}
