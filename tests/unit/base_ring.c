/* The ring: what was put comes out, whole and in order, or was never put. */
#include "base/ring.h"

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- injection --- */

static bool aligned_alloc_fails;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return aligned_alloc_fails ? NULL : __real_aligned_alloc(alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* --- records whose bytes follow from their number --- */

static unsigned char byte_of(uint32_t number, size_t i)
{
    return (unsigned char)(number * 31 + i * 7);
}

static bool put(struct ring *ring, uint32_t number, size_t length)
{
    unsigned char *record = ring_reserve(ring, length);
    if (!record)
        return false;
    g_assert_cmpuint((uintptr_t)record % RING_ALIGN, ==, 0);
    g_assert_true(record >= ring->bytes && record + length <= ring->bytes + ring->capacity);
    for (size_t i = 0; i < length; i++)
        record[i] = byte_of(number, i);
    ring_commit(ring);
    return true;
}

static void expect(struct ring *ring, uint32_t number, size_t length)
{
    size_t got = SIZE_MAX;
    const unsigned char *record = ring_peek(ring, &got);
    g_assert_nonnull(record);
    g_assert_cmpuint(got, ==, length);
    for (size_t i = 0; i < length; i++) {
        if (record[i] != byte_of(number, i))
            g_error("byte %zu of record %u is wrong", i, number);
    }
    ring_release(ring);
}

static void expect_empty(struct ring *ring)
{
    size_t length;
    g_assert_null(ring_peek(ring, &length));
}

/* --- one thread --- */

static void test_indexes_have_cache_lines_of_their_own(void)
{
    size_t written = offsetof(struct ring, written) / RING_LINE;
    size_t read = offsetof(struct ring, read) / RING_LINE;
    g_assert_cmpuint(written, !=, read);
    g_assert_cmpuint(offsetof(struct ring, capacity) / RING_LINE, <, written);
    g_assert_cmpuint(offsetof(struct ring, pending) / RING_LINE, ==, written);
    g_assert_cmpuint(offsetof(struct ring, written_seen) / RING_LINE, ==, read);
    g_assert_cmpuint(sizeof(struct ring) % RING_LINE, ==, 0);
}

static void test_without_memory(void)
{
    struct ring ring;
    aligned_alloc_fails = true;
    g_assert_false(ring_init(&ring, 64));
    aligned_alloc_fails = false;
}

static void test_comes_out_as_it_was_put(void)
{
    struct ring ring;
    g_assert_true(ring_init(&ring, 1024));
    expect_empty(&ring);
    for (uint32_t length = 0; length < 20; length++)
        g_assert_true(put(&ring, length, length));
    for (uint32_t length = 0; length < 20; length++)
        expect(&ring, length, length);
    expect_empty(&ring);
    ring_fini(&ring);
}

static void test_is_invisible_until_committed(void)
{
    struct ring ring;
    g_assert_true(ring_init(&ring, 64));
    g_assert_nonnull(ring_reserve(&ring, 8));
    expect_empty(&ring);
    /* A reservation that is not committed costs nothing. */
    g_assert_true(put(&ring, 5, 24));
    expect(&ring, 5, 24);
    expect_empty(&ring);
    ring_fini(&ring);
}

static void test_what_does_not_fit_changes_nothing(void)
{
    static const size_t too_long[] = {57, 64, 65, 4096, SIZE_MAX - 7, SIZE_MAX};
    struct ring ring;
    g_assert_true(ring_init(&ring, 64));
    for (size_t i = 0; i < G_N_ELEMENTS(too_long); i++)
        g_assert_null(ring_reserve(&ring, too_long[i]));
    g_assert_true(put(&ring, 1, 56));
    g_assert_null(ring_reserve(&ring, 0));
    expect(&ring, 1, 56);
    g_assert_true(put(&ring, 2, 16));
    g_assert_true(put(&ring, 3, 16));
    g_assert_null(ring_reserve(&ring, 9));
    g_assert_true(put(&ring, 4, 8));
    g_assert_null(ring_reserve(&ring, 0));
    expect(&ring, 2, 16);
    /* 24 bytes are free at the beginning. */
    g_assert_null(ring_reserve(&ring, 17));
    g_assert_true(put(&ring, 5, 16));
    expect(&ring, 3, 16);
    expect(&ring, 4, 8);
    expect(&ring, 5, 16);
    expect_empty(&ring);
    ring_fini(&ring);
}

/* Wherever the indexes are: half of the capacity always fits into an empty ring. */
static void test_half_always_fits(void)
{
    struct ring ring;
    g_assert_true(ring_init(&ring, 256));
    for (uint32_t i = 0; i < 1000; i++) {
        g_assert_true(put(&ring, i, i % 40));
        expect(&ring, i, i % 40);
        g_assert_true(put(&ring, i, 120));
        expect(&ring, i, 120);
    }
    expect_empty(&ring);
    ring_fini(&ring);
}

static void test_tells_how_much_waits(void)
{
    struct ring ring;
    g_assert_true(ring_init(&ring, 256));
    g_assert_false(ring_past(&ring, 0));
    g_assert_true(put(&ring, 1, 8));
    g_assert_true(ring_past(&ring, 15));
    g_assert_false(ring_past(&ring, 16));
    expect(&ring, 1, 8);
    g_assert_false(ring_past(&ring, 0));
    ring_fini(&ring);
}

/* Against a queue of numbers and lengths, with every fill level and every wrap. */
static void test_model(void)
{
    enum { STEPS = 200000, CAPACITY = 1024 };
    struct ring ring;
    GQueue model = G_QUEUE_INIT;
    uint32_t refused = 0;
    g_assert_true(ring_init(&ring, CAPACITY));
    for (uint32_t step = 0; step < STEPS; step++) {
        bool filling = step / 512 % 2;
        if (g_test_rand_int_range(0, 10) < (filling ? 7 : 4)) {
            uint32_t length = (uint32_t)g_test_rand_int_range(0, 200);
            if (put(&ring, step, length)) {
                g_queue_push_tail(&model, GUINT_TO_POINTER(step));
                g_queue_push_tail(&model, GUINT_TO_POINTER(length));
            } else {
                refused++;
                g_assert_false(g_queue_is_empty(&model));
            }
        } else if (g_queue_is_empty(&model)) {
            expect_empty(&ring);
        } else {
            uint32_t number = GPOINTER_TO_UINT(g_queue_pop_head(&model));
            expect(&ring, number, GPOINTER_TO_UINT(g_queue_pop_head(&model)));
        }
    }
    g_assert_cmpuint(refused, >, 0);
    g_queue_clear(&model);
    ring_fini(&ring);
}

/* --- two threads --- */

enum { RECORDS = 100000 };

static size_t length_of(uint32_t number)
{
    return number * 2654435761u % 100;
}

static void *produce(void *arg)
{
    for (uint32_t number = 0; number < RECORDS; number++) {
        while (!put(arg, number, length_of(number)))
            sched_yield();
    }
    return NULL;
}

static void test_two_threads(void)
{
    struct ring ring;
    pthread_t producer;
    size_t length;
    g_assert_true(ring_init(&ring, 512));
    g_assert_cmpint(pthread_create(&producer, NULL, produce, &ring), ==, 0);
    for (uint32_t number = 0; number < RECORDS; number++) {
        while (!ring_peek(&ring, &length))
            sched_yield();
        expect(&ring, number, length_of(number));
    }
    g_assert_cmpint(pthread_join(producer, NULL), ==, 0);
    expect_empty(&ring);
    ring_fini(&ring);
}

#define ADD(path, function) g_test_add_func("/base/ring/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("cache-lines", indexes_have_cache_lines_of_their_own);
    ADD("no-memory", without_memory);
    ADD("in-order", comes_out_as_it_was_put);
    ADD("commit", is_invisible_until_committed);
    ADD("full", what_does_not_fit_changes_nothing);
    ADD("half-always-fits", half_always_fits);
    ADD("past", tells_how_much_waits);
    ADD("model", model);
    ADD("two-threads", two_threads);
    return g_test_run();
}
