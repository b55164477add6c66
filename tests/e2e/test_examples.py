#!/usr/bin/env python3
"""The programs of examples/: bodies that stream through in constant memory, answers that come later, and
the endpoints of a benchmark.

COREACTOR_EXAMPLES is the folder of the programs."""

import hashlib
import os
import select
import signal
import threading
import time
import unittest

from client import PATIENCE_S, request
from harness import ROOT, SANITIZE, Server, ServerTest, finish, scaled, together, wait_until
from test_smuggling import BAD_CHUNKS, CHUNKED, HIDDEN, byte_by_byte, halved, post, send, whole

EXAMPLES = os.environ.get("COREACTOR_EXAMPLES") or ROOT + "/build/release/examples"
MIB = 1 << 20
GROWTH_MAX = 4 * MIB  # of memory, while any number of bytes passes through
WINDOW_S = 5  # over which a rate is judged
STREAM = "Transfer-Encoding: chunked"


def pattern(number):
    """A MiB that is like no other."""
    return hashlib.sha256(b"%d" % number).digest() * (MIB // 32)


def heard(clients):
    """Those that have something to read."""
    poll = select.poll()
    by_descriptor = {client.socket.fileno(): client for client in clients}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return {by_descriptor[descriptor] for descriptor, _ in poll.poll(0)}


@unittest.skipUnless(os.path.exists(f"{EXAMPLES}/arena"), "the examples are not built")
class ExampleTest(ServerTest):
    NAME = ""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(program=f"{EXAMPLES}/{cls.NAME}")
        cls.addClassCleanup(finish, cls.server)

    def serve_anew(self):
        return self.serve(program=f"{EXAMPLES}/{self.NAME}")

    def client(self, **options):
        return self.connect(self.server, **options)

    def send_stream(self, client, target, count, chunked=True):
        """`count` MiB; returns their digest."""
        digest = hashlib.sha256()
        client.send(request("POST", target, STREAM if chunked else f"Content-Length: {count * MIB}"))
        for number in range(count):
            piece = pattern(number)
            digest.update(piece)
            client.send(b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece)
        if chunked:
            client.send(b"0\r\n\r\n")
        return digest.hexdigest()

    def assert_memory_stays(self, before):
        if not SANITIZE:  # whose allocators keep what was freed
            self.assertLess(self.server.anonymous_bytes() - before, GROWTH_MAX)


class Echo(ExampleTest):
    NAME = "echo"

    def read_echo(self, client):
        response = client.read_head()
        self.assertEqual((response.status, response["transfer-encoding"]), (200, "chunked"))
        self.assertIsNone(response["content-length"])
        return client.read_chunks()

    def echo(self, client, *arguments):
        client.send(*arguments)
        return b"".join(self.read_echo(client))

    def test_small_ones(self):
        client = self.client()
        for body in (b"x", b"hello", bytes(range(256)), b"x" * 100_000):
            self.assertEqual(self.echo(client, request("POST", "/", body=body)), body)
            chunked = b"".join(b"%x;a=b\r\n%b\r\n" % (len(body[at:at + 999]), body[at:at + 999])
                               for at in range(0, len(body), 999)) + b"0\r\nX: y\r\n\r\n"
            self.assertEqual(self.echo(client, request("PUT", "/", STREAM) + chunked), body)
        self.assertEqual(self.echo(client, request("POST", "/", "Content-Length: 0")), b"")
        self.assertEqual(self.echo(client, request("POST", "/", STREAM) + b"0\r\n\r\n"), b"")

    def test_pieces_come_back_as_they_come(self):
        client = self.client()
        client.send(request("POST", "/", STREAM))
        pieces = self.read_echo(client)
        for piece in (b"a", b"bc", b"def") * 10:
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.assertEqual(next(pieces), piece)
        client.send(b"0\r\n\r\n")
        self.assertEqual(list(pieces), [])

    def test_byte_by_byte(self):
        client = self.client()
        sent = request("POST", "/", STREAM) + b'5;a="b"\r\nhello\r\n0006\r\n world\r\n0\r\nX: y\r\n\r\n'
        byte_by_byte(client, sent)
        self.assertEqual(b"".join(self.read_echo(client)), b"hello world")

    def test_100_mib_in_constant_memory(self):
        count = scaled(100, 20)
        for chunked in (True, False):
            with self.subTest(chunked=chunked):
                client = self.client()
                self.echo(client, request("POST", "/", body=b"x" * 300_000))
                before = self.server.anonymous_bytes()
                sent = []
                sender = threading.Thread(target=lambda c=client, how=chunked, s=sent: s.append(
                    self.send_stream(c, "/", count, how)), daemon=True)
                sender.start()
                digest, received, measured = hashlib.sha256(), 0, 0
                for piece in self.read_echo(client):
                    digest.update(piece)
                    received += len(piece)
                    if received // (10 * MIB) > measured:
                        measured += 1
                        self.assert_memory_stays(before)
                sender.join(PATIENCE_S)
                self.assertEqual((received, [digest.hexdigest()]), (count * MIB, sent))

    def test_who_does_not_read_is_not_read_from(self):
        client = self.client(receive_buffer=4096)
        before = self.server.anonymous_bytes()
        client.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            self.send_stream(client, "/", 50)
        self.assert_memory_stays(before)
        client.reset()

    def test_100_continue(self):
        for field, body in (("Content-Length: 5", b"hello"), (STREAM, b"5\r\nhello\r\n0\r\n\r\n")):
            client = self.client()
            client.send(request("POST", "/", "Expect: 100-continue", field))
            # The answer has begun before the body is asked for: it says as much as 100 would.
            client.more()
            client.send(body)
            head = client.read_head()
            if head.status == 100:
                head = client.read_head()
            self.assertEqual((head.status, b"".join(client.read_chunks())), (200, b"hello"))

    def test_a_cut_body_is_a_cut_answer(self):
        client = self.client()
        client.send(request("POST", "/", STREAM) + b"5\r\nhello\r\n")
        pieces = self.read_echo(client)
        self.assertEqual(next(pieces), b"hello")
        client.send(b"X")
        with self.assertRaises((AssertionError, ConnectionResetError)):
            next(pieces)


class Later(ExampleTest):
    NAME = "later"

    def test_after_a_while(self):
        client = self.client()
        for delay_ms in (0, 1, 200):
            began = time.monotonic()
            self.assertEqual(client.get(f"/later/{delay_ms}").body, b"%d ms later\n" % delay_ms)
            self.assertGreater(time.monotonic() - began, delay_ms / 1000 - 0.01)

    def test_in_order(self):
        client = self.client()
        delays = (100, 0, 50, 1)
        client.send(b"".join(request("GET", f"/later/{delay}") for delay in delays))
        for delay in delays:
            self.assertEqual(client.read().body, b"%d ms later\n" % delay)

    def test_others_do_not_wait(self):
        waiting = [self.client() for _ in range(100)]
        for client in waiting:
            client.send(request("GET", "/later/1000"))
        self.assertEqual(self.client().get("/later/0").body, b"0 ms later\n")
        for client in waiting:
            self.assertEqual(client.read().body, b"1000 ms later\n")

    def test_mistakes(self):
        client = self.client()
        for target, status in (("/later/x", 400), ("/later/-1", 400), ("/later/60001", 400),
                               ("/later/99999999999999999999", 400), ("/later/", 404), ("/", 404)):
            self.assertEqual(client.get(target).status, status, target)

    def test_clients_that_go_away(self):
        server = self.serve_anew()
        unused = server.descriptors()
        for how in ("close", "reset", "half_close"):
            for _ in range(20):
                client = self.connect(server)
                client.send(request("GET", "/later/60000"))
                getattr(client, how)()
        wait_until(lambda: server.descriptors() == unused, "all have gone")

    def test_a_drain_waits_for_answers(self):
        server = self.serve_anew()
        client = self.connect(server)
        client.send(request("GET", "/later/5000"))
        wait_until(lambda: not server.unread_bytes(), "it is read")
        server.send_signal(signal.SIGTERM)
        response = client.read()
        self.assertEqual((response.body, response.closes), (b"5000 ms later\n", True))
        client.expect_end()
        client.close()
        server.stop(number=None)


class Offload(ExampleTest):
    NAME = "offload"
    THREADS = 8
    QUEUE = 64  # on each reactor

    @staticmethod
    def burning_threads(server):
        """How many of the threads of lower priority have used a CPU for longer than it takes to begin."""
        def burns(task):
            with open(f"/proc/{server.pid}/task/{task}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return int(fields[16]) >= 10 and int(fields[11]) >= 10  # nice, and hundredths of a second
        return sum(burns(task) for task in os.listdir(f"/proc/{server.pid}/task"))

    def occupy(self, server):
        """Clients that keep all threads of a new server busy until they leave."""
        clients = [self.connect(server) for _ in range(self.THREADS)]
        for client in clients:
            client.send(request("GET", "/burn/60000"))
        wait_until(lambda: self.burning_threads(server) >= self.THREADS, "all threads are busy")
        return clients

    def test_answers(self):
        client = self.client()
        for method, target, body, expected in (
                ("GET", "/burn/5", b"", (200, b"burnt for 5 ms\n")), ("GET", "/sleep/5", b"", (200, b"slept for 5 ms\n")),
                ("POST", "/sum", b"\1\2\xff", (200, b"258\n")), ("POST", "/sum", b"", (200, b"0\n")),
                ("POST", "/sum", b"\1" * 500_000, (200, b"500000\n")), ("GET", "/fast", b"", (200, b"fast\n")),
                ("GET", "/burn/x", b"", (400, b"400 Bad Request\n")), ("GET", "/sum", b"", (405, b"405 Method Not Allowed\n"))):
            client.send(request(method, target, body=body))
            response = client.read()
            self.assertEqual((response.status, response.body), expected, target)
        client.send(request("HEAD", "/burn/1"))
        self.assertEqual(client.read(head=True)["content-length"], "15")

    def test_many_in_order(self):
        def converse(number):
            client = self.client()
            for round_number in range(scaled(10, 3)):
                body = b"\1" * (number + round_number)
                client.send(request("GET", "/sleep/1") + request("POST", "/sum", body=body) +
                            request("GET", "/fast") + request("POST", "/sum", STREAM) + b"1\r\n\2\r\n0\r\n\r\n" +
                            request("GET", "/burn/1"))
                for expected in (b"slept for 1 ms\n", b"%d\n" % len(body), b"fast\n", b"2\n", b"burnt for 1 ms\n"):
                    self.assertEqual(client.read().body, expected)
        together(*(lambda n=number: converse(n) for number in range(20)))

    def test_others_do_not_wait(self):
        server = self.serve_anew()
        busy = self.occupy(server)
        waiting = [self.connect(server) for _ in range(20)]
        for client in waiting:
            client.send(request("GET", "/sleep/1"))
        for _ in range(20):
            with self.connect(server) as client:
                self.assertEqual(client.get("/fast").body, b"fast\n")
        self.assertEqual(heard(waiting), set())
        for client in busy:
            client.reset()
        for client in waiting:
            self.assertEqual(client.read().body, b"slept for 1 ms\n")

    def test_a_full_queue(self):
        server = self.serve_anew()
        busy = self.occupy(server)
        too_many = 30
        waiting = [self.connect(server) for _ in range(self.QUEUE * server.reactors + too_many)]
        for client in waiting:
            client.send(request("GET", "/sleep/0"))
        wait_until(lambda: len(heard(waiting)) >= too_many, "who finds no room is told so")
        refused = heard(waiting)
        for client in refused:
            response = client.read()
            self.assertEqual((response.status, response["retry-after"]), (503, "1"))
        for client in busy:
            client.reset()
        # The reactors need not have got the same number of clients.
        statuses = [client.read().status for client in waiting if client not in refused]
        self.assertGreaterEqual(statuses.count(200), self.QUEUE)
        self.assertLessEqual(set(statuses), {200, 503})
        for client in refused:
            self.assertEqual(client.get("/sleep/0").status, 200)

    def test_clients_that_go_away(self):
        server = self.serve_anew()
        unused = server.descriptors()
        for how in ("close", "reset", "half_close"):
            for _ in range(20):
                client = self.connect(server)
                client.send(request("GET", "/burn/60000"))
                getattr(client, how)()
        wait_until(lambda: server.descriptors() == unused, "all have gone")
        self.assertEqual(self.connect(server).get("/burn/1").status, 200)

    def test_a_drain_waits_for_answers(self):
        server = self.serve_anew()
        client = self.connect(server)
        client.send(request("GET", "/sleep/5000"))
        wait_until(lambda: not server.unread_bytes(), "it is read")
        server.send_signal(signal.SIGTERM)
        response = client.read()
        self.assertEqual((response.body, response.closes), (b"slept for 5000 ms\n", True))
        client.expect_end()
        client.close()
        server.stop(number=None)

    def test_bound_reactors(self):
        """Threads that OpenMP binds to CPUs do not bind those of the pool."""
        server = self.serve(program=f"{EXAMPLES}/{self.NAME}", env={"OMP_PROC_BIND": "true"})
        masks = []
        for task in server.tasks():
            with open(f"/proc/{server.pid}/task/{task}/comm", encoding="ascii", errors="replace") as file:
                if file.read().startswith("pool"):
                    masks.append(os.sched_getaffinity(task))
        self.assertEqual(masks, [os.sched_getaffinity(0)] * self.THREADS)
        self.assertEqual(len(os.sched_getaffinity(server.pid)), 1)

    def test_an_end_without_clients(self):
        server = self.serve_anew()
        clients = self.occupy(server) + [self.connect(server) for _ in range(10)]
        for client in clients[self.THREADS:]:
            client.send(request("GET", "/sleep/1"))
        wait_until(lambda: not server.unread_bytes(), "all is read")
        server.send_signal(signal.SIGTERM)
        for client in clients:
            client.reset()
        server.stop(number=None)


class Arena(ExampleTest):
    NAME = "arena"

    def assert_number(self, response, number):
        self.assertEqual((response.status, response.body), (200, b"%d" % number))
        self.assertEqual(response["content-type"].split(";")[0], "text/plain")

    def test_sums(self):
        client = self.client()
        for query, number in (("a=13&b=42", 55), ("a=-13&b=42", 29), ("b=-1&a=-2", -3), ("a=0&b=0", 0),
                              ("a=1000000000000&b=1", 1000000000001)):
            target = "/baseline11?" + query
            self.assert_number(client.get(target), number)
            for body in ("20", "-20", "0", "1000000"):
                self.assert_number(client.ask("POST", target, body=body.encode()), number + int(body))
                client.send(request("POST", target, STREAM) + b"%x\r\n%b\r\n0\r\n\r\n" % (
                    len(body), body.encode()))
                self.assert_number(client.read(), number + int(body))

    def test_a_number_in_pieces(self):
        client = self.client()
        byte_by_byte(client, request("POST", "/baseline11?a=1&b=2", STREAM) +
                     b"1\r\n-\r\n01;x\r\n1\r\n2\r\n23\r\n0\r\n\r\n")
        self.assert_number(client.read(), 3 - 123)

    def test_bad_numbers(self):
        for body in (b"x", b"-", b"1 2", b"1.5", b"0x1", b"+-1", b"1" * 40, b"\0", b"\xff", b"9" * 100):
            with self.subTest(body=body):
                client = self.client()
                response = client.ask("POST", "/baseline11?a=1&b=2", body=body)
                self.assertIn(response.status, (400, 413))
                if not response.closes:
                    self.assert_number(client.get("/baseline11?a=1&b=2"), 3)

    def test_bad_queries(self):
        client = self.client()
        for query in ("", "?", "?a", "?a=&b=", "?a=%&b=%zz", "?&&&", "?a=x&b=y", "?a=" + "9" * 5000):
            with self.subTest(query=query[:20]):
                self.assertIn(client.get("/baseline11" + query).status, (200, 400))
        self.assert_number(client.get("/baseline11?a=1&b=2"), 3)

    def test_pipelines(self):
        client = self.client()
        count = 500
        client.send(b"".join(
            request("GET", f"/baseline11?a={i}&b=1") +
            request("POST", f"/baseline11?a={i}&b=1", body=b"20") +
            request("POST", f"/baseline11?a={-i}&b=1", STREAM) + b"1\r\n2\r\n1\r\n0\r\n0\r\n\r\n" +
            request("GET", "/pipeline") for i in range(count)))
        for i in range(count):
            self.assert_number(client.read(), i + 1)
            self.assert_number(client.read(), i + 21)
            self.assert_number(client.read(), -i + 21)
            self.assertEqual(client.read().body, b"ok")

    def test_uploads(self):
        client = self.client()
        for size in (0, 1, 1000, 32768, 100_000):
            client.send(request("POST", "/upload", f"Content-Length: {size}") + b"x" * size)
            self.assert_number(client.read(), size)
        for chunked in (False, True):
            before = self.server.anonymous_bytes()
            self.send_stream(client, "/upload", 20, chunked)
            self.assert_number(client.read(), 20 * MIB)
            self.assert_memory_stays(before)

    def test_odd_pieces(self):
        client = self.client()
        sizes = [1, 2, 3, 5, 7, 15, 16, 17, 4095, 4097, 32767, 32769, 65537] * 3
        data = b"".join(b"%X;x\r\n%b\r\n" % (size, b"y" * size) for size in sizes) + b"0\r\n\r\n"
        for step in (977, 4096, 70_001):
            client.send(request("POST", "/upload", STREAM))
            for at in range(0, len(data), step):
                client.send(data[at:at + step])
            self.assert_number(client.read(), sum(sizes))

    def test_100_mib_up(self):
        client = self.client()
        self.send_stream(client, "/upload", 1)
        self.assert_number(client.read(), MIB)
        before = self.server.anonymous_bytes()
        self.send_stream(client, "/upload", scaled(100, 20))
        self.assert_number(client.read(), scaled(100, 20) * MIB)
        self.assert_memory_stays(before)

    def test_100_continue(self):
        for field, body in (("Content-Length: 5", b"hello"), (STREAM, b"5\r\nhello\r\n0\r\n\r\n")):
            client = self.client()
            client.send(request("POST", "/upload", "Expect: 100-continue", field))
            self.assertEqual(client.read().status, 100)
            client.send(body)
            self.assert_number(client.read(), 5)
            self.assert_number(client.get("/baseline11?a=1&b=2"), 3)

    def test_other_methods(self):
        client = self.client()
        for method, target, status in (("PUT", "/baseline11?a=1&b=2", 405), ("POST", "/pipeline", 405),
                                       ("GET", "/upload", 405), ("GET", "/", 404)):
            response = client.ask(method, target)
            self.assertEqual(response.status, status)
            self.assertEqual(response["allow"] is not None, status == 405)

    def test_bad_chunks(self):
        """Here somebody reads them."""
        for name, (status, body) in BAD_CHUNKS.items():
            for how in (whole, halved, byte_by_byte):
                with self.subTest(name=name, how=how.__name__), self.server.client() as client:
                    data = post(CHUNKED, body=body + HIDDEN).replace(b"POST / ", b"POST /upload ")
                    send(how, client, data)
                    response = client.read()
                    self.assertEqual((response.status, response.closes), (status, True))
                    client.expect_end()

    def test_slow_bodies(self):
        def slow(field, piece):
            client = self.client()
            began = time.monotonic()
            client.send(request("POST", "/upload", field))
            while client.hears_nothing(0.1):
                client.send(piece)
                self.assertLess(time.monotonic(), began + PATIENCE_S)
            response = client.read()
            self.assertEqual((response.status, response.closes), (408, True))
            self.assertGreater(time.monotonic() - began, WINDOW_S - 0.05)
            client.expect_end()
        together(lambda: slow("Content-Length: 100000", b"x"), lambda: slow(STREAM, b"1\r\nx\r\n"),
                 lambda: slow("Content-Length: 1", b""))


if __name__ == "__main__":
    unittest.main()
