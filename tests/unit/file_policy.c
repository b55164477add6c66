/* The operator's fields: which pattern matches, and which texts are refused. */
#include "handlers/file_policy.h"

#include "handlers/file_path.h"

#include <glib.h>
#include <string.h>

static struct file_policy *policy_of(const char *cache_control, const char *header)
{
    const char *rules[] = {cache_control, NULL};
    const char *headers[] = {header, NULL};
    g_autofree char *message = NULL;
    struct file_policy *policy =
        file_policy_new(cache_control ? rules : NULL, header ? headers : NULL, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_nonnull(policy);
    return policy;
}

static void test_nothing(void)
{
    struct file_policy *policy = policy_of(NULL, NULL);
    g_assert_cmpstr(file_policy_cache_control(policy, "a"), ==, NULL);
    g_assert_cmpstr(file_policy_lines(policy), ==, "");
    file_policy_free(policy);
}

static void test_patterns(void)
{
    static const struct {
        const char *pattern;
        const char *path;
        bool matches;
    } cases[] = {
        {"*", "a", true},
        {"*", "a/.b", true},
        {"*", "", true},
        {"*.css", "site.css", true},
        {"*.css", "css/deep/site.css", true},
        {"*.css", "site.css.map", false},
        {"*.css", "site.CSS", false},
        {"*.css", "a.css/b", false},
        {"index.html", "a/index.html", true},
        {"index.html", "xindex.html", false},
        {"?.txt", "b/a.txt", true},
        {"?.txt", "ab.txt", false},
        {"[a-c].txt", "b.txt", true},
        {"[!a-c].txt", "b.txt", false},
        {"*.[0-9a-f][0-9a-f].js", "app.4c.js", true},
        {"/css/*", "css/site.css", true},
        {"/css/*", "css/deep/site.css", true},
        {"/css/*", "a/css/site.css", false},
        {"css/*", "css/site.css", true},
        {"css/*", "a/css/site.css", false},
        {"*/css/*", "css/site.css", true},
        {"*/css/*", "a/css/site.css", true},
        {"*/css/*", "xcss/site.css", false},
        {"/*.css", "a/b.css", true},
        {"/index.html", "index.html", true},
        {"/index.html", "a/index.html", false},
        {"?a/b", "xa/b", true},
        {"/", "a", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s %s", cases[i].pattern, cases[i].path);
        g_autofree char *text = g_strconcat(cases[i].pattern, "=no-cache", NULL);
        struct file_policy *policy = policy_of(text, NULL);
        g_assert_cmpstr(file_policy_cache_control(policy, cases[i].path), ==,
                        cases[i].matches ? "no-cache" : NULL);
        file_policy_free(policy);
    }
}

static void test_order(void)
{
    const char *const rules[] = {"/assets/*= public, max-age=31536000, immutable ",
                                 "*.html=no-cache", "*=max-age=60", NULL};
    char *message;
    struct file_policy *policy = file_policy_new(rules, NULL, &message);
    g_assert_cmpstr(file_policy_cache_control(policy, "assets/a.html"), ==,
                    "public, max-age=31536000, immutable");
    g_assert_cmpstr(file_policy_cache_control(policy, "a.html"), ==, "no-cache");
    g_assert_cmpstr(file_policy_cache_control(policy, "a.png"), ==, "max-age=60");
    file_policy_free(policy);
}

static void test_longest_path(void)
{
    g_autofree char *path = g_strnfill(FILE_PATH_MAX - 1, 'a');
    path[FILE_PATH_MAX - 2] = 'z';
    struct file_policy *policy = policy_of("/*z=no-store", NULL);
    g_assert_cmpstr(file_policy_cache_control(policy, path), ==, "no-store");
    file_policy_free(policy);
}

static void test_lines(void)
{
    const char *const headers[] = {"X-Frame-Options: DENY",
                                   "X-Empty:", "Content-Security-Policy:default-src 'self'; a:b ",
                                   "X-A:\t1 2", NULL};
    char *message;
    struct file_policy *policy = file_policy_new(NULL, headers, &message);
    g_assert_cmpstr(file_policy_lines(policy), ==,
                    "X-Frame-Options: DENY\r\nX-Empty: \r\n"
                    "Content-Security-Policy: default-src 'self'; a:b\r\nX-A: 1 2\r\n");
    file_policy_free(policy);
}

static void expect_refused(const char *const *rules, const char *const *headers, const char *quoted)
{
    g_autofree char *message = NULL;
    g_assert_null(file_policy_new(rules, headers, &message));
    g_assert_nonnull(message);
    g_test_message("%s", message);
    g_assert_nonnull(strstr(message, quoted));
    g_assert_null(strpbrk(message, "\r\n"));
}

static void test_refused_rules(void)
{
    static const char *const texts[] = {"",    "*.css",       "=no-cache",  "=",
                                        "*= ", "*=a\r\nX: b", "*=a\001b",   "*=\177",
                                        "*=",  "*=a\nb",      "a/b=no\vyes"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        const char *const rules[] = {"*.html=no-cache", texts[i], NULL};
        g_autofree char *escaped = g_strescape(texts[i], NULL);
        g_autofree char *quoted = g_strdup_printf("\"%s\"", escaped);
        expect_refused(rules, NULL, quoted);
    }
}

static void test_refused_headers(void)
{
    static const char *const texts[] = {"",
                                        "X-A",
                                        ": a",
                                        "X A: b",
                                        "X-A : b",
                                        " X-A: b",
                                        "X\xc3\xa9: a",
                                        "X-A: a\r\nB: c",
                                        "X-A: a\nb",
                                        "X-A: \001b",
                                        "X(: a",
                                        "Date: a",
                                        "server: a",
                                        "Content-Length: 1",
                                        "Connection: close",
                                        "ETag: \"a\"",
                                        "vary: *",
                                        "Cache-control: no-store",
                                        "Content-Type: a/b",
                                        "Transfer-Encoding: chunked",
                                        "Trailer: a",
                                        "Accept-Ranges: none",
                                        "Content-Encoding: gzip",
                                        "Content-Range: a",
                                        "Last-Modified: a",
                                        "location: /",
                                        "Retry-After: 1",
                                        "X-Content-Type-Options: x"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        const char *const headers[] = {"X-Good: yes", texts[i], NULL};
        g_autofree char *escaped = g_strescape(texts[i], NULL);
        g_autofree char *quoted = g_strdup_printf("\"%s\"", escaped);
        expect_refused(NULL, headers, quoted);
    }
    const char *const cache_control[] = {"Cache-Control: no-store", NULL};
    expect_refused(NULL, cache_control, "--cache-control");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/handlers/file-policy/nothing", test_nothing);
    g_test_add_func("/handlers/file-policy/patterns", test_patterns);
    g_test_add_func("/handlers/file-policy/order", test_order);
    g_test_add_func("/handlers/file-policy/longest-path", test_longest_path);
    g_test_add_func("/handlers/file-policy/lines", test_lines);
    g_test_add_func("/handlers/file-policy/refused-rules", test_refused_rules);
    g_test_add_func("/handlers/file-policy/refused-headers", test_refused_headers);
    return g_test_run();
}
