/*
 * file_listing.c - the answer with a directory's page. It is made anew for each request, on the
 * pool.
 */
#include "handlers/file_service.h"
#include "handlers/listing.h"
#include "http/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LISTINGS_MAX = 16,         /* that are being made for a reactor */
    PAGE_BYTES_MAX = 32 << 20, /* of those that were made and are not sent yet */
};

struct listing_job {
    struct pool_job job;
    struct file_shelf *shelf;
    struct file_tree *tree;
    struct http_request *request; /* NULL: it is not wanted any more */
    atomic_bool unwanted;         /* the same for the thread that makes it */
    struct http_response *response;
    enum listing_form form;
    char *page; /* owned; NULL: `error` says why */
    size_t length;
    int error;
    struct file_path path;
};

static void forget(void *arg)
{
    struct listing_job *job = arg;
    job->request = NULL;
    atomic_store(&job->unwanted, true);
}

/* Looks where a link of the directory leads. */
static bool resolves(void *arg, const char *name, struct stat *status)
{
    const struct listing_job *job = arg;
    char path[FILE_PATH_MAX + FILE_NAME_BYTES + 2];
    snprintf(path, sizeof(path), "%s%s%s", job->path.bytes, job->path.length ? "/" : "", name);
    int fd = file_root_find(&job->tree->root, path, O_PATH, true);
    if (fd < 0)
        return false;
    bool found = fstat(fd, status) == 0;
    close(fd);
    return found;
}

static void make(struct pool_job *pool_job)
{
    struct listing_job *job = (struct listing_job *)pool_job;
    const struct files *files = job->shelf->files;
    const struct listing_options options = {
        .form = job->form,
        .path = job->path.bytes,
        .dotfiles = files->dotfiles,
        .follow_symlinks = files->follow_symlinks,
    };
    if (atomic_load(&job->unwanted))
        return;
    int fd = file_root_find(&job->tree->root, job->path.length ? job->path.bytes : ".",
                            O_RDONLY | O_DIRECTORY, true);
    if (fd < 0) {
        job->error = fd;
        return;
    }
    job->page = listing_make(fd, &options, resolves, job, &job->length);
    if (!job->page)
        job->error = -errno;
    close(fd);
}

/* A page that the client has not taken yet. */
struct page {
    struct file_shelf *shelf;
    char *bytes;
    size_t length;
};

static void release_page(void *arg)
{
    struct page *page = arg;
    page->shelf->page_bytes -= page->length;
    file_shelf_release(page->shelf);
    free(page->bytes);
    free(page);
}

/* What is in it does not tell when it has changed, so nobody should keep it. */
static int add_fields(const struct listing_job *job)
{
    struct http_response *response = job->response;
    const char *lines = file_policy_lines(job->shelf->files->settings.policy);
    int error = http_response_lines(response, (struct http_text){lines, strlen(lines)});
    error = error ? error : http_response_header(response, "Cache-Control", "no-cache");
    error = error ? error : http_response_header(response, "Vary", "Accept");
    error = error ? error : http_response_header(response, "X-Content-Type-Options", "nosniff");
    if (error || job->form != LISTING_HTML)
        return error;
    return http_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; style-src 'unsafe-inline'");
}

static int respond(struct listing_job *job)
{
    struct file_shelf *shelf = job->shelf;
    struct page *page = malloc(sizeof(*page));
    /* Those who do not read what they asked for must not fill the memory. */
    if (!page || shelf->page_bytes + job->length > PAGE_BYTES_MAX || add_fields(job)) {
        free(page);
        return 503;
    }
    *page = (struct page){shelf, job->page, job->length};
    shelf->page_bytes += job->length;
    shelf->references++;
    job->page = NULL;
    const struct http_source source = {.fd = -1, .release = release_page, .arg = page};
    const struct http_piece piece = {.bytes = page->bytes, .length = page->length};
    const char *type = job->form == LISTING_HTML ? "text/html; charset=utf-8" : "application/json";
    return http_respond_from(job->response, 200, type, &source, &piece, 1);
}

static void finish(struct pool_job *pool_job)
{
    struct listing_job *job = (struct listing_job *)pool_job;
    job->shelf->listings--;
    if (job->request) {
        http_response_on_cancel(job->response, NULL, NULL);
        int returned = job->page ? respond(job) : file_status_of(job->error);
        if (returned == 404)
            returned = file_not_found(job->shelf, job->request, job->response);
        file_finish(job->response, returned);
    }
    file_tree_release(job->tree);
    file_shelf_release(job->shelf);
    free(job->page);
    free(job);
}

/* JSON for those who like it better than a page. */
static enum listing_form choose_form(struct http_request *request)
{
    struct http_text accept = http_request_header_list(request, "Accept");
    int json = http_accept_media(accept, "application/json");
    return json > 0 && json > http_accept_media(accept, "text/html") ? LISTING_JSON : LISTING_HTML;
}

int file_listing_respond(struct file_shelf *shelf, struct http_request *request,
                         struct http_response *response)
{
    if (shelf->listings >= LISTINGS_MAX)
        return 503;
    struct listing_job *job = malloc(sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct listing_job){
        .job = {.run = make, .done = finish, .reactor = shelf->reactor},
        .shelf = shelf,
        .tree = shelf->tree,
        .request = request,
        .response = response,
        .form = choose_form(request),
    };
    int status = file_path_decode(http_request_path(request), shelf->files->dotfiles, &job->path);
    if (status) {
        free(job);
        return status;
    }
    shelf->tree->references++;
    shelf->references++;
    shelf->listings++;
    http_response_soon(response);
    http_response_on_cancel(response, forget, job);
    pool_submit(shelf->files->readers, &job->job);
    return HTTP_PENDING;
}
