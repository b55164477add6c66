/*
 * cgi_script.c - the program that the model `cgi` executes for a request: a script of CGI/1.1 (RFC
 * 3875), of the kind that writes the whole answer itself (section 5). The request is in its
 * environment; its standard input, where the body is, and its standard output are the client's
 * connection.
 */
#include "cgi_environment.h"

#include "common/blocking.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void put_field(struct text *head, const char *name, const char *value)
{
    if (!value)
        return;
    text_puts(head, name);
    text_puts(head, ":"); /* and no space: no head becomes longer than it was */
    text_puts(head, value);
    text_puts(head, "\r\n");
}

static void put_fields(struct text *head)
{
    const size_t field_length = strlen(CGI_FIELD);
    for (char **at = environ; *at; at++) {
        char *value = strchr(*at, '=');
        if (!value || strncmp(*at, CGI_FIELD, field_length) != 0)
            continue;
        *value = '\0';
        for (char *byte = *at + field_length; *byte; byte++)
            *byte = *byte == '_' ? '-' : *byte;
        put_field(head, *at + field_length, value + 1);
    }
}

/* The library's handlers want a request; so it is written down once more. */
static void put_head(struct text *head)
{
    text_puts(head, variable("REQUEST_METHOD"));
    text_puts(head, " ");
    text_puts(head, variable(CGI_TARGET));
    text_puts(head, " ");
    text_puts(head, variable("SERVER_PROTOCOL"));
    text_puts(head, "\r\n");
    put_field(head, "Content-Type", getenv("CONTENT_TYPE"));
    put_field(head, "Content-Length", getenv("CONTENT_LENGTH"));
    put_fields(head); /* which spoils the environment */
    text_puts(head, "\r\n");
}

int main(void)
{
    struct talk_room room = {.spare = NULL};
    struct text head = {.torn = false};
    blocking_service((unsigned)strtoul(variable(CGI_SERVICE), NULL, 10));
    talk_open(ask_blocking, 1);
    put_head(&head);
    if (!head.torn)
        serve_blocking(STDIN_FILENO, &room,
                       (struct http_text){head.bytes.bytes, head.bytes.length});
    buffer_free(&head.bytes);
    ask_no_more();
    talk_room_close(&room);
    return 0;
}
