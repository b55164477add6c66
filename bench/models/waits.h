/*
 * waits.h - the system call that the one loop of poll.c waits with: poll(2) in waits_poll.c,
 * select(2) in waits_select.c. Both are told everything that is watched at every call, and both
 * answer for all of it, so a turn costs as much as there are connections, idle or not.
 */
#ifndef MODELS_WAITS_H
#define MODELS_WAITS_H

#include <poll.h>
#include <stdbool.h>

/* Once; `descriptors` is the number of them that the process may have. */
void waits_open(int descriptors);

/* Watches the descriptor for POLLIN or POLLOUT, or for none of them, from the next turn on. False,
 * with errno, when it is too large to be watched. */
bool waits_watch(int fd, short events);

/* No longer; before it is closed. What the turn had for it is forgotten. */
void waits_forget(int fd);

/* Waits until something has happened, or for `timeout` milliseconds if that is not negative.
 * Returns one more than the largest descriptor that is watched. */
int waits_turn(int timeout);

/* What has happened to the descriptor in this turn: POLLIN and the like. */
short waits_found(int fd);

#endif
