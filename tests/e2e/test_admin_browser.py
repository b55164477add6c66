#!/usr/bin/env python3
"""The operator's page as a real browser sees it: on a desk and on a telephone, light and dark, without its
style, to those who do not see it, and while it refreshes itself.

The pictures of what it saw are in the build's folder, tests/browser/."""

import os
import threading
import unittest

from browser import Browser, is_here
from harness import ROOT, ServerTest, wait_until

PICTURES = (os.environ.get("COREACTOR_BUILD") or ROOT + "/build/release") + "/tests/browser"
CONTRASTS = """
const channel = (value) => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
const luminance = (color) => {
    const [red, green, blue] = color.match(/[\\d.]+/g).map(Number).map(channel);
    return .2126 * red + .7152 * green + .0722 * blue;
};
const ground = (element) => {
    for (; element; element = element.parentElement) {
        const color = getComputedStyle(element).backgroundColor;
        if (color !== 'rgba(0, 0, 0, 0)') return color;
    }
};
return [...document.querySelectorAll('h1, h2, p, a, dt, dd, th, td')].map((element) => {
    const [dark, light] = [luminance(ground(element)), luminance(getComputedStyle(element).color)]
        .sort((a, b) => a - b);
    return [element.outerHTML.slice(0, 80), (light + .05) / (dark + .05)];
});
"""
browser = None


def setUpModule():
    global browser
    if not is_here():
        raise unittest.SkipTest("there is no chromium here, or no chromedriver: scripts/install-deps --test")
    browser = Browser()
    unittest.addModuleCleanup(browser.close)


class Dashboard(ServerTest):
    def setUp(self):
        self.addCleanup(browser.console)
        self.addCleanup(browser.go, "about:blank")

    def admin_server(self, threads):
        return self.serve("-j", str(threads), "--balance", "handoff", "--admin", "127.0.0.1:0", "--drain-timeout", "0")

    def keep_busy(self, server):
        """Clients that ask all the time, until the test is over."""
        stop = threading.Event()

        def ask():
            with server.client() as client:
                while not stop.wait(0.005):
                    client.get()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()

        def end():
            stop.set()
            for thread in threads:
                thread.join()
        self.addCleanup(end)

    def text(self, css):
        return browser.run("return document.querySelector(arguments[0]).innerText", css)

    def test_every_width_and_scheme(self):
        server = self.admin_server(4)
        self.keep_busy(server)
        for width, height in ((1200, 1000), (375, 1600)):
            browser.set_width(width, height)
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    browser.set_color_scheme(scheme)
                    browser.go(server.admin_url + "?refresh=0")
                    self.assertEqual(browser.title, "coreactor: status")
                    self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
                    poor = [found for found in browser.run(CONTRASTS) if found[1] < 4.5]
                    self.assertEqual(poor, [])
                    self.assertEqual(browser.console(), [])
                    self.assertTrue(browser.screenshot(f"{PICTURES}/admin-{width}-{scheme}.png"))

    def test_sixty_four_reactors(self):
        server = self.admin_server(64)
        for width in (1200, 375):
            browser.set_width(width)
            browser.go(server.admin_url + "status?refresh=0")
            self.assertEqual(len(browser.find("tbody tr svg")), 64 * 3)
            self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
            # What does not fit is reached by scrolling the table alone, from the keyboard too.
            reach = browser.run("""
                const box = document.querySelector('.scroll');
                box.focus();
                box.scrollLeft = 1e6;
                const last = box.querySelector('thead th:last-child').getBoundingClientRect();
                return [document.activeElement === box, Math.round(last.right)];""")
            self.assertTrue(reach[0])
            self.assertLessEqual(reach[1], width)

    def test_what_those_hear_who_do_not_see_it(self):
        server = self.admin_server(3)
        browser.go(server.admin_url + "?refresh=0")
        nodes = [node for node in browser.developer("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]

        def names(role):
            return [node["name"]["value"] for node in nodes if node["role"]["value"] == role]
        self.assertIn("Reactors", names("table"))
        self.assertEqual(names("heading")[:2], ["coreactor", "Reactors"])
        headers = names("columnheader")
        for header in ("Reactor", "Load", "Connections", "Requests/s", "Busy", "Lag", "Stalls"):
            self.assertIn(header, headers)
        for header in ("0", "1", "2", "All", "Idle", "2xx", "Resident memory"):
            self.assertIn(header, names("rowheader"))
        self.assertIn("main", {node["role"]["value"] for node in nodes})
        # The bars say nothing that a number does not say.
        self.assertEqual(names("image") + names("img"), [])
        self.assertEqual(browser.run("return document.documentElement.lang"), "en")

    def test_without_its_style(self):
        server = self.admin_server(2)
        browser.go(server.admin_url + "?refresh=0")
        browser.run("document.querySelector('style').remove()")
        browser.screenshot(f"{PICTURES}/admin-plain.png")
        self.assertIn("serving", self.text("header"))
        box = browser.run("const {width, height} = document.querySelector('svg').getBoundingClientRect();"
                          "return [width, height]")
        self.assertEqual(box, [72, 6])

    def test_it_refreshes_itself(self):
        server = self.admin_server(2)
        browser.go(server.admin_url)
        browser.run("document.title = 'old'")
        with server.client() as client:
            for _ in range(7):
                client.get()
            wait_until(lambda: browser.title != "old", "the page is fetched again")
        wait_until(lambda: self.text("tfoot td:last-child") == "7", "it shows what has happened")
        browser.click(browser.find("header a")[0])
        wait_until(lambda: browser.url.endswith("?refresh=0"), "the link leads to the page that stays")
        self.assertEqual(browser.find("meta[http-equiv=refresh]"), [])

    def test_nothing_else_is_allowed(self):
        server = self.admin_server(1)
        browser.go(server.admin_url + "?refresh=0")
        browser.run("const script = document.createElement('script');"
                    "script.textContent = 'document.title = \"ran\"'; document.body.append(script)")
        self.assertEqual(browser.title, "coreactor: status")
        self.assertTrue([line for line in browser.console() if "Content Security Policy" in line])


if __name__ == "__main__":
    unittest.main()
