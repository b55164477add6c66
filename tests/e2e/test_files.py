#!/usr/bin/env python3
"""What a client gets from --root: files, their fields, and the operator's wishes."""

import os
import time
import unittest
from email.utils import formatdate, parsedate_to_datetime

from client import PAGE, request
from harness import Finished, curl
from webroot import KEPT_MAX, STRONG, SharedWebrootTest, WebrootTest, noise, text

OLD = 1_700_000_000  # when most files here were changed: Tue, 14 Nov 2023 22:13:20 GMT

FILES = {
    "index.html": PAGE,
    "a.txt": text(500),
    "empty.txt": b"",
    "empty.bin": b"",
    "kept.bin": noise(KEPT_MAX, 1),
    "sent.bin": noise(KEPT_MAX + 1, 2),
    "large.bin": noise(3_000_000, 3),
    "docs/index.html": b"<title>docs</title>",
    "docs/a b&c.txt": b"a name\n",
    "docs/%41.txt": b"decoded once\n",
    "docs/ü/日本.txt": b"in UTF-8\n",
    "bare/file.txt": b"no index\n",
}


class FilesTest(SharedWebrootTest):
    ARGUMENTS = ("--no-compression",)

    @classmethod
    def fill(cls, root):
        for name, data in FILES.items():
            root.put(name, data, mtime=OLD)
        os.mkdir(root.of("void"))

    def assert_file(self, response, name, status=200):
        self.assertEqual(response.status, status)
        self.assertEqual(int(response["content-length"]), len(FILES[name]))
        self.assertTrue(response.body == FILES[name], name)


class Content(FilesTest):
    def test_every_byte_of_every_file(self):
        client = self.client()
        for _ in range(2):  # first read, then kept
            for target, name in (
                    ("/index.html", "index.html"), ("/a.txt", "a.txt"), ("/kept.bin", "kept.bin"),
                    ("/empty.txt", "empty.txt"), ("/sent.bin", "sent.bin"), ("/large.bin", "large.bin"),
                    ("/empty.bin", "empty.bin"), ("/docs/a%20b&c.txt", "docs/a b&c.txt"),
                    ("/docs/a%20b%26c.txt", "docs/a b&c.txt"), ("/docs/%2541.txt", "docs/%41.txt"),
                    ("/docs/%C3%BC/%e6%97%A5%E6%9C%AC.txt", "docs/ü/日本.txt"),
                    ("/%61.txt", "a.txt"), ("/a.txt?b=c", "a.txt"), ("http://localhost/a.txt", "a.txt")):
                with self.subTest(target=target):
                    self.assert_file(client.get(target), name)

    def test_head_has_the_fields_of_get(self):
        client = self.client()
        for target in ("/", "/a.txt", "/empty.txt", "/kept.bin", "/sent.bin", "/large.bin", "/none",
                       "/docs", "/bare/"):
            with self.subTest(target=target):
                get, head = client.get(target), client.ask("HEAD", target)
                self.assertEqual(get.status, head.status)
                self.assertEqual([field for field in get.fields if field[0] != "date"],
                                 [field for field in head.fields if field[0] != "date"])
        self.assertEqual(client.get("/a.txt").body, FILES["a.txt"])

    def test_directories(self):
        client = self.client()
        self.assert_file(client.get("/"), "index.html")
        self.assert_file(client.get("/docs/"), "docs/index.html")
        self.assertEqual(client.get("/docs/")["content-type"], "text/html; charset=utf-8")
        for target in ("/bare/", "/void/", "/a.txt/", "/none/", "/docs/index.html/"):
            with self.subTest(target=target):
                self.assertEqual(client.get(target).status, 404)

    def test_a_directory_gets_its_slash(self):
        client = self.client()
        for target, location in (("/docs", "/docs/"), ("/docs?", "/docs/?"), ("/bare", "/bare/"),
                                 ("/docs?a=b&c=%20d?e", "/docs/?a=b&c=%20d?e"),
                                 ("/docs/%C3%BC", "/docs/%C3%BC/"), ("/d%6Fcs", "/d%6Fcs/"),
                                 ("http://example.org/docs?q", "/docs/?q")):
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual((response.status, response["location"]), (301, location))
        self.assertEqual(client.ask("HEAD", "/docs").status, 301)

    def test_no_redirect_leads_elsewhere(self):
        client = self.client()
        for target in ("//docs", "//example.org/docs", "/\\docs", "//docs/..", "/.//docs"):
            with self.subTest(target=target):
                response = client.get(target)
                self.assertIn(response.status, (400, 404))
                self.assertIsNone(response["location"])

    def test_curl(self):
        body = curl("-o", "/dev/null", "-L", "-w", "%{http_code} %{num_redirects} %{size_download}",
                    self.server.url + "/docs")
        self.assertEqual(body, f"200 1 {len(FILES['docs/index.html'])}")
        part = curl("-r", "5-9", "-w", " %{http_code}", self.server.url + "/a.txt")
        self.assertEqual(part, FILES["a.txt"][5:10].decode() + " 206")
        etag = self.client().get("/a.txt")["etag"]
        for condition in (f"If-None-Match: {etag}", f"If-Modified-Since: {formatdate(OLD, usegmt=True)}"):
            self.assertEqual(curl("-H", condition, "-w", "%{http_code}", self.server.url + "/a.txt"), "304")

    def test_only_get_and_head(self):
        client = self.client()
        for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get"):
            with self.subTest(method=method):
                response = client.ask(method, "/a.txt", body=b"x")
                self.assertEqual((response.status, response["allow"]), (405, "GET, HEAD"))
        self.assert_file(client.get("/a.txt"), "a.txt")
        options = client.ask("OPTIONS", "*")
        self.assertEqual((options.status, options["allow"]), (204, "GET, HEAD"))


class Fields(FilesTest):
    def test_validators(self):
        client, etags = self.client(), set()
        for name in ("a.txt", "empty.txt", "empty.bin", "kept.bin", "sent.bin", "large.bin"):
            response = client.get("/" + name)
            self.assertRegex(response["etag"], STRONG)
            self.assertEqual(response["last-modified"], formatdate(OLD, usegmt=True))
            self.assertEqual(response["accept-ranges"], "bytes")
            self.assertEqual(client.get("/" + name)["etag"], response["etag"])
            etags.add(response["etag"])
        self.assertEqual(len(etags), 6)

    def test_all_reactors_have_the_same_etag(self):
        with_more = self.serve("-j", "4", "--root", self.root.path, "--no-compression")
        etags = {self.connect(with_more).get("/a.txt")["etag"] for _ in range(32)}
        self.assertEqual(etags, {self.client().get("/a.txt")["etag"]})

    def test_no_sniffing_and_nothing_twice(self):
        client = self.client()
        for target in ("/a.txt", "/sent.bin", "/large.bin", "/", "/docs", "/none"):
            response = client.get(target)
            names = [name for name, _ in response.fields]
            self.assertEqual(sorted(names), sorted(set(names)))
            if response.status == 200:
                self.assertEqual(response["x-content-type-options"], "nosniff")
            self.assertIsNone(response["cache-control"])

    def test_date_is_not_before_last_modified(self):
        response = self.client().get("/a.txt")
        self.assertGreaterEqual(parsedate_to_datetime(response["date"]),
                                parsedate_to_datetime(response["last-modified"]))


class Types(WebrootTest):
    def test_media_types(self):
        types = {
            "a.html": "text/html; charset=utf-8", "a.HTM": "text/html; charset=utf-8",
            "a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
            "a.mjs": "text/javascript; charset=utf-8", "a.json": "application/json",
            "a.txt": "text/plain; charset=utf-8", "a.svg": "image/svg+xml", "a.png": "image/png",
            "a.b.JPEG": "image/jpeg", "a.wasm": "application/wasm", "a.woff2": "font/woff2",
            "a.webp": "image/webp", "a.mp4": "video/mp4", "a.pdf": "application/pdf",
            "a.bin": "application/octet-stream", "noextension": "application/octet-stream",
            "a.": "application/octet-stream", "html": "application/octet-stream",
            "a.tar.gz": "application/gzip", "a.unknown-thing": "application/octet-stream",
        }
        for name in types:
            self.put(name, b"x")
        client = self.serve_client()
        for name, content_type in types.items():
            with self.subTest(name=name):
                self.assertEqual(client.get("/" + name)["content-type"], content_type)


class Order(FilesTest):
    def test_pipelined_cached_files_byte_for_byte(self):
        client = self.client()
        names = ["a.txt", "empty.txt", "index.html", "kept.bin"] * 25
        for _ in range(2):
            client.send(b"".join(request("GET", "/" + name) for name in names))
            for name in names:
                self.assert_file(client.read(), name)

    def test_large_and_small_mixed(self):
        client = self.client()
        names = ["large.bin", "a.txt", "sent.bin", "kept.bin", "large.bin", "empty.txt", "sent.bin"] * 2
        targets = ["/" + name for name in names]
        client.send(b"".join(request("GET", target) for target in targets) +
                    request("HEAD", "/large.bin") + request("GET", "/none") +
                    request("GET", "/large.bin", "Range: bytes=2999990-", "Connection: close"))
        for name in names:
            self.assert_file(client.read(), name)
        self.assertEqual(client.read(head=True)["content-length"], "3000000")
        self.assertEqual(client.read().status, 404)
        last = client.read()
        self.assertEqual((last.status, last.body), (206, FILES["large.bin"][-10:]))
        self.assertTrue(last.closes)
        client.expect_end()

    def test_http_1_0(self):
        client = self.client()
        self.assert_file(client.get("/sent.bin", version="HTTP/1.0"), "sent.bin")
        client.expect_end()

    def test_who_leaves_does_no_harm(self):
        for _ in range(20):
            client = self.client()
            client.send(request("GET", "/large.bin") * 3)
            client.more(1000)
            client.reset()
        self.assert_file(self.client().get("/large.bin"), "large.bin")


class Spellings(WebrootTest):
    def test_the_spelling_of_one_file_is_the_name_of_another(self):
        """Whatever is in the cache: what was decoded is not decoded again, nor the other way round."""
        files = {"A": "plain", "%41": "a percent sign", "100%": "a lone one"}
        for name, data in files.items():
            self.put(name, data)
        answers = {"/A": b"plain", "/%41": b"plain", "/%2541": b"a percent sign", "/100%25": b"a lone one"}
        client = self.serve_client()
        for target in (*answers, *reversed(answers)):
            with self.subTest(target=target):
                self.assertEqual(client.get(target).body, answers[target])
        self.assertEqual(client.get("/100%").status, 400)


class Sizes(WebrootTest):
    def test_what_is_kept_makes_no_difference(self):
        names = {f"{size}": noise(size, size) for size in (1, 1023, 1024, 1025, 16384, 16385, 65537)}
        for name, data in names.items():
            self.put(name, data)
        for arguments in ((), ("--cache-file", "1K"), ("--cache-file", "0"), ("--cache-size", "0"),
                          ("--cache-size", "100K"), ("--cache-file", "1M", "--cache-size", "1M")):
            client = self.serve_client(*arguments)
            for _ in range(2):
                for name, data in names.items():
                    with self.subTest(arguments=arguments, name=name):
                        self.assertEqual(client.get("/" + name).body, data)
                        part = client.get("/" + name, "Range: bytes=-1")
                        self.assertEqual((part.status, part.body), (206, data[-1:]))

    def test_bodies_as_large_as_what_a_turn_sends(self):
        """What is left after a turn goes on in the next one, and so does the next request."""
        mib = 1 << 20
        names = {f"{size}": noise(size, size) for size in
                 (mib - 1, mib, mib + 1, mib + 2, mib + mib // 2, 2 * mib - 1, 2 * mib, 2 * mib + 1)}
        for name, data in names.items():
            self.put(name, data)
        for arguments in (("--cache-file", "8M", "--cache-size", "256M"), ("--cache-file", "0")):
            server = self.serve_root(*arguments)
            for name, data in names.items():
                with self.subTest(arguments=arguments, name=name), server.client(receive_buffer=8 << 20) as client:
                    client.send(request("GET", "/" + name) * 2)
                    self.assertTrue(client.read().body == data)
                    self.assertTrue(client.read().body == data)
                    self.assertTrue(client.get("/" + name).body == data)
                    part = client.get("/" + name, "Range: bytes=1-")
                    self.assertTrue(part.body == data[1:])


class Policy(WebrootTest):
    def test_cache_control(self):
        for name in ("a.css", "b.js", "assets/a.css", "assets/deep/x.png", "other/assets/y.png"):
            self.put(name, b"x")
        client = self.serve_client(
            "--cache-control", "/assets/*=public, max-age=31536000, immutable",
            "--cache-control", "*.css=max-age=60", "--cache-control", "b.?s= no-cache ")
        immutable = "public, max-age=31536000, immutable"
        for target, value in (("/a.css", "max-age=60"), ("/b.js", "no-cache"),
                              ("/assets/a.css", immutable), ("/assets/deep/x.png", immutable),
                              ("/other/assets/y.png", None)):
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual(response["cache-control"], value)
                again = client.get(target, "If-None-Match: " + response["etag"])
                self.assertEqual((again.status, again["cache-control"]), (304, value))

    def test_further_fields(self):
        self.put("a.txt", b"x")
        self.put("404.html", b"gone")
        client = self.serve_client("--header", "X-Frame-Options: DENY", "--header",
                                   "Referrer-Policy:no-referrer", "--not-found", "404.html")
        for target, *fields in (("/a.txt",), ("/a.txt", "Range: bytes=0-0"), ("/none",),
                                ("/a.txt", "Range: bytes=7-"),
                                ("/a.txt", "If-None-Match: " + client.get("/a.txt")["etag"])):
            with self.subTest(target=target, fields=fields):
                response = client.get(target, *fields)
                self.assertEqual(response["x-frame-options"], "DENY")
                self.assertEqual(response["referrer-policy"], "no-referrer")

    def test_what_is_wrong_is_said(self):
        for arguments in (("--header", "X"), ("--header", "ETag: \"x\""), ("--header", "A B: c"),
                          ("--header", "X: a\nb"), ("--header", "Cache-Control: no-store"),
                          ("--header", "Content-Length: 3"), ("--header", "X-Content-Type-Options: x"),
                          ("--header", "Location: /"), ("--cache-control", "no-cache"),
                          ("--cache-control", "=x"), ("--cache-control", "*.css="),
                          ("--not-found", "../x"), ("--not-found", "x/"), ("--fallback", "a/./b")):
            with self.subTest(arguments=arguments):
                finished = Finished("-l", "127.0.0.1:0", "--root", self.root.path, *arguments)
                self.assertNotEqual(finished.status, 0)
                self.assertRegex(finished.stderr, r"\Acoreactor: [^\n]+\n\Z")
        for root in ("/nowhere/at/all", "/dev/null", ""):
            finished = Finished("-l", "127.0.0.1:0", "--root", root)
            self.assertNotEqual(finished.status, 0)
            self.assertRegex(finished.stderr, r"\Acoreactor: [^\n]+\n\Z")


class InPlace(WebrootTest):
    def test_not_found_page(self):
        page = self.put("errors/404.html", text(1000, "lost"))
        self.put("a.txt", b"there")
        client = self.serve_client("--not-found", "/errors/404.html", "--no-compression")
        for target in ("/none", "/a/b/c", "/errors/", "/.hidden", "/../x"):
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual((response.status, response.body), (404, page))
                self.assertEqual(response["content-type"], "text/html; charset=utf-8")
                for name in ("etag", "last-modified", "accept-ranges"):
                    self.assertIsNone(response[name])
        self.assertEqual(client.get("/none", "Range: bytes=0-0").status, 404)
        self.assertEqual(client.get("/none", "If-None-Match: *").status, 404)
        head = client.ask("HEAD", "/none")
        self.assertEqual((head.status, head["content-length"]), (404, "1000"))
        self.assertEqual(client.get("/errors/404.html").status, 200)
        self.assertEqual(client.get("/a.txt").body, b"there")
        self.assertEqual(client.get("/%").status, 400)

    def test_a_not_found_page_that_is_not_there(self):
        client = self.serve_client("--not-found", "404.html")
        self.assertEqual(client.get("/none").status, 404)
        page = self.put("404.html", b"late")
        self.assertEqual(client.get("/none").body, page)
        self.assertEqual(client.get("/none", "Accept-Encoding: identity;q=0").status, 404)
        os.unlink(self.root.of("404.html"))
        self.assertNotEqual(client.get("/none").body, page)

    def test_fallback(self):
        page = self.put("index.html", b"<title>application</title>")
        self.put("a.txt", b"there")
        self.put("dir/b.txt", b"there")
        client = self.serve_client("--fallback", "index.html")
        for target in ("/route", "/route/7?x=y", "/", "/dir/", "/dir/none.js"):
            with self.subTest(target=target):
                response = client.get(target)
                self.assertEqual((response.status, response.body), (200, page))
                self.assertRegex(response["etag"], STRONG)
        etag = client.get("/")["etag"]
        self.assertEqual(client.get("/route", "If-None-Match: " + etag).status, 304)
        self.assertEqual(client.get("/dir").status, 301)
        self.assertEqual(client.get("/a.txt").body, b"there")

    def test_fallback_that_is_not_there_leads_to_not_found(self):
        self.put("404.html", b"gone")
        client = self.serve_client("--fallback", "app.html", "--not-found", "404.html")
        response = client.get("/route")
        self.assertEqual((response.status, response.body), (404, b"gone"))
        page = self.put("app.html", b"here")
        self.assertEqual(client.get("/route").body, page)


class Times(WebrootTest):
    def test_times_of_all_ages(self):
        for name, mtime in (("epoch", 0), ("future", int(time.time()) + 86400), ("before", -86400)):
            self.put(name, b"x", mtime=mtime)
        client = self.serve_client()
        for name in ("epoch", "future", "before"):
            with self.subTest(name=name):
                response = client.get("/" + name)
                self.assertEqual((response.status, response.body), (200, b"x"))
                again = client.get("/" + name, "If-None-Match: " + response["etag"])
                self.assertEqual(again.status, 304)
                if response["last-modified"]:  # RFC 9110 section 8.8.2.1: never after Date
                    self.assertLessEqual(parsedate_to_datetime(response["last-modified"]),
                                         parsedate_to_datetime(response["date"]))


if __name__ == "__main__":
    unittest.main()
