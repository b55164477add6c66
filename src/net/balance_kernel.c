#include "net/balance_kernel.h"

#include <errno.h>
#include <stdio.h>

struct balance_kernel *balance_kernel_open(unsigned count, struct load **loads, char *why,
                                           size_t why_size)
{
    (void)count, (void)loads;
    snprintf(why, why_size, "built without libbpf");
    return NULL;
}

int balance_kernel_attach(struct balance_kernel *kernel, const int *sockets)
{
    (void)kernel, (void)sockets;
    return -ENOSYS;
}

void balance_kernel_close(struct balance_kernel *kernel)
{
    (void)kernel;
}

const char *balance_kernel_version(void)
{
    return "none";
}
