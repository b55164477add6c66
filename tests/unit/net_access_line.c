/* Lines of the access log: whatever a client sends, a line is one line and says who asked what. */
#include "net/access_line.h"

#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

union peer {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

static union peer peer_at(const char *text)
{
    union peer peer = {0};
    if (inet_pton(AF_INET, text, &peer.ipv4.sin_addr) == 1) {
        peer.ipv4.sin_family = AF_INET;
        return peer;
    }
    g_assert_cmpint(inet_pton(AF_INET6, text, &peer.ipv6.sin6_addr), ==, 1);
    peer.ipv6.sin6_family = AF_INET6;
    return peer;
}

static struct http_text text_of(const char *bytes)
{
    return (struct http_text){bytes, bytes ? strlen(bytes) : 0};
}

/* The line of an entry, terminated; g_free() it. The sanitizers see writes out of bounds. */
static char *line_of(struct access_line *line, const struct access_entry *entry)
{
    size_t size = access_record_size(entry);
    struct access_record *record = g_malloc(size);
    char *text = g_malloc(ACCESS_LINE_MAX);
    access_record_fill(record, entry);
    size_t length = access_line_make(line, record, text);
    g_assert_cmpuint(length, <=, ACCESS_LINE_MAX);
    g_assert_cmpint(text[length - 1], ==, '\n');
    g_assert_true(memchr(text, '\n', length) == text + length - 1);
    char *copy = g_strndup(text, length);
    g_free(text);
    g_free(record);
    return copy;
}

static void expect(enum access_format format, const struct access_entry *entry,
                   const char *expected)
{
    struct access_line line = {.format = format};
    g_autofree char *text = line_of(&line, entry);
    g_assert_cmpstr(text, ==, expected);
}

static const union peer home = {.ipv4 = {.sin_family = AF_INET}};

/* 2026-11-22T02:31:48.007Z */
static struct access_entry entry_with(const char *method, const char *target)
{
    return (struct access_entry){.client = &home.any,
                                 .method = text_of(method),
                                 .target = text_of(target),
                                 .version_minor = 1,
                                 .status = 200,
                                 .body_bytes = 12,
                                 .duration_ns = 1234567,
                                 .time_ms = 1795314708007};
}

/* --- whole lines --- */

static void test_complete(void)
{
    union peer peer = peer_at("192.0.2.255");
    struct access_entry entry = entry_with("GET", "/a?b=c");
    entry.client = &peer.any;
    entry.body_bytes = UINT64_MAX;
    entry.duration_ns = UINT64_MAX;
    entry.referer = text_of("http://example.org/");
    entry.user_agent = text_of("curl/7.88.1");
    expect(ACCESS_COMBINED, &entry,
           "192.0.2.255 - - [22/Nov/2026:02:31:48 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
           "18446744073709551615 \"http://example.org/\" \"curl/7.88.1\"\n");
    expect(ACCESS_JSON, &entry,
           "{\"time\":\"2026-11-22T02:31:48.007Z\",\"client\":\"192.0.2.255\",\"method\":\"GET\","
           "\"target\":\"/a?b=c\",\"version\":\"HTTP/1.1\",\"status\":200,"
           "\"bytes\":18446744073709551615,\"duration_us\":18446744073709551,"
           "\"referer\":\"http://example.org/\",\"user_agent\":\"curl/7.88.1\"}\n");
}

static void test_absent(void)
{
    const struct access_entry entry = {.status = 400, .time_ms = 1};
    expect(ACCESS_COMBINED, &entry, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
    expect(ACCESS_JSON, &entry,
           "{\"time\":\"1970-01-01T00:00:00.001Z\",\"client\":null,\"method\":null,"
           "\"target\":null,\"version\":null,\"status\":400,\"bytes\":0,\"duration_us\":0,"
           "\"referer\":null,\"user_agent\":null}\n");
}

/* What was sent empty is not what was not sent. */
static void test_empty(void)
{
    struct access_entry entry = entry_with("GET", "/");
    entry.version_minor = 0;
    entry.referer = text_of("");
    entry.user_agent = text_of("");
    expect(ACCESS_COMBINED, &entry,
           "0.0.0.0 - - [22/Nov/2026:02:31:48 +0000] \"GET / HTTP/1.0\" 200 12 \"\" \"\"\n");
    expect(ACCESS_JSON, &entry,
           "{\"time\":\"2026-11-22T02:31:48.007Z\",\"client\":\"0.0.0.0\",\"method\":\"GET\","
           "\"target\":\"/\",\"version\":\"HTTP/1.0\",\"status\":200,\"bytes\":12,"
           "\"duration_us\":1234,\"referer\":\"\",\"user_agent\":\"\"}\n");
}

static void test_clients(void)
{
    static const char *const cases[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"127.0.0.1", "127.0.0.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:db8::10:0:1", "2001:db8::10:0:1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        union peer peer = peer_at(cases[i][0]);
        struct access_line line = {.format = ACCESS_COMBINED};
        struct access_entry entry = entry_with("GET", "/");
        entry.client = &peer.any;
        g_autofree char *text = line_of(&line, &entry);
        g_autofree char *begin = g_strconcat(cases[i][1], " - - [", NULL);
        g_assert_true(g_str_has_prefix(text, begin));
    }
    const union peer local = {.local.sun_family = AF_UNIX};
    struct access_entry entry = {.client = &local.any, .status = 200};
    expect(ACCESS_COMBINED, &entry, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 200 0 \"-\" \"-\"\n");
}

static void test_times(void)
{
    static const struct {
        int64_t time_ms;
        const char *combined, *json;
    } cases[] = {
        {0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.000Z"},
        {999, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.999Z"},
        {1000, "01/Jan/1970:00:00:01 +0000", "1970-01-01T00:00:01.000Z"},
        {951827696789, "29/Feb/2000:12:34:56 +0000", "2000-02-29T12:34:56.789Z"},
        {951827696790, "29/Feb/2000:12:34:56 +0000", "2000-02-29T12:34:56.790Z"},
        {253402300799999, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.999Z"},
        {500, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.500Z"}, /* set back */
    };
    struct access_line combined = {.format = ACCESS_COMBINED};
    struct access_line json = {.format = ACCESS_JSON};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct access_entry entry = entry_with("GET", "/");
        entry.time_ms = cases[i].time_ms;
        g_autofree char *one = line_of(&combined, &entry);
        g_autofree char *other = line_of(&json, &entry);
        g_assert_nonnull(strstr(one, cases[i].combined));
        g_assert_nonnull(strstr(other, cases[i].json));
    }
}

/* --- hostile bytes --- */

static void expect_agent(enum access_format format, struct http_text sent, const char *expected)
{
    struct access_line line = {.format = format};
    struct access_entry entry = entry_with("GET", "/");
    entry.user_agent = sent;
    g_autofree char *text = line_of(&line, &entry);
    const char *form = format == ACCESS_JSON ? ",\"user_agent\":\"%s\"}\n" : " \"-\" \"%s\"\n";
    g_autofree char *end = g_strdup_printf(form, expected);
    if (!g_str_has_suffix(text, end))
        g_error("%s does not end in %s", text, end);
}

static void test_hostile_bytes(void)
{
#define SENT(bytes)              \
    {                            \
        bytes, sizeof(bytes) - 1 \
    }
    static const struct {
        struct http_text sent;
        const char *combined, *json;
    } cases[] = {
        {SENT(" ~!'/<>&%00"), " ~!'/<>&%00", " ~!'/<>&%00"},
        {SENT("\" 200 \""), "\\x22 200 \\x22", "\\\" 200 \\\""},
        {SENT("\\x22"), "\\x5Cx22", "\\\\x22"},
        {SENT("a\r\nb\tc"), "a\\x0D\\x0Ab\\x09c", "a\\u000D\\u000Ab\\u0009c"},
        {SENT("\0\1\x1f\x7f"), "\\x00\\x01\\x1F\\x7F", "\\u0000\\u0001\\u001F\\u007F"},
        {SENT("\x1b[2J"), "\\x1B[2J", "\\u001B[2J"},
        {SENT("\xc3\xa9"), "\\xC3\\xA9", "\xc3\xa9"},
        {SENT("\xe2\x82\xac"), "\\xE2\\x82\\xAC", "\xe2\x82\xac"},
        {SENT("\xf0\x9f\x98\x80"), "\\xF0\\x9F\\x98\\x80", "\xf0\x9f\x98\x80"},
        {SENT("\xf4\x8f\xbf\xbf"), "\\xF4\\x8F\\xBF\\xBF", "\xf4\x8f\xbf\xbf"},
        {SENT("\xc2\x9bK"), "\\xC2\\x9BK", "\\u009BK"}, /* a control sequence for terminals */
        {SENT("\xc2\xa0"), "\\xC2\\xA0", "\xc2\xa0"},
        {SENT("\x80"), "\\x80", "\\ufffd"},
        {SENT("a\xff\xfe!"), "a\\xFF\\xFE!", "a\\ufffd\\ufffd!"},
        {SENT("\xc3"), "\\xC3", "\\ufffd"},
        {SENT("\xe2\x82"), "\\xE2\\x82", "\\ufffd\\ufffd"},
        {SENT("\xe2\x82\""), "\\xE2\\x82\\x22", "\\ufffd\\ufffd\\\""},
        {SENT("\xc0\xaf"), "\\xC0\\xAF", "\\ufffd\\ufffd"},                 /* overlong */
        {SENT("\xed\xa0\x80"), "\\xED\\xA0\\x80", "\\ufffd\\ufffd\\ufffd"}, /* surrogate */
        {SENT("\xf4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    };
#undef SENT
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect_agent(ACCESS_COMBINED, cases[i].sent, cases[i].combined);
        expect_agent(ACCESS_JSON, cases[i].sent, cases[i].json);
    }
}

/* Reads a JSON string and returns what is behind it. */
static const char *skip_json_string(const char *at)
{
    g_assert_cmpint(*at, ==, '"');
    at++;
    while (*at != '"') {
        g_assert_cmpuint((unsigned char)*at, >=, 0x20);
        if (*at++ != '\\')
            continue;
        if (*at == 'u') {
            for (int i = 1; i <= 4; i++)
                g_assert_true(g_ascii_isxdigit(at[i]));
            at += 5;
        } else {
            g_assert_true(*at == '"' || *at == '\\');
            at++;
        }
    }
    return at + 1;
}

static void expect_json(const char *text)
{
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_cmpint(*text, ==, '{');
    for (int members = 1;; members++) {
        text = skip_json_string(text + 1);
        g_assert_cmpint(*text, ==, ':');
        text++;
        if (*text == '"')
            text = skip_json_string(text);
        else if (g_str_has_prefix(text, "null"))
            text += 4;
        else
            text += strspn(text, "0123456789");
        if (*text == ',')
            continue;
        g_assert_cmpstr(text, ==, "}\n");
        g_assert_cmpint(members, ==, 10);
        return;
    }
}

static struct http_text random_text(size_t max)
{
    size_t length = (size_t)g_test_rand_int_range(0, (gint32)max);
    char *bytes = g_malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)g_test_rand_int_range(g_test_rand_bit() ? 0xc0 : 0, 0x100);
    return (struct http_text){bytes, length};
}

static void test_random_bytes(void)
{
    struct access_line combined = {.format = ACCESS_COMBINED};
    struct access_line json = {.format = ACCESS_JSON};
    for (int i = 0; i < 2000; i++) {
        struct access_entry entry = entry_with(NULL, NULL);
        size_t max = i % 10 ? 40 : 6000;
        struct http_text texts[] = {random_text(max), random_text(max), random_text(max)};
        entry.method = texts[0];
        entry.target = texts[1];
        entry.user_agent = texts[2];
        g_autofree char *one = line_of(&combined, &entry);
        g_autofree char *other = line_of(&json, &entry);
        for (const char *at = one; *at != '\n'; at++)
            g_assert_true(*at >= 0x20 && *at <= 0x7e);
        expect_json(other);
        for (size_t k = 0; k < G_N_ELEMENTS(texts); k++)
            g_free((char *)texts[k].bytes);
    }
}

/* --- long texts --- */

static void test_long_texts_are_cut(void)
{
    static const size_t sizes[] = {ACCESS_METHOD_MAX, ACCESS_TARGET_MAX, ACCESS_REFERER_MAX,
                                   ACCESS_AGENT_MAX};
    for (size_t more = 0; more <= 70000; more += more ? 69999 : 1) {
        char *sent[4];
        char *kept[4];
        const char *end = more ? "..." : "";
        struct access_line line = {.format = ACCESS_COMBINED};
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
            sent[i] = g_strnfill(sizes[i] + more, 'x');
            kept[i] = g_strnfill(sizes[i], 'x');
        }
        struct access_entry entry = entry_with(sent[0], sent[1]);
        entry.referer = text_of(sent[2]);
        entry.user_agent = text_of(sent[3]);
        g_autofree char *text = line_of(&line, &entry);
        g_autofree char *expected = g_strdup_printf(
            "0.0.0.0 - - [22/Nov/2026:02:31:48 +0000] \"%s%s %s%s HTTP/1.1\" 200 12 "
            "\"%s%s\" \"%s%s\"\n",
            kept[0], end, kept[1], end, kept[2], end, kept[3], end);
        g_assert_cmpstr(text, ==, expected);
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
            g_free(sent[i]);
            g_free(kept[i]);
        }
    }
}

/* Every byte grows as much as it can. */
static void test_longest_lines_have_room(void)
{
    union peer peer = peer_at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    g_autofree char *bytes = g_strnfill(10000, '\x80');
    struct access_entry entry = {.client = &peer.any,
                                 .method = {bytes, 10000},
                                 .target = {bytes, 10000},
                                 .referer = {bytes, 10000},
                                 .user_agent = {bytes, 10000},
                                 .version_minor = 255,
                                 .status = -1,
                                 .body_bytes = UINT64_MAX,
                                 .duration_ns = UINT64_MAX,
                                 .time_ms = 253402300799999};
    struct access_line json = {.format = ACCESS_JSON};
    struct access_line combined = {.format = ACCESS_COMBINED};
    g_autofree char *one = line_of(&json, &entry);
    g_autofree char *other = line_of(&combined, &entry);
    expect_json(one);
    g_assert_true(g_str_has_suffix(other, "\\x80...\"\n"));
    g_assert_cmpuint(strlen(one), >, 6 * ACCESS_TEXT_MAX);
}

#define ADD(path, function) g_test_add_func("/net/access-line/" path, test_##function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("complete", complete);
    ADD("absent", absent);
    ADD("empty", empty);
    ADD("clients", clients);
    ADD("times", times);
    ADD("hostile-bytes", hostile_bytes);
    ADD("random-bytes", random_bytes);
    ADD("cut", long_texts_are_cut);
    ADD("longest", longest_lines_have_room);
    return g_test_run();
}
