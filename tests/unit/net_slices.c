/*
 * Answers of about as many bytes as a connection sends in one turn: what is left, if anything, goes
 * on in the next, and so does the next request.
 */
#include "source_support.h"

#include <string.h>

enum { MIB = 1 << 20 };

static const uint64_t sizes[] = {MIB - 1,       MIB,         MIB + 1, MIB + 2,
                                 MIB + MIB / 2, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1};

static const char all[] = GET("/source") GET("/source") GET("/1");

struct how {
    char kind;     /* 'm' memory, 'f' file */
    bool asks;     /* the source has a prepare() */
    bool later;    /* ... and answers later */
    bool pretends; /* the socket takes all at once */
};

static void check_size(uint64_t size, const struct how *how)
{
    struct net net;
    struct scene scene;
    struct client client;
    const int64_t grants[] = {0};
    const struct layout layout = {{{how->kind, 3, size}}, 1};
    scene_open(&scene, &net);
    scene.layout = &layout;
    scene.later = how->later;
    scene.asks = how->asks;
    scene.grants = grants;
    scene.grant_count = 1;
    scene.from = FROM_POST;
    g_autofree char *answer = answer_of(&layout, "");
    g_autofree char *expected = g_strconcat(answer, answer, PLAIN("6", "", "GET /1"), NULL);
    g_test_message("%d bytes, %c, asks %d, later %d, pretends %d", (int)size, how->kind, how->asks,
                   how->later, how->pretends);
    client_init(&client, net_pair(&net), all, strlen(all));
    send_pretends = sendfile_pretends = how->pretends;
    sendfile_bytes = 0;
    client_run_to_rest(&client, &net);
    if (how->pretends)
        g_assert_cmpuint(send_bytes + sendfile_bytes, ==,
                         strlen(expected) + (size_t)3 * HTTP_COMMON_LENGTH);
    else
        expect_text(&client, &net, expected);
    g_assert_cmpuint(scene.released, ==, 2);
    sendfile_pretends = false;
    client_fini(&client);
    scene_close(&scene, &net);
}

static void check_all(unsigned ways, bool pretends)
{
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (unsigned way = 0; way < ways; way++)
            check_size(sizes[i], &(struct how){.kind = way & 1 ? 'm' : 'f',
                                               .asks = way & 2,
                                               .later = way & 4,
                                               .pretends = pretends});
    }
}

static void test_all_at_once(void)
{
    check_all(8, true);
}

static void test_bit_by_bit(void)
{
    check_all(2, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/slices/all-at-once", test_all_at_once);
    g_test_add_func("/net/slices/bit-by-bit", test_bit_by_bit);
    return g_test_run();
}
