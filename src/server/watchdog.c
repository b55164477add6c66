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
        .gap_ns = MAX(limit_ms / 2, 2 * tick_ms) * NS_PER_MS,
        .traces = traces,
        .count = count,
        .guards = calloc(count, sizeof(*watchdog->guards)),
    };
    if (!watchdog->guards)
        return -ENOMEM;
    watchdog->budgets = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    return 0;
}

void watchdog_guard(struct watchdog *watchdog, unsigned index, struct watch *watch,
                    struct counter *stalls)
{
    watchdog->guards[index].watch = watch;
    watchdog->guards[index].stalls = stalls;
}

/* --- what is said --- */

/* For `what`, NULL: no handler. */
static struct budget *find_budget(struct watchdog *watchdog, const char *what)
{
    const char *key = what ? what : "";
    struct budget *budget = g_hash_table_lookup(watchdog->budgets, key);
    if (!budget) {
        budget = g_new0(struct budget, 1);
        g_hash_table_insert(watchdog->budgets, (char *)(uintptr_t)key, budget);
    }
    return budget;
}

/* Whether a stall by `what` may be logged. */
static bool may_speak(struct watchdog *watchdog, const char *what, uint64_t now_ns)
{
    struct budget *budget = find_budget(watchdog, what);
    if (now_ns >= budget->until_ns) {
        budget->until_ns = now_ns + INTERVAL_MS * NS_PER_MS;
        budget->lines = 0;
    }
    if (budget->lines == LINES_MAX)
        return false;
    budget->lines++;
    return true;
}

static void leave_out(struct watchdog *watchdog, const char *what)
{
    find_budget(watchdog, what)->left_out++;
    watchdog->left_out++;
}

enum { KEEPER_MAX = 320 };

static const char *name_keeper(const char *what, char name[KEEPER_MAX])
{
    if (what && *what)
        g_snprintf(name, KEEPER_MAX, "the handler of %s", what);
    else
        g_strlcpy(name, "something that is no handler (a timer, a descriptor, posted work)",
                  KEEPER_MAX);
    return name;
}

static void tell(const struct watchdog *watchdog, const struct guard *guard, uint64_t end_ns,
                 bool is_over)
{
    char name[KEEPER_MAX];
    uint64_t length_ms = end_ns > guard->from_ns ? (end_ns - guard->from_ns) / NS_PER_MS : 0;
    g_warning("%s %s reactor %u from everything else for %" G_GUINT64_FORMAT " ms%s",
              name_keeper(guard->seen.what, name), is_over ? "kept" : "has kept",
              (unsigned)(guard - watchdog->guards), length_ms,
              is_over ? "" : ", and it is not over");
}

/* How many were not logged, of those whose interval is over. */
static void tell_left_out(struct watchdog *watchdog, uint64_t now_ns)
{
    GHashTableIter iter;
    void *key;
    void *value;
    if (!watchdog->left_out)
        return;
    g_hash_table_iter_init(&iter, watchdog->budgets);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        struct budget *budget = value;
        char name[KEEPER_MAX];
        if (!budget->left_out || now_ns < budget->until_ns)
            continue;
        g_warning("%s kept reactors from everything else %" G_GUINT64_FORMAT
                  " times more, which were not logged",
                  name_keeper(key, name), budget->left_out);
        watchdog->left_out -= budget->left_out;
        budget->left_out = 0;
    }
}

static void log_trace(const struct watchdog *watchdog, struct guard *guard)
{
    char name[KEEPER_MAX];
    if (!trace_is_taken(&guard->trace))
        return;
    g_warning("%s keeps reactor %u from everything else; its stack, the innermost call first:",
              name_keeper(guard->seen.what, name), (unsigned)(guard - watchdog->guards));
    trace_log(&guard->trace);
}

void watchdog_close(struct watchdog *watchdog)
{
    if (watchdog->budgets) {
        tell_left_out(watchdog, UINT64_MAX);
        g_hash_table_destroy(watchdog->budgets);
    }
    free(watchdog->guards);
    *watchdog = (struct watchdog){0};
}

/* --- looking --- */

/* What does not count of the time from `from_ns`, when it was looked at, to `to_ns`. */
static uint64_t find_unseen(const struct watchdog *watchdog, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t gap_ns = to_ns > from_ns ? to_ns - from_ns : 0;
    return gap_ns > watchdog->gap_ns ? gap_ns - watchdog->gap_ns : 0;
}

/* Whether what is seen is a stall when it ends, or is still at it, at `at_ns`. */
static bool takes_too_long(const struct watchdog *watchdog, const struct guard *guard,
                           uint64_t at_ns, bool drains)
{
    uint64_t unseen_ns = guard->unseen_ns + find_unseen(watchdog, guard->looked_ns, at_ns);
    return guard->seen.turn_ns && (guard->seen.what || !drains) &&
           at_ns >= guard->sure_ns + unseen_ns + watchdog->limit_ns;
}

static void count(struct watchdog *watchdog, struct guard *guard, uint64_t now_ns)
{
    guard->is_stall = true;
    counter_add(guard->stalls, 1);
    guard->speaks = may_speak(watchdog, guard->seen.what, now_ns);
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
    if (guard->is_stall) {
        go_on(watchdog, guard, now_ns);
    } else if (takes_too_long(watchdog, guard, now_ns, drains)) {
        count(watchdog, guard, now_ns);
        if (guard->speaks && watchdog->traces)
            trace_ask(&guard->trace, &guard->seen);
    }
}

/* When what was seen ended, or 0: its thread did not note it, because it ended just when it was
 * asked to. What came before the first call of a turn may have ended before that turn. */
static uint64_t find_end(const struct guard *guard, uint64_t now_ns)
{
    uint64_t over_ns = counter_read(&guard->watch->over_ns);
    return over_ns > guard->since_ns ? MIN(over_ns, now_ns) : 0;
}

/* What was seen is over, because the reactor does what is `next`. */
static void conclude(struct watchdog *watchdog, struct guard *guard, const struct activity *next,
                     uint64_t now_ns, bool drains)
{
    uint64_t end_ns = find_end(guard, now_ns);
    bool is_exact = end_ns && (guard->seen.what || next->calls == guard->seen.calls);
    log_trace(watchdog, guard);
    if (!guard->is_stall && is_exact && takes_too_long(watchdog, guard, end_ns, drains))
        count(watchdog, guard, now_ns);
    if (guard->speaks)
        tell(watchdog, guard, end_ns ? end_ns : now_ns, true);
    else if (guard->is_stall)
        leave_out(watchdog, guard->seen.what);
}

/* Asks the thread to note when what is seen is over. */
static void ask_for_end(const struct guard *guard)
{
    struct watch *watch = guard->watch;
    counter_set(&watch->asked_call, guard->seen.what ? guard->seen.calls : 0);
    counter_set(&watch->asked_turn, guard->seen.what ? 0 : counter_read(&watch->turns) + 1);
}

static void begin(const struct watchdog *watchdog, struct guard *guard,
                  const struct activity *activity, uint64_t now_ns)
{
    /* It has been at it since the turn began: it is the only thing that the turn has done. */
    bool is_first = activity->turn_calls == (activity->what ? 1 : 0) &&
                    activity->turn_ns != guard->seen.turn_ns;
    guard->from_ns = MAX(guard->looked_ns, activity->turn_ns);
    guard->since_ns = now_ns;
    guard->sure_ns = is_first ? guard->from_ns : now_ns;
    guard->unseen_ns = find_unseen(watchdog, guard->sure_ns, now_ns);
    guard->seen = *activity;
    guard->is_stall = false;
    guard->speaks = false;
    guard->has_spoken = false;
    if (activity->turn_ns)
        ask_for_end(guard);
}

void watchdog_look(struct watchdog *watchdog, uint64_t now_ns, bool drains)
{
    for (unsigned i = 0; i < watchdog->count; i++) {
        struct guard *guard = &watchdog->guards[i];
        struct activity activity = watch_activity(guard->watch);
        if (activity_is_same(&activity, &guard->seen)) {
            judge(watchdog, guard, now_ns, drains);
            guard->unseen_ns += find_unseen(watchdog, guard->looked_ns, now_ns);
        } else {
            conclude(watchdog, guard, &activity, now_ns, drains);
            begin(watchdog, guard, &activity, now_ns);
        }
        guard->looked_ns = now_ns;
    }
    tell_left_out(watchdog, now_ns);
}
