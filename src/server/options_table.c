#include "server/options_table.h"

#include "server/options.h"

#define AT(member) offsetof(struct options, member)

enum { DAY_S = 86400 };

const struct option option_table[OPTION_COUNT] = {
    {"listen", 'l', OPTION_TEXTS, AT(listen), 0, 0, "ADDR:PORT",
     "listen there; may be repeated (default 127.0.0.1:18470)",
     "A numeric IPv4 or IPv6 address and a port, such as 0.0.0.0:80 or [::1]:8080. "
     "Port 0 lets the kernel choose. An IPv6 address does not accept IPv4 clients; give both."},
    {"threads", 'j', OPTION_NUMBER, AT(server.threads), 1, 1024, "N",
     "reactors, a thread each (default: the CPUs this process may use)",
     "Each thread has an event loop and a listening socket of its own. "
     "The default counts the CPUs of the affinity mask, "
     "or fewer where a control group allows less time than that. "
     "1 is a single-threaded server."},
    {"duration", 'd', OPTION_NUMBER, AT(server.duration_s), 1, 4000000, "SECONDS",
     "drain and stop after that time (default: run until a signal)", ""},
    {"drain-timeout", 0, OPTION_LIMIT, AT(server.drain_timeout_s), 0, DAY_S, "SECONDS",
     "how long a drain may take (default 10)",
     "What is still open then is closed, answered or not. 0 does not wait at all."},
    {"backlog", 0, OPTION_NUMBER, AT(server.backlog), 1, 65535, "N",
     "connections that may wait to be accepted, a listener (default 4096)",
     "The kernel allows no more than net.core.somaxconn."},

    {"balance", 0, OPTION_CHOICE, AT(balance), 0, 0, "hash|least|handoff|auto",
     "which thread gets a new connection (default auto)",
     "hash: by the kernel's hash of the addresses. least: the one with the fewest connections and "
     "the least work, chosen in the kernel by an eBPF program, which needs root or CAP_BPF. "
     "handoff: that one too, but handed on by the thread that has accepted it. "
     "auto: least where it is permitted, else handoff."},
    {"keep-connections", 0, OPTION_FLAG, AT(keep_connections), 0, 0, NULL,
     "leave each connection on the thread that it came to",
     "Otherwise, but for --balance hash, some move between two requests: "
     "from a thread that is busy all the time to one that is not."},
    {"stall-warning", 0, OPTION_LIMIT, AT(server.stall_warning_ms), 0, 3600000, "MS",
     "warn of a handler that keeps its thread for longer (default 100, 0: never)",
     "A line on standard error names its route and how long it took; "
     "of each route at most three in ten seconds. "
     "Another thread looks four times within that time, so that somewhat longer ones may escape "
     "it, "
     "but none of one and a half times the length."},
    {"stall-trace", 0, OPTION_FLAG, AT(stall_trace), 0, 0, NULL,
     "and write the stack of that thread on standard error",
     "While it is kept, the innermost call first. "
     "Calls of functions that are not exported have an offset for addr2line(1) instead of a name."},
    {"admin", 0, OPTION_TEXT, AT(admin), 0, 0, "ADDR:PORT|unix:PATH",
     "serve the operator there: /metrics, /status, /healthz, /readyz (default: nowhere)",
     "/metrics is for Prometheus, /status a page, or JSON for clients that prefer it. "
     "/healthz is answered with 503 when a loop has not moved for 30 seconds, /readyz while the "
     "server drains. "
     "It has a thread of its own, and answers while the others stall. A unix socket is its "
     "owner's only; one that a dead server left is replaced."},
    {"admin-anywhere", 0, OPTION_FLAG, AT(admin_anywhere), 0, 0, NULL,
     "let other machines reach those pages",
     "Whoever reaches them reads all of them; otherwise only loopback addresses are allowed, and "
     "there no Host but a numeric address or localhost."},

    {"root", 'r', OPTION_TEXT, AT(root), 0, 0, "DIR",
     "serve the files below DIR (default: a built-in page)",
     "GET and HEAD, with conditions, ranges, and files that lie beside others in compressed form "
     "(.br, .zst, .gz). A directory is answered with its index.html. Nothing outside of DIR is "
     "ever served, and only regular files are."},
    {"listing", 0, OPTION_FLAG, AT(listing), 0, 0, NULL, "list directories that have no index.html",
     "As a page, or as JSON to clients that prefer application/json."},
    {"dotfiles", 0, OPTION_FLAG, AT(dotfiles), 0, 0, NULL,
     "serve files and directories whose names begin with a dot", ""},
    {"follow-symlinks", 0, OPTION_FLAG, AT(follow_symlinks), 0, 0, NULL,
     "follow symbolic links that stay below DIR (default: none)",
     "Those that lead out of it, and absolute ones, are never followed."},
    {"cache-control", 0, OPTION_TEXTS, AT(cache_control), 0, 0, "PATTERN=VALUE",
     "field Cache-Control of files that match; may be repeated",
     "The first pattern that matches counts: one with a slash is compared with the whole path, "
     "any other with the file's name, as in '*.css=max-age=3600' or '/assets/*=immutable'."},
    {"header", 0, OPTION_TEXTS, AT(headers), 0, 0, "NAME: VALUE",
     "a further field of each file's answer; may be repeated", ""},
    {"not-found", 0, OPTION_TEXT, AT(not_found), 0, 0, "FILE",
     "page for what is not there, with status 404; a path below DIR", ""},
    {"fallback", 0, OPTION_TEXT, AT(fallback), 0, 0, "FILE",
     "what is answered with status 200 where there is no file; a path below DIR",
     "For applications that keep their routes in the browser: --fallback index.html."},
    {"no-compression", 0, OPTION_FLAG, AT(no_compression), 0, 0, NULL,
     "do not compress texts that lie there uncompressed",
     "Otherwise each is compressed once, when a client first asks for it, and kept in memory."},
    {"cache-file", 0, OPTION_SIZE, AT(files.memory_max), 0, 1 << 30, "BYTES",
     "size of a file that is kept in memory (default 64K, 0: none)",
     "Larger ones are sent from the kernel's cache of files."},
    {"cache-size", 0, OPTION_SIZE, AT(files.cache_max), 0, INT64_C(1) << 40, "BYTES",
     "files kept in memory, a thread (default 32M, 0: none)", ""},

    {"max-header-bytes", 0, OPTION_NUMBER, AT(server.max_header_bytes), 64, 16384, "BYTES",
     "size of request line and fields together (default 16384)",
     "A larger head is answered with 431."},
    {"max-headers", 0, OPTION_NUMBER, AT(server.max_headers), 1, 100, "N",
     "fields of a request (default 100)", "A request with more is answered with 431."},
    {"max-uri", 0, OPTION_NUMBER, AT(server.max_uri_bytes), 1, 16384, "BYTES",
     "size of a request's target (default 8192)", "A longer one is answered with 414."},
    {"max-body", 0, OPTION_SIZE, AT(server.max_body_bytes), 0, INT64_MAX, "BYTES",
     "size of a request's body; K, M or G may follow (default 1M, 0: no limit)",
     "A longer one is answered with 413. 1K is 1024 bytes, 1M is 1024K, 1G is 1024M."},

    {"max-connections", 0, OPTION_NUMBER, AT(server.max_connections), 1, 100000000, "N",
     "connections at a time (default: what the descriptor limit allows)",
     "Over all threads. Further clients wait in the backlog until one closes."},
    {"max-connections-per-client", 0, OPTION_NUMBER, AT(server.max_connections_per_client), 0,
     100000000, "N", "connections at a time of one client (default 0: no limit)",
     "A client is an IPv4 address, or an IPv6 network of 64 bits. "
     "A connection beyond the limit is closed at once. "
     "Behind a proxy all clients have the proxy's address."},
    {"max-requests", 0, OPTION_NUMBER, AT(server.max_requests), 0, 4000000000, "N",
     "requests on a connection (default 0: no limit)",
     "The last one is answered with Connection: close."},
    {"header-timeout", 0, OPTION_LIMIT, AT(server.header_timeout_s), 0, DAY_S, "SECONDS",
     "time for a request line and its fields to arrive (default 10, 0: no limit)", ""},
    {"idle-timeout", 0, OPTION_LIMIT, AT(server.idle_timeout_s), 0, DAY_S, "SECONDS",
     "time between the requests of a connection (default 75, 0: no limit)", ""},
    {"min-body-rate", 0, OPTION_LIMIT, AT(server.min_body_rate), 0, INT32_MAX, "BYTES/S",
     "least speed of a client that sends a body (default 240, 0: no limit)",
     "Measured over five seconds."},
    {"min-write-rate", 0, OPTION_LIMIT, AT(server.min_write_rate), 0, INT32_MAX, "BYTES/S",
     "least speed of a client that takes an answer (default 240, 0: no limit)",
     "Measured over five seconds."},

    {"access-log", 0, OPTION_TEXT, AT(access_log), 0, 0, "FILE",
     "append a line for each request; - is standard output (default: none)",
     "SIGUSR1 has the file opened anew. "
     "On standard output the lines come after the announcement and before the summary, "
     "neither of which there is with --quiet."},
    {"access-log-format", 0, OPTION_CHOICE, AT(access_log_format), 0, 0, "combined|json",
     "form of its lines (default combined)",
     "combined is the format of that name of other servers; json is an object on each line."},

    {"quiet", 'q', OPTION_FLAG, AT(quiet), 0, 0, NULL, "print nothing but warnings and errors", ""},
    {"help", 'h', OPTION_FLAG, AT(help), 0, 0, NULL, "print this help and exit", ""},
    {"version", 'V', OPTION_FLAG, AT(version), 0, 0, NULL, "print version and build and exit", ""},
};
