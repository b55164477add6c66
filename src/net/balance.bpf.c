/*
 * balance.bpf.c - the program of balance_kernel.h. It runs in the kernel when a segment arrives for
 * one of our addresses that belongs to no connection yet, which is how connections begin.
 *
 * What bpf_loop() calls is verified once, whatever the number of reactors; of a loop in place the
 * verifier follows every turn and both ways of every branch in it, and gives up at 64 reactors.
 */
#include "net/load.h"

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

enum {
    TCP_FLAGS_AT = 13, /* in the TCP header */
    TCP_SYN = 0x02,
    TCP_ACK = 0x10,
};

/* 1 to LOADS_MAX; set before the program is loaded. */
const volatile __u32 reactors;

/* The program's programs for all addresses share it, with each other and with us. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, LOADS_MAX);
    __type(key, __u32);
    __type(value, struct load);
} loads SEC(".maps");

/* The listening sockets of the address, one for each reactor. */
struct {
    __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
    __uint(max_entries, LOADS_MAX);
    __type(key, __u32);
    __type(value, __u64);
} sockets SEC(".maps");

struct search {
    __u64 least; /* load, place and number of a reactor, in 32, 16 and 16 bits */
    __u32 first; /* the reactor in the first place */
};

/* What load_of() says. */
static __u64 load_now(const volatile struct load *load)
{
    __s32 sum = (__s32)(load->open + load->assigned - load->settled - load->given_up + load->work);
    return sum > 0 ? (__u64)sum : 0;
}

static long compare(__u32 i, struct search *search)
{
    const struct load *load = bpf_map_lookup_elem(&loads, &i);
    if (!load)
        return 0;
    __u32 place = i >= search->first ? i - search->first : i + reactors - search->first;
    __u64 found = load_now(load) << 32 | (__u64)place << 16 | i;
    if (found < search->least)
        search->least = found;
    return 0;
}

/* The reactor with the least load; of several, the next from one on that the hash of both addresses
 * decides, or the first reactors would get whatever is left over. */
static __u32 find_least(__u32 hash)
{
    struct search search = {.least = ~0ULL, .first = (__u64)hash * reactors >> 32};
    bpf_loop(reactors, compare, &search, 0);
    return (__u16)search.least;
}

/* Whether a client asks for a connection. Otherwise the segment may end a handshake of which the
 * kernel has kept nothing (SYN cookies), or be stray. */
static _Bool is_request(const struct sk_reuseport_md *segment)
{
    const unsigned char *header = segment->data;
    const unsigned char *end = segment->data_end;
    return header + TCP_FLAGS_AT + 1 <= end &&
           (header[TCP_FLAGS_AT] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

SEC("sk_reuseport")
int choose(struct sk_reuseport_md *segment)
{
    __u32 least = find_least(segment->hash);
    struct load *load = bpf_map_lookup_elem(&loads, &least);
    /* When nothing is selected, the kernel chooses by its hash: then the count stays as it is. */
    if (bpf_sk_select_reuseport(segment, &sockets, &least, 0) == 0 && load && is_request(segment))
        __sync_fetch_and_add(&load->assigned, 1);
    return SK_PASS;
}

char terms[] SEC("license") = "MIT";
