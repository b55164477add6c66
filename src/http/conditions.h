/*
 * conditions.h - requests that are to be answered only if the content has, or has not, changed
 * (RFC 9110 section 13).
 *
 * Pure functions of texts; any thread.
 */
#ifndef HTTP_CONDITIONS_H
#define HTTP_CONDITIONS_H

#include <coreactor/http.h>

#include <time.h>

/* What the selected representation is. */
struct http_validators {
    struct http_text etag; /* with its quotes, and W/ when weak; absent: none */
    int64_t modified_s;    /* since 1970, as Last-Modified says; negative: unknown */
};

/* The request's fields; absent ones have no bytes. Lists are joined by ", ". */
struct http_conditions {
    struct http_text if_match;
    struct http_text if_none_match;
    struct http_text if_modified_since;
    struct http_text if_unmodified_since;
    struct http_text if_range;
};

/* Evaluates all but If-Range for a GET or HEAD of a representation that exists, in the order of RFC
 * 9110 section 13.2.2. Returns 0 to go on, 304 or 412. Dates that cannot be read are ignored, as
 * are those that a validator in the same request makes irrelevant; a list of entity tags that is
 * not well-formed matches nothing. `now_s` (since 1970) is for the years of two digits. */
int http_conditions_evaluate(const struct http_conditions *conditions,
                             const struct http_validators *validators, time_t now_s);

/* Whether a field Range is to be used: there is no If-Range, or it is the strong ETag that the
 * representation has, or exactly its date when that is strong: the file had not been changed for a
 * second at `now_s`, which the answer's Date says (RFC 9110 sections 8.8.2.2 and 13.1.5). */
bool http_conditions_allow_range(const struct http_conditions *conditions,
                                 const struct http_validators *validators, time_t now_s);

#endif
