#include "net/access_output.h"

#include "net/access_line.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUTPUT_SIZE = 4 * ACCESS_LINE_MAX };

/* --- opening --- */

/* O_NONBLOCK is for FIFOs: the description is ours alone. */
static int open_path(const char *path)
{
    int fd;
    do {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int access_output_open(struct access_output *output, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    *output = (struct access_output){.fd = -1};
    output->bytes = malloc(OUTPUT_SIZE);
    output->path = standard ? NULL : strdup(path);
    if (!output->bytes || (!standard && !output->path)) {
        access_output_close(output);
        return -ENOMEM;
    }
    output->fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open_path(path);
    if (output->fd < 0) {
        int error = -errno;
        access_output_close(output);
        return error;
    }
    return 0;
}

void access_output_close(struct access_output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
    free(output->bytes);
    free(output->path);
    output->bytes = NULL;
    output->path = NULL;
}

static bool is_same_file(int one, int other)
{
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

void access_output_reopen(struct access_output *output)
{
    if (!output->path)
        return;
    int fd = open_path(output->path);
    if (fd < 0) {
        g_warning("access log: cannot open %s again: %s; the old file stays in use", output->path,
                  g_strerror(errno));
        return;
    }
    /* The rest of a torn line belongs to the file that has its beginning. */
    if (!is_same_file(fd, output->fd))
        access_output_give_up(output, output->error);
    close(output->fd);
    output->fd = fd;
    output->blocked = false;
}

/* --- writing --- */

char *access_output_room(struct access_output *output)
{
    return OUTPUT_SIZE - output->length >= ACCESS_LINE_MAX ? output->bytes + output->length : NULL;
}

void access_output_add(struct access_output *output, size_t length)
{
    output->length += length;
}

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t lines = 0;
    for (const char *end = bytes + length; (bytes = memchr(bytes, '\n', (size_t)(end - bytes)));
         bytes++)
        lines++;
    return lines;
}

void access_output_give_up(struct access_output *output, int error)
{
    size_t rest = output->length - output->done;
    if (rest) {
        output->lost += count_lines(output->bytes + output->done, rest);
        output->error = error;
    }
    output->torn = false;
    output->done = 0;
    output->length = 0;
}

/* After an error: keeps the rest of the line that was being written, if it was amid one. */
static void drop_lines(struct access_output *output, int error)
{
    size_t done = output->done;
    bool torn = done > 0 ? output->bytes[done - 1] != '\n' : output->torn;
    size_t kept = 0;
    if (torn) {
        const char *end = memchr(output->bytes + done, '\n', output->length - done);
        kept = (size_t)(end + 1 - (output->bytes + done));
        memmove(output->bytes, output->bytes + done, kept);
    }
    output->done = done + kept;
    access_output_give_up(output, error);
    output->error = error;
    output->torn = torn;
    output->length = kept;
}

static bool takes_more(const struct access_output *output, int64_t until_us)
{
    struct pollfd waiting = {.fd = output->fd, .events = POLLOUT};
    int64_t wait_us = until_us - g_get_monotonic_time();
    return poll(&waiting, 1, wait_us > 0 ? (int)((wait_us + 999) / 1000) : 0) > 0;
}

/* Others use the description of standard output, so it must stay as blocking as it is. But what has
 * room for something takes PIPE_BUF bytes without blocking (pipe(7); a socket is writable while
 * much of its buffer is free), unless another process is quicker. Whole lines, where that is
 * possible: the others' output stays apart. */
static size_t next_size(const struct access_output *output)
{
    size_t rest = output->length - output->done;
    if (output->path || rest <= PIPE_BUF)
        return rest;
    const char *begin = output->bytes + output->done;
    const char *newline = memrchr(begin, '\n', PIPE_BUF);
    return newline ? (size_t)(newline + 1 - begin) : PIPE_BUF;
}

bool access_output_flush(struct access_output *output, int64_t until_us)
{
    while (output->done < output->length) {
        if ((output->blocked || !output->path) && !takes_more(output, until_us))
            return false;
        ssize_t written = write(output->fd, output->bytes + output->done, next_size(output));
        if (written > 0) {
            output->done += (size_t)written;
            output->blocked = false;
        } else if (written < 0 && errno == EAGAIN) {
            output->blocked = true;
            return false;
        } else if (written == 0 || errno != EINTR) {
            drop_lines(output, written ? errno : EIO);
            return true;
        }
    }
    output->torn = false;
    output->done = 0;
    output->length = 0;
    return true;
}
