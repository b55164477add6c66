/*
 * admin_view.h - what the operator's pages show, and their forms: pure functions of it.
 */
#ifndef SERVER_ADMIN_VIEW_H
#define SERVER_ADMIN_VIEW_H

#include "base/text.h"
#include "server/process.h"
#include "server/sample.h"

enum admin_phase { ADMIN_STARTING, ADMIN_SERVING, ADMIN_DRAINING };

struct admin_view {
    const char *version;
    const char *compiler;
    const char *libbpf; /* its version, such as "1.1.2", or "none" */
    const char *balance;
    enum admin_phase phase;
    uint64_t uptime_ns;
    int64_t wall_s; /* Unix time of `now` */
    struct process_facts process;
    struct sample now;
    struct sample before; /* about a second earlier, for what is shown per second */
    struct reactor_sample sum;
    struct reactor_sample sum_before;
};

/* "starting", "serving" or "draining". */
const char *admin_phase_name(enum admin_phase phase);

/* --- per second, over the time between the two samples --- */

/* Thousandths per second of what was `before` and is `now`. */
uint64_t admin_rate(const struct admin_view *view, uint64_t before, uint64_t now);

/* Which part of the time reactor `index` was busy, in 1/10,000. */
uint64_t admin_busy(const struct admin_view *view, unsigned index);

/* --- forms --- */

/* The text format of Prometheus, version 0.0.4. */
void admin_put_metrics(struct text *text, const struct admin_view *view);

/* An object (RFC 8259). */
void admin_put_json(struct text *text, const struct admin_view *view);

/* A document that asks to be fetched again after `refresh_s` seconds (0: not). */
void admin_put_page(struct text *text, const struct admin_view *view, unsigned refresh_s);

/* The policy of the page's answer: it may have its own style, and nothing else (Content Security
 * Policy, "Content-Security-Policy: ..." as a complete line). To be freed with g_free(). */
char *admin_page_policy(void);

/* A line that says whether every reactor makes progress; returns 200 or 503. */
int admin_put_health(struct text *text, const struct admin_view *view);

#endif
