/*
 * router_tree.h - the tree of segments behind router.h: router_tree.c builds it, router.c looks
 * things up in it.
 */
#ifndef HTTP_ROUTER_TREE_H
#define HTTP_ROUTER_TREE_H

#include "base/buffer.h"
#include "http/router.h"

enum router_kind { ROUTER_TEXT, ROUTER_NAMED, ROUTER_REST };

/* A route and what a lookup needs of it; the texts are behind it. */
struct router_entry {
    struct http_route route;
    struct http_text method;   /* empty: any */
    struct router_entry *next; /* of its node, in order of adding */
    struct router_entry *made_before;
    size_t number; /* in order of adding, of all */
    unsigned name_count;
    const char *names[ROUTER_PARAMS_MAX];
};

struct router_child {
    struct http_text text; /* owned by the node */
    struct router_node *node;
};

struct router_node {
    enum router_kind kind;
    struct router_node *rest;      /* "*" */
    struct router_node *named;     /* "{name}"; the routes know the name */
    struct router_child *children; /* text, sorted as router_compare_texts() says */
    size_t child_count;
    size_t child_capacity;
    struct router_entry *entries; /* of the patterns that end here */
    struct router_entry *get;     /* the one of GET, if any */
    struct router_entry *any;     /* the one of any method, if any */
    struct router_node *made_before;
};

struct router {
    struct router_node root;     /* before the first segment */
    struct router_node asterisk; /* of the pattern "*" */
    struct router_node *nodes;   /* all others, the last first */
    struct router_entry *entries;
    size_t entry_count;
    struct buffer allow; /* the methods of all routes, terminated */
};

static inline bool router_texts_equal(struct http_text a, struct http_text b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

#define ROUTER_TEXT_IS(text, literal) \
    router_texts_equal(text, (struct http_text){literal, sizeof(literal) - 1})

/* By length first: lengths mostly tell, and are compared without looking at the bytes. */
static inline int router_compare_texts(struct http_text a, struct http_text b)
{
    if (a.length != b.length)
        return a.length < b.length ? -1 : 1;
    return memcmp(a.bytes, b.bytes, a.length);
}

/* Where the child with that text is, or would be. */
static inline size_t router_child_place(const struct router_node *node, struct http_text text,
                                        bool *found)
{
    size_t from = 0;
    size_t to = node->child_count;
    *found = false;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = router_compare_texts(node->children[middle].text, text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The most that router_list_method() adds, with the end of the text. */
static inline size_t router_list_room(const struct router_entry *entry)
{
    return entry->method.length + sizeof(", , HEAD");
}

/* Adds the entry's method to a list that has room for it, once; with GET comes HEAD, which its
 * routes answer too. Terminates the list and returns its new length. */
size_t router_list_method(char *list, size_t length, const struct router_entry *entry);

#endif
