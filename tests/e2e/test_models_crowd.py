#!/usr/bin/env python3
"""How every model of bench/models takes crowds, bad manners and signals."""

import contextlib
import signal
import socket
import subprocess
import unittest

from client import PAGE, PATIENCE_S, request
from harness import in_child, raise_descriptor_limit, scaled, wait_until
from models import ModelTest, Service, for_each_model, program, quick_to_end, session

CROWD = 1000
BEYOND = 1200  # more than a set of select(2) has room for
# What the library says at the end of a drain, which its models have.
CUT_OFF = (r"(\n\(\S+:\d+\): coreactor-WARNING \*\*: [\d:.]+: "
           r"the drain's time was over: \d+ connections were cut off\n)*")

service = None


def setUpModule():
    global service
    service = Service()
    unittest.addModuleCleanup(service.finish)
    raise_descriptor_limit(4096)


class Crowds:
    NOT_ASKED = {"goroutine": {
        "bad_options": "Go's flags explain themselves in many lines",
    }}

    def setUp(self):
        super().setUp()
        service.holding = False

    def crowd(self):
        """How many are a crowd: a process for each, with a sanitizer's memory, is too much for a machine."""
        return scaled(CROWD, 60) if self.MODEL == "cgi" else scaled(CROWD, 300)

    def clients(self, model, count):
        return [self.connect(model) for _ in range(count)]

    def close_all(self, clients):
        for client in clients:
            client.close()

    def assert_holds_nothing(self, model, sockets):
        wait_until(lambda: model.sockets() <= sockets + len(service.connections), "no connection is left open")

    # --- crowds ---

    def test_crowd(self):
        """At once where the model can; else some after others, and nobody is forgotten."""
        model = self.start(service.port.number)
        sockets = self.sockets(model)
        clients = self.clients(model, self.crowd())
        rounds = 1 if self.traits.at_once or self.traits.requests_max == 1 else 2
        for number in range(rounds):
            last = ["Connection: close"] if number == rounds - 1 else []
            for client in clients:
                client.send(request("GET", "/fast", *last))
            for client in clients:
                self.assertEqual(client.read().body, PAGE)
                if last:
                    client.expect_end()
                    client.close()  # a pool's worker waits for that
        self.assert_serves(model)
        self.assert_holds_nothing(model, sockets)

    def test_crowd_that_waits(self):
        model = self.start(service.port.number)
        clients = self.clients(model, self.crowd() // 5)
        for client in clients:
            client.send(request("GET", "/wait", "Connection: close"))
        for client in clients:
            self.assertEqual(client.read().body, b"waited\n")
            client.close()

    def test_more_than_it_has_room_for(self):
        if not self.traits.connections_max:
            self.skipTest("it has no limit of its own")
        model = self.start(service.port.number)
        sockets = self.sockets(model)
        answered, refused = [], 0
        for client in self.clients(model, BEYOND):
            client.socket.settimeout(0.5 if answered and refused > 10 else PATIENCE_S)
            try:
                client.send(request("GET", "/fast"))
                self.assertEqual(client.read().body, PAGE)
                answered.append(client)
            except (AssertionError, OSError):
                refused += 1
                client.close()
        self.assertGreaterEqual(len(answered), self.traits.connections_max * 9 // 10)
        self.assertLess(len(answered), 1024)
        for client in answered:
            self.assertEqual(client.get("/fast").body, PAGE)
        self.close_all(answered)
        wait_until(lambda: model.sockets() <= sockets, "no connection is left open")
        self.assert_serves(model)
        model.stop(stderr=f"{self.MODEL}: [^\n]+\n")  # it may say once why it refuses

    # --- bad manners ---

    def test_resets(self):
        """Of clients that have sent nothing, half a request, one, many, and a part of a body."""
        model = self.start(service.port.number)
        sockets = self.sockets(model)
        one = request("GET", "/fast")
        for data in (b"", one[:-3], one, one * 1000, request("GET", "/work"), request("GET", "/wait") * 5,
                     request("POST", "/fast", "Content-Length: 100") + b"x", b"rubbish\r\n\r\n"):
            clients = self.clients(model, 20)
            for client in clients:
                with contextlib.suppress(ConnectionError):  # refused, and closed, already
                    client.send(data)
            for client in clients:
                client.reset()
            self.assert_serves(model)
        self.assert_holds_nothing(model, sockets)

    def test_resets_amid_answers(self):
        model = self.start(service.port.number)
        sockets = self.sockets(model)
        for client in [self.connect(model, receive_buffer=4096) for _ in range(8)]:
            client.socket.settimeout(0.1)
            with contextlib.suppress(TimeoutError, ConnectionError):
                client.send(request("GET", "/fast") * 20_000)
            client.reset()
        self.assert_serves(model)
        self.assert_holds_nothing(model, sockets)

    # --- ends ---

    def ended_by(self, model):
        """Clients of all kinds that a server may have when it is told to end; some are answered already."""
        service.hold()
        fast, wait = request("GET", "/fast"), request("GET", "/wait")
        clients = self.clients(model, 50)
        for number, client in enumerate(clients):
            client.send((b"", fast, fast[:20], wait, wait + fast)[number % 5])
        if not self.traits.at_once:
            for client in clients[1::5]:
                self.assertEqual(client.read().body, PAGE)
            wait_until(lambda: len(service.held) >= 20, "requests are under way")
        return clients

    def test_signals_to_end(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            model = self.start(service.port.number)
            clients = self.ended_by(model)
            model.stop(number, stderr=CUT_OFF)
            service.let_go()
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    while client.socket.recv(65536):
                        pass
            self.close_all(clients)
            wait_until(lambda: not service.held and not service.connections, "the service is left alone")

    def test_the_port_is_free_again(self):
        model = self.start(service.port.number)
        with model.client() as client:
            self.assertEqual(client.get("/fast").body, PAGE)
            model.stop()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(model.address)
            other.listen()

    def test_killed_parent_leaves_no_child(self):
        model = self.start(service.port.number)
        clients = self.ended_by(model)
        model.kill()
        model.checked = True
        service.let_go()
        wait_until(lambda: not session(model.pid), "its children have ended too")
        model.wait_for_port()
        self.close_all(clients)

    def refuses_to_start(self, *options):
        """The status and what it says."""
        done = subprocess.run([program(self.MODEL), *map(str, options)], stdin=subprocess.DEVNULL,
                              capture_output=True, env=quick_to_end(), preexec_fn=in_child(None),
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(done.stdout, b"")
        return done.returncode, done.stderr.decode()

    def test_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            status, said = self.refuses_to_start("--port", other.getsockname()[1])
        self.assertEqual(status, 1)
        self.assertRegex(said, r"\A[^\n]+\n\Z")

    def test_bad_options(self):
        for options in (["--port", "0"], ["--port", "65536"], ["--threads", "x"], ["--pool", "-1"], ["--nonsense"],
                        ["word"], ["--port"]):
            status, said = self.refuses_to_start(*options)
            self.assertEqual((options, status), (options, 2))
            self.assertRegex(said, r"\A[^\n]+\n\Z")


globals().update(for_each_model(Crowds, ModelTest))

if __name__ == "__main__":
    unittest.main()
