#include "http_support.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void guarded_open(struct guarded *guarded, size_t capacity)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t readable = (capacity + page - 1) / page * page;
    guarded->map_bytes = readable + 2 * page;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    /* cppcheck-suppress invalidFunctionArg ; mmap(2) asks for -1 when there is no file */
    guarded->map = mmap(NULL, guarded->map_bytes, PROT_NONE, flags, -1, 0);
    g_assert_true(guarded->map != MAP_FAILED);
    guarded->start = (char *)guarded->map + page;
    guarded->end = guarded->start + readable;
    g_assert_cmpint(mprotect(guarded->start, readable, PROT_READ | PROT_WRITE), ==, 0);
}

void guarded_close(struct guarded *guarded)
{
    munmap(guarded->map, guarded->map_bytes);
}

const char *guarded_at_end(const struct guarded *guarded, const char *bytes, size_t length)
{
    g_assert_cmpuint(length, <=, (size_t)(guarded->end - guarded->start));
    return memcpy(guarded->end - length, bytes, length);
}

const char *guarded_at_start(const struct guarded *guarded, const char *bytes, size_t length)
{
    g_assert_cmpuint(length, <=, (size_t)(guarded->end - guarded->start));
    return memcpy(guarded->start, bytes, length);
}

int parse(const char *bytes, size_t length, struct http_request *request)
{
    return http_parse_request(bytes, length, &http_limits_default, request);
}

/* What `length` bytes give, wherever they are placed. */
static int parse_guarded(const struct guarded *guarded, const char *bytes, size_t length,
                         const struct http_limits *limits)
{
    struct http_request request;
    const char *placed = guarded_at_end(guarded, bytes, length);
    int at_end = http_parse_request(placed, length, limits, &request);
    placed = guarded_at_start(guarded, bytes, length);
    int at_start = http_parse_request(placed, length, limits, &request);
    g_assert_cmpint(at_end, ==, at_start);
    return at_end;
}

/* Bytes after a head belong to what follows and must not change its result. */
static void check_followed(const struct guarded *guarded, const struct request_case *request_case,
                           const struct http_limits *limits, int expected)
{
    static const char *const others[] = {"GET / HTTP/1.1\r\n", "\r\n\r\n", "\n", "\r", "\x80\x01"};
    g_autofree char *bytes = g_malloc(request_case->length + 64);
    memcpy(bytes, request_case->bytes, request_case->length);
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        size_t length = request_case->length + strlen(others[i]);
        memcpy(bytes + request_case->length, others[i], strlen(others[i]));
        g_assert_cmpint(parse_guarded(guarded, bytes, length, limits), ==, expected);
    }
}

void check_request(const struct request_case *request_case, const struct http_limits *limits,
                   size_t stride)
{
    size_t length = request_case->length;
    int expected = request_case->expected == WHOLE ? (int)length : request_case->expected;
    size_t complete_at = expected > 0 ? (size_t)expected : length;
    struct guarded guarded;
    guarded_open(&guarded, length + 64);
    g_assert_cmpint(parse_guarded(&guarded, request_case->bytes, length, limits), ==, expected);
    int before = 0;
    for (size_t part = 0; part < length; part += stride) {
        int result = parse_guarded(&guarded, request_case->bytes, part, limits);
        if (part >= complete_at || before < 0)
            g_assert_cmpint(result, ==, expected);
        else if (result != 0)
            g_assert_true(expected < 0 && result == expected);
        before = result;
    }
    if (expected != 0)
        check_followed(&guarded, request_case, limits, expected);
    guarded_close(&guarded);
}

static void test_case(const void *data)
{
    check_request(data, &http_limits_default, 1);
}

void add_request_cases(const char *prefix, const struct request_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case);
    }
}
