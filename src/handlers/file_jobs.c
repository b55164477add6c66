/*
 * file_jobs.c - what needs a disk, or takes long: jobs on the pools, and the requests that wait for
 * them.
 *
 * An entry of the cache has at most one job that reads its file and one that compresses it, however
 * many requests wait. When either is over all of them are served anew.
 */
#include "handlers/file_service.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAKINGS_MAX = 32
}; /* that wait or run on a reactor's behalf; beyond it, files are sent as they are */

/* A request that waits for a job on an entry. In the request's own memory. */
struct file_waiter {
    struct file_waiter *next;
    struct file_waiter *previous;
    struct file_entry *entry;
    struct file_shelf *shelf;
    struct http_request *request;
    struct http_response *response;
    uint64_t generation; /* of the tree when it began to wait */
    struct file_target target;
};

struct file_job {
    struct pool_job job;
    struct file_shelf *shelf;
    struct file_tree *tree;
    struct file_entry *entry;
    struct file_content *content; /* to be checked or compressed; NULL: none */
    atomic_bool unwanted;         /* nobody waits for it */
    bool skipped;                 /* ... so it was not done */
    uint64_t began_ns;            /* the reactor's time */
    uint64_t generation;          /* of the tree then */
    struct file_content *loaded;  /* a new one; NULL: the content is current */
    int error;
    enum coding coding; /* to be made; CODING_COUNT: none, the file is to be read */
    char *made;
    size_t made_length;
    char path[];
};

/* --- waiting --- */

static void set_unwanted(const struct file_entry *entry, bool unwanted)
{
    if (entry->loading)
        atomic_store(&entry->loading->unwanted, unwanted);
    if (entry->making)
        atomic_store(&entry->making->unwanted, unwanted);
}

static void forget(void *arg)
{
    struct file_waiter *waiter = arg;
    struct file_entry *entry = waiter->entry;
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        entry->waiters = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    if (!entry->waiters)
        set_unwanted(entry, true);
}

int file_wait(struct file_shelf *shelf, struct http_request *request,
              struct http_response *response, const struct file_target *target,
              struct file_entry *entry)
{
    struct file_waiter *waiter = http_request_alloc(request, sizeof(*waiter));
    size_t path_size = target->path ? strlen(target->path) + 1 : 0;
    char *path = path_size ? http_request_alloc(request, path_size) : NULL;
    if (!waiter || (target->path && !path))
        return -ENOMEM;
    *waiter = (struct file_waiter){.next = entry->waiters,
                                   .entry = entry,
                                   .shelf = shelf,
                                   .request = request,
                                   .response = response,
                                   .generation = shelf->generation,
                                   .target = *target};
    waiter->target.path = path ? memcpy(path, target->path, path_size) : NULL;
    waiter->target.waits++;
    if (waiter->next)
        waiter->next->previous = waiter;
    entry->waiters = waiter;
    set_unwanted(entry, false);
    http_response_soon(response);
    http_response_on_cancel(response, forget, waiter);
    return HTTP_PENDING;
}

/* Serves those who wait anew, or tells them why there is nothing to be had. What was `loaded`, or
 * the error, is of the tree of that generation, and nothing to those who came after a change. */
static void resume_all(struct file_entry *entry, bool loaded, uint64_t generation, int error)
{
    struct file_waiter *waiter = entry->waiters;
    entry->waiters = NULL;
    for (struct file_waiter *next; waiter; waiter = next) {
        struct http_request *request = waiter->request;
        struct http_response *response = waiter->response;
        next = waiter->next;
        http_response_on_cancel(response, NULL, NULL);
        bool current = waiter->generation == generation;
        waiter->target.loaded = loaded && current;
        /* Who does not know the path of the file yet finds out anew what is wrong with it. */
        bool fails = error && current && waiter->target.path;
        int returned = fails ? file_fail(waiter->shelf, request, response, &waiter->target, error)
                             : file_serve(waiter->shelf, request, response, &waiter->target);
        file_finish(response, returned);
    }
}

/* --- jobs --- */

int file_load(const struct files *files, const struct file_tree *tree, const char *path,
              const struct file_content *known, bool may_wait, struct file_content **loaded)
{
    int current = known ? file_content_is_current(known, &tree->root, path, may_wait) : 0;
    if (current)
        return current < 0 ? current : 0;
    return file_content_load(&files->settings, &tree->root, path, may_wait, loaded);
}

static void run_job(struct pool_job *pool_job)
{
    struct file_job *job = (struct file_job *)pool_job;
    job->skipped = atomic_load(&job->unwanted);
    if (job->skipped)
        return;
    if (job->coding != CODING_COUNT)
        job->made = file_content_compress(job->content, job->coding, &job->made_length);
    else
        job->error =
            file_load(job->shelf->files, job->tree, job->path, job->content, true, &job->loaded);
}

static void free_job(struct file_job *job)
{
    file_content_release(job->content);
    file_tree_release(job->tree);
    file_shelf_release(job->shelf);
    free(job);
}

static void finish_making(struct pool_job *pool_job)
{
    struct file_job *job = (struct file_job *)pool_job;
    struct file_entry *entry = job->entry;
    entry->making = NULL;
    job->shelf->makings--;
    /* The entry may have another content by now, to which this form does not belong. */
    if (!job->skipped)
        file_content_add(job->content, &job->shelf->files->settings, job->coding, job->made,
                         job->made_length);
    resume_all(entry, false, 0, 0);
    file_unpin(job->shelf, entry);
    free_job(job);
}

static void finish_loading(struct pool_job *pool_job)
{
    struct file_job *job = (struct file_job *)pool_job;
    struct file_entry *entry = job->entry;
    entry->loading = NULL;
    if (job->error)
        file_entry_expire(entry);
    else if (!job->skipped)
        file_put_content(job->shelf, entry, job->loaded, job->generation, job->began_ns);
    file_give_up_descriptors(job->shelf, job->error); /* the next request finds some */
    resume_all(entry, !job->skipped && !job->error, job->generation, job->error);
    file_unpin(job->shelf, entry);
    free_job(job);
}

/* A job on the entry, which it pins. NULL when memory is short. */
static struct file_job *new_job(struct file_shelf *shelf, struct file_entry *entry,
                                const char *path)
{
    size_t path_size = strlen(path) + 1;
    struct file_job *job = malloc(sizeof(*job) + path_size);
    if (!job)
        return NULL;
    *job = (struct file_job){
        .job = {.run = run_job, .reactor = shelf->reactor},
        .shelf = shelf,
        .tree = shelf->tree,
        .entry = entry,
        .content = entry->content ? file_content_keep(entry->content) : NULL,
        .began_ns = reactor_now(shelf->reactor),
        .coding = CODING_COUNT,
    };
    memcpy(job->path, path, path_size);
    shelf->tree->references++;
    shelf->references++;
    entry->pins++;
    return job;
}

bool file_start_loading(struct file_shelf *shelf, struct file_entry *entry, const char *path,
                        uint64_t generation)
{
    struct file_job *job = new_job(shelf, entry, path);
    if (!job)
        return false;
    job->job.done = finish_loading;
    job->generation = generation;
    entry->loading = job;
    pool_submit(shelf->files->readers, &job->job);
    return true;
}

bool file_start_making(struct file_shelf *shelf, struct file_entry *entry, enum coding coding)
{
    struct file_job *job = new_job(shelf, entry, "");
    if (!job)
        return false;
    job->job.done = finish_making;
    job->coding = coding;
    entry->making = job;
    shelf->makings++;
    pool_submit(shelf->files->makers, &job->job);
    return true;
}

bool file_may_make(const struct file_shelf *shelf)
{
    return shelf->makings < MAKINGS_MAX;
}
