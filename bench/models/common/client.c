#include "client.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

static enum client_wait wait_after(const struct client *client)
{
    switch (client->next) {
    case TALK_READS:
        return CLIENT_INPUT;
    case TALK_PENDS:
        return CLIENT_LINK;
    default:
        return CLIENT_ENDS;
    }
}

enum client_wait client_send(struct client *client)
{
    struct buffer *out = &client->talk.out;
    while (client->sent < out->length) {
        ssize_t sent =
            send(client->fd, out->bytes + client->sent, out->length - client->sent, MSG_NOSIGNAL);
        if (sent >= 0)
            client->sent += (size_t)sent;
        else if (errno == EAGAIN)
            return CLIENT_ROOM;
        else if (errno != EINTR)
            return CLIENT_LOST;
    }
    client->sent = out->length = 0;
    return wait_after(client);
}

int client_ask(struct http_response *response, struct links *links)
{
    struct client *client =
        (struct client *)((char *)talk_of(response) - offsetof(struct client, talk));
    client->response = response;
    int error = links_ask(links, &client->question);
    return error ? error : HTTP_PENDING;
}

static void free_client(struct client *client)
{
    talk_end(&client->talk);
    free(client);
}

struct client *client_answered(struct question *question)
{
    struct client *client = (struct client *)((char *)question - offsetof(struct client, question));
    workload_finish(client->response, question->error);
    if (client->fd < 0) {
        free_client(client);
        return NULL;
    }
    client->next = talk_on(&client->talk, "", 0);
    return client;
}

void client_release(struct client *client)
{
    client->fd = -1;
    if (client->next != TALK_PENDS)
        free_client(client);
}
