/* From a file and a request's fields to the answer: conditions, ranges, heads to the byte. */
#include "exchange_support.h"
#include "file_faults.h"
#include "tree_support.h"

#include "handlers/file_answer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- lists --- */

static unsigned joins;

struct http_text wrap_list(struct http_request *request,
                           const char *name) __asm__("__wrap_http_request_header_list");
struct http_text real_list(struct http_request *request,
                           const char *name) __asm__("__real_http_request_header_list");

struct http_text wrap_list(struct http_request *request, const char *name)
{
    joins++;
    return real_list(request, name);
}

/* --- a file and a request for it --- */

struct scene {
    struct tree tree;
    struct file_content *content;
    struct coding_weights weights;
    int error_status; /* 0: file_answer() */
    char *tag;
    char *gzip_tag;
};

static char *tag_of(const struct file_content *content, enum coding coding)
{
    return g_strndup(content->forms[coding].etag.bytes, content->forms[coding].etag.length);
}

static void begin(struct scene *scene, bool in_memory, bool racy)
{
    static const char *const cache_control[] = {"*.txt=max-age=5", NULL};
    static const char *const headers[] = {"A: b", NULL};
    static const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    *scene = (struct scene){0};
    no_faults();
    clock_ahead_s = 60;
    tree_open(&scene->tree, NULL);
    tree_set_policy(&scene->tree, cache_control, headers);
    scene->tree.settings.memory_max = in_memory ? 1000 : 0;
    g_autofree char *path = tree_name(&scene->tree, "a.txt");
    tree_write_text(&scene->tree, "a.txt", "0123456789");
    tree_write_text(&scene->tree, "a.txt.gz", "gzip");
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
    clock_at_ns = racy ? tree_changed_ns(&scene->tree, "a.txt") : 0;
    scene->content = tree_load(&scene->tree, "a.txt");
    scene->tag = tag_of(scene->content, CODING_IDENTITY);
    scene->gzip_tag = tag_of(scene->content, CODING_GZIP);
}

static void end(struct scene *scene)
{
    g_assert_cmpuint(scene->content->references, ==, 1);
    file_content_release(scene->content);
    g_free(scene->tag);
    g_free(scene->gzip_tag);
    tree_close(&scene->tree);
}

static int serve(struct http_request *request, struct http_response *response, void *arg)
{
    struct scene *scene = arg;
    struct file_fields fields;
    file_fields_read(request, &fields);
    enum coding coding =
        file_choose_coding(scene->content, fields.accept_encoding, false, &scene->weights);
    if (coding == CODING_COUNT)
        return 406;
    if (scene->error_status)
        return file_answer_error(request, response, scene->error_status, scene->content, coding,
                                 NULL);
    return file_answer(request, response, &fields, scene->content, coding, NULL);
}

/* What is not in `out`, but to be sent from elsewhere. */
static void append_rest(GString *text, const struct http_rest *rest)
{
    uint64_t left = rest->left;
    for (const struct http_piece *piece = rest->piece; left; left -= piece->length, piece++) {
        g_autofree char *bytes = g_malloc0(piece->length + 1);
        if (piece->bytes)
            memcpy(bytes, piece->bytes, piece->length);
        else
            g_assert_cmpint(pread(rest->source.fd, bytes, piece->length, piece->offset), ==,
                            (ssize_t)piece->length);
        g_string_append(text, bytes);
    }
}

/* The answer, with words in place of what differs from run to run. */
static char *ask(struct scene *scene, const char *method, const char *fields)
{
    struct lone lone;
    g_autoptr(GString) head = g_string_new(NULL);
    g_string_printf(head, "%s /a.txt HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
    g_string_replace(head, "GZIPTAG", scene->gzip_tag, 0);
    g_string_replace(head, "TAG", scene->tag, 0);
    lone_init(&lone);
    lone_parse(&lone, head->str);
    lone.route.arg = scene;
    lone_answer(&lone, serve);
    g_assert_cmpuint(lone.complaints, ==, 0);
    GString *text = g_string_new_len(lone.out.bytes, (gssize)lone.out.length);
    append_rest(text, &lone.exchange.response.rest);
    g_autofree char *common = g_strndup(http_date_common(&lone.date), HTTP_COMMON_LENGTH);
    g_string_replace(text, common, "", 0);
    lone_fini(&lone);
    g_string_replace(text, scene->gzip_tag, "GZIPTAG", 0);
    g_string_replace(text, scene->tag, "TAG", 0);
    const char *boundary = strstr(text->str, "boundary=");
    if (boundary) {
        g_autofree char *word = g_strndup(boundary + strlen("boundary="), 32);
        g_assert_cmpuint(strspn(word, "0123456789abcdef"), ==, 32);
        g_string_replace(text, word, "[EIGHTEEN BYTES AND FOURTEEN OF]", 0);
    }
    return g_string_free(text, FALSE);
}

/* --- answers --- */

#define OK           "HTTP/1.1 200 OK\r\n"
#define PARTIAL      "HTTP/1.1 206 Partial Content\r\n"
#define TYPE         "Content-Type: text/plain; charset=utf-8\r\n"
#define LENGTH(n)    "Content-Length: " #n "\r\n"
#define NOSNIFF      "X-Content-Type-Options: nosniff\r\n"
#define CACHED       "Vary: Accept-Encoding\r\nA: b\r\n"
#define DATE         "Sun, 09 Sep 2001 01:46:40 GMT"
#define LASTING      "Cache-Control: max-age=5\r\n"
#define TAGGED(tag)  LASTING "ETag: " tag "\r\nLast-Modified: " DATE "\r\n"
#define FIELDS(tag)  NOSNIFF CACHED TAGGED(tag) "Accept-Ranges: bytes\r\n"
#define PART(range)  "Content-Range: bytes " range "\r\n"
#define WHOLE        OK TYPE LENGTH(10) FIELDS("TAG") "\r\n0123456789"
#define GZIP         OK TYPE LENGTH(4) "Content-Encoding: gzip\r\n" FIELDS("GZIPTAG") "\r\ngzip"
#define NOT_MODIFIED "HTTP/1.1 304 Not Modified\r\n" CACHED TAGGED("TAG") "\r\n"
#define FAILED                                                                              \
    "HTTP/1.1 412 Precondition Failed\r\n" TYPE LENGTH(24) CACHED "\r\n412 Precondition Fa" \
                                                                  "iled\n"
#define UNSATISFIABLE                                                                         \
    "HTTP/1.1 416 Range Not Satisfiable\r\n" TYPE LENGTH(26) CACHED PART("*/10") "\r\n416 "   \
                                                                                 "Range Not " \
                                                                                 "Satisfiable\n"
#define RANGE(range, n, bytes) PARTIAL TYPE LENGTH(n) FIELDS("TAG") PART(range "/10") "\r\n" bytes
#define DELIMITER              "--[EIGHTEEN BYTES AND FOURTEEN OF]"
#define MULTIPART(n)                                                                     \
    PARTIAL "Content-Type: multipart/byteranges; boundary=[EIGHTEEN BYTES AND FOURTEEN " \
            "OF]\r\n" LENGTH(n) FIELDS("TAG") "\r\n"

static const struct {
    const char *fields;
    const char *answer;
} gets[] = {
    {"", WHOLE},
    {"Accept-Encoding: gzip\r\n", GZIP},
    {"Accept-Encoding: br;q=1\r\nAccept-Encoding: gzip;q=0.5\r\n", GZIP},
    {"Accept-Encoding: gzip;q=0\r\n", WHOLE},
    {"If-None-Match: TAG\r\n", NOT_MODIFIED},
    {"If-None-Match: W/TAG\r\n", NOT_MODIFIED},
    {"If-None-Match: *\r\n", NOT_MODIFIED},
    {"If-None-Match: \"x\"\r\nIf-None-Match: \"y\", TAG\r\n", NOT_MODIFIED},
    {"If-None-Match: GZIPTAG\r\n", WHOLE},
    {"If-None-Match: TAG\r\nAccept-Encoding: gzip\r\n", GZIP},
    {"If-None-Match: TAG\r\nRange: bytes=0-1\r\n", NOT_MODIFIED},
    {"If-None-Match: \"x\"\r\nIf-Modified-Since: " DATE "\r\n", WHOLE},
    {"If-Modified-Since: " DATE "\r\n", NOT_MODIFIED},
    {"If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", WHOLE},
    {"If-Modified-Since: yesterday\r\n", WHOLE},
    {"If-Unmodified-Since: " DATE "\r\n", WHOLE},
    {"If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", FAILED},
    {"If-Match: TAG\r\n", WHOLE},
    {"If-Match: \"x\"\r\nIf-Match: TAG\r\n", WHOLE},
    {"If-Match: *\r\n", WHOLE},
    {"If-Match: W/TAG\r\n", FAILED},
    {"If-Match: \"x\"\r\nRange: bytes=20-\r\n", FAILED},
    {"If-Match: TAG\r\nIf-None-Match: TAG\r\n", NOT_MODIFIED},
    {"Range: bytes=2-4\r\n", RANGE("2-4", 3, "234")},
    {"Range: bytes=0-\r\n", RANGE("0-9", 10, "0123456789")},
    {"Range: bytes=-3\r\n", RANGE("7-9", 3, "789")},
    {"Range: bytes=9-100\r\n", RANGE("9-9", 1, "9")},
    {"Range: bytes=20-30,5-5\r\n", RANGE("5-5", 1, "5")},
    {"Range: bytes=1-2\r\nRange: bytes=3-4\r\n", RANGE("1-2", 2, "12")},
    {"Range: bytes=10-\r\n", UNSATISFIABLE},
    {"Range: bytes=10-11,-0\r\n", UNSATISFIABLE},
    {"Range: lines=1-2\r\n", WHOLE},
    {"Range: bytes=2-1\r\n", WHOLE},
    {"Range: bytes=0-1\r\nIf-Range: TAG\r\n", RANGE("0-1", 2, "01")},
    {"Range: bytes=0-1\r\nIf-Range: " DATE "\r\n", RANGE("0-1", 2, "01")},
    {"Range: bytes=0-1\r\nIf-Range: W/TAG\r\n", WHOLE},
    {"Range: bytes=0-1\r\nIf-Range: GZIPTAG\r\n", WHOLE},
    {"Range: bytes=20-\r\nIf-Range: \"x\"\r\n", WHOLE},
    {"If-Range: \"x\"\r\n", WHOLE},
    {"Range: bytes=1-2\r\nAccept-Encoding: gzip\r\n",
     PARTIAL TYPE LENGTH(2) "Content-Encoding: gzip\r\n" FIELDS("GZIPTAG") PART("1-2/4") "\r\nzi"},
    {"Range: bytes=0-1,5-6\r\n", MULTIPART(262) DELIMITER
     "\r\n" TYPE PART("0-1/10") "\r\n01\r\n" DELIMITER
                                "\r\n" TYPE PART("5-6/10") "\r\n56\r\n" DELIMITER "--\r\n"},
    {"Range: bytes=-1, 30-, 0-0\r\n", MULTIPART(260) DELIMITER
     "\r\n" TYPE PART("9-9/10") "\r\n9\r\n" DELIMITER
                                "\r\n" TYPE PART("0-0/10") "\r\n0\r\n" DELIMITER "--\r\n"},
};

static void test_get(void)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        struct scene scene;
        begin(&scene, in_memory, false);
        for (size_t i = 0; i < G_N_ELEMENTS(gets); i++) {
            g_test_message("%s", gets[i].fields);
            g_autofree char *answer = ask(&scene, "GET", gets[i].fields);
            g_assert_cmpstr(answer, ==, gets[i].answer);
        }
        end(&scene);
    }
}

/* As GET without Range, but for the body. */
static void test_head(void)
{
    struct scene scene;
    begin(&scene, true, false);
    for (size_t i = 0; i < G_N_ELEMENTS(gets); i++) {
        g_autofree char *answer = ask(&scene, "HEAD", gets[i].fields);
        bool ranged = g_str_has_prefix(gets[i].answer, PARTIAL) ||
                      g_str_has_prefix(gets[i].answer, "HTTP/1.1 416");
        bool gzip = strstr(gets[i].fields, "gzip") && !strstr(gets[i].fields, "q=0\r");
        g_autofree char *expected = g_strdup(!ranged ? gets[i].answer : gzip ? GZIP : WHOLE);
        strstr(expected, "\r\n\r\n")[4] = '\0';
        g_assert_cmpstr(answer, ==, expected);
    }
    end(&scene);
}

/* The length that is said is that of the parts, for the largest numbers too. */
static void test_many_ranges(void)
{
    struct scene scene;
    begin(&scene, false, false);
    g_autofree char *answer =
        ask(&scene, "GET", "Range: bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9\r\n");
    const char *body = strstr(answer, "\r\n\r\n") + 4;
    g_autofree char *length = g_strdup_printf("\r\nContent-Length: %zu\r\n", strlen(body));
    g_assert_nonnull(strstr(answer, length));
    g_assert_true(g_str_has_suffix(body, "\r\n9\r\n" DELIMITER "--\r\n"));
    end(&scene);
}

/* However often a field comes, it is joined once, and only when it came more than once. */
static void test_many_fields(void)
{
    static const unsigned counts[] = {1, 2, 95};
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        struct scene scene;
        g_autoptr(GString) fields = g_string_new(NULL);
        begin(&scene, true, false);
        for (unsigned k = 1; k < counts[i]; k++)
            g_string_append_printf(fields, "If-None-Match: \"%u\"\r\n", k);
        g_string_append(fields, "If-None-Match: TAG\r\n");
        joins = 0;
        g_autofree char *answer = ask(&scene, "GET", fields->str);
        g_assert_cmpstr(answer, ==, NOT_MODIFIED);
        g_assert_cmpuint(joins, ==, counts[i] > 1);
        end(&scene);
    }
}

/* A weak tag confirms what is cached and no part of it. */
static void test_racy(void)
{
    struct scene scene;
    begin(&scene, true, true);
    g_assert_true(g_str_has_prefix(scene.tag, "W/\""));
    g_autofree char *cached = ask(&scene, "GET", "If-None-Match: TAG\r\n");
    g_assert_cmpstr(cached, ==, NOT_MODIFIED);
    g_autofree char *ranged = ask(&scene, "GET", "If-Range: TAG\r\nRange: bytes=0-1\r\n");
    g_assert_cmpstr(ranged, ==, WHOLE);
    g_autofree char *matched = ask(&scene, "GET", "If-Match: TAG\r\n");
    g_assert_cmpstr(matched, ==, FAILED);
    end(&scene);
}

/* A page in place of what is not there has nothing to be compared with. */
static void test_error(void)
{
    static const char *const ignored[] = {"", "Range: bytes=0-1\r\n", "If-None-Match: *\r\n",
                                          "If-Match: \"x\"\r\n",
                                          "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n"};
    struct scene scene;
    begin(&scene, true, false);
    scene.error_status = 404;
    for (size_t i = 0; i < G_N_ELEMENTS(ignored); i++) {
        g_autofree char *answer = ask(&scene, "GET", ignored[i]);
        g_assert_cmpstr(answer, ==,
                        "HTTP/1.1 404 Not Found\r\n" TYPE LENGTH(10) NOSNIFF CACHED
                        "\r\n0123456789");
    }
    g_autofree char *gzip = ask(&scene, "GET", "Accept-Encoding: gzip\r\n");
    g_assert_cmpstr(gzip, ==,
                    "HTTP/1.1 404 Not Found\r\n" TYPE LENGTH(
                        4) "Content-Encoding: gzip\r\n" NOSNIFF CACHED "\r\ngzip");
    end(&scene);
}

/* --- memory --- */

static int serve_short(struct http_request *request, struct http_response *response, void *arg)
{
    int returned = serve(request, response, arg);
    allocation_fails_in = 0;
    return returned < 0 ? 503 : returned;
}

static void test_memory(void)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        for (int n = 1, status = 503; status == 503; n++) {
            struct scene scene;
            struct lone lone;
            begin(&scene, in_memory, false);
            lone_init(&lone);
            lone_parse(&lone, "GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,4-5\r\n\r\n");
            lone.route.arg = &scene;
            allocation_fails_in = n;
            lone_answer(&lone, serve_short);
            status = lone.exchange.response.status;
            g_assert_true(status == 503 || status == 206);
            lone_fini(&lone);
            end(&scene);
            g_assert_cmpint(n, <, 100);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-answer/get", test_get);
    g_test_add_func("/file-answer/head", test_head);
    g_test_add_func("/file-answer/many-ranges", test_many_ranges);
    g_test_add_func("/file-answer/many-fields", test_many_fields);
    g_test_add_func("/file-answer/racy", test_racy);
    g_test_add_func("/file-answer/error", test_error);
    g_test_add_func("/file-answer/memory", test_memory);
    return g_test_run();
}
