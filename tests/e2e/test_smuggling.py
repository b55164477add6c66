#!/usr/bin/env python3
"""Requests that another server may see where this one sees a body, or the other way round. What cannot
be told for certain is refused once, and nothing behind it is answered."""

import unittest

from client import PAGE, request
from harness import SharedServerTest

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n"
FRAMED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)


def post(*lines, body=b"0\r\n\r\n" + HIDDEN, host=b"Host: a", version=b"HTTP/1.1"):
    """A request of raw lines, by default with a body that ends at once for who believes in chunks."""
    return b"\r\n".join([b"POST / " + version, host, *lines]) + b"\r\n\r\n" + body


def length(value):
    return post(b"Content-Length:" + value, body=HIDDEN)


def coding(value, *lines):
    return post(b"Transfer-Encoding:" + value, *lines)


def get(head):
    return head + b"\r\n\r\n" + HIDDEN


CHUNKED = b"Transfer-Encoding: chunked"
SIX = b"Content-Length: 6"

# Heads that are refused, by name: the status, and all that is sent.
BAD_HEADS = {
    # Two lengths
    "CL.TE": (400, post(SIX, CHUNKED)),
    "TE.CL": (400, post(CHUNKED, SIX)),
    "CL.TE with a length of nothing": (400, post(b"Content-Length: 0", CHUNKED)),
    "CL.TE in HTTP/1.0": (400, post(SIX, CHUNKED, version=b"HTTP/1.0")),
    "TE in HTTP/1.0": (400, post(CHUNKED, version=b"HTTP/1.0")),
    "CL.TE with an unknown coding": (400, post(SIX, b"Transfer-Encoding: x")),
    "TE.TE": (400, post(CHUNKED, CHUNKED)),
    "TE.TE, the second unknown": (400, post(CHUNKED, b"Transfer-Encoding: x")),
    "TE.TE, the first unknown": (400, post(b"Transfer-Encoding: x", CHUNKED)),
    "TE.TE, the second empty": (400, post(CHUNKED, b"Transfer-encoding:")),
    "CL.CL": (400, post(SIX, b"Content-Length: 5")),
    "CL.CL of one mind": (400, post(SIX, SIX)),
    "CL.CL in other letters": (400, post(SIX, b"content-length: 0")),
    # Codings that some take for chunked
    "TE none": (400, coding(b"")),
    "TE x": (400, coding(b" x")),
    "TE xchunked": (400, coding(b" xchunked")),
    "TE chunkedx": (400, coding(b" chunkedx")),
    "TE identity": (400, coding(b" identity")),
    "TE chunked, identity": (400, coding(b" chunked, identity")),
    "TE identity, chunked": (501, coding(b" identity, chunked")),
    "TE gzip,chunked": (501, coding(b" gzip,chunked")),
    "TE chunked, chunked": (400, coding(b" chunked, chunked")),
    "TE , chunked": (400, coding(b" , chunked")),
    "TE chunked,": (400, coding(b" chunked,")),
    "TE quoted": (400, coding(b' "chunked"')),
    "TE with a parameter": (400, coding(b" chunked;q=1")),
    "TE with an empty parameter": (400, coding(b" chunked;")),
    "TE two words": (400, coding(b" chunked x")),
    "TE and a vertical tab": (400, coding(b" chunked\x0b")),
    "TE after a vertical tab": (400, coding(b"\x0bchunked")),
    "TE after a form feed": (400, coding(b"\x0cchunked")),
    "TE and NUL": (400, coding(b" chunked\0")),
    "TE after NUL": (400, coding(b" \0chunked")),
    "TE and DEL": (400, coding(b" chunked\x7f")),
    "TE and a no-break space": (400, coding(b" chunked\xa0")),
    "TE with a Kelvin sign": (400, coding(b" chun\xe2\x84\xaaed")),
    "TE and a bare CR": (400, coding(b" chunked\rX: y")),
    "TE after a bare CR": (400, coding(b"\rchunked")),
    "TE folded": (400, coding(b"\r\n chunked")),
    "TE folded by a tab": (400, coding(b" x\r\n\tchunked")),
    "TE after a space": (400, post(b"X: y", b" Transfer-Encoding: chunked")),
    "TE after a tab, first of all": (400, post(host=b"\tTransfer-Encoding: chunked")),
    "TE space colon": (400, post(b"Transfer-Encoding : chunked")),
    "TE tab colon": (400, post(b"Transfer-Encoding\t: chunked")),
    "TE CR colon": (400, post(b"Transfer-Encoding\r: chunked")),
    "TE LF colon": (400, post(b"Transfer-Encoding\n : chunked")),
    "TE NUL colon": (400, post(b"Transfer-Encoding\0: chunked")),
    "TE behind a bare LF": (400, post(b"X: y\nTransfer-Encoding: chunked")),
    "TE behind a bare CR": (400, post(b"X: y\rTransfer-Encoding: chunked")),
    "TE behind LF CR": (400, post(b"X: y\n\rTransfer-Encoding: chunked")),
    "TE behind CR CR LF": (400, post(b"X: y\r\r\nTransfer-Encoding: chunked")),
    # Lengths that some read otherwise
    "CL none": (400, length(b"")),
    "CL blank": (400, length(b" \t ")),
    "CL +": (400, length(b" +6")),
    "CL -": (400, length(b" -6")),
    "CL - 0": (400, length(b" -0")),
    "CL 0x": (400, length(b" 0x6")),
    "CL list": (400, length(b" 6, 6")),
    "CL list with an end": (400, length(b" 6,")),
    "CL two words": (400, length(b" 6 6")),
    "CL fraction": (400, length(b" 6.0")),
    "CL exponent": (400, length(b" 1e1")),
    "CL underscore": (400, length(b" 1_0")),
    "CL quoted": (400, length(b' "6"')),
    "CL with a parameter": (400, length(b" 6;")),
    "CL in full-width digits": (400, length(b" \xef\xbc\x96")),
    "CL and NUL": (400, length(b" 6\0")),
    "CL and a vertical tab": (400, length(b" 6\x0b")),
    "CL of 2^64 + 6": (400, length(b" 18446744073709551622")),
    "CL of 2^32 + 6": (413, length(b" 4294967302")),
    "CL of many noughts": (400, length(b" 0000000000000000006")),
    "CL folded": (400, length(b" 1\r\n 0")),
    "CL space colon": (400, post(b"Content-Length : 6")),
    "CL tab colon": (400, post(b"Content-Length\t: 6")),
    "CL behind a bare CR": (400, post(b"X: y\rContent-Length: 6")),
    "CL behind a bare LF": (400, post(b"X: y\nContent-Length: 6")),
    # Ends of lines
    "bare LF after the request line": (400, get(b"GET / HTTP/1.1\nHost: a")),
    "bare CR after the request line": (400, get(b"GET / HTTP/1.1\rHost: a")),
    "bare LF after a field": (400, get(b"GET / HTTP/1.1\r\nHost: a\nX: y")),
    "bare LF as the empty line": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n" + HIDDEN),
    "bare LF twice": (400, b"GET / HTTP/1.1\r\nHost: a\n\n" + HIDDEN),
    "bare CR as the empty line": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\r" + HIDDEN),
    "bare CR twice": (400, b"GET / HTTP/1.1\r\nHost: a\r\r" + HIDDEN),
    "bare LF before all": (400, b"\n" + get(b"GET / HTTP/1.1\r\nHost: a")),
    "bare CR before all": (400, b"\r" + get(b"GET / HTTP/1.1\r\nHost: a")),
    # Request lines
    "NUL in the method": (400, get(b"GE\0T / HTTP/1.1\r\nHost: a")),
    "NUL in the target": (400, get(b"GET /\0 HTTP/1.1\r\nHost: a")),
    "NUL in a name": (400, get(b"GET / HTTP/1.1\r\nHost: a\r\nX\0: y")),
    "NUL before all": (400, b"\0" + get(b"GET / HTTP/1.1\r\nHost: a")),
    "tabs in the request line": (400, get(b"GET\t/\tHTTP/1.1\r\nHost: a")),
    "a request in the target": (400, get(b"GET /?x=y HTTP/1.1 HTTP/1.1\r\nHost: a")),
    "a vertical tab after the version": (400, get(b"GET / HTTP/1.1\x0b\r\nHost: a")),
    "a space before the method": (400, get(b" GET / HTTP/1.1\r\nHost: a")),
    "HTTP/0.9": (400, get(b"GET /")),
    "HTTP/1.10": (400, get(b"GET / HTTP/1.10\r\nHost: a")),
    "HTTP/2": (505, get(b"GET / HTTP/2.0\r\nHost: a")),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN),
    "a tunnel": (501, get(b"CONNECT hidden:80 HTTP/1.1\r\nHost: hidden:80")),
    "a trace": (501, get(b"TRACE / HTTP/1.1\r\nHost: a")),
    # Whom it is for
    "two hosts": (400, get(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b")),
    "two hosts, with a space": (400, get(b"GET / HTTP/1.1\r\nHost: a\r\n Host: b")),
    "two hosts in one": (400, get(b"GET / HTTP/1.1\r\nHost: a, b")),
    "a host with a path": (400, get(b"GET / HTTP/1.1\r\nHost: a/b")),
    "a host with a user": (400, get(b"GET / HTTP/1.1\r\nHost: a@b")),
    "no host but in the target": (400, get(b"GET http://a/ HTTP/1.1")),
    "a bad host beside a good target": (400, get(b"GET http://a/ HTTP/1.1\r\nHost: a b")),
    "a target with a user": (400, get(b"GET http://a@b/ HTTP/1.1\r\nHost: b")),
    # Bodies that may not come
    "an unknown expectation": (417, post(b"Expect: 100-continue, x", SIX)),
}

# Bodies in chunks that are refused where somebody reads them.
BAD_CHUNKS = {
    "no size": (400, b"\r\nhello\r\n0\r\n\r\n"),
    "no size but an extension": (400, b";a\r\nhello\r\n0\r\n\r\n"),
    "no digit": (400, b"g\r\n\r\n0\r\n\r\n"),
    "0x": (400, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "+": (400, b"+5\r\nhello\r\n0\r\n\r\n"),
    "-": (400, b"-5\r\nhello\r\n0\r\n\r\n"),
    "-0": (400, b"-0\r\n\r\n"),
    "space before the size": (400, b" 5\r\nhello\r\n0\r\n\r\n"),
    "space after the size": (400, b"5 \r\nhello\r\n0\r\n\r\n"),
    "tab after the last size": (400, b"0\t\r\n\r\n"),
    "space in the size": (400, b"1 0\r\nhello\r\n0\r\n\r\n"),
    "underscore in the size": (400, b"1_0\r\nhello\r\n0\r\n\r\n"),
    "comma after the size": (400, b"5,5\r\nhello\r\n0\r\n\r\n"),
    "full-width digit": (400, b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n"),
    "NUL after the size": (400, b"5\0\r\nhello\r\n0\r\n\r\n"),
    "2^64 + 5": (400, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "2^64 - 1": (413, b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "2^63": (413, b"8000000000000000\r\nhello\r\n0\r\n\r\n"),
    "overflow of the sum": (413, b"5\r\nhello\r\nfffffffffffffffb\r\n\r\n0\r\n\r\n"),
    "many noughts": (400, b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    "LF after the size": (400, b"5\nhello\r\n0\r\n\r\n"),
    "CR after the size": (400, b"5\rhello\r\n0\r\n\r\n"),
    "CR CR LF after the size": (400, b"5\r\r\nhello\r\n0\r\n\r\n"),
    "LF after the data": (400, b"5\r\nhello\n0\r\n\r\n"),
    "CR after the data": (400, b"5\r\nhello\r0\r\n\r\n"),
    "any two bytes after the data": (400, b"5\r\nhelloXX0\r\n\r\n"),
    "nothing after the data": (400, b"5\r\nhello0\r\n\r\n"),
    "less than the data": (400, b"4\r\nhello\r\n0\r\n\r\n"),
    "more than the data": (400, b"6\r\nhello\r\n0\r\n\r\n"),
    "LF after the last size": (400, b"0\n\r\n"),
    "LF at the end": (400, b"0\r\n\n"),
    "LF LF at the end": (400, b"0\n\n"),
    "CR at the end": (400, b"0\r\n\r"),
    "LF in an extension": (400, b"5;a\nhello\r\n0\r\n\r\n"),
    "LF in the value of one": (400, b"5;a=b\n0\r\n\r\n"),
    "LF in quotes": (400, b'5;a="\n"\r\nhello\r\n0\r\n\r\n'),
    "CR in an extension": (400, b"5;a\rX\r\nhello\r\n0\r\n\r\n"),
    "CR in quotes": (400, b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n'),
    "an escaped CR in quotes": (400, b'5;a="\\\r\n"\r\nhello\r\n0\r\n\r\n'),
    "NUL in an extension": (400, b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    "NUL in quotes": (400, b'5;a="\0"\r\nhello\r\n0\r\n\r\n'),
    "quotes without an end": (400, b'5;a="b\r\nhello\r\n0\r\n\r\n'),
    "an extension without a name": (400, b"5;\r\nhello\r\n0\r\n\r\n"),
    "an extension without a value": (400, b"5;a=\r\nhello\r\n0\r\n\r\n"),
    "an extension of nothing": (400, b"5;;a\r\nhello\r\n0\r\n\r\n"),
    "an extension with a control": (400, b"5;a=\x1b\r\nhello\r\n0\r\n\r\n"),
    "an extension without an end": (400, b"5;" + b"a" * 100_000),
    "LF in a trailer": (400, b"0\r\nX: y\n\r\n"),
    "LF after a trailer": (400, b"0\r\nX: y\r\n\n"),
    "CR in a trailer": (400, b"0\r\nX: y\rZ: a\r\n\r\n"),
    "NUL in a trailer": (400, b"0\r\nX: \0\r\n\r\n"),
    "space before a trailer": (400, b"0\r\n X: y\r\n\r\n"),
    "space before the colon": (400, b"0\r\nX : y\r\n\r\n"),
    "a folded trailer": (400, b"0\r\nX: y\r\n z\r\n\r\n"),
    "a trailer without a colon": (400, b"0\r\nX\r\n\r\n"),
    "a trailer without a name": (400, b"0\r\n: y\r\n\r\n"),
    "a request for a trailer": (400, b"0\r\n" + HIDDEN),
    "a length for a trailer": (400, b"0\r\nContent-Length: 6\r\n\r\n"),
    "a coding for a trailer": (400, b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a host for a trailer": (400, b"0\r\nHost: b\r\n\r\n"),
    "many trailers": (431, b"0\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
    "long trailers": (431, b"0\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20 + b"\r\n"),
}

# What hides a request and is none: the answer, and then that to the request behind it.
GOOD = {
    "in a length": (405, post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)),
    "in a length after a tab": (405, post(b"Content-Length:\t%d \t" % len(HIDDEN), body=HIDDEN)),
    "in a length that a connection owns":
        (405, post(b"Connection: content-length", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)),
    "in the length of a GET":
        (200, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN),
    "in a chunk": (405, post(CHUNKED, body=FRAMED)),
    "in a chunk of CHUNKED": (405, post(b"TRANSFER-ENCODING:\tCHUNKED\t", body=FRAMED)),
    "in the chunk of a GET": (200, b"GET / HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n\r\n" + FRAMED),
    "in chunks of a byte":
        (405, post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in HIDDEN) + b"0\r\n\r\n")),
    "behind an extension":
        (405, post(CHUNKED, body=b'1;a;b = "0;\\"" ;c=d\r\nx\r\n' + FRAMED)),
    "behind leading noughts": (405, post(CHUNKED, body=b"0000000000000001\r\nx\r\n" + FRAMED)),
    "before a trailer": (405, post(CHUNKED, body=FRAMED[:-2] + b"X: y\r\nZ: 0\r\n\r\n")),
    "beside a name that is not quite one":
        (405, post(b"Transfer_Encoding: chunked", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)),
    "encoded in the target": (200, b"GET /%0d%0a%0d%0aGET%20/hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
    "for another host": (200, b"GET http://hidden/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "for an upgrade": (200, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"),
    "for an upgrade to sockets": (200, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                       b"Upgrade: websocket\r\n\r\n"),
}


def whole(client, data):
    client.send(data)


def halved(client, data):
    """The hidden request comes later, when the answer may have been given."""
    middle = max(1, data.find(HIDDEN))
    client.send(data[:middle])
    client.send(data[middle:])


def byte_by_byte(client, data):
    if len(data) > 1000:
        step = len(data) // 500
    else:
        step = 1
    for at in range(0, len(data), step):
        client.send(data[at:at + step])


def send(how, client, data):
    try:
        how(client, data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before its end: whatever was answered can be read


class Smuggling(SharedServerTest):
    def for_each(self, vectors, check):
        for name, (status, data) in vectors.items():
            for how in (whole, halved, byte_by_byte):
                with self.subTest(name=name, how=how.__name__):
                    with self.server.client() as client:
                        send(how, client, data)
                        check(client, status)
        self.assert_serves(self.server)

    def assert_refused(self, client, status):
        response = client.read()
        self.assertEqual(response.status, status)
        self.assertTrue(response.closes)
        client.expect_end()

    def test_bad_heads(self):
        self.for_each(BAD_HEADS, self.assert_refused)

    def test_bad_heads_behind_a_good_request(self):
        def check(client, status):
            self.assertEqual(client.read().body, PAGE)
            self.assert_refused(client, status)
        self.for_each({name: (status, request() + data) for name, (status, data) in BAD_HEADS.items()},
                      check)

    def test_bad_chunks_that_nobody_reads(self):
        """The page has given its answer when they come: what is left is to end the connection."""
        def check(client, status):
            self.assertEqual(client.read().status, status)
            client.expect_end()
        self.for_each({name: (405, post(CHUNKED, body=body + HIDDEN))
                       for name, (_, body) in BAD_CHUNKS.items()}, check)

    def test_two_empty_lines_before_a_request(self):
        with self.server.client() as client:
            client.send(b"\r\n\r\n" + HIDDEN)
            self.assert_refused(client, 400)

    def test_bodies_are_not_requests(self):
        def check(client, status):
            response = client.read()
            self.assertEqual(response.status, status)
            self.assertFalse(response.closes)
            response = client.ask("HEAD", "/", "Connection: close")
            self.assertEqual((response.status, response.body), (200, b""))
            client.expect_end()
        self.for_each(GOOD, check)

    def test_a_body_that_was_to_wait_for_100(self):
        for lines in ([b"Content-Length: %d" % len(HIDDEN)], [CHUNKED]):
            with self.server.client() as client:
                client.send(post(b"Expect: 100-continue", *lines, body=HIDDEN * 3))
                response = client.read()
                self.assertEqual(response.status, 405)
                self.assertTrue(response.closes)
                client.expect_end()

    def test_what_is_sent_after_an_upgrade_is_no_http_2(self):
        with self.server.client() as client:
            client.send(GOOD["for an upgrade"][1] + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN)
            self.assertEqual(client.read().body, PAGE)
            self.assertEqual(client.read().status, 505)
            client.expect_end()

    def test_nothing_follows_the_end_of_an_http_1_0_connection(self):
        with self.server.client() as client:
            client.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello" + HIDDEN)
            self.assertTrue(client.read().closes)
            client.expect_end()


if __name__ == "__main__":
    unittest.main()
