#include "net/access_line.h"

#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const uint16_t text_max[ACCESS_TEXTS] = {ACCESS_METHOD_MAX, ACCESS_TARGET_MAX,
                                                ACCESS_REFERER_MAX, ACCESS_AGENT_MAX};

/* --- records --- */

static const struct http_text *text_of(const struct access_entry *entry, int which)
{
    switch (which) {
    case ACCESS_METHOD:
        return &entry->method;
    case ACCESS_TARGET:
        return &entry->target;
    case ACCESS_REFERER:
        return &entry->referer;
    default:
        return &entry->user_agent;
    }
}

static size_t kept_of(const struct access_entry *entry, int which)
{
    const struct http_text *text = text_of(entry, which);
    if (!text->bytes)
        return 0;
    return text->length < text_max[which] ? text->length : text_max[which];
}

size_t access_record_size(const struct access_entry *entry)
{
    size_t size = sizeof(struct access_record);
    for (int i = 0; i < ACCESS_TEXTS; i++)
        size += kept_of(entry, i);
    return size;
}

static void copy_address(struct access_record *record, const struct sockaddr *client)
{
    record->address_length = 0;
    if (client && client->sa_family == AF_INET) {
        record->address_length = 4;
        memcpy(record->address, &((const struct sockaddr_in *)(const void *)client)->sin_addr, 4);
    } else if (client && client->sa_family == AF_INET6) {
        const struct in6_addr *address =
            &((const struct sockaddr_in6 *)(const void *)client)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(address);
        record->address_length = mapped ? 4 : 16;
        memcpy(record->address, address->s6_addr + (mapped ? 12 : 0), record->address_length);
    }
}

void access_record_fill(struct access_record *record, const struct access_entry *entry)
{
    char *to = record->texts;
    record->time_ms = entry->time_ms;
    record->body_bytes = entry->body_bytes;
    record->duration_ns = entry->duration_ns;
    record->status = (uint32_t)entry->status;
    record->absent = 0;
    record->cut = 0;
    record->version_minor = (uint8_t)entry->version_minor;
    copy_address(record, entry->client);
    for (int i = 0; i < ACCESS_TEXTS; i++) {
        const struct http_text *text = text_of(entry, i);
        size_t kept = kept_of(entry, i);
        record->lengths[i] = (uint16_t)kept;
        if (!text->bytes) {
            record->absent |= (uint8_t)(1u << i);
            continue;
        }
        if (kept < text->length)
            record->cut |= (uint8_t)(1u << i);
        memcpy(to, text->bytes, kept);
        to += kept;
    }
}

/* --- pieces of lines: each returns where it ends --- */

static char *put(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static char *put_number(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        *to++ = digits[--count];
    return to;
}

static char *put_digits(char *to, unsigned number, int digits)
{
    for (int i = digits; i--; number /= 10)
        to[i] = (char)('0' + number % 10);
    return to + digits;
}

static char *put_hex(char *to, const char *before, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    to = put(to, before);
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
    return to;
}

static char *put_address(char *to, const struct access_record *record)
{
    if (record->address_length == 4) {
        for (int i = 0; i < 4; i++) {
            to = put_number(to, record->address[i]);
            *to++ = '.';
        }
        return to - 1;
    }
    inet_ntop(AF_INET6, record->address, to, INET6_ADDRSTRLEN);
    return to + strlen(to);
}

/* --- what the client sent --- */

static char *put_combined(char *to, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
            to = put_hex(to, "\\x", byte);
        else
            *to++ = (char)byte;
    }
    return to;
}

/* A character beyond ASCII; moves `bytes` past it. */
static char *put_utf8(char *to, const char **bytes, size_t length)
{
    gunichar character = g_utf8_get_char_validated(*bytes, (gssize)length);
    if (character == (gunichar)-1 || character == (gunichar)-2) {
        ++*bytes;
        return put(to, "\\ufffd");
    }
    const char *end = g_utf8_next_char(*bytes);
    size_t size = (size_t)(end - *bytes);
    if (character < 0xa0) {
        *bytes = end;
        return put_hex(to, "\\u00", (unsigned char)character);
    }
    memcpy(to, *bytes, size);
    *bytes = end;
    return to + size;
}

static char *put_json(char *to, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    while (bytes < end) {
        unsigned char byte = (unsigned char)*bytes;
        if (byte >= 0x80) {
            to = put_utf8(to, &bytes, (size_t)(end - bytes));
            continue;
        }
        bytes++;
        if (byte < 0x20 || byte == 0x7f) {
            to = put_hex(to, "\\u00", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            *to++ = '\\';
        *to++ = (char)byte;
    }
    return to;
}

/* --- lines --- */

static char *put_clock(char *to, const struct tm *utc)
{
    to = put(put_digits(to, (unsigned)utc->tm_hour, 2), ":");
    to = put(put_digits(to, (unsigned)utc->tm_min, 2), ":");
    return put_digits(to, (unsigned)utc->tm_sec, 2);
}

static char *put_combined_time(char *to, const struct tm *utc)
{
    /* strftime() would ask the locale for its names. */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    to = put(put_digits(to, (unsigned)utc->tm_mday, 2), "/");
    memcpy(to, months + utc->tm_mon * 3, 3);
    to = put(put_digits(put(to + 3, "/"), (unsigned)utc->tm_year + 1900, 4), ":");
    return put(put_clock(to, utc), " +0000");
}

/* RFC 3339, without the fraction of the second and the "Z". */
static char *put_json_time(char *to, const struct tm *utc)
{
    to = put(put_digits(to, (unsigned)utc->tm_year + 1900, 4), "-");
    to = put(put_digits(to, (unsigned)utc->tm_mon + 1, 2), "-");
    to = put(put_digits(to, (unsigned)utc->tm_mday, 2), "T");
    return put_clock(to, utc);
}

/* What is the same for all lines of a second is made once. */
static char *put_stamp(struct access_line *line, char *to, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    if (line->stamp_s != seconds || !line->stamp[0]) {
        struct tm utc;
        gmtime_r(&seconds, &utc);
        char *end = line->format == ACCESS_JSON ? put_json_time(line->stamp, &utc)
                                                : put_combined_time(line->stamp, &utc);
        *end = '\0';
        line->stamp_s = seconds;
    }
    return put(to, line->stamp);
}

static const char *text_at(const struct access_record *record, int which)
{
    const char *text = record->texts;
    for (int i = 0; i < which; i++)
        text += record->lengths[i];
    return text;
}

static bool is_absent(const struct access_record *record, int which)
{
    return record->absent >> which & 1;
}

/* A text of the combined format; `absent` in place of one that is absent. */
static char *put_field(char *to, const struct access_record *record, int which)
{
    if (is_absent(record, which))
        return put(to, "-");
    to = put_combined(to, text_at(record, which), record->lengths[which]);
    return record->cut >> which & 1 ? put(to, "...") : to;
}

static size_t make_combined(struct access_line *line, const struct access_record *record,
                            char *text)
{
    char *to = record->address_length ? put_address(text, record) : put(text, "-");
    to = put_stamp(line, put(to, " - - ["), record->time_ms);
    to = put(to, "] \"");
    if (is_absent(record, ACCESS_METHOD)) {
        to = put(to, "-");
    } else {
        to = put(put_field(to, record, ACCESS_METHOD), " ");
        to = put(put_field(to, record, ACCESS_TARGET), " HTTP/1.");
        to = put_number(to, record->version_minor);
    }
    to = put_number(put(to, "\" "), record->status);
    to = put_number(put(to, " "), record->body_bytes);
    to = put_field(put(to, " \""), record, ACCESS_REFERER);
    to = put_field(put(to, "\" \""), record, ACCESS_AGENT);
    return (size_t)(put(to, "\"\n") - text);
}

/* A text of the JSON format, or null. */
static char *put_member(char *to, const struct access_record *record, int which)
{
    if (is_absent(record, which))
        return put(to, "null");
    to = put_json(put(to, "\""), text_at(record, which), record->lengths[which]);
    return put(to, record->cut >> which & 1 ? "...\"" : "\"");
}

static size_t make_json(struct access_line *line, const struct access_record *record, char *text)
{
    char *to = put_stamp(line, put(text, "{\"time\":\""), record->time_ms);
    to = put_digits(put(to, "."), (unsigned)(record->time_ms % 1000), 3);
    to = put(to, "Z\",\"client\":");
    if (record->address_length)
        to = put(put_address(put(to, "\""), record), "\"");
    else
        to = put(to, "null");
    to = put_member(put(to, ",\"method\":"), record, ACCESS_METHOD);
    to = put_member(put(to, ",\"target\":"), record, ACCESS_TARGET);
    to = put(to, ",\"version\":");
    if (is_absent(record, ACCESS_METHOD))
        to = put(to, "null");
    else
        to = put(put_number(put(to, "\"HTTP/1."), record->version_minor), "\"");
    to = put_number(put(to, ",\"status\":"), record->status);
    to = put_number(put(to, ",\"bytes\":"), record->body_bytes);
    to = put_number(put(to, ",\"duration_us\":"), record->duration_ns / 1000);
    to = put_member(put(to, ",\"referer\":"), record, ACCESS_REFERER);
    to = put_member(put(to, ",\"user_agent\":"), record, ACCESS_AGENT);
    return (size_t)(put(to, "}\n") - text);
}

size_t access_line_make(struct access_line *line, const struct access_record *record, char *text)
{
    return line->format == ACCESS_JSON ? make_json(line, record, text)
                                       : make_combined(line, record, text);
}
