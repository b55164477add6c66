#include "server/admin_view.h"

#include <inttypes.h>

#define STUCK_NS (UINT64_C(30) * 1000000000)

enum { BUSY_WHOLE = 10000 };

const char *admin_phase_name(enum admin_phase phase)
{
    static const char *const names[] = {"starting", "serving", "draining"};
    return names[phase];
}

static double passed_ns(const struct admin_view *view)
{
    return (double)(view->now.taken_ns - view->before.taken_ns);
}

uint64_t admin_rate(const struct admin_view *view, uint64_t before, uint64_t now)
{
    if (now <= before || view->now.taken_ns <= view->before.taken_ns)
        return 0;
    return (uint64_t)((double)(now - before) * 1e12 / passed_ns(view) + 0.5);
}

uint64_t admin_busy(const struct admin_view *view, unsigned index)
{
    uint64_t before_ns = view->before.reactors[index].busy_ns;
    uint64_t now_ns = view->now.reactors[index].busy_ns;
    if (now_ns <= before_ns || view->now.taken_ns <= view->before.taken_ns)
        return 0;
    double busy = (double)(now_ns - before_ns) / passed_ns(view);
    return busy < 1 ? (uint64_t)(busy * BUSY_WHOLE + 0.5) : BUSY_WHOLE;
}

int admin_put_health(struct text *text, const struct admin_view *view)
{
    for (unsigned i = 0; i < view->now.count; i++) {
        uint64_t turn_ns = view->now.reactors[i].turn_ns;
        if (turn_ns > STUCK_NS) {
            text_printf(text, "reactor %u has been in the same turn for %" PRIu64 " s\n", i,
                        turn_ns / 1000000000);
            return 503;
        }
    }
    text_puts(text, "ok\n");
    return 200;
}
