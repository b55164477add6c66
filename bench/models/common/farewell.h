/*
 * farewell.h - how an event loop closes a connection after its last answer (TALK_ENDS): it says
 * that it sends no more, and leaves the descriptor open and unread for a second, so that bytes
 * which are still on their way do not make the kernel send a reset that overtakes the answer.
 *
 * Of one thread; all zero at first. Descriptors are closed after a second, or when more than
 * FAREWELLS_MAX of them wait for that.
 */
#ifndef MODELS_FAREWELL_H
#define MODELS_FAREWELL_H

#include <stdint.h>

enum { FAREWELLS_MAX = 256 };

struct farewells {
    struct farewell {
        int fd;
        int64_t due_ms;
    } ring[FAREWELLS_MAX];
    unsigned first, count;
};

/* Takes over the descriptor, which nothing watches any more. */
void farewell(struct farewells *farewells, int fd);

/* Closes what is due. Returns the milliseconds until more is, or -1: the time-out of a loop. */
int farewells_close(struct farewells *farewells);

#endif
