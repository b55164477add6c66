#include "handlers/file_answer.h"

#include "handlers/file_body.h"
#include "http/accept.h"
#include "http/ranges.h"
#include "http/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

/* --- what the request says --- */

static const struct {
    const char *name;
    size_t length;
    size_t at; /* in struct file_fields */
    bool is_list;
} wanted[] = {
#define WANTED(name, member, is_list)                                         \
    {                                                                         \
        name, sizeof(name) - 1, offsetof(struct file_fields, member), is_list \
    }
    WANTED("Range", range, false),
    WANTED("If-Match", conditions.if_match, true),
    WANTED("If-Range", conditions.if_range, false),
    WANTED("If-None-Match", conditions.if_none_match, true),
    WANTED("Accept-Encoding", accept_encoding, true),
    WANTED("If-Modified-Since", conditions.if_modified_since, false),
    WANTED("If-Unmodified-Since", conditions.if_unmodified_since, false),
#undef WANTED
};

static struct http_text *field_at(struct file_fields *fields, size_t w)
{
    return (struct http_text *)((char *)fields + wanted[w].at);
}

/* Joins the fields that came more than once. False when memory is short. */
static bool join(struct http_request *request, struct file_fields *fields, unsigned several)
{
    for (size_t w = 0; several; w++, several >>= 1) {
        if (!(several & 1))
            continue;
        *field_at(fields, w) = http_request_header_list(request, wanted[w].name);
        if (!field_at(fields, w)->bytes)
            return false;
    }
    return true;
}

bool file_fields_read(struct http_request *request, struct file_fields *fields)
{
    struct http_text name;
    struct http_text value;
    unsigned several = 0;
    *fields = (struct file_fields){0};
    for (size_t i = 0; http_request_field(request, i, &name, &value); i++) {
        for (size_t w = 0; w < sizeof(wanted) / sizeof(wanted[0]); w++) {
            if (name.length != wanted[w].length ||
                !http_names_equal(name, wanted[w].name, wanted[w].length))
                continue;
            if (!field_at(fields, w)->bytes)
                *field_at(fields, w) = value;
            else if (wanted[w].is_list)
                several |= 1u << w;
        }
    }
    return join(request, fields, several);
}

/* --- codings --- */

static void weigh(struct http_text field, int weights[CODING_COUNT])
{
    for (int i = 0; i < CODING_COUNT; i++)
        weights[i] = http_accept_coding(field, coding_name(i));
    /* Acceptable unless excluded, but anything that the client names is better (RFC 9110
     * section 12.5.3). */
    if (weights[CODING_IDENTITY] == HTTP_WEIGHT_NONE)
        weights[CODING_IDENTITY] = 1;
}

/* The weights of this field: those kept when it is the one that came last. */
static const int *weigh_kept(struct http_text field, struct coding_weights *kept)
{
    if (field.length == 0 || field.length > sizeof(kept->field)) {
        kept->length = 0;
        weigh(field, kept->weights);
    } else if (field.length != kept->length ||
               memcmp(field.bytes, kept->field, field.length) != 0) {
        weigh(field, kept->weights);
        memcpy(kept->field, field.bytes, field.length);
        kept->length = field.length;
    }
    return kept->weights;
}

/* How much the client likes a coding, then whether there is a file in it already, then whether it
 * is smaller than the file as it is. 0: not to be had. */
static int score(const struct file_content *content, enum coding coding, int weight, bool makes)
{
    const struct file_form *form = &content->forms[coding];
    bool is_there = file_form_is_there(form);
    if (weight <= 0 || !(is_there || (makes && file_content_offers(content, coding))))
        return 0;
    if (coding == CODING_IDENTITY)
        return 4 * weight;
    return 4 * weight + (is_there && !form->made ? 2 : 1);
}

enum coding file_choose_coding(const struct file_content *content, struct http_text accept_encoding,
                               bool makes, struct coding_weights *kept)
{
    if (!accept_encoding.bytes)
        return CODING_IDENTITY;
    const int *weights = weigh_kept(accept_encoding, kept);
    enum coding best = CODING_COUNT;
    int best_score = 0;
    for (int i = 0; i < CODING_COUNT; i++) {
        int its_score = score(content, i, weights[i], makes);
        if (its_score > best_score) {
            best = i;
            best_score = its_score;
        }
    }
    return best;
}

/* --- answers --- */

static struct http_text lines_of(const struct file_form *form, size_t from, size_t to)
{
    return (struct http_text){form->lines + from, to - from};
}

static void release_content(void *content)
{
    file_content_release(content);
}

static int respond(struct http_request *request, struct http_response *response, int status,
                   const char *content_type, struct file_content *content, struct file_form *form,
                   const struct http_piece *pieces, size_t count, struct pool *pool)
{
    if (!form->body)
        return file_body_respond(request, response, status, content_type, content, form, pieces,
                                 count, pool);
    const struct http_source source = {
        .fd = -1, .release = release_content, .arg = file_content_keep(content)};
    return http_respond_from(response, status, content_type, &source, pieces, count);
}

/* Bytes of the form from `first`, in memory or in its file. */
static struct http_piece piece_of(const struct file_form *form, uint64_t first, uint64_t length)
{
    return (struct http_piece){.bytes = form->body ? form->body + first : NULL,
                               .offset = (int64_t)first,
                               .length = length};
}

static int respond_whole(struct http_request *request, struct http_response *response, int status,
                         struct file_content *content, struct file_form *form, struct pool *pool)
{
    const struct http_piece all = piece_of(form, 0, form->length);
    return respond(request, response, status, content->content_type, content, form, &all, 1, pool);
}

static int respond_range(struct http_request *request, struct http_response *response,
                         struct file_content *content, struct file_form *form,
                         struct http_range range, struct pool *pool)
{
    char value[80];
    const struct http_piece part = piece_of(form, range.first, range.length);
    snprintf(value, sizeof(value), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.first,
             range.first + range.length - 1, form->length);
    int error = http_response_header(response, "Content-Range", value);
    if (error)
        return error;
    return respond(request, response, 206, content->content_type, content, form, &part, 1, pool);
}

enum {
    BOUNDARY_LENGTH = 32,
    PART_HEAD_MAX = 256, /* but for the type: delimiter, names of fields, three numbers */
};

/* The boundary must not occur in the content: nobody can have put it there who could not foresee
 * it. */
static bool make_boundary(char boundary[BOUNDARY_LENGTH + 1])
{
    uint64_t numbers[2];
    if (getrandom(numbers, sizeof(numbers), 0) != sizeof(numbers))
        return false;
    snprintf(boundary, BOUNDARY_LENGTH + 1, "%016" PRIx64 "%016" PRIx64, numbers[0], numbers[1]);
    return true;
}

/* multipart/byteranges (RFC 9110 section 14.6): before each range a head, after the last the end.
 */
static int respond_ranges(struct http_request *request, struct http_response *response,
                          struct file_content *content, struct file_form *form,
                          const struct http_range *ranges, size_t count, struct pool *pool)
{
    char boundary[BOUNDARY_LENGTH + 1];
    char type[BOUNDARY_LENGTH + 64];
    struct http_piece pieces[2 * HTTP_RANGES_MAX + 1];
    size_t head_max = PART_HEAD_MAX + strlen(content->content_type);
    char *text = http_request_alloc(request, (count + 1) * head_max);
    if (!text || !make_boundary(boundary))
        return -ENOMEM;
    for (size_t i = 0; i <= count; i++, text += head_max) {
        int length =
            i < count ? snprintf(text, head_max,
                                 "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64
                                 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                                 i ? "\r\n" : "", boundary, content->content_type, ranges[i].first,
                                 ranges[i].first + ranges[i].length - 1, form->length)
                      : snprintf(text, head_max, "\r\n--%s--\r\n", boundary);
        pieces[2 * i] = (struct http_piece){.bytes = text, .length = (uint64_t)length};
        if (i < count)
            pieces[2 * i + 1] = piece_of(form, ranges[i].first, ranges[i].length);
    }
    snprintf(type, sizeof(type), "multipart/byteranges; boundary=%s", boundary);
    return respond(request, response, 206, type, content, form, pieces, 2 * count + 1, pool);
}

static int refuse_ranges(struct http_response *response, const struct file_form *form)
{
    char value[40];
    snprintf(value, sizeof(value), "bytes */%" PRIu64, form->length);
    int error = http_response_lines(response, lines_of(form, form->cached_at, form->lasting_at));
    error = error ? error : http_response_header(response, "Content-Range", value);
    return error ? error : 416;
}

/* Range is defined for GET only (RFC 9110 section 14.2). */
static int read_ranges(const struct http_request *request, const struct file_fields *fields,
                       const struct http_validators *validators, const struct file_form *form,
                       struct http_range ranges[HTTP_RANGES_MAX])
{
    if (!fields->range.bytes || !http_request_method_is(request, "GET") ||
        !http_conditions_allow_range(&fields->conditions, validators, time(NULL)))
        return 0;
    return http_ranges_parse(fields->range, form->length, ranges);
}

static bool is_conditional(const struct http_conditions *conditions)
{
    return conditions->if_match.bytes || conditions->if_none_match.bytes ||
           conditions->if_modified_since.bytes || conditions->if_unmodified_since.bytes;
}

int file_answer(struct http_request *request, struct http_response *response,
                const struct file_fields *fields, struct file_content *content, enum coding coding,
                struct pool *pool)
{
    struct file_form *form = &content->forms[coding];
    const struct http_validators validators = {form->etag, content->modified_s};
    struct http_range ranges[HTTP_RANGES_MAX];
    int status = is_conditional(&fields->conditions)
                     ? http_conditions_evaluate(&fields->conditions, &validators, time(NULL))
                     : 0;
    if (status) {
        size_t end = status == 304 ? form->cached_end : form->lasting_at;
        int error = http_response_lines(response, lines_of(form, form->cached_at, end));
        if (error || status != 304)
            return error ? error : status;
        return http_respond(response, status, NULL, NULL, 0);
    }
    int count = read_ranges(request, fields, &validators, form, ranges);
    if (count == 416)
        return refuse_ranges(response, form);
    int error = http_response_lines(response, lines_of(form, 0, form->lines_length));
    if (error)
        return error;
    if (count == 1)
        return respond_range(request, response, content, form, ranges[0], pool);
    if (count > 1)
        return respond_ranges(request, response, content, form, ranges, (size_t)count, pool);
    return respond_whole(request, response, 200, content, form, pool);
}

int file_answer_error(struct http_request *request, struct http_response *response, int status,
                      struct file_content *content, enum coding coding, struct pool *pool)
{
    struct file_form *form = &content->forms[coding];
    int error = http_response_lines(response, lines_of(form, 0, form->lasting_at));
    return error ? error : respond_whole(request, response, status, content, form, pool);
}
