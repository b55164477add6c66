#include "http/router_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- lists of methods, for Allow (RFC 9110 section 10.2.1) --- */

static const char separator[] = ", ";

enum { SEPARATOR_LENGTH = sizeof(separator) - 1 };

static bool lists_method(const char *list, size_t length, struct http_text method)
{
    size_t at = 0;
    while (at < length) {
        const char *end = memchr(list + at, ',', length - at);
        size_t count = end ? (size_t)(end - list) - at : length - at;
        if (router_texts_equal((struct http_text){list + at, count}, method))
            return true;
        at += count + SEPARATOR_LENGTH;
    }
    return false;
}

static size_t append_method(char *list, size_t length, struct http_text method)
{
    if (lists_method(list, length, method))
        return length;
    if (length) {
        memcpy(list + length, separator, SEPARATOR_LENGTH);
        length += SEPARATOR_LENGTH;
    }
    memcpy(list + length, method.bytes, method.length);
    return length + method.length;
}

size_t router_list_method(char *list, size_t length, const struct router_entry *entry)
{
    if (entry->method.length)
        length = append_method(list, length, entry->method);
    if (ROUTER_TEXT_IS(entry->method, "GET"))
        length = append_method(list, length, (struct http_text){"HEAD", 4});
    list[length] = '\0';
    return length;
}

/* --- patterns --- */

struct part {
    enum router_kind kind;
    struct http_text text; /* the name, where it has one */
};

struct pattern {
    unsigned part_count;
    unsigned capture_count;
    struct part parts[ROUTER_SEGMENTS_MAX];
};

static bool is_alphanumeric(char byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* A token (RFC 9110 section 5.6.2). */
static bool is_method(const char *method)
{
    size_t i = 0;
    while (is_alphanumeric(method[i]) || (method[i] && strchr("!#$%&'*+-.^_`|~", method[i])))
        i++;
    return i > 0 && method[i] == '\0';
}

static bool is_name(struct http_text name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (!is_alphanumeric(name.bytes[i]) && name.bytes[i] != '_')
            return false;
    }
    return name.length > 0;
}

static struct part part_of(struct http_text segment)
{
    const char *bytes = segment.bytes;
    size_t length = segment.length;
    if (length == 1 && bytes[0] == '*')
        return (struct part){ROUTER_REST, segment};
    if (length >= 2 && bytes[0] == '{' && bytes[length - 1] == '}')
        return (struct part){ROUTER_NAMED, {bytes + 1, length - 2}};
    return (struct part){ROUTER_TEXT, segment};
}

/* Whether `part` may come after the others. */
static bool part_fits(const struct pattern *pattern, const struct part *part, bool last)
{
    if (pattern->part_count == ROUTER_SEGMENTS_MAX)
        return false;
    if (part->kind == ROUTER_TEXT)
        return true;
    if (pattern->capture_count == ROUTER_PARAMS_MAX)
        return false;
    if (part->kind == ROUTER_REST)
        return last;
    for (unsigned i = 0; i < pattern->part_count; i++) {
        const struct part *other = &pattern->parts[i];
        if (other->kind == ROUTER_NAMED && router_texts_equal(other->text, part->text))
            return false;
    }
    return is_name(part->text);
}

/* Without the pattern "*", which stands for itself: no parts. */
static bool parse_pattern(const char *text, struct pattern *pattern)
{
    pattern->part_count = 0;
    pattern->capture_count = 0;
    if (strcmp(text, "*") == 0)
        return true;
    while (*text == '/') {
        text++;
        size_t length = strcspn(text, "/");
        struct part part = part_of((struct http_text){text, length});
        if (!part_fits(pattern, &part, text[length] == '\0'))
            return false;
        pattern->parts[pattern->part_count++] = part;
        pattern->capture_count += part.kind != ROUTER_TEXT;
        text += length;
    }
    return pattern->part_count > 0 && *text == '\0';
}

/* --- building --- */

/* The text of a part goes behind its node. */
static struct router_node *node_new(struct router *router, const struct part *part)
{
    struct router_node *node = malloc(sizeof(*node) + part->text.length);
    if (!node)
        return NULL;
    *node = (struct router_node){.kind = part->kind, .made_before = router->nodes};
    memcpy(node + 1, part->text.bytes, part->text.length);
    router->nodes = node;
    return node;
}

static bool reserve_child(struct router_node *node)
{
    if (node->child_count < node->child_capacity)
        return true;
    size_t capacity = node->child_capacity ? 2 * node->child_capacity : 1;
    struct router_child *children = realloc(node->children, capacity * sizeof(*children));
    if (!children)
        return false;
    node->children = children;
    node->child_capacity = capacity;
    return true;
}

static struct router_node *text_child(struct router *router, struct router_node *node,
                                      const struct part *part)
{
    bool found;
    size_t place = router_child_place(node, part->text, &found);
    if (found)
        return node->children[place].node;
    struct router_node *made = reserve_child(node) ? node_new(router, part) : NULL;
    if (!made)
        return NULL;
    struct router_child *child = &node->children[place];
    memmove(child + 1, child, (node->child_count - place) * sizeof(*child));
    *child = (struct router_child){{(const char *)(made + 1), part->text.length}, made};
    node->child_count++;
    return made;
}

/* The node behind `node` for that part, made if need be. NULL when memory is short. */
static struct router_node *child_for(struct router *router, struct router_node *node,
                                     const struct part *part)
{
    if (part->kind == ROUTER_TEXT)
        return text_child(router, node, part);
    struct router_node **child = part->kind == ROUTER_NAMED ? &node->named : &node->rest;
    if (!*child)
        *child = node_new(router, part);
    return *child;
}

/* The node where the pattern ends. Nodes made before memory got short stay, and lead nowhere. */
static struct router_node *node_for(struct router *router, const struct pattern *pattern)
{
    struct router_node *node = pattern->part_count ? &router->root : &router->asterisk;
    for (unsigned i = 0; node && i < pattern->part_count; i++)
        node = child_for(router, node, &pattern->parts[i]);
    return node;
}

/* The names of the captures, terminated in `copy` of the pattern's text. */
static void set_names(struct router_entry *entry, const struct pattern *pattern, const char *text,
                      char *copy)
{
    entry->name_count = 0;
    for (unsigned i = 0; i < pattern->part_count; i++) {
        const struct part *part = &pattern->parts[i];
        char *name = copy + (part->text.bytes - text);
        if (part->kind == ROUTER_TEXT)
            continue;
        name[part->text.length] = '\0'; /* the brace, or the end */
        entry->names[entry->name_count++] = name;
    }
}

static struct router_entry *entry_new(const char *method, const char *text,
                                      const struct pattern *pattern)
{
    size_t method_size = method ? strlen(method) + 1 : 0;
    size_t size = strlen(text) + 1;
    struct router_entry *entry = malloc(sizeof(*entry) + 2 * size + method_size);
    if (!entry)
        return NULL;
    char *texts = (char *)(entry + 1);
    *entry = (struct router_entry){.method = {"", 0}};
    memcpy(texts, text, size);
    memcpy(texts + size, text, size);
    set_names(entry, pattern, text, texts + size);
    entry->route.pattern = texts;
    if (method) {
        entry->route.method = memcpy(texts + 2 * size, method, method_size);
        entry->method = (struct http_text){entry->route.method, method_size - 1};
    }
    return entry;
}

static bool has_entry(const struct router_node *node, struct http_text method)
{
    const struct router_entry *entry = node->entries;
    while (entry && !router_texts_equal(entry->method, method))
        entry = entry->next;
    return entry != NULL;
}

static int place_entry(struct router *router, struct router_node *node, struct router_entry *entry)
{
    if (has_entry(node, entry->method))
        return -EEXIST;
    if (!buffer_reserve(&router->allow, router_list_room(entry)))
        return -ENOMEM;
    router->allow.length = router_list_method(router->allow.bytes, router->allow.length, entry);
    struct router_entry **last = &node->entries;
    while (*last)
        last = &(*last)->next;
    *last = entry;
    if (!entry->method.length)
        node->any = entry;
    else if (ROUTER_TEXT_IS(entry->method, "GET"))
        node->get = entry;
    entry->number = router->entry_count++;
    entry->made_before = router->entries;
    router->entries = entry;
    return 0;
}

int router_add(struct router *router, const char *method, const char *pattern, http_handler handler,
               void *arg)
{
    struct pattern parsed;
    if (!pattern || !handler || (method && !is_method(method)) || !parse_pattern(pattern, &parsed))
        return -EINVAL;
    struct router_entry *entry = entry_new(method, pattern, &parsed);
    if (!entry)
        return -ENOMEM;
    entry->route.handler = handler;
    entry->route.arg = arg;
    atomic_init(&entry->route.answers_later, false);
    struct router_node *node = node_for(router, &parsed);
    int error = node ? place_entry(router, node, entry) : -ENOMEM;
    if (error)
        free(entry);
    return error;
}

struct router *router_new(void)
{
    struct router *router = malloc(sizeof(*router));
    if (router)
        *router = (struct router){0};
    return router;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    while (router->nodes) {
        struct router_node *node = router->nodes;
        router->nodes = node->made_before;
        free(node->children);
        free(node);
    }
    while (router->entries) {
        struct router_entry *entry = router->entries;
        router->entries = entry->made_before;
        free(entry);
    }
    free(router->root.children);
    buffer_free(&router->allow);
    free(router);
}
