#include "server/watchdog.h"

#include <errno.h>
#include <stdlib.h>

enum {
    LINES_MAX = 3, /* for each route within an interval: clients may cause stalls at will */
    INTERVAL_MS = 10000,
    LONG_TIMES = 10, /* the limit: then it is said before it is over, which it may never be */
    LONG_MS = 5000,  /* at least */
};

#define NS_PER_MS UINT64_C(1000000)

struct budget {
    uint64_t until_ns;
    unsigned lines;
    uint64_t left_out;
};

/* --- life --- */

int watchdog_open(struct watchdog *watchdog, unsigned count, unsigned limit_ms, unsigned tick_ms,
                  bool traces)
{
    *watchdog = (struct watchdog){
        .limit_ns = limit_ms * NS_PER_MS,
        .looks_needed = (limit_ms + tick_ms - 1) / tick_ms,
        .traces = traces,
        .count = count,
        .guards = calloc(count, sizeof(*watchdog->guards)),
    };
    if (!watchdog->guards)
        return -ENOMEM;
    watchdog->budgets = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    return 0;
}

void watchdog_close(struct watchdog *watchdog)
{
    if (watchdog->budgets)
        g_hash_table_destroy(watchdog->budgets);
    free(watchdog->guards);
    *watchdog = (struct watchdog){0};
}

void watchdog_guard(struct watchdog *watchdog, unsigned index, struct watch *watch,
                    struct counter *stalls)
{
    watchdog->guards[index].watch = watch;
    watchdog->guards[index].stalls = stalls;
}

/* --- what is said --- */

/* Whether a stall by `what` may be logged; those before that were not are the guard's to tell. */
static bool may_speak(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns)
{
    const char *key = guard->seen.what ? guard->seen.what : "";
    struct budget *budget = g_hash_table_lookup(watchdog->budgets, key);
    if (!budget) {
        budget = g_new0(struct budget, 1);
        g_hash_table_insert(watchdog->budgets, (char *)(uintptr_t)key, budget);
    }
    if (now_ns >= budget->until_ns) {
        budget->until_ns = now_ns + INTERVAL_MS * NS_PER_MS;
        budget->lines = 0;
    }
    if (budget->lines == LINES_MAX) {
        budget->left_out++;
        return false;
    }
    budget->lines++;
    guard->left_out = budget->left_out;
    budget->left_out = 0;
    return true;
}

enum { KEEPER_MAX = 320 };

static const char *name_keeper(const struct guard *guard, char name[KEEPER_MAX])
{
    if (guard->seen.what)
        g_snprintf(name, KEEPER_MAX, "the handler of %s", guard->seen.what);
    else
        g_strlcpy(name, "something that is no handler (a timer, a descriptor, posted work)",
                  KEEPER_MAX);
    return name;
}

static void tell(const struct watchdog *watchdog, const struct guard *guard, uint64_t end_ns,
                 bool is_over)
{
    char name[KEEPER_MAX];
    char more[80] = "";
    uint64_t length_ms = end_ns > guard->from_ns ? (end_ns - guard->from_ns) / NS_PER_MS : 0;
    if (guard->left_out && is_over)
        g_snprintf(more, sizeof(more), "; %" G_GUINT64_FORMAT " times before were not logged",
                   guard->left_out);
    g_warning("%s %s reactor %u from everything else for %" G_GUINT64_FORMAT " ms%s",
              name_keeper(guard, name), is_over ? "kept" : "has kept",
              (unsigned)(guard - watchdog->guards), length_ms,
              is_over ? more : ", and it is not over");
}

static void log_trace(const struct watchdog *watchdog, struct guard *guard)
{
    char name[KEEPER_MAX];
    if (!trace_is_taken(&guard->trace))
        return;
    g_warning("%s keeps reactor %u from everything else; its stack, the innermost call first:",
              name_keeper(guard, name), (unsigned)(guard - watchdog->guards));
    trace_log(&guard->trace);
}

/* --- looking --- */

static void mark(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns)
{
    struct watch *watch = guard->watch;
    guard->marked_ns = now_ns;
    if (guard->seen.what)
        counter_set(&watch->overdue_call, guard->seen.calls);
    else
        counter_set(&watch->overdue_turn, counter_read(&watch->turns) + 1);
    counter_add(guard->stalls, 1);
    guard->speaks = may_speak(watchdog, guard, now_ns);
    if (guard->speaks && watchdog->traces)
        trace_ask(&guard->trace, &guard->seen);
}

static void go_on(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns)
{
    uint64_t long_ns = MAX(LONG_TIMES * watchdog->limit_ns, LONG_MS * NS_PER_MS);
    log_trace(watchdog, guard);
    if (guard->has_spoken || now_ns - guard->since_ns < long_ns)
        return;
    guard->has_spoken = true;
    guard->speaks = true;
    tell(watchdog, guard, now_ns, false);
}

static void judge(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns, bool drains)
{
    guard->looks++;
    if (!guard->seen.turn_ns)
        return;
    if (guard->marked_ns)
        go_on(watchdog, guard, now_ns);
    else if (now_ns - guard->since_ns >= watchdog->limit_ns &&
             guard->looks >= watchdog->looks_needed && (guard->seen.what || !drains))
        mark(watchdog, guard, now_ns);
}

/* A stall is over. Its thread has said when, unless it ended just when it was marked. */
static void conclude(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns)
{
    uint64_t over_ns = counter_read(&guard->watch->over_ns);
    log_trace(watchdog, guard);
    if (guard->speaks)
        tell(watchdog, guard, over_ns > guard->marked_ns ? MIN(over_ns, now_ns) : now_ns, true);
}

static void begin(struct guard *guard, const struct activity *activity, uint64_t now_ns)
{
    guard->seen = *activity;
    guard->from_ns = MAX(guard->looked_ns, activity->turn_ns);
    guard->since_ns = now_ns;
    guard->looks = 0;
    guard->marked_ns = 0;
    guard->left_out = 0;
    guard->speaks = false;
    guard->has_spoken = false;
}

void watchdog_look(struct watchdog *watchdog, uint64_t now_ns, bool drains)
{
    for (unsigned i = 0; i < watchdog->count; i++) {
        struct guard *guard = &watchdog->guards[i];
        struct activity activity = watch_activity(guard->watch);
        if (activity_is_same(&activity, &guard->seen)) {
            judge(watchdog, guard, now_ns, drains);
        } else {
            if (guard->marked_ns)
                conclude(watchdog, guard, now_ns);
            begin(guard, &activity, now_ns);
        }
        guard->looked_ns = now_ns;
    }
}
