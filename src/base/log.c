#include "base/log.h"

#include <glib.h>
#include <stdio.h>
#include <unistd.h>

static GLogWriterOutput write_line(GLogLevelFlags level, const GLogField *fields, gsize count,
                                   gpointer user_data)
{
    if (g_log_writer_is_journald(fileno(stderr)))
        return g_log_writer_journald(level, fields, count, user_data);
    for (gsize i = 0; i < count; i++) {
        if (g_str_equal(fields[i].key, "MESSAGE")) {
            const char *text = fields[i].value;
            int length = fields[i].length < 0 ? -1 : (int)fields[i].length;
            fprintf(stderr, "coreactor: %.*s\n", length, text);
        }
    }
    return G_LOG_WRITER_HANDLED;
}

void log_to_stderr(void)
{
    g_log_set_writer_func(write_line, NULL, NULL);
}

void log_without_memory(const char *text)
{
    dprintf(STDERR_FILENO, "coreactor: %s\n", text); /* formats on its stack */
}
