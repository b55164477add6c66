/*
 * The lookup; router_tree.c builds what it goes through.
 */
#include "http/router_tree.h"
#include "http/uri.h"

#include <stdlib.h>

/* A segment of the path, decoded. */
struct segment {
    struct http_text text;
    const char *next; /* the segment after it, or NULL */
    bool has_nul;     /* an encoded one */
};

/* A node that is to be visited, and where: an alternative of the search. */
struct step {
    const struct router_node *node;
    const char *at;    /* the segment behind it, or NULL */
    unsigned depth;    /* segments before `at` */
    unsigned captured; /* of the params, with the node's own */
};

/* A node whose pattern is the path's, but without the method. */
struct missed {
    struct missed *next;
    const struct router_entry *entry; /* the next to be listed */
};

struct search {
    struct http_text method;
    const char *end; /* of the path */
    struct arena *arena;
    struct router_match *match;
    bool has_missed;       /* a node whose pattern is the path's has not the method */
    bool listing;          /* the methods of all such nodes are wanted */
    struct missed *missed; /* those nodes */
    size_t list_room;
    unsigned segment_count; /* known so far */
    unsigned step_count;
    /* All that have to be known, because the tree is no deeper. */
    struct segment segments[ROUTER_SEGMENTS_MAX];
    /* A level leaves two behind at most, because one of its three is taken at once. */
    struct step steps[2 * ROUTER_SEGMENTS_MAX + 1];
};

enum { GO_ON = -1 }; /* beside 0 and statuses */

/* --- segments --- */

/* 0, or the status of the answer. */
static int decode_segment(struct search *search, struct segment *segment)
{
    char *bytes = arena_alloc(search->arena, segment->text.length);
    if (!bytes)
        return 500;
    if (!http_percent_decode(segment->text, false, bytes, &segment->text.length))
        return 400;
    segment->text.bytes = bytes;
    segment->has_nul = memchr(bytes, '\0', segment->text.length) != NULL;
    return 0;
}

/* Makes the segment at `at`, the first that is not known yet, known: 0, or the status of the
 * answer. */
static int add_segment(struct search *search, const char *at)
{
    struct segment *segment = &search->segments[search->segment_count];
    const char *end = memchr(at, '/', (size_t)(search->end - at));
    segment->next = end ? end + 1 : NULL;
    segment->text = (struct http_text){at, (size_t)((end ? end : search->end) - at)};
    segment->has_nul = false;
    search->segment_count++;
    if (!memchr(segment->text.bytes, '%', segment->text.length))
        return 0;
    return decode_segment(search, segment);
}

/* --- ends --- */

static struct router_entry *choose_entry(const struct router_node *node, struct http_text method)
{
    struct router_entry *entry = node->entries;
    while (entry && !router_texts_equal(entry->method, method))
        entry = entry->next;
    if (entry)
        return entry;
    if (node->any)
        return node->any;
    return ROUTER_TEXT_IS(method, "HEAD") ? node->get : NULL;
}

/* Keeps the methods for Allow. Only once no route was found, because most often one is. */
static int miss(struct search *search, const struct router_node *node)
{
    search->has_missed = true;
    if (!search->listing)
        return GO_ON;
    struct missed *missed = arena_alloc(search->arena, sizeof(*missed));
    if (!missed)
        return 500;
    *missed = (struct missed){search->missed, node->entries};
    search->missed = missed;
    for (const struct router_entry *entry = node->entries; entry; entry = entry->next)
        search->list_room += router_list_room(entry);
    return GO_ON;
}

static int take_route(struct router_match *match, struct router_entry *entry, unsigned captured)
{
    for (unsigned i = 0; i < captured; i++)
        match->params[i].name = entry->names[i];
    match->param_count = captured;
    match->route = &entry->route;
    return 0;
}

/* The path ends at this node. */
static int end_at(struct search *search, const struct router_node *node, unsigned captured)
{
    if (!node->entries)
        return GO_ON;
    struct router_entry *entry = choose_entry(node, search->method);
    return entry ? take_route(search->match, entry, captured) : miss(search, node);
}

/* --- the search --- */

static inline void add_step(struct search *search, const struct router_node *node, const char *at,
                            unsigned depth, unsigned captured)
{
    search->steps[search->step_count++] = (struct step){node, at, depth, captured};
}

/* Adds the nodes behind `node` that the segment at `at` leads to, the one to be tried first last.
 */
static int add_alternatives(struct search *search, const struct router_node *node, const char *at,
                            unsigned depth, unsigned captured)
{
    if (node->rest)
        add_step(search, node->rest, at, depth, captured + 1);
    if (!node->child_count && !node->named)
        return GO_ON;
    if (depth == search->segment_count) {
        int error = add_segment(search, at);
        if (error)
            return error;
    }
    const struct segment *segment = &search->segments[depth];
    if (node->named && segment->text.length) {
        /* A handler would take it for the end of the value. */
        if (segment->has_nul)
            return 400;
        add_step(search, node->named, segment->next, depth + 1, captured + 1);
    }
    bool found;
    size_t place = router_child_place(node, segment->text, &found);
    if (found)
        add_step(search, node->children[place].node, segment->next, depth + 1, captured);
    return GO_ON;
}

static int take_step(struct search *search, const struct step *step)
{
    const struct router_node *node = step->node;
    struct http_param *param = search->match->params + step->captured;
    if (node->kind == ROUTER_REST) {
        param[-1].value = (struct http_text){step->at, (size_t)(search->end - step->at)};
        return end_at(search, node, step->captured);
    }
    if (node->kind == ROUTER_NAMED)
        param[-1].value = search->segments[step->depth - 1].text;
    if (!step->at)
        return end_at(search, node, step->captured);
    /* By value: its place is taken by the alternatives. */
    return add_alternatives(search, node, step->at, step->depth, step->captured);
}

/* "GET, HEAD" of all nodes that were missed, in the order in which the routes were added. */
static const char *list_missed(struct search *search)
{
    size_t length = 0;
    char *list = arena_alloc(search->arena, search->list_room);
    while (list) {
        struct missed *first = NULL;
        for (struct missed *missed = search->missed; missed; missed = missed->next) {
            if (missed->entry && (!first || missed->entry->number < first->entry->number))
                first = missed;
        }
        if (!first)
            break;
        length = router_list_method(list, length, first->entry);
        first->entry = first->entry->next;
    }
    return list;
}

/* Tries everything behind the node: 0, the status of the answer, or GO_ON when there was nothing.
 */
static int search_from(struct search *search, const struct router_node *node, const char *at)
{
    search->step_count = 0;
    add_step(search, node, at, 0, 0);
    while (search->step_count) {
        int status = take_step(search, &search->steps[--search->step_count]);
        if (status != GO_ON)
            return status;
    }
    return GO_ON;
}

/* No route was found: another search, for the methods that would have been. */
static int judge_missed(struct search *search, const struct router_node *node, const char *at)
{
    if (!search->has_missed)
        return 404;
    search->listing = true;
    search->missed = NULL;
    search->list_room = 0;
    if (search_from(search, node, at) == GO_ON)
        search->match->allow = list_missed(search);
    return search->match->allow ? 405 : 500;
}

/* The route of a server whose only pattern is "*" after the slash: there is nothing to search. */
static inline struct router_entry *only_route(const struct router *router, struct http_text method,
                                              struct http_text path)
{
    const struct router_node *root = &router->root;
    if (!root->rest || root->named || root->child_count || !path.length || path.bytes[0] != '/')
        return NULL;
    return choose_entry(root->rest, method);
}

/* Not inline: what it needs on the stack is not for router_find() to set up. */
__attribute__((noinline)) static int find_in_tree(const struct router *router,
                                                  struct http_text method, struct http_text path,
                                                  struct arena *arena, struct router_match *match)
{
    struct search search; /* its arrays are large: only what is used is set */
    bool asterisk = ROUTER_TEXT_IS(path, "*");
    const struct router_node *first = &router->asterisk;
    const char *at = NULL;
    if (!asterisk) {
        if (path.length == 0 || path.bytes[0] != '/')
            return 404;
        first = &router->root;
        at = path.bytes + 1;
    }
    search.method = method;
    search.end = path.bytes + path.length;
    search.arena = arena;
    search.match = match;
    search.has_missed = false;
    search.listing = false;
    search.segment_count = 0;
    int status = search_from(&search, first, at);
    if (status != GO_ON)
        return status;
    if (asterisk && ROUTER_TEXT_IS(method, "OPTIONS")) {
        /* It asks about the server as a whole (RFC 9110 section 9.3.7). */
        match->allow = router->allow.length ? router->allow.bytes : "";
        return 204;
    }
    return judge_missed(&search, first, at);
}

int router_find(const struct router *router, struct http_text method, struct http_text path,
                struct arena *arena, struct router_match *match)
{
    match->route = NULL;
    match->allow = NULL;
    match->param_count = 0;
    struct router_entry *entry = only_route(router, method, path);
    if (!entry)
        return find_in_tree(router, method, path, arena, match);
    match->params[0].value = (struct http_text){path.bytes + 1, path.length - 1};
    return take_route(match, entry, 1);
}
