/*
 * balance_kernel.h - the eBPF program (bpf(2), type sk_reuseport) that has the kernel give each new
 * connection to the reactor with the least load: balance.bpf.c, loaded with libbpf.
 */
#ifndef NET_BALANCE_KERNEL_H
#define NET_BALANCE_KERNEL_H

#include "net/load.h"

#include <stddef.h>

struct balance_kernel;

/* The program for `count` reactors, with `*loads` as the memory that it shares with us; NULL when
 * this is not possible, and then `why` says so in a few words, such as "eBPF is not permitted
 * (CAP_BPF)". */
struct balance_kernel *balance_kernel_open(unsigned count, struct load **loads, char *why,
                                           size_t why_size);

/* Has it choose among `sockets`, the listening sockets of one address, one for each reactor in
 * order. May be called for several addresses. 0 or -errno. */
int balance_kernel_attach(struct balance_kernel *kernel, const int *sockets);

/* Frees it and the loads. The sockets, if any are open still, go on with the program. */
void balance_kernel_close(struct balance_kernel *kernel);

/* The version of libbpf, or "none". */
const char *balance_kernel_version(void);

#endif
