#!/usr/bin/env python3
"""The operator's pages: what /metrics counts against what the clients did, to the byte; who may come there;
and that they answer whatever the server or their other clients are doing."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

from admin import ADMIN, AdminTest
from client import Client, request
from exposition import Scrape, parse
from harness import PROGRAM, environment, free_port, limit_descriptors, scaled, wait_until

PAGES = ("/", "/status", "/status.json", "/metrics", "/healthz", "/readyz")
LIMIT = 64  # connections
LARGE = 32 << 20  # more than sockets hold
DURATION = "coreactor_request_duration_seconds"


class CountingClient(Client):
    """Counts the bytes that it has really sent and received."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.sent = self.received = 0

    def send(self, data):
        super().send(data)
        self.sent += len(data)

    def more(self, at_most=65536):
        before = len(self.unread)
        super().more(at_most)
        self.received += len(self.unread) - before


class Counts(AdminTest):
    def file_server(self, *arguments, threads="4"):
        self.root = self.folder()
        with open(self.root + "/small.txt", "w", encoding="ascii") as file:
            file.write("small\n" * 100)
        for name, size in (("medium.bin", 1 << 20), ("large.bin", LARGE)):
            with open(f"{self.root}/{name}", "wb") as file:
                file.truncate(size)
        return self.serve("-j", threads, "--root", self.root, *ADMIN, *arguments)

    def counting(self, server):
        client = CountingClient(server.address)
        self.addCleanup(client.close)
        self.clients.append(client)
        return client

    def setUp(self):
        self.clients = []

    def walk(self, server):
        """A known sequence of requests, on a connection of its own."""
        client = self.counting(server)
        tag = client.get("/small.txt")["etag"]
        self.assertEqual(client.ask("HEAD", "/small.txt").status, 200)
        self.assertEqual(client.get("/small.txt", f"If-None-Match: {tag}").status, 304)
        self.assertEqual(client.get("/small.txt", "Range: bytes=0-9").status, 206)
        self.assertEqual(client.get("/none").status, 404)
        self.assertEqual(client.ask("POST", "/small.txt", body=b"x" * 1000).status, 405)
        self.assertEqual(client.get("/medium.bin").status, 200)
        client.send(request("GET", "/small.txt") * 20)
        for _ in range(20):
            self.assertEqual(client.read().status, 200)

    def test_a_known_sequence_is_counted_to_the_byte(self):
        server = self.file_server()
        for _ in range(10):
            self.walk(server)
        bad = self.counting(server)
        bad.send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        self.assertEqual(bad.read().status, 400)
        bad.expect_end()
        long = self.counting(server)
        long.send(request("GET", "/" + "x" * 9000))
        self.assertEqual(long.read().status, 414)
        sent = sum(client.sent for client in self.clients)
        received = sum(client.received for client in self.clients)
        answers = {"2xx": 240, "3xx": 10, "4xx": 22}

        def all_is_counted(scrape):
            return (scrape.sum("coreactor_received_bytes_total") == sent
                    and scrape.sum("coreactor_sent_bytes_total") == received
                    and scrape.count(DURATION) == sum(answers.values()))
        scrape = self.wait_for_scrape(server, all_is_counted, "every byte is counted")
        self.assertEqual(scrape.by("class", "coreactor_requests_total"), answers)
        self.assertEqual(scrape.sum("coreactor_requests_aborted_total"), 0)
        self.assertEqual(scrape.sum("coreactor_accepts_total"), 12)
        self.assertEqual(scrape.by("reason", "coreactor_refusals_total"), {"malformed": 1, "too_large": 1})
        self.assertEqual(scrape.sum("coreactor_handoffs_total", kind="new"),
                         scrape.sum("coreactor_handoffs_total", kind="taken_over"))
        self.assertEqual(scrape.sum("coreactor_stalls_total"), 0)
        self.assertEqual(scrape.sum("coreactor_reactors"), 4)
        # These pages themselves are no part of it.
        again = self.scrape(server)
        self.assertEqual(again.by("class", "coreactor_requests_total"), answers)
        self.assertEqual(server.stop(), (272, 12))

    def test_what_a_lingering_client_still_sends_is_counted(self):
        server = self.serve("-j", "1", *ADMIN)
        client = self.counting(server)
        client.send(b"\0\r\n\r\n")
        self.assertEqual(client.read().status, 400)
        client.send(b"x" * 100_000)
        self.wait_for_scrape(server, lambda scrape: scrape.sum("coreactor_received_bytes_total") == client.sent,
                             "it is counted")

    def test_connections_are_counted_by_what_they_wait_for(self):
        server = self.file_server()
        self.wait_for_states(server)
        idle = [self.connect(server) for _ in range(3)]
        self.assertEqual(idle[0].get("/small.txt").status, 200)
        self.wait_for_states(server, idle=3)
        head = self.connect(server)
        head.send(b"GET / HT")
        self.wait_for_states(server, idle=3, head=1)
        body = self.connect(server)
        body.send(request("POST", "/", "Content-Length: 10") + b"12345")
        self.assertEqual(body.read().status, 405)
        self.wait_for_states(server, idle=3, head=1, body=1)
        reader = self.connect(server, receive_buffer=4096)
        reader.send(request("GET", "/large.bin"))
        scrape = self.wait_for_states(server, idle=3, head=1, body=1, write=1)
        self.assertEqual(scrape.sum("coreactor_load", part="open"), 6)
        body.send(b"67890")
        self.wait_for_states(server, idle=4, head=1, write=1)
        malformed = self.connect(server)
        malformed.send(b"\0\r\n\r\n")
        self.wait_for_states(server, idle=4, head=1, write=1, close=1)
        for client in (*idle, head, body, malformed):
            client.close()
        self.wait_for_states(server, write=1)
        reader.reset()
        scrape = self.wait_for_states(server)
        self.assertEqual(scrape.sum("coreactor_requests_aborted_total"), 1)
        self.assertEqual(scrape.sum("coreactor_load"), 0)

    def test_refusals_are_counted_by_their_reason(self):
        server = self.serve("-j", "1", *ADMIN, "--max-connections-per-client", "2", "--header-timeout", "1")
        clients = [self.connect(server) for _ in range(2)]
        for client in clients:
            client.get()
        with self.connect(server) as third:
            third.expect_end()
        self.wait_for_scrape(
            server, lambda scrape: scrape.by("reason", "coreactor_refusals_total") == {"client_limit": 1}, "so many")
        clients[0].send(b"GET")
        self.assertEqual(clients[0].read().status, 408)
        scrape = self.wait_for_scrape(
            server, lambda scrape: scrape.by("reason", "coreactor_refusals_total") == {"client_limit": 1, "slow": 1},
            "so slow")
        self.assertEqual(scrape.sum("coreactor_accepts_total"), 2)
        self.assertEqual(scrape.by("class", "coreactor_requests_total"), {"2xx": 2, "4xx": 1})

    def test_what_waits_for_room_is_counted(self):
        server = self.serve("-j", "1", *ADMIN, "--max-connections", "1")
        busy = self.connect(server)
        busy.send(b"GET")
        self.wait_for_states(server, head=1)
        waiting = self.connect(server)
        self.wait_for_scrape(server, lambda scrape: scrape.by("reason", "coreactor_refusals_total").get("full"),
                             "there is no room")
        busy.close()
        self.assertEqual(waiting.get().status, 200)

    def test_counters_never_go_backwards(self):
        server = self.serve("-j", "3", *ADMIN)
        stop = threading.Event()
        failures = []

        def load():
            try:
                while not stop.is_set():
                    with server.client() as client:
                        for _ in range(20):
                            client.send(request() * 3)
                            for _ in range(3):
                                client.read()
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            before = self.scrape(server).counters()
            for _ in range(scaled(60, 20)):
                now = self.scrape(server).counters()
                self.assertEqual(set(now), set(before))
                self.assertEqual([key for key in now if now[key] < before[key]], [])
                before = now
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.wait_for_states(server)
        scrape = self.wait_for_scrape(
            server, lambda s: s.count(DURATION) == s.sum("coreactor_requests_total"), "all are timed")
        answered, accepted = server.stop()
        self.assertEqual(answered, scrape.sum("coreactor_requests_total"))
        self.assertEqual(accepted, scrape.sum("coreactor_accepts_total"))


class Metrics(AdminTest):
    def test_the_format(self):
        server = self.serve("-j", "2", *ADMIN)
        response = self.ask(server, "/metrics")
        self.assertEqual(response["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(response["cache-control"], "no-store")
        families = parse(response.body.decode())
        self.assertGreater(len(families), 25)
        for name, family in families.items():
            reactors = {dict(labels).get("reactor") for _, labels in family.samples}
            self.assertIn(reactors, ({None}, {"0", "1"}), name)
        if shutil.which("promtool"):
            subprocess.run(["promtool", "check", "metrics"], input=response.body, check=True)

    def test_the_version_of_libbpf(self):
        """As in --version, which says "libbpf 1.1.2" or "no libbpf"; without its name."""
        told = subprocess.run([PROGRAM, "--version"], stdout=subprocess.PIPE, check=True, text=True, env=environment()).stdout
        found = re.search(r", libbpf ([\d.]+),", told)
        scrape = self.scrape(self.serve("-j", "1", *ADMIN))
        self.assertEqual(scrape.by("libbpf", "coreactor_build_info"), {found[1] if found else "none": 1})

    def test_the_reader_of_the_format_is_strict(self):
        good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 1\n"
        parse(good)
        for bad in (good[:-1], good + good, good + 'a_total{x="1"} 2\n', good.replace("counter", "gauge"),
                    good + "b 1\n", good.replace("x=", "x ="), good.replace(" 1\n", " 1 \n"), good + "\n",
                    good.replace(' 1\n', ' NaN\n'), good.replace('"1"', '"\\x"')):
            with self.assertRaises(ValueError, msg=bad):
                parse(bad)

    def test_the_process(self):
        server = self.serve("-j", "1", *ADMIN, preexec=limit_descriptors(500))
        scrape = self.scrape(server)
        self.assertEqual(scrape.sum("process_max_fds"), 500)
        with Client(server.admin_address) as client:
            open_now = server.descriptors()
            told = Scrape(client.get("/metrics").body.decode()).sum("process_open_fds")
            self.assertLessEqual(abs(told - open_now), 2)
        self.assertGreater(scrape.sum("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(scrape.sum("process_virtual_memory_bytes"), scrape.sum("process_resident_memory_bytes"))
        began = scrape.sum("process_start_time_seconds")
        self.assertLess(abs(began - os.stat(f"/proc/{server.pid}").st_ctime), 60)
        self.assertEqual(self.scrape(server).sum("process_start_time_seconds"), began)


class Pages(AdminTest):
    def test_every_page_and_its_head(self):
        server = self.serve("-j", "2", *ADMIN)
        for page in PAGES:
            with self.subTest(page=page), Client(server.admin_address) as client:
                response = client.get(page)
                self.assertEqual(response.status, 200)
                self.assertEqual(response["cache-control"], "no-store")
                self.assertEqual(response["x-content-type-options"], "nosniff")
                head = client.ask("HEAD", page)
                self.assertEqual((head.status, head.body), (200, b""))
                self.assertEqual(head["content-type"], response["content-type"])
                post = client.ask("POST", page)
                self.assertEqual((post.status, post["allow"]), (405, "GET, HEAD"))
        self.assertEqual(self.ask(server, "/metrics/").status, 404)
        self.assertEqual(self.ask(server, "/etc").status, 404)

    def test_the_status_as_page_or_json(self):
        server = self.serve("-j", "3", *ADMIN)
        for accept, kind in (("text/html", "text/html; charset=utf-8"), ("*/*", "text/html; charset=utf-8"),
                             ("application/json", "application/json"),
                             ("text/html;q=0.5, application/json", "application/json"),
                             ("application/json;q=0", "text/html; charset=utf-8")):
            for page in ("/", "/status"):
                response = self.ask(server, page, f"Accept: {accept}")
                self.assertEqual((response["content-type"], response["vary"]), (kind, "Accept"))
        page = self.ask(server, "/status")
        self.assertRegex(page["content-security-policy"], "^default-src 'none'; style-src 'sha256-[^']+'; ")
        self.assertIn(b'http-equiv="refresh" content="2"', page.body)
        for given, taken in (("77", "77"), ("5000", "3600"), ("9" * 30, "2"), ("%3cb%3e", "2"), ("-1", "2"),
                             ("", "2"), ("2x", "2")):
            body = self.ask(server, f"/status?refresh={given}").body
            self.assertIn(f'http-equiv="refresh" content="{taken}"'.encode(), body)
        self.assertNotIn(b"http-equiv", self.ask(server, "/status?refresh=0").body)

    def test_json_says_what_the_metrics_say(self):
        server = self.serve("-j", "2", *ADMIN)
        with server.client() as client:
            for _ in range(5):
                client.get()
            client.ask("POST")
            scrape = self.wait_for_scrape(server, lambda scrape: scrape.count(DURATION) == 6, "all are timed")
            status = json.loads(self.ask(server, "/status.json").body)
        total = status["total"]
        self.assertEqual(status["phase"], "serving")
        self.assertEqual(status["balance"], "handoff")
        self.assertEqual(total["requests"]["total"], 6)
        self.assertEqual(total["requests"]["by_class"], {"aborted": 0, "2xx": 5, "3xx": 0, "4xx": 1, "5xx": 0})
        self.assertEqual(total["connections"]["by_state"],
                         {"idle": 1, "head": 0, "body": 0, "write": 0, "wait": 0, "close": 0})
        self.assertEqual(total["sent_bytes"], scrape.sum("coreactor_sent_bytes_total"))
        self.assertEqual(total["received_bytes"], scrape.sum("coreactor_received_bytes_total"))
        self.assertEqual(status["latency"]["total"]["count"], 6)
        self.assertEqual([reactor["reactor"] for reactor in status["reactors"]], [0, 1])
        self.assertEqual(sum(reactor["requests"]["total"] for reactor in status["reactors"]), 6)
        for reactor in status["reactors"]:
            self.assertLessEqual(reactor["busy_ratio"], 1)
            self.assertEqual(reactor["connections"]["open"], sum(reactor["connections"]["by_state"].values()))

    def test_names_of_elsewhere_are_refused(self):
        server = self.serve("-j", "1", *ADMIN)
        port = server.admin_address[1]
        for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", f"[::1]:{port}"):
            self.assertEqual(self.ask(server, "/metrics", host=host).status, 200, host)
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example"):
            for page in PAGES:
                response = self.ask(server, page, host=host)
                self.assertEqual((response.status, b"coreactor" in response.body), (421, False), host)
        absolute = self.ask(server, f"http://evil.example:{port}/metrics")
        self.assertEqual(absolute.status, 421)


class Clients(AdminTest):
    def test_more_clients_than_it_has_room_for(self):
        server = self.serve("-j", "1", *ADMIN)
        idle = [self.admin(server) for _ in range(LIMIT)]
        for client in idle:
            self.assertEqual(client.get("/healthz").status, 200)
        # The one that comes then has to wait, at most until somebody has been idle for a second.
        for _ in range(3):
            self.assertEqual(self.ask(server, "/healthz").status, 200)
        self.assert_serves(server)

    def test_slow_clients_keep_nobody_out_for_ever(self):
        server = self.serve("-j", "1", *ADMIN, "--header-timeout", "1")
        slow = [self.admin(server) for _ in range(LIMIT)]
        for client in slow:
            client.send(b"GET /hea")
        self.assertEqual(self.ask(server, "/healthz").status, 200)
        self.assert_serves(server)

    def test_a_client_that_does_not_read(self):
        server = self.serve("-j", "2", *ADMIN)
        slow = self.admin(server, receive_buffer=4096)
        slow.socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                slow.socket.send(request("GET", "/metrics") * 100)
        for _ in range(20):
            self.assertEqual(self.ask(server, "/readyz").body, b"ok\n")
            self.assert_serves(server)

    def test_nothing_without_the_option(self):
        server = self.serve("-j", "1")
        self.assertIsNone(server.admin_address)
        with server.client() as client:
            self.assertNotIn(b"coreactor_", client.get("/metrics").body)

    def test_a_quiet_server_has_them_too(self):
        front, port = free_port(), free_port()
        server = self.serve("-q", "-j", "1", "--admin", f"127.0.0.1:{port}", listen=[f"127.0.0.1:{front}"])
        server.admin_address = ("127.0.0.1", port)

        def is_ready():
            try:
                return self.ask(server, "/readyz").status == 200
            except OSError:
                return False
        wait_until(is_ready, "it is ready")
        server.stop()


class Draining(AdminTest):
    def test_readiness_during_a_drain(self):
        root = self.folder()
        with open(root + "/large.bin", "wb") as file:
            file.truncate(LARGE)
        server = self.serve("-j", "2", "--root", root, "--drain-timeout", "100", "--min-write-rate", "0", *ADMIN)
        reader = self.connect(server, receive_buffer=4096)
        reader.send(request("GET", "/large.bin"))
        self.wait_for_states(server, write=1)
        self.assertEqual(self.ask(server, "/readyz").body, b"ok\n")
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: self.ask(server, "/readyz").status == 503, "it drains")
        self.assertEqual(self.ask(server, "/readyz").body, b"draining\n")
        self.assertEqual(self.ask(server, "/healthz").status, 200)
        self.assertEqual(self.scrape(server).sum("coreactor_draining"), 1)
        self.assertEqual(json.loads(self.ask(server, "/status.json").body)["phase"], "draining")
        self.assertIn(b"draining", self.ask(server, "/").body)
        self.assertEqual(reader.read_head().status, 200)
        left = LARGE - len(reader.unread)
        while left:
            left -= len(reader.socket.recv(1 << 20))
        self.assertEqual(server.stop(number=None), (1, 1))


if __name__ == "__main__":
    unittest.main()
