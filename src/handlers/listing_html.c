#include "handlers/listing_private.h"

#include <inttypes.h>

static const char style[] =
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1c2128;--quiet:#5b6570;--line:#e1e5ea;"
    "--head:#f6f8fa;--hover:#f1f6fd;--link:#0b57c2;--visited:#6b3fa0;--folder:#4c8fe6;"
    "--sheet:#b3bdc8}"
    "@media(prefers-color-scheme:dark){:root{--ground:#14171b;--ink:#e3e6ea;--quiet:#9aa4af;"
    "--line:#2a3037;--head:#1a1e23;--hover:#1c2430;--link:#7db4ff;--visited:#c3a1f5;"
    "--folder:#5b9bf0;--sheet:#4d5763}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;padding:2.5rem 1.5rem 4rem;max-width:62rem;background:var(--ground);"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif;-webkit-text-size-adjust:100%}"
    "a{color:var(--link);text-decoration:none}"
    "a:visited{color:var(--visited)}"
    "a:hover,a:focus-visible{text-decoration:underline;text-underline-offset:.2em}"
    "nav ol{display:flex;flex-wrap:wrap;margin:0;padding:0;list-style:none;color:var(--quiet)}"
    "nav li+li::before{content:\"\\203a\";content:\"\\203a\"/\"\";padding:0 "
    ".5em;color:var(--quiet)}"
    "nav a:visited,.up a:visited{color:var(--link)}"
    "h1{margin:.15em 0 1rem;font-size:1.75rem;line-height:1.25;font-weight:650;"
    "letter-spacing:-.01em}"
    "h1,nav li,th a{unicode-bidi:isolate;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".up{margin:-.5rem 0 1rem}"
    "table{width:100%;border:1px solid var(--line);border-radius:.6rem;border-spacing:0;"
    "overflow:hidden;font-variant-numeric:tabular-nums}"
    "caption{caption-side:bottom;padding:.75rem 1rem;text-align:start;font-size:.875rem;"
    "color:var(--quiet)}"
    "th,td{padding:.5rem 1rem;border-top:1px solid var(--line);vertical-align:baseline;"
    "text-align:start;font-weight:400}"
    "thead th{border:0;background:var(--head);font-size:.8125rem;color:var(--quiet)}"
    "tbody tr:hover{background:var(--hover)}"
    "td{font-size:.875rem;color:var(--quiet);white-space:nowrap}"
    "th.size,td.size{text-align:end}"
    "th.time,td.time{width:1%;white-space:nowrap}"
    /* The shapes of a sheet and of a folder: no font need have them. */
    "th a{display:block;position:relative;padding-left:1.8rem}"
    "th a::before{content:\"\";position:absolute;left:.15rem;top:.25rem;width:.8rem;height:1rem;"
    "background:var(--sheet);clip-path:polygon(0 0,62% 0,100% 30%,100% 100%,0 100%)}"
    "a.directory{font-weight:600}"
    "a.directory::before{left:0;top:.3rem;width:1.1rem;height:.9rem;background:var(--folder);"
    "clip-path:polygon(0 0,40% 0,52% 18%,100% 18%,100% 100%,0 100%)}"
    "@media(max-width:36rem){body{padding:1.5rem .75rem 3rem}h1{font-size:1.5rem}"
    "th,td{padding:.5rem "
    ".6rem}td{font-size:.8125rem}th.size,td.size{padding-left:0;padding-right:0}"
    "time span{display:block}}"
    "@media(forced-colors:active){th a::before{background:LinkText;forced-color-adjust:none}}";

/* --- escaping --- */

/* A part of a name or path in text and in attributes. */
static void put_escaped(struct listing_page *page, const char *text, size_t length)
{
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        if (!strchr("&<>\"'", text[i]))
            continue;
        listing_put(page, text + from, i - from);
        listing_printf(page, "&#%d;", text[i]);
        from = i + 1;
    }
    listing_put(page, text + from, length - from);
}

/* All but what is unreserved in a URI (RFC 3986 section 2.3): nothing is left that HTML would have
 * to escape. */
static void put_percent_encoded(struct listing_page *page, const char *text)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (;;) {
        size_t plain = strspn(text, unreserved);
        listing_put(page, text, plain);
        text += plain;
        if (!*text)
            return;
        listing_printf(page, "%%%02X", (unsigned char)*text++);
    }
}

/* --- numbers --- */

/* 1234567 as 1,234,567 */
static void put_number(struct listing_page *page, uint64_t number)
{
    uint64_t unit = 1;
    while (number / unit >= 1000)
        unit *= 1000;
    listing_printf(page, "%" PRIu64, number / unit);
    for (unit /= 1000; unit; unit /= 1000)
        listing_printf(page, ",%03" PRIu64, number / unit % 1000);
}

static void put_counted(struct listing_page *page, uint64_t number, const char *one,
                        const char *many)
{
    put_number(page, number);
    listing_puts(page, " ");
    listing_puts(page, number == 1 ? one : many);
}

/* In units of a thousand, to one decimal. */
static void put_size(struct listing_page *page, uint64_t size)
{
    if (size < 1000) {
        listing_printf(page, "%" PRIu64 " B", size);
        return;
    }
    const char *unit = "KMGTPE";
    double value = (double)size / 1000;
    while (value >= 999.95) { /* would be 1000.0 */
        value /= 1000;
        unit++;
    }
    listing_printf(page, "%.1f %cB", value, *unit);
}

/* --- the rows --- */

static void put_time(struct listing_page *page, int64_t seconds)
{
    struct tm time = listing_time(seconds);
    int year = time.tm_year + 1900;
    int month = time.tm_mon + 1;
    listing_printf(page, "<time datetime=\"%04d-%02d-%02dT%02d:%02d:%02dZ\">", year, month,
                   time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
    listing_printf(page, "%04d-%02d-%02d <span>%02d:%02d UTC</span></time>", year, month,
                   time.tm_mday, time.tm_hour, time.tm_min);
}

static void put_name(struct listing_page *page, const struct listing_entry *entry)
{
    const char *slash = entry->directory ? "/" : "";
    listing_printf(page, "<th scope=\"row\"><a%s href=\"./",
                   entry->directory ? " class=\"directory\"" : "");
    put_percent_encoded(page, entry->name);
    listing_printf(page, "%s\">", slash);
    put_escaped(page, entry->name, strlen(entry->name));
    listing_printf(page, "%s</a></th>", slash);
}

static void put_file_size(struct listing_page *page, uint64_t size)
{
    listing_printf(page, "<data value=\"%" PRIu64 "\" title=\"", size);
    put_counted(page, size, "byte", "bytes");
    listing_puts(page, "\">");
    put_size(page, size);
    listing_puts(page, "</data>");
}

static void put_row(struct listing_page *page, const struct listing_entry *entry)
{
    listing_puts(page, "<tr>");
    put_name(page, entry);
    listing_puts(page, "<td class=\"size\">");
    if (!entry->directory)
        put_file_size(page, entry->size);
    listing_puts(page, "</td><td class=\"time\">");
    put_time(page, entry->modified_s);
    listing_puts(page, "</td></tr>\n");
}

/* --- the document --- */

/* Directories come first. */
static size_t directories_in(const struct listing *listing)
{
    size_t count = 0;
    while (count < listing->count && listing->entries[count]->directory)
        count++;
    return count;
}

static void put_caption(struct listing_page *page, const struct listing *listing)
{
    size_t directories = directories_in(listing);
    size_t files = listing->count - directories;
    listing_puts(page, "<caption>");
    if (listing->omitted) {
        listing_puts(page, "The first ");
        put_number(page, listing->count);
        listing_puts(page, " entries; ");
        put_number(page, listing->omitted);
        listing_puts(page, listing->omitted == 1 ? " more is not shown." : " more are not shown.");
    } else {
        if (directories)
            put_counted(page, directories, "directory", "directories");
        if (directories && files)
            listing_puts(page, ", ");
        if (files)
            put_counted(page, files, "file", "files");
    }
    listing_puts(page, "</caption>\n");
}

static void put_table(struct listing_page *page, const struct listing *listing)
{
    listing_puts(page, "<table>\n");
    put_caption(page, listing);
    listing_puts(page, "<thead><tr><th scope=\"col\">Name</th>"
                       "<th scope=\"col\" class=\"size\">Size</th>"
                       "<th scope=\"col\" class=\"time\">Modified</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < listing->count; i++)
        put_row(page, listing->entries[i]);
    listing_puts(page, "</tbody>\n</table>\n");
}

/* A link to the directory that is `up` levels above. */
static void put_crumb(struct listing_page *page, size_t up, const char *name, size_t length)
{
    listing_puts(page, "<li><a href=\"");
    while (up-- > 0)
        listing_puts(page, "../");
    listing_puts(page, "\">");
    put_escaped(page, name, length);
    listing_puts(page, "</a></li>");
}

/* All directories above, the root first. */
static void put_crumbs(struct listing_page *page, const char *path)
{
    size_t up = 1;
    for (const char *at = path; *at; at++)
        up += *at == '/';
    listing_puts(page, "<nav aria-label=\"Directories above\"><ol>");
    put_crumb(page, up, "/", 1);
    const char *slash;
    for (const char *name = path; (slash = strchr(name, '/')); name = slash + 1)
        put_crumb(page, --up, name, (size_t)(slash - name));
    listing_puts(page, "</ol></nav>\n");
}

static void put_beginning(struct listing_page *page, const char *path)
{
    listing_puts(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>/");
    put_escaped(page, path, strlen(path));
    listing_puts(page, *path ? "/</title>\n" : "</title>\n");
    listing_puts(page, "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                       "<style>");
    listing_put(page, style, sizeof(style) - 1);
    listing_puts(page, "</style>\n");
}

static void put_heading(struct listing_page *page, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    listing_puts(page, "<h1>");
    put_escaped(page, name, strlen(name));
    listing_puts(page, "/</h1>\n");
    if (*path)
        listing_puts(page, "<p class=\"up\"><a href=\"../\" rel=\"up\">Parent directory</a></p>\n");
}

void listing_put_html(struct listing_page *page, const char *path, const struct listing *listing)
{
    put_beginning(page, path);
    if (*path)
        put_crumbs(page, path);
    listing_puts(page, "<main>\n");
    put_heading(page, path);
    if (listing->count || listing->omitted)
        put_table(page, listing);
    else
        listing_puts(page, "<p>There is nothing to show in this directory.</p>\n");
    listing_puts(page, "</main>\n</html>\n");
}
