#include "http/accept.h"

#include "http/grammar.h"
#include "http/request.h"

#include <string.h>

/* qvalue in thousandths (RFC 9110 section 12.4.2). A fourth digit stays, and is wrong there. */
static bool take_qvalue(struct http_reader *reader, int *weight)
{
    int digit = http_take_digit(reader);
    if (digit < 0 || digit > 1)
        return false;
    *weight = digit * HTTP_WEIGHT_MAX;
    if (!http_take(reader, '.'))
        return true;
    for (int unit = 100; unit > 0 && (digit = http_take_digit(reader)) >= 0; unit /= 10)
        *weight += digit * unit;
    return *weight <= HTTP_WEIGHT_MAX;
}

/* The rest of a member that has come to nothing, from outside its quoted strings. Where a quoted
 * string is not closed, nobody knows which comma is one of the list: then no other member follows.
 */
static void pass_member(struct http_reader *reader)
{
    bool quoted = false;
    for (; !http_at_end(reader) && (quoted || http_peek(reader) != ','); reader->at++) {
        if (quoted && http_take(reader, '\\'))
            continue;
        quoted ^= http_peek(reader) == '"';
    }
}

/* --- Accept-Encoding (RFC 9110 section 12.5.3) --- */

/* [ weight ] */
static bool take_weight(struct http_reader *reader, int *weight)
{
    *weight = HTTP_WEIGHT_MAX;
    http_take_spaces(reader);
    if (!http_take(reader, ';'))
        return true;
    http_take_spaces(reader);
    return (http_take(reader, 'q') || http_take(reader, 'Q')) && http_take(reader, '=') &&
           take_qvalue(reader, weight);
}

static bool take_coding(struct http_reader *reader, struct http_text *name, int *weight)
{
    size_t from = reader->at;
    if (!http_take_token(reader))
        return false;
    *name = http_taken(reader, from);
    return take_weight(reader, weight) && http_member_ends(reader);
}

static bool is_coding(struct http_text name, const char *coding)
{
    if (http_text_is(name, "x-gzip") || http_text_is(name, "x-compress"))
        name = (struct http_text){name.bytes + 2, name.length - 2};
    return http_names_equal(name, coding, strlen(coding));
}

int http_accept_coding(struct http_text list, const char *coding)
{
    struct http_reader reader = http_reader_of(list);
    int any = HTTP_WEIGHT_NONE;
    while (http_next_member(&reader)) {
        struct http_text name;
        int weight;
        if (!take_coding(&reader, &name, &weight)) {
            pass_member(&reader);
        } else if (is_coding(name, coding)) {
            return weight;
        } else if (any == HTTP_WEIGHT_NONE && http_text_is(name, "*")) {
            any = weight;
        }
    }
    return any;
}

/* --- Accept (RFC 9110 section 12.5.1) --- */

struct media_range {
    struct http_text type;
    struct http_text subtype;
    bool parameters; /* others than q */
    int weight;
};

static bool take_parameter(struct http_reader *reader, struct media_range *range, bool *weighted)
{
    size_t from = reader->at;
    if (!http_take_token(reader))
        return false;
    struct http_text name = http_taken(reader, from);
    if (!http_take(reader, '='))
        return false;
    if (http_text_is(name, "q")) { /* the weight, wherever it stands */
        bool first = !*weighted;
        *weighted = true;
        return first && take_qvalue(reader, &range->weight);
    }
    range->parameters = true;
    return http_peek(reader) == '"' ? http_take_quoted_string(reader) : http_take_token(reader);
}

/* To the member's end; a parameter may be empty (RFC 9110 section 5.6.6). */
static bool take_parameters(struct http_reader *reader, struct media_range *range)
{
    bool weighted = false;
    while (!http_member_ends(reader)) {
        if (!http_take(reader, ';'))
            return false;
        if (http_member_ends(reader) || http_peek(reader) == ';')
            continue;
        if (!take_parameter(reader, range, &weighted))
            return false;
    }
    return true;
}

static bool take_media_range(struct http_reader *reader, struct media_range *range)
{
    size_t from = reader->at;
    *range = (struct media_range){.weight = HTTP_WEIGHT_MAX};
    if (!http_take_token(reader))
        return false;
    range->type = http_taken(reader, from);
    if (!http_take(reader, '/'))
        return false;
    from = reader->at;
    if (!http_take_token(reader))
        return false;
    range->subtype = http_taken(reader, from);
    return take_parameters(reader, range);
}

/* How closely the range is about the type: 3 for the type itself, 0 when it does not cover it. */
static int specificity(const struct media_range *range, const char *type)
{
    const char *slash = strchr(type, '/');
    if (range->parameters || !slash)
        return 0;
    bool any = http_text_is(range->subtype, "*");
    if (!http_names_equal(range->type, type, (size_t)(slash - type)))
        return any && http_text_is(range->type, "*") ? 1 : 0;
    if (any)
        return 2;
    return http_names_equal(range->subtype, slash + 1, strlen(slash + 1)) ? 3 : 0;
}

int http_accept_media(struct http_text list, const char *type)
{
    struct http_reader reader = http_reader_of(list);
    int best = 0;
    int weight = HTTP_WEIGHT_NONE;
    while (http_next_member(&reader)) {
        struct media_range range;
        size_t from = reader.at;
        if (!take_media_range(&reader, &range)) {
            reader.at = from;
            pass_member(&reader);
            continue;
        }
        int how = specificity(&range, type);
        if (how > best) {
            best = how;
            weight = range.weight;
        }
    }
    return weight;
}
