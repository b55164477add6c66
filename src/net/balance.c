#include "net/balance.h"

#include "net/balance_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_MS = 1000, /* what is pending for so long is not coming */
    BUSY_SHARE = 4,   /* a review's weight in the mean over time: one in so many */
    HOT =
        250, /* how much busier than the others, of BALANCE_BUSY_WHOLE, before it weighs anything */
    WORK_WEIGHT = 4, /* mean loads that a whole BALANCE_BUSY_WHOLE beyond that counts as */
};

#define NS_PER_MS UINT64_C(1000000)

/* What the supervisor knows of a reactor. */
struct balance_review {
    uint64_t now_ns; /* at the last review; 0: there was none */
    uint64_t busy_ns;
    unsigned busy;      /* lately, of BALANCE_BUSY_WHOLE */
    uint64_t window_ns; /* when the present window began */
    int least_pending;  /* in it */
};

/* --- life --- */

static int allocate_loads(struct balance *balance)
{
    size_t size = balance->count * sizeof(*balance->loads);
    balance->loads = aligned_alloc(sizeof(*balance->loads), size);
    if (!balance->loads)
        return -ENOMEM;
    memset(balance->loads, 0, size);
    return 0;
}

int balance_open(struct balance *balance, enum balance_mode wanted, unsigned count, char *why,
                 size_t why_size)
{
    *balance = (struct balance){.mode = wanted, .count = count};
    snprintf(why, why_size, "%s", "");
    balance->reviews = calloc(count, sizeof(*balance->reviews));
    if (!balance->reviews)
        return -ENOMEM;
    if (wanted == BALANCE_LEAST) {
        balance->kernel = balance_kernel_open(count, &balance->loads, why, why_size);
        if (balance->kernel)
            return 0;
        balance->mode = BALANCE_HANDOFF;
    }
    int error = allocate_loads(balance);
    if (error)
        balance_close(balance);
    return error;
}

int balance_attach(struct balance *balance, const int *sockets)
{
    return balance->kernel ? balance_kernel_attach(balance->kernel, sockets) : 0;
}

void balance_close(struct balance *balance)
{
    if (balance->kernel)
        balance_kernel_close(balance->kernel); /* and the loads with it */
    else
        free(balance->loads);
    free(balance->reviews);
    *balance = (struct balance){0};
}

/* --- choosing --- */

unsigned balance_choose(struct balance *balance, unsigned own)
{
    unsigned least = own;
    unsigned own_load = load_of(&balance->loads[own]);
    unsigned least_load = own_load;
    uint64_t sum = 0;
    for (unsigned i = 0; i < balance->count; i++) {
        unsigned load = load_of(&balance->loads[i]);
        sum += load;
        if (load < least_load) {
            least_load = load;
            least = i;
        }
    }
    if ((uint64_t)own_load * balance->count <= sum)
        least = own;
    load_assign(&balance->loads[least]);
    return least;
}

/* --- the supervisor's corrections --- */

/* How busy the reactor was since the last review, into the mean over time. */
static void weigh_time(struct balance_review *review, uint64_t now_ns, uint64_t busy_ns)
{
    uint64_t passed_ns = now_ns - review->now_ns;
    if (review->now_ns && passed_ns) {
        uint64_t busy = (busy_ns - review->busy_ns) * BALANCE_BUSY_WHOLE / passed_ns;
        if (busy > BALANCE_BUSY_WHOLE)
            busy = BALANCE_BUSY_WHOLE;
        review->busy = (review->busy * (BUSY_SHARE - 1) + (unsigned)busy) / BUSY_SHARE;
    }
    review->now_ns = now_ns;
    review->busy_ns = busy_ns;
}

/* What a reactor that is much busier than the others counts as beyond its connections. */
static unsigned weigh_work(const struct balance *balance, unsigned index)
{
    uint64_t others = 0;
    uint64_t connections = 0;
    for (unsigned i = 0; i < balance->count; i++) {
        others += i == index ? 0 : balance->reviews[i].busy;
        connections += __atomic_load_n(&balance->loads[i].open, __ATOMIC_RELAXED);
    }
    uint64_t usual = others / (balance->count - 1) + HOT;
    uint64_t busy = balance->reviews[index].busy;
    uint64_t mean = connections / balance->count + 1;
    return busy > usual ? (unsigned)((busy - usual) * mean * WORK_WEIGHT / BALANCE_BUSY_WHOLE) : 0;
}

/* Connections whose handshake is in progress are pending too, but hardly ever all the time: what is
 * pending throughout a window, and does not wait in the queue, is not coming. */
static void give_up(struct load *load, struct balance_review *review, uint64_t now_ns,
                    unsigned (*waiting)(void *arg, unsigned index), void *arg, unsigned index)
{
    int pending = load_pending(load);
    if (pending < review->least_pending)
        review->least_pending = pending;
    if (now_ns - review->window_ns < WINDOW_MS * NS_PER_MS)
        return;
    int gone = review->least_pending;
    if (gone > 0) {
        int queued = (int)waiting(arg, index);
        gone = gone > queued ? gone - queued : 0;
    }
    if (gone)
        __atomic_store_n(&load->given_up, load->given_up + (__u32)gone, __ATOMIC_RELAXED);
    review->window_ns = now_ns;
    review->least_pending = pending - gone;
}

void balance_review(struct balance *balance, unsigned index, uint64_t now_ns, uint64_t busy_ns,
                    unsigned (*waiting)(void *arg, unsigned index), void *arg)
{
    struct balance_review *review = &balance->reviews[index];
    struct load *load = &balance->loads[index];
    if (balance->mode == BALANCE_HASH || balance->count < 2)
        return;
    weigh_time(review, now_ns, busy_ns);
    __atomic_store_n(&load->work, weigh_work(balance, index), __ATOMIC_RELAXED);
    if (balance->mode == BALANCE_LEAST)
        give_up(load, review, now_ns, waiting, arg, index);
}

unsigned balance_busy(const struct balance *balance, unsigned index)
{
    return balance->reviews[index].busy;
}
