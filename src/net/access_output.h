/*
 * access_output.h - where the lines of the access log go: a file, a pipe or standard output.
 *
 * Belongs to the log's thread. Lines are collected and written together. A line that could be
 * written in part only is continued first when writing works again, so that no line is ever glued
 * to another.
 */
#ifndef NET_ACCESS_OUTPUT_H
#define NET_ACCESS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access_output {
    char *path; /* NULL: standard output */
    int fd;
    bool blocked;  /* look whether it takes anything before the next write */
    bool torn;     /* `bytes` begins amid a line that has begun to be written */
    char *bytes;   /* whole lines, but for that */
    size_t done;   /* of `length`: written */
    size_t length; /* of `bytes`: lines that were added */
    uint64_t lost; /* lines that could not be written */
    int error;     /* why the last of them could not */
};

/* Opens `path` for appending, or standard output for "-". 0 or -errno (those of open(2), -ENXIO for
 * a FIFO that nobody reads, -ENOMEM). */
int access_output_open(struct access_output *output, const char *path);
void access_output_close(struct access_output *output);

/* Opens the path anew, after what is there has been renamed. When that fails the old file stays in
 * use, with a warning. Nothing but a torn line may wait. */
void access_output_reopen(struct access_output *output);

/* Room for a line of ACCESS_LINE_MAX bytes, or NULL: flush first. */
char *access_output_room(struct access_output *output);

/* Adds the line of `length` bytes that was made there. */
void access_output_add(struct access_output *output, size_t length);

/* Writes what was added. Lines that fail are counted as lost. False when the output does not take
 * more at present, for which it waits until `until_us` (g_get_monotonic_time()) at most: call it
 * again, or give up. */
bool access_output_flush(struct access_output *output, int64_t until_us);

/* Counts what waits, the rest of a torn line included, as lost because of `error`. */
void access_output_give_up(struct access_output *output, int error);

#endif
