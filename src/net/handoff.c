#include "net/handoff.h"

#include "net/balance.h"
#include "net/clients.h"
#include "net/connection.h"
#include "net/worker.h"

#include <stdlib.h>
#include <unistd.h>

struct handoff {
    struct post post;
    struct worker *to;
    struct visitor visitor;
};

void visitor_turn_away(struct worker *worker, const struct visitor *visitor)
{
    if (worker->service->clients)
        clients_leave(worker->service->clients, &visitor->peer.any);
    close(visitor->fd);
    worker_connection_gone(worker);
}

static void on_arrival(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct handoff *handoff = arg;
    struct worker *worker = handoff->to;
    struct visitor visitor = handoff->visitor;
    free(handoff);
    load_settle(worker->load);
    counter_add(&worker->metrics.taken_over, 1);
    if (connection_open(worker, &visitor) == 0)
        return;
    counter_add(&worker->metrics.refused[REFUSED_SHORT], 1);
    visitor_turn_away(worker, &visitor);
}

bool handoff_send(struct worker *from, unsigned to, const struct visitor *visitor)
{
    struct service *service = from->service;
    struct worker *worker = &service->workers[to];
    struct handoff *handoff = malloc(sizeof(*handoff));
    /* The assignment came before: a worker that does not see it has not yet asked whether the
     * server drains, and we have (handoff_is_expected()). */
    if (!handoff || atomic_load(&service->draining)) {
        free(handoff);
        load_unassign(worker->load);
        return false;
    }
    *handoff = (struct handoff){.to = worker, .visitor = *visitor};
    handoff->post = (struct post){.task = on_arrival, .arg = handoff};
    reactor_post_embedded(worker->reactor, &handoff->post);
    return true;
}

bool handoff_is_expected(const struct worker *worker)
{
    const struct balance *balance = worker->service->balance;
    return balance && balance->mode != BALANCE_HASH && load_pending(worker->load) > 0;
}
