/*
 * balance_object.h - balance.bpf.c, compiled: an ELF file for libbpf. The build makes the bytes.
 */
#ifndef NET_BALANCE_OBJECT_H
#define NET_BALANCE_OBJECT_H

#include <stddef.h>

extern const unsigned char balance_object[];
extern const size_t balance_object_size;

#endif
