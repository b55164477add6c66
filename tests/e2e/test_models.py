#!/usr/bin/env python3
"""Every model of bench/models answers the same: a subset of what the server's own tests ask."""

import contextlib
import functools
import re
import time
import unittest

import models
from client import PAGE, request
from models import DELAY_S, SharedModelTest, for_each_model

HASH_STEPS = 1_000_000
HEAD_MAX = 16384
DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
TEXTS = {404: b"404 Not Found\n", 405: b"405 Method Not Allowed\n"}

service = None


def setUpModule():
    global service
    service = models.start_service()
    unittest.addModuleCleanup(service.finish)


@functools.cache
def hash_of_work():
    """What every model is to have computed, whatever its language: FNV-1a."""
    result = 0xcbf29ce484222325
    for i in range(HASH_STEPS):
        result = (result ^ (i & 0xff)) * 0x100000001b3 & 0xffffffffffffffff
    return b"%016x\n" % result


class Conformance:
    NOT_ASKED = {"goroutine": {
        "fields": "net/http writes fields of its own",
        "error_texts": "net/http has texts of its own",
        "bare_line_feed_is_refused": "net/http takes a bare LF for the end of a line",
        "http_1_0": "net/http answers such requests with HTTP/1.0",
        "long_head_is_refused": "net/http takes heads up to 1 MiB",
        "body_that_comes_late": "net/http waits for a short body before it answers",
        "expectation_of_a_body_that_is_not_wanted": "net/http waits for the body before it closes",
    }}

    @classmethod
    def service_port(cls):
        return service.port.number

    def ask_once(self, *arguments, **options):
        """A request on a connection of its own."""
        with self.model.client() as client:
            return client.ask(*arguments, **options)

    def exchange(self, data, answers):
        """Sends it all at once; the answers, and that the server closed if one said so."""
        client = self.client()
        client.send(data)
        got = []
        while len(got) < answers and not (got and got[-1].closes):
            got.append(client.read())
        if got[-1].closes:
            client.expect_end()
        client.close()
        return got

    def served_at_most(self, wanted):
        return min(wanted, self.traits.requests_max or wanted)

    def assert_page(self, response, body=PAGE):
        self.assertEqual((response.status, response.reason), (200, "OK"))
        self.assertEqual(response.body, body)
        self.assertEqual(response["content-length"], "83")
        self.assertEqual(response["content-type"], "text/html; charset=utf-8")
        self.assertRegex(response["date"], DATE)

    def assert_refused(self, client, status):
        """With an answer, and then the end, even if the client has sent more than is read."""
        response = client.read_head()
        self.assertEqual(response.status, status)
        self.assertTrue(response.closes)
        body = client.unread
        while piece := client.socket.recv(4096):
            body += piece
        self.assertEqual(len(body), int(response["content-length"] or len(body)))

    # --- workloads ---

    def test_fast(self):
        self.assert_page(self.ask_once("GET", "/fast"))
        self.assert_page(self.ask_once("GET", "/fast?q=1"))

    def test_head(self):
        head, get = self.ask_once("HEAD", "/fast"), self.ask_once("GET", "/fast")
        self.assert_page(head, body=b"")
        self.assertEqual([name for name, _ in head.fields], [name for name, _ in get.fields])

    def test_fields(self):
        response = self.ask_once("GET", "/fast")
        names = {name for name, _ in response.fields} - {"connection"}
        self.assertEqual(names, {"server", "date", "content-type", "content-length"})
        self.assertEqual(response["server"], "coreactor")

    def test_work(self):
        response = self.ask_once("GET", "/work")
        self.assertEqual((response.status, response["content-type"]), (200, "text/plain"))
        self.assertEqual(response.body, hash_of_work())

    def test_wait(self):
        for _ in range(3):
            since = time.monotonic()
            response = self.ask_once("GET", "/wait")
            self.assertGreaterEqual(time.monotonic() - since, DELAY_S)
            self.assertEqual((response.status, response.body), (200, b"waited\n"))
            self.assertEqual(response["content-type"], "text/plain")

    def test_waits_of_many(self):
        clients = [self.client() for _ in range(20)]
        since = time.monotonic()
        for client in clients:
            client.send(request("GET", "/wait", "Connection: close"))
        for client in clients:
            self.assertEqual(client.read().body, b"waited\n")
            self.assertGreaterEqual(time.monotonic() - since, DELAY_S)
            client.expect_end()
            client.close()

    # --- errors ---

    def test_not_found(self):
        for target in ("/", "/fas", "/fast/", "/FAST"):
            self.assertEqual(self.ask_once("GET", target).status, 404)

    def test_method_not_allowed(self):
        for method in ("POST", "PUT", "DELETE"):
            response = self.ask_once(method, "/work")
            self.assertEqual((response.status, response["allow"]), (405, "GET, HEAD"))

    def test_error_texts(self):
        self.assertEqual(self.ask_once("GET", "/").body, TEXTS[404])
        self.assertEqual(self.ask_once("POST", "/fast").body, TEXTS[405])

    def test_host_is_required(self):
        client = self.client()
        client.send(request("GET", "/fast", host=None))
        self.assert_refused(client, 400)

    def test_bare_line_feed_is_refused(self):
        client = self.client()
        client.send(b"GET /fast HTTP/1.1\nHost: localhost\n\n")
        self.assert_refused(client, 400)

    def test_what_follows_a_refused_request_is_not_served(self):
        client = self.client()
        client.send(b"rubbish\r\n\r\n" + request("GET", "/fast") * 3)
        self.assert_refused(client, 400)

    def test_long_head_is_refused(self):
        for length in (HEAD_MAX, 10 * HEAD_MAX):
            client = self.client()
            client.send(request("GET", "/fast", "X: " + "x" * length))
            self.assert_refused(client, 431)

    # --- connections ---

    def test_connection_stays_open(self):
        client = self.client()
        for _ in range(self.served_at_most(5) - 1):
            response = client.get("/fast")
            self.assert_page(response)
            self.assertFalse(response.closes)
        response = client.get("/fast", "Connection: close")
        self.assert_page(response)
        self.assertTrue(response.closes)
        client.expect_end()

    def test_connection_ends_after_so_many_requests(self):
        wanted = 150
        client = self.client()
        *others, last = [client.get("/fast") for _ in range(self.served_at_most(wanted))]
        self.assertFalse(any(answer.closes for answer in others))
        self.assertEqual(last.closes, self.traits.requests_max > 0)
        if last.closes:
            client.expect_end()

    def test_http_1_0(self):
        client = self.client()
        response = client.get("/fast", version="HTTP/1.0", host=None)
        self.assert_page(response)
        client.expect_end()

    def test_pipelined_requests_are_answered_in_order(self):
        kinds = {"/fast": PAGE, "/wait": b"waited\n", "/work": hash_of_work(), "/other": None}
        targets = ["/fast", "/wait", "/fast", "/other", "/wait", "/wait", "/work", "/fast"] * 2
        answers = self.exchange(b"".join(request("GET", target) for target in targets), len(targets))
        self.assertEqual(len(answers), self.served_at_most(len(targets)))
        for target, answer in zip(targets, answers):
            if kinds[target]:
                self.assertEqual((answer.status, answer.body), (200, kinds[target]))
            else:
                self.assertEqual(answer.status, 404)

    def test_many_pipelined_requests(self):
        answers = self.exchange(request("GET", "/fast") * 1500, 1500)
        self.assertEqual(len(answers), self.served_at_most(1500))
        for answer in answers:
            self.assert_page(answer)

    def test_request_byte_by_byte(self):
        client = self.client()
        for _ in range(self.served_at_most(2)):
            data = request("GET", "/wait", "X-Long: " + "x" * 50)
            for at in range(len(data)):
                client.send(data[at:at + 1])
            self.assertEqual(client.read().body, b"waited\n")

    def test_half_closed_client_is_answered(self):
        for target, body in (("/fast", PAGE), ("/wait", b"waited\n")):
            client = self.client()
            client.send(request("GET", target))
            client.half_close()
            self.assertEqual(client.read().body, body)
            client.expect_end()

    def test_client_that_leaves_in_a_request(self):
        client = self.client()
        client.send(request("GET", "/fast")[:-2])
        client.half_close()
        with contextlib.suppress(ConnectionResetError):
            said = client.socket.recv(4096)  # nothing, or that it was not a request
            self.assertFalse(said.startswith(b"HTTP/1.1 200"))
        self.assert_page(self.ask_once("GET", "/fast"))

    def test_answers_are_read_late(self):
        """More of them than sockets hold: the model has to wait for room, and to serve others meanwhile."""
        slow = self.client(receive_buffer=4096)
        count = self.served_at_most(20_000)
        slow.socket.settimeout(0.2)
        sent, data = 0, request("GET", "/fast") * 20_000
        try:
            while sent < len(data):
                sent += slow.socket.send(data[sent:sent + 65536])
        except (TimeoutError, ConnectionError):
            pass  # neither side reads any more, as it should be; or the model has had enough
        slow.socket.settimeout(models.PATIENCE_S)
        self.assert_page(self.ask_once("GET", "/fast"))
        for _ in range(min(count, sent // len(request("GET", "/fast")))):
            self.assert_page(slow.read())

    # --- bodies that nobody wants ---

    def assert_usable_or_ended(self, client, response):
        self.assertEqual((response.status, response["allow"]), (405, "GET, HEAD"))
        if response.closes:
            client.expect_end()
        else:
            self.assert_page(client.get("/fast"))

    def test_body_with_a_length(self):
        for body in (b"x", b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n", b"x" * 40_000):
            client = self.client()
            self.assert_usable_or_ended(client, client.ask("POST", "/fast", body=body))

    def test_body_in_chunks(self):
        client = self.client()
        client.send(request("POST", "/fast", "Transfer-Encoding: chunked") +
                    b"5\r\nhello\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\nA: b\r\n\r\n")
        self.assert_usable_or_ended(client, client.read())

    def test_body_that_comes_late(self):
        client = self.client()
        client.send(request("POST", "/fast", "Content-Length: 10") + b"01234")
        response = client.read()
        client.send(b"56789")
        self.assert_usable_or_ended(client, response)

    def test_expectation_of_a_body_that_is_not_wanted(self):
        client = self.client()
        client.send(request("POST", "/fast", "Expect: 100-continue", "Content-Length: 5"))
        response = client.read()
        if response.status == 100:
            client.send(b"hello")
            response = client.read()
        elif not response.closes:
            client.send(b"hello")
        self.assert_usable_or_ended(client, response)


globals().update(for_each_model(Conformance, SharedModelTest))

if __name__ == "__main__":
    unittest.main()
