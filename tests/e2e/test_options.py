#!/usr/bin/env python3
"""What the options say is what the server does: limits on requests, the access log's file, SIGUSR1; and
mistakes in them."""

import os
import signal
import tempfile
import unittest

from client import request
from harness import SUMMARY, Finished, ServerTest, wait_until


class Mistakes(unittest.TestCase):
    def assert_fails(self, status, words, *arguments):
        finished = Finished(*arguments)
        self.assertEqual((finished.status, finished.stdout), (status, ""), finished.stderr)
        self.assertRegex(finished.stderr, r"\Acoreactor: [^\n]+\n\Z")
        self.assertIn(words, finished.stderr)

    def test_out_of_range(self):
        for option, values in (
                ("--max-header-bytes", ("0", "63", "16385", "1K")), ("--max-headers", ("0", "101")),
                ("--max-uri", ("0", "16385")), ("--max-body", ("-1", "1T", "9223372036854775808")),
                ("--max-connections-per-client", ("-1", "100000001")),
                ("--max-requests", ("-1", "4000000001")), ("--header-timeout", ("-1", "86401")),
                ("--idle-timeout", ("-1", "86401")), ("--min-body-rate", ("-1", "2147483648")),
                ("--min-write-rate", ("-1", "2147483648")), ("--access-log-format", ("xml", ""))):
            for value in values:
                with self.subTest(option=option, value=value):
                    self.assert_fails(2, f"'{value}'", f"{option}={value}", "--access-log=/dev/null")

    def test_a_format_without_a_log(self):
        self.assert_fails(2, "needs --access-log", "--access-log-format", "json")

    def test_quoted_in_one_line(self):
        for arguments in (["a\nb"], ["--a\nb"], ["-j", "1\n2"], ["--access-log", "a", "b\r\nc"]):
            with self.subTest(arguments=arguments):
                self.assert_fails(2, "\\n", *arguments)
        self.assert_fails(1, "a?b", "-l", "a\nb")

    def test_a_log_that_cannot_be_opened(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, why in ((f"{folder}/none/access.log", "No such file"), (folder, "directory"),
                              (f"{folder}/a\nb/access.log", "No such file")):
                with self.subTest(path=path):
                    self.assert_fails(1, why, "-l", "127.0.0.1:0", "-j", "2", "--access-log", path)


class Limits(ServerTest):
    def assert_statuses(self, arguments, *requests):
        """Each of the requests, on a connection of its own, gets the status that it comes with."""
        server = self.serve("-j", "1", *arguments)
        for status, bytes_ in requests:
            with server.client() as client:
                client.send(bytes_)
                self.assertEqual(client.read().status, status, bytes_[:80])
        server.stop()

    def test_header_bytes(self):
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"
        room = 100 - len(head % b"")
        self.assert_statuses(["--max-header-bytes", "100"], (200, head % (b"x" * room)),
                             (431, head % (b"x" * (room + 1))))

    def test_headers(self):
        self.assert_statuses(["--max-headers", "2"], (200, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"),
                             (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n"))

    def test_uri(self):
        self.assert_statuses(["--max-uri", "10"], (200, request("GET", "/" + "x" * 9)),
                             (414, request("GET", "/" + "x" * 10)))

    def test_body(self):
        for text, size in (("5", 5), ("2K", 2048)):
            self.assert_statuses(
                ["--max-body", text],
                (200, request("GET", "/", f"Content-Length: {size}") + b"x" * size),
                (413, request("GET", "/", f"Content-Length: {size + 1}") + b"x" * (size + 1)))

    def test_no_limit_on_the_body(self):
        size = (1 << 20) + 1
        self.assert_statuses(["--max-body", "0"], (
            200, request("GET", "/", f"Content-Length: {size}") + b"x" * size))


class AccessLog(ServerTest):
    def log_server(self, *arguments):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = folder.name + "/access.log"
        return path, self.serve("-j", "2", "--access-log", path, *arguments)

    def test_the_file_is_there_and_kept(self):
        path, server = self.log_server()
        self.assertTrue(os.path.exists(path))
        server.stop()
        with open(path, "ab") as file:
            file.write(b"what was there\n")
        server = self.serve("-j", "1", "--access-log", path)
        self.assert_serves(server)
        server.stop()
        with open(path, "rb") as file:
            self.assertIn(b"what was there\n", file.read())

    def test_sigusr1_opens_the_file_anew(self):
        path, server = self.log_server("--access-log-format", "json")
        for _ in range(3):
            os.rename(path, path + ".1")
            server.send_signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(path), "the log is opened anew")
            self.assert_serves(server)
        self.assertEqual(server.stop()[0], 3)

    def test_on_stdout_between_announcement_and_summary(self):
        server = self.serve("-j", "2", "--access-log", "-")
        self.assert_serves(server)
        server.send_signal(signal.SIGTERM)
        status, said = server.wait()
        self.assertEqual(status, 0)
        lines = said.splitlines(keepends=True)
        self.assertRegex(lines[-1], SUMMARY)
        self.assertFalse(any(line.startswith("coreactor:") for line in lines[:-1]), said)
        server.checked = True


class Sigusr1(ServerTest):
    def test_without_a_log(self):
        server = self.serve("-j", "2")
        for _ in range(5):
            server.send_signal(signal.SIGUSR1)
            self.assert_serves(server)
        server.stop()

    def test_during_a_drain(self):
        server = self.serve("-j", "2", "--drain-timeout", "50")
        client = self.connect(server)
        client.send(request() + request()[:-1])
        self.assertEqual(client.read().status, 200)
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.is_let_in(server), "the drain has begun")
        for _ in range(5):
            server.send_signal(signal.SIGUSR1)
        client.send(request()[-1:])
        self.assertTrue(client.read().closes)
        server.stop(number=None)

    def is_let_in(self, server):
        try:
            server.client(timeout_s=0.2).close()
        except (TimeoutError, ConnectionRefusedError):
            return False
        return True

    def test_at_the_end(self):
        for _ in range(5):
            server = self.serve("-j", "2")
            server.send_signal(signal.SIGTERM)
            while server.process.poll() is None:
                server.send_signal(signal.SIGUSR1)
            server.stop(number=None)


if __name__ == "__main__":
    unittest.main()
