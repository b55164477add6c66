/*
 * file_answer.h - from a file's content and the fields of a request to the answer: coding,
 * conditions, ranges.
 */
#ifndef HANDLERS_FILE_ANSWER_H
#define HANDLERS_FILE_ANSWER_H

#include "handlers/file_content.h"
#include "http/conditions.h"
#include "reactor/pool.h"

/* The fields that decide about it; absent ones have no bytes. */
struct file_fields {
    struct http_conditions conditions;
    struct http_text range;
    struct http_text accept_encoding;
};

/* What a client thinks of each coding, in thousandths; kept, because clients send few different
 * fields. Per reactor. */
struct coding_weights {
    int weights[CODING_COUNT];
    size_t length; /* of the field; 0: none yet */
    char field[128];
};

/* Gathers the fields of a request. False when memory is short. */
bool file_fields_read(struct http_request *request, struct file_fields *fields);

/* The coding of the answer that the client likes best, and among equals that which is there
 * already, then the one that is usually smaller (RFC 9110 section 12.5.3). It may have to be made
 * first. Of those to be made only when `makes`. CODING_COUNT: there is none that the client
 * accepts. */
enum coding file_choose_coding(const struct file_content *content, struct http_text accept_encoding,
                               bool makes, struct coding_weights *weights);

/* Answers with that form, which is there: 200, 206, 304, 412 or 416. Returns what the handler is to
 * return. */
int file_answer(struct http_request *request, struct http_response *response,
                const struct file_fields *fields, struct file_content *content, enum coding coding,
                struct pool *pool);

/* Answers with that form and an error status, whatever the request's conditions and ranges. */
int file_answer_error(struct http_request *request, struct http_response *response, int status,
                      struct file_content *content, enum coding coding, struct pool *pool);

#endif
