#include "reactor/timer.h"

#include <stddef.h>

static bool fires_before(const struct reactor_timer *a, const struct reactor_timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

/* Joins two trees: the later root becomes the first child of the earlier one. */
static struct reactor_timer *meld(struct reactor_timer *a, struct reactor_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (fires_before(b, a)) {
        struct reactor_timer *earlier = b;
        b = a;
        a = earlier;
    }
    b->sibling = a->child;
    if (b->sibling)
        b->sibling->previous = b;
    b->previous = a;
    a->child = b;
    a->sibling = NULL;
    a->previous = NULL;
    return a;
}

/* Joins a list of siblings into one tree: in pairs from left to right, then the pairs from right to
 * left. The two passes are what makes removal O(log n) amortised; both are loops, not recursion,
 * because a list may hold every connection of a reactor. */
static struct reactor_timer *meld_siblings(struct reactor_timer *first)
{
    struct reactor_timer *pairs = NULL;
    while (first) {
        struct reactor_timer *second = first->sibling;
        struct reactor_timer *rest = second ? second->sibling : NULL;
        first->sibling = NULL;
        if (second)
            second->sibling = NULL;
        struct reactor_timer *pair = meld(first, second);
        pair->sibling = pairs;
        pairs = pair;
        first = rest;
    }
    struct reactor_timer *root = NULL;
    while (pairs) {
        struct reactor_timer *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer)
{
    timer->child = NULL;
    timer->sibling = NULL;
    timer->previous = NULL;
    timer->started = true;
    heap->root = meld(heap->root, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer)
{
    struct reactor_timer *below = meld_siblings(timer->child);
    if (heap->root == timer) {
        heap->root = below;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->sibling;
        else
            timer->previous->sibling = timer->sibling;
        if (timer->sibling)
            timer->sibling->previous = timer->previous;
        heap->root = meld(heap->root, below);
    }
    if (heap->root)
        heap->root->previous = NULL;
    timer->started = false;
}

struct reactor_timer *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns,
                                         uint64_t sequence_limit)
{
    struct reactor_timer *first = heap->root;
    if (!first || first->deadline_ns > now_ns || first->sequence >= sequence_limit)
        return NULL;
    timer_heap_remove(heap, first);
    return first;
}
