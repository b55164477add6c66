#include "handlers/file_content.h"

#include "base/buffer.h"
#include "base/hash.h"
#include "http/date.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)

enum {
    SUFFIX_MAX = 4,       /* ".zst" */
    AT_ONCE_MAX = 262144, /* bytes */
    READ_TRIES = 3,       /* of a file that changes while it is read */
    RACY_NS = 20000000,   /* twice the tick by which file systems count time */
    PATH_BYTES = 4096 + SUFFIX_MAX,
};

/* --- reading --- */

/* Reads `length` bytes from the beginning: 0 or -errno, -ESTALE when there are fewer. */
static int read_bytes(int fd, char *to, size_t length, bool may_wait)
{
    size_t done = 0;
    while (done < length) {
        struct iovec rest = {to + done, length - done};
        ssize_t count = preadv2(fd, &rest, 1, (off_t)done, may_wait ? 0 : RWF_NOWAIT);
        if (count == 0)
            return -ESTALE;
        if (count > 0)
            done += (size_t)count;
        else if (errno == EOPNOTSUPP && !may_wait)
            return -EAGAIN;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Reads all of an open file into memory, as it was at one time: its stamp before and after is the
 * same. */
static int read_whole(struct file_form *form, uint64_t memory_max, bool may_wait)
{
    int error = -ESTALE;
    for (int tries = 0; tries < READ_TRIES && error == -ESTALE && form->stamp.size <= memory_max;
         tries++) {
        struct file_stamp after;
        free(form->body);
        form->body = malloc(form->stamp.size + 1);
        if (!form->body)
            return -ENOMEM;
        error = read_bytes(form->fd, form->body, form->stamp.size, may_wait);
        int failed = file_stamp_take(form->fd, may_wait, &after);
        if (failed)
            return failed;
        if (!error && !file_stamps_equal(&after, &form->stamp))
            error = -ESTALE;
        form->stamp = after;
    }
    /* Who rewrites it again and again has just emptied it. */
    return error == -ESTALE && form->stamp.size == 0 ? 0 : error;
}

static int open_form(struct file_form *form, const struct file_settings *settings,
                     const struct file_root *root, const char *path, bool may_wait)
{
    form->fd = file_root_find(root, path, O_RDONLY, may_wait);
    if (form->fd < 0)
        return form->fd;
    int error = file_stamp_take(form->fd, may_wait, &form->stamp);
    if (!error && !form->stamp.regular)
        error = form->stamp.directory ? -EISDIR : -ENOENT;
    if (!error && form->stamp.size <= settings->memory_max) {
        if (!may_wait && form->stamp.size > AT_ONCE_MAX)
            error = -EAGAIN; /* megabytes are not read on a reactor's thread, wherever they lie */
        else
            error = read_whole(form, settings->memory_max, may_wait);
        /* What does not stay the same is sent from the file, which notices. */
        if (error == -ESTALE) {
            free(form->body);
            form->body = NULL;
            error = 0;
        }
    }
    if (error || form->body) {
        close(form->fd);
        form->fd = -1;
    }
    form->length = form->stamp.size;
    return error;
}

bool file_form_has_changed(const struct file_form *form)
{
    struct file_stamp now;
    return file_stamp_take(form->fd, false, &now) || !file_stamps_same_bytes(&now, &form->stamp);
}

static void close_form(struct file_form *form)
{
    if (form->fd >= 0)
        close(form->fd);
    free(form->body);
    free(form->lines);
    *form = (struct file_form){.fd = -1};
}

/* --- the fields of the answers --- */

static uint64_t hash_stamp(const struct file_stamp *stamp)
{
    const uint64_t words[] = {stamp->inode, stamp->size, (uint64_t)stamp->modified_ns,
                              (uint64_t)stamp->changed_ns};
    return hash_bytes(words, sizeof(words), 0);
}

/* Strong, unless a further change might not show in it; each form has its own (RFC 9110
 * section 8.8.3). */
static int format_etag(char *to, size_t room, const struct file_content *content,
                       const struct file_form *form, enum coding coding)
{
    uint64_t hash = hash_stamp(&form->stamp);
    if (form->made) /* by some version of a library */
        hash = hash_bytes(form->body, form->length, hash);
    return snprintf(to, room, "%s\"%016" PRIx64 "%s%s\"", content->racy ? "W/" : "", hash,
                    coding == CODING_IDENTITY ? "" : "-",
                    coding == CODING_IDENTITY ? "" : coding_name(coding));
}

static bool put_line(struct buffer *lines, const char *name, const char *value)
{
    size_t name_length = strlen(name);
    size_t value_length = strlen(value);
    if (!buffer_reserve(lines, name_length + value_length + 4))
        return false;
    buffer_put(lines, name, name_length);
    buffer_put(lines, ": ", 2);
    buffer_put(lines, value, value_length);
    buffer_put(lines, "\r\n", 2);
    return true;
}

static bool put_validators(struct buffer *lines, const struct file_content *content,
                           const char *etag)
{
    char date[HTTP_DATE_LENGTH + 1] = "";
    http_date_format(date, content->modified_s);
    return put_line(lines, "ETag", etag) && put_line(lines, "Last-Modified", date);
}

static bool write_lines(struct file_form *form, const struct file_content *content,
                        const struct file_settings *settings, enum coding coding)
{
    struct buffer lines = {NULL, 0, 0};
    const char *more = file_policy_lines(settings->policy);
    char etag[40];
    int etag_length = format_etag(etag, sizeof(etag), content, form, coding);
    bool ok =
        coding == CODING_IDENTITY || put_line(&lines, "Content-Encoding", coding_name(coding));
    ok = ok && put_line(&lines, "X-Content-Type-Options", "nosniff");
    form->cached_at = lines.length;
    if (content->varies)
        ok = ok && put_line(&lines, "Vary", "Accept-Encoding");
    ok = ok && buffer_reserve(&lines, strlen(more) + 1);
    if (ok)
        buffer_put(&lines, more, strlen(more));
    form->lasting_at = lines.length;
    if (content->cache_control)
        ok = ok && put_line(&lines, "Cache-Control", content->cache_control);
    form->validators_at = lines.length;
    ok = ok && put_validators(&lines, content, etag);
    form->cached_end = lines.length;
    ok = ok && put_line(&lines, "Accept-Ranges", "bytes");
    form->lines = lines.bytes; /* to be freed with the form in any case */
    form->lines_length = lines.length;
    if (ok)
        form->etag = (struct http_text){lines.bytes + form->validators_at + strlen("ETag: "),
                                        (size_t)etag_length};
    return ok;
}

/* --- the whole --- */

static bool may_be_compressed(const struct file_content *content)
{
    uint64_t length = content->forms[CODING_IDENTITY].length;
    return content->compressible && length >= FILE_COMPRESS_MIN && length <= FILE_COMPRESS_MAX;
}

bool file_content_offers(const struct file_content *content, enum coding coding)
{
    const struct file_form *form = &content->forms[coding];
    if (file_form_is_there(form))
        return true;
    return !form->worthless && may_be_compressed(content) && coding_is_made(coding);
}

static const char *last_segment(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether a further change might fall into the same tick of the file system's clock, which is a
 * second or two where it has no fractions. */
static bool changed_just_now(const struct file_stamp *stamp, const struct timespec *now)
{
    int64_t age_ns = now->tv_sec * NS_PER_SECOND + now->tv_nsec - stamp->changed_ns;
    int64_t tick_ns = stamp->changed_ns % NS_PER_SECOND ? RACY_NS : 2 * NS_PER_SECOND;
    return age_ns < tick_ns && age_ns > -tick_ns;
}

/* Not before the time that dates can tell, and not after the answer's own (RFC 9110
 * section 8.8.2.1). */
static int64_t clamp(int64_t modified_s, int64_t now_s)
{
    if (modified_s < 0)
        return 0;
    return modified_s < now_s ? modified_s : now_s;
}

static bool describe(struct file_content *content, const struct file_settings *settings,
                     const char *path, const struct timespec *began)
{
    content->modified_s = clamp(content->forms[CODING_IDENTITY].stamp.modified_s, began->tv_sec);
    content->content_type = media_types_find(settings->types, last_segment(path));
    content->cache_control = file_policy_cache_control(settings->policy, path);
    content->compressible = settings->compress && media_type_is_compressible(content->content_type);
    content->varies = may_be_compressed(content);
    content->bytes = sizeof(*content);
    for (int i = 0; i < CODING_COUNT; i++) {
        const struct file_form *form = &content->forms[i];
        content->varies |= i != CODING_IDENTITY && file_form_is_there(form);
        content->racy |= file_form_is_there(form) && changed_just_now(&form->stamp, began);
    }
    for (int i = 0; i < CODING_COUNT; i++) {
        struct file_form *form = &content->forms[i];
        if (!file_form_is_there(form))
            continue;
        if (!write_lines(form, content, settings, i))
            return false;
        content->bytes +=
            form->lines_length + (form->body ? form->length : settings->descriptor_bytes);
    }
    return true;
}

/* Looks at what has that name without opening it: that alone may do harm to a FIFO or a device. */
static int look(const struct file_root *root, const char *path, bool may_wait,
                struct file_stamp *stamp)
{
    *stamp = (struct file_stamp){0};
    int fd = file_root_find(root, path, O_PATH, may_wait);
    if (fd < 0)
        return fd;
    int error = file_stamp_take(fd, may_wait, stamp);
    close(fd);
    return error;
}

static bool is_shortage(int error)
{
    return error == -EAGAIN || error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Opens a form, if it is there and a regular file. What is wrong with a compressed one does no
 * harm, and is remembered like a form: it is no reason to load all of it again. */
static int find_form(struct file_content *content, const struct file_settings *settings,
                     const struct file_root *root, const char *name, enum coding coding,
                     bool may_wait)
{
    struct file_form *form = &content->forms[coding];
    struct file_stamp seen;
    int error = look(root, name, may_wait, &seen);
    if (!error && !seen.regular)
        error = seen.directory ? -EISDIR : -ENOENT;
    if (!error)
        error = open_form(form, settings, root, name, may_wait);
    if (error && (coding == CODING_IDENTITY || is_shortage(error)))
        return error;
    if (error)
        close_form(form);
    content->found[coding] = error ? seen : form->stamp;
    return 0;
}

static int open_forms(struct file_content *content, const struct file_settings *settings,
                      const struct file_root *root, const char *path, bool may_wait)
{
    char name[PATH_BYTES];
    /* First the file: without it, the others mean nothing. */
    for (int i = CODING_IDENTITY; i >= 0; i--) {
        snprintf(name, sizeof(name), "%s%s", path, coding_suffix(i));
        int error = find_form(content, settings, root, name, i, may_wait);
        if (error)
            return error;
    }
    return 0;
}

int file_content_load(const struct file_settings *settings, const struct file_root *root,
                      const char *path, bool may_wait, struct file_content **content)
{
    struct timespec began;
    struct file_content *loaded = calloc(1, sizeof(*loaded));
    if (!loaded)
        return -ENOMEM;
    loaded->references = 1;
    clock_gettime(CLOCK_REALTIME, &began); /* before the first look: reading may take long */
    for (int i = 0; i < CODING_COUNT; i++)
        loaded->forms[i].fd = -1;
    int error = open_forms(loaded, settings, root, path, may_wait);
    if (!error && !describe(loaded, settings, path, &began))
        error = -ENOMEM;
    if (error)
        file_content_release(loaded);
    else
        *content = loaded;
    return error;
}

void file_content_release(struct file_content *content)
{
    if (!content || --content->references)
        return;
    for (int i = 0; i < CODING_COUNT; i++)
        close_form(&content->forms[i]);
    free(content);
}

int file_content_is_current(const struct file_content *content, const struct file_root *root,
                            const char *path, bool may_wait)
{
    char name[PATH_BYTES];
    if (content->racy)
        return 0;
    for (int i = 0; i < CODING_COUNT; i++) {
        struct file_stamp now;
        snprintf(name, sizeof(name), "%s%s", path, coding_suffix(i));
        int error = look(root, name, may_wait, &now);
        if (error && is_shortage(error))
            return error;
        if (!file_stamps_equal(&now, &content->found[i]))
            return 0;
    }
    return 1;
}

/* --- forms that are made here --- */

char *file_content_compress(const struct file_content *content, enum coding coding, size_t *length)
{
    const struct file_form *file = &content->forms[CODING_IDENTITY];
    char *read = NULL;
    struct file_stamp after;
    if (!file->body) {
        read = malloc(file->length);
        if (!read || read_bytes(file->fd, read, file->length, true) ||
            file_stamp_take(file->fd, true, &after) ||
            !file_stamps_same_bytes(&after, &file->stamp)) {
            free(read);
            return NULL;
        }
    }
    char *made =
        compress_bytes(coding, read ? read : file->body, file->length, file->length, length);
    free(read);
    return made;
}

void file_content_add(struct file_content *content, const struct file_settings *settings,
                      enum coding coding, char *body, size_t length)
{
    struct file_form *form = &content->forms[coding];
    *form = (struct file_form){.stamp = content->forms[CODING_IDENTITY].stamp,
                               .length = length,
                               .body = body,
                               .fd = -1,
                               .made = true};
    if (!body || !write_lines(form, content, settings, coding)) {
        close_form(form);
        form->worthless = true;
        return;
    }
    content->bytes += form->lines_length + length;
}
