/*
 * process.h - what the kernel knows of this process: proc(5).
 */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <stdint.h>

/* -1: not known, as when /proc is not mounted. */
struct process_facts {
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t open_descriptors;
    int64_t most_descriptors; /* -1: there is no limit, too */
    int64_t cpu_us;           /* user and system, of all threads */
    int64_t began_ms;         /* Unix time */
};

/* Any thread. */
struct process_facts process_read(void);

#endif
