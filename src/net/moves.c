#include "net/moves.h"

#include "net/balance.h"
#include "net/connection_private.h"
#include "net/handoff.h"

enum {
    BUSY = 800,      /* of BALANCE_BUSY_WHOLE: a reactor with moves to make */
    GAP = 300,       /* how much less busy the other must be */
    PAUSE_MS = 1000, /* between two, until their effect shows in what is measured */
    RECENT_MS = 200, /* a connection with an event since then is an active one */
};

#define NS_PER_MS UINT64_C(1000000)

/* --- on the worker's thread --- */

static unsigned count_active(const struct worker *worker, uint64_t since_ns)
{
    unsigned active = 0;
    for (const struct connection *at = worker->connections; at; at = at->next)
        active += at->active_ns >= since_ns;
    return active;
}

/* So many of the active connections go that both reactors are as busy as each other, if all are
 * alike. A single one would only take the work with it. */
static void on_moves_asked(struct reactor *reactor, void *arg)
{
    struct worker *worker = arg;
    uint64_t now_ns = reactor_now(reactor);
    uint64_t recent_ns = RECENT_MS * NS_PER_MS;
    unsigned active = count_active(worker, now_ns > recent_ns ? now_ns - recent_ns : 0);
    worker->moves = active * worker->moves_share / BALANCE_BUSY_WHOLE;
    worker->moves_to = worker->moves_asked_to;
    worker->moves_end_ns = watch_clock() + recent_ns; /* this turn may have been a long one */
    /* From now on the supervisor may write the next question. */
    atomic_store(&worker->moves_asked, false);
}

void moves_consider(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->state != OPEN || connection->waiting != FOR_REQUEST || connection->blank ||
        connection->closing)
        return;
    if (reactor_now(worker->reactor) > worker->moves_end_ns) {
        worker->moves = 0;
        return;
    }
    worker->moves--;
    connection_move(connection, worker->moves_to);
}

/* --- on the supervisor --- */

void moves_review(struct service *service, uint64_t now_ns)
{
    const struct balance *balance = service->balance;
    unsigned hot = 0;
    unsigned cold = 0;
    if (now_ns < service->next_moves_ns || balance->mode == BALANCE_HASH)
        return;
    for (unsigned i = 1; i < balance->count; i++) {
        if (balance_busy(balance, i) > balance_busy(balance, hot))
            hot = i;
        if (balance_busy(balance, i) < balance_busy(balance, cold))
            cold = i;
    }
    unsigned busy = balance_busy(balance, hot);
    unsigned gap = busy - balance_busy(balance, cold);
    struct worker *worker = &service->workers[hot];
    if (busy < BUSY || gap < GAP || atomic_exchange(&worker->moves_asked, true))
        return;
    service->next_moves_ns = now_ns + PAUSE_MS * NS_PER_MS;
    worker->moves_asked_to = cold;
    worker->moves_share = gap * BALANCE_BUSY_WHOLE / (2 * busy);
    worker->moves_post = (struct post){.task = on_moves_asked, .arg = worker};
    reactor_post_embedded(worker->reactor, &worker->moves_post);
}
