#include "handlers/file_body.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WARM_FOR_NS UINT64_C(1000000000)

enum {
    WINDOW = 1 << 20,     /* bytes whose presence is looked at, or brought about, at a time */
    PROBE_EVERY = 131072, /* what the kernel reads ahead by default */
    READ_AT_ONCE = 16384,
};

struct file_body {
    struct pool_job job; /* to read what is cold */
    struct http_response *response;
    struct file_content *content;
    struct file_form *form;
    struct pool *pool;
    int64_t warm_from; /* what is in memory, as far as is known */
    int64_t warm_to;
    int64_t wanted_from; /* what the job reads */
    int64_t wanted_to;
    bool reading;
    bool was_read; /* just now; that may have taken long */
    bool released;
};

static void free_body(struct file_body *body)
{
    file_content_release(body->content);
    free(body);
}

/* --- what is in memory --- */

/* Whether reading that byte would not wait for a disk: 1, 0, or -1 when the file system does not
 * tell. */
static int is_cached(int fd, int64_t offset)
{
    char byte;
    struct iovec one = {&byte, 1};
    ssize_t count = preadv2(fd, &one, 1, offset, RWF_NOWAIT);
    if (count >= 0)
        return 1; /* beyond the end, too */
    return errno == EOPNOTSUPP ? -1 : 0;
}

/* A file system that has nothing but memory (its swapped parts aside). */
static bool is_memory(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 &&
           (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

static bool is_warm(int fd, int64_t from, int64_t to)
{
    for (int64_t at = from; at < to; at += PROBE_EVERY) {
        int cached = is_cached(fd, at);
        if (cached != 1)
            return cached < 0 && is_memory(fd);
    }
    return is_cached(fd, to - 1) != 0;
}

/* Has the kernel read it; what cannot be read shows when it is sent. */
static void warm(struct pool_job *job)
{
    struct file_body *body = (struct file_body *)job;
    char to[READ_AT_ONCE];
    ssize_t count = 1;
    for (int64_t at = body->wanted_from; count > 0 && at < body->wanted_to; at += count)
        count = pread(body->form->fd, to, sizeof(to), at);
}

static void on_warm(struct pool_job *job)
{
    struct file_body *body = (struct file_body *)job;
    body->reading = false;
    body->was_read = true;
    body->warm_from = body->wanted_from;
    body->warm_to = body->wanted_to;
    if (body->released)
        free_body(body);
    else
        http_response_ready(body->response);
}

/* Whether all of the file was in memory a moment ago. Small ones that many ask for need not be
 * looked at each time. */
static bool was_warm(const struct file_body *body)
{
    return body->form->warm_ns &&
           reactor_now(body->job.reactor) - body->form->warm_ns < WARM_FOR_NS;
}

/* Whether the window that begins at `offset` is in memory; otherwise it is being read now. */
static bool look_ahead(struct file_body *body, int64_t offset, int64_t end)
{
    body->wanted_from = offset;
    body->wanted_to = end - offset < WINDOW ? end : offset + WINDOW;
    if (!was_warm(body) && !is_warm(body->form->fd, offset, body->wanted_to)) {
        body->reading = true;
        pool_submit(body->pool, &body->job);
        return false;
    }
    body->warm_from = offset;
    body->warm_to = body->wanted_to;
    if (offset == 0 && body->warm_to >= (int64_t)body->form->length && !was_warm(body))
        body->form->warm_ns = reactor_now(body->job.reactor);
    return true;
}

/* The file is checked with each window, and before what comes last: see struct http_source. */
static int64_t prepare(void *arg, int64_t offset, size_t length)
{
    struct file_body *body = arg;
    int64_t end = offset + (int64_t)length;
    bool begins = offset < body->warm_from || offset >= body->warm_to;
    /* Who has begun with a file that is replaced or deleted gets it to its end. */
    bool checks = begins || length <= 1 || body->was_read;
    int error = checks && file_form_has_changed(body->form) ? -ESTALE : 0;
    body->was_read = false;
    if (error || length == 0)
        return error;
    /* One byte more: the last is asked for alone. */
    if (begins && !look_ahead(body, offset, end + 1))
        return -EAGAIN;
    return (end < body->warm_to ? end : body->warm_to) - offset;
}

static void release(void *arg)
{
    struct file_body *body = arg;
    body->released = true;
    if (!body->reading)
        free_body(body);
}

int file_body_respond(struct http_request *request, struct http_response *response, int status,
                      const char *content_type, struct file_content *content,
                      struct file_form *form, const struct http_piece *pieces, size_t count,
                      struct pool *pool)
{
    struct file_body *body = malloc(sizeof(*body));
    if (!body)
        return -ENOMEM;
    *body = (struct file_body){
        .job = {.run = warm, .done = on_warm, .reactor = http_request_reactor(request)},
        .response = response,
        .content = file_content_keep(content),
        .form = form,
        .pool = pool,
    };
    const struct http_source source = {
        .fd = form->fd, .prepare = prepare, .release = release, .arg = body};
    return http_respond_from(response, status, content_type, &source, pieces, count);
}
