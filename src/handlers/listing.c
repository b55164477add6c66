#include "handlers/listing.h"

#include "handlers/file_path.h"
#include "handlers/listing_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the reading of a directory takes. */
struct reading {
    DIR *directory;
    const struct listing_options *options;
    bool (*resolves)(void *arg, const char *name, struct stat *status);
    void *arg;
    struct listing *listing;
};

/* --- entries --- */

static int entry_compare(const void *one, const void *other)
{
    const struct listing_entry *left = *(struct listing_entry *const *)one;
    const struct listing_entry *right = *(struct listing_entry *const *)other;
    if (left->directory != right->directory)
        return left->directory ? -1 : 1;
    return strverscmp(left->name, right->name);
}

/* Sorts the entries and gives up those that are too many. */
static void listing_cut(struct listing *listing)
{
    qsort(listing->entries, listing->count, sizeof(struct listing_entry *), entry_compare);
    while (listing->count > LISTING_ENTRIES_MAX) {
        free(listing->entries[--listing->count]);
        listing->omitted++;
    }
}

/* Adds an entry; NULL when memory is short. */
static struct listing_entry *listing_add(struct listing *listing, const char *name)
{
    size_t size = strlen(name) + 1;
    struct listing_entry *entry = malloc(sizeof(*entry) + size);
    if (!entry)
        return NULL;
    *entry = (struct listing_entry){0};
    memcpy(entry->name, name, size);
    if (listing->count == LISTING_ROOM)
        listing_cut(listing);
    listing->entries[listing->count++] = entry;
    return entry;
}

static void listing_free(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i]);
    free(listing);
}

static void entry_set(struct listing_entry *entry, const struct stat *status)
{
    entry->directory = S_ISDIR(status->st_mode);
    entry->size = (uint64_t)status->st_size;
    entry->modified_s = status->st_mtim.tv_sec;
    entry->known = true;
}

static bool is_shown(const struct stat *status)
{
    return S_ISREG(status->st_mode) || S_ISDIR(status->st_mode);
}

/* --- reading --- */

/* What lies behind a name; false when it is not to be shown. */
static bool look_up(const struct reading *reading, const char *name, struct stat *status)
{
    if (fstatat(dirfd(reading->directory), name, status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISLNK(status->st_mode))
        return is_shown(status);
    return reading->options->follow_symlinks && reading->resolves(reading->arg, name, status) &&
           is_shown(status);
}

/* Adds what a directory holds under a name, if it is to be shown. Most file systems tell what it
 * is; then it is not asked for its size until it is known to be among the first. */
static bool read_entry(const struct reading *reading, const struct dirent *found)
{
    struct http_text name = {found->d_name, strlen(found->d_name)};
    if (file_name_check(name, reading->options->dotfiles) != 0)
        return true;
    bool told = found->d_type == DT_REG || found->d_type == DT_DIR;
    struct stat status;
    if (!told && ((found->d_type != DT_LNK && found->d_type != DT_UNKNOWN) ||
                  !look_up(reading, found->d_name, &status)))
        return true;
    struct listing_entry *entry = listing_add(reading->listing, found->d_name);
    if (!entry)
        return false;
    if (told)
        entry->directory = found->d_type == DT_DIR;
    else
        entry_set(entry, &status);
    return true;
}

/* Reads all names. False with errno set. */
static bool read_names(const struct reading *reading)
{
    for (;;) {
        errno = 0;
        /* cppcheck-suppress readdirCalled ; no other thread has this stream */
        const struct dirent *found = readdir(reading->directory);
        if (!found)
            return errno == 0;
        if (!read_entry(reading, found))
            return false;
    }
}

/* Completes the entries that are left, but for those that have vanished or become something else
 * meanwhile. */
static void read_statuses(const struct reading *reading)
{
    struct listing *listing = reading->listing;
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct listing_entry *entry = listing->entries[i];
        struct stat status;
        bool same = entry->known || (look_up(reading, entry->name, &status) &&
                                     entry->directory == S_ISDIR(status.st_mode));
        if (!same) {
            free(entry);
            continue;
        }
        if (!entry->known)
            entry_set(entry, &status);
        listing->entries[kept++] = entry;
    }
    listing->count = kept;
}

static bool read_all(const struct reading *reading)
{
    if (!read_names(reading))
        return false;
    listing_cut(reading->listing);
    read_statuses(reading);
    return true;
}

/* A stream of its own, so that several threads may read the directory of `fd`. */
static DIR *directory_open(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return NULL;
    DIR *directory = fdopendir(own);
    if (!directory) {
        int error = errno;
        close(own);
        errno = error;
    }
    return directory;
}

/* --- the page --- */

static char *page_of(const struct listing_options *options, const struct listing *listing,
                     size_t *length)
{
    struct listing_page page = {0};
    if (options->form == LISTING_JSON)
        listing_put_json(&page, options->path, listing);
    else
        listing_put_html(&page, options->path, listing);
    if (page.torn) {
        buffer_free(&page.text);
        errno = ENOMEM;
        return NULL;
    }
    *length = page.text.length;
    return page.text.bytes;
}

char *listing_make(int fd, const struct listing_options *options,
                   bool (*resolves)(void *arg, const char *name, struct stat *status), void *arg,
                   size_t *length)
{
    struct listing *listing = malloc(sizeof(*listing));
    if (!listing)
        return NULL;
    listing->count = 0;
    listing->omitted = 0;
    struct reading reading = {directory_open(fd), options, resolves, arg, listing};
    bool good = reading.directory && read_all(&reading);
    int error = errno;
    if (reading.directory)
        closedir(reading.directory);
    errno = error;
    char *page = good ? page_of(options, listing, length) : NULL;
    error = errno;
    listing_free(listing);
    errno = error;
    return page;
}
