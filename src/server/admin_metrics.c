/*
 * The exposition format of Prometheus: a family is a HELP line, a TYPE line and its samples, all
 * together; units are seconds and bytes, and what only grows ends with _total.
 */
#include "server/admin_view.h"

#include <inttypes.h>
#include <stddef.h>

enum { NS_PLACES = 9, US_PLACES = 6, MS_PLACES = 3, BUSY_PLACES = 4 };

/* --- pieces --- */

static void begin_family(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP %s %s\n", name, help);
    text_printf(text, "# TYPE %s %s\n", name, type);
}

/* The value of a label: a backslash, a quotation mark and a newline are escaped. */
static void put_label(struct text *text, const char *name, const char *value)
{
    text_printf(text, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            text_puts(text, "\\n");
        else if (*value == '"' || *value == '\\')
            text_printf(text, "\\%c", *value);
        else
            text_put(text, value, 1);
    }
    text_puts(text, "\"");
}

/* One of a family without labels; negative: it is not known, and left out. */
static void put_single(struct text *text, const char *name, const char *type, const char *help,
                       int64_t value, unsigned places)
{
    if (value < 0)
        return;
    begin_family(text, name, type, help);
    text_printf(text, "%s ", name);
    text_decimal(text, (uint64_t)value, places);
    text_puts(text, "\n");
}

/* --- of each reactor --- */

struct family {
    const char *name;
    const char *type;
    const char *help;
    size_t at; /* in struct reactor_sample */
    unsigned places;
};

#define AT(member) offsetof(struct reactor_sample, member)

static uint64_t value_at(const struct reactor_sample *reactor, size_t at)
{
    uint64_t value;
    memcpy(&value, (const char *)reactor + at, sizeof(value));
    return value;
}

static const struct family families[] = {
    {"coreactor_requests_aborted_total", "counter",
     "Requests that got no complete answer: the client left, or was cut off.", AT(requests[0]), 0},
    {"coreactor_received_bytes_total", "counter", "Bytes received from clients.", AT(received), 0},
    {"coreactor_sent_bytes_total", "counter", "Bytes sent to clients.", AT(sent), 0},
    {"coreactor_accepts_total", "counter",
     "Connections accepted, before any was handed to another reactor.", AT(accepted), 0},
    {"coreactor_offload_queue_length", "gauge", "Offloaded requests that wait for a thread.",
     AT(offload_waiting), 0},
    {"coreactor_offload_running", "gauge", "Offloaded requests on a thread.", AT(offload_running),
     0},
    {"coreactor_loop_busy_seconds_total", "counter", "Time that the loop did not wait.",
     AT(busy_ns), NS_PLACES},
    {"coreactor_loop_turns_total", "counter", "Turns of the loop that are over.", AT(turns), 0},
    {"coreactor_loop_lag_seconds", "gauge",
     "The longest turn of the last second or two: what a client may have had to wait.", AT(lag_ns),
     NS_PLACES},
    {"coreactor_stalls_total", "counter",
     "Handlers, timers and other work that took as long as --stall-warning.", AT(stalls), 0},
};

static void put_family(struct text *text, const struct admin_view *view,
                       const struct family *family)
{
    begin_family(text, family->name, family->type, family->help);
    for (unsigned i = 0; i < view->now.count; i++) {
        text_printf(text, "%s{reactor=\"%u\"} ", family->name, i);
        text_decimal(text, value_at(&view->now.reactors[i], family->at), family->places);
        text_puts(text, "\n");
    }
}

static void put_busy(struct text *text, const struct admin_view *view)
{
    begin_family(text, "coreactor_loop_busy_ratio", "gauge",
                 "Part of the last second or two in which the loop did not wait.");
    for (unsigned i = 0; i < view->now.count; i++) {
        text_printf(text, "coreactor_loop_busy_ratio{reactor=\"%u\"} ", i);
        text_decimal(text, admin_busy(view, i), BUSY_PLACES);
        text_puts(text, "\n");
    }
}

/* --- of each reactor, by something --- */

/* One of the samples of a family whose second label says which. */
struct kind {
    const char *value; /* of that label; NULL: there is none */
    size_t at;
};

static void put_kinds(struct text *text, const struct admin_view *view, const char *name,
                      const char *label, const struct kind *kinds, size_t count)
{
    for (unsigned i = 0; i < view->now.count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (!kinds[k].value)
                continue;
            text_printf(text, "%s{reactor=\"%u\",", name, i);
            put_label(text, label, kinds[k].value);
            text_printf(text, "} %" PRIu64 "\n", value_at(&view->now.reactors[i], kinds[k].at));
        }
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_requests(struct text *text, const struct admin_view *view)
{
    static const struct kind classes[] = {{"2xx", AT(requests[2])},
                                          {"3xx", AT(requests[3])},
                                          {"4xx", AT(requests[4])},
                                          {"5xx", AT(requests[5])}};
    begin_family(text, "coreactor_requests_total", "counter",
                 "Requests answered, by the class of their status; malformed ones too.");
    put_kinds(text, view, "coreactor_requests_total", "class", classes, COUNT(classes));
}

static void put_connections(struct text *text, const struct admin_view *view)
{
    struct kind states[STATES_MAX];
    for (size_t i = 0; i < STATES_MAX; i++)
        states[i] =
            (struct kind){metrics_state_names[i], AT(states) + i * sizeof(view->sum.states[0])};
    begin_family(text, "coreactor_connections", "gauge",
                 "Open connections, by what they wait for since their last event.");
    put_kinds(text, view, "coreactor_connections", "state", states, COUNT(states));
}

static void put_handoffs(struct text *text, const struct admin_view *view)
{
    static const struct kind kinds[] = {
        {"new", AT(handed_over)}, {"moved", AT(moved)}, {"taken_over", AT(taken_over)}};
    begin_family(text, "coreactor_handoffs_total", "counter",
                 "Connections given to another reactor, when new or later, and taken over.");
    put_kinds(text, view, "coreactor_handoffs_total", "kind", kinds, COUNT(kinds));
}

static void put_load(struct text *text, const struct admin_view *view)
{
    static const struct kind parts[] = {
        {"open", AT(load_open)}, {"pending", AT(load_pending)}, {"work", AT(load_work)}};
    begin_family(text, "coreactor_load", "gauge",
                 "What new connections are balanced by: connections open and assigned, and "
                 "recent work as connections.");
    put_kinds(text, view, "coreactor_load", "part", parts, COUNT(parts));
}

/* --- of all reactors --- */

static void put_histogram(struct text *text, const char *name, const char *help,
                          const struct histogram_sample *histogram)
{
    uint64_t count = 0;
    begin_family(text, name, "histogram", help);
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += histogram->buckets[i];
        text_printf(text, "%s_bucket{le=\"", name);
        text_decimal(text, histogram_bounds[i], NS_PLACES);
        text_printf(text, "\"} %" PRIu64 "\n", count);
    }
    count += histogram->buckets[HISTOGRAM_BOUNDS];
    text_printf(text, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    text_printf(text, "%s_sum ", name);
    text_decimal(text, histogram->sum_ns, NS_PLACES);
    text_printf(text, "\n%s_count %" PRIu64 "\n", name, count);
}

static void put_refusals(struct text *text, const struct reactor_sample *sum)
{
    begin_family(
        text, "coreactor_refusals_total", "counter",
        "Clients, or their requests, that were turned away or had to wait, by the reason.");
    for (size_t i = 0; i < REFUSALS; i++) {
        text_puts(text, "coreactor_refusals_total{");
        put_label(text, "reason", metrics_refusal_names[i]);
        text_printf(text, "} %" PRIu64 "\n", sum->refused[i]);
    }
}

static void put_sums(struct text *text, const struct reactor_sample *sum)
{
    put_histogram(text, "coreactor_request_duration_seconds",
                  "Time from the arrival of a request's head to the end of its answer.",
                  &sum->latency);
    put_histogram(text, "coreactor_offload_wait_seconds",
                  "Time that offloaded requests waited for a thread.", &sum->offload);
    put_refusals(text, sum);
    put_single(text, "coreactor_connections_cut_total", "counter",
               "Connections that the end of the drain's time cut off amid a request.",
               (int64_t)sum->aborted, 0);
}

/* --- of the server and its process --- */

static void put_server(struct text *text, const struct admin_view *view)
{
    begin_family(text, "coreactor_build_info", "gauge", "What is running; always 1.");
    text_puts(text, "coreactor_build_info{");
    put_label(text, "version", view->version);
    text_puts(text, ",");
    put_label(text, "compiler", view->compiler);
    text_puts(text, ",");
    put_label(text, "libbpf", view->libbpf);
    text_puts(text, "} 1\n");
    begin_family(text, "coreactor_balance_info", "gauge",
                 "How new connections are spread over the reactors; always 1.");
    text_puts(text, "coreactor_balance_info{");
    put_label(text, "mode", view->balance);
    text_puts(text, "} 1\n");
    put_single(text, "coreactor_reactors", "gauge", "Reactors, each with a thread.",
               view->now.count, 0);
    put_single(text, "coreactor_draining", "gauge", "1 while the server drains.",
               view->phase == ADMIN_DRAINING, 0);
}

/* By the names that the libraries of Prometheus have for them. */
static void put_process(struct text *text, const struct process_facts *process)
{
    put_single(text, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
               process->cpu_us, US_PLACES);
    put_single(text, "process_resident_memory_bytes", "gauge", "Resident memory.",
               process->resident_bytes, 0);
    put_single(text, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
               process->virtual_bytes, 0);
    put_single(text, "process_open_fds", "gauge", "Open descriptors.", process->open_descriptors,
               0);
    put_single(text, "process_max_fds", "gauge", "The most descriptors that may be open.",
               process->most_descriptors, 0);
    put_single(text, "process_start_time_seconds", "gauge", "When it was started: Unix time.",
               process->began_ms, MS_PLACES);
}

void admin_put_metrics(struct text *text, const struct admin_view *view)
{
    put_server(text, view);
    put_requests(text, view);
    put_connections(text, view);
    put_handoffs(text, view);
    put_load(text, view);
    for (size_t i = 0; i < COUNT(families); i++)
        put_family(text, view, &families[i]);
    put_busy(text, view);
    put_sums(text, &view->sum);
    put_process(text, &view->process);
}
