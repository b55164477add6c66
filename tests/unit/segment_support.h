/*
 * segment_support.h - single TCP segments from a client that does not exist, 127.9.9.9.
 */
#ifndef TESTS_SEGMENT_SUPPORT_H
#define TESTS_SEGMENT_SUPPORT_H

enum { SEGMENT_SYN = 0x02, SEGMENT_RST = 0x04, SEGMENT_ACK = 0x10 };

/* A raw socket, or -errno: it takes CAP_NET_RAW. */
int segment_socket(void);

/* Sends a segment with these flags to a port of 127.0.0.1. */
void segment_send(int raw, unsigned from_port, unsigned to_port, unsigned flags);

#endif
