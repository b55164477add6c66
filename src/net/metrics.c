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

const char *const metrics_state_names[STATES_MAX] = {
    [FOR_NOTHING] = "new",  [FOR_REQUEST] = "idle", [FOR_HEAD] = "head", [FOR_BODY] = "body",
    [FOR_READER] = "write", [FOR_HANDLER] = "wait", [FOR_END] = "close",
};
