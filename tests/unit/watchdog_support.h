/*
 * watchdog_support.h - loops that are made up, a time that is, and a log that is kept, for the
 * tests of the watchdog. They look every TICK_MS.
 */
#ifndef UNIT_WATCHDOG_SUPPORT_H
#define UNIT_WATCHDOG_SUPPORT_H

#include "server/watchdog.h"

#include <string.h>

enum {
    LIMIT_MS = 100,
    TICK_MS = 25,
    REACTORS = 3,
    LINES_MAX = 200,
    LINE_BYTES = 400,
};

#define NS_PER_MS  UINT64_C(1000000)
#define START_MS   UINT64_C(1000)
#define NO_HANDLER "something that is no handler (a timer, a descriptor, posted work) "

/* --- the log --- */

static char lines[LINES_MAX][LINE_BYTES];
static unsigned line_count;

static inline void keep_line(const char *domain, GLogLevelFlags level, const char *message,
                             void *arg)
{
    (void)domain, (void)level, (void)arg;
    g_assert_cmpuint(line_count, <, LINES_MAX);
    g_strlcpy(lines[line_count++], message, LINE_BYTES);
}

/* That there is this line and no other; forgets it. */
static inline void assert_said(const char *expected)
{
    g_assert_cmpuint(line_count, ==, 1);
    g_assert_cmpstr(lines[0], ==, expected);
    line_count = 0;
}

static inline void assert_silent(void)
{
    g_assert_cmpuint(line_count, ==, 0);
}

/* --- what is watched --- */

static struct watch loops[REACTORS];
static struct counter stalls[REACTORS];
static struct watchdog watchdog;
static uint64_t now_ms; /* the time of the last look */

static inline void open_for(unsigned limit_ms, unsigned tick_ms, bool traces)
{
    memset(loops, 0, sizeof(loops));
    memset(stalls, 0, sizeof(stalls));
    now_ms = START_MS;
    g_assert_cmpint(watchdog_open(&watchdog, REACTORS, limit_ms, tick_ms, traces), ==, 0);
    for (unsigned i = 0; i < REACTORS; i++)
        watchdog_guard(&watchdog, i, &loops[i], &stalls[i]);
    watchdog_look(&watchdog, now_ms * NS_PER_MS, false);
}

static inline void open_usual(void)
{
    open_for(LIMIT_MS, TICK_MS, false);
}

static inline void close_all(void)
{
    watchdog_close(&watchdog);
    assert_silent();
}

/* Looks at `at_ms` since the start. */
static inline void look(uint64_t at_ms)
{
    now_ms = START_MS + at_ms;
    watchdog_look(&watchdog, now_ms * NS_PER_MS, false);
}

/* Looks every TICK_MS after the last time, the last time at `until_ms` since the start. */
static inline void look_until(uint64_t until_ms)
{
    while (now_ms + TICK_MS <= START_MS + until_ms)
        look(now_ms + TICK_MS - START_MS);
}

static inline void begin_turn(struct watch *loop, uint64_t at_ms)
{
    watch_turn_begins(loop, (START_MS + at_ms) * NS_PER_MS);
}

static inline void end_turn(struct watch *loop, uint64_t at_ms)
{
    watch_turn_ends(loop, counter_read(&loop->turn_ns), (START_MS + at_ms) * NS_PER_MS);
}

/* watch_call_ends() at a time of ours. */
static inline void end_call(struct watch *loop, uint64_t at_ms)
{
    bool is_asked = counter_read(&loop->asked_call) == counter_read(&loop->calls);
    watch_call_ends(loop);
    if (is_asked)
        counter_set(&loop->over_ns, (START_MS + at_ms) * NS_PER_MS);
}

/* A turn with one call, seen every TICK_MS, and whether it was over at the look after its end. */
static inline void stall(struct watch *loop, const char *route, uint64_t from_ms, uint64_t to_ms)
{
    begin_turn(loop, from_ms);
    watch_call_begins(loop, route);
    look_until(to_ms);
    end_call(loop, to_ms);
    end_turn(loop, to_ms);
    look_until(to_ms + TICK_MS);
}

/* Has the log kept, and not end the test. */
static inline void keep_log(void)
{
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_log_set_default_handler(keep_line, NULL);
}

#endif
