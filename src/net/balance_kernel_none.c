/*
 * What stands in for balance_kernel.c where there is no libbpf, or no clang for the program.
 */
#include "net/balance_kernel.h"

#include <stdio.h>

struct load *balance_kernel_open(const struct balance_sockets *sockets, char *why, size_t why_size)
{
    (void)sockets;
    snprintf(why, why_size, "built without libbpf");
    return NULL;
}

void balance_kernel_close(struct load *loads, unsigned reactors)
{
    (void)loads, (void)reactors;
}

const char *balance_kernel_version(void)
{
    return "no libbpf";
}
