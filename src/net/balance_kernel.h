/*
 * balance_kernel.h - the eBPF program (bpf(2), type sk_reuseport) that has the kernel give each new
 * connection to the reactor with the least load: balance.bpf.c, loaded with libbpf.
 */
#ifndef NET_BALANCE_KERNEL_H
#define NET_BALANCE_KERNEL_H

#include "net/balance.h"

/* Has the kernel choose among `sockets`, which all listen; connections that wait there stay where
 * they are. Returns the memory that it shares with us, with a load for each reactor, all of them
 * zero but for what the kernel has begun to count. NULL when this is not possible, and then nothing
 * has changed and `why` says so in a few words, such as "eBPF is not permitted (it takes root or
 * CAP_BPF)". No descriptor stays open. While it runs, libbpf is silent for the whole process. */
struct load *balance_kernel_open(const struct balance_sockets *sockets, char *why, size_t why_size);

/* Frees the loads of so many reactors. Sockets that are open still go on with the program. */
void balance_kernel_close(struct load *loads, unsigned reactors);

/* Such as "libbpf 1.1.2", or "no libbpf". */
const char *balance_kernel_version(void);

#endif
