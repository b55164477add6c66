/* Conditional requests, beside memory that cannot be read. */
#include "http/conditions.h"

#include "http_support.h"

#include <glib.h>
#include <string.h>

static struct guarded guarded;

#define DATE     "Sun, 06 Nov 1994 08:49:37 GMT"
#define DATE_850 "Sunday, 06-Nov-94 08:49:37 GMT"
#define DATE_ASC "Sun Nov  6 08:49:37 1994"
#define EARLIER  "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER    "Sun, 06 Nov 1994 08:49:38 GMT"

enum {
    MODIFIED = 784111777, /* DATE */
    NOW = 1795323600,     /* in 2026 */
    UNKNOWN = -1,
};

struct tag_case {
    const char *name;
    const char *etag; /* NULL: none */
    const char *list;
    bool strong; /* whether If-Match holds */
    bool weak;   /* whether If-None-Match does not */
};

static const struct tag_case tags[] = {
    /* The examples of RFC 9110 sections 8.8.3.2, 13.1.1 and 13.1.2. */
    {"rfc-weak-weak", "W/\"1\"", "W/\"1\"", false, true},
    {"rfc-weak-weak-other", "W/\"1\"", "W/\"2\"", false, false},
    {"rfc-weak-strong", "W/\"1\"", "\"1\"", false, true},
    {"rfc-strong-weak", "\"1\"", "W/\"1\"", false, true},
    {"rfc-strong-strong", "\"1\"", "\"1\"", true, true},
    {"rfc-one", "\"xyzzy\"", "\"xyzzy\"", true, true},
    {"rfc-three", "\"r2d2xxxx\"", "\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\"", true, true},
    {"rfc-three-last", "\"c3piozzzz\"", "\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\"", true, true},
    {"rfc-three-none", "\"r2d2\"", "\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\"", false, false},
    {"rfc-three-weak", "\"r2d2xxxx\"", "W/\"xyzzy\", W/\"r2d2xxxx\", W/\"c3piozzzz\"", false, true},
    {"rfc-any", "\"xyzzy\"", "*", true, true},
    {"rfc-empty-tag", "\"\"", "\"\"", true, true},
    /* Any, and none. */
    {"any-no-etag", NULL, "*", true, true},
    {"any-weak", "W/\"a\"", "*", true, true},
    {"no-etag", NULL, "\"a\"", false, false},
    {"no-etag-empty-tag", NULL, "\"\"", false, false},
    {"any-quoted", "\"a\"", "\"*\"", false, false},
    {"any-is-a-tag", "\"*\"", "\"*\"", true, true},
    {"any-twice", "\"a\"", "*, *", false, false},
    {"any-in-list", "\"a\"", "\"a\", *", false, false},
    {"any-first-in-list", "\"a\"", "*, \"a\"", false, false},
    {"any-comma", "\"a\"", "*,", false, false},
    {"any-weak-mark", "\"a\"", "W/*", false, false},
    /* What is the same tag. */
    {"case", "\"a\"", "\"A\"", false, false},
    {"prefix", "\"ab\"", "\"a\"", false, false},
    {"longer", "\"a\"", "\"ab\"", false, false},
    {"spelling-of-weak", "\"W/\"", "\"W/\"", true, true},
    {"comma-inside", "\"a,b\"", "\"a,b\"", true, true},
    {"comma-inside-is-no-end", "\"b\"", "\"a,b\"", false, false},
    {"commas-inside", "\",,\"", "\"a\",\",,\",\"b\"", true, true},
    {"backslash", "\"a\\\"", "\"a\\\"", true, true},
    {"backslash-then-other", "\"b\"", "\"a\\\", \"b\"", true, true},
    {"backslash-only", "\"\\\"", "\"\\\"", true, true},
    {"high-bytes", "\"\x80\xff\"", "\"\x80\xff\"", true, true},
    {"exclamation-and-tilde", "\"!#~\"", "\"!#~\"", true, true},
    {"semicolon", "\"a;q=1\"", "\"a;q=1\"", true, true},
    /* White space and empty members. */
    {"spaces", "\"b\"", "\t\"a\" \t,\t \"b\"\t ", true, true},
    {"no-spaces", "\"b\"", "\"a\",\"b\"", true, true},
    {"empty-members", "\"b\"", ",, ,\"a\",\t,,\"b\",,", true, true},
    {"empty", "\"a\"", "", false, false},
    {"empty-members-only", "\"a\"", ", ,", false, false},
    {"space-only", "\"a\"", " ", false, false},
    {"empty-no-etag", NULL, "", false, false},
    {"many", "\"z\"", "\"a\",W/\"b\",\"c\",\"d\",\"e\",W/\"z\",\"f\",\"z\"", true, true},
    {"same-weak-and-strong", "\"z\"", "W/\"z\", \"z\"", true, true},
    /* Not well-formed, and so nothing. */
    {"no-quotes", "\"a\"", "a", false, false},
    {"open", "\"a\"", "\"a", false, false},
    {"only-closed", "\"a\"", "a\"", false, false},
    {"only-quote", "\"a\"", "\"", false, false},
    {"three-quotes", "\"a\"", "\"a\"\"", false, false},
    {"lower-case-weak", "W/\"a\"", "w/\"a\"", false, false},
    {"weak-no-slash", "W/\"a\"", "W\"a\"", false, false},
    {"weak-only", "W/\"a\"", "W/", false, false},
    {"weak-letter-only", "W/\"a\"", "W", false, false},
    {"weak-space", "W/\"a\"", "W/ \"a\"", false, false},
    {"weak-twice", "W/\"a\"", "W/W/\"a\"", false, false},
    {"weak-backslash", "W/\"a\"", "W\\\"a\"", false, false},
    {"space-inside", "\"a\"", "\"a \"", false, false},
    {"tab-inside", "\"a\"", "\"a\t\"", false, false},
    {"control-inside", "\"a\"", "\"a\x01\"", false, false},
    {"del-inside", "\"a\"", "\"a\x7f\"", false, false},
    {"space-inside-other", "\"a\"", "\"b \", \"a\"", false, false},
    {"tab-inside-other", "\"a\"", "\"b\t\", \"a\"", false, false},
    {"control-inside-other", "\"a\"", "\"\x1f\", \"a\"", false, false},
    {"del-inside-other", "\"a\"", "\"\x7f\", \"a\"", false, false},
    {"no-comma", "\"a\"", "\"a\" \"b\"", false, false},
    {"no-comma-no-space", "\"a\"", "\"a\"\"b\"", false, false},
    {"semicolon-between", "\"a\"", "\"a\"; \"b\"", false, false},
    {"bad-after-good", "\"a\"", "\"a\", b", false, false},
    {"bad-before-good", "\"a\"", "b, \"a\"", false, false},
    {"open-after-good", "\"a\"", "\"a\", \"", false, false},
    {"word-after-good", "\"a\"", "\"a\"b", false, false},
    {"date", "\"a\"", DATE, false, false},
    /* Should the representation's be none. */
    {"ours-no-quotes", "a", "\"a\"", false, false},
    {"ours-list", "\"a\", \"b\"", "\"a\", \"b\"", false, false},
    {"ours-empty", "", "\"a\"", false, false},
};

static struct http_text text_of(const char *bytes)
{
    return (struct http_text){bytes, bytes ? strlen(bytes) : 0};
}

static void check_tags(const struct tag_case *tag, struct http_text list)
{
    struct http_validators validators = {text_of(tag->etag), MODIFIED};
    struct http_conditions match = {.if_match = list};
    struct http_conditions none_match = {.if_none_match = list};
    g_assert_cmpint(http_conditions_evaluate(&match, &validators, NOW), ==, tag->strong ? 0 : 412);
    g_assert_cmpint(http_conditions_evaluate(&none_match, &validators, NOW), ==,
                    tag->weak ? 304 : 0);
}

static void test_tags(const void *data)
{
    const struct tag_case *tag = data;
    size_t length = strlen(tag->list);
    struct http_validators validators = {text_of(tag->etag), MODIFIED};
    check_tags(tag, (struct http_text){guarded_at_end(&guarded, tag->list, length), length});
    check_tags(tag, (struct http_text){guarded_at_start(&guarded, tag->list, length), length});
    for (size_t i = 0; i < length; i++) {
        struct http_text part = {guarded_at_end(&guarded, tag->list, i), i};
        struct http_conditions conditions = {.if_match = part, .if_none_match = part};
        struct http_conditions range = {.if_range = part};
        http_conditions_evaluate(&conditions, &validators, NOW);
        http_conditions_allow_range(&range, &validators, NOW);
    }
    /* Beside our own tag at the end of memory. */
    if (tag->etag) {
        size_t etag_length = strlen(tag->etag);
        struct http_text ours = {guarded_at_end(&guarded, tag->etag, etag_length), etag_length};
        struct http_conditions conditions = {.if_match = text_of(tag->list)};
        validators.etag = ours;
        g_assert_cmpint(http_conditions_evaluate(&conditions, &validators, NOW), ==,
                        tag->strong ? 0 : 412);
    }
}

struct order_case {
    const char *name;
    const char *match;
    const char *unmodified;
    const char *none_match;
    const char *modified;
    int expected; /* of an entity "a" of DATE */
    int no_etag;  /* of DATE alone */
    int no_date;  /* of "a" alone */
};

/* RFC 9110 section 13.2.2, step by step. */
static const struct order_case orders[] = {
    {"nothing", NULL, NULL, NULL, NULL, 0, 0, 0},
    {"match", "\"a\"", NULL, NULL, NULL, 0, 412, 0},
    {"match-not", "\"b\"", NULL, NULL, NULL, 412, 412, 412},
    {"match-then-unmodified", "\"a\"", EARLIER, NULL, NULL, 0, 412, 0},
    {"match-not-then-unmodified", "\"b\"", LATER, NULL, NULL, 412, 412, 412},
    {"match-any-then-unmodified", "*", EARLIER, NULL, NULL, 0, 0, 0},
    {"match-empty-then-unmodified", "", LATER, NULL, NULL, 412, 412, 412},
    {"unmodified-earlier", NULL, EARLIER, NULL, NULL, 412, 412, 0},
    {"unmodified-same", NULL, DATE, NULL, NULL, 0, 0, 0},
    {"unmodified-later", NULL, LATER, NULL, NULL, 0, 0, 0},
    {"unmodified-broken", NULL, "yesterday", NULL, NULL, 0, 0, 0},
    {"unmodified-empty", NULL, "", NULL, NULL, 0, 0, 0},
    {"unmodified-850", NULL, "Saturday, 05-Nov-94 08:49:37 GMT", NULL, NULL, 412, 412, 0},
    {"unmodified-asctime", NULL, "Sat Nov  5 08:49:37 1994", NULL, NULL, 412, 412, 0},
    {"unmodified-before-1970", NULL, "Wed, 31 Dec 1969 23:59:59 GMT", NULL, NULL, 412, 412, 0},
    {"none-match", NULL, NULL, "\"a\"", NULL, 304, 0, 304},
    {"none-match-not", NULL, NULL, "\"b\"", NULL, 0, 0, 0},
    {"none-match-any", NULL, NULL, "*", NULL, 304, 304, 304},
    {"none-match-then-modified", NULL, NULL, "\"a\"", EARLIER, 304, 0, 304},
    {"none-match-not-then-modified", NULL, NULL, "\"b\"", LATER, 0, 0, 0},
    {"none-match-empty-then-modified", NULL, NULL, "", LATER, 0, 0, 0},
    {"none-match-broken-then-modified", NULL, NULL, "a", DATE, 0, 0, 0},
    {"modified-earlier", NULL, NULL, NULL, EARLIER, 0, 0, 0},
    {"modified-same", NULL, NULL, NULL, DATE, 304, 304, 0},
    {"modified-same-850", NULL, NULL, NULL, DATE_850, 304, 304, 0},
    {"modified-same-asctime", NULL, NULL, NULL, DATE_ASC, 304, 304, 0},
    {"modified-later", NULL, NULL, NULL, LATER, 304, 304, 0},
    {"modified-in-future", NULL, NULL, NULL, "Fri, 31 Dec 9999 23:59:59 GMT", 304, 304, 0},
    {"modified-broken", NULL, NULL, NULL, "tomorrow", 0, 0, 0},
    {"modified-empty", NULL, NULL, NULL, "", 0, 0, 0},
    {"modified-list", NULL, NULL, NULL, DATE ", " DATE, 0, 0, 0},
    {"modified-length-after", NULL, NULL, NULL, DATE "; length=12", 0, 0, 0},
    {"both-tags", "\"a\"", NULL, "\"a\"", NULL, 304, 412, 304},
    {"both-tags-first-fails", "\"b\"", NULL, "\"a\"", NULL, 412, 412, 412},
    {"both-tags-second-fails", "\"a\"", NULL, "\"b\"", NULL, 0, 412, 0},
    {"both-dates", NULL, DATE, NULL, DATE, 304, 304, 0},
    {"both-dates-first-fails", NULL, EARLIER, NULL, LATER, 412, 412, 0},
    {"both-dates-second-fails", NULL, LATER, NULL, EARLIER, 0, 0, 0},
    {"match-and-modified", "\"a\"", NULL, NULL, DATE, 304, 412, 0},
    {"unmodified-and-none-match", NULL, DATE, "\"a\"", NULL, 304, 0, 304},
    {"unmodified-fails-and-none-match", NULL, EARLIER, "\"a\"", NULL, 412, 412, 304},
    {"all-go-on", "\"a\"", EARLIER, "\"b\"", LATER, 0, 412, 0},
    {"all-not-modified", "*", EARLIER, "W/\"a\"", EARLIER, 304, 0, 304},
    {"all-failed", "\"b\"", LATER, "\"b\"", EARLIER, 412, 412, 412},
};

static void test_order(const void *data)
{
    const struct order_case *order = data;
    struct http_conditions conditions = {
        .if_match = text_of(order->match),
        .if_none_match = text_of(order->none_match),
        .if_modified_since = text_of(order->modified),
        .if_unmodified_since = text_of(order->unmodified),
        .if_range = text_of("\"none\""), /* says nothing here */
    };
    struct http_validators both = {text_of("\"a\""), MODIFIED};
    struct http_validators no_etag = {text_of(NULL), MODIFIED};
    struct http_validators no_date = {text_of("\"a\""), UNKNOWN};
    g_assert_cmpint(http_conditions_evaluate(&conditions, &both, NOW), ==, order->expected);
    g_assert_cmpint(http_conditions_evaluate(&conditions, &no_etag, NOW), ==, order->no_etag);
    g_assert_cmpint(http_conditions_evaluate(&conditions, &no_date, NOW), ==, order->no_date);
}

struct range_case {
    const char *name;
    const char *value; /* NULL: no If-Range */
    const char *etag;
    int64_t modified_s;
    time_t now_s;
    bool allowed;
};

static const struct range_case ranges[] = {
    {"absent", NULL, "\"a\"", MODIFIED, NOW, true},
    {"absent-nothing-known", NULL, NULL, UNKNOWN, NOW, true},
    {"tag", "\"a\"", "\"a\"", MODIFIED, NOW, true},
    {"tag-fresh", "\"a\"", "\"a\"", NOW, NOW, true},
    {"tag-other", "\"b\"", "\"a\"", MODIFIED, NOW, false},
    {"tag-comma", "\"a,b\"", "\"a,b\"", MODIFIED, NOW, true},
    {"tag-weak", "W/\"a\"", "\"a\"", MODIFIED, NOW, false},
    {"tag-ours-weak", "\"a\"", "W/\"a\"", MODIFIED, NOW, false},
    {"tag-both-weak", "W/\"a\"", "W/\"a\"", MODIFIED, NOW, false},
    {"tag-none-of-ours", "\"a\"", NULL, MODIFIED, NOW, false},
    {"tag-list", "\"a\", \"b\"", "\"a\"", MODIFIED, NOW, false},
    {"tag-any", "*", "\"a\"", MODIFIED, NOW, false},
    {"tag-open", "\"a", "\"a\"", MODIFIED, NOW, false},
    {"tag-space-after", "\"a\" ", "\"a\"", MODIFIED, NOW, false},
    {"tag-no-quotes", "a", "\"a\"", MODIFIED, NOW, false},
    {"empty", "", "\"a\"", MODIFIED, NOW, false},
    {"date", DATE, "\"a\"", MODIFIED, NOW, true},
    {"date-no-etag", DATE, NULL, MODIFIED, NOW, true},
    {"date-weak-etag", DATE, "W/\"a\"", MODIFIED, NOW, true},
    {"date-850", DATE_850, "\"a\"", MODIFIED, NOW, true},
    {"date-asctime", DATE_ASC, "\"a\"", MODIFIED, NOW, true},
    {"date-earlier", EARLIER, "\"a\"", MODIFIED, NOW, false},
    {"date-later", LATER, "\"a\"", MODIFIED, NOW, false},
    {"date-unknown", DATE, "\"a\"", UNKNOWN, NOW, false},
    {"date-before-1970", "Wed, 31 Dec 1969 23:59:59 GMT", "\"a\"", UNKNOWN, NOW, false},
    {"date-1970", "Thu, 01 Jan 1970 00:00:00 GMT", "\"a\"", 0, NOW, true},
    {"date-this-second", DATE, "\"a\"", MODIFIED, MODIFIED, false},
    {"date-a-second-ago", DATE, "\"a\"", MODIFIED, MODIFIED + 1, true},
    {"date-in-future", DATE, "\"a\"", MODIFIED, MODIFIED - 1, false},
    {"date-broken", "Sun, 06 Nov 1994 08:49:37", "\"a\"", MODIFIED, NOW, false},
    {"date-weekday-only", "Wed", "\"a\"", MODIFIED, NOW, false},
    {"date-wednesday", "Wed, 06 Nov 1994 08:49:37 GMT", "\"a\"", MODIFIED, NOW, true},
};

static void test_range(const void *data)
{
    const struct range_case *range = data;
    struct http_validators validators = {text_of(range->etag), range->modified_s};
    struct http_text value = text_of(range->value);
    if (range->value)
        value.bytes = guarded_at_end(&guarded, range->value, value.length);
    struct http_conditions conditions = {.if_range = value, .if_match = text_of("\"none\"")};
    g_assert_cmpint(http_conditions_allow_range(&conditions, &validators, range->now_s), ==,
                    range->allowed);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guarded_open(&guarded, 4096);
    for (size_t i = 0; i < G_N_ELEMENTS(tags); i++) {
        g_autofree char *path = g_strconcat("/http/conditions/tags/", tags[i].name, NULL);
        g_test_add_data_func(path, &tags[i], test_tags);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autofree char *path = g_strconcat("/http/conditions/order/", orders[i].name, NULL);
        g_test_add_data_func(path, &orders[i], test_order);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        g_autofree char *path = g_strconcat("/http/conditions/range/", ranges[i].name, NULL);
        g_test_add_data_func(path, &ranges[i], test_range);
    }
    int status = g_test_run();
    guarded_close(&guarded);
    return status;
}
