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

void visitor_admit(struct worker *worker, const struct visitor *visitor)
{
    if (connection_open(worker, visitor) == 0)
        return;
    counter_add(&worker->metrics.refused[REFUSED_SHORT], 1);
    visitor_turn_away(worker, visitor);
}

static void on_arrival(struct reactor *reactor, void *arg)
{
    (void)reactor;
    struct handoff *handoff = arg;
    struct worker *worker = handoff->to;
    struct visitor visitor = handoff->visitor;
    free(handoff);
    atomic_fetch_sub(&worker->arriving, 1);
    counter_add(&worker->metrics.taken_over, 1);
    if (worker->closed)
        visitor_turn_away(worker, &visitor);
    else
        visitor_admit(worker, &visitor);
    load_settle(worker->load);
}

bool handoff_send(struct worker *from, unsigned to, const struct visitor *visitor)
{
    struct service *service = from->service;
    struct worker *worker = &service->workers[to];
    struct handoff *handoff = malloc(sizeof(*handoff));
    /* In this order: when `draining` is not set yet, a worker that finds it set finds this too. */
    atomic_fetch_add(&worker->arriving, 1);
    if (!handoff || atomic_load(&service->draining)) {
        atomic_fetch_sub(&worker->arriving, 1);
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
    return atomic_load(&worker->arriving) > 0;
}
