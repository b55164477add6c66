#!/usr/bin/env python3
"""Bodies that nobody asked for, as the page gets them: they are passed over, and where that would take
too long the client gets its answer and not a reset."""

import unittest

from client import PAGE, request
from harness import ServerTest, SharedServerTest, curl

MIB = 1 << 20
CHUNKED = "Transfer-Encoding: chunked"


def in_chunks(body, size):
    pieces = (body[at:at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Bodies(SharedServerTest):
    def client(self):
        return self.connect(self.server)

    def assert_not_allowed(self, response, closes=False):
        self.assertEqual((response.status, response["allow"]), (405, "GET, HEAD"))
        self.assertEqual(response.closes, closes)

    def test_chunks_are_passed_over(self):
        client = self.client()
        body = (request("GET", "/smuggled") * 6000)[:200_000]
        for method, status in (("POST", 405), ("GET", 200)):
            for size in (1, 2, 9, 1000, 32768, 200_000):
                with self.subTest(method=method, size=size):
                    sent = in_chunks(body[:10_000] if size < 10 else body, size)
                    client.send(request(method, "/", CHUNKED) + sent + request("HEAD"))
                    response = client.read()
                    self.assertEqual((response.status, response.closes), (status, False))
                    self.assertEqual(client.read(head=True).status, 200)

    def test_chunks_in_pieces(self):
        sent = request("POST", "/", CHUNKED) + b'5;a="b"\r\nhello\r\n0\r\nX: y\r\n\r\n' + request()
        for size in (1, 2, 3, 7, 40):
            client = self.client()
            for at in range(0, len(sent), size):
                client.send(sent[at:at + size])
            self.assert_not_allowed(client.read())
            self.assertEqual(client.read().body, PAGE)

    def test_the_answer_does_not_wait_for_the_body(self):
        for field in (CHUNKED, "Content-Length: 5"):
            client = self.client()
            client.send(request("POST", "/", field))
            self.assert_not_allowed(client.read())
            client.send(b"5\r\nhello\r\n0\r\n\r\n" if field == CHUNKED else b"hello")
            self.assertEqual(client.get().body, PAGE)

    def test_an_empty_body_of_chunks(self):
        client = self.client()
        for end in (b"0\r\n\r\n", b"000\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\nX: y\r\n\r\n"):
            client.send(request("POST", "/", CHUNKED) + end)
            self.assert_not_allowed(client.read())
        self.assertEqual(client.get().body, PAGE)

    def test_a_pipeline_of_bodies(self):
        client = self.client()
        one = request("POST", "/", body=b"hello") + request("POST", "/", CHUNKED) + in_chunks(b"hi", 1)
        client.send((one + request()) * 100)
        for _ in range(100):
            self.assert_not_allowed(client.read())
            self.assert_not_allowed(client.read())
            self.assertEqual(client.read().body, PAGE)

    def test_as_much_as_is_allowed_is_passed_over(self):
        client = self.client()
        client.send(request("POST", "/", body=b"x" * MIB))
        self.assert_not_allowed(client.read())
        client.send(request("POST", "/", CHUNKED) + in_chunks(b"x" * MIB, 50_000))
        self.assert_not_allowed(client.read())
        self.assertEqual(client.get().body, PAGE)

    def test_expecting_100_continue(self):
        for fields in (("Content-Length: 5",), (CHUNKED,)):
            for body in (b"", b"5\r\nhello\r\n0\r\n\r\n" + request()):
                client = self.client()
                client.send(request("POST", "/", "Expect: 100-continue", *fields) + body)
                self.assert_not_allowed(client.read(), closes=True)
                client.expect_end()

    def test_expecting_too_much(self):
        client = self.client()
        client.send(request("POST", "/", "Expect: 100-continue", f"Content-Length: {MIB + 1}"))
        self.assertEqual(client.read().status, 413)
        client.expect_end()

    def test_http_1_0_does_not_know_100_continue(self):
        client = self.client()
        client.send(request("POST", "/", "Expect: 100-continue", "Connection: keep-alive",
                            version="HTTP/1.0", body=b"hello") + request())
        self.assertEqual(client.read()["connection"], "keep-alive")
        self.assertEqual(client.read().body, PAGE)

    def test_a_half_closed_body_is_dropped(self):
        for field in (CHUNKED, "Content-Length: 50"):
            client = self.client()
            client.send(request("POST", "/", field) + b"5\r\nhel")
            client.half_close()
            self.assert_not_allowed(client.read())
            client.expect_end()
        self.assert_serves(self.server)


class TooMuch(ServerTest):
    """The client sends everything before it reads, as simple ones do, and must find its answer."""

    def send_much(self, client, head, pieces):
        client.send(head)
        for piece in pieces:
            client.send(piece)

    def test_a_length_over_the_limit(self):
        server = self.serve("-j", "1", "--max-body", "64K")
        for extra, status in ((0, 405), (1, 413)):
            with server.client() as client:
                head = request("POST", "/", f"Content-Length: {65536 + extra}")
                self.send_much(client, head, [b"x" * 65536])
                response = client.read()
                self.assertEqual((response.status, response.closes), (status, bool(extra)))

    def test_the_answer_survives_what_follows_it(self):
        server = self.serve("-j", "1", "--max-body", "64K")
        with server.client() as client:
            self.send_much(client, request("POST", "/", f"Content-Length: {4 * MIB}"),
                           [b"x" * 65536] * 64)
            response = client.read()
            self.assertEqual((response.status, response.closes), (413, True))
            client.expect_end()

    def test_chunks_over_the_limit(self):
        server = self.serve("-j", "1", "--max-body", "64K")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        with server.client() as client:
            self.send_much(client, request("POST", "/", CHUNKED), [chunk] * 256)
            self.assertEqual(client.read().status, 405)
            client.expect_end()
        with server.client() as client:  # just as much as may be
            self.send_much(client, request("POST", "/", CHUNKED), [chunk, chunk, b"0\r\n\r\n"])
            self.assertEqual(client.read().status, 405)
            self.assertEqual(client.get().body, PAGE)

    def test_more_than_is_worth_passing_over(self):
        server = self.serve("-j", "1", "--max-body", "0")
        with server.client() as client:
            self.send_much(client, request("POST", "/", f"Content-Length: {4 * MIB}"),
                           [b"x" * 65536] * 64)
            response = client.read()
            self.assertEqual((response.status, response.closes), (405, True))
            client.expect_end()
        with server.client() as client:  # whose length shows only later
            self.send_much(client, request("POST", "/", CHUNKED),
                           [b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 64)
            self.assertEqual(client.read().status, 405)
            client.expect_end()


class Curl(SharedServerTest):
    def status(self, *arguments):
        return curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, self.server.url)

    def test_post(self):
        data = "x" * 5000
        for arguments in (("-d", data), ("-d", data, "-H", CHUNKED), ("-d", data, "--http1.0"),
                          ("-d", data, "-H", "Expect: 100-continue"),
                          ("-d", data, "-H", CHUNKED, "-H", "Expect: 100-continue"),
                          ("-X", "PUT", "-d", data), ("-F", "a=b"), ("-T", "/dev/null")):
            with self.subTest(arguments=[word[:40] for word in arguments]):
                self.assertEqual(self.status(*arguments), "405")

    def test_http_1_0(self):
        self.assertEqual(curl("--http1.0", self.server.url).encode(), PAGE)
        self.assertEqual(curl("--http1.0", "-H", "Connection: keep-alive", self.server.url,
                              self.server.url).encode(), PAGE * 2)

    def test_a_file_in_chunks_shares_the_connection(self):
        url = self.server.url
        counts = curl("-d", "x" * 1000, "-H", CHUNKED, "-w", "%{http_code} %{num_connects}\n",
                      *["-o", "/dev/null"] * 3, url, url, url)
        self.assertEqual(counts.splitlines(), ["405 1"] + ["405 0"] * 2)


if __name__ == "__main__":
    unittest.main()
