/*
 * Connections of a model's loop to the service: how many there are, who is asked next, and what
 * becomes of questions when connections end.
 */
#include "common/links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINKS_MAX = 8, PATIENCE_MS = 20000 };

/* --- injection --- */

static bool calloc_fails;

void *wrap_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");

void *wrap_calloc(size_t count, size_t size)
{
    if (!calloc_fails)
        return real_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

/* --- a service, and the loop that has links to it --- */

struct fixture {
    struct links links; /* first: the callbacks get its address */
    int listener;
    struct sockaddr_in address;
    struct link *seen[LINKS_MAX]; /* that were to be watched, in order */
    int peers[LINKS_MAX];         /* their other ends; -1: closed */
    unsigned watched, forgotten, puts;
    bool watch_fails;
    struct question questions[LINKS_MAX];
};

static bool watch(struct links *links, struct link *link)
{
    struct fixture *fixture = (struct fixture *)links;
    if (fixture->watch_fails) {
        errno = ENOSPC;
        return false;
    }
    g_assert_cmpuint(fixture->watched, <, LINKS_MAX);
    fixture->seen[fixture->watched++] = link;
    return true;
}

static void forget(struct links *links, struct link *link)
{
    struct fixture *fixture = (struct fixture *)links;
    g_assert_cmpint(send(link->fd, "", 0, MSG_NOSIGNAL), <=, 0); /* open still, if useless */
    g_assert_cmpint(errno, !=, EBADF);
    fixture->forgotten++;
}

static void count_put(struct links *links, struct link *link)
{
    struct fixture *fixture = (struct fixture *)links;
    g_assert_nonnull(link->question);
    fixture->puts++;
}

static void open_service(struct fixture *fixture)
{
    const int on = 1;
    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fixture->listener, >=, 0);
    setsockopt(fixture->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    g_assert_cmpint(
        bind(fixture->listener, (struct sockaddr *)&fixture->address, sizeof(fixture->address)), ==,
        0);
    socklen_t length = sizeof(fixture->address);
    getsockname(fixture->listener, (struct sockaddr *)&fixture->address, &length);
    g_assert_cmpint(listen(fixture->listener, LINKS_MAX), ==, 0);
}

static void close_service(struct fixture *fixture)
{
    close(fixture->listener);
    fixture->listener = -1;
}

/* `most` is passed as the data. */
static void set_up(struct fixture *fixture, const void *data)
{
    fixture->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    open_service(fixture);
    for (unsigned i = 0; i < LINKS_MAX; i++)
        fixture->peers[i] = -1;
    fixture->links = (struct links){.watch = watch, .forget = forget};
    links_open(&fixture->links, ntohs(fixture->address.sin_port), GPOINTER_TO_UINT(data));
}

static void tear_down(struct fixture *fixture, const void *data)
{
    (void)data;
    calloc_fails = false;
    links_close(&fixture->links);
    g_assert_cmpuint(fixture->links.open, ==, 0);
    g_assert_cmpuint(fixture->forgotten, ==, fixture->watched);
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        if (fixture->peers[i] >= 0)
            close(fixture->peers[i]);
    }
    if (fixture->listener >= 0)
        close_service(fixture);
}

static void wait_for(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    g_assert_cmpint(poll(&readable, 1, PATIENCE_MS), ==, 1);
}

/* The service accepts the link of that number, once. */
static int peer(struct fixture *fixture, unsigned number)
{
    for (unsigned i = 0; i <= number; i++) {
        if (fixture->peers[i] == -1) {
            wait_for(fixture->listener);
            fixture->peers[i] = accept(fixture->listener, NULL, NULL);
            g_assert_cmpint(fixture->peers[i], >=, 0);
        }
    }
    return fixture->peers[number];
}

static void expect_question(struct fixture *fixture, unsigned number)
{
    char byte = 0;
    wait_for(peer(fixture, number));
    g_assert_cmpint(recv(fixture->peers[number], &byte, 1, 0), ==, 1);
    g_assert_cmpint(byte, ==, '?');
}

static void expect_no_question(struct fixture *fixture, unsigned number)
{
    char byte;
    g_assert_cmpint(recv(peer(fixture, number), &byte, 1, MSG_DONTWAIT), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

static int ask(struct fixture *fixture, unsigned question)
{
    return links_ask(&fixture->links, &fixture->questions[question]);
}

/* What is done when the link of that number is readable. */
static struct question *readable(struct fixture *fixture, unsigned number)
{
    wait_for(fixture->seen[number]->fd);
    return links_read(&fixture->links, fixture->seen[number]);
}

/* The service is asked over that link, and answers; that is the answer of one question. */
static void expect_answer(struct fixture *fixture, unsigned number, unsigned question)
{
    struct question *wanted = &fixture->questions[question];
    expect_question(fixture, number);
    g_assert_cmpint(send(fixture->peers[number], "!", 1, 0), ==, 1);
    g_assert_true(readable(fixture, number) == wanted);
    g_assert_cmpint(wanted->error, ==, 0);
    g_assert_null(wanted->next);
}

static void hang_up(struct fixture *fixture, unsigned number)
{
    close(peer(fixture, number));
    fixture->peers[number] = -2;
}

/* The link ends; that is the end of one question, and of no other. */
static void expect_failure(struct fixture *fixture, unsigned number, unsigned question)
{
    struct question *wanted = &fixture->questions[question];
    g_assert_true(readable(fixture, number) == wanted);
    g_assert_cmpint(wanted->error, ==, -EPIPE);
    g_assert_null(wanted->next);
}

/* --- questions --- */

static void test_link_stays_open(struct fixture *fixture, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        g_assert_cmpint(ask(fixture, i), ==, 0);
        expect_answer(fixture, 0, i);
    }
    g_assert_cmpuint(fixture->watched, ==, 1);
    g_assert_cmpuint(fixture->links.open, ==, 1);
}

static void test_as_many_links_as_questions(struct fixture *fixture, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    g_assert_cmpuint(fixture->links.open, ==, 4);
    for (unsigned i = 4; i-- > 0;)
        expect_answer(fixture, i, i);
    g_assert_cmpint(ask(fixture, 4), ==, 0);
    g_assert_cmpuint(fixture->watched, ==, 4);
}

static void test_questions_wait_in_order(struct fixture *fixture, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    g_assert_cmpuint(fixture->links.open, ==, 2);
    expect_answer(fixture, 1, 1);
    expect_answer(fixture, 1, 2);
    expect_answer(fixture, 0, 0);
    expect_answer(fixture, 1, 3);
    expect_answer(fixture, 0, 4);
    expect_no_question(fixture, 0);
    expect_answer(fixture, 1, 5);
    g_assert_cmpint(ask(fixture, 6), ==, 0); /* the queue is as good as new */
    g_assert_cmpuint(fixture->watched, ==, 2);
}

static void test_nothing_has_come(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    g_assert_null(links_read(&fixture->links, fixture->seen[0]));
    expect_answer(fixture, 0, 0);
}

static void test_model_sends_and_receives(struct fixture *fixture, const void *data)
{
    (void)data;
    fixture->links.put = count_put;
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    g_assert_cmpint(ask(fixture, 1), ==, 0);
    g_assert_cmpuint(fixture->puts, ==, 1);
    g_assert_true(links_received(&fixture->links, fixture->seen[0], true) ==
                  &fixture->questions[0]);
    g_assert_cmpuint(fixture->puts, ==, 2);
    expect_no_question(fixture, 0);
    g_assert_true(links_received(&fixture->links, fixture->seen[0], false) ==
                  &fixture->questions[1]);
    g_assert_cmpint(fixture->questions[1].error, ==, -EPIPE);
}

/* --- links that cannot be --- */

static void test_absent_service(struct fixture *fixture, const void *data)
{
    (void)data;
    close_service(fixture);
    g_assert_cmpint(ask(fixture, 0), ==, -ECONNREFUSED);
    g_assert_cmpuint(fixture->links.open, ==, 0);
    open_service(fixture);
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    expect_answer(fixture, 0, 0);
}

static void test_link_that_cannot_be_watched(struct fixture *fixture, const void *data)
{
    (void)data;
    char byte;
    fixture->watch_fails = true;
    g_assert_cmpint(ask(fixture, 0), ==, -ENOSPC);
    wait_for(peer(fixture, 0));
    g_assert_cmpint(recv(fixture->peers[0], &byte, 1, 0), ==, 0);
    g_assert_cmpuint(fixture->links.open, ==, 0);
    g_assert_cmpuint(fixture->forgotten, ==, 0);
}

static void test_no_memory(struct fixture *fixture, const void *data)
{
    (void)data;
    calloc_fails = true;
    g_assert_cmpint(ask(fixture, 0), ==, -ENOMEM);
    calloc_fails = false;
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    calloc_fails = true;
    g_assert_cmpint(ask(fixture, 1), ==, 0); /* waits for the one that there is */
    expect_answer(fixture, 0, 0);
    expect_answer(fixture, 0, 1);
}

/* --- links that end --- */

static void test_end_of_a_link_that_is_asked(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    hang_up(fixture, 0);
    expect_failure(fixture, 0, 0);
    g_assert_cmpuint(fixture->links.open, ==, 0);
    g_assert_cmpint(ask(fixture, 1), ==, 0);
    expect_answer(fixture, 1, 1);
}

/* Each of three, so that those before and after it remain what they are. */
static void test_end_of_an_idle_link(struct fixture *fixture, const void *data)
{
    unsigned number = GPOINTER_TO_UINT(data) - LINKS_MAX;
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        expect_answer(fixture, i, i);
    hang_up(fixture, number);
    g_assert_null(readable(fixture, number));
    g_assert_cmpuint(fixture->links.open, ==, 2);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    g_assert_cmpuint(fixture->watched, ==, 3);
    g_assert_cmpint(ask(fixture, 2), ==, 0);
    g_assert_cmpuint(fixture->watched, ==, 4);
}

static void test_answer_that_nobody_asked_for(struct fixture *fixture, const void *data)
{
    (void)data;
    g_assert_cmpint(ask(fixture, 0), ==, 0);
    expect_answer(fixture, 0, 0);
    g_assert_cmpint(send(fixture->peers[0], "!", 1, 0), ==, 1);
    g_assert_null(readable(fixture, 0));
    g_assert_cmpuint(fixture->links.open, ==, 0);
}

static void test_what_waits_gets_another_link(struct fixture *fixture, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    hang_up(fixture, 0);
    expect_failure(fixture, 0, 0);
    g_assert_cmpuint(fixture->links.open, ==, 1);
    expect_answer(fixture, 1, 1);
    expect_answer(fixture, 1, 2);
}

static void test_what_waits_fails_with_the_last_link(struct fixture *fixture, const void *data)
{
    (void)data;
    unsigned failed = 0;
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    hang_up(fixture, 0);
    close_service(fixture);
    for (struct question *done = readable(fixture, 0); done; done = done->next) {
        g_assert_cmpint(done->error, ==, done == &fixture->questions[0] ? -EPIPE : -ECONNREFUSED);
        failed |= 1U << (done - fixture->questions);
    }
    g_assert_cmpuint(failed, ==, 0xf);
    g_assert_cmpuint(fixture->links.open, ==, 0);
    open_service(fixture);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        expect_answer(fixture, 1, i);
}

static void test_what_waits_is_left_to_other_links(struct fixture *fixture, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    expect_question(fixture, 1);
    hang_up(fixture, 0);
    close_service(fixture);
    expect_failure(fixture, 0, 0);
    g_assert_cmpint(send(fixture->peers[1], "!", 1, 0), ==, 1);
    g_assert_true(readable(fixture, 1) == &fixture->questions[1]);
    expect_answer(fixture, 1, 2);
    expect_answer(fixture, 1, 3);
}

static void test_close_with_questions(struct fixture *fixture, const void *data)
{
    (void)data;
    char byte;
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(ask(fixture, i), ==, 0);
    expect_answer(fixture, 0, 0);
    expect_question(fixture, 1);
    links_close(&fixture->links);
    g_assert_cmpint(recv(fixture->peers[1], &byte, 1, 0), ==, 0);
    g_assert_cmpuint(fixture->forgotten, ==, 2);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        unsigned most;
        void (*test)(struct fixture *, const void *);
    } tests[] = {
        {"/models_links/stays_open", 4, test_link_stays_open},
        {"/models_links/as_many_as_questions", 8, test_as_many_links_as_questions},
        {"/models_links/questions_wait_in_order", 2, test_questions_wait_in_order},
        {"/models_links/nothing_has_come", 1, test_nothing_has_come},
        {"/models_links/model_sends_and_receives", 1, test_model_sends_and_receives},
        {"/models_links/absent_service", 1, test_absent_service},
        {"/models_links/cannot_be_watched", 1, test_link_that_cannot_be_watched},
        {"/models_links/no_memory", 4, test_no_memory},
        {"/models_links/end_of_asked", 1, test_end_of_a_link_that_is_asked},
        {"/models_links/end_of_idle_first", LINKS_MAX, test_end_of_an_idle_link},
        {"/models_links/end_of_idle_middle", LINKS_MAX + 1, test_end_of_an_idle_link},
        {"/models_links/end_of_idle_last", LINKS_MAX + 2, test_end_of_an_idle_link},
        {"/models_links/answer_nobody_asked_for", 1, test_answer_that_nobody_asked_for},
        {"/models_links/waiting_gets_another", 1, test_what_waits_gets_another_link},
        {"/models_links/waiting_fails_with_the_last", 1, test_what_waits_fails_with_the_last_link},
        {"/models_links/waiting_is_left_to_others", 2, test_what_waits_is_left_to_other_links},
        {"/models_links/close_with_questions", 2, test_close_with_questions},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, GUINT_TO_POINTER(tests[i].most), set_up,
                   tests[i].test, tear_down);
    return g_test_run();
}
