#include "farewell.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000 };

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_first(struct farewells *farewells)
{
    close(farewells->ring[farewells->first].fd);
    farewells->first = (farewells->first + 1) % FAREWELLS_MAX;
    farewells->count--;
}

void farewell(struct farewells *farewells, int fd)
{
    if (shutdown(fd, SHUT_WR) < 0) {
        close(fd); /* the client has gone */
        return;
    }
    if (farewells->count == FAREWELLS_MAX)
        close_first(farewells);
    unsigned last = (farewells->first + farewells->count) % FAREWELLS_MAX;
    farewells->ring[last] = (struct farewell){fd, clock_ms() + PATIENCE_MS};
    farewells->count++;
}

int farewells_close(struct farewells *farewells)
{
    while (farewells->count) {
        int64_t left = farewells->ring[farewells->first].due_ms - clock_ms();
        if (left > 0)
            return (int)left;
        close_first(farewells);
    }
    return -1;
}
