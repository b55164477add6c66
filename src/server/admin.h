/*
 * admin.h - the operator's pages: a worker with routes of its own on the supervisor's reactor, so
 * that they answer while the others' loops stall.
 *
 *   /, /status    the page, or the same as JSON for whoever prefers that
 *   /status.json  always JSON
 *   /metrics      for Prometheus
 *   /healthz      200 while every reactor makes progress, else 503
 *   /readyz       200 while the server serves; 503 before, and while it drains
 */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

struct admin;
struct server;

enum {
    ADMIN_CONNECTIONS = 64,
    ADMIN_DESCRIPTORS = ADMIN_CONNECTIONS + 4, /* with its reactor's, its listener, and /proc */
};

/* Opens server->admin_where, if there is one, and has the service measure; after the supervisor and
 * the workers are open, before their threads start. 0 or -errno, reported by server_fail(). */
int admin_open(struct server *server);

/* When the supervisor's thread has ended, before its reactor goes. */
void admin_close(struct server *server);

/* Where it is: "http://127.0.0.1:9000/" or "unix:PATH". */
const char *admin_url(const struct admin *admin);

#endif
