/*
 * accept.h - what a client prefers: lists with weights (RFC 9110 sections 12.4.2 and 12.5).
 *
 * Pure functions of texts; any thread. A member that is not well-formed is skipped; one with a
 * quoted string that does not end reaches to the end of the list.
 */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <coreactor/http.h>

enum { HTTP_WEIGHT_MAX = 1000, HTTP_WEIGHT_NONE = -1 };

/* The weight that a field such as Accept-Encoding gives to `coding`, in thousandths: that of the
 * member with this name (case-insensitive; "x-gzip" is "gzip" and "x-compress" is "compress", RFC
 * 9110 section 8.4.1), else that of "*"; HTTP_WEIGHT_NONE when neither is there. With several of
 * the same name, the first. */
int http_accept_coding(struct http_text list, const char *coding);

/* The weight that a field Accept gives to the media type `type`, such as "text/html", in
 * thousandths: that of the most specific range that covers it (type and subtype, then type and any
 * subtype, then any; parameters other than q make a range match nothing here); HTTP_WEIGHT_NONE
 * when none does. With several as specific, the first. */
int http_accept_media(struct http_text list, const char *type);

#endif
