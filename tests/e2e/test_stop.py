#!/usr/bin/env python3
"""The end has bounds: time-outs, second signals, --duration."""

import signal
import subprocess
import time
import unittest

from client import request
from harness import Finished, ServerTest, wait_until


class Bounds(ServerTest):
    def stuck(self, server):
        client = self.connect(server)
        client.send(request() + request()[:-1])
        self.assertEqual(client.read().status, 200)
        return client

    def test_the_time_out_cuts_off_the_stuck(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), "--drain-timeout", "2")
                clients = [self.stuck(server) for _ in range(3)]
                began = time.monotonic()
                server.stop(stderr=r"coreactor: .*\b3 connections were cut off\n")
                took_s = time.monotonic() - began
                self.assertGreater(took_s, 1.9)
                self.assertLess(took_s, 9)  # 10 is the default
                for client in clients:
                    with self.assertRaises((AssertionError, ConnectionError)):
                        client.read()

    def test_a_reader_that_has_stopped_is_cut_off_too(self):
        server = self.serve("-j", "1", "--drain-timeout", "1")
        client = self.connect(server, receive_buffer=4096)
        client.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            client.send(request() * 400_000)
        server.stop(stderr=r"coreactor: .*\b1 connections? (was|were) cut off\n")

    def test_no_time_at_all(self):
        server = self.serve("-j", "2", "--drain-timeout", "0")
        self.stuck(server)
        server.stop(stderr=r"coreactor: .*\b1 connections? (was|were) cut off\n", patience_s=20)

    def test_a_second_signal_ends_it_at_once(self):
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT),
                              (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            with self.subTest(first=first, second=second):
                server = self.serve("-j", "2", "--drain-timeout", "1000")
                self.stuck(server)
                server.send_signal(first)

                def is_gone(server=server, second=second):
                    # Signals that come before the first was looked at count as one with it.
                    time.sleep(0.1)
                    server.send_signal(second)
                    return server.process.poll() is not None
                wait_until(is_gone, "it has gone")
                server.stop(number=None, status=-second)

    def test_a_signal_right_after_the_start(self):
        for number in (signal.SIGTERM, signal.SIGINT) * 3:
            server = self.serve("-j", "4")
            self.assertEqual(server.stop(number), (0, 0))


class Duration(ServerTest):
    def test_ends_by_itself(self):
        began = time.monotonic()
        server = self.serve("-j", "2", "--duration", "1")
        idle = self.connect(server)
        self.assertEqual(idle.get().status, 200)
        self.assertEqual(server.stop(number=None), (1, 1))
        self.assertGreater(time.monotonic() - began, 1)
        idle.expect_end()

    def test_finishes_requests_in_flight(self):
        server = self.serve("-j", "2", "-d", "1", "--drain-timeout", "50")
        client = self.connect(server)
        client.send(request()[:-1])
        time.sleep(2)
        client.send(request()[-1:])
        self.assertTrue(client.read().closes)
        client.expect_end()
        server.stop(number=None)

    def test_a_signal_comes_first(self):
        server = self.serve("-j", "2", "-d", "1000")
        self.assert_serves(server)
        server.stop()

    def test_may_be_long(self):
        # In milliseconds that is nearly all that 32 bits hold; more would wrap and end it early.
        server = self.serve("-j", "1", "-d", "4000000")
        with self.assertRaises(subprocess.TimeoutExpired):
            server.process.wait(2)
        self.assertEqual(Finished("-d", "4294968").status, 2)


if __name__ == "__main__":
    unittest.main()
