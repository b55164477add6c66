#include "net/connection_private.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    OUT_KEEP = 4 * SEND_BATCH, /* a larger buffer is given back after a large answer */
};

/* Sends until the socket takes no more. `flags` are send(2)'s. Returns the bytes sent, or -1 when
 * the connection is broken; what was sent until then is counted. */
static ssize_t send_some(struct connection *connection, const char *bytes, size_t length, int flags)
{
    size_t sent = 0;
    bool broken = false;
    while (sent < length) {
        ssize_t count = send(connection->fd, bytes + sent, length - sent, MSG_NOSIGNAL | flags);
        if (count >= 0) {
            sent += (size_t)count;
        } else if (errno != EINTR) {
            broken = errno != EAGAIN;
            break;
        }
    }
    connection_count_sent(connection, sent);
    return broken ? -1 : (ssize_t)sent;
}

/* What is left of an answer that is not copied; NULL: nothing that could be sent. */
static struct http_rest *find_rest(const struct connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    if (!exchange || !exchange->response.rest.left || exchange->response.rest.waits)
        return NULL;
    return &exchange->response.rest;
}

/* A head need not go alone when more follows at once. */
static int more_follows(const struct connection *connection)
{
    return find_rest(connection) ? MSG_MORE : 0;
}

/* What was kept before goes first. */
static void send_kept(struct connection *connection)
{
    struct buffer *out = &connection->out;
    ssize_t sent = send_some(connection, out->bytes + connection->out_at,
                             out->length - connection->out_at, more_follows(connection));
    if (sent < 0) {
        connection->state = BROKEN;
        return;
    }
    connection->out_at += (size_t)sent;
    size_t left = out->length - connection->out_at;
    /* A stream appends for ever: what was sent makes room, without moving any byte often. */
    if (left <= connection->out_at) {
        memmove(out->bytes, out->bytes + connection->out_at, left);
        out->length = left;
        connection->out_at = 0;
    }
    if (!left && !connection->exchange)
        buffer_free(out);
}

static void keep(struct connection *connection, const char *bytes, size_t length)
{
    if (buffer_reserve(&connection->out, length))
        buffer_put(&connection->out, bytes, length);
    else
        connection->state = BROKEN;
}

/* Sends the head with the memory that follows it, at once. Returns the bytes sent of the head, or
 * -1 when the connection is broken. */
static ssize_t send_with_memory(struct connection *connection, const struct buffer *out,
                                struct http_rest *rest)
{
    struct worker *worker = connection->worker;
    uint64_t left = rest->piece->length - rest->done;
    struct iovec parts[] = {
        {out->bytes, out->length},
        {(char *)rest->piece->bytes + rest->done,
         left < worker->slice ? (size_t)left : worker->slice},
    };
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent;
    do
        sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    connection_count_sent(connection, (size_t)sent);
    if ((size_t)sent <= out->length)
        return sent;
    worker->slice -= (size_t)sent - out->length;
    http_rest_advance(rest, (uint64_t)sent - out->length);
    return (ssize_t)out->length;
}

static void send_collected(struct connection *connection)
{
    struct buffer *out = &connection->worker->out;
    struct http_rest *rest = find_rest(connection);
    ssize_t sent;
    if (connection->out.length)
        sent = 0;
    else if (rest && rest->piece->bytes && !rest->source.prepare)
        sent = send_with_memory(connection, out, rest);
    else
        sent = send_some(connection, out->bytes, out->length, more_follows(connection));
    if (sent < 0)
        connection->state = BROKEN;
    else if ((size_t)sent < out->length)
        keep(connection, out->bytes + sent, out->length - (size_t)sent);
    out->length = 0;
    if (out->capacity > OUT_KEEP)
        buffer_free(out);
}

/* How many of `length` bytes of its file the source can give now; -1: it cannot go on yet, or not
 * at all. */
static int64_t ask_source(struct connection *connection, struct http_rest *rest, int64_t offset,
                          size_t length)
{
    const struct http_source *source = &rest->source;
    int64_t ready =
        source->prepare ? source->prepare(source->arg, offset, length) : (int64_t)length;
    if (ready == -EAGAIN)
        rest->waits = true;
    else if (ready < 0 || (length && !ready))
        connection->state = BROKEN;
    return ready < 0 ? -1 : ready;
}

static ssize_t send_memory(struct connection *connection, struct http_rest *rest, size_t length)
{
    const char *bytes = rest->piece->bytes;
    int flags = MSG_NOSIGNAL | (length < rest->left ? MSG_MORE : 0);
    if (ask_source(connection, rest, 0, 0) < 0)
        return 0;
    return send(connection->fd, bytes + rest->done, length, flags);
}

static ssize_t send_file(struct connection *connection, struct http_rest *rest, size_t length)
{
    off_t offset = rest->piece->offset + (off_t)rest->done;
    if (rest->source.prepare && length == rest->left && length > 1)
        length--; /* the last byte goes alone: see struct http_source */
    int64_t ready = ask_source(connection, rest, offset, length);
    if (ready <= 0)
        return 0;
    ssize_t sent = sendfile(connection->fd, rest->source.fd, &offset, (size_t)ready);
    if (sent == 0)
        connection->state = BROKEN; /* the file is shorter than was said */
    return sent;
}

/* Sends at most `most` bytes of the present piece. Returns the bytes sent; 0 when that is all for
 * now; or -1 with errno. */
static ssize_t send_piece(struct connection *connection, struct http_rest *rest, size_t most)
{
    uint64_t left = rest->piece->length - rest->done;
    size_t length = left < most ? (size_t)left : most;
    return rest->piece->bytes ? send_memory(connection, rest, length)
                              : send_file(connection, rest, length);
}

static void send_rest(struct connection *connection)
{
    struct http_rest *rest = find_rest(connection);
    size_t *slice = &connection->worker->slice;
    while (rest && rest->left && *slice) {
        ssize_t sent = send_piece(connection, rest, *slice);
        if (sent > 0) {
            connection_count_sent(connection, (size_t)sent);
            *slice -= (size_t)sent;
            http_rest_advance(rest, (uint64_t)sent);
        } else if (sent == 0 || errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            connection->state = BROKEN;
            return;
        }
    }
}

void connection_flush(struct connection *connection)
{
    if (connection->out_at < connection->out.length)
        send_kept(connection);
    if (connection->state == OPEN && connection->worker->out.length)
        send_collected(connection);
    if (connection->state == OPEN && connection->out_at == connection->out.length)
        send_rest(connection);
    connection->worker->out.length = 0; /* of a broken connection */
}
