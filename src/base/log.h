/*
 * log.h - where GLib's structured log messages go.
 *
 * Messages are written with g_message(), g_warning() and g_critical(). Nothing that happens per
 * request, and nothing that a peer can repeat at will, is logged without a rate limit.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* Sends messages to stderr, one line each: "coreactor: TEXT". When stderr is connected to the
 * journal of systemd they go there with their priority instead. For programs; call it once, before
 * threads. */
void log_to_stderr(void);

/* Writes a line with that text to stderr, as a warning when there is no memory for one: GLib would
 * end the process. Any thread. */
void log_without_memory(const char *text);

#endif
