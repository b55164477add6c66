#!/usr/bin/env python3
"""Many at a time: who is let in, who has to go, and that the many do not harm the one."""

import contextlib
import resource
import subprocess
import sys
import time
import unittest

from client import PAGE, PATIENCE_S, request
from harness import HERE, SANITIZE, ServerTest, have_ipv6, in_child, scaled, wait_until

ATTEMPTS = 5
IDLE_S = 1  # who was idle for less is not closed to make room


class Crowd:
    """crowd.py at work; when it says "ready", all its clients are connected."""

    def __init__(self, server, count, what):
        host, port = server.address
        self.process = subprocess.Popen(
            [sys.executable, "-B", f"{HERE}/crowd.py", host, str(port), str(count), what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=in_child(None))

    def __enter__(self):
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError("the crowd could not come together")
        return self

    def leave(self):
        """Returns how many of them the server had closed."""
        said, _ = self.process.communicate("", timeout=PATIENCE_S)
        return int(said)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class CrowdTest(ServerTest):
    def serve(self, *arguments, **options):
        # A drain would only wait for what may still come.
        return super().serve("--drain-timeout", "0", *arguments, **options)


class Full(CrowdTest):
    """At --max-connections the longest-idle make room."""

    def crowd(self, server, count):
        clients = [self.connect(server) for _ in range(count)]
        self.serve_all(clients)
        return clients

    def serve_all(self, clients):
        for client in clients:
            self.assertEqual(client.get().body, PAGE)

    def is_closed(self, client):
        return not client.hears_nothing(0.001)

    def test_the_longest_idle_are_closed(self):
        server = self.serve("-j", "1", "--max-connections", "32")
        old, young = self.crowd(server, 16), self.crowd(server, 14)
        time.sleep(IDLE_S + 0.2)
        self.serve_all(young)
        new = self.crowd(server, 4)
        # Whom they are taken from: nobody but the sixteen that are older than any other.
        wait_until(lambda: all(map(self.is_closed, old)), "the longest-idle are closed")
        for client in old:
            client.expect_end()
        self.serve_all(young + new)

    def test_the_busy_are_not(self):
        for threads in (1, 2):
            server = self.serve("-j", str(threads), "--max-connections", "16")
            clients = [self.connect(server) for _ in range(16)]
            heads, bodies, idle = clients[:5], clients[5:10], clients[10:]
            for client in heads:
                client.send(request()[:-1])
            for client in bodies:
                client.send(request("POST", "/", "Content-Length: 1"))
                self.assertEqual(client.read().status, 405)
            self.serve_all(idle)
            time.sleep(IDLE_S + 0.2)
            new = [self.connect(server) for _ in idle]
            self.serve_all(new)
            for client in heads:
                client.send(b"\n")
                self.assertEqual(client.read().body, PAGE)
            for client in bodies:
                client.send(b"x" + request())
                self.assertEqual(client.read().body, PAGE)
            for client in clients + new:
                client.close()
            server.stop()

    def test_new_ones_are_served_though_none_ever_leaves(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), "--max-connections", "8")
                for _ in range(12):
                    self.assertEqual(self.connect(server).get().body, PAGE)
                self.assertEqual(server.stop(), (12, 12))

    def test_who_was_idle_and_asks_again_is_answered(self):
        """Though the request comes at the same time as others need the place."""
        server = self.serve("-j", "1", "--max-connections", "16")
        old = self.crowd(server, 16)
        time.sleep(IDLE_S + 0.2)
        server.pause()
        waiting = [self.connect(server) for _ in range(4)]
        for client in old + waiting:
            client.send(request())
        server.go_on()
        for client in old:
            self.assertEqual(client.read().body, PAGE)
        for client in waiting:
            self.assertEqual(client.read().body, PAGE)


class PerClient(CrowdTest):
    def is_turned_away(self, client):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.send(request())
            self.assertEqual(client.socket.recv(1), b"")
        return True

    def test_one_too_many(self):
        for threads in (1, 2, 4):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), "--max-connections-per-client", "3")
                clients = [self.connect(server) for _ in range(3)]
                for client in clients:
                    self.assertEqual(client.get().body, PAGE)
                for _ in range(5):
                    self.assertTrue(self.is_turned_away(self.connect(server)))
                for at in (2, 3, 2):  # others are not affected
                    with server.client(source=f"127.0.0.{at}") as other:
                        self.assertEqual(other.get().body, PAGE)
                for client in clients:
                    self.assertEqual(client.get().body, PAGE)
                clients[0].close()
                self.wait_until_let_in(server)
                clients[1].reset()
                self.wait_until_let_in(server)
                clients[2].send(request("GET", "/", "Connection: close"))
                clients[2].read()
                clients[2].close()
                self.wait_until_let_in(server)

    def wait_until_let_in(self, server):
        def is_let_in():
            try:
                with server.client() as client:
                    return client.get().status == 200
            except (AssertionError, OSError):
                return False
        wait_until(is_let_in, "a place is free")

    @unittest.skipUnless(have_ipv6(), "no IPv6 here")
    def test_ipv6(self):
        server = self.serve("-j", "2", "--max-connections-per-client", "1", listen=("[::1]:0",))
        client = self.connect(server)
        self.assertEqual(client.get().body, PAGE)
        self.assertTrue(self.is_turned_away(self.connect(server)))
        client.close()
        self.wait_until_let_in(server)

    def test_many_come_and_go(self):
        """A count that is wrong once is wrong for ever."""
        server = self.serve("-j", "4", "--max-connections-per-client", "2")
        for at in range(scaled(600, 200)):
            with server.client(source=f"127.0.0.{at % 100 + 1}") as client:
                client.send(request())
                if at % 3 == 0:
                    client.reset()
        unused = server.descriptors()
        wait_until(lambda: server.descriptors() <= unused, "all have gone")
        for at in range(1, 101):
            def both_let_in(source=f"127.0.0.{at}"):
                try:
                    with server.client(source=source) as one, server.client(source=source) as other:
                        return one.get().status == other.get().status == 200
                except (AssertionError, OSError):
                    return False
            wait_until(both_let_in, "both places are free")


class MaxRequests(CrowdTest):
    def test_the_last_says_so(self):
        server = self.serve("-j", "1", "--max-requests", "3")
        client = self.connect(server)
        self.assertFalse(client.get().closes)
        self.assertFalse(client.ask("POST", "/", body=b"hello").closes)
        self.assertTrue(client.get().closes)
        client.expect_end()
        self.assert_serves(server)

    def test_a_pipeline_is_cut(self):
        server = self.serve("-j", "1", "--max-requests", "3")
        with server.client() as client:
            client.send(request() * 10)
            self.assertEqual([client.read().closes for _ in range(3)], [False, False, True])
            client.expect_end()
        self.assertEqual(server.stop(), (3, 1))

    def test_one(self):
        server = self.serve("-j", "1", "--max-requests", "1")
        for version in ("HTTP/1.0", "HTTP/1.1"):
            with server.client() as client:
                self.assertTrue(client.get("/", "Connection: keep-alive", version=version).closes)
                client.expect_end()


class Many(CrowdTest):
    def need_descriptors(self, count):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < count + 100:
            self.skipTest(f"{count} connections need a higher limit of descriptors (ulimit -Hn)")

    def measure_p99_ms(self, client, count):
        times = []
        for _ in range(count):
            began = time.monotonic()
            self.assertEqual(client.get().body, PAGE)
            times.append(time.monotonic() - began)
            time.sleep(0.002)
        return sorted(times)[count * 99 // 100] * 1000

    def test_slow_ones_do_not_slow_the_others_down(self):
        count = scaled(2000, 300)
        self.need_descriptors(count)
        server = self.serve("-j", "2", "--header-timeout", "0")
        with Crowd(server, count, "drip") as crowd:
            # A busy machine delays everybody, but not every time.
            for _ in range(ATTEMPTS):
                with server.client() as client:
                    p99_ms = self.measure_p99_ms(client, scaled(500, 100))
                if p99_ms < 50:
                    break
            print(f"p99 beside {count} slow clients: {p99_ms:.1f} ms", flush=True)
            if not SANITIZE:
                self.assertLess(p99_ms, 50)
            self.assertEqual(crowd.leave(), 0)

    @unittest.skipIf(SANITIZE, "a sanitizer's allocator is not what people run with")
    def test_ten_thousand_idle_ones_cost_400_bytes_each(self):
        count = 10_000
        self.need_descriptors(count)
        server = self.serve("-j", "2")
        unused = server.descriptors()
        self.assert_serves(server)
        before = server.anonymous_bytes()
        with Crowd(server, count, "hold") as crowd:
            wait_until(lambda: server.descriptors() == unused + count, "nobody else is there")
            each = (server.anonymous_bytes() - before) / count
            print(f"an idle connection costs {each:.0f} bytes", flush=True)
            self.assertLessEqual(each, 400)
            self.assert_serves(server)
            self.assertEqual(crowd.leave(), 0)
        wait_until(lambda: server.descriptors() == unused, "all have gone")
        self.assertEqual(server.stop(), (count + 2, count + 2))


if __name__ == "__main__":
    unittest.main()
