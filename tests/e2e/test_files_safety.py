#!/usr/bin/env python3
"""What lies outside of the root, or is no regular file, or was not meant to be seen, is not."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import stat
import threading
import time
import unittest

from client import Client, request
from harness import PR_SET_PDEATHSIG, PROGRAM, scaled, wait_until
from webroot import WebrootTest, noise

SECRET = b"the secret beside the root"
RENAME_EXCHANGE = 2
NOBODY = 65534

UP = ("..", "%2e%2e", ".%2e", "%2E.", "%2e%2E", "..%00", "..;", "..;x=y", ".. ", "..%20", "...", "..%c0%af",
      "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%u002e%u002e", "..%5c", "..%255c", "%uff0e%uff0e",
      "\uff0e\uff0e", "%EF%BC%8E%EF%BC%8E", "..\\", "..%09", "..%0d%0a", ".%00.", "..%ff")


def spellings():
    """Targets that would lead to the secret if anything were decoded twice, cut or normalised."""
    for up in UP:
        for prefix in ("/", "/dir/../", "/dir/"):
            yield f"{prefix}{up}/secret.txt"
    for target in (
            "/..", "/../", "/../secret.txt", "/../../secret.txt", "//../secret.txt", "/./../secret.txt",
            "/..//secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/..%2Fsecret.txt", "/..%5csecret.txt",
            "/..%252fsecret.txt", "/..\\secret.txt", "/dir/../../secret.txt", "/dir%2f..%2f..%2fsecret.txt",
            "/dir/..%2f..%2fsecret.txt", "/dir/%2e%2e/%2e%2e/secret.txt", "/file.txt/../../secret.txt",
            "/file.txt/%2e%2e/%2e%2e/secret.txt", "/none/../../secret.txt", "/dir/../dir/../../secret.txt",
            "http://localhost/../secret.txt", "http://localhost/%2e%2e/secret.txt", "http://localhost/..%2fsecret.txt",
            "../secret.txt", "..", "secret.txt", "%2e%2e/secret.txt", "*/../secret.txt", "/?/../../secret.txt",
            "/..?/secret.txt", "/../secret.txt?x", "/../secret.txt%00.html", "/%2f..%2fsecret.txt", "/%2f/../secret.txt",
            "/.../secret.txt", "/dir/.../.../secret.txt", "/" + "../" * 40 + "secret.txt", "/~/secret.txt",
            "/" + "%2e%2e/" * 40 + "secret.txt", "/" + "dir/../" * 40 + "../secret.txt", "/../root/../secret.txt",
            "/proc/self/cwd/../secret.txt", "/%00/../secret.txt", "/\x7f../secret.txt", "/..\x80/secret.txt"):
        yield target


class Traversal(WebrootTest):
    def setUp(self):
        super().setUp()
        self.secret = self.root.outer + "/secret.txt"
        pathlib.Path(self.secret).write_bytes(SECRET)
        self.put("file.txt", b"allowed")
        self.put("dir/file.txt", b"allowed")
        self.targets = list(spellings()) + ["/" + self.secret, "//" + self.secret, "/%2f" + self.secret,
                                            self.secret, "file://" + self.secret, "/dir//" + self.secret]

    def assert_never_leaves(self, server):
        for target in self.targets:
            for method in ("GET", "HEAD"):
                with self.subTest(target=target), server.client() as client:
                    bytes_of = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("utf-8")
                    client.send(bytes_of)
                    response = client.read(head=method == "HEAD")
                    self.assertNotIn(SECRET, response.body)
                    if not target.startswith("/?"):  # a query of the root
                        self.assertIn(response.status, (400, 403, 404))
                    self.assertNotEqual(response["content-length"], str(len(SECRET)))
        with server.client() as client:
            self.assertEqual(client.get("/file.txt").body, b"allowed")

    def test_no_spelling_leads_to_the_secret(self):
        self.assertGreater(len(self.targets), 100)
        self.assert_never_leaves(self.serve_root())

    def test_nor_with_all_that_may_be_allowed(self):
        self.assert_never_leaves(self.serve_root("--dotfiles", "--follow-symlinks", "--listing", "--cache-size", "0"))


class Links(WebrootTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.root.outer + "/outside")
        pathlib.Path(self.root.outer + "/outside/secret.txt").write_bytes(SECRET)
        self.put("file.txt", b"inside")
        self.put("dir/file.txt", b"inside")
        for name, to in (("in.txt", "file.txt"), ("chain.txt", "in.txt"), ("deep/up.txt", "../dir/file.txt"),
                         ("dirlink", "dir"), ("out.txt", "../outside/secret.txt"), ("outdir", "../outside"),
                         ("chainout.txt", "out.txt"), ("absolute.txt", self.root.of("file.txt")),
                         ("absolutedir", self.root.of("dir")), ("absoluteout", self.root.outer + "/outside"),
                         ("back.txt", "../root/file.txt"), ("loop", "loop"), ("dangling", "none"),
                         ("self", "."), ("up", ".."), ("proc", "/proc/self/root"), ("dir/cycle", "../dir")):
            os.makedirs(os.path.dirname(self.root.of(name)), exist_ok=True)
            os.symlink(to, self.root.of(name))
        os.mkdir(self.root.of("indexed"))
        os.symlink("../../outside/secret.txt", self.root.of("indexed/index.html"))
        self.put("plain.txt", b"x" * 10)
        os.symlink("../outside/secret.txt", self.root.of("plain.txt.gz"))

    OUT = ("/out.txt", "/outdir/secret.txt", "/outdir/", "/outdir", "/chainout.txt", "/absolute.txt",
           "/absolutedir/file.txt", "/absoluteout/secret.txt", "/back.txt", "/loop", "/dangling", "/up",
           "/up/outside/secret.txt", "/self/up/outside/secret.txt", "/proc/etc/passwd", "/indexed/",
           "/indexed/index.html", "/plain.txt.gz")
    IN = ("/in.txt", "/chain.txt", "/deep/up.txt", "/dirlink/file.txt", "/self/file.txt",
          "/dirlink/cycle/cycle/file.txt")

    def assert_not_there(self, client, targets):
        for target in targets:
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual(response.status, 404)
                self.assertNotIn(SECRET, response.body)

    def test_none_is_followed(self):
        client = self.serve_client()
        self.assert_not_there(client, self.OUT + self.IN + ("/dirlink", "/self", "/dirlink/"))
        self.assertEqual(client.get("/plain.txt", "Accept-Encoding: gzip").body, b"x" * 10)

    def test_those_that_stay_inside_are_if_asked_for(self):
        client = self.serve_client("--follow-symlinks")
        self.assert_not_there(client, self.OUT)
        for target in self.IN:
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual((response.status, response.body), (200, b"inside"))
        self.assertEqual(client.get("/dirlink")["location"], "/dirlink/")
        self.assertEqual(client.get("/plain.txt", "Accept-Encoding: gzip").body, b"x" * 10)

    def test_a_link_that_changes_is_seen_again(self):
        server = self.serve_root("--follow-symlinks")
        client = self.connect(server)
        self.assertEqual(client.get("/in.txt").body, b"inside")
        os.symlink("../outside/secret.txt", self.root.of("new"))
        os.rename(self.root.of("new"), self.root.of("in.txt"))
        wait_until(lambda: client.get("/in.txt").status == 404, "the link leads out")

    def test_the_root_itself_may_be_a_link(self):
        os.symlink(self.root.path, self.root.outer + "/link")
        server = self.serve("-j", "1", "--root", self.root.outer + "/link")
        client = self.connect(server)
        self.assertEqual(client.get("/file.txt").body, b"inside")
        os.mkdir(self.root.outer + "/second")
        pathlib.Path(self.root.outer + "/second/file.txt").write_bytes(b"the second")
        os.symlink(self.root.outer + "/second", self.root.outer + "/new")
        os.rename(self.root.outer + "/new", self.root.outer + "/link")
        wait_until(lambda: client.get("/file.txt").body == b"the second", "the new version is served")
        self.assertEqual(client.get("/dir/file.txt").status, 404)


    def test_two_dots_behind_a_link_are_what_the_kernel_says(self):
        for name in ("builds/7/site", "builds/7/data", "data"):
            os.makedirs(f"{self.root.outer}/{name}")
            pathlib.Path(f"{self.root.outer}/{name}/file.txt").write_text(name, encoding="ascii")
        os.symlink("builds/7/site", self.root.outer + "/current")
        clients = [self.connect(self.serve("-j", "1", "--root", root, preexec=lambda: os.chdir(self.root.outer)))
                   for root in (self.root.outer + "/current/../data", "current/../data")]
        for _ in range(2):
            for client in clients:
                self.assertEqual(client.get("/file.txt").body, b"builds/7/data")
            time.sleep(1.1)  # it is looked at again


class Races(WebrootTest):
    def test_a_directory_that_becomes_a_link(self):
        """A directory and a link to another outside take each other's place, again and again."""
        outside = self.root.outer + "/outside"
        os.mkdir(outside)
        for name in ("small.txt", "large.bin"):
            pathlib.Path(f"{outside}/{name}").write_bytes(SECRET * (1 if name == "small.txt" else 10_000))
            self.put(f"dir/{name}", b"inside" * (1 if name == "small.txt" else 20_000))
        os.symlink("../outside", self.root.of("swap"))
        libc, done, swaps = ctypes.CDLL(None, use_errno=True), threading.Event(), 0
        one, other = self.root.of("dir").encode(), self.root.of("swap").encode()

        def swap():
            nonlocal swaps
            while not done.is_set():
                if libc.renameat2(-100, one, -100, other, RENAME_EXCHANGE):
                    return
                swaps += 1
        for arguments in ((), ("--follow-symlinks",)):
            server = self.serve_root("--listing", *arguments, threads=2)
            done.clear()
            swapping = threading.Thread(target=swap, daemon=True)
            swapping.start()
            try:
                statuses = self.ask_often(server)
            finally:
                done.set()
                swapping.join()
            self.assertGreater(swaps, 100)
            self.assertLessEqual(statuses, {200, 301, 404, 503})

    def ask_often(self, server):
        statuses, client = set(), self.connect(server)
        for _ in range(scaled(500, 300)):
            for target in ("/dir/small.txt", "/swap/small.txt", "/dir/large.bin", "/dir", "/dir/"):
                client.send(request("GET", target))
                try:
                    response = client.read()
                except (AssertionError, ConnectionResetError):  # a file that changes while it is sent
                    self.assertNotIn(SECRET, client.unread)
                    client = self.connect(server)
                    continue
                statuses.add(response.status)
                self.assertNotIn(SECRET, response.body)
        self.assertIn(200, statuses)
        return statuses


class Kinds(WebrootTest):
    def test_only_regular_files(self):
        os.mkfifo(self.root.of("fifo"))
        os.mkfifo(self.root.of("fifo.txt.gz"))
        self.put("fifo.txt", b"x" * 10)
        names = ["/fifo", "/fifo.txt.gz", "/socket"]
        os.mkdir(self.root.of("dir"))
        os.mkfifo(self.root.of("dir/index.html"))
        if os.getuid() == 0:
            try:
                os.mknod(self.root.of("zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
                os.mknod(self.root.of("tty"), stat.S_IFCHR | 0o666, os.makedev(5, 0))
                names += ["/zero", "/tty"]
            except PermissionError:
                pass
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.root.of("socket"))
            listener.listen(1)
            for arguments in ((), ("--cache-size", "0"), ("--listing",)):
                client = self.serve_client(*arguments)
                for _ in range(2):
                    for name in names:
                        with self.subTest(name=name):
                            self.assertEqual(client.get(name).status, 404)
                            self.assertEqual(client.get(name, "Range: bytes=0-1").status, 404)
                    response = client.get("/fifo.txt", "Accept-Encoding: gzip")
                    self.assertEqual((response.status, response.body), (200, b"x" * 10))
                if not arguments:
                    self.assertEqual(client.get("/dir/").status, 404)

    def test_who_waits_for_a_reader_of_a_fifo_waits_on(self):
        """What is no file is not even opened: a program that has begun to write would lose what it has."""
        fifo = self.root.of("fifo")
        os.mkfifo(fifo)
        client = self.serve_client()
        opened = threading.Event()

        def write():
            with open(fifo, "wb"):
                opened.set()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            state = f"/proc/self/task/{writer.native_id}/stat"
            wait_until(lambda: pathlib.Path(state).read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "S",
                       "the writer waits")
            for _ in range(20):
                self.assertEqual(client.get("/fifo").status, 404)
                self.assertEqual(client.get("/fifo/").status, 404)
            self.assertFalse(opened.wait(0.1))
        finally:
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
            writer.join()

    def test_dotfiles(self):
        hidden = (".htpasswd", ".git/config", ".well-known/x", "dir/.env", "..data", "...", ".a.txt")
        for name in hidden:
            self.put(name, b"hidden")
        self.put("a.b.txt", b"plain")
        self.put("dir/a.", b"plain")
        client, with_them = self.serve_client(), self.serve_client("--dotfiles")
        for name in hidden:
            for target in ("/" + name, "/" + name.replace(".", "%2e"), "/" + name.replace(".", "%2E", 1)):
                with self.subTest(target=target):
                    self.assertEqual(client.get(target).status, 404)
                    self.assertEqual(with_them.get(target).body, b"hidden")
        for target in ("/.git", "/.git/"):
            self.assertEqual(client.get(target).status, 404)
        self.assertEqual(with_them.get("/.git").status, 301)
        for name in ("/a.b.txt", "/dir/a."):
            self.assertEqual(client.get(name).body, b"plain")

    def test_names_of_every_length(self):
        name, deep = "n" * 255, "/".join(["d" * 200] * 15) + "/file"
        self.put(name, b"longest")
        self.put(deep, b"deep")
        client = self.serve_client()
        self.assertEqual(client.get("/" + name).body, b"longest")
        self.assertEqual(client.get("/" + name.replace("n", "%6e")).body, b"longest")
        self.assertEqual(client.get("/" + deep).body, b"deep")
        for target in ("/" + name + "n", "/" + "n" * 5000, "/d" * 3000, "/" + "d/" * 3000, "/" + "%6e" * 256):
            self.assertEqual(client.get(target).status, 404)

    def test_what_cannot_be_a_name(self):
        client = self.serve_client()
        for target in ("/%00", "/a%00b", "/%0a", "/%1f", "/%7f", "/%c2%80", "/%c2%9f", "/%", "/%2", "/%zz", "/a%5cb",
                       "/a%2fb", "/%ff", "/%c0%80", "/%ed%a0%80", "/%f4%90%80%80", "/a\\b"):
            with self.subTest(target=target):
                self.assertEqual(client.get(target).status, 400)


@unittest.skipUnless(os.getuid() == 0, "who is not root cannot become somebody else")
class Unreadable(WebrootTest):
    def become_nobody(self):
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # it is gone with the identity

    def serve_as_nobody(self, *arguments):
        program = self.root.outer + "/coreactor"
        shutil.copy(PROGRAM, program)
        os.chmod(program, 0o755)
        self.root.settle()
        return self.serve("-j", "1", "--root", self.root.path, *arguments, program=program,
                          listen=("-l127.0.0.1:0",), preexec=self.become_nobody)

    def test_403(self):
        self.put("closed.txt", SECRET)
        self.put("closed/file.txt", SECRET)
        self.put("blind/file.txt", b"known by name")
        self.put("open.txt", b"open" * 100)
        self.put("open.txt.gz", SECRET)
        self.put("large.bin", noise(100_000))
        os.chmod(self.root.of("closed.txt"), 0)
        os.chmod(self.root.of("open.txt.gz"), 0)
        os.chmod(self.root.of("closed"), 0)
        os.chmod(self.root.of("blind"), 0o711)
        os.chmod(self.root.of("large.bin"), 0o644)
        server = self.serve_as_nobody("--listing", "--no-compression")
        client = self.connect(server)
        for target in ("/closed.txt", "/closed/file.txt", "/closed/", "/blind/", "/closed/none"):
            with self.subTest(target=target):
                self.assertEqual(client.get(target).status, 403)
        self.assertEqual(client.get("/blind/file.txt").body, b"known by name")
        for target, location in (("/blind", "/blind/"), ("/blind?a", "/blind/?a")):
            response = client.get(target)
            self.assertEqual((response.status, response["location"]), (301, location))
        self.assertEqual(client.get("/open.txt", "Accept-Encoding: gzip").body, b"open" * 100)
        for target in ("/open.txt", "/large.bin"):
            self.assertEqual(client.get(target).status, 200)
            os.chmod(self.root.of(target[1:]), 0)
            wait_until(lambda: client.get(target).status == 403, "it is closed")
            os.chmod(self.root.of(target[1:]), 0o644)
            wait_until(lambda: client.get(target).status == 200, "it is open again")
        # Some kernels let nobody but root filter what arrives.
        server.stop(stderr="(coreactor: cannot filter new connections while draining: [^\n]*\n)?")


class VanishingRoot(WebrootTest):
    def renew(self):
        os.mkdir(self.root.path)
        self.put("file.txt", b"new")
        self.put("other.txt", b"other")

    def assert_new_is_served(self, client):
        wait_until(lambda: client.get("/file.txt").body == b"new", "the new root is served")
        self.assertEqual(client.get("/other.txt").body, b"other")
        self.assertEqual(client.get("/gone.txt").status, 404)

    def test_moved_away(self):
        self.put("file.txt", b"old")
        self.put("gone.txt", b"old")
        client = self.serve_client()
        self.assertEqual(client.get("/file.txt").body, b"old")
        self.assertEqual(client.get("/gone.txt").body, b"old")
        os.rename(self.root.path, self.root.outer + "/away")
        for _ in range(5):  # what was open goes on
            self.assertIn(client.get("/file.txt").status, (200, 404))
        self.renew()
        self.assert_new_is_served(client)

    def test_deleted(self):
        for round_ in range(2):
            self.put("gone.txt", noise(100_000))
            self.put("file.txt", b"old")
            if not round_:
                client = self.serve_client()
            wait_until(lambda: client.get("/gone.txt").status == 200, "it is served")
            wait_until(lambda: client.get("/file.txt").body == b"old", "it is served")
            shutil.rmtree(self.root.path)
            wait_until(lambda: client.get("/file.txt").status == 404, "the file is gone")
            self.renew()
            self.assert_new_is_served(client)

    def test_exchanged_while_many_ask(self):
        """Each answer is one of the two versions; after a while all are the new one."""
        self.put("file.txt", b"old")
        clients = [self.connect(self.serve_root(threads=2))]
        clients += [Client(clients[0].socket.getpeername()) for _ in range(7)]
        for client in clients[1:]:
            self.addCleanup(client.close)
        os.mkdir(self.root.outer + "/next")
        pathlib.Path(self.root.outer + "/next/file.txt").write_bytes(b"new")
        self.assertEqual({client.get("/file.txt").body for client in clients}, {b"old"})
        libc = ctypes.CDLL(None, use_errno=True)
        self.assertEqual(libc.renameat2(-100, self.root.path.encode(), -100,
                                        (self.root.outer + "/next").encode(), RENAME_EXCHANGE), 0)

        def bodies():
            answers = {client.get("/file.txt").body for client in clients}
            self.assertLessEqual(answers, {b"old", b"new"})
            return answers
        wait_until(lambda: bodies() == {b"new"}, "all are served the new version")


if __name__ == "__main__":
    unittest.main()
