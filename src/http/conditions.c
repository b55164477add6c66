#include "http/conditions.h"

#include "http/date.h"
#include "http/grammar.h"

#include <string.h>

enum comparison { STRONG, WEAK }; /* RFC 9110 section 8.8.3.2 */

struct entity_tag {
    bool weak;
    struct http_text opaque; /* with its quotes */
};

/* --- entity tags (RFC 9110 section 8.8.3) --- */

/* Anything but white space, controls and '"'. A backslash is nothing special. */
static bool is_etagc(int byte)
{
    return byte > ' ' && byte != '"' && byte != 0x7f;
}

static bool take_entity_tag(struct http_reader *reader, struct entity_tag *tag)
{
    tag->weak = http_take(reader, 'W');
    if (tag->weak && !http_take(reader, '/'))
        return false;
    size_t from = reader->at;
    if (!http_take(reader, '"'))
        return false;
    while (is_etagc(http_peek(reader)))
        reader->at++;
    if (!http_take(reader, '"'))
        return false;
    tag->opaque = http_taken(reader, from);
    return true;
}

/* False when the text is anything but one entity tag. */
static bool read_entity_tag(struct http_text text, struct entity_tag *tag)
{
    struct http_reader reader = http_reader_of(text);
    return take_entity_tag(&reader, tag) && http_at_end(&reader);
}

static bool tags_match(const struct entity_tag *one, const struct entity_tag *other,
                       enum comparison comparison)
{
    if (comparison == STRONG && (one->weak || other->weak))
        return false;
    return one->opaque.length == other->opaque.length &&
           memcmp(one->opaque.bytes, other->opaque.bytes, one->opaque.length) == 0;
}

/* Whether If-Match or If-None-Match names the representation. A list that is not well-formed up to
 * its end names nothing: If-Match then fails, and If-None-Match has all sent. */
static bool names_representation(struct http_text field, struct http_text etag,
                                 enum comparison comparison)
{
    if (field.length == 1 && field.bytes[0] == '*')
        return true; /* there is one */
    struct http_reader reader = http_reader_of(field);
    struct entity_tag ours;
    struct entity_tag theirs;
    bool tagged = read_entity_tag(etag, &ours);
    bool found = false;
    while (http_next_member(&reader)) {
        if (!take_entity_tag(&reader, &theirs) || !http_member_ends(&reader))
            return false;
        found = found || (tagged && tags_match(&ours, &theirs, comparison));
    }
    return found;
}

/* --- the conditions --- */

/* Whether the field and the representation have a date, and that of the representation is later.
 * When one of them has none, `otherwise`. */
static bool modified_since(struct http_text field, const struct http_validators *validators,
                           time_t now_s, bool otherwise)
{
    int64_t since_s;
    if (validators->modified_s < 0 || !http_date_parse(field, now_s, &since_s))
        return otherwise;
    return validators->modified_s > since_s;
}

int http_conditions_evaluate(const struct http_conditions *conditions,
                             const struct http_validators *validators, time_t now_s)
{
    if (conditions->if_match.bytes) {
        if (!names_representation(conditions->if_match, validators->etag, STRONG))
            return 412;
    } else if (modified_since(conditions->if_unmodified_since, validators, now_s, false)) {
        return 412;
    }
    if (conditions->if_none_match.bytes)
        return names_representation(conditions->if_none_match, validators->etag, WEAK) ? 304 : 0;
    return modified_since(conditions->if_modified_since, validators, now_s, true) ? 0 : 304;
}

bool http_conditions_allow_range(const struct http_conditions *conditions,
                                 const struct http_validators *validators, time_t now_s)
{
    struct entity_tag ours;
    struct entity_tag theirs;
    int64_t date_s;
    if (!conditions->if_range.bytes)
        return true;
    if (read_entity_tag(conditions->if_range, &theirs))
        return read_entity_tag(validators->etag, &ours) && tags_match(&ours, &theirs, STRONG);
    return http_date_parse(conditions->if_range, now_s, &date_s) &&
           date_s == validators->modified_s && date_s >= 0 && date_s < now_s;
}
