/*
 * Every string in it is a constant of ours without anything that JSON escapes.
 */
#include "server/admin_view.h"

#include <inttypes.h>

enum { NS_PLACES = 9, US_PLACES = 6, MS_PLACES = 3, RATE_PLACES = 3, BUSY_PLACES = 4 };

/* Members are put with a comma behind them, but for the last of an object. */

static void put_number(struct text *text, const char *name, uint64_t number, unsigned places)
{
    text_printf(text, "\"%s\": ", name);
    text_decimal(text, number, places);
}

static void put_string(struct text *text, const char *name, const char *value)
{
    text_printf(text, "\"%s\": \"%s\"", name, value);
}

/* Negative: not known. */
static void put_fact(struct text *text, const char *name, int64_t value, unsigned places)
{
    if (value < 0)
        text_printf(text, "\"%s\": null", name);
    else
        put_number(text, name, (uint64_t)value, places);
}

static void put_comma(struct text *text)
{
    text_puts(text, ", ");
}

/* Numbers by the names that there are. */
static void put_named(struct text *text, const char *name, const char *const *names,
                      const uint64_t *numbers, size_t count)
{
    const char *separator = "";
    text_printf(text, "\"%s\": {", name);
    for (size_t i = 0; i < count; i++) {
        if (!names[i])
            continue;
        text_puts(text, separator);
        put_number(text, names[i], numbers[i], 0);
        separator = ", ";
    }
    text_puts(text, "}");
}

static void put_classes(struct text *text, const struct reactor_sample *reactor)
{
    static const char *const classes[] = {"aborted", NULL, "2xx", "3xx", "4xx", "5xx"};
    put_named(text, "by_class", classes, reactor->requests, sizeof(classes) / sizeof(classes[0]));
}

static void put_requests(struct text *text, const struct admin_view *view,
                         const struct reactor_sample *now, const struct reactor_sample *before)
{
    uint64_t requests = sample_requests(now);
    text_puts(text, "\"requests\": {");
    put_number(text, "total", requests, 0);
    put_comma(text);
    put_number(text, "per_second", admin_rate(view, sample_requests(before), requests),
               RATE_PLACES);
    put_comma(text);
    put_classes(text, now);
    text_puts(text, "}");
}

static void put_connections(struct text *text, const struct reactor_sample *reactor)
{
    text_puts(text, "\"connections\": {");
    put_number(text, "open", reactor->connections, 0);
    put_comma(text);
    put_named(text, "by_state", metrics_state_names, reactor->states, STATES_MAX);
    text_puts(text, "}");
}

static void put_durations(struct text *text, const char *name,
                          const struct histogram_sample *histogram)
{
    static const struct {
        const char *name;
        unsigned thousandths;
    } quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}};
    uint64_t count = sample_count(histogram);
    text_printf(text, "\"%s\": {", name);
    put_number(text, "count", count, 0);
    put_comma(text);
    put_number(text, "mean_seconds", count ? histogram->sum_ns / count : 0, NS_PLACES);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        text_printf(text, ", \"%s_seconds\": ", quantiles[i].name);
        text_decimal(text, sample_quantile(histogram, quantiles[i].thousandths), NS_PLACES);
    }
    text_puts(text, "}");
}

static void put_handoffs(struct text *text, const struct reactor_sample *reactor)
{
    static const char *const kinds[] = {"new", "moved", "taken_over"};
    const uint64_t numbers[] = {reactor->handed_over, reactor->moved, reactor->taken_over};
    put_named(text, "handoffs", kinds, numbers, 3);
}

static void put_load(struct text *text, const struct reactor_sample *reactor)
{
    static const char *const parts[] = {"open", "pending", "work"};
    const uint64_t numbers[] = {reactor->load_open, reactor->load_pending, reactor->load_work};
    put_named(text, "load", parts, numbers, 3);
}

/* What a reactor and the sum of all have in common. */
static void put_counts(struct text *text, const struct admin_view *view,
                       const struct reactor_sample *now, const struct reactor_sample *before)
{
    put_requests(text, view, now, before);
    put_comma(text);
    put_connections(text, now);
    put_comma(text);
    put_handoffs(text, now);
    put_comma(text);
    put_load(text, now);
    put_comma(text);
    put_number(text, "accepts", now->accepted, 0);
    put_comma(text);
    put_number(text, "received_bytes", now->received, 0);
    put_comma(text);
    put_number(text, "sent_bytes", now->sent, 0);
    put_comma(text);
    put_number(text, "lag_seconds", now->lag_ns, NS_PLACES);
    put_comma(text);
    put_number(text, "turns", now->turns, 0);
    put_comma(text);
    put_number(text, "stalls", now->stalls, 0);
    put_comma(text);
    put_number(text, "offload_waiting", now->offload_waiting, 0);
    put_comma(text);
    put_number(text, "offload_running", now->offload_running, 0);
}

static void put_reactor(struct text *text, const struct admin_view *view, unsigned index)
{
    text_puts(text, index ? ",\n{" : "\n{");
    put_number(text, "reactor", index, 0);
    put_comma(text);
    put_number(text, "busy_ratio", admin_busy(view, index), BUSY_PLACES);
    put_comma(text);
    put_counts(text, view, &view->now.reactors[index], &view->before.reactors[index]);
    text_puts(text, "}");
}

static void put_process(struct text *text, const struct process_facts *process)
{
    text_puts(text, "\"process\": {");
    put_fact(text, "resident_bytes", process->resident_bytes, 0);
    put_comma(text);
    put_fact(text, "virtual_bytes", process->virtual_bytes, 0);
    put_comma(text);
    put_fact(text, "open_descriptors", process->open_descriptors, 0);
    put_comma(text);
    put_fact(text, "most_descriptors", process->most_descriptors, 0);
    put_comma(text);
    put_fact(text, "cpu_seconds", process->cpu_us, US_PLACES);
    put_comma(text);
    put_fact(text, "began", process->began_ms, MS_PLACES);
    text_puts(text, "}");
}

static void put_server(struct text *text, const struct admin_view *view)
{
    put_string(text, "version", view->version);
    put_comma(text);
    put_string(text, "phase", admin_phase_name(view->phase));
    put_comma(text);
    put_string(text, "balance", view->balance);
    put_comma(text);
    put_number(text, "uptime_seconds", view->uptime_ns, NS_PLACES);
    put_comma(text);
    put_number(text, "rates_over_seconds", view->now.taken_ns - view->before.taken_ns, NS_PLACES);
}

void admin_put_json(struct text *text, const struct admin_view *view)
{
    const struct histogram_sample recent =
        sample_since(&view->sum.latency, &view->sum_before.latency);
    text_puts(text, "{");
    put_server(text, view);
    text_puts(text, ",\n");
    put_process(text, &view->process);
    text_puts(text, ",\n\"total\": {");
    put_counts(text, view, &view->sum, &view->sum_before);
    put_comma(text);
    put_number(text, "connections_cut", view->sum.aborted, 0);
    put_comma(text);
    put_named(text, "refusals", metrics_refusal_names, view->sum.refused, REFUSALS);
    text_puts(text, "},\n\"latency\": {");
    put_durations(text, "recent", &recent);
    put_comma(text);
    put_durations(text, "total", &view->sum.latency);
    put_comma(text);
    put_durations(text, "offload_wait", &view->sum.offload);
    text_puts(text, "},\n\"reactors\": [");
    for (unsigned i = 0; i < view->now.count; i++)
        put_reactor(text, view, i);
    text_puts(text, "\n]}\n");
}
