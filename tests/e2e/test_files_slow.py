#!/usr/bin/env python3
"""Slow disks, very large files, very many files, and too few descriptors."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from client import request
from harness import HERE, SANITIZE, limit_descriptors, scaled, wait_until
from webroot import WebrootTest, noise, text

GIB = 1 << 30


def build_preload(directory):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise unittest.SkipTest("there is no compiler")
    path = directory + "/preload.so"
    subprocess.run([*compiler.split(), "-shared", "-fPIC", "-O1", "-o", path, HERE + "/preload_files.c", "-ldl"], check=True)
    return path


@unittest.skipIf("thread" in SANITIZE, "the thread sanitizer wants to be the first library")
class PreloadTest(WebrootTest):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="coreactor-e2e-")
        cls.addClassCleanup(shutil.rmtree, directory)
        cls.preload = build_preload(directory)

    def serve_with(self, *arguments, **variables):
        asan = os.environ.get("ASAN_OPTIONS", "")
        return self.serve_root(*arguments, env={
            "LD_PRELOAD": self.preload, **variables,
            "ASAN_OPTIONS": (asan + ":" if asan else "") + "verify_asan_link_order=0"})


class SlowDisk(PreloadTest):
    HOT = 200

    def setUp(self):
        super().setUp()
        self.gate = self.root.outer + "/gate"
        self.hot = self.put("hot.txt", text(3000))

    def serve_slow(self, *names, arguments=("--no-compression",)):
        with open(self.gate, "wb"):
            pass
        inodes = ",".join(str(os.stat(self.root.of(name)).st_ino) for name in names)
        server = self.serve_with(*arguments, PRELOAD_INODES=inodes, PRELOAD_GATE=self.gate)
        with server.client() as client:
            self.assertEqual(client.get("/hot.txt").body, self.hot)
        return server

    def open_gate(self):
        os.unlink(self.gate)

    def assert_others_are_served(self, server, waiting):
        """While `waiting` clients get nothing of their bodies, others are served; then the gate opens."""
        client = self.connect(server)
        for _ in range(self.HOT):
            self.assertEqual(client.get("/hot.txt").body, self.hot)
        for other in waiting:
            self.assertTrue(other.hears_nothing(0.001))
        self.open_gate()

    def assert_not_stalled(self):
        self.assertFalse(os.path.exists(self.gate + ".stalled"), "the kernel was to read what was not in memory")

    def test_small_and_large_files_that_are_cold(self):
        small, large = self.put("small.bin", noise(2000, 1)), self.put("large.bin", noise(5 << 20, 2))
        server = self.serve_slow("small.bin", "large.bin")
        first, second, third = (self.connect(server) for _ in range(3))
        first.send(request("GET", "/small.bin"))
        second.send(request("GET", "/large.bin"))
        self.assertEqual(second.read_head().status, 200)
        third.send(request("GET", "/large.bin", "Range: bytes=4000000-4000099"))
        self.assertEqual(third.read_head()["content-range"], f"bytes 4000000-4000099/{len(large)}")
        self.assert_others_are_served(server, (first, second, third))
        self.assertEqual(first.read().body, small)
        while len(second.unread) < len(large):
            second.more(1 << 20)
        self.assertTrue(second.unread == large)
        while len(third.unread) < 100:
            third.more()
        self.assertTrue(third.unread == large[4_000_000:4_000_100])
        self.assertTrue(self.connect(server).get("/large.bin").body == large)
        self.assert_not_stalled()

    def test_many_requests_of_one_cold_file_are_one_read(self):
        small = self.put("small.bin", noise(2000, 1))
        server = self.serve_slow("small.bin")
        clients = [self.connect(server) for _ in range(20)]
        for client in clients:
            client.send(request("GET", "/small.bin") * 2 + request("GET", "/hot.txt"))
        for client in clients[15:]:
            client.reset()
        self.assert_others_are_served(server, clients[:15])
        for client in clients[:15]:
            self.assertEqual([client.read().body for _ in range(3)], [small, small, self.hot])
        self.assert_not_stalled()

    def test_more_cold_files_than_threads_for_them(self):
        names = [f"cold{number}.bin" for number in range(12)]
        data = {name: self.put(name, noise(1000 if number % 2 else 300_000, number))
                for number, name in enumerate(names)}
        server = self.serve_slow(*names)
        clients = {name: self.connect(server) for name in names}
        for name, client in clients.items():
            client.send(request("GET", "/" + name))
        self.assert_others_are_served(server, [clients[name] for name in names[1::2]])
        for name, client in clients.items():
            self.assertTrue(client.read().body == data[name])
        self.assert_not_stalled()

    def test_who_leaves_while_it_is_read(self):
        self.put("large.bin", noise(300_000, 1))
        self.put("small.bin", noise(1000, 1))
        server = self.serve_slow("large.bin", "small.bin")
        for name in ("large.bin", "small.bin") * 10:
            client = self.connect(server)
            client.send(request("GET", "/" + name))
            client.reset()
        self.assert_others_are_served(server, ())
        with server.client() as client:
            self.assertEqual(len(client.get("/large.bin").body), 300_000)

    def test_who_has_nothing_more_to_say_gets_it_all_the_same(self):
        small, large = self.put("small.bin", noise(2000, 1)), self.put("large.bin", noise(300_000, 2))
        server = self.serve_slow("small.bin", "large.bin")
        first, second = self.connect(server), self.connect(server)
        for client, name in ((first, "small.bin"), (second, "large.bin")):
            client.send(request("GET", "/" + name))
            client.half_close()
        self.assertEqual(second.read_head().status, 200)
        self.assert_others_are_served(server, (first, second))
        self.assertEqual(first.read().body, small)
        while len(second.unread) < len(large):
            second.more()
        self.assertTrue(second.unread == large)
        second.unread = b""
        for client in (first, second):
            client.expect_end()

    def test_stopped_while_it_is_read(self):
        small = self.put("small.bin", noise(1000, 1))
        server = self.serve_slow("small.bin")
        client = self.connect(server)
        client.send(request("GET", "/small.bin"))
        wait_until(lambda: server.unread_bytes() == 0, "the request has arrived")
        self.assertEqual(self.connect(server).get("/hot.txt").body, self.hot)
        server.send_signal(15)
        self.open_gate()
        self.assertEqual(client.read().body, small)
        server.stop(None)


class NoInotify(PreloadTest):
    def test_changes_are_noticed_all_the_same(self):
        server = self.serve_with(PRELOAD_NO_INOTIFY="1")
        client = self.connect(server)
        for number in range(3):
            for name, length in (("small.txt", 100), ("large.bin", 100_000)):
                data = self.put(name, noise(length, number))
                wait_until(lambda: client.get("/" + name).body == data, "the change is noticed")
        os.unlink(self.root.of("small.txt"))
        wait_until(lambda: client.get("/small.txt").status == 404, "the file is gone")


class Sparse(WebrootTest):
    SIZE = 5 * GIB + 12_345

    def setUp(self):
        super().setUp()
        self.marks = {}
        with open(self.root.of("sparse.bin"), "wb") as file:
            file.truncate(self.SIZE)
            for at in (0, 4 * GIB - 500, 4 * GIB + 7, self.SIZE - 1000):
                self.marks[at] = noise(1000, at)
                os.pwrite(file.fileno(), self.marks[at], at)
        self.root.touched("sparse.bin")

    def test_beyond_four_gib(self):
        client = self.serve_client()
        head = client.ask("HEAD", "/sparse.bin")
        self.assertEqual((head.status, head["content-length"]), (200, str(self.SIZE)))
        for at in (0, 4 * GIB + 7, self.SIZE - 1000):
            part = client.get("/sparse.bin", f"Range: bytes={at}-{at + 999}")
            self.assertEqual((part.status, part.body), (206, self.marks[at]))
            self.assertEqual(part["content-range"], f"bytes {at}-{at + 999}/{self.SIZE}")
        across = client.get("/sparse.bin", f"Range: bytes={4 * GIB - 500}-{4 * GIB + 1006}")
        self.assertEqual(across.body, self.marks[4 * GIB - 500][:507] + self.marks[4 * GIB + 7])
        self.assertEqual(client.get("/sparse.bin", "Range: bytes=-1000").body, self.marks[self.SIZE - 1000])
        several = client.get("/sparse.bin", f"Range: bytes=0-9,{4 * GIB + 7}-{4 * GIB + 16},-10")
        for at, first, end in ((0, 0, 10), (4 * GIB + 7, 0, 10), (self.SIZE - 1000, 990, 1000)):
            self.assertIn(self.marks[at][first:end], several.body)
        self.assertEqual(client.get("/sparse.bin", f"Range: bytes={self.SIZE}-").status, 416)
        client.send(request("GET", "/sparse.bin"))
        self.assertEqual(client.read_head()["content-length"], str(self.SIZE))
        client.reset()

    def test_memory_is_bounded(self):
        server = self.serve_root()
        slow = [self.connect(server, receive_buffer=8192) for _ in range(100)]
        self.connect(server).get("/sparse.bin", "Range: bytes=0-99999")
        before = server.anonymous_bytes()
        for number, client in enumerate(slow):
            first = number * 40_000_000
            client.send(request("GET", "/sparse.bin", f"Range: bytes={first}-{first + 30_000_000}"))
        for client in slow:
            self.assertEqual(client.read_head().status, 206)
            while len(client.unread) < 20_000:
                client.more()
        # In copies it would be 3 GB.
        self.assertLess(server.anonymous_bytes() - before, scaled(16, 64) << 20)
        self.assertLess(server.descriptors(), 130)
        for client in slow:
            client.reset()


class Many(WebrootTest):
    def test_many_files(self):
        count, size, cache = scaled(100_000, 3000), 2000, scaled(32, 2) << 20
        body = noise(size)
        source = self.root.outer + "/source"
        with open(source, "wb") as file:
            file.write(body)
        for number in range(count):
            if number % 1000 == 0:
                os.mkdir(self.root.of(f"{number // 1000}"))
            if number % 60_000 == 0:  # links of one file have a limit, and cost less than files
                source = self.root.outer + f"/source{number}"
                with open(source, "wb") as file:
                    file.write(body)
            os.link(source, self.root.of(f"{number // 1000}/{number}.bin"))
        server = self.serve_root("--cache-size", str(cache))
        client = self.connect(server)
        self.assertEqual(client.get("/0/0.bin").body, body)
        before, batch = server.anonymous_bytes(), 100
        for first in range(0, count, batch):
            client.send(b"".join(request("GET", f"/{number // 1000}/{number}.bin")
                                 for number in range(first, first + batch)))
            for _ in range(batch):
                response = client.read()
                self.assertTrue(response.status == 200 and response.body == body)
        if not SANITIZE:  # they keep what was freed
            self.assertLess(server.anonymous_bytes() - before, cache * 2)

    def test_many_that_are_not_there(self):
        server = self.serve_root("--cache-size", "1M")
        client = self.connect(server)
        client.get("/")
        before = server.anonymous_bytes()
        for first in range(0, scaled(50_000, 3000), 100):
            client.send(b"".join(request("GET", f"/none/{first + number}.txt") for number in range(100)))
            for _ in range(100):
                self.assertEqual(client.read().status, 404)
        if not SANITIZE:
            self.assertLess(server.anonymous_bytes() - before, 4 << 20)


class Descriptors(WebrootTest):
    def test_many_large_files_with_few_descriptors(self):
        """Open files that are kept must not take what is needed for others."""
        for number in range(100):
            self.put(f"{number}.bin", noise(70_000, number))
        server = self.serve_root(preexec=limit_descriptors(64))
        client = self.connect(server)
        for number in range(100):
            response = client.get(f"/{number}.bin")
            self.assertEqual((number, response.status), (number, 200))
            self.assertTrue(response.body == noise(70_000, number))
        self.assert_serves_new(server)

    def assert_serves_new(self, server):
        data = self.put("new.txt", b"%f" % time.time())
        with server.client() as client:
            wait_until(lambda: client.get("/new.txt").body == data, "it serves again")

    def test_many_connections_with_few_descriptors(self):
        self.put("file.txt", b"x")
        for number in range(40):
            self.put(f"{number}.bin", noise(70_000, number))
        server = self.serve_root("--max-connections", "1000", preexec=limit_descriptors(64))
        clients = [self.connect(server) for _ in range(80)]
        statuses = set()
        for number, client in enumerate(clients[:40]):
            client.send(request("GET", f"/{number}.bin"))
        for number, client in enumerate(clients[:30]):
            response = client.read()
            statuses.add(response.status)
            self.assertTrue(response.status == 503 or response.body == noise(70_000, number))
            if response.status == 503:
                self.assertEqual(response["retry-after"], "1")
        self.assertLessEqual(statuses, {200, 503})
        for client in clients:
            client.close()
        self.assert_serves_new(server)
        server.stop(stderr="(coreactor: cannot accept connections for now: [^\n]*\n)?")


if __name__ == "__main__":
    unittest.main()
