/* 10,000 timers started, stopped and fired at random, against a sorted tree that says which one
 * must be next. Repeat a failure with the seed that the test prints: --seed=... */
#include "timer_support.h"

enum { TIMERS = 10000, DELAY_MAX_MS = 400 };

/* The model's own idea of a timer: nothing of it is read from the reactor. */
struct entry {
    struct model *model;
    struct reactor_timer *timer;
    uint64_t deadline_ns;
    uint64_t order; /* of starting */
    uint32_t period_ms;
    bool started;
};

struct model {
    struct reactor *reactor;
    GTree *tree; /* the started entries, by deadline and order */
    uint64_t next_order;
    int fired;
    int changes_per_task;
    struct entry entries[TIMERS];
};

static gint compare_entries(gconstpointer a, gconstpointer b)
{
    const struct entry *first = a;
    const struct entry *second = b;
    if (first->deadline_ns != second->deadline_ns)
        return first->deadline_ns < second->deadline_ns ? -1 : 1;
    return (first->order > second->order) - (first->order < second->order);
}

static void model_remove(struct entry *entry)
{
    g_assert_true(g_tree_remove(entry->model->tree, entry));
    entry->started = false;
}

static void model_insert(struct entry *entry, uint64_t deadline_ns)
{
    entry->deadline_ns = deadline_ns;
    entry->started = true;
    g_tree_insert(entry->model->tree, entry, entry);
}

static void start_entry(struct entry *entry, uint32_t delay_ms, uint32_t period_ms)
{
    if (entry->started)
        model_remove(entry);
    entry->period_ms = period_ms;
    entry->order = entry->model->next_order++;
    model_insert(entry, virtual_ns + delay_ms * NS_PER_MS);
    reactor_timer_start(entry->timer, delay_ms, period_ms);
}

static void stop_entry(struct entry *entry)
{
    if (entry->started)
        model_remove(entry);
    reactor_timer_stop(entry->timer);
}

static uint32_t random_below(uint32_t limit)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)limit);
}

static void change_at_random(struct model *model, int changes)
{
    for (int i = 0; i < changes; i++) {
        struct entry *entry = &model->entries[random_below(TIMERS)];
        switch (random_below(8)) {
        case 0:
        case 1:
        case 2:
            stop_entry(entry);
            break;
        case 3:
            start_entry(entry, random_below(DELAY_MAX_MS), 1 + random_below(DELAY_MAX_MS));
            break;
        default:
            start_entry(entry, random_below(DELAY_MAX_MS), 0);
        }
    }
}

static void on_entry(struct reactor *reactor, void *arg)
{
    struct entry *entry = arg;
    struct model *model = entry->model;
    uint64_t now_ns = reactor_now(reactor);
    g_assert_true(entry->started);
    g_assert_cmpuint(entry->deadline_ns, <=, now_ns);
    g_assert_true(g_tree_node_key(g_tree_node_first(model->tree)) == entry);
    model_remove(entry);
    if (entry->period_ms) {
        uint64_t next_ns = entry->deadline_ns;
        while (next_ns <= now_ns)
            next_ns += entry->period_ms * NS_PER_MS;
        model_insert(entry, next_ns);
    }
    model->fired++;
    /* Time passes in a task, so that later ones are late and periods are missed. */
    virtual_ns += random_below(16) ? 1000 : 3 * NS_PER_MS;
    change_at_random(model, model->changes_per_task);
}

static struct model *open_model(void)
{
    struct model *model = g_new0(struct model, 1);
    model->reactor = new_virtual_reactor();
    model->tree = g_tree_new(compare_entries);
    for (int i = 0; i < TIMERS; i++) {
        model->entries[i].model = model;
        model->entries[i].timer = reactor_timer_new(model->reactor, on_entry, &model->entries[i]);
    }
    return model;
}

static void close_model(struct model *model)
{
    for (int i = 0; i < TIMERS; i++)
        reactor_timer_free(model->entries[i].timer);
    end_reactor(model->reactor);
    g_tree_destroy(model->tree);
    g_free(model);
}

/* Nothing that is left was due already. */
static void assert_nothing_overdue(struct model *model)
{
    GTreeNode *first = g_tree_node_first(model->tree);
    if (first) {
        const struct entry *entry = g_tree_node_key(first);
        g_assert_cmpuint(entry->deadline_ns, >, reactor_now(model->reactor));
    }
}

static void test_started_at_random_and_run_to_the_end(void)
{
    struct model *model = open_model();
    for (int i = 0; i < TIMERS; i++)
        start_entry(&model->entries[i], random_below(DELAY_MAX_MS), 0);
    g_assert_cmpint(reactor_run(model->reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(model->fired, ==, TIMERS);
    g_assert_cmpint(g_tree_nnodes(model->tree), ==, 0);
    close_model(model);
}

static void test_started_and_stopped_at_random_between_turns(void)
{
    struct model *model = open_model();
    int rounds = g_test_slow() ? 2000 : 100;
    for (int i = 0; i < rounds; i++) {
        change_at_random(model, TIMERS / 50);
        virtual_ns += random_below(20000) * UINT64_C(1000);
        reactor_run(model->reactor, 0);
        assert_nothing_overdue(model);
    }
    g_assert_cmpint(model->fired, >, 0);
    for (int i = 0; i < TIMERS; i++)
        stop_entry(&model->entries[i]);
    g_assert_cmpint(reactor_run(model->reactor, -1), ==, REACTOR_IDLE);
    close_model(model);
}

static void test_started_and_stopped_at_random_by_tasks(void)
{
    struct model *model = open_model();
    int enough = g_test_slow() ? 500000 : 10000;
    model->changes_per_task = 2;
    for (int i = 0; i < TIMERS; i++)
        start_entry(&model->entries[i], random_below(DELAY_MAX_MS), 0);
    while (model->fired < enough) {
        g_assert_cmpint(reactor_run(model->reactor, 50), ==, REACTOR_TIMEOUT);
        g_assert_cmpint(g_tree_nnodes(model->tree), >, 0);
    }
    close_model(model);
}

/* A connection's time-out: pushed back with every request, and hardly ever fired. */
static void test_restarted_in_turn_like_time_outs(void)
{
    struct model *model = open_model();
    for (int rounds = 0; rounds < 3; rounds++) {
        for (int i = 0; i < TIMERS; i++)
            start_entry(&model->entries[i], DELAY_MAX_MS, 0);
        virtual_ns += (DELAY_MAX_MS - 1) * NS_PER_MS;
        one_turn(model->reactor);
        g_assert_cmpint(model->fired, ==, 0);
    }
    g_assert_cmpint(reactor_run(model->reactor, -1), ==, REACTOR_IDLE);
    g_assert_cmpint(model->fired, ==, TIMERS);
    close_model(model);
}

#define ADD(path, function) g_test_add_func("/timer-model/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("run-to-the-end", started_at_random_and_run_to_the_end);
    ADD("between-turns", started_and_stopped_at_random_between_turns);
    ADD("by-tasks", started_and_stopped_at_random_by_tasks);
    ADD("time-outs", restarted_in_turn_like_time_outs);
    return g_test_run();
}
