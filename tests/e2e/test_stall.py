#!/usr/bin/env python3
"""The watchdog: handlers that keep their reactor from everything else, what is logged of them, and what
an idle server does: nothing.

COREACTOR_STALL_SERVER is a program whose handlers stall (stall_server.c)."""

import os
import re
import signal
import tempfile
import time
import unittest

from client import request
from harness import ROOT, SANITIZE, Server, ServerTest, blocked_signals, finish, scaled, together, wait_until

PROGRAM = os.environ.get("COREACTOR_STALL_SERVER") or ROOT + "/build/release/tests/stall_server"
STALL_MS = 300
LIMIT_MS = 100
LINES_MAX = 3  # of a route in INTERVAL_S
INTERVAL_S = 10
ANY = "(?s:.*)"  # what else is on stderr

KEPT = r"the handler of {} kept reactor (\d+) from everything else for (\d+) ms"
NO_HANDLER = r"something that is no handler \(a timer, a descriptor, posted work\) "


@unittest.skipUnless(os.path.exists(PROGRAM), "the program that stalls is not built")
class StallTest(ServerTest):
    def start(self, threads=2, limit_ms=LIMIT_MS, trace=False):
        server = Server(str(threads), str(limit_ms), *(["trace"] if trace else []), program=PROGRAM)
        self.addCleanup(finish, server)
        return server

    def ask(self, server, route):
        with server.client() as client:
            self.assertEqual(client.get(route).status, 200)

    def wait_for(self, server, pattern):
        return wait_until(lambda: re.search(pattern, server.stderr()), f"{pattern} is on stderr")

    def stall_until_logged(self, server, route, pattern):
        """A machine that has no time for the watchdog may overlook some."""
        def is_logged():
            self.ask(server, route)
            return re.search(pattern, server.stderr())
        return wait_until(is_logged, f"{route} is logged")


class Lines(StallTest):
    def test_what_stalls_is_logged(self):
        for route in ("/sleep", "/burn"):
            for threads in (1, 2):
                with self.subTest(route=route, threads=threads):
                    server = self.start(threads)
                    match = self.stall_until_logged(server, route, KEPT.format(route))
                    self.assertLess(int(match[1]), threads)
                    self.assertGreaterEqual(int(match[2]), STALL_MS - 1)  # /burn rounds
                    self.assertNotIn("stack", server.stderr())

    def test_what_is_no_handler(self):
        server = self.start(1)
        match = self.stall_until_logged(
            server, "/timer", NO_HANDLER + r"kept reactor 0 from everything else for (\d+) ms")
        self.assertGreaterEqual(int(match[1]), STALL_MS)

    def test_fast_handlers_are_never_logged(self):
        count = scaled(20_000, 2_000)
        server = self.start(2, limit_ms=5000)  # for which no machine forgets a thread

        def hurry():
            with server.client() as client:
                for _ in range(count // 100):
                    client.send(request(target="/fast") * 100)
                    for _ in range(100):
                        self.assertEqual(client.read().status, 200)
        together(hurry, hurry, hurry)
        server.stop()
        self.assertEqual(server.stderr(), "")

    def test_no_warning(self):
        server = self.start(1, limit_ms=0)
        if not SANITIZE:  # which may have a thread of its own
            self.assertEqual(len(server.tasks()), 1)
        self.ask(server, "/sleep")
        self.ask(server, "/timer")
        server.stop()
        self.assertEqual(server.stderr(), "")

    def test_no_flood(self):
        server = self.start(2)
        began = time.monotonic()
        for _ in range(8):
            self.ask(server, "/sleep")
        server.stop(stderr=ANY)
        took_s = time.monotonic() - began
        logged = len(re.findall(KEPT.format("/sleep"), server.stderr()))
        self.assertLessEqual(logged, LINES_MAX * (1 + took_s // INTERVAL_S))
        if logged == LINES_MAX:  # the others were noticed, unless the machine had no time for it
            self.assertRegex(server.stderr(), "the handler of /sleep kept reactors from everything else [1-5] times more")

    def test_a_limit_of_a_millisecond(self):
        server = self.start(2, limit_ms=1)
        self.stall_until_logged(server, "/sleep", KEPT.format("/sleep"))
        for _ in range(50):
            self.ask(server, "/fast")


class Hangs(StallTest):
    """A handler that hangs until a file is gone."""

    def setUp(self):
        descriptor, self.gate = tempfile.mkstemp(prefix="coreactor-stall-")
        os.close(descriptor)
        self.addCleanup(self.open_gate)

    def open_gate(self):
        if os.path.exists(self.gate):
            os.unlink(self.gate)

    def hang(self, server):
        client = self.connect(server)
        client.send(request(target="/hang?" + self.gate))
        return client

    def test_trace(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                with open(self.gate, "wb"):
                    pass
                server = self.start(threads, trace=True)
                client = self.hang(server)
                self.wait_for(server, r"the handler of /hang keeps reactor \d+ from everything else; its stack")
                self.wait_for(server, r"#\d+ .*\(handle_hang\+0x")
                self.wait_for(server, r"#\d+ .*\(reactor_run\+0x")
                self.assertNotRegex(server.stderr(), KEPT.format("/hang"))
                self.open_gate()
                self.assertEqual(client.read().status, 200)
                self.wait_for(server, KEPT.format("/hang"))
                server.stop(stderr=ANY)

    def test_a_hang_is_logged_before_its_end(self):
        server = self.start(2)
        client = self.hang(server)
        self.wait_for(server, r"the handler of /hang has kept reactor \d+ .* for \d+ ms, and it is not over")
        self.open_gate()
        self.assertEqual(client.read().status, 200)
        self.wait_for(server, KEPT.format("/hang"))

    def test_the_end_comes_during_a_stall(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                with open(self.gate, "wb"):
                    pass
                server = self.start(threads, trace=True)
                client = self.hang(server)
                self.wait_for(server, r"handle_hang")
                server.send_signal(signal.SIGTERM)
                self.open_gate()
                self.assertEqual(client.read().status, 200)
                server.stop(number=None, stderr=ANY)
                self.assertRegex(server.stderr(), KEPT.format("/hang"))

    def test_a_second_signal_ends_a_server_that_hangs(self):
        """Whichever reactor hangs: with one it is the first, on the main thread."""
        for trace in (False, True):
            with self.subTest(trace=trace):
                with open(self.gate, "wb"):
                    pass
                server = self.start(1, trace=trace)
                client = self.hang(server)
                self.wait_for(server, "the handler of /hang has kept")
                server.send_signal(signal.SIGTERM)
                wait_until(lambda s=server: not all(mask >> signal.SIGTERM - 1 & 1 for mask in blocked_signals(s.pid)),
                           "the drain begins")
                server.send_signal(signal.SIGTERM)
                server.stop(number=None, status=-signal.SIGTERM, stderr=ANY)
                client.close()

    def test_trace_of_a_timer(self):
        server = self.start(1, trace=True)
        self.stall_until_logged(server, "/timer", r"#\d+ .*\(stall_in_timer\+0x")
        self.assertRegex(server.stderr(), NO_HANDLER + "keeps reactor 0")
        server.stop(stderr=ANY)


class Rest(ServerTest):
    @staticmethod
    def naps(server):
        """How often its threads have gone to sleep so far, each."""
        result = []
        for task in server.tasks():
            with open(f"/proc/{server.pid}/task/{task}/status", encoding="ascii") as file:
                result.append(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1]))
        return result

    def wait_for_rest(self, server):
        def rests():
            before = self.naps(server)
            time.sleep(0.5)
            return self.naps(server) == before
        wait_until(rests, "nothing happens any more")

    @unittest.skipIf(SANITIZE == "thread", "the sanitizer has a thread that never rests")
    def test_an_idle_server_does_nothing(self):
        for arguments in (["-j", "1"], ["-j", "2", "--balance", "handoff", "--stall-warning", "1"]):
            with self.subTest(arguments=arguments):
                server = self.serve(*arguments)
                self.wait_for_rest(server)
                for _ in range(3):
                    self.assert_serves(server)
                self.wait_for_rest(server)
                server.stop()

    def test_a_signal_that_nobody_asked_for(self):
        server = self.serve("-j", "2", "--balance", "handoff", "--stall-trace")
        for _ in range(10):
            server.send_signal(signal.SIGURG)
            self.assert_serves(server)
        server.stop()


if __name__ == "__main__":
    unittest.main()
