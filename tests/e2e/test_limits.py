#!/usr/bin/env python3
"""What the machine or the operator does not grant: the server says so, waits, and goes on."""

import re
import resource
import signal
import time
import unittest

from client import PAGE, request
from harness import ServerTest, limit_descriptors, scaled, wait_until

SHORT_OF_DESCRIPTORS = r"coreactor: cannot accept connections for now: Too many open files; [^\n]*\n"


class LimitTest(ServerTest):
    def crowd(self, server, count):
        """Clients that each have sent a request."""
        clients = [self.connect(server) for _ in range(count)]
        for client in clients:
            client.send(request())
        return clients

    def answered(self, clients):
        return [client for client in clients if not client.hears_nothing(0.001)]

    def assert_all_served_in_turn(self, clients):
        """Whoever has an answer goes and makes room, until all have had one."""
        clients = list(clients)

        def none_waits():
            for client in self.answered(clients):
                self.assertEqual(client.read().body, PAGE)
                client.close()
                clients.remove(client)
            return not clients
        wait_until(none_waits, "all clients are served")

    def assert_does_not_spin(self, server, for_s=2):
        before = server.cpu_s()
        time.sleep(for_s)
        self.assertLess(server.cpu_s() - before, for_s * 0.1)


class Descriptors(LimitTest):
    LIMIT = 64

    def serve_short(self, *arguments):
        """A server that accepts until it has no descriptor left."""
        return self.serve("--max-connections", "1000", *arguments,
                          preexec=limit_descriptors(self.LIMIT))

    def wait_until_short(self, server):
        wait_until(lambda: server.descriptors() == self.LIMIT, "every descriptor is in use")
        wait_until(server.stderr, "it says so")

    def warnings(self, since, threads=1):
        """A pattern for as many as there may be: at once, and another every 10 seconds."""
        rounds = 1 + int((time.monotonic() - since) / 9)
        return f"({SHORT_OF_DESCRIPTORS}){{1,{rounds * threads}}}"

    def test_it_waits_and_goes_on(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                began = time.monotonic()
                server = self.serve_short("-j", str(threads))
                clients = self.crowd(server, 120)
                self.wait_until_short(server)
                self.assert_does_not_spin(server)
                self.assertRegex(server.stderr(), rf"\A{self.warnings(began, threads)}\Z")
                self.assertLess(len(self.answered(clients)), self.LIMIT)
                self.assert_all_served_in_turn(clients)
                self.assert_serves(server)
                answered, _ = server.stop(stderr=self.warnings(began, threads))
                self.assertEqual(answered, 121)

    def test_those_that_are_in_are_served_meanwhile(self):
        began = time.monotonic()
        server = self.serve_short("-j", "1")
        clients = self.crowd(server, 100)
        self.wait_until_short(server)
        inside = self.answered(clients)
        self.assertGreater(len(inside), 30)
        for client in inside:
            for _ in range(10):
                self.assertEqual(client.read().body, PAGE)
                client.send(request())
        server.stop(stderr=self.warnings(began))

    def test_a_drain_serves_those_that_wait(self):
        began = time.monotonic()
        server = self.serve_short("-j", "2", "--drain-timeout", "50")
        clients = self.crowd(server, 100)
        self.wait_until_short(server)
        server.send_signal(signal.SIGTERM)
        self.assert_all_served_in_turn(clients)
        answered, _ = server.stop(number=None, stderr=self.warnings(began, threads=2))
        self.assertEqual(answered, 100)

    def test_the_default_of_max_connections_leaves_room(self):
        limit = 100
        server = self.serve("-j", "2", preexec=limit_descriptors(limit))
        clients = self.crowd(server, 150)
        wait_until(lambda: len(self.answered(clients)) > limit // 2, "it serves half as many")
        self.assert_does_not_spin(server)
        self.assertLess(server.descriptors(), limit)
        self.assert_all_served_in_turn(clients)

    def test_the_limit_is_raised_as_far_as_it_goes(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        hard = 3000 if hard == resource.RLIM_INFINITY else min(hard, 3000)
        server = self.serve("-j", "1", preexec=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (200, hard)))
        with open(f"/proc/{server.pid}/limits", encoding="ascii") as file:
            limits = re.search(r"^Max open files +(\d+) +(\d+)", file.read(), re.M)
        self.assertEqual((int(limits[1]), int(limits[2])), (hard, hard))
        clients = self.crowd(server, min(400, hard - 100))
        for client in clients:
            self.assertEqual(client.read().body, PAGE)


class MaxConnections(LimitTest):
    def test_further_clients_wait(self):
        for threads in (1, 2, 8):
            with self.subTest(threads=threads):
                # Who waits for an answer of theirs is not closed for others, as the idle are.
                server = self.serve("-j", str(threads), "--max-connections", "4",
                                    "--header-timeout", "0")
                unused = server.descriptors()
                clients = [self.connect(server) for _ in range(12)]
                for client in clients:
                    client.send(request() + request()[:-1])
                wait_until(lambda c=clients: len(self.answered(c)) == 4, "four are served")
                self.assert_does_not_spin(server, for_s=2)
                inside = self.answered(clients)
                self.assertEqual(len(inside), 4)
                self.assertEqual(server.descriptors(), unused + 4)
                # One goes, one comes.
                inside[0].close()
                clients.remove(inside[0])
                wait_until(lambda c=clients: len(self.answered(c)) == 4, "another one is served")
                for client in inside[1:]:
                    client.send(b"\n")
                    for _ in range(2):
                        self.assertEqual(client.read().body, PAGE)
                    client.close()
                    clients.remove(client)
                self.assert_all_served_in_turn(clients)
                self.assertEqual(server.stop(), (12 + 3, 12))

    def test_a_waiting_client_may_give_up(self):
        server = self.serve("-j", "1", "--max-connections", "1")
        holder = self.connect(server)
        self.assertEqual(holder.get().status, 200)
        for give_up in ("close", "reset") * 3:
            client = server.client()
            client.send(request())
            getattr(client, give_up)()
        waiting = self.connect(server)
        waiting.send(request())
        holder.close()
        self.assertEqual(waiting.read().body, PAGE)
        waiting.close()
        self.assert_serves(server)

    def test_one_place_is_enough_for_many(self):
        server = self.serve("-j", "4", "--max-connections", "1")
        count = scaled(60, 30)
        self.assert_all_served_in_turn(self.crowd(server, count))
        self.assertEqual(server.stop(), (count, count))

    def test_reset_and_refused_connections_give_their_place_back(self):
        server = self.serve("-j", "2", "--max-connections", "3")
        for _ in range(20):
            client = server.client()
            client.send(request() * 3)
            client.reset()
            with server.client() as client:
                client.send(b"nonsense\r\n\r\n")
                self.assertEqual(client.read().status, 400)
        clients = self.crowd(server, 3)
        for client in clients:
            self.assertEqual(client.read().body, PAGE)


if __name__ == "__main__":
    unittest.main()
