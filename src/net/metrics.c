#include "net/metrics.h"

#include "net/connection_private.h"

const char *const metrics_refusal_names[REFUSALS] = {
    [REFUSED_CLIENT_LIMIT] = "client_limit",
    [REFUSED_FULL] = "full",
    [REFUSED_SHORT] = "short_of_resources",
    [REFUSED_MALFORMED] = "malformed",
    [REFUSED_LARGE] = "too_large",
    [REFUSED_SLOW] = "slow",
    [REFUSED_IDLE] = "idle",
    [REFUSED_OFFLOAD] = "offload_full",
};

_Static_assert((int)FOR_END < (int)STATES_MAX, "each kind of waiting has a counter and a name");

/* Nothing is counted as FOR_NOTHING. */
const char *const metrics_state_names[STATES_MAX] = {
    [FOR_REQUEST] = "idle", [FOR_HEAD] = "head",    [FOR_BODY] = "body",
    [FOR_READER] = "write", [FOR_HANDLER] = "wait", [FOR_END] = "close",
};

void metrics_count_refusal(struct metrics *metrics, int status)
{
    enum refusal why = REFUSED_MALFORMED;
    if (status == 408) /* those are counted as slow: deadline.c */
        return;
    if (status == 413 || status == 414 || status == 431)
        why = REFUSED_LARGE;
    else if (status == 503)
        why = REFUSED_SHORT;
    counter_add(&metrics->refused[why], 1);
}
