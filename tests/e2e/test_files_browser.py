#!/usr/bin/env python3
"""The file server as a real browser sees it: Chromium opens a site with styles, a script, pictures and a
video, seeks, reloads, and finds its way through listings of names that are hard to link to.

The pictures of what it saw are in the build's folder, tests/browser/."""

import gzip
import json
import os
import shutil
import tempfile
import unittest
import unicodedata

import webm
from browser import Browser, is_here
from harness import HERE, ROOT, ServerTest, wait_until

SITE = HERE + "/site"
PICTURES = (os.environ.get("COREACTOR_BUILD") or ROOT + "/build/release") + "/tests/browser"
HOLE = 64 << 20  # in the video: more than the browser and the kernel take in advance

POLICY = "default-src 'self'"
TEXTS = {
    "/": "text/html; charset=utf-8",
    "/site.css": "text/css; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/data.json": "application/json",
    "/logo.svg": "image/svg+xml",
}
TYPES = {**TEXTS, "/picture.png": "image/png", "/video.webm": "video/webm"}

# Each of these is a file with its name in it, or a directory that ends with a slash.
NASTY = [
    "é.txt", unicodedata.normalize("NFD", "ö.txt"), "日本語 🎬.txt", "a b.txt", " leading.txt",
    "two  spaces.txt", "#hash.txt", "what?.txt", "100%.txt", "%41.txt", "%2e%2e%2fetc.txt",
    "<script>window.ran=1<script>.txt", "<img src=x onerror=window.ran=1>.txt",
    "\"><svg onload=window.ran=1>.txt", "' onmouseover='window.ran=1' x='.txt", "&lt;&amp;.txt",
    "javascript:window.ran=1;.txt", "http:example.txt", "semi;colon=,+&.txt",
    "{curly}[square]|^`~.txt", "\u202egnp.txt", "x" * 200 + ".txt",
    "<b>dir #1?%/",
]

CONTRASTS = """
const channel = (value) => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
const luminance = (color) => {
    const [red, green, blue] = color.match(/[\\d.]+/g).map(Number).map(channel);
    return .2126 * red + .7152 * green + .0722 * blue;
};
const ground = luminance(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('h1, a, td, th, caption, p')].map((element) => {
    const [dark, light] = [ground, luminance(getComputedStyle(element).color)].sort((a, b) => a - b);
    return [element.outerHTML.slice(0, 80), (light + .05) / (dark + .05)];
});
"""

SEEK = """
const [video, to] = [document.getElementById('video'), args[0]];
return new Promise((resolve, reject) => {
    video.onseeked = () => resolve(video.currentTime);
    video.onerror = () => reject(video.error.message);
    video.currentTime = to;
});
"""

LOADED = """
const video = document.getElementById('video');
const failed = new Promise((_, reject) => video.onerror = () => reject(video.error.message));
if (args[0]) video.src = args[0];
if (args[0] || video.readyState < video.HAVE_METADATA)
    await Promise.race([failed, new Promise((resolve) => video.onloadedmetadata = resolve)]);
return {duration: video.duration, width: video.videoWidth, height: video.videoHeight};
"""

browser = None


def setUpModule():
    global browser
    if not is_here():
        raise unittest.SkipTest("there is no chromium here, or no chromedriver: scripts/install-deps --test")
    browser = Browser()
    unittest.addModuleCleanup(browser.close)


class BrowserTest(ServerTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name + "/root"
        self.log = folder.name + "/access.log"
        self.marks = 0
        os.mkdir(self.root)
        # Whatever the one before has left: answers, messages, emulated media.
        self.addCleanup(browser.console)
        self.addCleanup(browser.responses)
        self.addCleanup(browser.go, "about:blank")

    def file_server(self, *arguments):
        # A drain would only wait for what the browser has paused.
        return self.serve("--root", self.root, "--access-log", self.log, "--access-log-format",
                          "json", "--drain-timeout", "0", *arguments)

    def site_server(self, *arguments):
        shutil.copytree(SITE, self.root, dirs_exist_ok=True, copy_function=shutil.copyfile)
        return self.file_server(*arguments)

    def logged(self):
        with open(self.log, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def statuses(self):
        """What the server has answered: target -> statuses."""
        found = {}
        for line in self.logged():
            found.setdefault(line["target"], []).append(line["status"])
        return found

    def new_statuses(self, server):
        """What a server of one reactor, which logs in order, has answered since the last call."""
        self.marks += 1
        with server.client() as client:
            client.get(f"/?mark={self.marks}")
        wait_until(lambda: f"/?mark={self.marks}" in self.statuses(), "the mark is logged")
        lines = self.logged()
        targets = [line["target"] for line in lines]
        before = targets.index(f"/?mark={self.marks - 1}") + 1 if self.marks > 1 else 0
        found = {}
        for line in lines[before:targets.index(f"/?mark={self.marks}")]:
            found.setdefault(line["target"], []).append(line["status"])
        return found

    def open(self, url):
        browser.go(url)
        browser.wait_for("document.body.dataset.ready")

    def assert_quiet(self):
        """No message of an error; an icon is asked for by the browser, not by the page."""
        self.assertEqual([said for said in browser.console() if "/favicon.ico " not in said], [])


class SiteTest(BrowserTest):
    def test_a_page_with_all_that_belongs_to_it(self):
        server = self.site_server("--header", f"Content-Security-Policy: {POLICY}")
        self.open(server.url)
        browser.wait_for("document.getElementById('video').readyState >= 1")
        self.assertEqual(browser.title, "A site for a browser")
        self.assertEqual(browser.run(
            "return getComputedStyle(document.querySelector('header')).backgroundColor"), "rgb(16, 58, 110)")
        with open(SITE + "/data.json", encoding="utf-8") as file:
            greeting = json.load(file)["greeting"]
        self.assertEqual(browser.run("return document.getElementById('greeting').textContent"), greeting)
        self.assertEqual(browser.run("return [...document.images].map((image) => [image.naturalWidth,"
                                     "image.naturalHeight])"), [[48, 48], [320, 180]])
        self.assert_quiet()
        answers = {answer.path: answer for answer in browser.responses()}
        self.assertEqual(set(answers), set(TYPES))
        for path, answer in answers.items():
            with self.subTest(path):
                self.assertEqual(answer.status, 206 if path == "/video.webm" else 200, answer)
                self.assertEqual(answer.protocol, "http/1.1")
                self.assertEqual(answer["Content-Type"], TYPES[path])
                self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
                self.assertEqual(answer["Content-Security-Policy"], POLICY)
                self.assertEqual(answer["Accept-Ranges"], "bytes")
                if path in TEXTS:
                    self.assertIn(answer["Content-Encoding"], ("br", "zstd", "gzip"))
                    self.assertEqual(answer["Vary"], "Accept-Encoding")
                else:
                    self.assertIsNone(answer["Content-Encoding"])
        self.assertTrue(browser.run_async(
            "await document.getElementById('video').play(); return true;"))
        browser.run("document.getElementById('video').pause()")
        browser.run_async(SEEK, 3.5)
        browser.screenshot(PICTURES + "/site.png")

    def test_files_that_are_there_in_compressed_form(self):
        shutil.copytree(SITE, self.root, dirs_exist_ok=True)
        with gzip.open(self.root + "/app.js.gz", "wb") as file:
            file.write(b"document.body.dataset.ready = document.body.dataset.from = 'app.js.gz';")
        server = self.file_server("--no-compression")
        self.open(server.url)
        self.assertEqual(browser.run("return document.body.dataset.from"), "app.js.gz")
        self.assert_quiet()

    def test_a_reload_asks_whether_anything_has_changed(self):
        server = self.site_server("--cache-control", "*=no-cache", "-j", "1")
        self.open(server.url)
        self.assertEqual(self.new_statuses(server)["/app.js"], [200])
        browser.reload()
        browser.wait_for("document.body.dataset.ready")
        statuses = self.new_statuses(server)
        for path in TYPES:
            with self.subTest(path):
                self.assertIn(304, statuses[path])
                # The icon is one of the page's pictures, and may come late.
                self.assertTrue(set(statuses[path]) == {304} or path == "/logo.svg", statuses)
        self.assertEqual(browser.run(
            "return getComputedStyle(document.querySelector('header')).backgroundColor"), "rgb(16, 58, 110)")

        with open(self.root + "/site.css", "a", encoding="utf-8") as file:
            file.write("header { background: rgb(1, 2, 3); }\n")

        def is_seen():
            browser.reload()
            browser.wait_for("document.body.dataset.ready")
            return browser.run("return getComputedStyle(document.querySelector('header')).backgroundColor"
                               ) == "rgb(1, 2, 3)"
        wait_until(is_seen, "the browser sees the change of the style sheet")
        statuses = self.new_statuses(server)
        self.assertEqual(statuses["/site.css"][-1], 200)
        self.assertEqual(set(statuses["/app.js"]), {304})
        self.assert_quiet()

    def test_what_may_be_kept_is_not_asked_for_again(self):
        server = self.site_server("--cache-control", "*.css=max-age=3600", "--cache-control",
                                  "/app.js=public, max-age=31536000, immutable", "--cache-control", "*=no-cache",
                                  "-j", "1")
        self.open(server.url)
        self.new_statuses(server)
        browser.go("about:blank")
        self.open(server.url)
        statuses = self.new_statuses(server)
        self.assertEqual(statuses["/"], [304])
        self.assertEqual(statuses["/data.json"], [304])
        self.assertNotIn("/site.css", statuses)
        self.assertNotIn("/app.js", statuses)

    def test_routes_of_the_application(self):
        server = self.site_server("--fallback", "index.html")
        for path in ("/about/us", "/about/us/", "/a%20b/%C3%A9?q=1"):
            with self.subTest(path):
                self.open(server.url + path)
                self.assertEqual(browser.run("return document.getElementById('route').textContent"),
                                 path.split("?")[0])
                document = next(answer for answer in browser.responses() if answer.kind == "Document")
                self.assertEqual(document.status, 200)
                self.assertEqual(document["Content-Type"], "text/html; charset=utf-8")
        browser.click(browser.find("nav a")[0])
        browser.wait_for("document.body.dataset.ready && location.pathname === '/'")
        self.assert_quiet()

    def test_a_page_for_what_is_not_there(self):
        server = self.site_server("--not-found", "404.html")
        browser.go(server.url + "/no/such/page")
        self.assertEqual(browser.title, "Not here")
        self.assertEqual(browser.run("return getComputedStyle(document.getElementById('missing')).textAlign"),
                         "center")
        document = next(answer for answer in browser.responses() if answer.kind == "Document")
        self.assertEqual(document.status, 404)
        self.assertEqual(document["Content-Type"], "text/html; charset=utf-8")
        self.assertIn(document["Content-Encoding"], ("br", "zstd", "gzip"))
        browser.click(browser.find("a")[0])
        browser.wait_for("document.body.dataset.ready")


class VideoTest(BrowserTest):
    """A video of which the browser does not fetch everything, because there is so much nothing in it."""

    def setUp(self):
        super().setUp()
        self.second_half = webm.stretch(SITE + "/video.webm", self.root + "/long.webm", HOLE)
        self.size = os.path.getsize(self.root + "/long.webm")

    def open_video(self):
        server = self.site_server()
        self.open(server.url)
        browser.responses()
        self.assertEqual(browser.run_async(LOADED, "/long.webm"),
                         {"duration": 8, "width": 320, "height": 180})

    def ranges(self):
        """The first bytes of the ranges that the browser has had of the video."""
        firsts = []
        for answer in browser.responses():
            if answer.path == "/long.webm":
                self.assertEqual(answer.status, 206, answer)
                first, last = answer["Content-Range"].removeprefix("bytes ").split("/")[0].split("-")
                self.assertEqual(answer["Content-Range"], f"bytes {first}-{last}/{self.size}")
                self.assertEqual(int(answer["Content-Length"]), int(last) - int(first) + 1)
                self.assertEqual(answer["Content-Type"], "video/webm")
                self.assertIsNone(answer["Content-Encoding"])
                firsts.append(int(first))
        return firsts

    def test_a_seek_asks_for_a_range(self):
        self.open_video()
        self.assertEqual(browser.run_async(SEEK, 7.5), 7.5)
        firsts = self.ranges()
        self.assertEqual(firsts[0], 0)
        # It asks for whole blocks of its cache.
        self.assertGreater(max(firsts), self.second_half - (1 << 20))
        self.assertEqual(browser.run_async(SEEK, 1), 1)
        self.assert_quiet()
        browser.go("about:blank")
        # What came from behind the hole did not come through it.
        wait_until(lambda: any(line["target"] == "/long.webm" and line["status"] == 206 and
                               line["bytes"] < 1 << 20 for line in self.logged()), "a short range is logged")

    def test_it_plays_on_over_the_hole(self):
        self.open_video()
        self.assertEqual(browser.run_async(SEEK, 3.6), 3.6)
        self.assertGreater(browser.run_async("""
            const video = document.getElementById('video');
            video.playbackRate = 4;
            const late = new Promise((resolve) => video.ontimeupdate = () => {
                if (video.currentTime > 5) resolve(video.currentTime);
            });
            await video.play();
            return late;
        """), 5)
        self.assert_quiet()

    def test_what_it_has_had_enough_of(self):
        """The browser resets the connection of a range that it does not want yet, and asks for the rest
        when it does: with the validator of what it has already."""
        self.open_video()
        first = wait_until(lambda: [line for line in self.logged() if line["target"] == "/long.webm"],
                           "it has given the first range up")[0]
        self.assertEqual(first["status"], 206)
        self.assertLess(first["bytes"], self.size)
        self.assertEqual(browser.run_async(SEEK, 3), 3)
        self.assertEqual(browser.run_async(SEEK, 6), 6)
        self.assertEqual(browser.run_async(SEEK, 0.5), 0.5)
        browser.go("about:blank")
        self.assertLessEqual(set(self.statuses()["/long.webm"]), {206, 304})
        self.assert_quiet()


class ListingTest(BrowserTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(browser.developer, "Emulation.clearDeviceMetricsOverride")
        self.addCleanup(browser.set_color_scheme, "")

    def make(self, *names):
        for name in names:
            path = f"{self.root}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not name.endswith("/"):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"this is {name}\n")

    def assert_nothing_ran(self):
        self.assertIsNone(browser.run("return window.ran === undefined ? null : window.ran"))
        self.assertEqual(browser.run("return document.scripts.length"), 0)

    def test_links_lead_to_files_whatever_they_are_called(self):
        inner = NASTY[-1] + "inner #2.txt"
        self.make(*NASTY, inner)
        server = self.file_server("--listing")
        browser.go(server.url)
        shown = browser.run("return [...document.querySelectorAll('tbody a')].map((a) => a.textContent)")
        self.assertEqual(sorted(shown), sorted(NASTY))
        for index, name in enumerate(shown):
            with self.subTest(name):
                browser.go(server.url)
                self.assert_nothing_ran()
                browser.click(browser.find("tbody a")[index])
                browser.wait_for("location.pathname.length > 1 && document.readyState === 'complete'")
                if name.endswith("/"):
                    self.assertEqual(browser.title, "/" + name)
                    self.assertEqual(browser.run("return document.querySelector('h1').textContent"), name)
                    self.assert_nothing_ran()
                    browser.click(browser.find("tbody a")[0])
                    browser.wait_for("document.body.textContent.startsWith('this is')")
                    name = inner
                self.assertEqual(browser.run("return document.body.textContent"), f"this is {name}\n")
        self.assert_quiet()
        self.assertEqual({line["status"] for line in self.logged() if line["target"] != "/favicon.ico"}, {200})

    def test_the_way_up(self):
        self.make("one #/two %41/three <i>/four.txt")
        server = self.file_server("--listing")
        browser.go(server.url)
        for title in ("/one #/", "/one #/two %41/", "/one #/two %41/three <i>/"):
            browser.click(browser.find("tbody a")[0])
            wait_until(lambda: browser.title == title, title)
        browser.click(browser.find("nav a")[1])
        wait_until(lambda: browser.title == "/one #/", "the first directory is there again")
        browser.click(browser.find("a[rel=up]")[0])
        wait_until(lambda: browser.title == "/", "the root is there again")
        self.assert_quiet()

    def test_what_assistive_technology_is_told(self):
        self.make("<b>dir/", "é #1?.txt", "b.txt", "deep/in/here.txt")
        server = self.file_server("--listing")
        for path in ("/", "/deep/in/"):
            with self.subTest(path):
                browser.go(server.url + path)
                nodes = [(node["role"]["value"], node["name"]["value"])
                         for node in browser.developer("Accessibility.getFullAXTree")["nodes"]
                         if not node["ignored"] and "name" in node]
                roles = {}
                for role, name in nodes:
                    roles.setdefault(role, []).append(name)
                self.assertTrue(all(name.strip() for name in roles["link"]), roles)
                self.assertEqual(len(roles["heading"]), 1)
                self.assertEqual(roles["columnheader"], ["Name", "Size", "Modified"])
                self.assertTrue(roles["table"][0], "a table without a name")
                self.assertEqual(len(roles["rowheader"]),
                                 browser.run("return document.querySelectorAll('tbody tr').length"))
                self.assertIn("main", roles)
                self.assertTrue(browser.run("return document.documentElement.lang"))
                self.assertEqual(browser.run("return [...document.querySelectorAll('th')]"
                                             ".filter((th) => !th.scope).length"), 0)
                self.assertEqual(browser.run("return document.compatMode"), "CSS1Compat")
        self.assert_quiet()

    def test_colors_and_widths(self):
        self.make("assets/logo.svg", "docs/guide.html", "fonts/", "src/main.c", "été 2026 (1).jpg",
                  "CHANGELOG.md", "index.txt", "LICENSE", "release-1.2.3.tar.gz", "w" * 120 + ".txt")
        self.make(*(f"docs/chapters and verses/{number}.txt" for number in range(3)))
        shutil.copyfile(SITE + "/video.webm", self.root + "/holiday.webm")
        with open(self.root + "/disk image.iso", "wb") as file:
            file.truncate(4_700_000_000)
        server = self.file_server("--listing")
        for scheme in ("light", "dark"):
            browser.set_color_scheme(scheme)
            for name, path in (("root", "/"), ("directory", "/docs/chapters%20and%20verses/")):
                with self.subTest(scheme=scheme, path=path):
                    browser.go(server.url + path)
                    for element, contrast in browser.run(CONTRASTS):
                        self.assertGreaterEqual(contrast, 4.5, element)  # WCAG 2.2 section 1.4.3
                    browser.screenshot(f"{PICTURES}/listing-{name}-{scheme}.png")
        self.assertEqual(browser.run("return matchMedia('(prefers-color-scheme: dark)').matches"), True)
        browser.set_color_scheme("light")
        browser.go(server.url)
        for width in (320, 600, 2000):  # 320: WCAG 2.2 section 1.4.10
            browser.set_width(width)
            self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
            browser.screenshot(f"{PICTURES}/listing-root-{width}.png")
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
