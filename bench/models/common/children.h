/*
 * children.h - the processes that a model is made of: who starts them, waits for them and ends
 * them. What they used is in the parent's RUSAGE_CHILDREN afterwards.
 *
 * Of a parent with one thread, and one in a process.
 */
#ifndef MODELS_CHILDREN_H
#define MODELS_CHILDREN_H

#include <sys/types.h>

/* Before the first child: has room for `most` of them. From now on SIGTERM, SIGINT and SIGCHLD
 * arrive within children_wait() only, so that none is missed, and SIGPIPE never. */
void children_open(unsigned most);

/* fork(2); there must be room for one more. In the child, signals are as they were, and it gets
 * SIGKILL when its parent ends in any way. Returns 0 there, the child's id in the parent, or -1
 * with errno. */
pid_t children_fork(void);

/* How many have not been waited for. */
unsigned children_count(void);

/* Waits until `fd` (unless it is -1) is readable, a child has ended, or `timeout_ms` are over (-1:
 * never), and takes note of those that have ended. Returns 1 when it is readable, -1 when the
 * program is to be stopped, otherwise 0. */
int children_wait(int fd, int timeout_ms);

/* Ends all of them at once and waits for them. */
void children_end(void);

#endif
