#include "links.h"

#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void links_open(struct links *links, unsigned port, unsigned most)
{
    links->port = port;
    links->most = most;
    links->last = &links->first;
}

static void end_link(struct links *links, struct link *link)
{
    struct link **at = &links->all;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    links->forget(links, link);
    close(link->fd);
    free(link);
    links->open--;
}

void links_close(struct links *links)
{
    links->idle = NULL;
    while (links->all)
        end_link(links, links->all);
}

static struct link *new_link(struct links *links)
{
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->fd = connect_to(links->port, SOCK_NONBLOCK);
    if (link->fd < 0 || !links->watch(links, link)) {
        int error = errno;
        if (link->fd >= 0)
            close(link->fd);
        free(link);
        errno = error;
        return NULL;
    }
    link->next = links->all;
    links->all = link;
    links->open++;
    return link;
}

/* One byte always has room in an empty socket; a link that has gone says so when it is read. */
static void put(struct links *links, struct link *link, struct question *question)
{
    link->question = question;
    if (links->put)
        links->put(links, link);
    else
        (void)!send(link->fd, "?", 1, MSG_NOSIGNAL);
}

int links_ask(struct links *links, struct question *question)
{
    struct link *link = links->idle;
    question->next = NULL;
    question->error = 0;
    if (link) {
        links->idle = link->next_idle;
    } else if (links->open >= links->most || !(link = new_link(links))) {
        if (!links->open)
            return errno ? -errno : -ENOMEM;
        *links->last = question; /* until one that there is has its answer */
        links->last = &question->next;
        return 0;
    }
    put(links, link, question);
    return 0;
}

static struct question *take_waiting(struct links *links)
{
    struct question *question = links->first;
    if (question && !(links->first = question->next))
        links->last = &links->first;
    return question;
}

/* To the question that waits longest, or to those that are idle. */
static void give_back(struct links *links, struct link *link)
{
    struct question *waiting = take_waiting(links);
    if (waiting) {
        put(links, link, waiting);
    } else {
        link->next_idle = links->idle;
        links->idle = link;
    }
}

static void take_from_idle(struct links *links, const struct link *link)
{
    for (struct link **at = &links->idle; *at; at = &(*at)->next_idle) {
        if (*at == link) {
            *at = link->next_idle;
            return;
        }
    }
}

/* The link has gone, with its question. What waits gets another; without any, it has failed too. */
static struct question *fail(struct links *links, struct link *link, struct question *asked)
{
    if (!asked)
        take_from_idle(links, link);
    end_link(links, link);
    struct question *done = asked;
    if (asked) {
        asked->error = -EPIPE;
        asked->next = NULL;
    }
    struct link *other = NULL;
    while (links->first && !(other = new_link(links)) && !links->open) {
        struct question *failed = take_waiting(links);
        failed->error = errno ? -errno : -ENOMEM;
        failed->next = done;
        done = failed;
    }
    if (other)
        give_back(links, other);
    return done;
}

struct question *links_received(struct links *links, struct link *link, bool byte)
{
    struct question *asked = link->question;
    link->question = NULL;
    if (!byte || !asked)
        return fail(links, link, asked);
    asked->next = NULL;
    give_back(links, link);
    return asked;
}

struct question *links_read(struct links *links, struct link *link)
{
    char byte;
    ssize_t got = recv(link->fd, &byte, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    return links_received(links, link, got == 1);
}
