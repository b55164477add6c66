#include "net/connection_private.h"

#include <errno.h>
#include <sys/sendfile.h>

enum {
    OUT_KEEP = 4 * SEND_BATCH, /* a larger buffer is given back after a large answer */
    FILE_SLICE = 1 << 20,      /* bytes of a file a turn, so that others get theirs */
};

/* Sends until the socket takes no more. Returns the bytes sent, or -1 when the connection is
 * broken. */
static ssize_t send_some(const struct connection *connection, const char *bytes, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        ssize_t count = send(connection->fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (count >= 0)
            sent += (size_t)count;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)sent;
}

/* What was kept before goes first. */
static void send_kept(struct connection *connection)
{
    struct buffer *out = &connection->out;
    ssize_t sent =
        send_some(connection, out->bytes + connection->out_at, out->length - connection->out_at);
    if (sent < 0) {
        connection->state = BROKEN;
        return;
    }
    connection_count(connection, FOR_READER, (size_t)sent);
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

static void send_collected(struct connection *connection)
{
    struct buffer *out = &connection->worker->out;
    ssize_t sent = connection->out.length ? 0 : send_some(connection, out->bytes, out->length);
    if (sent < 0) {
        connection->state = BROKEN;
    } else {
        connection_count(connection, FOR_READER, (size_t)sent);
        if ((size_t)sent < out->length)
            keep(connection, out->bytes + sent, out->length - (size_t)sent);
    }
    out->length = 0;
    if (out->capacity > OUT_KEEP)
        buffer_free(out);
}

static void send_file(struct connection *connection, struct http_response *response)
{
    struct http_file *file = &response->file;
    uint64_t slice = FILE_SLICE;
    while (file->left && slice) {
        size_t length = file->left < slice ? (size_t)file->left : (size_t)slice;
        off_t offset = file->offset;
        ssize_t sent = sendfile(connection->fd, file->fd, &offset, length);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent <= 0) { /* the file is shorter than was said, or the connection broken */
            connection->state = BROKEN;
            return;
        }
        if ((uint64_t)sent == file->left)
            http_response_drop_file(response);
        else
            file->left -= (uint64_t)sent;
        file->offset = offset;
        connection_count(connection, FOR_READER, (size_t)sent);
        slice -= (uint64_t)sent;
    }
}

void connection_flush(struct connection *connection)
{
    if (connection->out_at < connection->out.length)
        send_kept(connection);
    if (connection->state == OPEN && connection->worker->out.length)
        send_collected(connection);
    struct http_exchange *exchange = connection->exchange;
    if (connection->state == OPEN && connection->out_at == connection->out.length && exchange &&
        exchange->response.file.left)
        send_file(connection, &exchange->response);
    connection->worker->out.length = 0; /* of a broken connection */
}
