#!/usr/bin/env python3
"""The access log: a line for each request whatever the client sends, none torn, none lost; and nothing
that happens to its file keeps anybody from being served."""

import calendar
import contextlib
import fcntl
import json
import os
import re
import signal
import tempfile
import threading
import time
import unittest

from client import PAGE, request
from harness import PIPE, ServerTest, free_port, scaled, wait_until

COMBINED = re.compile(
    rb'(?P<client>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] '
    rb'"(?P<request>[^"\\]*(?:\\x[0-9A-F]{2}[^"\\]*)*)" (?P<status>\d{3}) (?P<bytes>\d+) '
    rb'"(?P<referer>[^"\\]*(?:\\x[0-9A-F]{2}[^"\\]*)*)" "(?P<agent>[^"\\]*(?:\\x[0-9A-F]{2}[^"\\]*)*)"')
MEMBERS = ["time", "client", "method", "target", "version", "status", "bytes", "duration_us", "referer",
           "user_agent"]
JSON = ("--access-log-format", "json")
SOME_LOST = r"(coreactor: access log: \d+ lines lost: [^\n]*\n)+"

# Field values that the server accepts: whatever is in them must not leave its place in a line.
HOSTILE = {
    "quotes": b'" 200 1 "-" "x',
    "backslashes": b"\\x22 \\\\ \\n \\",
    "JSON": b'","status":200,"x":"',
    "bytes that are no UTF-8": b"\xff\xfe\x80 \xc3 \xe2\x82 \xed\xa0\x80 \xf8\x88\x80\x80\x80 \xc0\xaf",
    "UTF-8": "ä € 𝄞 \u202e \u2028".encode(),
    "C1 controls": b"\xc2\x9b31m \xc2\x85 \x9b",
    "tabs": b"a\tb",
    "nothing": b"",
    "much": b"\xff" * 8000,
    "many quotes": b'"' * 8000,
}
REFUSED = {
    "an escape sequence": b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b]0;x\x07\r\n\r\n",
    "NUL": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
}


class LogTest(ServerTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/access.log"

    def log_server(self, *arguments, path=None, **options):
        # A drain would only wait for what may still come.
        return self.serve("--access-log", path or self.path, "--drain-timeout", "0", *arguments,
                          **options)

    def lines(self, path=None):
        with open(path or self.path, "rb") as file:
            data = file.read()
        self.assertTrue(not data or data.endswith(b"\n"), data[-200:])
        return data.split(b"\n")[:-1]

    def combined(self, path=None):
        """Each line, taken apart; all must be whole, and of printable ASCII."""
        result = []
        for line in self.lines(path):
            match = COMBINED.fullmatch(line)
            self.assertTrue(match, line)
            self.assertRegex(line, rb"\A[ -~]*\Z")
            result.append(match.groupdict())
        return result

    def objects(self, path=None):
        result = []
        for line in self.lines(path):
            entry = json.loads(line.decode())  # strictly UTF-8
            self.assertEqual(list(entry), MEMBERS)
            self.assertFalse(any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line.decode()), line)
            result.append(entry)
        return result

    def wait_for_lines(self, count, path=None):
        wait_until(lambda: os.path.exists(path or self.path) and
                   len(self.lines(path)) >= count, f"{count} lines are there")

    def ask(self, server, data, status=200, head=False):
        with server.client() as client:
            client.send(data)
            self.assertEqual(client.read(head=head).status, status)


class Lines(LogTest):
    def test_combined(self):
        server = self.log_server("-j", "1")
        before = int(time.time())
        self.ask(server, request("GET", "/a?b=c", "Referer: http://x/", "User-Agent: me (1)"))
        self.ask(server, request("HEAD", version="HTTP/1.0"), head=True)
        self.ask(server, request("POST", "/", body=b"hello"), 405)
        self.ask(server, b"nonsense\r\n\r\n", 400)
        after = time.time()
        server.stop()
        lines = self.combined()
        self.assertEqual([(line["request"], line["status"], line["bytes"], line["referer"],
                           line["agent"]) for line in lines],
                         [(b"GET /a?b=c HTTP/1.1", b"200", b"83", b"http://x/", b"me (1)"),
                          (b"HEAD / HTTP/1.0", b"200", b"0", b"-", b"-"),
                          (b"POST / HTTP/1.1", b"405", b"23", b"-", b"-"),
                          (b"-", b"400", b"16", b"-", b"-")])
        self.assertEqual({line["client"] for line in lines}, {b"127.0.0.1"})
        for line in lines:
            seconds = time.strptime(line["time"].decode(), "%d/%b/%Y:%H:%M:%S +0000")
            self.assertTrue(before <= calendar.timegm(seconds) <= after, line)

    def test_json(self):
        server = self.log_server("-j", "1", *JSON)
        self.ask(server, request("GET", "/a?b=c", "Referer: http://x/", "User-Agent: me (1)"))
        self.ask(server, b"nonsense\r\n\r\n", 400)
        server.stop()
        one, other = self.objects()
        for entry in one, other:
            self.assertRegex(entry.pop("time"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
            self.assertGreaterEqual(entry.pop("duration_us"), 0)
        self.assertEqual(one, {
            "client": "127.0.0.1", "method": "GET", "target": "/a?b=c", "version": "HTTP/1.1",
            "status": 200, "bytes": 83, "referer": "http://x/", "user_agent": "me (1)"})
        self.assertEqual(other, {
            "client": "127.0.0.1", "method": None, "target": None, "version": None, "status": 400,
            "bytes": 16, "referer": None, "user_agent": None})

    def hostile_requests(self, server):
        for value in HOSTILE.values():
            self.ask(server, b"GET / HTTP/1.1\r\nHost: a\r\nReferer: %b\r\nUser-Agent: %b\r\n\r\n" % (
                value, value))
        for data in REFUSED.values():
            self.ask(server, data, 400)
        for target in (b'/"\\\x7c{}^`', b"/%22%0a%1b", b"/" + b'"' * 8191, b"/" + b"x" * 8191):
            self.ask(server, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        server.stop()
        return len(HOSTILE), len(REFUSED)

    def test_hostile_bytes_combined(self):
        hostile, refused = self.hostile_requests(self.log_server("-j", "1"))
        lines = self.combined()
        self.assertEqual(len(lines), hostile + refused + 4)
        for value, line in zip(HOSTILE.values(), lines):
            written = re.sub(rb"\\x(..)", lambda match: bytes.fromhex(match[1].decode()), line["agent"])
            self.assertTrue(value.startswith(written.removesuffix(b"...")), line)
        self.assertEqual([line["status"] for line in lines[hostile:hostile + refused]],
                         [b"400"] * refused)

    def test_hostile_bytes_json(self):
        hostile, refused = self.hostile_requests(self.log_server("-j", "1", *JSON))
        entries = self.objects()
        self.assertEqual(len(entries), hostile + refused + 4)
        for (name, value), entry in zip(HOSTILE.items(), entries):
            self.assertEqual(entry["referer"][:100], entry["user_agent"][:100])
            if value.isascii():
                self.assertTrue(value.decode().startswith(entry["user_agent"].removesuffix("...")), name)
        self.assertEqual(entries[list(HOSTILE).index("UTF-8")]["user_agent"],
                         HOSTILE["UTF-8"].decode())
        targets = [entry["target"] for entry in entries[-4:]]
        self.assertEqual(targets[:2], ['/"\\|{}^`', "/%22%0a%1b"])
        for target, sent in zip(targets[2:], ("/" + '"' * 8191, "/" + "x" * 8191)):
            self.assertTrue(sent.startswith(target.removesuffix("...")))
            self.assertGreater(len(target), 1000)

    def test_pipelines(self):
        server = self.log_server("-j", "2", *JSON)
        with server.client() as client:
            client.send(b"".join(request("GET", f"/{i}") for i in range(500)))
            for _ in range(500):
                self.assertEqual(client.read().body, PAGE)
        server.stop()
        self.assertEqual([entry["target"] for entry in self.objects()], [f"/{i}" for i in range(500)])

    def test_the_aborted(self):
        server = self.log_server("-j", "1", *JSON)
        client = self.connect(server)
        client.send(request("POST", "/cut", "Content-Length: 10") + b"hello")
        self.assertEqual(client.read().status, 405)
        client.reset()
        wait_until(lambda: self.lines(), "it is logged")
        server.stop()
        entry, = self.objects()
        self.assertEqual((entry["method"], entry["target"], entry["status"]), ("POST", "/cut", 405))

    def test_a_file_of_which_not_all_is_taken(self):
        """The bytes are those that were sent, not those that there would have been."""
        size = 1 << 30
        with tempfile.TemporaryDirectory() as root:
            with open(root + "/large.bin", "wb") as file:
                file.truncate(size)
            server = self.log_server("-j", "1", "--root", root, *JSON)
            client = self.connect(server, receive_buffer=4096)
            client.send(request("GET", "/large.bin"))
            self.assertEqual(client.read_head()["content-length"], str(size))
            client.reset()
            wait_until(lambda: self.lines(), "it is logged")
            server.stop()
        entry, = self.objects()
        self.assertEqual((entry["target"], entry["status"]), ("/large.bin", 200))
        self.assertLess(entry["bytes"], size // 4)

    def test_no_request_no_line(self):
        server = self.log_server("-j", "1", "--idle-timeout", "1")
        for data in (b"", b"GET"):
            with server.client() as client:
                client.send(data)
        with server.client() as client:
            client.expect_end()
        server.stop()
        self.assertEqual(self.lines(), [])

    def test_who_was_too_slow(self):
        server = self.log_server("-j", "1", "--header-timeout", "1")
        self.ask(server, request()[:-1], 408)
        server.stop()
        self.assertEqual([line["status"] for line in self.combined()], [b"408"])


class Files(LogTest):
    def load(self, server, clients, each):
        """Clients that ask for targets of their own, at the same time. Returns when all are served."""
        def run(number):
            with server.client() as client:
                for i in range(each):
                    if client.get(f"/{number}/{i}").body != PAGE:
                        failures.append(number)
        failures = []
        threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_rotation_loses_nothing(self):
        clients, each = 4, scaled(1500, 300)
        server = self.log_server("-j", "2", *JSON)
        rotated = []
        for _ in self.load(server, clients, each):
            for number in range(10):
                name = f"{self.path}.{number}"
                os.rename(self.path, name)
                server.send_signal(signal.SIGUSR1)
                wait_until(lambda: os.path.exists(self.path), "the file is opened anew")
                rotated.append(name)
        server.stop()
        targets = [entry["target"] for name in rotated + [self.path] for entry in self.objects(name)]
        self.assertEqual(len(targets), clients * each)
        self.assertEqual(set(targets), {f"/{n}/{i}" for n in range(clients) for i in range(each)})

    def test_rotation_without_a_new_file_keeps_the_old_one(self):
        server = self.log_server("-j", "1")
        self.assert_serves(server)
        folder = os.path.dirname(self.path)
        os.rename(folder, folder + ".away")
        try:
            server.send_signal(signal.SIGUSR1)
            wait_until(server.stderr, "it says so")
            self.assert_serves(server)
            server.stop(stderr=r"coreactor: access log: cannot open \S+ again: [^\n]+; the old file "
                               r"stays in use\n")
        finally:
            os.rename(folder + ".away", folder)
        self.assertEqual(len(self.combined()), 2)

    def test_lines_appear_soon_and_all_are_there_at_the_end(self):
        server = self.log_server("-j", "2")
        self.assert_serves(server)
        self.wait_for_lines(1)
        for _ in self.load(server, 4, 200):
            pass
        server.stop()
        self.assertEqual(len(self.combined()), 801)

    def test_a_full_disk(self):
        server = self.log_server("-j", "2", path="/dev/full")
        for _ in range(20):
            self.assert_serves(server)
        wait_until(server.stderr, "it says so")
        self.assertIn("No space left on device", server.stderr())
        for _ in self.load(server, 4, 200):
            pass
        server.stop(stderr=SOME_LOST)

    def test_a_file_that_has_been_removed(self):
        server = self.log_server("-j", "1")
        os.remove(self.path)
        self.assert_serves(server)
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(self.path), "the file is opened anew")
        self.assert_serves(server)
        server.stop()
        self.assertGreaterEqual(len(self.combined()), 1)


class Pipes(LogTest):
    """Readers that do not read, or have gone, are no reason not to serve."""

    REQUESTS = 3000  # whose lines no pipe holds

    def ask_much(self, server):
        with server.client() as client:
            for _ in range(self.REQUESTS // 100):
                client.send(request("GET", "/" + "x" * 100) * 100)
                for _ in range(100):
                    self.assertEqual(client.read().body, PAGE)

    def fifo(self):
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        return reader

    def test_a_blocked_fifo(self):
        reader = self.fifo()
        server = self.log_server("-j", "2")
        self.ask_much(server)
        server.stop(stderr=SOME_LOST)
        # What fitted is whole lines, but for the last.
        for line in os.read(reader, 4096).split(b"\n")[:-1]:
            self.assertTrue(COMBINED.fullmatch(line), line)

    def test_a_fifo_that_is_read_late_gets_all(self):
        reader = self.fifo()
        server = self.log_server("-j", "1")
        self.ask_much(server)
        server.send_signal(signal.SIGTERM)
        data = b""

        def all_read():
            nonlocal data
            with contextlib.suppress(BlockingIOError):
                data += os.read(reader, 1 << 16)
            return data.count(b"\n") == self.REQUESTS
        wait_until(all_read, "all lines are there")
        server.stop(number=None)

    def test_a_fifo_without_a_reader(self):
        reader = self.fifo()
        server = self.log_server("-j", "1")
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, reader)
        os.close(null)
        self.ask_much(server)
        server.stop(stderr=SOME_LOST)

    def test_a_blocked_standard_output(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        with os.fdopen(writer, "wb") as stdout:
            server = self.start_on(stdout)
        self.ask_much(server)
        server.stop(stderr=SOME_LOST)
        for line in os.read(reader, 4096).split(b"\n")[:-1]:
            self.assertTrue(COMBINED.fullmatch(line), line)

    def test_standard_output_whose_reader_has_gone(self):
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as stdout:
            server = self.start_on(stdout)
        os.close(reader)
        self.ask_much(server)
        server.stop(stderr=SOME_LOST)

    def start_on(self, stdout):
        """A server whose lines go there; it cannot say where it listens."""
        server = self.log_server("-q", "-j", "2", path="-", stdout=stdout,
                                 listen=(f"127.0.0.1:{free_port()}",))

        def is_there():
            try:
                server.client().close()
                return True
            except ConnectionRefusedError:
                return False
        wait_until(is_there, "it listens")
        return server

    def test_quiet_standard_output_has_nothing_but_lines(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        with os.fdopen(writer, "wb") as stdout:
            server = self.start_on(stdout)
        self.ask(server, request())
        server.stop()
        self.assertTrue(COMBINED.fullmatch(os.read(reader, 65536).strip()))

    def test_standard_output(self):
        server = self.log_server("-j", "1", *JSON, path="-", stdout=PIPE)
        for number in range(3):
            self.ask(server, request("GET", f"/{number}"))
        server.send_signal(signal.SIGUSR1)
        self.ask(server, request("GET", "/3"))
        server.send_signal(signal.SIGTERM)
        status, said = server.wait()
        server.checked = True
        *lines, summary = said.splitlines()
        self.assertEqual((status, summary), (0, "coreactor: answered 4 requests on 4 connections"))
        self.assertEqual([json.loads(line)["target"] for line in lines], ["/0", "/1", "/2", "/3"])


if __name__ == "__main__":
    unittest.main()
