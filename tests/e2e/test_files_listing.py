#!/usr/bin/env python3
"""Directories without an index.html, with --listing: a page for people, and JSON."""

import html.parser
import json
import os
import re
import unittest
from datetime import datetime, timezone
from urllib.parse import urljoin, urlsplit

from webroot import SharedWebrootTest, WebrootTest

OLD = 1_700_000_000
MODIFIED = "2023-11-14T22:13:20Z"
VOID = {"meta", "link", "br", "img", "hr", "input"}
OPTIONAL_END = {"html"}  # the only ones whose start or end is left out here: html, head, body
NASTY = (
    "a b", "a&b", "<script>alert(1)<", "\"quoted\"", "it's", "a%41b", "a#b", "a?b=c", "a:b", "javascript:alert(1)",
    "&amp;", "&lt;b&gt;", "ünïcödé", "日本語", "🎉", "a+b", "a;b", "a=b", "~", "$HOME", "`id`", "(x)", "[y]", "{z}",
    "http:", "*", "|", " leading", "trailing ", "e\u0301", "\u202egpj.exe", "-rf", "a,b", "@", "!", "^", "con",
    "x" * 255, "]]>", "<!--", "-->", "<title>", "<table>", "%", "%00", "%2e%2e", "%2F", "\ufeffbom", "a..b",
)
NEVER = ("back\\slash", "new\nline", "tab\t", "bell\a", "del\x7f", "\x85next")  # what no request can name


class Page(html.parser.HTMLParser):
    """What is in a page; complains about what is not well-formed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts = [], [], {}
        self.rows, self.hrefs, self.wrong = [], [], []
        self.feed(text)
        self.close()
        self.wrong += [name for name in self.open if name not in OPTIONAL_END]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.wrong.append(f"attributes of {tag}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self.hrefs.append(dict(attrs)["href"])
        if tag == "tr":
            self.rows.append({"cells": []})
        if tag in ("th", "td"):
            self.rows[-1]["cells"].append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag] = self.texts.get(tag, "") + data
        if "th" in self.open or "td" in self.open:
            self.rows[-1]["cells"][-1] += data

    def all_of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


class ListingTest(SharedWebrootTest):
    ARGUMENTS = ("--listing",)

    @classmethod
    def fill(cls, root):
        for name in NASTY:
            root.put("nasty/" + name, name, mtime=OLD)
            root.put(f"nasty dirs/{name[:250]}/inner &.txt", b"x", mtime=OLD)
        for name in NEVER:
            with open(root.of("nasty/" + name), "wb"):
                pass
        with open(os.fsencode(root.of("nasty/")) + b"not \xff utf-8", "wb"):
            pass
        for name, size in (("a1.txt", 0), ("a2.txt", 1), ("a10.txt", 1234567), ("B.txt", 999), (".hidden", 3)):
            root.put("plain/" + name, b"x" * size, mtime=OLD)
        for name in ("zz", "y"):
            os.mkdir(root.of("plain/" + name))
            os.utime(root.of("plain/" + name), (OLD, OLD))
        os.mkfifo(root.of("plain/fifo"))
        os.symlink("a1.txt", root.of("plain/link.txt"))
        os.symlink("/etc/passwd", root.of("plain/passwd"))
        root.put("indexed/index.html", b"the index")
        root.put("indexed/other.txt", b"x")
        os.makedirs(root.of("a/b <c>/d"))
        os.mkdir(root.of("empty"))
        os.mkdir(root.of("many"))
        for number in range(20_000):
            os.close(os.open(root.of(f"many/{number:05}.txt"), os.O_CREAT | os.O_WRONLY, 0o644))

    def page(self, client, target):
        response = client.get(target)
        self.assertEqual((response.status, response["content-type"]), (200, "text/html; charset=utf-8"))
        page = Page(response.body.decode("utf-8"))
        self.assertEqual(page.wrong, [])
        return page

    def listing(self, client, target):
        response = client.get(target, "Accept: application/json")
        self.assertEqual((response.status, response["content-type"]), (200, "application/json"))
        return json.loads(response.body.decode("utf-8"))


class Html(ListingTest):
    def test_document(self):
        response = self.client().get("/plain/")
        self.assertTrue(response.body.startswith(b"<!doctype html>\n"))
        page = Page(response.body.decode())
        self.assertEqual(page.wrong, [])
        self.assertEqual(page.all_of("html"), [{"lang": "en"}])
        self.assertEqual((len(page.all_of("h1")), len(page.all_of("title")), len(page.all_of("table"))), (1, 1, 1))
        self.assertEqual(page.texts["title"], "/plain/")
        self.assertEqual(page.texts["h1"], "plain/")
        self.assertEqual(page.texts["caption"], "2 directories, 4 files")
        self.assertEqual([th["scope"] for th in page.all_of("th")], ["col"] * 3 + ["row"] * 6)
        self.assertEqual(page.all_of("script"), [])

    def test_rows(self):
        page = self.page(self.client(), "/plain/")
        self.assertEqual([row["cells"][0] for row in page.rows],
                         ["Name", "y/", "zz/", "B.txt", "a1.txt", "a2.txt", "a10.txt"])
        self.assertEqual([row["cells"][1] for row in page.rows],
                         ["Size", "", "", "999 B", "0 B", "1 B", "1.2 MB"])
        self.assertEqual([data["value"] for data in page.all_of("data")], ["999", "0", "1", "1234567"])
        self.assertEqual({time["datetime"] for time in page.all_of("time")}, {MODIFIED})
        self.assertEqual(len(page.all_of("time")), 6)

    def test_fields(self):
        client = self.client()
        response = client.get("/plain/")
        self.assertEqual(response["cache-control"], "no-cache")
        self.assertEqual(response["vary"], "Accept")
        self.assertEqual(response["x-content-type-options"], "nosniff")
        self.assertIn("default-src 'none'", response["content-security-policy"])
        head = client.ask("HEAD", "/plain/")
        self.assertEqual((head.status, head["content-length"]), (200, str(len(response.body))))

    def test_every_link_leads_somewhere(self):
        client = self.client()
        for target in ("/", "/plain/", "/nasty/", "/nasty%20dirs/", "/a/b%20%3Cc%3E/d/", "/a/", "/empty/"):
            page = self.page(client, target)
            for href in page.hrefs:
                with self.subTest(target=target, href=href):
                    url = urlsplit(urljoin("http://localhost" + target, href))
                    self.assertEqual((url.scheme, url.netloc, url.query, url.fragment), ("http", "localhost", "", ""))
                    # Without redirect: directories are linked with their slash.
                    self.assertEqual(client.ask("HEAD", url.path).status, 200)

    def test_nasty_names_are_names(self):
        client = self.client()
        page = self.page(client, "/nasty/")
        self.assertEqual(sorted(row["cells"][0] for row in page.rows[1:]), sorted(NASTY))
        names = [row["cells"][0] for row in page.rows[1:]]
        for name, href in zip(names, page.hrefs[-len(names):], strict=True):
            self.assertEqual(client.get(urlsplit(urljoin("http://localhost/nasty/", href)).path).body, name.encode())
        self.assertEqual(page.all_of("script"), [])
        self.assertEqual(len(self.page(client, "/nasty%20dirs/").rows), 1 + len(NASTY))
        deep = self.page(client, "/a/b%20%3Cc%3E/d/")
        self.assertEqual(deep.texts["title"], "/a/b <c>/d/")

    def test_empty(self):
        page = self.page(self.client(), "/empty/")
        self.assertEqual(page.rows, [])
        self.assertIn("nothing", page.texts["p"])

    def test_too_many(self):
        client = self.client()
        page = self.page(client, "/many/")
        self.assertEqual(len(page.rows), 10_001)
        self.assertEqual(page.texts["caption"], "The first 10,000 entries; 10,000 more are not shown.")
        self.assertEqual([row["cells"][0] for row in page.rows[1:]], [f"{number:05}.txt" for number in range(10_000)])
        listing = self.listing(client, "/many/")
        self.assertEqual((len(listing["entries"]), listing["omitted"]), (10_000, 10_000))
        self.assertEqual(client.get("/many/19999.txt").status, 200)

    def test_index_wins_and_what_is_not_there(self):
        client = self.client()
        self.assertEqual(client.get("/indexed/").body, b"the index")
        self.assertEqual(client.get("/indexed/", "Accept: application/json").body, b"the index")
        self.assertEqual(client.get("/plain")["location"], "/plain/")
        for target in ("/none/", "/plain/a1.txt/", "/plain/link.txt/", "/plain/fifo/"):
            self.assertEqual(client.get(target).status, 404)


class Json(ListingTest):
    def test_document(self):
        listing = self.listing(self.client(), "/plain/")
        self.assertEqual((listing["path"], listing["omitted"]), ("/plain/", 0))
        self.assertEqual([entry["name"] for entry in listing["entries"]],
                         ["y", "zz", "B.txt", "a1.txt", "a2.txt", "a10.txt"])
        self.assertEqual(listing["entries"][0], {"name": "y", "type": "directory", "modified": MODIFIED})
        self.assertEqual(listing["entries"][5],
                         {"name": "a10.txt", "type": "file", "size": 1234567, "modified": MODIFIED})

    def test_nasty_names(self):
        client = self.client()
        listing = self.listing(client, "/nasty/")
        self.assertEqual(sorted(entry["name"] for entry in listing["entries"]), sorted(NASTY))
        self.assertEqual(self.listing(client, "/a/b%20%3Cc%3E/")["path"], "/a/b <c>/")
        self.assertEqual(self.listing(client, "/empty/"), {"path": "/empty/", "entries": [], "omitted": 0})
        self.assertEqual(self.listing(client, "/")["path"], "/")

    def test_who_gets_it(self):
        client = self.client()
        for accept, is_json in (
                ("application/json", True), ("application/json, */*;q=0.5", True), ("*/*", False), ("text/html", False),
                ("text/html, application/json", False), ("text/html;q=0.9, application/json", True), ("", False),
                ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", False),
                ("application/*", True), ("application/json;q=0", False), ("nonsense", False)):
            with self.subTest(accept=accept):
                response = client.get("/plain/", f"Accept: {accept}")
                self.assertEqual(response["content-type"] == "application/json", is_json)
                self.assertEqual(response["vary"], "Accept")


class Options(WebrootTest):
    def setUp(self):
        super().setUp()
        self.put("dir/a.txt", b"x")
        self.put("dir/.hidden", b"x")
        self.put("file.txt", b"x")
        for name, to in (("in.txt", "../file.txt"), ("indir", "../dir"), ("out", "../.."), ("absolute", "/etc/passwd"),
                         ("dangling", "none"), ("loop", "loop")):
            os.symlink(to, self.root.of("dir/" + name))

    def names(self, client, target="/dir/"):
        response = client.get(target, "Accept: application/json")
        return [entry["name"] for entry in json.loads(response.body)["entries"]]

    def test_no_listing_unless_it_is_wanted(self):
        client = self.serve_client()
        for target in ("/dir/", "/"):
            for accept in ("*/*", "application/json"):
                response = client.get(target, f"Accept: {accept}")
                self.assertEqual(response.status, 404)
                self.assertNotIn(b"a.txt", response.body)

    def test_only_what_may_be_asked_for(self):
        self.assertEqual(self.names(self.serve_client("--listing")), ["a.txt"])
        self.assertEqual(self.names(self.serve_client("--listing", "--dotfiles")), [".hidden", "a.txt"])
        client = self.serve_client("--listing", "--follow-symlinks")
        self.assertEqual(self.names(client), ["indir", "a.txt", "in.txt"])
        self.assertEqual(self.names(client, "/dir/indir/"), ["indir", "a.txt", "in.txt"])

    def test_changes_show_at_once(self):
        client = self.serve_client("--listing", "--header", "X-Ours: yes")
        for number in range(20):
            self.put(f"new/{number}", b"x")
            self.assertEqual(len(self.names(client, "/new/")), number + 1)
        self.assertEqual(client.get("/new/")["x-ours"], "yes")

    def test_fallback_is_for_what_is_not_there(self):
        self.put("app.html", b"application")
        client = self.serve_client("--listing", "--fallback", "app.html")
        self.assertEqual(self.names(client), ["a.txt"])
        self.assertEqual(client.get("/none/").body, b"application")

    def test_times_of_all_ages(self):
        times = {"epoch": 0, "before": -1, "leap": 951_782_400, "far": 4_102_444_800}
        for name, mtime in times.items():
            self.put("times/" + name, b"x", mtime=mtime)
        client = self.serve_client("--listing")
        listing = json.loads(client.get("/times/", "Accept: application/json").body)
        for entry in listing["entries"]:
            expected = datetime.fromtimestamp(times[entry["name"]], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.assertEqual(entry["modified"], expected)
        self.assertRegex(client.get("/times/").body, re.compile(rb'datetime="1969-12-31T23:59:59Z"'))


if __name__ == "__main__":
    unittest.main()
