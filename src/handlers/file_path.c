#include "handlers/file_path.h"

#include "http/uri.h"

#include <glib.h>
#include <string.h>

/* U+0000 to U+001F, U+007F, and U+0080 to U+009F, which are 0xC2 and a byte below 0xA0. The name is
 * UTF-8. */
static bool has_control_character(struct http_text name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char)name.bytes[i];
        if (byte < ' ' || byte == 0x7f)
            return true;
        if (byte == 0xc2 && (unsigned char)name.bytes[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool is_dot_or_dots(struct http_text name)
{
    return name.bytes[0] == '.' && (name.length == 1 || (name.length == 2 && name.bytes[1] == '.'));
}

int file_name_check(struct http_text name, bool dotfiles)
{
    if (name.length == 0)
        return 404;
    if (!g_utf8_validate_len(name.bytes, name.length, NULL) || has_control_character(name))
        return 400;
    if (memchr(name.bytes, '/', name.length) || memchr(name.bytes, '\\', name.length))
        return 400;
    if (name.length > FILE_NAME_BYTES || is_dot_or_dots(name))
        return 404;
    return name.bytes[0] == '.' && !dotfiles ? 404 : 0;
}

/* Decodes a segment to the end of `decoded`, after a slash unless it is the first. */
static int add_segment(struct file_path *decoded, struct http_text segment, bool dotfiles)
{
    char bytes[3 * FILE_NAME_BYTES];
    struct http_text name = {bytes, 0};
    if (segment.length > sizeof(bytes))
        return 404;
    if (!http_percent_decode(segment, false, bytes, &name.length))
        return 400;
    int status = file_name_check(name, dotfiles);
    if (status)
        return status;
    if (decoded->length + 1 + name.length >= sizeof(decoded->bytes))
        return 404;
    if (decoded->length)
        decoded->bytes[decoded->length++] = '/';
    memcpy(decoded->bytes + decoded->length, bytes, name.length);
    decoded->length += name.length;
    return 0;
}

int file_path_decode(struct http_text path, bool dotfiles, struct file_path *decoded)
{
    if (path.length == 0 || path.bytes[0] != '/')
        return 400;
    const char *end = path.bytes + path.length;
    const char *at = path.bytes + 1;
    decoded->length = 0;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *segment_end = slash ? slash : end;
        int status =
            add_segment(decoded, (struct http_text){at, (size_t)(segment_end - at)}, dotfiles);
        if (status)
            return status;
        at = slash ? slash + 1 : end;
    }
    decoded->directory = end[-1] == '/';
    decoded->bytes[decoded->length] = '\0';
    return 0;
}
