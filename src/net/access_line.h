/*
 * access_line.h - what the access log says of one request: copied raw by a reactor, made into a
 * line of text by the log's thread.
 */
#ifndef NET_ACCESS_LINE_H
#define NET_ACCESS_LINE_H

#include <coreactor/http.h>

#include <stdint.h>
#include <sys/socket.h>

enum access_format { ACCESS_COMBINED, ACCESS_JSON };

/* What is known of a request when its answer is complete. Texts that are absent have no bytes. */
struct access_entry {
    const struct sockaddr *client; /* IPv4 or IPv6; anything else, or NULL: not known */
    struct http_text method;       /* absent when the request could not be parsed, */
    struct http_text target;       /* and then so is the target */
    struct http_text referer;
    struct http_text user_agent;
    int version_minor; /* of HTTP/1.x: 0 to 9 */
    int status;
    uint64_t body_bytes;  /* of the answer's body, as sent */
    uint64_t duration_ns; /* from the request's first byte to the end of its answer */
    int64_t time_ms;      /* since 1970 (CLOCK_REALTIME): when it was finished */
};

enum { ACCESS_METHOD, ACCESS_TARGET, ACCESS_REFERER, ACCESS_AGENT, ACCESS_TEXTS };

/* Longer texts are cut and end in "...". */
enum {
    ACCESS_METHOD_MAX = 64,
    ACCESS_TARGET_MAX = 4096,
    ACCESS_REFERER_MAX = 2048,
    ACCESS_AGENT_MAX = 1024,
    ACCESS_TEXT_MAX = ACCESS_METHOD_MAX + ACCESS_TARGET_MAX + ACCESS_REFERER_MAX + ACCESS_AGENT_MAX,
    ACCESS_LINE_MAX = 6 * ACCESS_TEXT_MAX + 512, /* a byte becomes at most "\ufffd" */
};

/* An entry on its way: a copy, with the texts behind it, one after the other. */
struct access_record {
    int64_t time_ms;
    uint64_t body_bytes;
    uint64_t duration_ns;
    uint32_t status;
    uint16_t lengths[ACCESS_TEXTS];
    uint8_t absent; /* bits of the texts */
    uint8_t cut;    /* bits of the texts */
    uint8_t version_minor;
    uint8_t address_length; /* 4, 16, or 0: not known */
    unsigned char address[16];
    char texts[];
};

/* Where lines are made. All zero but for the format: usable. */
struct access_line {
    enum access_format format;
    int64_t stamp_s; /* the second of `stamp` */
    char stamp[40];  /* its text; empty: none yet */
};

/* The bytes that the entry's record takes. */
size_t access_record_size(const struct access_entry *entry);

/* Copies the entry to that many bytes. */
void access_record_fill(struct access_record *record, const struct access_entry *entry);

/* Writes the record's line, with its newline, to `text`, which has room for ACCESS_LINE_MAX bytes,
 * and returns its length.
 *
 * ACCESS_COMBINED: the combined log format of Apache httpd and nginx, in UTC; what is absent is
 * "-". '"', '\' and every byte outside 0x20 to 0x7E of what the client sent become \xHH, as nginx
 * writes them.
 *
 * ACCESS_JSON: one JSON object (RFC 8259); what is absent is null. Valid UTF-8 stays as it is but
 * for control characters (\u00HH); every byte that is not part of valid UTF-8 becomes \ufffd. */
size_t access_line_make(struct access_line *line, const struct access_record *record, char *text);

#endif
