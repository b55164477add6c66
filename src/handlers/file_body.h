/*
 * file_body.h - a body that is sent from a file, while that stays what it was, and without waiting
 * for a disk on the reactor's thread.
 */
#ifndef HANDLERS_FILE_BODY_H
#define HANDLERS_FILE_BODY_H

#include "handlers/file_content.h"
#include "reactor/pool.h"

/* http_respond_from() for a form of `content` that is not in memory: pieces without bytes are its
 * file's. Cold parts are read on `pool` beforehand. When the file changes meanwhile the connection
 * ends before the last byte. */
int file_body_respond(struct http_request *request, struct http_response *response, int status,
                      const char *content_type, struct file_content *content,
                      struct file_form *form, const struct http_piece *pieces, size_t count,
                      struct pool *pool);

#endif
