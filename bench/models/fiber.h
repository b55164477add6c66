/*
 * fiber.h - stackful coroutines of one thread: functions with a stack each, which run until they
 * wait, and then leave the thread to its loop.
 */
#ifndef MODELS_FIBER_H
#define MODELS_FIBER_H

#include <stdbool.h>

struct fiber;

/* Calls run(arg) on a stack of its own. Returns when it has ended or waits for the first time;
 * false, with errno, when there is no stack for it. From the loop. */
bool fiber_start(void (*run)(void *arg), void *arg);

/* The calling fiber; valid until its function has returned. */
struct fiber *fiber_self(void);

/* From a fiber: returns when the loop lets it go on. */
void fiber_wait(void);

/* From the loop: lets a waiting fiber go on. Returns when it has ended or waits again. */
void fiber_go_on(struct fiber *fiber);

#endif
