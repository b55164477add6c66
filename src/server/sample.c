#include "server/sample.h"

#include "net/balance.h"
#include "reactor/turns.h"

#include <glib.h>

/* --- reading --- */

static void read_histogram(struct histogram_sample *to, const struct histogram *from)
{
    for (size_t i = 0; i < BUCKETS; i++)
        to->buckets[i] = counter_read(&from->buckets[i]);
    to->sum_ns = counter_read(&from->sum_ns);
}

static void read_metrics(struct reactor_sample *to, const struct metrics *from)
{
    for (size_t i = 0; i < G_N_ELEMENTS(to->requests); i++)
        to->requests[i] = counter_read(&from->requests[i]);
    to->received = counter_read(&from->received);
    to->sent = counter_read(&from->sent);
    to->accepted = counter_read(&from->accepted);
    to->handed_over = counter_read(&from->handed_over);
    to->moved = counter_read(&from->moved);
    to->taken_over = counter_read(&from->taken_over);
    for (size_t i = 0; i < REFUSALS; i++)
        to->refused[i] = counter_read(&from->refused[i]);
    for (size_t i = 0; i < STATES_MAX; i++) {
        to->states[i] = counter_read(&from->states[i]);
        to->connections += to->states[i];
    }
    to->aborted = counter_read(&from->aborted);
    to->stalls = counter_read(&from->stalls);
    to->offload_waiting = counter_read(&from->offload_waiting);
    to->offload_running = counter_read(&from->offload_running);
    read_histogram(&to->latency, &from->latency);
    read_histogram(&to->offload, &from->offload);
}

static void read_watch(struct reactor_sample *to, struct watch *watch, uint64_t now_ns,
                       bool ends_window)
{
    to->turns = counter_read(&watch->turns);
    to->busy_ns = watch_busy(watch, now_ns);
    uint64_t turn_ns = counter_read(&watch->turn_ns);
    to->turn_ns = turn_ns && now_ns > turn_ns ? now_ns - turn_ns : 0;
    to->lag_ns = ends_window ? counter_take(&watch->longest_ns) : counter_read(&watch->longest_ns);
    to->lag_ns = MAX(to->lag_ns, to->turn_ns);
}

void sample_take(struct sample *sample, struct worker *workers, bool ends_window)
{
    sample->taken_ns = watch_clock();
    for (unsigned i = 0; i < sample->count; i++) {
        struct reactor_sample *to = &sample->reactors[i];
        struct worker *from = &workers[i];
        int pending = load_pending(from->load);
        *to = (struct reactor_sample){
            .load_open = __atomic_load_n(&from->load->open, __ATOMIC_RELAXED),
            .load_pending = pending > 0 ? (uint64_t)pending : 0,
            .load_work = __atomic_load_n(&from->load->work, __ATOMIC_RELAXED),
        };
        read_metrics(to, &from->metrics);
        read_watch(to, reactor_watch(from->reactor), sample->taken_ns, ends_window);
    }
}

/* --- adding up --- */

/* Everything adds up but the longest turns. */
static void add(struct reactor_sample *to, const struct reactor_sample *from)
{
    uint64_t lag_ns = MAX(to->lag_ns, from->lag_ns);
    uint64_t turn_ns = MAX(to->turn_ns, from->turn_ns);
    uint64_t *sums = (uint64_t *)to;
    const uint64_t *numbers = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(*sums); i++)
        sums[i] += numbers[i];
    to->lag_ns = lag_ns;
    to->turn_ns = turn_ns;
}

struct reactor_sample sample_sum(const struct sample *sample)
{
    struct reactor_sample sum = {0};
    for (unsigned i = 0; i < sample->count; i++)
        add(&sum, &sample->reactors[i]);
    return sum;
}

uint64_t sample_requests(const struct reactor_sample *reactor)
{
    uint64_t requests = 0;
    for (size_t class = 1; class < G_N_ELEMENTS(reactor->requests); class ++)
        requests += reactor->requests[class];
    return requests;
}

/* --- histograms --- */

uint64_t sample_count(const struct histogram_sample *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        count += histogram->buckets[i];
    return count;
}

struct histogram_sample sample_since(const struct histogram_sample *now,
                                     const struct histogram_sample *before)
{
    struct histogram_sample since = {.sum_ns = now->sum_ns - before->sum_ns};
    for (size_t i = 0; i < BUCKETS; i++)
        since.buckets[i] = now->buckets[i] - before->buckets[i];
    return since;
}

uint64_t sample_quantile(const struct histogram_sample *histogram, unsigned thousandths)
{
    double rank = (double)sample_count(histogram) * thousandths / 1000;
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        uint64_t within = histogram->buckets[i];
        if (within && (double)(below + within) >= rank) {
            uint64_t from_ns = i ? histogram_bounds[i - 1] : 0;
            double share = (rank - (double)below) / (double)within;
            return from_ns + (uint64_t)(share * (double)(histogram_bounds[i] - from_ns));
        }
        below += within;
    }
    return rank > 0 ? histogram_bounds[HISTOGRAM_BOUNDS - 1] : 0;
}
