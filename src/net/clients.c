#include "net/clients.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct client {
    uint64_t bytes; /* the address, or the first half of it */
    uint32_t family;
    uint32_t connections; /* 0: the slot is free */
};

/* Open addressing with linear probing, at most half full. */
struct clients {
    pthread_mutex_t lock;
    uint64_t seed[2];
    unsigned limit;
    size_t used;
    size_t used_max;
    size_t mask; /* slots - 1 */
    struct client *slots;
};

/* --- hashing --- */

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32) + v[3];
        v[2] += v[1];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

/* SipHash-2-4 of one word, with the family where the length would be. Peers choose their addresses,
 * and without the seed they cannot choose ones whose slots are neighbours. */
static size_t home_of(const struct clients *clients, const struct client *client)
{
    const uint64_t words[2] = {client->bytes, (uint64_t)client->family << 56};
    uint64_t v[4] = {
        clients->seed[0] ^ UINT64_C(0x736f6d6570736575),
        clients->seed[1] ^ UINT64_C(0x646f72616e646f6d),
        clients->seed[0] ^ UINT64_C(0x6c7967656e657261),
        clients->seed[1] ^ UINT64_C(0x7465646279746573),
    };
    for (int i = 0; i < 2; i++) {
        v[3] ^= words[i];
        sip_rounds(v, 2);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return (size_t)(v[0] ^ v[1] ^ v[2] ^ v[3]) & clients->mask;
}

/* False when the address has no family that is counted. */
static bool client_of(const struct sockaddr *address, struct client *client)
{
    *client = (struct client){.family = AF_INET};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)address;
        client->bytes = ntohl(ipv4->sin_addr.s_addr);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    if (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
        uint32_t last;
        memcpy(&last, ipv6->sin6_addr.s6_addr + 12, sizeof(last));
        client->bytes = ntohl(last);
        return true;
    }
    client->family = AF_INET6;
    memcpy(&client->bytes, ipv6->sin6_addr.s6_addr, sizeof(client->bytes));
    client->bytes = be64toh(client->bytes);
    return true;
}

/* --- the table --- */

/* The slot of a client, or the free one where it belongs. */
static size_t slot_of(const struct clients *clients, const struct client *client)
{
    size_t at = home_of(clients, client);
    while (clients->slots[at].connections && (clients->slots[at].bytes != client->bytes ||
                                              clients->slots[at].family != client->family))
        at = (at + 1) & clients->mask;
    return at;
}

/* Frees a slot and moves back what probing would not find behind it any more. */
static void remove_at(struct clients *clients, size_t hole)
{
    size_t at = hole;
    for (;;) {
        at = (at + 1) & clients->mask;
        if (!clients->slots[at].connections)
            break;
        size_t home = home_of(clients, &clients->slots[at]);
        if (((at - home) & clients->mask) < ((at - hole) & clients->mask))
            continue; /* its home is behind the hole */
        clients->slots[hole] = clients->slots[at];
        hole = at;
    }
    clients->slots[hole].connections = 0;
    clients->used--;
}

static bool enter(struct clients *clients, const struct client *client)
{
    struct client *slot = &clients->slots[slot_of(clients, client)];
    if (slot->connections >= clients->limit)
        return false;
    if (!slot->connections) {
        if (clients->used == clients->used_max)
            return false;
        clients->used++;
        *slot = *client;
    }
    slot->connections++;
    return true;
}

bool clients_enter(struct clients *clients, const struct sockaddr *address)
{
    struct client client;
    if (!client_of(address, &client))
        return true;
    pthread_mutex_lock(&clients->lock);
    bool entered = enter(clients, &client);
    pthread_mutex_unlock(&clients->lock);
    return entered;
}

void clients_leave(struct clients *clients, const struct sockaddr *address)
{
    struct client client;
    if (!client_of(address, &client))
        return;
    pthread_mutex_lock(&clients->lock);
    size_t at = slot_of(clients, &client);
    if (clients->slots[at].connections > 1)
        clients->slots[at].connections--;
    else if (clients->slots[at].connections == 1)
        remove_at(clients, at);
    pthread_mutex_unlock(&clients->lock);
}

/* --- making and freeing --- */

struct clients *clients_new(unsigned max_connections, unsigned limit)
{
    if (max_connections == 0 || limit == 0) {
        errno = EINVAL;
        return NULL;
    }
    struct clients *clients = calloc(1, sizeof(*clients));
    if (!clients)
        return NULL;
    size_t count = 2;
    while (count / 2 < max_connections)
        count *= 2;
    clients->slots = calloc(count, sizeof(*clients->slots));
    ssize_t random = clients->slots ? getrandom(clients->seed, sizeof(clients->seed), 0) : -1;
    if (random != (ssize_t)sizeof(clients->seed)) {
        int error = errno;
        free(clients->slots);
        free(clients);
        errno = error;
        return NULL;
    }
    clients->limit = limit;
    clients->used_max = max_connections;
    clients->mask = count - 1;
    pthread_mutex_init(&clients->lock, NULL);
    return clients;
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    pthread_mutex_destroy(&clients->lock);
    free(clients->slots);
    free(clients);
}
