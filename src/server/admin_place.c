#include "server/admin_place.h"

#include "net/listener.h"
#include "server/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ADMIN_BACKLOG = 64, OWNER_ONLY = 0600 };

static const char unix_prefix[] = "unix:";

/* --- addresses --- */

bool admin_address_is_loopback(const struct address *address)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address->storage;
    if (address->storage.ss_family == AF_INET)
        return ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

static int open_address(struct admin_place *place, struct server *server, const char *where,
                        bool anywhere)
{
    if (!address_parse(where, &place->address))
        return server_fail(server, -EINVAL,
                           "'%.200s' is no address for the admin pages; it takes a numeric "
                           "ADDR:PORT such as 127.0.0.1:9000, or unix:PATH",
                           where);
    place->loopback = admin_address_is_loopback(&place->address);
    if (!place->loopback && !anywhere)
        return server_fail(server, -EINVAL,
                           "the admin pages are for this machine only, and others may reach %s; "
                           "use 127.0.0.1, [::1] or unix:PATH, or allow it with --admin-anywhere",
                           where);
    int fd = listener_probe(&place->address);
    if (fd == 0)
        fd = listener_open(&place->address, ADMIN_BACKLOG);
    return fd < 0 ? server_fail_to_listen(server, where, fd) : fd;
}

/* --- the file system --- */

static const char *path_of(const struct admin_place *place)
{
    return ((const struct sockaddr_un *)&place->address.storage)->sun_path;
}

static bool set_path(struct admin_place *place, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&place->address.storage;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address->sun_path))
        return false;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    place->address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

/* What is at the path: 0 for nothing, or for nothing any more. */
static int clear_path(const struct admin_place *place, int fd)
{
    const char *path = path_of(place);
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -ENOTSOCK;
    if (connect(fd, (const struct sockaddr *)&place->address.storage, place->address.length) == 0 ||
        errno != ECONNREFUSED)
        return -EADDRINUSE; /* a full queue, or one that we may not enter, is somebody's too */
    return unlink(path) < 0 ? -errno : 0;
}

/* On Linux the file gets the mode that its socket has, less the umask's bits; and nobody can
 * connect before listen(2). */
static int bind_path(struct admin_place *place, int fd)
{
    struct stat status;
    if (fchmod(fd, OWNER_ONLY) < 0 ||
        bind(fd, (const struct sockaddr *)&place->address.storage, place->address.length) < 0)
        return -errno;
    if (lstat(path_of(place), &status) < 0)
        return -errno;
    place->device = status.st_dev;
    place->inode = status.st_ino;
    return listen(fd, ADMIN_BACKLOG) < 0 ? -errno : 0;
}

static int fail_with_path(struct server *server, const char *path, int error)
{
    switch (error) {
    case -ENOTSOCK:
        return server_fail(server, error, "cannot put the admin socket at %s: there is a file",
                           path);
    case -EADDRINUSE:
        return server_fail(server, error,
                           "%s is in use: another program has its admin socket there", path);
    default:
        return server_fail(server, error, "cannot put the admin socket at %s: %s", path,
                           g_strerror(-error));
    }
}

/* A socket that has tried to connect is not used for anything else. */
static int open_path(struct admin_place *place, struct server *server, const char *path)
{
    if (!set_path(place, path))
        return server_fail(server, -ENAMETOOLONG,
                           "'%.200s' is no path for the admin socket: it takes 1 to %zu bytes",
                           path, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = probe < 0 || fd < 0 ? -errno : clear_path(place, probe);
    if (!error)
        error = bind_path(place, fd);
    if (probe >= 0)
        close(probe);
    if (!error)
        return fd;
    admin_place_leave(place);
    if (fd >= 0)
        close(fd);
    return fail_with_path(server, path, error);
}

int admin_place_open(struct admin_place *place, struct server *server, const char *where,
                     bool anywhere)
{
    *place = (struct admin_place){.loopback = false};
    if (g_str_has_prefix(where, unix_prefix))
        return open_path(place, server, where + sizeof(unix_prefix) - 1);
    return open_address(place, server, where, anywhere);
}

void admin_place_leave(const struct admin_place *place)
{
    struct stat status;
    if (place->address.storage.ss_family == AF_UNIX && place->inode &&
        lstat(path_of(place), &status) == 0 && status.st_dev == place->device &&
        status.st_ino == place->inode)
        unlink(path_of(place));
}

/* --- visitors --- */

/* The host without its port, and without brackets; `bracketed` says that it had them. Empty when
 * they do not end. */
static struct http_text bare_host(struct http_text host, bool *bracketed)
{
    *bracketed = host.length && host.bytes[0] == '[';
    const char *end = memchr(host.bytes, *bracketed ? ']' : ':', host.length);
    if (*bracketed)
        return (struct http_text){host.bytes + 1, end ? (size_t)(end - host.bytes) - 1 : 0};
    return (struct http_text){host.bytes, end ? (size_t)(end - host.bytes) : host.length};
}

bool admin_host_is_allowed(struct http_text host)
{
    char name[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    bool bracketed;
    if (!host.bytes)
        return true;
    host = bare_host(host, &bracketed);
    if (host.length == 0 || host.length >= sizeof(name))
        return false;
    memcpy(name, host.bytes, host.length);
    name[host.length] = '\0';
    if (bracketed)
        return inet_pton(AF_INET6, name, address) == 1;
    return g_ascii_strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1;
}
