#include "handlers/media_types.h"

#include "handlers/media_types_table.h"
#include "http/scan.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 4 << 20 };

struct media_types {
    GHashTable *by_extension; /* to the value of Content-Type; both in `texts` */
    GHashTable *fixed;        /* extensions whose type does not change any more */
    GStringChunk *texts;
};

/* --- extensions, whose case does not matter --- */

static guint extension_hash(gconstpointer extension)
{
    guint hash = 5381;
    for (const char *at = extension; *at; at++)
        hash = hash * 33 + (guchar)g_ascii_tolower(*at);
    return hash;
}

static gboolean extension_equal(gconstpointer one, gconstpointer other)
{
    return g_ascii_strcasecmp(one, other) == 0;
}

/* --- types --- */

static bool has_prefix(const char *text, const char *prefix)
{
    return g_ascii_strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether it is type "/" subtype, both of them tokens: then it does no harm in a field. */
static bool is_media_type(const char *text)
{
    const char *slash = strchr(text, '/');
    if (!slash || slash == text || !slash[1])
        return false;
    for (const char *at = text; *at; at++) {
        if (at != slash && !http_is_tchar(*at))
            return false;
    }
    return true;
}

static const char *content_type_of(struct media_types *types, const char *type)
{
    if (!has_prefix(type, "text/"))
        return g_string_chunk_insert_const(types->texts, type);
    g_autofree char *content_type = g_strconcat(type, "; charset=utf-8", NULL);
    return g_string_chunk_insert_const(types->texts, content_type);
}

static void set_type(struct media_types *types, const char *extension, const char *content_type)
{
    if (!g_hash_table_contains(types->fixed, extension))
        g_hash_table_insert(types->by_extension,
                            g_string_chunk_insert_const(types->texts, extension),
                            (gpointer)content_type);
}

/* --- where they come from --- */

static void read_table(struct media_types *types)
{
    for (const struct media_type_row *row = media_types_table; row->type; row++) {
        const char *content_type = content_type_of(types, row->type);
        g_auto(GStrv) extensions = g_strsplit(row->extensions, " ", -1);
        for (char **extension = extensions; *extension; extension++) {
            set_type(types, *extension, content_type);
            if (row->fixed)
                g_hash_table_add(types->fixed,
                                 g_string_chunk_insert_const(types->texts, *extension));
        }
    }
}

/* The next word of a line, terminated, or NULL: a '#' begins a comment. */
static char *next_word(char **line)
{
    char *word = NULL;
    while (word == NULL || *word == '\0') {
        word = strsep(line, " \t\r\f\v");
        if (word == NULL)
            return NULL;
    }
    return *word == '#' ? NULL : word;
}

static void read_line(struct media_types *types, char *line)
{
    const char *type = next_word(&line);
    if (!type || !is_media_type(type))
        return;
    const char *content_type = content_type_of(types, type);
    const char *extension;
    while ((extension = next_word(&line)))
        set_type(types, extension, content_type);
}

/* The text of the file, to be freed with g_free(), or NULL. */
static char *text_of(const char *file)
{
    FILE *stream = fopen(file, "re");
    if (!stream)
        return NULL;
    g_autofree char *text = g_malloc(FILE_BYTES_MAX + 1);
    size_t length = fread(text, 1, FILE_BYTES_MAX + 1, stream);
    bool good = !ferror(stream) && length <= FILE_BYTES_MAX;
    fclose(stream);
    if (!good)
        return NULL;
    text[length] = '\0';
    return g_steal_pointer(&text);
}

static void read_file(struct media_types *types, const char *file)
{
    g_autofree char *text = text_of(file);
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")))
        read_line(types, line);
}

struct media_types *media_types_new(const char *file)
{
    struct media_types *types = g_new(struct media_types, 1);
    types->by_extension = g_hash_table_new(extension_hash, extension_equal);
    types->fixed = g_hash_table_new(extension_hash, extension_equal);
    types->texts = g_string_chunk_new(4096);
    read_table(types);
    if (file)
        read_file(types, file);
    return types;
}

void media_types_free(struct media_types *types)
{
    g_hash_table_destroy(types->by_extension);
    g_hash_table_destroy(types->fixed);
    g_string_chunk_free(types->texts);
    g_free(types);
}

/* --- questions --- */

const char *media_types_find(const struct media_types *types, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    const char *content_type =
        dot && dot != base ? g_hash_table_lookup(types->by_extension, dot + 1) : NULL;
    return content_type ? content_type : "application/octet-stream";
}

bool media_type_is_compressible(const char *content_type)
{
    if (has_prefix(content_type, "text/"))
        return true;
    char type[128];
    if (g_strlcpy(type, content_type, sizeof(type)) >= sizeof(type))
        return false;
    type[strcspn(type, "; \t")] = '\0';
    const char *suffix = strrchr(type, '+'); /* RFC 6838 section 4.2.8 */
    if (suffix && (extension_equal(suffix, "+xml") || extension_equal(suffix, "+json")))
        return true;
    for (const char *const *row = media_types_compressible; *row; row++) {
        if (extension_equal(type, *row))
            return true;
    }
    return false;
}
