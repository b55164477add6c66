/*
 * The operator's page: every reactor side by side, without a script, and readable without its style
 * too. Every string in it is a constant of ours without anything that HTML escapes.
 */
#include "server/admin_style.h"
#include "server/admin_view.h"

#include <glib.h>
#include <inttypes.h>
#include <time.h>

/* --- numbers for people --- */

/* Of thousandths per second. */
static void put_rate(struct text *text, uint64_t rate)
{
    if (rate < 9950)
        text_decimal(text, (rate + 50) / 100, 1);
    else
        text_grouped(text, (rate + 500) / 1000);
}

/* In a unit in which it has at most four digits before its point; with a decimal when that is one.
 */
static void put_scaled(struct text *text, uint64_t number, const char *const *units)
{
    uint64_t tenth = 0; /* of the unit; 0: it is the first */
    while (number >= (tenth ? tenth * 10 : 1) * 1000 && units[1]) {
        tenth = tenth ? tenth * 1000 : 100;
        units++;
    }
    if (!tenth)
        text_printf(text, "%" PRIu64, number);
    else if (number < tenth * 100)
        text_decimal(text, (number + tenth / 2) / tenth, 1);
    else
        text_printf(text, "%" PRIu64, (number + tenth * 5) / (tenth * 10));
    text_printf(text, " %s", *units);
}

static void put_duration(struct text *text, uint64_t duration_ns)
{
    static const char *const units[] = {"ns", "\302\265s", "ms", "s", NULL};
    put_scaled(text, duration_ns, units);
}

static void put_bytes(struct text *text, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", NULL};
    put_scaled(text, bytes, units);
}

static void put_quantile(struct text *text, const struct histogram_sample *histogram,
                         unsigned thousandths)
{
    uint64_t estimate_ns = sample_quantile(histogram, thousandths);
    if (!sample_count(histogram)) {
        text_puts(text, "\342\200\223");
        return;
    }
    if (estimate_ns >= histogram_bounds[HISTOGRAM_BOUNDS - 1])
        text_puts(text, "over ");
    put_duration(text, estimate_ns);
}

static void put_percent(struct text *text, uint64_t of_10000)
{
    text_printf(text, "%" PRIu64 " %%", (of_10000 + 50) / 100);
}

static void put_uptime(struct text *text, uint64_t uptime_ns)
{
    uint64_t seconds = uptime_ns / 1000000000;
    if (seconds >= 86400)
        text_printf(text, "%" PRIu64 " d ", seconds / 86400);
    if (seconds >= 3600)
        text_printf(text, "%" PRIu64 " h ", seconds / 3600 % 24);
    if (seconds >= 60)
        text_printf(text, "%" PRIu64 " min ", seconds / 60 % 60);
    text_printf(text, "%" PRIu64 " s", seconds % 60);
}

/* --- the reactors --- */

/* What each bar is a part of. */
struct scale {
    uint64_t load;
    uint64_t rate;
};

static uint64_t load_of_sample(const struct reactor_sample *reactor)
{
    return reactor->load_open + reactor->load_pending + reactor->load_work;
}

static uint64_t rate_of(const struct admin_view *view, unsigned index)
{
    return admin_rate(view, sample_requests(&view->before.reactors[index]),
                      sample_requests(&view->now.reactors[index]));
}

static struct scale find_scale(const struct admin_view *view)
{
    struct scale scale = {1, 1};
    for (unsigned i = 0; i < view->now.count; i++) {
        scale.load = MAX(scale.load, load_of_sample(&view->now.reactors[i]));
        scale.rate = MAX(scale.rate, rate_of(view, i));
    }
    return scale;
}

/* Its number stands above it: for those who do not see it, it is not there. */
static void put_bar(struct text *text, uint64_t part, uint64_t whole, const char *heat)
{
    text_printf(text,
                "<svg width=\"72\" height=\"6\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" "
                "aria-hidden=\"true\"><rect width=\"100\" height=\"6\"/>"
                "<rect class=\"part%s\" width=\"%" PRIu64 "\" height=\"6\"/></svg>",
                heat, (uint64_t)((double)part * 100 / (double)whole + 0.5));
}

static void put_busy(struct text *text, uint64_t busy)
{
    text_puts(text, "<td>");
    put_percent(text, busy);
    put_bar(text, busy, 10000, busy >= 9500 ? " hot" : busy >= 8000 ? " warm" : "");
    text_puts(text, "</td>");
}

static void put_grouped_cell(struct text *text, uint64_t number)
{
    text_puts(text, "<td>");
    text_grouped(text, number);
    text_puts(text, "</td>");
}

/* Its rest is the same for a reactor and for all. */
static void put_row_end(struct text *text, const struct reactor_sample *reactor)
{
    text_puts(text, "<td>");
    put_duration(text, reactor->lag_ns);
    text_puts(text, "</td><td>");
    if (reactor->stalls)
        text_puts(text, "<strong>");
    text_grouped(text, reactor->stalls);
    if (reactor->stalls)
        text_puts(text, "</strong>");
    text_puts(text, "</td>");
    put_grouped_cell(text, reactor->handed_over + reactor->moved);
    put_grouped_cell(text, reactor->taken_over);
    put_grouped_cell(text, sample_requests(reactor));
    text_puts(text, "</tr>\n");
}

static void put_reactor(struct text *text, const struct admin_view *view, unsigned index,
                        const struct scale *scale)
{
    const struct reactor_sample *reactor = &view->now.reactors[index];
    uint64_t rate = rate_of(view, index);
    uint64_t load = load_of_sample(reactor);
    text_printf(text, "<tr><th scope=\"row\">%u</th><td>", index);
    text_grouped(text, load);
    put_bar(text, load, scale->load, "");
    text_puts(text, "</td>");
    put_grouped_cell(text, reactor->connections);
    text_puts(text, "<td>");
    put_rate(text, rate);
    put_bar(text, rate, scale->rate, "");
    text_puts(text, "</td>");
    put_busy(text, admin_busy(view, index));
    put_row_end(text, reactor);
}

static uint64_t mean_busy(const struct admin_view *view)
{
    uint64_t busy = 0;
    for (unsigned i = 0; i < view->now.count; i++)
        busy += admin_busy(view, i);
    return view->now.count ? busy / view->now.count : 0;
}

static uint64_t rate_of_all(const struct admin_view *view)
{
    return admin_rate(view, sample_requests(&view->sum_before), sample_requests(&view->sum));
}

static void put_reactors(struct text *text, const struct admin_view *view)
{
    static const char *const columns[] = {"Load",   "Connections", "Requests/s", "Busy",    "Lag",
                                          "Stalls", "Handed off",  "Taken over", "Requests"};
    const struct scale scale = find_scale(view);
    text_puts(text, "<section>\n<h2 id=\"reactors\">Reactors</h2>\n<div class=\"scroll\" "
                    "role=\"region\" aria-labelledby=\"reactors\" tabindex=\"0\">\n"
                    "<table aria-labelledby=\"reactors\">\n<thead><tr><th "
                    "scope=\"col\">Reactor</th>");
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        text_printf(text, "<th scope=\"col\">%s</th>", columns[i]);
    text_puts(text, "</tr></thead>\n<tbody>\n");
    for (unsigned i = 0; i < view->now.count; i++)
        put_reactor(text, view, i, &scale);
    text_puts(text, "</tbody>\n<tfoot><tr><th scope=\"row\">All</th>");
    put_grouped_cell(text, load_of_sample(&view->sum));
    put_grouped_cell(text, view->sum.connections);
    text_puts(text, "<td>");
    put_rate(text, rate_of_all(view));
    text_puts(text, "</td><td>");
    put_percent(text, mean_busy(view));
    text_puts(text, "</td>");
    put_row_end(text, &view->sum);
    text_puts(text, "</tfoot>\n</table>\n</div>\n</section>\n");
}

/* --- the other tables --- */

static const unsigned quantiles[] = {500, 900, 990, 999};

static void put_latency_row(struct text *text, const char *name,
                            const struct histogram_sample *histogram)
{
    uint64_t count = sample_count(histogram);
    text_printf(text, "<tr><th scope=\"row\">%s</th>", name);
    put_grouped_cell(text, count);
    text_puts(text, "<td>");
    if (count)
        put_duration(text, histogram->sum_ns / count);
    else
        text_puts(text, "\342\200\223");
    for (size_t i = 0; i < G_N_ELEMENTS(quantiles); i++) {
        text_puts(text, "</td><td>");
        put_quantile(text, histogram, quantiles[i]);
    }
    text_puts(text, "</td></tr>\n");
}

static void put_latency(struct text *text, const struct admin_view *view,
                        const struct histogram_sample *recent)
{
    text_puts(text,
              "<section>\n<h2 id=\"latency\">Latency, estimated from its histogram</h2>\n<div "
              "class=\"scroll\" role=\"region\" aria-labelledby=\"latency\" tabindex=\"0\">\n"
              "<table aria-labelledby=\"latency\">\n<thead><tr><th scope=\"col\">Time</th><th "
              "scope=\"col\">Requests</th><th scope=\"col\">Mean</th><th scope=\"col\">50 %</th>"
              "<th scope=\"col\">90 %</th><th scope=\"col\">99 %</th><th scope=\"col\">99.9 "
              "%</th></tr></thead>\n<tbody>\n");
    put_latency_row(text, "Last second or two", recent);
    put_latency_row(text, "Since the start", &view->sum.latency);
    put_latency_row(text, "Offload queue", &view->sum.offload);
    text_puts(text, "</tbody>\n</table>\n</div>\n</section>\n");
}

static void begin_list(struct text *text, const char *id, const char *title)
{
    text_printf(text,
                "<section>\n<h2 id=\"%s\">%s</h2>\n<table "
                "aria-labelledby=\"%s\">\n<tbody>\n",
                id, title, id);
}

static void end_list(struct text *text)
{
    text_puts(text, "</tbody>\n</table>\n</section>\n");
}

static void put_line(struct text *text, const char *name, uint64_t number)
{
    text_printf(text, "<tr><th scope=\"row\">%s</th>", name);
    put_grouped_cell(text, number);
    text_puts(text, "</tr>\n");
}

static void put_bytes_line(struct text *text, const char *name, int64_t bytes)
{
    if (bytes < 0)
        return;
    text_printf(text, "<tr><th scope=\"row\">%s</th><td>", name);
    put_bytes(text, (uint64_t)bytes);
    text_puts(text, "</td></tr>\n");
}

static void put_states(struct text *text, const struct reactor_sample *sum)
{
    static const char *const names[STATES_MAX] = {NULL,
                                                  "Idle",
                                                  "Sending a head",
                                                  "Sending a body",
                                                  "Taking an answer",
                                                  "Waiting for a handler",
                                                  "Closing"};
    begin_list(text, "connections", "Connections");
    for (size_t i = 0; i < STATES_MAX; i++) {
        if (names[i])
            put_line(text, names[i], sum->states[i]);
    }
    put_line(text, "Accepted so far", sum->accepted);
    end_list(text);
}

static void put_answers(struct text *text, const struct reactor_sample *sum)
{
    begin_list(text, "answers", "Answers");
    put_line(text, "2xx", sum->requests[2]);
    put_line(text, "3xx", sum->requests[3]);
    put_line(text, "4xx", sum->requests[4]);
    put_line(text, "5xx", sum->requests[5]);
    put_line(text, "Not completed", sum->requests[0]);
    put_bytes_line(text, "Received", (int64_t)sum->received);
    put_bytes_line(text, "Sent", (int64_t)sum->sent);
    end_list(text);
}

static void put_refusals(struct text *text, const struct reactor_sample *sum)
{
    static const char *const names[REFUSALS] = {
        [REFUSED_CLIENT_LIMIT] = "Client at its limit",
        [REFUSED_FULL] = "Pauses: no room",
        [REFUSED_SHORT] = "Short of resources",
        [REFUSED_MALFORMED] = "Malformed",
        [REFUSED_LARGE] = "Too large",
        [REFUSED_SLOW] = "Too slow",
        [REFUSED_IDLE] = "Idle, closed to make room",
        [REFUSED_OFFLOAD] = "Offload queue full",
    };
    begin_list(text, "refusals", "Refusals");
    for (size_t i = 0; i < REFUSALS; i++)
        put_line(text, names[i], sum->refused[i]);
    end_list(text);
}

static void put_process(struct text *text, const struct admin_view *view)
{
    const struct process_facts *process = &view->process;
    begin_list(text, "process", "Process");
    put_bytes_line(text, "Resident memory", process->resident_bytes);
    put_bytes_line(text, "Virtual memory", process->virtual_bytes);
    if (process->open_descriptors >= 0)
        put_line(text, "Open descriptors", (uint64_t)process->open_descriptors);
    if (process->most_descriptors >= 0)
        put_line(text, "At most", (uint64_t)process->most_descriptors);
    if (process->cpu_us >= 0)
        put_line(text, "CPU seconds", (uint64_t)process->cpu_us / 1000000);
    put_line(text, "Offloaded, waiting", view->sum.offload_waiting);
    put_line(text, "Offloaded, running", view->sum.offload_running);
    end_list(text);
}

/* --- the document --- */

static void put_tile(struct text *text, const char *name)
{
    text_printf(text, "<div><dt>%s</dt><dd>", name);
}

static void end_tile(struct text *text)
{
    text_puts(text, "</dd></div>\n");
}

static void put_tiles(struct text *text, const struct admin_view *view,
                      const struct histogram_sample *recent)
{
    text_puts(text, "<dl class=\"tiles\">\n");
    put_tile(text, "Requests/s");
    put_rate(text, rate_of_all(view));
    end_tile(text);
    put_tile(text, "Connections");
    text_grouped(text, view->sum.connections);
    end_tile(text);
    put_tile(text, "Busy, on average");
    put_percent(text, mean_busy(view));
    end_tile(text);
    put_tile(text, "Latency, 99 %");
    put_quantile(text, recent, 990);
    end_tile(text);
    put_tile(text, "Longest turn");
    put_duration(text, view->sum.lag_ns);
    end_tile(text);
    put_tile(text, "Stalls");
    text_grouped(text, view->sum.stalls);
    end_tile(text);
    text_puts(text, "</dl>\n");
}

static void put_beginning(struct text *text, unsigned refresh_s)
{
    text_puts(text, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                    "<title>coreactor: status</title>\n"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    if (refresh_s)
        text_printf(text, "<meta http-equiv=\"refresh\" content=\"%u\">\n", refresh_s);
    text_puts(text, "<style>");
    text_puts(text, admin_style);
    text_puts(text, "</style>\n");
}

static void put_header(struct text *text, const struct admin_view *view, unsigned refresh_s)
{
    const char *phase = admin_phase_name(view->phase);
    time_t wall_s = view->wall_s;
    struct tm time;
    gmtime_r(&wall_s, &time);
    text_printf(text, "<header>\n<h1>coreactor</h1>\n<p class=\"phase %s\">%s</p>\n<p>", phase,
                phase);
    text_printf(text, "version %s, %u reactor%s, balance: %s, up for ", view->version,
                view->now.count, view->now.count == 1 ? "" : "s", view->balance);
    put_uptime(text, view->uptime_ns);
    text_printf(text, "</p>\n<p class=\"fresh\">as of %02d:%02d:%02d UTC \302\267 ", time.tm_hour,
                time.tm_min, time.tm_sec);
    if (refresh_s)
        text_printf(text, "every %u s \302\267 <a href=\"?refresh=0\">stop</a>", refresh_s);
    else
        text_puts(text, "<a href=\"?refresh=2\">refresh every 2 s</a>");
    text_puts(text, "</p>\n</header>\n");
}

void admin_put_page(struct text *text, const struct admin_view *view, unsigned refresh_s)
{
    const struct histogram_sample recent =
        sample_since(&view->sum.latency, &view->sum_before.latency);
    put_beginning(text, refresh_s);
    put_header(text, view, refresh_s);
    text_puts(text, "<main>\n");
    put_tiles(text, view, &recent);
    put_reactors(text, view);
    put_latency(text, view, &recent);
    text_puts(text, "<div class=\"grid\">\n");
    put_states(text, &view->sum);
    put_answers(text, &view->sum);
    put_refusals(text, &view->sum);
    put_process(text, view);
    text_puts(text, "</div>\n</main>\n</html>\n");
}

char *admin_page_policy(void)
{
    guint8 digest[32];
    gsize length = sizeof(digest);
    GChecksum *checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(checksum, (const guchar *)admin_style, -1);
    g_checksum_get_digest(checksum, digest, &length);
    g_checksum_free(checksum);
    g_autofree char *hash = g_base64_encode(digest, length);
    return g_strdup_printf("Content-Security-Policy: default-src 'none'; style-src 'sha256-%s'; "
                           "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
                           hash);
}
