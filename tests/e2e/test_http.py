#!/usr/bin/env python3
"""What a well-behaved client gets: the page, its fields, and when a connection stays open."""

import re
import subprocess
import time
import unittest
from email.utils import parsedate_to_datetime

from client import PAGE, request
from harness import ServerTest, SharedServerTest, curl

DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT")


class HttpTest(SharedServerTest):
    def client(self):
        return self.connect(self.server)

    def assert_page(self, response, head=False):
        self.assertEqual((response.status, response.reason), (200, "OK"))
        self.assertEqual(response.body, b"" if head else PAGE)
        self.assertEqual(response["content-length"], "83")
        self.assertEqual(response["content-type"], "text/html; charset=utf-8")

    def assert_not_allowed(self, response, body=b"405 Method Not Allowed\n"):
        self.assertEqual((response.status, response.reason), (405, "Method Not Allowed"))
        self.assertEqual(response["allow"], "GET, HEAD")
        self.assertEqual(response.body, body)


class Page(HttpTest):
    def test_is_the_83_bytes_of_the_article(self):
        self.assertEqual(len(PAGE), 83)
        self.assert_page(self.client().get())

    def test_on_every_path(self):
        client = self.client()
        for target in ("/", "/index.html", "/a/b/../c", "/%00%2f", "/?q=1&r=%20", "/" + "x" * 8000,
                       "//", "/;a=b", "http://localhost/", "http://localhost:1/x?y",
                       "http://localhost"):
            with self.subTest(target=target[:40]):
                self.assert_page(client.get(target))
                self.assert_page(client.ask("HEAD", target), head=True)

    def test_head_has_the_fields_of_get(self):
        client = self.client()
        get, head = client.get(), client.ask("HEAD", "/")
        self.assertEqual([name for name, _ in get.fields], [name for name, _ in head.fields])
        self.assert_page(head, head=True)
        self.assert_page(client.get())

    def test_method_names_are_case_sensitive(self):
        self.assert_not_allowed(self.client().ask("get", "/"))

    def test_other_methods_are_not_allowed(self):
        client = self.client()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "GETT", "GE", "!#$%&'*"):
            with self.subTest(method=method):
                response = client.ask(method, "/")
                self.assert_not_allowed(response)
                self.assertFalse(response.closes)
        options = client.ask("OPTIONS", "*")
        self.assertEqual((options.status, options["allow"]), (204, "GET, HEAD"))
        self.assert_page(client.get())

    def test_one_empty_line_before_a_request_is_skipped(self):
        client = self.client()
        for _ in range(2):
            client.send(b"\r\n" + request())
            self.assert_page(client.read())


class Fields(HttpTest):
    def test_server(self):
        self.assertEqual(self.client().get()["server"], "coreactor")

    def test_date_is_valid_and_current(self):
        client = self.client()
        # The second round is after the date that was made for the first has expired.
        for pause_s in (0, 1.2, 1.2):
            time.sleep(pause_s)
            before = int(time.time())
            date = client.get()["date"]
            self.assertRegex(date, DATE)
            parsed = parsedate_to_datetime(date)
            self.assertEqual(parsed.strftime("%a, %d %b %Y %H:%M:%S GMT"), date)
            # It may be from the end of the second before: the reactor looks at the clock once a turn.
            self.assertLessEqual(before - 1, parsed.timestamp())
            self.assertLessEqual(parsed.timestamp(), time.time())

    def test_nothing_is_said_twice(self):
        for method in ("GET", "HEAD", "POST"):
            names = [name for name, _ in self.client().ask(method, "/").fields]
            self.assertEqual(sorted(names), sorted(set(names)))


class KeepAlive(HttpTest):
    def test_http_1_1_stays_open_until_close_is_asked(self):
        client = self.client()
        for _ in range(5):
            self.assertIsNone(client.get()["connection"])
        for option in ("keep-alive", "Keep-Alive, foo", "closed", "x-close"):
            self.assertIsNone(client.get("/", f"Connection: {option}")["connection"])
        response = client.get("/", "Connection: close")
        self.assert_page(response)
        self.assertTrue(response.closes)
        client.expect_end()

    def test_close_is_found_in_lists_and_in_any_case(self):
        for lines in (["Connection: CLOSE"], ["connection:foo , close\t, bar"],
                      ["Connection: keep-alive, close"], ["Connection: foo", "CONNECTION: Close"],
                      ["Connection: keep-alive", "Connection: close"]):
            with self.subTest(lines=lines):
                client = self.client()
                self.assertTrue(client.get("/", *lines).closes)
                client.expect_end()

    def test_http_1_0_closes_unless_keep_alive_is_asked(self):
        client = self.client()
        for _ in range(3):
            response = client.get("/", "Connection: keep-alive", version="HTTP/1.0")
            self.assert_page(response)
            self.assertEqual(response["connection"], "keep-alive")
        response = client.get(version="HTTP/1.0")
        self.assert_page(response)
        self.assertTrue(response.closes)
        client.expect_end()

    def test_http_1_0_needs_no_host(self):
        client = self.client()
        self.assert_page(client.get(version="HTTP/1.0", host=None))
        client.expect_end()

    def test_close_applies_to_head_and_405_too(self):
        for method in ("HEAD", "POST"):
            client = self.client()
            self.assertTrue(client.ask(method, "/", "Connection: close").closes)
            client.expect_end()

    def test_requests_after_close_are_not_answered(self):
        client = self.client()
        client.send(request("GET", "/", "Connection: close") + request() + request())
        self.assertTrue(client.read().closes)
        client.expect_end()

    def test_a_higher_minor_version_is_1_1(self):
        client = self.client()
        self.assert_page(client.get(version="HTTP/1.9"))
        self.assert_page(client.get())


class Bodies(HttpTest):
    def test_are_discarded_and_the_next_request_is_answered(self):
        client = self.client()
        for size in (1, 2, 100, 32767, 32768, 32769, 200_000, 1 << 20):
            for method in ("POST", "GET"):
                with self.subTest(size=size, method=method):
                    # A body that looks like a request must not be taken for one.
                    body = (request("GET", "/smuggled", "Connection: close") * (size // 50 + 1))[:size]
                    client.send(request(method, "/", body=body) + request("HEAD"))
                    response = client.read()
                    self.assertEqual(response.status, 405 if method == "POST" else 200)
                    self.assertFalse(response.closes)
                    self.assert_page(client.read(head=True), head=True)

    def test_may_come_later_than_the_head(self):
        client = self.client()
        head, body = request("POST", "/", "Content-Length: 10"), b"0123456789"
        client.send(head)
        self.assert_not_allowed(client.read())
        client.send(body[:4])
        self.assertTrue(client.hears_nothing(0.05))
        client.send(body[4:] + request())
        self.assert_page(client.read())

    def test_an_empty_body(self):
        client = self.client()
        self.assert_not_allowed(client.ask("POST", "/", "Content-Length: 0"))
        self.assert_not_allowed(client.ask("POST", "/", "Content-Length: 000"))
        self.assert_page(client.get())

    def test_expecting_100_continue_gets_the_final_answer_and_the_end(self):
        # The client may send the body or leave it: nobody can tell, so nothing can follow.
        for body in (b"", b"x" * 5, b"x" * 5 + request()):
            client = self.client()
            client.send(request("POST", "/", "Expect: 100-continue", "Content-Length: 5"))
            response = client.read()
            self.assert_not_allowed(response)
            self.assertTrue(response.closes)
            if body:
                client.send(body)
            client.expect_end()

    def test_expecting_100_continue_without_a_body(self):
        client = self.client()
        self.assert_page(client.get("/", "Expect: 100-Continue"))
        self.assert_page(client.get())


class Curl(HttpTest):
    def test_get(self):
        self.assertEqual(curl(self.server.url + "/").encode(), PAGE)

    def test_head(self):
        head = curl("-I", self.server.url + "/")
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"), head)
        self.assertIn("\r\nContent-Length: 83\r\n", head)
        self.assertTrue(head.endswith("\r\n\r\n"))

    def test_http_1_0(self):
        answer = curl("-i", "--http1.0", self.server.url + "/")
        self.assertIn("\r\nConnection: close\r\n", answer)
        self.assertTrue(answer.endswith(PAGE.decode()))

    def test_post(self):
        status = curl("-d", "a=b", "-o", "/dev/null", "-w", "%{http_code}", self.server.url)
        self.assertEqual(status, "405")

    def test_post_that_expects_100_continue(self):
        answer = curl("-H", "Expect: 100-continue", "-d", "x" * 5000, "-o", "/dev/null",
                      "-w", "%{http_code} %{size_upload}", self.server.url)
        # 405 comes instead of 100: curl keeps the body to itself.
        self.assertEqual(answer, "405 0")

    def test_several_urls_share_a_connection(self):
        urls = [f"{self.server.url}/{i}" for i in range(5)]
        sinks = ["-o", "/dev/null"] * len(urls)
        counts = curl("-w", "%{http_code} %{num_connects}\n", *sinks, *urls)
        self.assertEqual(counts.splitlines(), ["200 1"] + ["200 0"] * 4)

    def test_several_urls_with_bodies_share_a_connection(self):
        urls = [f"{self.server.url}/{i}" for i in range(3)]
        sinks = ["-o", "/dev/null"] * len(urls)
        counts = curl("-d", "x" * 1000, "-w", "%{http_code} %{num_connects}\n", *sinks, *urls)
        self.assertEqual(counts.splitlines(), ["405 1"] + ["405 0"] * 2)

    def test_a_prior_knowledge_http_2_client_is_turned_away(self):
        result = subprocess.run(
            ["curl", "-q", "-sS", "--max-time", "30", "--noproxy", "*", "--http2-prior-knowledge",
             self.server.url], capture_output=True, check=False)
        self.assertNotIn(result.returncode, (0, 28), result)
        self.assert_page(self.client().get())

    def test_an_upgrade_to_http_2_is_declined(self):
        self.assertEqual(curl("--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                              self.server.url), "200 1.1")


class Summary(ServerTest):
    def test_counts_requests_and_connections(self):
        server = self.serve("-j", "2")
        for requests in (3, 1, 0):
            with server.client() as client:
                for _ in range(requests):
                    client.get()
        with server.client() as client:
            client.send(b"nonsense\r\n\r\n")
            self.assertEqual(client.read().status, 400)
        self.assertEqual(server.stop(), (5, 4))


if __name__ == "__main__":
    unittest.main()
