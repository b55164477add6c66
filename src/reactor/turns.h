/*
 * turns.h - what a reactor lets other threads know of its turns.
 */
#ifndef REACTOR_TURNS_H
#define REACTOR_TURNS_H

#include <coreactor/reactor.h>

#include "base/watch.h"

/* What it is doing; exists as long as the reactor. Any thread may read it. */
struct watch *reactor_watch(struct reactor *reactor);

#endif
