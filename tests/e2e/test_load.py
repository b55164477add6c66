#!/usr/bin/env python3
"""Many clients at a time: all are served, and an idle one costs next to nothing."""

import re
import shutil
import subprocess
import unittest

from client import PAGE, request
from harness import SANITIZE, ServerTest, raise_descriptor_limit, scaled

SPARE_DESCRIPTORS = 100


class Crowds(ServerTest):
    def connect_many(self, server, wanted):
        """Open connections, as many as wanted and as descriptors allow. All are at the test's end."""
        allowed = raise_descriptor_limit(wanted + SPARE_DESCRIPTORS) - SPARE_DESCRIPTORS
        if allowed < wanted:
            self.skipTest(f"{wanted} connections need a higher limit of descriptors (ulimit -Hn)")
        return [self.connect(server) for _ in range(wanted)]

    def assert_all_served(self, clients):
        for client in clients:
            client.send(request())
        for client in clients:
            self.assertEqual(client.read().body, PAGE)

    def test_two_thousand_connections_at_a_time(self):
        count = scaled(2000, 500)
        for threads in (1, 4):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads))
                clients = self.connect_many(server, count)
                for _ in range(3):
                    self.assert_all_served(clients)
                for client in clients:
                    client.close()
                self.assertEqual(server.stop(), (3 * count, count))

    @unittest.skipIf(SANITIZE, "a sanitizer's allocator is not what people run with")
    def test_an_idle_connection_costs_at_most_400_bytes(self):
        count = 5000
        server = self.serve("-j", "1")
        # What is allocated once must not be counted. One page is as fine as this can be measured:
        # less than a byte for each of so many.
        self.assert_serves(server)
        before = server.anonymous_bytes()
        clients = self.connect_many(server, count)
        self.assert_all_served(clients)
        each = (server.anonymous_bytes() - before) / count
        print(f"an idle connection costs {each:.0f} bytes", flush=True)
        self.assertLessEqual(each, 400)
        # And they are connections in good order, not forgotten ones.
        self.assert_all_served(clients)
        # They keep no buffer after longer business either: unfinished heads, bodies, long pipelines.
        for client in clients[:500]:
            client.send(request("GET", "/", "X: " + "y" * 4000)[:-1])
        for client in clients[500:]:
            client.send(request("POST", "/", body=b"x" * 5000))
            self.assertEqual(client.read().status, 405)
        for client in clients[:500]:
            client.send(b"\n")
            self.assertEqual(client.read().body, PAGE)
        peak_each = (server.anonymous_bytes() - before) / count
        # The allocator keeps what 500 heads took; it must not be more than that.
        self.assertLessEqual(peak_each, 400 + 500 * 4200 / count)

    def test_connections_that_come_and_go(self):
        server = self.serve("-j", "2")
        unused = server.descriptors()
        count = scaled(3000, 1000)
        for _ in range(count):
            with server.client() as client:
                self.assertEqual(client.get("/", "Connection: close").status, 200)
                client.expect_end()
        self.assertEqual(server.descriptors(), unused)
        self.assertEqual(server.stop(), (count, count))


@unittest.skipUnless(shutil.which("wrk"), "wrk is not installed")
class Wrk(ServerTest):
    """The load generator of the article: at its end it closes all connections amid their requests."""

    def run_wrk(self, server, *arguments):
        result = subprocess.run(
            ["wrk", "-t2", "-d2s", *arguments, server.url + "/"],
            capture_output=True, text=True, timeout=60, check=True)
        self.assertNotIn("Socket errors", result.stdout)
        self.assertNotIn("Non-2xx", result.stdout)
        return int(re.search(r"(\d+) requests in", result.stdout)[1])

    def test_the_server_outlives_wrk(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads))
                requests = self.run_wrk(server, "-c100")
                self.assertGreater(requests, 100)
                requests += self.run_wrk(server, "-c10", "-H", "Connection: close")
                self.assert_serves(server)
                answered, _ = server.stop()
                self.assertGreaterEqual(answered, requests)


if __name__ == "__main__":
    unittest.main()
