#!/usr/bin/env python3
"""What cannot be answered: each error status, correctly framed, then the end of the connection, which
must reach the client as an answer and never as a reset."""

import time
import unittest

from client import PAGE, PATIENCE_S, request
from harness import SharedServerTest, wait_until

REASONS = {
    400: "Bad Request",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}

# Requests by the status that they deserve.
BAD = {
    400: {
        "no request line": b"hello\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "lower-case version": b"GET / http/1.1\r\nHost: a\r\n\r\n",
        "version without minor": b"GET / HTTP/1\r\nHost: a\r\n\r\n",
        "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "space after the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "relative target": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "fragment": b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "byte over 127 in the target": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "asterisk for GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "no host": b"GET / HTTP/1.1\r\n\r\n",
        "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "bad host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
        "one bare LF": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "bare CR": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "space before the first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "folded field": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nhello\r\n\r\n",
        "no field name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n1",
        "hexadecimal length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n1",
        "list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n1",
        "no length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "overflowing length":
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n",
        "two lengths":
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
        "length and chunks":
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
        "chunks in HTTP/1.0":
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "unknown coding without chunks": request("POST", "/", "Transfer-Encoding: gzip"),
        "chunks before another coding": request("POST", "/", "Transfer-Encoding: chunked, gzip"),
        "chunks in chunks": request("POST", "/", "Transfer-Encoding: chunked, chunked"),
        "start of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
        "port of 0x": b"GET / HTTP/1.1\r\nHost: a:0x50\r\n\r\n",
    },
    413: {
        "one byte too many": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n",
        "a great many": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n",
    },
    414: {
        "long target": request("GET", "/" + "x" * 8192),
        "long target without an end": b"GET /" + b"x" * 8300,
    },
    417: {
        "unknown expectation": request("POST", "/", "Expect: 200-ok", "Content-Length: 5"),
    },
    431: {
        "101 fields": request("GET", "/", *(f"X-{i}: y" for i in range(100))),
        "a long field": request("GET", "/", "X: " + "y" * 16384),
        "a long field without an end": request()[:-2] + b"X: " + b"y" * 16384,
        "many long fields": request("GET", "/", *("X: " + "y" * 2000 for i in range(9))),
    },
    501: {
        "unknown coding before chunks": request("POST", "/", "Transfer-Encoding: gzip, chunked"),
        "unknown method of great length": request("X" * 55),
        "TRACE": request("TRACE"),
        "CONNECT": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    },
    505: {
        "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "HTTP/0.9 in writing": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    },
}


class Errors(SharedServerTest):
    def assert_refused(self, client, status, head=False):
        response = client.read(head=head)
        self.assertEqual((response.status, response.reason), (status, REASONS[status]))
        self.assertEqual(response.body, b"" if head else f"{status} {REASONS[status]}\n".encode())
        self.assertEqual(response["content-type"], "text/plain; charset=utf-8")
        self.assertIsNotNone(response["date"])
        self.assertTrue(response.closes)
        client.expect_end()

    def assert_each_refused(self, send):
        for status, requests in BAD.items():
            for name, bad in requests.items():
                with self.subTest(status=status, name=name):
                    with self.server.client() as client:
                        send(client, bad)
                        self.assert_refused(client, status)
        self.assert_serves(self.server)

    def test_each_error(self):
        self.assert_each_refused(lambda client, bad: client.send(bad))

    def test_each_error_ends_a_pipeline(self):
        def send(client, bad):
            client.send(request() + request("HEAD") + bad)
            self.assertEqual(client.read().body, PAGE)
            self.assertEqual(client.read(head=True).status, 200)
        self.assert_each_refused(send)

    def test_nothing_after_an_error_is_answered(self):
        def send(client, bad):
            # Not where the bad part has no end yet: more would only be more of it.
            client.send(bad + request() * 3 if bad.endswith(b"\r\n\r\n") else bad)
        self.assert_each_refused(send)

    def test_an_error_in_pieces(self):
        def send(client, bad):
            for start in range(0, len(bad), max(1, len(bad) // 5)):
                try:
                    client.send(bad[start:start + max(1, len(bad) // 5)])
                except (BrokenPipeError, ConnectionResetError):
                    break  # refused before the end, which the rest of the test looks at
        self.assert_each_refused(send)

    def test_the_answer_to_head_has_no_body(self):
        with self.server.client() as client:
            client.send(b"HEAD / HTTP/1.1\r\n\r\n")
            self.assert_refused(client, 400, head=True)

    def test_half_closing_clients_get_their_error(self):
        with self.server.client() as client:
            client.send(b"nonsense\r\n\r\n")
            client.half_close()
            self.assert_refused(client, 400)

    def test_an_unfinished_request_at_the_end_is_dropped(self):
        for unfinished in (b"G", b"GET /\r\n", request()[:-1]):
            with self.server.client() as client:
                client.send(unfinished)
                client.half_close()
                client.expect_end()
        self.assert_serves(self.server)

    def test_limits_are_not_reached_too_early(self):
        with self.server.client() as client:
            for good in (
                    request("GET", "/" + "x" * 8191),
                    request("GET", "/", *(f"X-{i}: y" for i in range(99))),
                    request("GET", "/", "X: " + "y" * (16384 - len(request("GET", "/", "X: ")))),
                    request("GET", "/", body=b"x" * (1 << 20))):
                client.send(good)
                self.assertEqual(client.read().body, PAGE)
            client.send(request("GET", "/", "X: " + "y" * (16385 - len(request("GET", "/", "X: ")))))
            self.assert_refused(client, 431)


class LingeringClose(SharedServerTest):
    """A server that closes while its client still sends makes the kernel answer with a reset, and
    that takes the answer from the client's hands."""

    def assert_answer_survives(self, head, status, body_bytes):
        """Sends everything first and reads then, as simple clients do."""
        with self.server.client() as client:
            client.send(head)
            piece = b"x" * 65536
            for _ in range(body_bytes // len(piece)):
                client.send(piece)
            response = client.read()
            self.assertEqual(response.status, status)
            self.assertTrue(response.closes)
            client.expect_end()

    def test_a_body_that_is_too_large(self):
        for size in (1 << 20, 4 << 20):
            with self.subTest(size=size):
                self.assert_answer_survives(
                    request("POST", "/", f"Content-Length: {size + 1}"), 413, size)

    def test_a_chunk_that_is_too_large(self):
        # The head alone is no error: the answer to it comes first, and says nothing of an end.
        with self.server.client() as client:
            client.send(request("POST", "/", "Transfer-Encoding: chunked") + b"400000\r\n")
            for _ in range(64):
                client.send(b"x" * 65536)
            self.assertEqual(client.read().status, 405)
            client.expect_end()

    def test_an_unknown_coding_of_chunks(self):
        self.assert_answer_survives(
            request("POST", "/", "Transfer-Encoding: gzip, chunked"), 501, 4 << 20)

    def test_a_bad_request_with_a_body(self):
        self.assert_answer_survives(b"POST / HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n", 400, 4 << 20)

    def test_connection_close_with_a_body(self):
        self.assert_answer_survives(
            request("POST", "/", "Connection: close", "Content-Length: 1048576"), 405, 1 << 20)

    def test_a_body_that_was_announced_by_expect(self):
        self.assert_answer_survives(
            request("POST", "/", "Expect: 100-continue", "Content-Length: 1048576"), 405, 1 << 20)

    def test_ends_even_if_the_client_does_not(self):
        # A time-out that would have come earlier must not take the place of this one.
        for arguments in ((), ("--idle-timeout", "1")):
            with self.subTest(arguments=arguments):
                server = self.serve("-j", "1", *arguments)
                unused = server.descriptors()
                with server.client() as client:
                    client.send(b"nonsense\r\n\r\n")
                    self.assertEqual(client.read().status, 400)
                    client.expect_end()
                    # The client keeps its side open: the server gives up after a while.
                    wait_until(lambda s=server, n=unused: s.descriptors() == n,
                               "the connection is closed")

    def test_ends_even_if_the_client_sends_forever(self):
        with self.server.client() as client:
            client.send(b"nonsense\r\n\r\n")
            self.assertEqual(client.read().status, 400)
            deadline = time.monotonic() + PATIENCE_S
            with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                while time.monotonic() < deadline:
                    client.send(b"x" * 65536)


if __name__ == "__main__":
    unittest.main()
