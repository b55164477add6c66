#!/usr/bin/env python3
"""Draining at its edges: bodies, empty lines, other signals, clients that never were accepted."""

import signal
import socket
import time
import unittest

from client import request
from harness import ServerTest, blocked_signals, wait_until


class DrainEdges(ServerTest):
    def draining(self, *options):
        """A server, a client that it has answered once, and the drain begun."""
        server = self.serve("-j", "2", "--drain-timeout", "50", *options)
        client = self.connect(server)
        self.assertFalse(client.get().closes)
        self.begin(server)
        return server, client

    def begin(self, server):
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.blocks_sigterm(server), "the drain begins")

    def blocks_sigterm(self, server):
        return all(mask >> signal.SIGTERM - 1 & 1 for mask in blocked_signals(server.pid))

    def test_a_request_with_its_body_is_the_last(self):
        server, client = self.draining()
        client.send(request("POST", "/", body=b"x" * 100))
        response = client.read()
        self.assertEqual(response.status, 405)
        self.assertTrue(response.closes)
        client.expect_end()
        client.close()
        server.stop(number=None)

    def test_a_slow_body_is_taken_to_its_end(self):
        """Longer than the two seconds that a connection lingers for."""
        server = self.serve("-j", "1")
        client = self.connect(server)
        client.send(request("POST", "/", "Content-Length: 30", "Connection: close"))
        for _ in range(30):
            time.sleep(0.1)
            client.send(b"x")
        response = client.read()
        self.assertEqual(response.status, 405)
        self.assertTrue(response.closes)
        client.expect_end()

    def test_an_empty_line_after_a_body_is_no_request(self):
        server = self.serve("-j", "1", "--drain-timeout", "50")
        client = self.connect(server)
        client.send(request("POST", "/", body=b"a=1") + b"\r\n")
        self.assertEqual(client.read().status, 405)
        began = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - began, 25)

    def test_urgent_data_does_not_stall_a_connection(self):
        server = self.serve("-j", "1", "--drain-timeout", "50")
        client = self.connect(server)
        whole = request()
        client.send(whole[:10])
        client.socket.send(b"!", socket.MSG_OOB)
        client.send(whole[10:])
        self.assertEqual(client.read().status, 200)

    def test_a_signal_while_a_duration_drains_ends_it(self):
        server = self.serve("-j", "2", "--duration", "1", "--drain-timeout", "1000")
        stuck = [self.connect(server) for _ in range(8)]  # on either thread
        for client in stuck:
            client.send(request()[:10])
        wait_until(lambda: not self.blocks_sigterm(server), "the drain begins")
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: server.process.poll() is not None, "it has gone")
        server.stop(number=None, status=-signal.SIGTERM)

    def test_clients_left_waiting_are_reported(self):
        server = self.serve("-j", "1", "--max-connections", "1", "--drain-timeout", "1")
        holder = self.connect(server)
        holder.send(request()[:10])
        waiting = self.connect(server)
        waiting.send(request())
        server.stop(stderr=r"(?s)coreactor: .*1 connection was cut off\n"
                           r"coreactor: .*clients still waited to be accepted\n")


if __name__ == "__main__":
    unittest.main()
