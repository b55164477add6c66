#include "handlers/file_policy.h"

#include "handlers/file_path.h"
#include "http/response.h"

#include <errno.h>
#include <fnmatch.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

struct rule {
    char *pattern;
    char *value;
    bool of_path; /* not of the name only */
};

struct file_policy {
    GArray *rules;
    GString *lines;
};

/* --- what is allowed --- */

/* Whether a handler may set the field. */
static bool is_allowed(const char *name, const char *value)
{
    struct buffer fields = {0};
    struct http_response response = {.fields = &fields};
    int error = http_response_put_field(&response, name, value);
    buffer_free(&fields);
    return error != -EINVAL;
}

/* The file server decides about these. */
static bool is_set_by_files(const char *name)
{
    static const char *const names[] = {
        "Accept-Ranges", "Cache-Control",         "Content-Encoding", "Content-Range",
        "ETag",          "Last-Modified",         "Location",         "Retry-After",
        "Vary",          "X-Content-Type-Options"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_ascii_strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* --- the options' texts; each returns what is wrong, or NULL --- */

static const char *add_rule(struct file_policy *policy, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return "is not PATTERN=VALUE";
    if (equals == text)
        return "has no pattern before '='";
    g_autofree char *value = g_strstrip(g_strdup(equals + 1));
    if (!*value)
        return "has no value after '='";
    if (!is_allowed("Cache-Control", value))
        return "has a value that is not allowed in a field";
    g_autofree char *pattern = g_strndup(text, (gsize)(equals - text));
    bool of_path = strchr(pattern, '/') != NULL;
    bool anchored = !of_path || pattern[0] == '/' || pattern[0] == '*';
    struct rule rule = {
        .pattern = g_strconcat(anchored ? "" : "/", pattern, NULL),
        .value = g_steal_pointer(&value),
        .of_path = of_path,
    };
    g_array_append_val(policy->rules, rule);
    return NULL;
}

static const char *add_line(struct file_policy *policy, const char *text)
{
    const char *colon = strchr(text, ':');
    if (!colon)
        return "is not NAME: VALUE";
    g_autofree char *name = g_strndup(text, (gsize)(colon - text));
    g_autofree char *value = g_strstrip(g_strdup(colon + 1));
    if (g_ascii_strcasecmp(name, "Cache-Control") == 0)
        return "belongs to --cache-control";
    if (is_set_by_files(name))
        return "names a field that the file server sets";
    if (!is_allowed(name, ""))
        return "has a name that is no token, or is of a field that the server sets";
    if (!is_allowed(name, value))
        return "has a value that is not allowed in a field";
    g_string_append_printf(policy->lines, "%s: %s\r\n", name, value);
    return NULL;
}

/* Adds each text; when one is wrong, returns a message about it. */
static char *add_all(struct file_policy *policy, const char *const *texts,
                     const char *(*add)(struct file_policy *policy, const char *text))
{
    for (; texts && *texts; texts++) {
        const char *wrong = add(policy, *texts);
        if (wrong) {
            g_autofree char *shown = g_strescape(*texts, NULL);
            return g_strdup_printf("\"%s\" %s", shown, wrong);
        }
    }
    return NULL;
}

static void rule_clear(void *data)
{
    struct rule *rule = data;
    g_free(rule->pattern);
    g_free(rule->value);
}

struct file_policy *file_policy_new(const char *const *cache_control, const char *const *headers,
                                    char **message)
{
    struct file_policy *policy = g_new(struct file_policy, 1);
    policy->rules = g_array_new(FALSE, FALSE, sizeof(struct rule));
    g_array_set_clear_func(policy->rules, rule_clear);
    policy->lines = g_string_new(NULL);
    *message = add_all(policy, cache_control, add_rule);
    if (!*message)
        *message = add_all(policy, headers, add_line);
    if (!*message)
        return policy;
    file_policy_free(policy);
    return NULL;
}

void file_policy_free(struct file_policy *policy)
{
    if (!policy)
        return;
    g_array_free(policy->rules, TRUE);
    g_string_free(policy->lines, TRUE);
    g_free(policy);
}

/* --- questions --- */

const char *file_policy_cache_control(const struct file_policy *policy, const char *path)
{
    char whole[FILE_PATH_MAX + 1];
    snprintf(whole, sizeof(whole), "/%s", path);
    const char *name = strrchr(whole, '/') + 1;
    for (guint i = 0; i < policy->rules->len; i++) {
        const struct rule *rule = &g_array_index(policy->rules, struct rule, i);
        if (fnmatch(rule->pattern, rule->of_path ? whole : name, 0) == 0)
            return rule->value;
    }
    return NULL;
}

const char *file_policy_lines(const struct file_policy *policy)
{
    return policy->lines->str;
}
