#include "server/admin.h"

#include "http/accept.h"
#include "http/router.h"
#include "net/balance_kernel.h"
#include "server/admin_place.h"
#include "server/admin_view.h"
#include "server/state.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    WINDOW_MS = 1000, /* between two samples that rates are taken from */
    HEADER_TIMEOUT_MS = 2000,
    IDLE_TIMEOUT_MS = 75000,
    MIN_RATE = 240, /* bytes/s */
    REFRESH_S = 2,
    REFRESH_MAX_S = 3600,
};

#define CONTENT_TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define CONTENT_TYPE_TEXT    "text/plain; charset=utf-8"
#define CONTENT_TYPE_JSON    "application/json"
#define CONTENT_TYPE_PAGE    "text/html; charset=utf-8"

struct admin {
    struct service service; /* its own: these pages have nothing to do with the server's clients */
    struct worker worker;
    struct server *server;
    struct router *router;
    struct admin_place place;
    char *url;
    char *policy;              /* of the page: a field's line */
    struct text text;          /* what is being answered */
    struct reactor_timer tick; /* takes samples */
    struct sample samples[3];  /* the present one, the last of the ticks, and the one before */
    struct sample *present;    /* which of them */
    struct sample *last;
    struct sample *before;
    uint64_t began_ns;
    int64_t process_began_ms; /* fixed, because it is computed from clocks that are adjusted */
};

/* --- what is shown --- */

static void on_tick(struct reactor *reactor, void *arg)
{
    struct admin *admin = arg;
    struct sample *oldest = admin->before;
    (void)reactor;
    admin->before = admin->last;
    admin->last = oldest;
    sample_take(admin->last, admin->server->workers, true);
}

static enum admin_phase find_phase(const struct server *server)
{
    if (atomic_load(&server->service.draining))
        return ADMIN_DRAINING;
    return atomic_load(&server->serves) ? ADMIN_SERVING : ADMIN_STARTING;
}

static const char *balance_name(enum balance_mode mode)
{
    static const char *const names[] = {
        [BALANCE_HASH] = "hash", [BALANCE_LEAST] = "least", [BALANCE_HANDOFF] = "handoff"};
    return names[mode];
}

/* Without its name, which balance_kernel_version() begins with. */
static const char *libbpf_version(void)
{
    static const char name[] = "libbpf ";
    const char *version = balance_kernel_version();
    return g_str_has_prefix(version, name) ? version + strlen(name) : "none";
}

static struct admin_view view_now(struct admin *admin)
{
    sample_take(admin->present, admin->server->workers, false);
    /* The window in progress may have just begun. */
    for (unsigned i = 0; i < admin->present->count; i++) {
        uint64_t *lag_ns = &admin->present->reactors[i].lag_ns;
        *lag_ns = MAX(*lag_ns, admin->last->reactors[i].lag_ns);
    }
    struct admin_view view = {
        .version = coreactor_version(),
        .compiler = __VERSION__,
        .libbpf = libbpf_version(),
        .balance = balance_name(admin->server->balance.mode),
        .phase = find_phase(admin->server),
        .uptime_ns = admin->present->taken_ns - admin->began_ns,
        .wall_s = time(NULL),
        .process = process_read(),
        .now = *admin->present,
        .before = *admin->before,
        .sum = sample_sum(admin->present),
        .sum_before = sample_sum(admin->before),
    };
    view.process.began_ms = admin->process_began_ms;
    return view;
}

/* --- answering --- */

static bool may_come(const struct admin *admin, const struct http_request *request)
{
    return !admin->place.loopback || admin_host_is_allowed(http_request_host(request));
}

/* Answers with what has been written. */
static int respond(struct admin *admin, struct http_response *response, int status,
                   const char *content_type)
{
    static const char fields[] = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
    const struct buffer *bytes = &admin->text.bytes;
    int error = admin->text.torn
                    ? -ENOMEM
                    : http_response_lines(response, (struct http_text){fields, sizeof(fields) - 1});
    if (error)
        return 503;
    return http_respond(response, status, content_type, bytes->bytes, bytes->length);
}

static struct text *begin_text(struct admin *admin)
{
    admin->text.bytes.length = 0;
    admin->text.torn = false;
    return &admin->text;
}

static int show_metrics(struct http_request *request, struct http_response *response, void *arg)
{
    struct admin *admin = arg;
    if (!may_come(admin, request))
        return 421;
    const struct admin_view view = view_now(admin);
    admin_put_metrics(begin_text(admin), &view);
    return respond(admin, response, 200, CONTENT_TYPE_METRICS);
}

static int show_json(struct http_request *request, struct http_response *response, void *arg)
{
    struct admin *admin = arg;
    if (!may_come(admin, request))
        return 421;
    const struct admin_view view = view_now(admin);
    admin_put_json(begin_text(admin), &view);
    return respond(admin, response, 200, CONTENT_TYPE_JSON);
}

/* "?refresh=N"; what is no such number is as if it were not there. */
static unsigned find_refresh(struct http_request *request)
{
    struct http_text given = http_request_query_value(request, "refresh");
    unsigned seconds = 0;
    if (!given.bytes || given.length == 0)
        return REFRESH_S;
    for (size_t i = 0; i < given.length; i++) {
        if (!g_ascii_isdigit(given.bytes[i]) || seconds > REFRESH_MAX_S)
            return REFRESH_S;
        seconds = seconds * 10 + (unsigned)g_ascii_digit_value(given.bytes[i]);
    }
    return MIN(seconds, REFRESH_MAX_S);
}

/* The page, unless the client prefers JSON. */
static int show_status(struct http_request *request, struct http_response *response, void *arg)
{
    struct admin *admin = arg;
    struct http_text accepted = http_request_header_list(request, "Accept");
    if (http_response_header(response, "Vary", "Accept") != 0)
        return 503;
    int json = http_accept_media(accepted, CONTENT_TYPE_JSON);
    if (json > 0 && json > http_accept_media(accepted, "text/html"))
        return show_json(request, response, arg);
    if (!may_come(admin, request))
        return 421;
    const struct admin_view view = view_now(admin);
    const struct http_text policy = {admin->policy, strlen(admin->policy)};
    admin_put_page(begin_text(admin), &view, find_refresh(request));
    if (http_response_lines(response, policy) != 0)
        return 503;
    return respond(admin, response, 200, CONTENT_TYPE_PAGE);
}

static int show_health(struct http_request *request, struct http_response *response, void *arg)
{
    struct admin *admin = arg;
    if (!may_come(admin, request))
        return 421;
    const struct admin_view view = view_now(admin);
    int status = admin_put_health(begin_text(admin), &view);
    return respond(admin, response, status, CONTENT_TYPE_TEXT);
}

static int show_readiness(struct http_request *request, struct http_response *response, void *arg)
{
    struct admin *admin = arg;
    if (!may_come(admin, request))
        return 421;
    enum admin_phase phase = find_phase(admin->server);
    bool ready = phase == ADMIN_SERVING;
    text_printf(begin_text(admin), "%s\n", ready ? "ok" : admin_phase_name(phase));
    return respond(admin, response, ready ? 200 : 503, CONTENT_TYPE_TEXT);
}

/* --- life --- */

static int add_routes(struct admin *admin)
{
    static const struct {
        const char *path;
        http_handler handler;
    } routes[] = {
        {"/", show_status},         {"/status", show_status},  {"/status.json", show_json},
        {"/metrics", show_metrics}, {"/healthz", show_health}, {"/readyz", show_readiness},
    };
    int error = admin->router ? 0 : -ENOMEM;
    for (size_t i = 0; !error && i < G_N_ELEMENTS(routes); i++)
        error = router_add(admin->router, "GET", routes[i].path, routes[i].handler, admin);
    return error;
}

static uint32_t at_most(uint32_t wanted_ms, uint32_t most_ms)
{
    return wanted_ms ? MIN(wanted_ms, most_ms) : most_ms;
}

/* Shorter time-outs than the server's, always some: a few clients that say nothing could keep a
 * probe out. */
static void set_limits(struct admin *admin)
{
    const struct service *model = &admin->server->service;
    struct service *service = &admin->service;
    service->router = admin->router;
    service->limits = http_limits_default;
    service->header_timeout_ms = at_most(model->header_timeout_ms, HEADER_TIMEOUT_MS);
    service->idle_timeout_ms = at_most(model->idle_timeout_ms, IDLE_TIMEOUT_MS);
    service->min_body_rate = model->min_body_rate ? model->min_body_rate : MIN_RATE;
    service->min_write_rate = model->min_write_rate ? model->min_write_rate : MIN_RATE;
    service->max_connections = ADMIN_CONNECTIONS;
    service->workers = &admin->worker;
    service->worker_count = 1;
}

static int allocate_samples(struct admin *admin)
{
    unsigned count = admin->server->worker_count;
    for (size_t i = 0; i < G_N_ELEMENTS(admin->samples); i++) {
        struct sample *sample = &admin->samples[i];
        sample->reactors = calloc(count, sizeof(*sample->reactors));
        if (!sample->reactors)
            return -ENOMEM;
        sample->count = count;
    }
    admin->present = &admin->samples[0];
    admin->last = &admin->samples[1];
    admin->before = &admin->samples[2];
    sample_take(admin->before, admin->server->workers, true);
    sample_take(admin->last, admin->server->workers, true);
    admin->began_ns = admin->last->taken_ns;
    admin->process_began_ms = process_read().began_ms;
    return 0;
}

static char *make_url(const struct admin *admin, const char *where)
{
    char address[ADDRESS_TEXT_MAX];
    if (admin->place.address.storage.ss_family == AF_UNIX)
        return g_strdup(where);
    address_format(&admin->place.address, address);
    return g_strdup_printf("http://%s/", address);
}

static int listen_there(struct admin *admin)
{
    struct server *server = admin->server;
    int fd = admin_place_open(&admin->place, server, server->admin_where, server->admin_anywhere);
    if (fd < 0)
        return fd;
    int error = worker_listen(&admin->worker, fd);
    if (error)
        return server_fail(server, error, "cannot watch the admin listener: %s",
                           g_strerror(-error));
    admin->url = make_url(admin, server->admin_where);
    return 0;
}

int admin_open(struct server *server)
{
    if (!server->admin_where)
        return 0;
    struct admin *admin = aligned_alloc(CACHE_LINE, sizeof(*admin));
    if (!admin)
        return server_fail(server, -ENOMEM, "out of memory");
    *admin = (struct admin){.server = server, .router = router_new()};
    int error = worker_init(&admin->worker, server->supervisor.reactor, &admin->service, 1);
    if (error) {
        router_free(admin->router);
        free(admin);
        return server_fail(server, error, "out of memory");
    }
    server->admin = admin;
    error = add_routes(admin);
    if (!error)
        error = allocate_samples(admin);
    if (error)
        return server_fail(server, error, "out of memory");
    set_limits(admin);
    admin->policy = admin_page_policy();
    reactor_timer_init(&admin->tick, server->supervisor.reactor, on_tick, admin);
    reactor_timer_start(&admin->tick, WINDOW_MS, WINDOW_MS);
    server->service.measures = true;
    return listen_there(admin);
}

void admin_close(struct server *server)
{
    struct admin *admin = server->admin;
    if (!admin)
        return;
    admin_place_leave(&admin->place);
    reactor_timer_stop(&admin->tick);
    worker_fini(&admin->worker);
    router_free(admin->router);
    for (size_t i = 0; i < G_N_ELEMENTS(admin->samples); i++)
        free(admin->samples[i].reactors);
    buffer_free(&admin->text.bytes);
    g_free(admin->url);
    g_free(admin->policy);
    free(admin);
    server->admin = NULL;
}

const char *admin_url(const struct admin *admin)
{
    return admin->url;
}
