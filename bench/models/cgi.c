/*
 * cgi.c - a process for each request, as cgi-bin had it. A child is forked for a connection. It
 * reads the head of the request, tells it in the environment to a program that it becomes by
 * exec(2), and that answers (cgi_script.c) and ends. Then the connection ends, too: there is one
 * request on each. No more than --pool children exist at a time; meanwhile clients wait in the
 * listener's backlog.
 *
 * It spends a fork, an exec with all its linking and page faults, and a connection on every
 * request. What it gets for that: nothing is left of a request that was answered.
 */
#include "cgi_environment.h"

#include "common/blocking.h"
#include "common/children.h"
#include "common/options.h"
#include "common/sockets.h"

#include <errno.h>
#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROCESSES = 256, HEAD_ROOM = 16384, PAUSE_MS = 10 };

static char *script;

/* It lies beside this program. */
static void find_script(void)
{
    char *own = g_file_read_link("/proc/self/exe", NULL);
    require(own, "cannot find its own program");
    char *folder = g_path_get_dirname(own);
    script = g_build_filename(folder, "nph-script", NULL);
    require(access(script, X_OK) == 0, script);
    g_free(folder);
    g_free(own);
}

/* Sleeps until more than `length` bytes have come: they are only looked at, so recv(2) would return
 * with the same ones again. */
static void want_more_than(int fd, size_t length)
{
    int least = (int)length + 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
}

/* Looks at the head without taking it. Returns its length; 0 when it does not come; or the error of
 * http_parse_request(). */
static int look_at_head(int fd, char *bytes, struct http_request *request)
{
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(fd, bytes, HEAD_ROOM, MSG_PEEK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= (ssize_t)length)
            return 0; /* the client has gone, or is too slow */
        length = (size_t)got;
        int head = http_parse_request(bytes, length, &http_limits_default, request);
        if (head != 0)
            return head;
        want_more_than(fd, length);
    }
}

/* Takes the head, so that what is left for the script is the body, and becomes it. */
static void become_script(int fd, char *head, size_t length)
{
    want_more_than(fd, 0); /* as the script expects it */
    if (recv(fd, head, length, 0) == (ssize_t)length && dup2(fd, STDIN_FILENO) >= 0 &&
        dup2(fd, STDOUT_FILENO) >= 0)
        execl(script, script, (char *)NULL);
    report_shortage("cannot execute the script", errno);
}

/* Errors of the head are answered here: what was only looked at is there to be read again. */
static void serve(int fd, const struct model_options *options)
{
    static char bytes[HEAD_ROOM];
    static struct http_request request;
    struct talk_room room = {.spare = NULL};
    blocking_patience(fd, BLOCKING_PATIENCE_S);
    int head = look_at_head(fd, bytes, &request);
    if (head < 0)
        serve_blocking(fd, &room, (struct http_text){NULL, 0});
    else if (head > 0 && cgi_describe(&request, options->port, options->service_port))
        become_script(fd, bytes, (size_t)head);
    _exit(0);
}

static void start_child(int listener, const struct model_options *options)
{
    int fd = accept_blocking(listener);
    if (fd < 0)
        return;
    pid_t child = children_fork();
    if (child == 0)
        serve(fd, options);
    if (child < 0) {
        report_shortage("no process for a connection", errno);
        usleep(PAUSE_MS * 1000);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    struct model_options options = model_options_read(argc, argv, PROCESSES);
    find_script();
    talk_open(ask_blocking, 1);
    int listener = listen_on(options.port, SOCK_NONBLOCK);
    children_open(options.pool);
    int ready = 0;
    while (ready >= 0) {
        if (ready)
            start_child(listener, &options);
        ready = children_wait(children_count() < options.pool ? listener : -1, -1);
    }
    children_end();
    return 0;
}
