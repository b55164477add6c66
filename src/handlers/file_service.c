/*
 * file_service.c - the straight line of a request for a file: path -> content -> coding -> answer.
 * What cannot be had at once is waited for: file_jobs.c.
 */
#include "handlers/file_service.h"

#include "handlers/files.h"
#include "http/response.h"

#include <errno.h>
#include <string.h>

enum { WAITS_MAX = 4 }; /* for one request: then what there is is sent */

static uint64_t now_of(const struct file_shelf *shelf)
{
    return reactor_now(shelf->reactor);
}

/* --- entries --- */

/* Once a turn: a change that was made before a request was sent may come behind it in the reactor's
 * order. */
static void look_for_changes(struct file_shelf *shelf)
{
    if (shelf->polled_ns == now_of(shelf))
        return;
    shelf->polled_ns = now_of(shelf);
    file_watch_poll(&shelf->watch);
}

static bool is_fresh(const struct file_shelf *shelf, const struct file_entry *entry)
{
    return entry->content && entry->generation == shelf->generation &&
           now_of(shelf) - entry->checked_ns < RECHECK_NS;
}

void file_entry_expire(struct file_entry *entry)
{
    entry->generation = 0;
}

void file_put_content(struct file_shelf *shelf, struct file_entry *entry,
                      struct file_content *loaded, uint64_t generation, uint64_t checked_ns)
{
    entry->generation = generation;
    entry->checked_ns = checked_ns;
    if (loaded)
        file_cache_set(&shelf->cache, entry, loaded);
}

void file_unpin(struct file_shelf *shelf, struct file_entry *entry)
{
    entry->pins--;
    if (entry->pins || entry->waiters)
        return;
    if (entry->content && entry->generation)
        file_cache_update(&shelf->cache, entry);
    else
        file_cache_remove(&shelf->cache, entry);
}

bool file_give_up_descriptors(struct file_shelf *shelf, int error)
{
    if (error != -EMFILE && error != -ENFILE)
        return false;
    file_cache_expire(&shelf->cache, UINT64_MAX);
    return true;
}

/* NOLINTBEGIN(misc-no-recursion): what is served in place of something else is served as everything
 * is, and comes to an end: fallback, page of 404, 404; what has changed, WAITS_MAX times */

/* --- the answer --- */

static int refuse_codings(struct http_response *response)
{
    int error = http_response_header(response, "Vary", "Accept-Encoding");
    return error ? error : 406;
}

/* What was found to have changed is looked for once more. */
static int serve_again(struct file_shelf *shelf, struct http_request *request,
                       struct http_response *response, const struct file_target *target,
                       struct file_entry *entry)
{
    struct file_target again = *target;
    again.waits++;
    again.loaded = false;
    file_entry_expire(entry);
    return file_serve(shelf, request, response, &again);
}

static int answer(struct file_shelf *shelf, struct http_request *request,
                  struct http_response *response, const struct file_target *target,
                  struct file_entry *entry)
{
    struct file_content *content = entry->content;
    struct pool *readers = shelf->files->readers;
    uint64_t length = content->forms[CODING_IDENTITY].length;
    bool patient = target->waits < WAITS_MAX;
    bool makes = patient && (entry->making || file_may_make(shelf)) &&
                 file_cache_keeps(&shelf->cache, entry->bytes + length);
    struct file_fields fields;
    if (!file_fields_read(request, &fields))
        return -ENOMEM;
    enum coding coding =
        file_choose_coding(content, fields.accept_encoding, makes, &shelf->weights);
    if (coding == CODING_COUNT && target->not_found)
        return 404;
    if (coding == CODING_COUNT) { /* unless there are too many to be made just now */
        coding = file_choose_coding(content, fields.accept_encoding, true, &shelf->weights);
        return coding == CODING_COUNT ? refuse_codings(response) : 503;
    }
    const struct file_form *form = &content->forms[coding];
    if (!file_form_is_there(form)) {
        if (entry->making || file_start_making(shelf, entry, coding))
            return file_wait(shelf, request, response, target, entry);
        return -ENOMEM;
    }
    if (form->fd >= 0 && patient && file_form_has_changed(form))
        return serve_again(shelf, request, response, target, entry);
    if (target->not_found)
        return file_answer_error(request, response, 404, content, coding, readers);
    return file_answer(request, response, &fields, content, coding, readers);
}

/* Reads on the reactor's thread what needs no disk. The entry (NULL: none) stays. */
static int load_at_once(struct file_shelf *shelf, const char *path, struct file_entry *entry,
                        struct file_content **loaded)
{
    const struct file_content *known = entry ? entry->content : NULL;
    int error = file_load(shelf->files, shelf->tree, path, known, false, loaded);
    if (entry)
        entry->pins++;
    if (file_give_up_descriptors(shelf, error))
        error = file_load(shelf->files, shelf->tree, path, known, false, loaded);
    if (entry)
        entry->pins--;
    return error;
}

/* What can be had at once, and a job for what cannot. */
static int obtain(struct file_shelf *shelf, struct http_request *request,
                  struct http_response *response, const struct file_target *target,
                  struct file_entry *entry)
{
    struct file_content *loaded = NULL;
    uint64_t generation = shelf->generation;
    int error = load_at_once(shelf, target->path, entry, &loaded);
    if (error && error != -EAGAIN) {
        if (entry) {
            entry->pins++;
            file_entry_expire(entry);
            file_unpin(shelf, entry);
        }
        return file_fail(shelf, request, response, target, error);
    }
    if (!entry)
        entry = file_cache_add(&shelf->cache, target->key, now_of(shelf));
    if (!entry) {
        file_content_release(loaded);
        return -ENOMEM;
    }
    int returned = -ENOMEM;
    entry->pins++;
    if (!error) {
        file_put_content(shelf, entry, loaded, generation, now_of(shelf));
        if (entry->content) /* as always then */
            returned = answer(shelf, request, response, target, entry);
    } else if (file_start_loading(shelf, entry, target->path, generation)) {
        returned = file_wait(shelf, request, response, target, entry);
    }
    file_unpin(shelf, entry);
    return returned;
}

/* --- what is not there --- */

static int serve_not_found(struct file_shelf *shelf, struct http_request *request,
                           struct http_response *response)
{
    const char *path = shelf->files->not_found;
    const struct file_target target = {.key = {"not found", 9}, .path = path, .not_found = true};
    return path ? file_serve(shelf, request, response, &target) : 404;
}

int file_not_found(struct file_shelf *shelf, struct http_request *request,
                   struct http_response *response)
{
    const char *path = shelf->files->fallback;
    const struct file_target target = {.key = {"fallback", 8}, .path = path, .fallback = true};
    return path ? file_serve(shelf, request, response, &target)
                : serve_not_found(shelf, request, response);
}

/* A directory without its slash: relative links in its page would lead astray. */
static int redirect(struct http_request *request, struct http_response *response)
{
    struct http_text path = http_request_path(request);
    struct http_text query = http_request_query(request);
    char *to = http_request_alloc(request, path.length + query.length + 3);
    if (!to)
        return -ENOMEM;
    memcpy(to, path.bytes, path.length);
    memcpy(to + path.length, "/", 2);
    if (query.bytes) {
        to[path.length + 1] = '?';
        memcpy(to + path.length + 2, query.bytes, query.length);
        to[path.length + 2 + query.length] = '\0';
    }
    int error = http_response_header(response, "Location", to);
    return error ? error : http_respond(response, 301, NULL, NULL, 0);
}

int file_status_of(int error)
{
    switch (-error) {
    case ENOENT:
    case EISDIR:
        return 404;
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EBUSY: /* its directories are being renamed all the time */
        return 503;
    default:
        return 500;
    }
}

int file_fail(struct file_shelf *shelf, struct http_request *request,
              struct http_response *response, const struct file_target *target, int error)
{
    bool in_place = target->fallback || target->not_found;
    if (target->not_found)
        return 404;
    if (file_status_of(error) != 404)
        return file_status_of(error);
    if (error == -EISDIR && !target->directory && !in_place)
        return redirect(request, response);
    if (target->directory && shelf->files->listing)
        return file_listing_respond(shelf, request, response);
    return target->fallback ? serve_not_found(shelf, request, response)
                            : file_not_found(shelf, request, response);
}

static int conclude(struct http_response *response, int returned)
{
    if (returned == -ENOMEM) {
        response->fields->length = 0; /* they were meant for the file */
        returned = 503;
    }
    if (returned == 503)
        http_response_header(response, "Retry-After", "1");
    return returned;
}

void file_finish(struct http_response *response, int returned)
{
    if (returned != HTTP_PENDING)
        http_response_finish(response, conclude(response, returned));
}

/* --- the beginning --- */

/* All spellings of a path are one entry: what the path would be without percent-encoding. */
static struct http_text make_key(struct http_request *request, const struct file_path *path)
{
    char *key = http_request_alloc(request, path->length + 2);
    if (!key)
        return (struct http_text){NULL, 0};
    key[0] = '/';
    memcpy(key + 1, path->bytes, path->length);
    key[path->length + 1] = '/';
    return (struct http_text){key, path->length + 1 + (path->directory && path->length)};
}

/* Finds out which file the request names: of a directory its index. */
static int serve_path(struct file_shelf *shelf, struct http_request *request,
                      struct http_response *response, const struct file_target *target)
{
    static const char index_name[] = "index.html";
    struct file_path path;
    struct file_target found = *target;
    int status = file_path_decode(http_request_path(request), shelf->files->dotfiles, &path);
    if (!status && path.directory && path.length + sizeof(index_name) >= sizeof(path.bytes))
        status = 404;
    if (status)
        return status == 404 ? file_not_found(shelf, request, response) : status;
    found.key = make_key(request, &path);
    found.path = path.bytes;
    found.directory = path.directory;
    if (!found.key.bytes)
        return -ENOMEM;
    if (path.directory) {
        char *end = path.bytes + path.length;
        if (path.length)
            *end++ = '/';
        memcpy(end, index_name, sizeof(index_name));
    }
    return file_serve(shelf, request, response, &found);
}

int file_serve(struct file_shelf *shelf, struct http_request *request,
               struct http_response *response, const struct file_target *target)
{
    struct file_entry *entry = file_cache_find(&shelf->cache, target->key, now_of(shelf));
    if (entry && entry->content && (target->loaded || is_fresh(shelf, entry)))
        return answer(shelf, request, response, target, entry);
    if (!target->path)
        return serve_path(shelf, request, response, target);
    if (entry && entry->loading)
        return file_wait(shelf, request, response, target, entry);
    file_tree_check(shelf);
    file_shelf_watch(shelf, target->path);
    return obtain(shelf, request, response, target, entry);
}

/* NOLINTEND(misc-no-recursion) */

int files_handler(struct http_request *request, struct http_response *response, void *arg)
{
    struct file_shelf *shelf = reactor_data(http_request_reactor(request));
    const struct file_target target = {.key = http_request_path(request)};
    (void)arg;
    look_for_changes(shelf);
    /* As it was sent, a path is a key only when there is nothing to decode. */
    bool is_plain = !memchr(target.key.bytes, '%', target.key.length);
    return conclude(response, is_plain ? file_serve(shelf, request, response, &target)
                                       : serve_path(shelf, request, response, &target));
}
