#!/usr/bin/env python3
"""Conditional requests and parts of files (RFC 9110 sections 13 and 14)."""

import email.parser
import email.policy
import itertools
import re
import unittest
from email.utils import formatdate

from client import request
from webroot import KEPT_MAX, SharedWebrootTest, noise

OLD = 1_700_000_000
FILES = {
    "small.bin": noise(1000, 1),
    "kept.bin": noise(KEPT_MAX, 2),
    "sent.bin": noise(KEPT_MAX + 1, 3),
    "large.bin": noise(5_000_001, 4),
    "dash.txt": b"--x\r\n--\r\n" * 200,
}
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def date(offset_s=0):
    return formatdate(OLD + offset_s, usegmt=True)


class ConditionsTest(SharedWebrootTest):
    ARGUMENTS = ("--no-compression",)

    @classmethod
    def fill(cls, root):
        for name, data in FILES.items():
            root.put(name, data, mtime=OLD)
        root.put("empty", b"", mtime=OLD)


class Conditions(ConditionsTest):
    NAMES = ("small.bin", "sent.bin")

    def table(self, etag):
        """Fields and the status that they lead to, in the order of RFC 9110 section 13.2.2."""
        match, other, weak = f"If-Match: {etag}", 'If-Match: "other"', f"If-Match: W/{etag}"
        none, none_other = f"If-None-Match: {etag}", 'If-None-Match: "other"'
        since, since_before = f"If-Modified-Since: {date()}", f"If-Modified-Since: {date(-1)}"
        unless, unless_before = f"If-Unmodified-Since: {date()}", f"If-Unmodified-Since: {date(-1)}"
        return (
            ((match,), 200), ((other,), 412), ((weak,), 412), (("If-Match: *",), 200),
            ((f'If-Match: "a", {etag} ,"b"',), 200), ((other, match), 200), (("If-Match: x",), 412),
            ((unless,), 200), ((unless_before,), 412), (("If-Unmodified-Since: nonsense",), 200),
            ((f"If-Unmodified-Since: {date(1)}",), 200),
            ((match, unless_before), 200), ((other, unless), 412),
            ((none,), 304), ((none_other,), 200), (("If-None-Match: *",), 304),
            ((f"If-None-Match: W/{etag}",), 304), ((f'If-None-Match: "a",W/"b", {etag}',), 304),
            ((none_other, none), 304), (("If-None-Match: nonsense",), 200), (("If-None-Match: ",), 200),
            ((since,), 304), ((since_before,), 200), ((f"If-Modified-Since: {date(9)}",), 304),
            (("If-Modified-Since: nonsense",), 200), (("If-Modified-Since: 0",), 200),
            (("If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT",), 304),
            (("If-Modified-Since: Tue Nov 14 22:13:20 2023",), 304),
            ((none_other, since), 200), ((none, since_before), 304),
            ((match, none), 304), ((other, none), 412), ((unless_before, none), 412), ((unless, none), 304),
            ((unless, since), 304), ((match, since_before), 200), ((match, none_other, unless_before, since), 200),
        )

    def test_all_in_order(self):
        client = self.client()
        for name in self.NAMES:
            whole = client.get("/" + name)
            for (fields, status), method in itertools.product(self.table(whole["etag"]), ("GET", "HEAD")):
                with self.subTest(name=name, fields=fields, method=method):
                    response = client.ask(method, "/" + name, *fields)
                    self.assertEqual(response.status, status)
                    if status == 304:
                        self.assertEqual(response.body, b"")
                        self.assertEqual(response["etag"], whole["etag"])
                        self.assertIn(response["content-length"], (None, str(len(FILES[name]))))
                        self.assertIsNone(response["content-type"])
                    if status == 200 and method == "GET":
                        self.assertEqual(response.body, FILES[name])

    def test_what_is_not_there_has_no_condition(self):
        client = self.client()
        for fields in (("If-None-Match: *",), ("If-Match: *",), (f"If-Modified-Since: {date()}",)):
            self.assertEqual(client.get("/none", *fields).status, 404)

    def test_before_ranges(self):
        client = self.client()
        etag = client.get("/small.bin")["etag"]
        for fields, status in (((f"If-None-Match: {etag}",), 304), (('If-Match: "x"',), 412),
                               ((f"If-Match: {etag}",), 206), ((f"If-Modified-Since: {date()}",), 304)):
            with self.subTest(fields=fields):
                self.assertEqual(client.get("/small.bin", "Range: bytes=0-1", *fields).status, status)


class Lasting(SharedWebrootTest):
    ARGUMENTS = ("--cache-control", "*=max-age=31536000", "--header", "A: b", "--not-found", "404.html")

    @classmethod
    def fill(cls, root):
        for name in ("a.txt", "404.html"):
            root.put(name, b"word " * 100, mtime=OLD)

    def test_is_what_a_file_is_and_no_error(self):
        client = self.client()
        etag = client.get("/a.txt")["etag"]
        for target, fields, status in (
                ("/a.txt", (), 200), ("/a.txt", ("Range: bytes=0-1",), 206),
                ("/a.txt", (f"If-None-Match: {etag}",), 304), ("/a.txt", ('If-Match: "x"',), 412),
                ("/a.txt", ("Range: bytes=500-",), 416), ("/none", (), 404)):
            with self.subTest(status=status):
                response = client.get(target, *fields)
                self.assertEqual(response.status, status)
                self.assertEqual(response["cache-control"], "max-age=31536000" if status < 400 else None)
                self.assertEqual(response["etag"], etag if status < 400 else None)
                self.assertEqual((response["vary"], response["a"]), ("Accept-Encoding", "b"))

    def test_many_fields_are_one_list(self):
        client = self.client()
        etag = client.get("/a.txt")["etag"]
        others = [f'If-None-Match: "{number}"' for number in range(94)]
        self.assertEqual(client.get("/a.txt", *others, f"If-None-Match: {etag}").status, 304)
        self.assertEqual(client.get("/a.txt", *others).status, 200)


class Ranges(ConditionsTest):
    def assert_part(self, response, data, first, last):
        self.assertEqual(response.status, 206)
        self.assertEqual(response["content-range"], f"bytes {first}-{last}/{len(data)}")
        self.assertTrue(response.body == data[first:last + 1])

    def test_one(self):
        client = self.client()
        for name, data in FILES.items():
            size = len(data)
            for value, first, last in (
                    ("0-0", 0, 0), ("0-", 0, size - 1), ("-1", size - 1, size - 1), ("-500", size - 500, size - 1),
                    (f"-{size}", 0, size - 1), (f"-{size + 1}", 0, size - 1), ("1-", 1, size - 1),
                    ("10-19", 10, 19), (f"{size - 1}-", size - 1, size - 1), (f"0-{size}", 0, size - 1),
                    ("0-18446744073709551615", 0, size - 1), (" 5-6 ", 5, 6), (",5-6,", 5, 6),
                    (f"{size // 2}-{size // 2 + 700}", size // 2, min(size - 1, size // 2 + 700)),
                    (f"5-6,{size}-", 5, 6), ("00000000000000000000005-6", 5, 6)):
                with self.subTest(name=name, value=value):
                    self.assert_part(client.get("/" + name, f"Range: bytes={value}"), data, first, last)
        self.assert_part(client.get("/small.bin", "Range: BYTES=5-6"), FILES["small.bin"], 5, 6)

    def test_a_part_has_the_fields_of_the_whole(self):
        client = self.client()
        for name in FILES:
            whole, part = client.get("/" + name), client.get("/" + name, "Range: bytes=3-7")
            for field in ("etag", "last-modified", "content-type", "accept-ranges", "x-content-type-options"):
                self.assertEqual(whole[field], part[field])

    def test_none_that_can_be_had(self):
        client = self.client()
        for name, data in FILES.items():
            size = len(data)
            for value in (f"{size}-", f"{size}-{size}", "-0", f"{size + 5}-,-0", "18446744073709551615-"):
                with self.subTest(name=name, value=value):
                    response = client.get("/" + name, f"Range: bytes={value}")
                    self.assertEqual((response.status, response["content-range"]), (416, f"bytes */{size}"))
        response = client.get("/empty", "Range: bytes=0-")
        self.assertEqual((response.status, response["content-range"]), (416, "bytes */0"))
        self.assertEqual(client.get("/empty", "Range: bytes=-5").status, 200)

    def test_what_is_wrong_is_ignored(self):
        client = self.client()
        for value in ("bytes", "bytes=", "bytes=-", "bytes=5", "bytes=6-5", "bytes=a-b", "bytes=0x1-2",
                      "bytes=1-2;3-4", "bytes = 1-2", "bytes=1 -2", "bytes=1-2-3", "bytes=+1-2", "lines=1-2",
                      "=1-2", "1-2", "bytes=1-2,x", "bytes=--1", "bytes=18446744073709551616-",
                      "bytes=1-2,1-2,1-2", "bytes=0-,0-", "bytes=" + ",".join(["0-0"] * 17),
                      "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(17))):
            with self.subTest(value=value[:40]):
                response = client.get("/small.bin", f"Range: {value}")
                self.assertEqual((response.status, response.body), (200, FILES["small.bin"]))
                self.assertIsNone(response["content-range"])

    def test_not_with_head(self):
        client = self.client()
        for name, data in FILES.items():
            for value in ("0-0", "0-0,2-2", f"{len(data)}-"):
                response = client.ask("HEAD", "/" + name, f"Range: bytes={value}")
                self.assertEqual((response.status, response["content-length"]), (200, str(len(data))))
                self.assertIsNone(response["content-range"])

    def test_if_range(self):
        client = self.client()
        for name in ("small.bin", "large.bin"):
            etag = client.get("/" + name)["etag"]
            for value, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200), (date(), 206),
                                  (date(-1), 200), (date(1), 200), ("nonsense", 200), ("*", 200), ("", 200),
                                  (f"{etag}, {etag}", 200)):
                with self.subTest(name=name, value=value):
                    response = client.get("/" + name, "Range: bytes=1-3", f"If-Range: {value}")
                    self.assertEqual(response.status, status)
                    self.assertTrue(response.body == (FILES[name][1:4] if status == 206 else FILES[name]))
            beyond = client.get("/" + name, f"Range: bytes={len(FILES[name])}-", 'If-Range: "other"')
            self.assertEqual(beyond.status, 200)
            self.assertEqual(client.get("/" + name, f"If-Range: {etag}").status, 200)


class Several(ConditionsTest):
    def parts(self, response):
        """The parts as the email package reads them: (first, last, size, bytes), and as we do."""
        self.assertEqual(response.status, 206)
        self.assertIsNone(response["content-range"])
        content_type = response["content-type"]
        boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9A-Za-z'()+_,\-./:=?]{1,70})", content_type)[1]
        delimiter = b"--" + boundary.encode()
        pieces = (b"\r\n" + response.body).split(b"\r\n" + delimiter)
        self.assertEqual((pieces[0], pieces[-1]), (b"", b"--\r\n"))
        ours = []
        for piece in pieces[1:-1]:
            head, body = piece.split(b"\r\n\r\n", 1)
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            self.assertEqual(set(fields), {b"Content-Type", b"Content-Range"})
            ours.append((*map(int, CONTENT_RANGE.fullmatch(fields[b"Content-Range"].decode()).groups()), body))
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
            b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + response.body)
        self.assertTrue(message.is_multipart())
        self.assertEqual(message.defects, [])
        self.assertEqual([part["content-range"] for part in message.iter_parts()],
                         [f"bytes {first}-{last}/{size}" for first, last, size, _ in ours])
        return ours

    def test_parts_are_the_bytes(self):
        client = self.client()
        for name, data in FILES.items():
            size = len(data)
            for value, expected in (
                    ("0-0,-1", [(0, 0), (size - 1, size - 1)]),
                    ("0-9, 20-29 ,\t40-49", [(0, 9), (20, 29), (40, 49)]),
                    ("500-599,0-99", [(500, 599), (0, 99)]),
                    (f"0-0,{size}-,2-3", [(0, 0), (2, 3)]),
                    ("0-5,3-9", [(0, 5), (3, 9)]),
                    ("1-,0-0", [(1, size - 1), (0, 0)]),
                    (f"0-{size // 2 - 1},{size // 2}-", [(0, size // 2 - 1), (size // 2, size - 1)]),
                    (",".join(f"{3 * i}-{3 * i + 1}" for i in range(16)),
                     [(3 * i, 3 * i + 1) for i in range(16)])):
                with self.subTest(name=name, value=value):
                    response = client.get("/" + name, f"Range: bytes={value}")
                    parts = self.parts(response)
                    self.assertEqual([part[:3] for part in parts], [(*pair, size) for pair in expected])
                    self.assertTrue(all(body == data[first:last + 1] for first, last, _, body in parts))

    def test_each_answer_has_its_own_boundary(self):
        client = self.client()
        types = {client.get("/dash.txt", "Range: bytes=0-1,4-5")["content-type"] for _ in range(20)}
        self.assertEqual(len(types), 20)

    def test_pipelined(self):
        client = self.client()
        client.send(b"".join(request("GET", f"/{name}", "Range: bytes=0-99,200-299") for name in FILES) +
                    request("GET", "/small.bin"))
        for data in FILES.values():
            self.assertEqual([part[3] for part in self.parts(client.read())], [data[0:100], data[200:300]])
        self.assertEqual(client.read().body, FILES["small.bin"])


if __name__ == "__main__":
    unittest.main()
