/*
 * load.h - how much each reactor has to do, in memory that several threads share, and in the mode
 * `least` the kernel: balance.bpf.c includes this too, so it holds plain numbers.
 *
 * A new connection is first assigned to a reactor - by the kernel when its SYN arrives, or by the
 * reactor that accepted it - and settled when that reactor has got it. What is assigned and not
 * settled after some time never will be (a client that did not complete its handshake): balance.c
 * gives it up.
 */
#ifndef NET_LOAD_H
#define NET_LOAD_H

#include <linux/types.h>

enum { LOADS_MAX = 1024 };

/* Each member has one kind of writer; all but `assigned` have one writer. All count modulo 2^32. */
struct load {
    __u32 assigned; /* to it, so far: by atomic addition, wherever it is decided */
    __u32 settled;  /* of those: by the reactor */
    __u32 given_up; /* of those: by the supervisor; may run backwards */
    __u32 open;     /* connections that it has: by the reactor */
    __u32 work;     /* recent work beyond the others', as connections: by the supervisor */
    __u32 unused[11];
};

#endif
