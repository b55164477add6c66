#!/usr/bin/env python3
"""Content codings: files that lie compressed beside others, and what is compressed on the fly."""

import gzip
import re
import shutil
import subprocess
import unittest

from client import request
from harness import PROGRAM, scaled
from webroot import STRONG, SharedWebrootTest, WebrootTest, noise, text

VERSION = subprocess.run([PROGRAM, "--version"], capture_output=True, check=True, text=True).stdout
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
MADE = [coding for coding, library in (("br", "brotli"), ("zstd", "zstd"), ("gzip", "zlib"))
        if f"no {library}" not in VERSION]


def decoded(coding, body):
    """What was compressed; None when this machine has nothing to tell."""
    if coding in (None, "gzip"):
        return gzip.decompress(body) if coding else body
    tool = {"br": "brotli", "zstd": "zstd"}[coding]
    if not shutil.which(tool):
        return None
    return subprocess.run([tool, "-d", "-c"], input=body, capture_output=True, check=True).stdout


class CodingTest(SharedWebrootTest):
    def assert_is(self, response, plain, coding):
        self.assertEqual(response["content-encoding"], coding)
        self.assertIn(decoded(coding, response.body), (None, plain))
        self.assertRegex(response["etag"], STRONG)


class Beside(CodingTest):
    """Nothing is compressed here, so the siblings may be whatever they like."""

    ARGUMENTS = ("--no-compression",)
    ALL = "all.js"

    @classmethod
    def fill(cls, root):
        cls.bodies = {}
        for name, codings in (("all.js", ("br", "zstd", "gzip")), ("gzip.css", ("gzip",)), ("br.bin", ("br",)),
                              ("zstd.html", ("zstd",)), ("none.txt", ()), ("large.js", ("gzip", "br"))):
            cls.bodies[name, None] = root.put(name, text(100_000 if name == "large.js" else 900, name))
            for coding in codings:
                data = noise(80_000 if name == "large.js" else 300, len(cls.bodies))
                cls.bodies[name, coding] = root.put(name + SUFFIXES[coding], data)
        cls.bodies["dir/", None] = root.put("dir/index.html", b"<title>plain</title>")
        cls.bodies["dir/", "gzip"] = root.put("dir/index.html.gz", b"compressed")
        root.put("alone.txt.gz", b"nothing beside")

    def test_what_the_client_likes(self):
        client = self.client()
        for accept, coding in (
                (None, None), ("", None), ("identity", None), ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"),
                ("x-gzip", "gzip"), ("GZIP", "gzip"), ("gzip, br", "br"), ("br, gzip", "br"), ("gzip, zstd", "zstd"),
                ("gzip, deflate, br, zstd", "br"), ("gzip;q=1, br;q=0.5", "gzip"), ("gzip;q=0.5, br;q=0.4", "gzip"),
                ("br;q=0.001, gzip;q=0.002", "gzip"), ("br;q=0, gzip", "gzip"), ("br;q=0.0, zstd;q=0.000, gzip", "gzip"),
                ("*", "br"), ("*;q=0.5", "br"), ("*;q=0", None), ("gzip;q=0, *", "br"), ("*, br;q=0", "zstd"),
                ("br;q=0, zstd;q=0, *", "gzip"), ("identity, gzip", "gzip"), ("identity;q=1, gzip;q=0.5", None),
                ("identity;q=0.5, gzip;q=0.5", "gzip"), ("identity;q=0.5, gzip;q=0.4, br;q=0.6", "br"),
                ("deflate", None), ("compress, exi", None), ("gzip;q=2", None), ("gzip;q=0.1234", None),
                ("gzip;Q=1", "gzip"), ("gzip ; q=1 , ,", "gzip"), ("gzip;foo=bar", None), ("\"gzip\"", None),
                ("identity;q=0, gzip", "gzip"), ("*;q=0, gzip", "gzip"), ("gzip;q=0", None)):
            fields = () if accept is None else (f"Accept-Encoding: {accept}",)
            with self.subTest(accept=accept):
                for _ in range(2):
                    response = client.get("/all.js", *fields)
                    if accept == "*;q=0":
                        self.assertEqual(response.status, 406)
                        break
                    self.assertEqual((response.status, response["content-encoding"]), (200, coding))
                    self.assertEqual(response.body, self.bodies["all.js", coding])
                    self.assertEqual(response["content-type"], "text/javascript; charset=utf-8")
                    self.assertEqual(response["vary"], "Accept-Encoding")
        two = client.get("/all.js", "Accept-Encoding: identity", "Accept-Encoding: gzip")
        self.assertEqual(two["content-encoding"], "gzip")

    def test_nothing_acceptable(self):
        client = self.client()
        for accept in ("identity;q=0", "*;q=0", "br, identity;q=0", "br, *;q=0", "deflate, *;q=0"):
            with self.subTest(accept=accept):
                response = client.get("/gzip.css", f"Accept-Encoding: {accept}")
                self.assertEqual((response.status, response["vary"]), (406, "Accept-Encoding"))
        self.assertEqual(client.get("/none.txt", "Accept-Encoding: identity;q=0").status, 406)
        self.assertEqual(client.get("/gzip.css").status, 200)

    def test_each_has_an_etag_of_its_own(self):
        client, etags = self.client(), {}
        for coding in ("identity", "br", "zstd", "gzip"):
            response = client.get("/all.js", f"Accept-Encoding: {coding}")
            etags[coding] = response["etag"]
            again = client.get("/all.js", f"Accept-Encoding: {coding}", "If-None-Match: " + response["etag"])
            self.assertEqual((again.status, again["vary"]), (304, "Accept-Encoding"))
            self.assertIsNone(again["content-encoding"])
        self.assertEqual(len(set(etags.values())), 4)
        other = client.get("/all.js", "Accept-Encoding: br", "If-None-Match: " + etags["gzip"])
        self.assertEqual((other.status, other["etag"]), (200, etags["br"]))
        self.assertEqual(client.get("/all.js", "Accept-Encoding: br", "If-Match: " + etags["gzip"]).status, 412)

    def test_vary_is_only_said_where_it_is_true(self):
        client = self.client()
        for name, varies in (("all.js", True), ("gzip.css", True), ("br.bin", True), ("none.txt", False)):
            self.assertEqual(client.get("/" + name)["vary"], "Accept-Encoding" if varies else None)

    def test_parts_of_a_coded_form(self):
        client = self.client()
        for name in ("all.js", "large.js"):
            body, plain = self.bodies[name, "gzip"], self.bodies[name, None]
            whole = client.get("/" + name, "Accept-Encoding: gzip")
            self.assertEqual(whole.body, body)
            part = client.get("/" + name, "Accept-Encoding: gzip", "Range: bytes=10-19", "If-Range: " + whole["etag"])
            self.assertEqual((part.status, part.body, part["content-encoding"]), (206, body[10:20], "gzip"))
            self.assertEqual(part["content-range"], f"bytes 10-19/{len(body)}")
            other = client.get("/" + name, "Range: bytes=10-19", "If-Range: " + whole["etag"])
            self.assertEqual((other.status, other.body), (200, plain))
            beyond = client.get("/" + name, "Accept-Encoding: gzip", f"Range: bytes={len(body)}-")
            self.assertEqual((beyond.status, beyond["content-range"]), (416, f"bytes */{len(body)}"))

    def test_head_and_index(self):
        client = self.client()
        head = client.ask("HEAD", "/all.js", "Accept-Encoding: br")
        self.assertEqual((head["content-encoding"], head["content-length"]), ("br", "300"))
        self.assertEqual(client.get("/dir/", "Accept-Encoding: gzip").body, b"compressed")
        self.assertEqual(client.get("/dir/")["content-type"], "text/html; charset=utf-8")

    def test_a_compressed_file_by_its_own_name(self):
        client = self.client()
        for name, body in (("all.js.gz", self.bodies["all.js", "gzip"]), ("alone.txt.gz", b"nothing beside")):
            response = client.get("/" + name, "Accept-Encoding: gzip, br")
            self.assertEqual((response["content-type"], response.body), ("application/gzip", body))
            self.assertIsNone(response["content-encoding"])
        self.assertEqual(client.get("/alone.txt", "Accept-Encoding: gzip").status, 404)


class OnTheFly(CodingTest):
    @classmethod
    def fill(cls, root):
        cls.bodies = {name: root.put(name, data) for name, data in (
            ("a.txt", text(5000)), ("a.html", text(300)), ("a.css", text(256)), ("small.css", text(255)),
            ("large.json", text(200_000)), ("huge.txt", text((4 << 20) + 1)), ("most.txt", text(4 << 20)),
            ("noise.txt", noise(2000)), ("a.svg", text(1000)), ("a.png", text(1000)), ("a.bin", text(1000)),
            ("gz.js", text(1000)), ("empty.txt", b""))}
        cls.beside = root.put("gz.js.gz", gzip.compress(cls.bodies["gz.js"], 1))

    def test_decodes_to_the_original(self):
        client = self.client()
        for name in ("a.txt", "a.html", "a.css", "large.json", "a.svg", "most.txt"):
            for coding in MADE:
                with self.subTest(name=name, coding=coding):
                    response = client.get("/" + name, f"Accept-Encoding: {coding}")
                    self.assert_is(response, self.bodies[name], coding)
                    self.assertLess(len(response.body), len(self.bodies[name]))
                    self.assertEqual(response["vary"], "Accept-Encoding")
                    head = client.ask("HEAD", "/" + name, f"Accept-Encoding: {coding}")
                    self.assertEqual(head["content-length"], str(len(response.body)))
                    again = client.get("/" + name, f"Accept-Encoding: {coding}", "If-None-Match: " + response["etag"])
                    self.assertEqual(again.status, 304)
            self.assert_is(client.get("/" + name), self.bodies[name], None)

    def test_what_is_not_worth_it(self):
        client = self.client()
        for name in ("small.css", "huge.txt", "noise.txt", "a.png", "a.bin", "empty.txt"):
            for accept in ("gzip, br, zstd", "gzip", "*"):
                with self.subTest(name=name, accept=accept):
                    self.assert_is(client.get("/" + name, f"Accept-Encoding: {accept}"), self.bodies[name], None)
        self.assertEqual(client.get("/noise.txt", "Accept-Encoding: gzip, identity;q=0").status, 406)
        self.assertEqual(client.get("/noise.txt").body, self.bodies["noise.txt"])

    def test_is_made_once(self):
        client = self.client()
        for coding in MADE:
            first = client.get("/most.txt", f"Accept-Encoding: {coding}")
            before_s, count = self.server.cpu_s(), scaled(400, 100)
            for _ in range(count):
                again = client.ask("HEAD", "/most.txt", f"Accept-Encoding: {coding}")
                self.assertEqual((again["etag"], again["content-length"]), (first["etag"], first["content-length"]))
            # Anew, it would take some 5 ms each time at the very least.
            self.assertLess(self.server.cpu_s() - before_s, count * 0.004)

    def test_is_made_once_for_all_spellings(self):
        client = self.client()
        for coding in MADE:
            first = client.get("/most.txt", f"Accept-Encoding: {coding}")
            before_s, count = self.server.cpu_s(), scaled(400, 100)
            for number in range(count):
                spelt = "".join(f"%{ord(byte):02x}" if number >> at & 1 else byte for at, byte in enumerate("most.txt"))
                again = client.ask("HEAD", "/" + spelt, f"Accept-Encoding: {coding}")
                self.assertEqual((again["etag"], again["content-length"]), (first["etag"], first["content-length"]))
            self.assertLess(self.server.cpu_s() - before_s, count * 0.004)

    def test_who_has_nothing_more_to_say_gets_it_all_the_same(self):
        for number, coding in enumerate(MADE):
            client, plain = self.client(), self.root.put(f"half{number}.txt", text(2_000_000, coding))
            client.send(request("GET", f"/half{number}.txt", f"Accept-Encoding: {coding}"))
            client.half_close()
            response = client.read()
            self.assertEqual((response.status, response["content-encoding"]), (200, coding))
            self.assertIn(decoded(coding, response.body), (None, plain))
            client.expect_end()

    def test_all_etags_differ(self):
        client = self.client()
        etags = [client.get("/a.txt", f"Accept-Encoding: {coding}")["etag"] for coding in (*MADE, "identity")]
        self.assertEqual(len(set(etags)), len(etags))

    @unittest.skipUnless("gzip" in MADE, "without zlib")
    def test_what_lies_beside_is_better_than_what_is_made(self):
        client = self.client()
        response = client.get("/gz.js", "Accept-Encoding: gzip, br, zstd")
        self.assertEqual((response["content-encoding"], response.body), ("gzip", self.beside))
        if "br" in MADE:
            self.assertEqual(client.get("/gz.js", "Accept-Encoding: gzip;q=0.9, br")["content-encoding"], "br")

    def test_parts_of_what_is_made(self):
        client = self.client()
        for coding in MADE:
            whole = client.get("/large.json", f"Accept-Encoding: {coding}")
            part = client.get("/large.json", f"Accept-Encoding: {coding}", "Range: bytes=5-9",
                              "If-Range: " + whole["etag"])
            self.assertEqual((part.status, part.body), (206, whole.body[5:10]))
            self.assertEqual(part["content-range"], f"bytes 5-9/{len(whole.body)}")

    def test_many_ask_at_the_same_time(self):
        clients = [self.client() for _ in range(10)]
        self.root.put("new.txt", text(300_000, "new"))
        self.root.settle()
        for number, client in enumerate(clients):
            client.send(request("GET", "/new.txt", f"Accept-Encoding: {(*MADE, 'identity')[number % (len(MADE) + 1)]}"))
        for number, client in enumerate(clients):
            coding = (*MADE, None)[number % (len(MADE) + 1)]
            self.assert_is(client.read(), text(300_000, "new"), coding)


class Options(WebrootTest):
    def test_without_compression(self):
        plain = self.put("a.txt", text(5000))
        client = self.serve_client("--no-compression")
        response = client.get("/a.txt", "Accept-Encoding: gzip, br, zstd")
        self.assertEqual(response.body, plain)
        self.assertIsNone(response["content-encoding"])
        self.assertIsNone(response["vary"])

    def test_without_memory_nothing_is_made(self):
        plain = self.put("a.txt", text(5000))
        client = self.serve_client("--cache-size", "0")
        for _ in range(3):
            response = client.get("/a.txt", "Accept-Encoding: gzip, br, zstd")
            self.assertEqual((response.status, decoded(response["content-encoding"], response.body)), (200, plain))

    def test_pages_in_place_are_coded_too(self):
        page = self.put("404.html", text(2000))
        client = self.serve_client("--not-found", "404.html")
        for coding in (*MADE, None):
            response = client.get("/none", f"Accept-Encoding: {coding or 'identity'}")
            self.assertEqual((response.status, response["content-encoding"]), (404, coding))
            self.assertIn(decoded(coding, response.body), (None, page))

    def test_version_says_what_there_is(self):
        self.assertTrue(re.search(r"(no brotli|brotli [\d.]+), (no zlib|zlib [\d.]+), (no zstd|zstd [\d.]+)", VERSION))


if __name__ == "__main__":
    unittest.main()
