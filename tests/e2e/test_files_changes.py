#!/usr/bin/env python3
"""Files that change while they are served: each answer that is complete is one version of its file."""

import contextlib
import gzip
import os
import threading
import time
import unittest

from client import parse_head, request
from harness import scaled, together, wait_until
from webroot import RACY_S, WebrootTest, noise, text

VERSION_BYTES = 10_000


def version(number, length=VERSION_BYTES):
    """A file that says in every line which version it is."""
    line = b"version %08d\n" % number
    return (line * (length // len(line) + 1))[:length]


def is_one_version(body):
    return body == version(int(body[8:16]), len(body)) if body else True


class ChangesTest(WebrootTest):
    def under_load(self, server, target, change, rounds, check, clients=8):
        """Calls change(number) while clients ask; check(response) for each complete answer. Returns how
        many were complete, and how many were not."""
        done, counts, lock = threading.Event(), [0, 0], threading.Lock()

        def ask():
            client = self.connect(server)
            while not done.is_set():
                try:
                    response = client.get(target)
                except (AssertionError, ConnectionResetError, BrokenPipeError):
                    client.close()
                    client = self.connect(server)
                    with lock:
                        counts[1] += 1
                    continue
                check(response)
                with lock:
                    counts[0] += 1

        def make_changes():
            try:
                for number in range(rounds):
                    change(number)
                    before = counts[0] + counts[1]
                    wait_until(lambda: counts[0] + counts[1] > before or done.is_set(), "clients are served")
            finally:
                done.set()
        together(*[ask] * clients, make_changes)
        return counts


class UnderLoad(ChangesTest):
    def test_replaced(self):
        for target, length in (("/kept.bin", VERSION_BYTES), ("/sent.bin", 200_000)):
            seen = set()
            self.put(target[1:], version(0, length))

            def check(response):
                self.assertEqual((response.status, len(response.body)), (200, length))
                self.assertTrue(is_one_version(response.body))
                seen.add(response["etag"])
            server = self.serve_root(threads=2)
            complete, broken = self.under_load(server, target,
                                               lambda number: self.put(target[1:], version(number, length)),
                                               scaled(100, 60), check)
            self.assertGreater(complete, 0)
            self.assertEqual(broken, 0)
            self.assertGreater(len(seen), 10)

    def test_replaced_by_another_size(self):
        self.put("file.bin", version(0))
        sizes = (100, 70_000, 0, 30_000, 65_536, 65_537, 500_000)

        def check(response):
            self.assertEqual(response.status, 200)
            self.assertTrue(is_one_version(response.body))
        _, broken = self.under_load(self.serve_root(threads=2), "/file.bin",
                                    lambda number: self.put("file.bin", version(number, sizes[number % len(sizes)])),
                                    scaled(300, 70), check)
        self.assertEqual(broken, 0)

    def test_same_etag_same_bytes(self):
        """Replaced so often that times of change hardly differ: an ETag that is strong is still of one content."""
        self.put("file.txt", version(0))
        bodies = {}

        def check(response):
            if not response["etag"].startswith("W/"):
                self.assertEqual(bodies.setdefault(response["etag"], response.body), response.body)

        def change(number):
            self.put("file.txt", version(number))
            if number % 10 == 0:
                time.sleep(2 * RACY_S)
        self.under_load(self.serve_root(), "/file.txt", change, scaled(100, 60), check)

    def test_truncated_and_appended_in_place(self):
        """What is no version for a moment may be seen, but nobody gets an answer that does not fit its length.
        What is truncated while it is on its way may have zeros: the kernel sends its own memory of the file."""
        self.put("log.txt", version(0, 100))

        def change(number):
            with open(self.root.of("log.txt"), "r+b") as file:
                if number % 5 == 4:
                    file.truncate(0 if number % 2 else 50)
                else:
                    file.seek(0, os.SEEK_END)
                    file.write(b"x" * 30_000)

        def check(response):
            self.assertEqual(response.status, 200)
            self.assertLessEqual(set(response.body), set(b"version 0\nx\0"))
        complete, _ = self.under_load(self.serve_root(threads=2), "/log.txt", change, scaled(100, 60), check)
        self.assertGreater(complete, 0)

    def test_rewritten_in_place_all_the_time(self):
        """It is always there, so it is always answered, or its connection ends."""
        self.put("file.txt", version(0))
        server, done = self.serve_root(), threading.Event()
        client = self.connect(server)

        def rewrite():
            with open(self.root.of("file.txt"), "r+b", buffering=0) as file:
                while not done.is_set():
                    file.truncate(0)
                    os.pwrite(file.fileno(), version(1, 60_000), 0)
                    file.truncate(0)
        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            for _ in range(1500):
                try:
                    response = client.get("/file.txt")
                except (AssertionError, ConnectionResetError):
                    client.close()
                    client = self.connect(server)
                    continue
                self.assertEqual(response.status, 200)
        finally:
            done.set()
            writer.join()

    def test_deleted_and_back(self):
        self.put("file.txt", version(0))

        def change(number):
            if number % 2:
                self.put("file.txt", version(number))
            else:
                os.unlink(self.root.of("file.txt"))

        def check(response):
            self.assertIn(response.status, (200, 404))
            self.assertTrue(response.status == 404 or is_one_version(response.body))
        _, broken = self.under_load(self.serve_root(threads=2), "/file.txt", change, scaled(100, 60), check)
        self.assertEqual(broken, 0)

    def test_revalidated(self):
        """304 only ever means that what the client has is the file."""
        self.put("file.txt", version(0))
        client, done = self.serve_client(), threading.Event()

        def change():
            try:
                for number in range(1, scaled(100, 60)):
                    self.put("file.txt", version(number))
                    time.sleep(RACY_S / 5)
            finally:
                done.set()

        def revalidate():
            have = client.get("/file.txt")
            while not done.is_set():
                oldest = int(have.body[8:16])
                response = client.get("/file.txt", "If-None-Match: " + have["etag"])
                if response.status == 304:
                    self.assertEqual(response["etag"].removeprefix("W/"), have["etag"].removeprefix("W/"))
                else:
                    self.assertTrue(is_one_version(response.body))
                    self.assertGreaterEqual(int(response.body[8:16]), oldest)
                    have = response
        together(change, revalidate)
        self.root.settle()
        wait_until(lambda: client.get("/file.txt").body == version(scaled(100, 60) - 1), "the last is served")


class SlowReaders(ChangesTest):
    SIZE = 16 << 20

    def read_all(self, client):
        """What arrives until the answer is complete or the connection ends: (complete, bytes)."""
        pieces, length = [client.unread], len(client.unread)
        with contextlib.suppress(ConnectionResetError):
            while length < self.SIZE and (piece := client.socket.recv(1 << 20)):
                pieces.append(piece)
                length += len(piece)
        return length >= self.SIZE, b"".join(pieces)

    def begin(self, server, *fields):
        """A client that has read the beginning of the large file, and takes no more for now."""
        client = self.connect(server, receive_buffer=65536)
        client.send(request("GET", "/large.bin", *fields))
        while b"\r\n\r\n" not in client.unread or len(client.unread) < 100_000:
            client.more()
        head, _, client.unread = client.unread.partition(b"\r\n\r\n")
        self.assertIn(parse_head(head).status, (200, 206))
        return client

    def test_changed_in_place(self):
        old, new = noise(self.SIZE, 1), noise(1 << 20, 2)

        def truncate(file):
            file.truncate(self.SIZE // 2)

        def truncate_and_restore(file):
            file.truncate(self.SIZE // 2)
            file.truncate(self.SIZE)

        def rewrite(file):
            for at in range(0, self.SIZE, len(new)):
                os.pwrite(file.fileno(), new, at)

        def touch_the_end(file):
            os.pwrite(file.fileno(), b"x", self.SIZE - 1)

        def append(file):
            os.pwrite(file.fileno(), b"x", self.SIZE)

        server = self.serve_root()
        for change in (truncate, truncate_and_restore, rewrite, touch_the_end, append):
            for fields in ((), ("Range: bytes=0-",)):
                with self.subTest(change=change.__name__, fields=fields):
                    self.put("large.bin", old)
                    self.root.settle()
                    client = self.begin(server, *fields)
                    with open(self.root.of("large.bin"), "r+b") as file:
                        change(file)
                    complete, body = self.read_all(client)
                    self.assertFalse(complete)
                    self.assertLess(len(body), self.SIZE)
                    client.close()
        self.put("large.bin", old)
        self.root.settle()
        wait_until(lambda: self.connect(server).get("/large.bin").body == old, "the last is served")

    def test_replaced_or_deleted(self):
        """Who has begun gets the old one to its end."""
        old, new = noise(self.SIZE, 3), noise(self.SIZE, 4)
        self.put("large.bin", old)
        server = self.serve_root()
        asking = self.connect(server)
        clients = [self.begin(server) for _ in range(2)]
        os.chmod(self.root.of("large.bin"), 0o640)
        os.link(self.root.of("large.bin"), self.root.outer + "/kept")
        self.put("large.bin", new)
        wait_until(lambda: asking.get("/large.bin", "Range: bytes=0-99").body == new[:100], "the new one is served")
        other = self.begin(server)
        os.unlink(self.root.of("large.bin"))
        for client, expected in ((clients[0], old), (clients[1], old), (other, new)):
            complete, body = self.read_all(client)
            self.assertTrue(complete, f"{len(body)} bytes of {self.SIZE}")
            self.assertTrue(body == expected)


class Noticed(ChangesTest):
    """Changes are noticed by inotify, long before the second is over in which a file is not looked at."""

    def setUp(self):
        super().setUp()
        self.began_s, self.changes = time.monotonic(), 0

    def tearDown(self):
        if self.changes:
            self.assertLess(time.monotonic() - self.began_s, self.changes / 3)
        super().tearDown()

    def assert_becomes(self, client, target, expected):
        """After a change: the body, or the status, that is expected is there soon."""
        def is_there():
            response = client.get(target)
            return expected in (response.status, response.body)
        self.changes += 1
        wait_until(is_there, f"{target} has changed for the {self.changes}th time")

    def test_file(self):
        self.put("file.txt", version(0))
        self.put("deep/er/file.txt", version(0))
        self.put("large.bin", noise(100_000))
        client = self.serve_client("--no-compression")
        for number in range(scaled(50, 30)):
            for name, data in (("file.txt", version(number)), ("deep/er/file.txt", version(number + 1)),
                               ("large.bin", noise(100_000, number))):
                self.put(name, data)
                self.assert_becomes(client, "/" + name, data)
            with open(self.root.of("file.txt"), "ab") as file:
                file.write(b"more")
            self.assert_becomes(client, "/file.txt", version(number) + b"more")
            os.unlink(self.root.of("deep/er/file.txt"))
            self.assert_becomes(client, "/deep/er/file.txt", 404)

    def test_by_the_very_next_request(self):
        """Who changes a file and then asks for it gets what it is now: nothing has to be waited for."""
        names = {"file.txt": 1000, "deep/er/file.txt": 1000, "large.bin": 100_000}
        for name, length in names.items():
            self.put(name, version(0, length))
        client = self.serve_client("--no-compression")
        for name, length in names.items():
            self.assertEqual(client.get("/" + name).body, version(0, length))
        for number in range(1, 101):
            for name, length in names.items():
                data = self.put(name, version(number, length))
                self.assertTrue(client.get("/" + name).body == data, f"{name} {number}")
        for name in names:
            os.unlink(self.root.of(name))
            self.assertEqual(client.get("/" + name).status, 404)

    def test_directories_that_move(self):
        for name in ("one", "two"):
            self.put(f"{name}/deep/file.txt", name)
        client = self.serve_client()
        for _ in range(20):
            for name in ("one", "two"):
                self.assert_becomes(client, f"/{name}/deep/file.txt", name.encode())
            os.rename(self.root.of("one"), self.root.of("three"))
            os.rename(self.root.of("two"), self.root.of("one"))
            self.assert_becomes(client, "/one/deep/file.txt", b"two")
            self.assert_becomes(client, "/two/deep/file.txt", 404)
            os.rename(self.root.of("one"), self.root.of("two"))
            os.rename(self.root.of("three"), self.root.of("one"))

    def test_by_all_reactors(self):
        self.put("file.txt", version(0))
        server = self.serve_root(threads=4)
        clients = [self.connect(server) for _ in range(16)]
        for number in range(30):
            self.put("file.txt", version(number))
            for client in clients:
                self.assert_becomes(client, "/file.txt", version(number))

    def test_siblings_that_come_and_go(self):
        plain = self.put("a.js", text(3000))
        beside = gzip.compress(plain, 1)
        client = self.serve_client()
        made = client.get("/a.js", "Accept-Encoding: gzip")
        self.assertEqual((made["content-encoding"], gzip.decompress(made.body)), ("gzip", plain))
        self.assertNotEqual(made.body, beside)
        for _ in range(10):
            for body in (beside, made.body):
                self.changes += 1
                if body == beside:
                    self.put("a.js.gz", beside)
                else:
                    os.unlink(self.root.of("a.js.gz"))
                wait_until(lambda: client.get("/a.js", "Accept-Encoding: gzip").body == body, "it has come or gone")
        self.put("b.bin", b"x" * 100)
        self.assertIsNone(client.get("/b.bin")["vary"])
        self.put("b.bin.br", b"pretended")
        wait_until(lambda: client.get("/b.bin", "Accept-Encoding: br")["content-encoding"] == "br", "it has come")
        self.assertEqual(client.get("/b.bin")["vary"], "Accept-Encoding")
        os.unlink(self.root.of("b.bin"))
        wait_until(lambda: client.get("/b.bin", "Accept-Encoding: br").status == 404, "it has gone")

    def test_index_that_comes_and_goes(self):
        self.put("dir/a.txt", b"x")
        client = self.serve_client("--listing")
        for _ in range(10):
            self.put("dir/index.html", b"index")
            self.assert_becomes(client, "/dir/", b"index")
            os.unlink(self.root.of("dir/index.html"))
            self.changes += 1
            wait_until(lambda: b"a.txt" in client.get("/dir/").body, "the listing is back")

    def test_replaced_while_it_is_compressed(self):
        size = scaled(4_000_000, 1_000_000)
        self.put("a.txt", version(0, size))
        server = self.serve_root()
        clients = [self.connect(server) for _ in range(3)]

        def body_of(response):
            coded = response["content-encoding"] == "gzip"
            return gzip.decompress(response.body) if coded else response.body
        for number in range(1, 10):
            clients[0].send(request("GET", "/a.txt", "Accept-Encoding: gzip"))
            wait_until(lambda: server.unread_bytes() == 0, "the request has arrived")
            self.put("a.txt", version(number, size))
            for client in clients[1:]:
                client.send(request("GET", "/a.txt", "Accept-Encoding: gzip"))
            for client in clients:
                self.assertTrue(is_one_version(body_of(client.read())))
            wait_until(lambda: body_of(clients[0].get("/a.txt", "Accept-Encoding: gzip")) == version(number, size),
                       "the newest is served")


if __name__ == "__main__":
    unittest.main()
