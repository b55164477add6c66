#!/usr/bin/env python3
"""Clients that take their time: those that only want to hold a connection lose it, and those that are
merely slow do not.

Times are only ever compared with the least that they must be: how late a server is, is the machine's
business."""

import contextlib
import threading
import time
import unittest

from client import PAGE, PATIENCE_S, request
from harness import ServerTest, together, wait_until

WINDOW_S = 5  # over which a rate is judged
EARLY_S = 0.05  # how much a clock may differ from another


class SlowTest(ServerTest):
    def drip(self, client, data, pause_s=0.1, size=1):
        """Sends piece after piece until the server ends it; returns how long that took."""
        began = time.monotonic()
        try:
            for at in range(0, len(data), size):
                client.send(data[at:at + size])
                if not client.hears_nothing(pause_s):
                    return time.monotonic() - began
                if time.monotonic() > began + PATIENCE_S:
                    self.fail("nothing has ended it")
        except (BrokenPipeError, ConnectionResetError):
            return time.monotonic() - began
        return self.fail("there was too little to send")

    @contextlib.contextmanager
    def unless_machine_stops(self, for_s):
        """What is asserted in it is sure to hold only where everybody gets to run every so often."""
        worst_s, done = 0, threading.Event()

        def watch():
            nonlocal worst_s
            last = time.monotonic()
            while not done.wait(0.05):
                worst_s, last = max(worst_s, time.monotonic() - last), time.monotonic()
        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        except (AssertionError, OSError):
            if worst_s > for_s:
                self.skipTest(f"this machine has stopped for {worst_s:.1f} s")
            raise
        finally:
            done.set()
            watching.join()

    def assert_timed_out(self, client):
        response = client.read()
        self.assertEqual((response.status, response.reason), (408, "Request Timeout"))
        self.assertTrue(response.closes)
        client.expect_end()


class Heads(SlowTest):
    TIMEOUT_S = 1

    def test_slowloris(self):
        server = self.serve("-j", "1", "--header-timeout", str(self.TIMEOUT_S))
        endless = request()[:-2] + b"X: y\r\n" * 1000

        def slowly(before):
            client = self.connect(server)
            for _ in range(before):
                self.assertEqual(client.get().body, PAGE)
            took_s = self.drip(client, endless)
            self.assertGreater(took_s, self.TIMEOUT_S - EARLY_S)
            self.assert_timed_out(client)

        def behind_a_pipeline():
            client = self.connect(server)
            client.send(request() * 3 + request()[:10])
            for _ in range(3):
                self.assertEqual(client.read().body, PAGE)
            self.drip(client, endless[10:])
            self.assert_timed_out(client)

        def behind_a_body():
            client = self.connect(server)
            client.send(request("POST", "/", body=b"hello") + b"G")
            self.assertEqual(client.read().status, 405)
            self.drip(client, endless[1:])
            self.assert_timed_out(client)

        def line_by_line():
            client = self.connect(server)
            self.drip(client, endless, size=6)
            self.assert_timed_out(client)

        def silently():
            client = self.connect(server)
            client.send(endless[:20])
            self.assert_timed_out(client)

        def in_a_request_for_no_body():
            client = self.connect(server)
            client.send(request("HEAD")[:-1])
            self.assertEqual(client.read(head=True).status, 408)
            client.expect_end()
        together(lambda: slowly(0), lambda: slowly(2), behind_a_pipeline, behind_a_body, line_by_line,
                 silently, in_a_request_for_no_body)
        self.assert_serves(server)

    def begins_anew_with_each_head(self, server, limit_s):
        client = self.connect(server)
        until = time.monotonic() + limit_s + 0.5

        def one_slow_head():
            data = request()
            for at in range(0, len(data), 5):
                client.send(data[at:at + 5])
                time.sleep(0.02)
            self.assertEqual(client.read().body, PAGE)
        while time.monotonic() < until:
            one_slow_head()

    def does_not_run_between_heads(self, server, limit_s):
        client = self.connect(server)
        self.assertEqual(client.get().body, PAGE)
        self.assertTrue(client.hears_nothing(limit_s + 0.5))
        self.assertEqual(client.get().body, PAGE)

    def has_no_limit(self, server):
        client = self.connect(server)
        client.send(request()[:-1])
        self.assertTrue(client.hears_nothing(2))
        client.send(b"\n")
        self.assertEqual(client.read().body, PAGE)

    def stays_while_it_asks_in_time(self, server, limit_s):
        client = self.connect(server)
        for _ in range(4):
            asked = time.monotonic()
            self.assertEqual(client.get().body, PAGE)
            time.sleep(max(0, asked + limit_s * 0.4 - time.monotonic()))

    def test_honest_clients(self):
        limit_s = 3
        limited = self.serve("-j", "2", "--header-timeout", str(limit_s))
        unlimited = self.serve("-j", "1", "--header-timeout", "0", "--idle-timeout", "1")
        idle = self.serve("-j", "1", "--header-timeout", "1", "--idle-timeout", str(limit_s))
        with self.unless_machine_stops(1):
            together(lambda: self.begins_anew_with_each_head(limited, limit_s),
                     lambda: self.does_not_run_between_heads(limited, limit_s),
                     lambda: self.has_no_limit(unlimited),
                     lambda: self.stays_while_it_asks_in_time(idle, limit_s))


class Idle(SlowTest):
    TIMEOUT_S = 1

    def test_the_idle_are_closed_without_a_word(self):
        server = self.serve("-j", "2", "--idle-timeout", str(self.TIMEOUT_S))

        def idle(requests):
            client = self.connect(server)
            began = time.monotonic()
            for _ in range(requests):
                began = time.monotonic()
                self.assertEqual(client.get().body, PAGE)
            client.expect_end()
            self.assertGreater(time.monotonic() - began, self.TIMEOUT_S - EARLY_S)

        def idle_after_a_body():
            client = self.connect(server)
            client.send(request("POST", "/", body=b"hello"))
            self.assertEqual(client.read().status, 405)
            client.expect_end()
        together(lambda: idle(0), lambda: idle(1), lambda: idle(3), idle_after_a_body)
        self.assertEqual(server.stop(), (5, 4))


class Rates(SlowTest):
    # More than the sockets' buffers hold, so that the server has to wait.
    ANSWERS = 40_000

    def body_scenarios(self):
        """Bodies for the page, which has answered before they come."""
        server = self.serve("-j", "1", "--min-body-rate", "1000", "--idle-timeout", "1")

        def slow(head, data):
            client = self.connect(server)
            began = time.monotonic()
            client.send(head)
            self.assertEqual(client.read().status, 405)
            self.drip(client, data)
            self.assertGreater(time.monotonic() - began, WINDOW_S - EARLY_S)
            client.expect_end()

        def silent():
            client = self.connect(server)
            began = time.monotonic()
            client.send(request("POST", "/", "Content-Length: 10000"))
            self.assertEqual(client.read().status, 405)
            client.expect_end()
            self.assertGreater(time.monotonic() - began, WINDOW_S - EARLY_S)

        def fast_at_first():
            client = self.connect(server)
            client.send(request("POST", "/", "Content-Length: 100000") + b"x" * 9000)
            self.assertEqual(client.read().status, 405)
            self.drip(client, b"x" * 1000)
            client.expect_end()

        def honest():
            """Five times as fast as it must be, for more than two windows."""
            client = self.connect(server)
            client.send(request("POST", "/", "Content-Length: 62500"))
            self.assertEqual(client.read().status, 405)
            for _ in range(125):
                client.send(b"x" * 500)
                time.sleep(0.1)
            self.assertEqual(client.get().body, PAGE)
        chunked = request("POST", "/", "Transfer-Encoding: chunked")
        return (lambda: slow(request("POST", "/", "Content-Length: 10000"), b"x" * 1000),
                lambda: slow(chunked, b"1\r\nx\r\n" * 100),
                lambda: slow(chunked, b"5;" + b"a" * 400), silent, fast_at_first, honest)

    def serve_reader(self, rate):
        """A server, a client that asks for much, the thread that asks, and when it began."""
        server = self.serve("-j", "1", "--min-write-rate", str(rate), "--idle-timeout", "20")
        client = self.connect(server, receive_buffer=4096)
        self.assertEqual(client.get().body, PAGE)

        def ask():
            with contextlib.suppress(OSError):
                client.send(request() * self.ANSWERS)
        asking = threading.Thread(target=ask, daemon=True)
        began = time.monotonic()
        asking.start()
        return server, client, asking, began

    def assert_cut_off(self, server, client, asking, began, read):
        connected = server.descriptors()
        while server.descriptors() == connected:
            self.assertLess(time.monotonic(), began + PATIENCE_S, "it was not cut off")
            if read:
                with contextlib.suppress(ConnectionResetError):
                    client.socket.recv(500)
            time.sleep(0.1)
        self.assertGreater(time.monotonic() - began, WINDOW_S - EARLY_S)
        client.close()
        asking.join(PATIENCE_S)
        self.assert_serves(server)

    def assert_survives(self, server, client, asking, _):
        with server.client() as other:
            answer = len(self.raw_answer(other))
        left = answer * self.ANSWERS
        until = time.monotonic() + 2.2 * WINDOW_S
        while time.monotonic() < until:
            left -= len(client.socket.recv(4000))
            time.sleep(0.1)
        while left:
            piece = client.socket.recv(1 << 16)
            self.assertTrue(piece, "the end came early")
            left -= len(piece)
        asking.join(PATIENCE_S)
        self.assertEqual(client.get().body, PAGE)
        client.close()

    def raw_answer(self, client):
        client.send(request())
        while not client.unread.endswith(PAGE):
            client.more()
        return client.unread

    def crowd_of_stuck_readers(self):
        server = self.serve("-j", "2", "--min-write-rate", "1000")
        unused = server.descriptors()
        stuck = [self.connect(server, receive_buffer=4096) for _ in range(8)]

        def all_go():
            for client in stuck:
                client.socket.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    client.send(request() * self.ANSWERS)
            self.assert_serves(server)
            wait_until(lambda: server.descriptors() == unused, "all are cut off")
        return all_go

    def test_below_and_above(self):
        stuck, slow, honest = (self.serve_reader(rate) for rate in (50_000, 50_000, 1000))
        with self.unless_machine_stops(2):
            together(lambda: self.assert_cut_off(*stuck, read=False),
                     lambda: self.assert_cut_off(*slow, read=True),
                     lambda: self.assert_survives(*honest),
                     self.crowd_of_stuck_readers(), *self.body_scenarios())


if __name__ == "__main__":
    unittest.main()
