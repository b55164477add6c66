#include "handlers/media_types_table.h"

#include <stddef.h>

/* Fixed are the types without which a browser does not use the file at all, whatever is in it:
 *
 * - scripts, as modules or with nosniff: a JavaScript MIME type (HTML Standard); text/javascript is
 *   the one that is not obsolete (RFC 9239). Old lists say application/x-javascript, or have .mjs
 *   as something else
 * - style sheets: text/css (CSSOM, "determine whether a style sheet is CSS")
 * - WebAssembly.compileStreaming(): application/wasm (WebAssembly Web API)
 * - JSON modules: a JSON MIME type
 * - images: all but SVG are sniffed (MIME Sniffing Standard) */
const struct media_type_row media_types_table[] = {
    {"text/html", "html htm", false},
    {"text/css", "css", true},
    {"text/javascript", "js mjs", true},
    {"application/json", "json", true},
    {"application/json", "map", false},
    {"application/wasm", "wasm", true},
    {"image/svg+xml", "svg", true},

    {"text/plain", "txt text log", false},
    {"text/markdown", "md markdown", false},
    {"text/csv", "csv", false},
    {"text/tab-separated-values", "tsv", false},
    {"text/calendar", "ics", false},
    {"text/vcard", "vcf", false},
    {"text/vtt", "vtt", false},
    {"text/x-c", "c h", false},
    {"text/x-python", "py", false},
    {"text/x-diff", "diff patch", false},

    {"application/xml", "xml", false},
    {"application/xhtml+xml", "xhtml xht", false},
    {"application/xslt+xml", "xsl xslt", false},
    {"application/atom+xml", "atom", false},
    {"application/rss+xml", "rss", false},
    {"application/manifest+json", "webmanifest", false},
    {"application/ld+json", "jsonld", false},
    {"application/geo+json", "geojson", false},
    {"application/yaml", "yaml yml", false},
    {"application/toml", "toml", false},

    {"image/png", "png", false},
    {"image/apng", "apng", false},
    {"image/jpeg", "jpg jpeg jfif", false},
    {"image/gif", "gif", false},
    {"image/webp", "webp", false},
    {"image/avif", "avif", false},
    {"image/jxl", "jxl", false},
    {"image/heic", "heic", false},
    {"image/bmp", "bmp", false},
    {"image/tiff", "tif tiff", false},
    {"image/vnd.microsoft.icon", "ico", false},

    {"font/woff", "woff", false},
    {"font/woff2", "woff2", false},
    {"font/ttf", "ttf", false},
    {"font/otf", "otf", false},
    {"font/collection", "ttc", false},
    {"application/vnd.ms-fontobject", "eot", false},

    {"audio/aac", "aac", false},
    {"audio/flac", "flac", false},
    {"audio/midi", "mid midi", false},
    {"audio/mp4", "m4a", false},
    {"audio/mpeg", "mp3", false},
    {"audio/ogg", "ogg oga opus", false},
    {"audio/wav", "wav", false},
    {"audio/webm", "weba", false},

    {"video/mp2t", "ts", false},
    {"video/mp4", "mp4 m4v", false},
    {"video/mpeg", "mpeg mpg", false},
    {"video/ogg", "ogv", false},
    {"video/quicktime", "mov", false},
    {"video/webm", "webm", false},
    {"video/x-matroska", "mkv", false},
    {"video/x-msvideo", "avi", false},
    {"application/dash+xml", "mpd", false},
    {"application/vnd.apple.mpegurl", "m3u8", false},

    {"application/pdf", "pdf", false},
    {"application/rtf", "rtf", false},
    {"application/epub+zip", "epub", false},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", false},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", false},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx", false},
    {"application/vnd.oasis.opendocument.text", "odt", false},
    {"application/vnd.oasis.opendocument.spreadsheet", "ods", false},

    {"application/gzip", "gz tgz", false},
    {"application/zip", "zip", false},
    {"application/zstd", "zst", false},
    {"application/x-7z-compressed", "7z", false},
    {"application/x-bzip2", "bz2", false},
    {"application/x-tar", "tar", false},
    {"application/x-xz", "xz", false},
    {"application/vnd.rar", "rar", false},
    {"application/java-archive", "jar", false},
    {"application/vnd.android.package-archive", "apk", false},
    {"application/vnd.debian.binary-package", "deb", false},

    {"model/gltf+json", "gltf", false},
    {"model/gltf-binary", "glb", false},
    {NULL, NULL, false},
};

const char *const media_types_compressible[] = {
    "application/ecmascript",
    "application/javascript",
    "application/json",
    "application/postscript",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-tar",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/collection",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    NULL,
};
