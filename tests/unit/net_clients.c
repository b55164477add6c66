/* Connections per client address: the counts are those of a model, and no failure leaves any. */
#include "net/clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>

/* --- injection --- */

static int calloc_fails_at; /* 0: never; 1: the next call */
static bool getrandom_fails;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
ssize_t __real_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);

void *__wrap_calloc(size_t count, size_t size)
{
    if (calloc_fails_at && --calloc_fails_at == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_calloc(count, size);
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    if (!getrandom_fails)
        return __real_getrandom(bytes, size, flags);
    errno = ENOSYS;
    return -1;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- addresses --- */

union peer {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

static union peer peer_at(const char *text)
{
    union peer peer = {0};
    if (inet_pton(AF_INET, text, &peer.ipv4.sin_addr) == 1) {
        peer.ipv4.sin_family = AF_INET;
        return peer;
    }
    g_assert_cmpint(inet_pton(AF_INET6, text, &peer.ipv6.sin6_addr), ==, 1);
    peer.ipv6.sin6_family = AF_INET6;
    return peer;
}

static bool enter(struct clients *clients, const char *text)
{
    union peer peer = peer_at(text);
    return clients_enter(clients, &peer.any);
}

static void leave(struct clients *clients, const char *text)
{
    union peer peer = peer_at(text);
    clients_leave(clients, &peer.any);
}

/* --- one thread --- */

static void test_limits_each_client(void)
{
    struct clients *clients = clients_new(10, 2);
    g_assert_nonnull(clients);
    g_assert_true(enter(clients, "192.0.2.1"));
    g_assert_true(enter(clients, "192.0.2.1"));
    g_assert_false(enter(clients, "192.0.2.1"));
    g_assert_true(enter(clients, "192.0.2.2"));
    leave(clients, "192.0.2.1");
    g_assert_true(enter(clients, "192.0.2.1"));
    g_assert_false(enter(clients, "192.0.2.1"));
    clients_free(clients);
    clients_free(NULL);
}

static void test_who_is_the_same_client(void)
{
    static const struct {
        const char *one, *other;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.129", false},
        {"192.0.2.1", "192.0.3.1", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"192.0.2.1", "::ffff:192.0.2.2", false},
        {"192.0.2.1", "::192.0.2.1", false}, /* not mapped: the /64 of zeros */
        {"0.0.0.0", "::", false},
        {"::1", "::2", true},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"2001:db8:1:2::1", "2001:db9:1:2::1", false},
        {"0:0:c000:0201::", "192.0.2.1", false}, /* the same bits */
        {"0:0:0:0:c000:0201::", "::1", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s and %s", cases[i].one, cases[i].other);
        struct clients *clients = clients_new(4, 1);
        g_assert_true(enter(clients, cases[i].one));
        g_assert_cmpint(enter(clients, cases[i].other), ==, !cases[i].same);
        leave(clients, cases[i].one);
        g_assert_true(enter(clients, cases[i].one));
        clients_free(clients);
    }
}

static void test_other_families_are_let_in(void)
{
    struct clients *clients = clients_new(1, 1);
    union peer local = {.local.sun_family = AF_UNIX};
    for (int i = 0; i < 5; i++)
        g_assert_true(clients_enter(clients, &local.any));
    g_assert_true(enter(clients, "192.0.2.1"));
    clients_leave(clients, &local.any);
    g_assert_false(enter(clients, "192.0.2.1"));
    clients_free(clients);
}

static void test_leaving_without_having_entered_is_harmless(void)
{
    struct clients *clients = clients_new(2, 1);
    leave(clients, "192.0.2.1");
    g_assert_true(enter(clients, "192.0.2.2"));
    leave(clients, "192.0.2.1");
    g_assert_false(enter(clients, "192.0.2.2"));
    clients_free(clients);
}

static void test_holds_as_many_clients_as_connections(void)
{
    static const unsigned sizes[] = {1, 2, 3, 64, 100};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct clients *clients = clients_new(sizes[i], 3);
        union peer peer = {.ipv4.sin_family = AF_INET};
        for (unsigned k = 0; k < sizes[i]; k++) {
            peer.ipv4.sin_addr.s_addr = htonl(k);
            g_assert_true(clients_enter(clients, &peer.any));
        }
        g_assert_false(enter(clients, "255.0.0.1"));
        g_assert_true(enter(clients, "0.0.0.0"));
        leave(clients, "0.0.0.0");
        leave(clients, "0.0.0.0");
        g_assert_true(enter(clients, "255.0.0.1"));
        clients_free(clients);
    }
}

static void test_failures_of_clients_new(void)
{
    errno = 0;
    g_assert_null(clients_new(0, 1));
    g_assert_cmpint(errno, ==, EINVAL);
    errno = 0;
    g_assert_null(clients_new(1, 0));
    g_assert_cmpint(errno, ==, EINVAL);
    for (int call = 1; call <= 2; call++) {
        errno = 0;
        calloc_fails_at = call;
        g_assert_null(clients_new(10, 1));
        g_assert_cmpint(errno, ==, ENOMEM);
    }
    getrandom_fails = true;
    g_assert_null(clients_new(10, 1));
    g_assert_cmpint(errno, ==, ENOSYS);
    getrandom_fails = false;
}

/* --- against a hash table --- */

enum { MODEL_MAX = 40, MODEL_LIMIT = 3, MODEL_ADDRESSES = 60, MODEL_STEPS = 200000 };

/* Addresses that are easily taken for each other: IPv4, mapped, and /64s of the same bits. */
static union peer peer_of(unsigned number, bool other_form)
{
    union peer peer = {0};
    uint32_t low = htonl(number / 2);
    if (number % 2) {
        peer.ipv6.sin6_family = AF_INET6;
        memcpy(peer.ipv6.sin6_addr.s6_addr + 4, &low, sizeof(low));
        peer.ipv6.sin6_addr.s6_addr[15] = other_form;
    } else if (other_form) {
        peer.ipv6.sin6_family = AF_INET6;
        memset(peer.ipv6.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(peer.ipv6.sin6_addr.s6_addr + 12, &low, sizeof(low));
    } else {
        peer.ipv4.sin_family = AF_INET;
        peer.ipv4.sin_addr.s_addr = low;
        peer.ipv4.sin_port = (in_port_t)g_test_rand_int_range(0, 65536);
    }
    return peer;
}

static bool model_enter(GHashTable *model, unsigned number)
{
    unsigned count = GPOINTER_TO_UINT(g_hash_table_lookup(model, GUINT_TO_POINTER(number)));
    if (count == MODEL_LIMIT || (!count && g_hash_table_size(model) == MODEL_MAX))
        return false;
    g_hash_table_insert(model, GUINT_TO_POINTER(number), GUINT_TO_POINTER(count + 1));
    return true;
}

static bool model_leave(GHashTable *model, unsigned number)
{
    unsigned count = GPOINTER_TO_UINT(g_hash_table_lookup(model, GUINT_TO_POINTER(number)));
    if (count > 1)
        g_hash_table_insert(model, GUINT_TO_POINTER(number), GUINT_TO_POINTER(count - 1));
    else
        g_hash_table_remove(model, GUINT_TO_POINTER(number));
    return count > 0;
}

static void test_model(void)
{
    g_autoptr(GHashTable) model = g_hash_table_new(NULL, NULL);
    struct clients *clients = clients_new(MODEL_MAX, MODEL_LIMIT);
    for (int step = 0; step < MODEL_STEPS; step++) {
        unsigned number = (unsigned)g_test_rand_int_range(0, MODEL_ADDRESSES);
        union peer peer = peer_of(number, g_test_rand_bit());
        bool filling = step / 1024 % 2;
        if (g_test_rand_int_range(0, 10) < (filling ? 7 : 4))
            g_assert_cmpint(clients_enter(clients, &peer.any), ==, model_enter(model, number));
        else if (model_leave(model, number))
            clients_leave(clients, &peer.any);
    }
    /* Once all have left, all the room is there again. */
    for (unsigned number = 0; number < MODEL_ADDRESSES; number++) {
        union peer peer = peer_of(number, false);
        while (model_leave(model, number))
            clients_leave(clients, &peer.any);
    }
    for (unsigned number = 0; number < MODEL_MAX; number++) {
        union peer peer = peer_of(number, true);
        g_assert_true(clients_enter(clients, &peer.any));
    }
    clients_free(clients);
}

/* --- several threads --- */

enum { THREADS = 4, TURNS = 20000, SHARED_LIMIT = 2 };

static struct clients *shared_clients;
static atomic_int inside[8];

static void *come_and_go(void *arg)
{
    unsigned random = GPOINTER_TO_UINT(arg);
    for (int i = 0; i < TURNS; i++) {
        random = random * 1103515245 + 12345;
        unsigned number = random >> 16 & 7;
        union peer peer = peer_of(number * 2, random >> 20 & 1);
        if (!clients_enter(shared_clients, &peer.any))
            continue;
        if (atomic_fetch_add(&inside[number], 1) >= SHARED_LIMIT)
            g_error("more than the limit are inside");
        atomic_fetch_sub(&inside[number], 1);
        clients_leave(shared_clients, &peer.any);
    }
    return NULL;
}

static void test_several_threads(void)
{
    pthread_t threads[THREADS];
    shared_clients = clients_new(THREADS, SHARED_LIMIT);
    for (unsigned i = 0; i < THREADS; i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, come_and_go, GUINT_TO_POINTER(i + 1)), ==,
                        0);
    for (unsigned i = 0; i < THREADS; i++)
        g_assert_cmpint(pthread_join(threads[i], NULL), ==, 0);
    for (unsigned number = 0; number < THREADS; number++) {
        union peer peer = peer_of(number * 2, false);
        for (int i = 0; i < SHARED_LIMIT; i++)
            g_assert_true(clients_enter(shared_clients, &peer.any));
        g_assert_false(clients_enter(shared_clients, &peer.any));
    }
    clients_free(shared_clients);
}

#define ADD(path, function) g_test_add_func("/net/clients/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("limit", limits_each_client);
    ADD("same-client", who_is_the_same_client);
    ADD("other-families", other_families_are_let_in);
    ADD("leave-unknown", leaving_without_having_entered_is_harmless);
    ADD("room", holds_as_many_clients_as_connections);
    ADD("new", failures_of_clients_new);
    ADD("model", model);
    ADD("threads", several_threads);
    return g_test_run();
}
