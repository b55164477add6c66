#!/usr/bin/env python3
"""Which reactor gets a connection: hash, least, handoff, what `auto` makes of it, and connections that move.

COREACTOR_MOVING_SERVER is a program whose reactors its clients keep busy (moving_server.c)."""

import collections
import ctypes
import functools
import os
import random
import signal
import socket
import struct
import threading
import unittest

from admin import AdminTest
from client import PAGE, request
from harness import ROOT, Server, ServerTest, finish, have_ipv6, scaled, together, wait_until

MOVING = os.environ.get("COREACTOR_MOVING_SERVER") or ROOT + "/build/release/tests/moving_server"
MODES = ("hash", "least", "handoff")
NOT_PERMITTED = (r"coreactor: connections are balanced by hand-off, not in the kernel: eBPF is not permitted \(it "
                 r"takes root or CAP_BPF\); --balance handoff asks for that\n")
NOT_BUILT = NOT_PERMITTED.replace(r"eBPF is not permitted \(it takes root or CAP_BPF\)", "built without libbpf")

CAP_SYS_ADMIN, CAP_BPF = 21, 39
PR_CAPBSET_DROP = 24
ATTEMPTS = 3  # a reactor that the machine leaves no time seems to work, which weighs: then it gets less


@functools.cache
def least_works():
    server = Server("-j", "2", "--balance", "least")
    try:
        server.stop(stderr=f"({NOT_PERMITTED}|{NOT_BUILT})?")
        return not server.stderr()
    finally:
        finish(server)


def drop_capabilities():
    """For preexec: without what it takes to load a program, where this user could. Others must stay."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_BPF, CAP_SYS_ADMIN):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def send_syns(client, address, count):
    """Begins so many connections from the address `client`, which knows nothing of them. Skips the test where
    this is not permitted."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except PermissionError:
        raise unittest.SkipTest("raw sockets are not permitted") from None
    with raw:
        raw.bind((client, 0))
        for port in range(1024, 1024 + count):
            header = struct.pack("!HHIIBBHHH", port, address[1], 1, 0, 5 << 4, 0x02, 1024, 0, 0)
            pseudo = socket.inet_aton(client) + socket.inet_aton(address[0]) + struct.pack("!HH", 6, len(header))
            header = header[:16] + struct.pack("!H", checksum(pseudo + header)) + header[18:]
            raw.sendto(header, address)


class Churn:
    """Connections of one client thread: short ones among long ones that close at random."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.long = []
        self.requests = 0
        self.connections = 0

    def open(self):
        self.connections += 1
        return self.server.client()

    def ask(self, client, count):
        client.send(request() * count)
        for _ in range(count):
            if client.read().body != PAGE:
                raise AssertionError("not the page")
        self.requests += count

    def close(self, client):
        how = self.random.choice((client.close, client.reset, client.close))
        if self.random.random() < 0.2:
            client.send(b"GET / HT")
        how()

    def step(self):
        chance = self.random.random()
        if chance < 0.2:
            self.long.append(self.open())
            self.ask(self.long[-1], 1)
        elif chance < 0.4 and self.long:
            self.close(self.long.pop(self.random.randrange(len(self.long))))
        elif chance < 0.6 and self.long:
            self.ask(self.random.choice(self.long), 2)
        else:
            client = self.open()
            if chance < 0.9:
                self.ask(client, self.random.randint(1, 3))
            self.close(client)

    def run(self, steps):
        for _ in range(steps):
            self.step()

    def end(self):
        while self.long:
            self.close(self.long.pop())


class BalanceTest(ServerTest):
    def serve_with(self, mode, threads, *arguments, **options):
        if mode == "least" and not least_works():
            self.skipTest("eBPF is not permitted")
        return self.serve("-j", str(threads), "--balance", mode, *arguments, **options)

    def wait_until_empty(self, server):
        wait_until(lambda: not any(server.spread()), "all connections are closed")

    def open_clients(self, server, count):
        clients = []
        for i in range(count):
            clients.append(self.connect(server, address=server.addresses[i % len(server.addresses)]))
            self.assertEqual(clients[-1].get().body, PAGE)
        return clients

    def assert_even(self, server, count):
        """So many connections, one after the other, are spread evenly. Returns how many it opened in all."""
        spreads = []
        for attempt in range(1, ATTEMPTS + 1):
            clients = self.open_clients(server, count)
            spreads.append(server.spread())
            self.assertEqual(sum(spreads[-1]), count)
            for client in clients:
                client.close()
            self.wait_until_empty(server)
            if spreads[-1][0] - spreads[-1][-1] <= 1:
                return attempt * count
        raise AssertionError(f"not even: {spreads}")


class Modes(BalanceTest):
    def check_answers(self, mode):
        servers = [self.serve_with(mode, threads) for threads in (1, 2, 4, 8, 16)]
        for server in servers:
            clients = self.open_clients(server, 20)
            for client in clients:
                self.assertEqual(client.get().body, PAGE)
                client.close()
            server.send_signal(signal.SIGTERM)
        for server in servers:
            self.assertEqual(server.stop(number=None), (40, 20))

    def test_hash_answers(self):
        self.check_answers("hash")

    def test_least_answers(self):
        self.check_answers("least")

    def test_handoff_answers(self):
        self.check_answers("handoff")

    def test_spread(self):
        for mode in ("least", "handoff"):
            for threads in (2, 3, 8, 16):
                with self.subTest(mode=mode, threads=threads):
                    self.assert_even(self.serve_with(mode, threads), 50)

    def test_many_reactors(self):
        server = self.serve_with("least", 256)
        self.assert_even(server, 300)

    @unittest.skipUnless(have_ipv6(), "no IPv6")
    def test_addresses_share_the_loads(self):
        for mode in ("least", "handoff"):
            with self.subTest(mode=mode):
                server = self.serve_with(mode, 8, listen=("127.0.0.1:0", "[::1]:0", "127.0.0.1:0"))
                self.assert_even(server, 60)

    def test_auto_is_least_where_that_works(self):
        if not least_works():
            self.skipTest("eBPF is not permitted")
        server = self.serve("-j", "4", "--balance", "auto")
        self.assert_even(server, 21)
        server.stop()


class Coming(BalanceTest):
    """Clients that come and go."""

    def check_churn(self, mode):
        server = self.serve_with(mode, 4)
        churns = [Churn(server, seed) for seed in range(4)]
        together(*(functools.partial(churn.run, scaled(200, 100)) for churn in churns))
        left = sum(len(churn.long) for churn in churns)
        wait_until(lambda: sum(server.spread()) == left, "the short ones are closed")
        for churn in churns:
            churn.end()
        self.wait_until_empty(server)
        later = 0 if mode == "hash" else self.assert_even(server, 22)
        requests = sum(churn.requests for churn in churns)
        connections = sum(churn.connections for churn in churns)
        self.assertEqual(server.stop(), (requests + later, connections + later))

    def test_churn_with_hash(self):
        self.check_churn("hash")

    def test_churn_with_least(self):
        self.check_churn("least")

    def test_churn_with_handoff(self):
        self.check_churn("handoff")


class HalfOpen(BalanceTest, AdminTest):
    """Clients that begin a handshake and never end it."""

    def wait_until_given_up(self, server, client):
        """What is on its way weighs nothing any more. Returns how often the client asked meanwhile, so that the
        server does not rest."""
        asked = 0

        def is_given_up():
            nonlocal asked
            self.assertEqual(client.get().status, 200)
            asked += 1
            return not self.scrape(server).by("reactor", "coreactor_load", part="pending")
        wait_until(is_given_up, "nothing is on its way any more")
        return asked

    def test_half_a_handshake(self):
        for mode in ("least", "handoff"):
            with self.subTest(mode=mode):
                server = self.serve_with(mode, 4, "--admin", "127.0.0.1:0")
                for _ in range(3):
                    send_syns("127.9.9.9", server.address, 50)
                    self.assert_serves(server)
                client = self.connect(server)
                asked = self.wait_until_given_up(server, client)
                client.close()
                self.wait_until_empty(server)
                later = self.assert_even(server, 41)
                self.assertEqual(server.stop(), (later + 3 + asked, later + 4))


class Worker:
    """A client that always has something to ask for, one or several at once."""

    def __init__(self, client, name):
        self.client = client
        self.random = random.Random(name)
        self.name = name
        self.asked = 0
        self.thread = None  # that answered it last

    def ask(self, count=1):
        words = [f"{self.name}-{self.asked + i}" for i in range(count)]
        self.client.send(b"".join(request(target="/work?" + word) for word in words))
        self.asked += count
        for word in words:
            answer, self.thread = self.client.read().body.decode().split(" ")
            if answer != word:
                raise AssertionError(f"{answer} instead of {word}")

    def run_until(self, event):
        while not event.is_set():
            self.ask(self.random.randint(1, 3))


@unittest.skipUnless(os.path.exists(MOVING), "the program that is busy is not built")
class Moving(AdminTest):
    """Connections that leave a reactor which is busy."""

    def workers(self, server, count):
        """So many on each of two reactors, at least."""
        workers = []
        by_thread = collections.Counter()
        while len(by_thread) < 2 or min(by_thread.values()) < count:
            workers.append(Worker(self.connect(server), len(workers)))
            workers[-1].ask()
            by_thread[workers[-1].thread] += 1
        return workers

    def work_until_moved(self, server, workers):
        """Those of one reactor keep it busy until one of them is answered by another."""
        before = [worker.thread for worker in workers]
        moved = threading.Event()

        def watch():
            try:
                wait_until(lambda: before != [worker.thread for worker in workers], "a connection has moved")
            finally:
                moved.set()
        together(watch, *(functools.partial(worker.run_until, moved) for worker in workers))

    def test_those_of_a_busy_reactor(self):
        server = Server("2", "--admin", "127.0.0.1:0", program=MOVING)
        self.addCleanup(finish, server)
        workers = self.workers(server, 8)
        thread = workers[0].thread
        for _ in range(2):
            self.work_until_moved(server, [worker for worker in workers if worker.thread == thread])
        scrape = self.scrape(server)
        kinds = scrape.by("kind", "coreactor_handoffs_total")
        self.assertGreaterEqual(kinds["moved"], 2)
        self.assertEqual(kinds["taken_over"], kinds["moved"] + kinds.get("new", 0))
        self.assertEqual(scrape.sum("coreactor_load", part="open"), len(workers))
        self.assertEqual(server.stop(), (sum(worker.asked for worker in workers), len(workers)))


class Restart(BalanceTest):
    def test_the_same_port(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                server = self.serve_with(mode, 4)
                where = f"127.0.0.1:{server.address[1]}"
                self.open_clients(server, 3)
                server.stop()
                server = self.serve_with(mode, 4, listen=(where,))
                self.open_clients(server, 3)
                server.kill()
                server.checked = True
                server = self.serve_with(mode, 4, listen=(where,))
                self.assert_serves(server)
                self.assertEqual(server.stop(), (1, 1))


class Privileges(BalanceTest):
    def test_without(self):
        for arguments in ((), ("--balance", "auto"), ("--balance", "least")):
            with self.subTest(arguments=arguments):
                server = self.serve("-j", "4", *arguments, preexec=drop_capabilities)
                later = self.assert_even(server, 26)
                stderr = f"{NOT_PERMITTED}|{NOT_BUILT}" if arguments else ""
                self.assertEqual(server.stop(stderr=stderr), (later, later))

    def test_what_needs_none_says_nothing(self):
        for arguments in (("-j", "1", "--balance", "auto"), ("-j", "4", "--balance", "hash"),
                          ("-j", "4", "--balance", "handoff")):
            with self.subTest(arguments=arguments):
                server = self.serve(*arguments, preexec=drop_capabilities)
                self.assert_serves(server)
                self.assertEqual(server.stop(), (1, 1))


if __name__ == "__main__":
    unittest.main()
