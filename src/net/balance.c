#include "net/balance.h"

#include "net/balance_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_MS = 1000, /* what is pending for so long is not coming */
    BUSY_SHARE = 4,   /* a review's weight in the mean over time: one in so many */
    HOT = 250,        /* how much busier than the others before it weighs; of BALANCE_BUSY_WHOLE */
    WORK_WEIGHT = 4,  /* mean loads that a whole BALANCE_BUSY_WHOLE beyond that counts as */
    LOOKS_MAX = 64,   /* reactors that are compared by one that accepts: each is a cache miss */
};

#define NS_PER_MS UINT64_C(1000000)

/* What the supervisor knows of a reactor. */
struct review {
    uint64_t now_ns; /* at the last review; 0: there was none */
    uint64_t busy_ns;
    unsigned busy;      /* lately, of BALANCE_BUSY_WHOLE */
    unsigned open;      /* connections */
    uint64_t window_ns; /* when the present window began */
    int least_pending;  /* in it */
};

struct balance_reviews {
    uint64_t busy; /* the sums over `of` */
    uint64_t open;
    struct review of[];
};

/* --- life --- */

static struct load *allocate_loads(unsigned count)
{
    size_t size = count * sizeof(struct load);
    struct load *loads = aligned_alloc(sizeof(*loads), size);
    return loads ? memset(loads, 0, size) : NULL;
}

int balance_open(struct balance *balance, enum balance_mode wanted,
                 const struct balance_sockets *sockets, char *why, size_t why_size)
{
    unsigned count = sockets->reactors;
    *balance = (struct balance){.mode = wanted, .count = count};
    snprintf(why, why_size, "%s", "");
    balance->reviews = calloc(1, sizeof(*balance->reviews) + count * sizeof(struct review));
    if (!balance->reviews)
        return -ENOMEM;
    if (wanted == BALANCE_LEAST) {
        balance->loads = balance_kernel_open(sockets, why, why_size);
        if (balance->loads)
            return 0;
        balance->mode = BALANCE_HANDOFF;
    }
    balance->loads = allocate_loads(count);
    if (balance->loads)
        return 0;
    balance_close(balance);
    return -ENOMEM;
}

void balance_close(struct balance *balance)
{
    if (balance->mode == BALANCE_LEAST && balance->loads)
        balance_kernel_close(balance->loads, balance->count);
    else
        free(balance->loads);
    free(balance->reviews);
    *balance = (struct balance){0};
}

/* --- choosing --- */

unsigned balance_choose(const struct balance *balance, unsigned own)
{
    /* Each begins behind itself: reactors that choose at the same time differ among equals. */
    unsigned looks = balance->count < LOOKS_MAX ? balance->count : LOOKS_MAX;
    unsigned own_load = load_of(&balance->loads[own]);
    unsigned least_load = own_load;
    unsigned least = own;
    uint64_t sum = own_load;
    for (unsigned i = 1; i < looks; i++) {
        unsigned at = own + i < balance->count ? own + i : own + i - balance->count;
        unsigned load = load_of(&balance->loads[at]);
        sum += load;
        if (load < least_load) {
            least_load = load;
            least = at;
        }
    }
    if ((uint64_t)own_load * looks <= sum)
        return own;
    load_assign(&balance->loads[least]);
    return least;
}

/* --- the supervisor's corrections --- */

/* How busy the reactor was since the last review, into the mean over time. */
static void weigh_time(struct review *review, uint64_t now_ns, uint64_t busy_ns)
{
    /* The two times are not of the same moment: what was busy may shrink a little. */
    uint64_t passed_ns = now_ns - review->now_ns;
    uint64_t worked_ns = busy_ns > review->busy_ns ? busy_ns - review->busy_ns : 0;
    if (worked_ns > passed_ns)
        worked_ns = passed_ns;
    if (review->now_ns && passed_ns) {
        unsigned busy = (unsigned)(worked_ns * BALANCE_BUSY_WHOLE / passed_ns);
        review->busy = (review->busy * (BUSY_SHARE - 1) + busy) / BUSY_SHARE;
    }
    review->now_ns = now_ns;
    review->busy_ns = busy_ns;
}

/* What a reactor that is much busier than the others counts as beyond its connections. */
static unsigned weigh_work(const struct balance *balance, const struct review *review)
{
    const struct balance_reviews *all = balance->reviews;
    uint64_t usual = (all->busy - review->busy) / (balance->count - 1) + HOT;
    uint64_t mean_open = all->open / balance->count + 1;
    return review->busy > usual
               ? (unsigned)((review->busy - usual) * mean_open * WORK_WEIGHT / BALANCE_BUSY_WHOLE)
               : 0;
}

/* Connections whose handshake is in progress are pending too, but hardly ever all the time: what is
 * pending throughout a window, and does not wait in the queue, is not coming. */
static void give_up(struct load *load, struct review *review, uint64_t now_ns,
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
    if (balance->mode == BALANCE_HASH || balance->count < 2)
        return;
    struct balance_reviews *all = balance->reviews;
    struct review *review = &all->of[index];
    struct load *load = &balance->loads[index];
    all->busy -= review->busy;
    all->open -= review->open;
    weigh_time(review, now_ns, busy_ns);
    review->open = __atomic_load_n(&load->open, __ATOMIC_RELAXED);
    all->busy += review->busy;
    all->open += review->open;
    __atomic_store_n(&load->work, weigh_work(balance, review), __ATOMIC_RELAXED);
    if (balance->mode == BALANCE_LEAST)
        give_up(load, review, now_ns, waiting, arg, index);
}

unsigned balance_busy(const struct balance *balance, unsigned index)
{
    return balance->reviews->of[index].busy;
}
