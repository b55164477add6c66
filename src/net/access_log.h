/*
 * access_log.h - one line for every request, written by a thread of its own.
 *
 * Reactors put what they know of a request into a ring each; the thread makes lines of it and
 * writes them, so that neither a slow disk nor a full pipe stops a reactor. What does not fit into
 * the ring, or cannot be written, is lost, and a warning says how much, at most every 10 seconds.
 */
#ifndef NET_ACCESS_LOG_H
#define NET_ACCESS_LOG_H

#include "net/access_line.h"

struct access_log;
struct access_ring;

/* Opens `path` for appending, made with mode 0640 when it does not exist ("-": standard output),
 * with one ring per reactor, and starts the thread, which has all signals blocked. NULL with errno:
 * those of open(2) (ENXIO for a FIFO that nobody reads), eventfd(2), pthread_create(3), ENOMEM. */
struct access_log *access_log_open(const char *path, enum access_format format, unsigned reactors);

/* The ring of one reactor, 0 to reactors - 1. One thread at a time may add to it. */
struct access_ring *access_log_ring(struct access_log *log, unsigned reactor);

/* Copies what the entry says. Never blocks and never allocates; an entry that does not fit is
 * counted as lost. */
void access_log_add(struct access_ring *ring, const struct access_entry *entry);

/* Tells the thread to open the path anew (log rotation: rename, then this). When that fails the old
 * file stays in use, with a warning. Nothing happens for standard output. Any thread;
 * async-signal-safe. */
void access_log_reopen(struct access_log *log);

/* Writes what was added, for at most about 2 seconds, reports what was lost and frees the log.
 * Nobody may add any more. NULL is allowed. */
void access_log_close(struct access_log *log);

#endif
