/*
 * Where the operator's pages may be, and who may come there: addresses, unix sockets, hosts.
 */
#include "server/admin_place.h"

#include "server/state.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- hosts --- */

static bool allows(const char *host)
{
    return admin_host_is_allowed((struct http_text){host, host ? strlen(host) : 0});
}

static void test_hosts(void)
{
    static const char *const allowed[] = {
        "localhost", "LocalHost:9000", "127.0.0.1",         "127.0.0.1:9000", "192.0.2.7:80",
        "[::1]",     "[::1]:9000",     "[2001:db8::1]:443", "localhost:",
    };
    static const char *const refused[] = {
        "",
        ":9000",
        "example.com",
        "example.com:9000",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "localhost.",
        "xlocalhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::1",
        "[]",
        "[localhost]",
        "[127.0.0.1]",
        "::1",
        "[::ffff:127.0.0.1%eth0]",
        "a-name-that-is-longer-than-any-numeric-address-could-possibly-be.example",
    };
    g_assert_true(allows(NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(allowed); i++) {
        g_test_message("%s", allowed[i]);
        g_assert_true(allows(allowed[i]));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_test_message("%s", refused[i]);
        g_assert_false(allows(refused[i]));
    }
}

/* --- addresses --- */

static void test_loopback(void)
{
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:0", true}, {"127.255.0.9:1", true}, {"[::1]:0", true},
        {"0.0.0.0:0", false},  {"[::]:0", false},       {"128.0.0.1:1", false},
        {"10.0.0.1:1", false}, {"[::2]:0", false},      {"[::ffff:127.0.0.1]:0", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct address address;
        g_test_message("%s", cases[i].text);
        g_assert_true(address_parse(cases[i].text, &address));
        g_assert_cmpint(admin_address_is_loopback(&address), ==, cases[i].loopback);
    }
}

static struct server *new_server(void)
{
    struct server *server =
        server_new(&(struct server_options){.size = sizeof(struct server_options)});
    g_assert_nonnull(server);
    return server;
}

static void expect_failure(const char *where, bool anywhere, int error, const char *words)
{
    struct server *server = new_server();
    struct admin_place place;
    g_test_message("%s", where);
    g_assert_cmpint(admin_place_open(&place, server, where, anywhere), ==, error);
    g_test_message("%s", server_error(server));
    g_assert_nonnull(strstr(server_error(server), words));
    admin_place_leave(&place);
    server_free(server);
}

static void test_addresses(void)
{
    struct server *server = new_server();
    struct admin_place place;
    int fd = admin_place_open(&place, server, "127.0.0.1:0", false);
    g_assert_cmpint(fd, >=, 0);
    g_assert_true(place.loopback);
    g_assert_cmpuint(address_port(&place.address), >, 0);
    char taken[ADDRESS_TEXT_MAX];
    address_format(&place.address, taken);
    expect_failure(taken, false, -EADDRINUSE, "in use");
    close(fd);
    fd = admin_place_open(&place, server, "0.0.0.0:0", true);
    g_assert_cmpint(fd, >=, 0);
    g_assert_false(place.loopback);
    close(fd);
    server_free(server);
    expect_failure("0.0.0.0:0", false, -EINVAL, "--admin-anywhere");
    expect_failure("[::]:0", false, -EINVAL, "--admin-anywhere");
    expect_failure("9000", false, -EINVAL, "no address for the admin pages");
    expect_failure("localhost:9000", true, -EINVAL, "no address for the admin pages");
    expect_failure("", true, -EINVAL, "no address for the admin pages");
}

/* --- unix sockets --- */

struct corner {
    char *folder;
    char *path;
    char *where;
};

static void corner_init(struct corner *corner)
{
    corner->folder = g_dir_make_tmp("coreactor-XXXXXX", NULL);
    g_assert_nonnull(corner->folder);
    corner->path = g_build_filename(corner->folder, "admin", NULL);
    corner->where = g_strconcat("unix:", corner->path, NULL);
}

static void corner_fini(struct corner *corner)
{
    g_unlink(corner->path);
    g_assert_cmpint(g_rmdir(corner->folder), ==, 0);
    g_free(corner->folder);
    g_free(corner->path);
    g_free(corner->where);
}

static int open_there(const struct corner *corner, struct admin_place *place)
{
    struct server *server = new_server();
    int fd = admin_place_open(place, server, corner->where, false);
    if (fd < 0)
        g_test_message("%s", server_error(server));
    server_free(server);
    return fd;
}

/* The mode is its owner's only, whatever the umask would leave to others. */
static void test_socket(void)
{
    struct corner corner;
    struct admin_place place;
    struct stat status;
    corner_init(&corner);
    mode_t before = umask(0);
    int fd = open_there(&corner, &place);
    umask(before);
    g_assert_cmpint(fd, >=, 0);
    g_assert_false(place.loopback);
    g_assert_cmpint(lstat(corner.path, &status), ==, 0);
    g_assert_true(S_ISSOCK(status.st_mode));
    g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
    expect_failure(corner.where, false, -EADDRINUSE, "in use");
    g_assert_cmpint(access(corner.path, F_OK), ==, 0); /* it has stayed */
    close(fd);
    admin_place_leave(&place);
    g_assert_cmpint(access(corner.path, F_OK), !=, 0);
    admin_place_leave(&place); /* there is nothing more to do */
    corner_fini(&corner);
}

static void test_stale_socket(void)
{
    struct corner corner;
    struct admin_place first;
    struct admin_place second;
    corner_init(&corner);
    int fd = open_there(&corner, &first);
    g_assert_cmpint(fd, >=, 0);
    close(fd); /* as when its server is killed */
    g_assert_cmpint(access(corner.path, F_OK), ==, 0);
    fd = open_there(&corner, &second);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    admin_place_leave(&second);
    g_assert_cmpint(access(corner.path, F_OK), !=, 0);
    corner_fini(&corner);
}

/* Another server's socket, which took the place of ours, is left alone. */
static void test_replaced_socket(void)
{
    struct corner corner;
    struct admin_place ours;
    struct admin_place theirs;
    corner_init(&corner);
    g_autofree char *aside = g_strconcat(corner.path, ".old", NULL);
    int fd = open_there(&corner, &ours);
    g_assert_cmpint(g_rename(corner.path, aside), ==, 0); /* which keeps its inode from use */
    int other = open_there(&corner, &theirs);
    g_assert_cmpint(other, >=, 0);
    admin_place_leave(&ours);
    g_assert_cmpint(access(corner.path, F_OK), ==, 0);
    close(fd);
    close(other);
    admin_place_leave(&theirs);
    g_unlink(aside);
    corner_fini(&corner);
}

/* Nothing but a socket is ever removed. */
static void test_other_files(void)
{
    struct corner corner;
    corner_init(&corner);
    g_assert_true(g_file_set_contents(corner.path, "precious", -1, NULL));
    expect_failure(corner.where, false, -ENOTSOCK, "there is a file");
    g_assert_cmpint(access(corner.path, F_OK), ==, 0);
    g_unlink(corner.path);
    g_assert_cmpint(symlink("/nowhere/at/all", corner.path), ==, 0);
    expect_failure(corner.where, false, -ENOTSOCK, "there is a file");
    g_unlink(corner.path);
    g_autofree char *below = g_strconcat(corner.where, "/missing/admin", NULL);
    expect_failure(below, false, -ENOENT, "cannot put the admin socket");
    corner_fini(&corner);
}

static void test_path_length(void)
{
    struct corner corner;
    struct admin_place place;
    corner_init(&corner);
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    size_t more = most - strlen(corner.path);
    g_autofree char *tail = g_strnfill(more, 'x');
    struct corner longest = {.path = g_strconcat(corner.path, tail, NULL),
                             .where = g_strconcat(corner.where, tail, NULL)};
    int fd = open_there(&longest, &place);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    admin_place_leave(&place);
    g_autofree char *longer = g_strconcat(longest.where, "x", NULL);
    expect_failure(longer, false, -ENAMETOOLONG, "1 to 107 bytes");
    expect_failure("unix:", false, -ENAMETOOLONG, "1 to 107 bytes");
    g_free(longest.path);
    g_free(longest.where);
    corner_fini(&corner);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admin-place/hosts", test_hosts);
    g_test_add_func("/admin-place/loopback", test_loopback);
    g_test_add_func("/admin-place/addresses", test_addresses);
    g_test_add_func("/admin-place/socket", test_socket);
    g_test_add_func("/admin-place/stale-socket", test_stale_socket);
    g_test_add_func("/admin-place/replaced-socket", test_replaced_socket);
    g_test_add_func("/admin-place/other-files", test_other_files);
    g_test_add_func("/admin-place/path-length", test_path_length);
    return g_test_run();
}
