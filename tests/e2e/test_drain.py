#!/usr/bin/env python3
"""Draining: whatever a client sent on a connection that was accepted is answered."""

import signal
import threading
import time
import unittest

from client import PAGE, PATIENCE_S, request
from harness import ServerTest, blocked_signals, scaled, wait_until

# A connection on which nothing comes for the server's grace (half a second) while it drains may be
# closed: a client that could not run for so long, on a busy machine, has no claim to an answer.
SILENCE_S = 0.4


class Load:
    """Clients in threads that never pause. What goes wrong is in `failures` afterwards."""

    def __init__(self, server):
        self.server = server
        self.signalled = threading.Event()
        self.lock = threading.Lock()
        self.failures = []
        self.answered = 0
        self.threads = []

    def start(self, keeping, anew):
        loops = [self.keep_alive] * keeping + [self.connect_anew] * anew
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(PATIENCE_S)
            if thread.is_alive():
                self.failures.append("a client still waits")

    def exchange(self, client, quiet_since):
        """One request and its answer; None when there was none. `quiet_since`: nothing was sent for so
        long, though the connection was there."""
        sent_at = None
        was_signalled = self.signalled.is_set()
        try:
            client.send(request())
            sent_at = time.monotonic()
            response = client.read()
        except (AssertionError, OSError) as error:
            silence_s = (sent_at or time.monotonic()) - quiet_since
            if not self.signalled.is_set() or silence_s < SILENCE_S:
                self.failures.append(f"no answer: {error!r}")
            return None
        if (response.status, response.body) != (200, PAGE):
            self.failures.append(response)
        if response.closes and not self.signalled.is_set() and not was_signalled:
            self.failures.append("Connection: close before the signal")
        with self.lock:
            self.answered += 1
        return response

    def keep_alive(self):
        with self.server.client() as client:
            response = None
            while not (response and response.closes):
                response = self.exchange(client, quiet_since=time.monotonic())
                if not response:
                    return
            try:
                client.expect_end()
            except (AssertionError, OSError) as error:
                self.failures.append(f"after Connection: close: {error!r}")

    def connect_anew(self):
        while True:
            began = time.monotonic()
            try:
                client = self.server.client()
            except OSError as error:
                if not self.signalled.is_set():
                    self.failures.append(f"not connected: {error!r}")
                return
            with client:
                if not self.exchange(client, quiet_since=began):
                    return


class UnderLoad(ServerTest):
    def drain_under_load(self, threads, number, *arguments):
        server = self.serve("-j", str(threads), "--drain-timeout", "50", *arguments)
        load = Load(server)
        load.start(keeping=8, anew=4)
        wait_until(lambda: load.answered > 300 or load.failures, "the load is on")
        load.signalled.set()
        server.send_signal(number)
        load.join()
        answered, _ = server.stop(number=None)
        self.assertEqual(load.failures, [])
        self.assertGreaterEqual(answered, load.answered)

    def test_no_request_is_lost(self):
        for threads in (1, 2, 8):
            for attempt in range(scaled(3, 2)):
                with self.subTest(threads=threads, attempt=attempt):
                    self.drain_under_load(threads, signal.SIGINT if attempt % 2 else signal.SIGTERM)

    def test_no_request_is_lost_between_reactors(self):
        """The default, `auto`, is handoff or least: the other modes."""
        for mode in ("hash", "handoff"):
            for attempt in range(scaled(3, 2)):
                with self.subTest(mode=mode, attempt=attempt):
                    self.drain_under_load(4, signal.SIGTERM, "--balance", mode)

    def test_pipelines_are_answered_to_their_end(self):
        server = self.serve("-j", "2", "--drain-timeout", "50")
        count = 10_000
        clients = [self.connect(server, receive_buffer=4096) for _ in range(4)]
        senders = [threading.Thread(target=client.send, args=(request() * count,), daemon=True)
                   for client in clients]
        for sender in senders:
            sender.start()
        for client in clients:
            self.assertEqual(client.read().body, PAGE)
        for sender in senders:
            sender.join()
        server.send_signal(signal.SIGTERM)
        for client in clients:
            for _ in range(count - 1):
                self.assertEqual(client.read().body, PAGE)
            client.close()
        self.assertEqual(server.stop(number=None), (count * len(clients), len(clients)))


class Drain(ServerTest):
    def begin(self, server, number=signal.SIGTERM):
        """Sends the signal and waits until the server has taken notice: it blocks it no more."""
        self.assertTrue(self.blocks(server, number))
        server.send_signal(number)
        wait_until(lambda: not self.blocks(server, number), "the drain begins")

    def blocks(self, server, number):
        return all(mask >> number - 1 & 1 for mask in blocked_signals(server.pid))

    def assert_last_answer(self, client):
        response = client.read()
        self.assertEqual((response.status, response.body), (200, PAGE))
        self.assertTrue(response.closes)
        client.expect_end()
        client.close()

    def test_requests_in_flight_are_finished(self):
        for threads in (1, 2, 8):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), "--drain-timeout", "50")
                clients = [self.connect(server) for _ in range(10)]
                for at, client in enumerate(clients):
                    # Half of them have been served before.
                    if at % 2:
                        self.assertFalse(client.get().closes)
                    client.send(request()[:at + 1])
                wait_until(lambda s=server: not s.unread_bytes(), "everything is read")
                self.begin(server)
                time.sleep(1)  # longer than the grace for the idle
                for at, client in enumerate(clients):
                    client.send(request()[at + 1:])
                for client in clients:
                    self.assert_last_answer(client)
                server.stop(number=None)

    def test_bodies_in_flight_are_finished(self):
        server = self.serve("-j", "1", "--drain-timeout", "50")
        client = self.connect(server)
        client.send(request("POST", "/", "Content-Length: 10") + b"01234")
        self.assertEqual(client.read().status, 405)
        self.begin(server)
        time.sleep(1)
        client.send(b"56789" + request())
        self.assert_last_answer(client)
        server.stop(number=None)

    def test_the_accept_queue_is_served(self):
        for threads in (1, 2):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), "--max-connections", "1",
                                    "--drain-timeout", "50")
                holder = self.connect(server)
                self.assertEqual(holder.get().status, 200)
                # No thread accepts these before the first is gone.
                waiting = [self.connect(server) for _ in range(8)]
                for client in waiting:
                    client.send(request())
                holder.send(request()[:-1])
                self.begin(server)
                time.sleep(1)  # longer than the grace
                self.assertTrue(waiting[0].hears_nothing(0.1))
                holder.send(request()[-1:])
                self.assert_last_answer(holder)
                # In which order they are accepted is the kernel's business; each makes room for the
                # next by closing.
                served = []
                readers = [threading.Thread(target=self.serve_last, args=(client, served), daemon=True)
                           for client in waiting]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
                self.assertEqual(len(served), len(waiting))
                self.assertEqual(server.stop(number=None), (10, 9))

    def serve_last(self, client, served):
        self.assert_last_answer(client)
        served.append(client)

    def test_what_arrives_while_the_server_cannot_run_is_answered(self):
        # As on a machine that is overloaded: the server gets its turn when its grace has passed, and
        # finds more requests than one turn of the loop deals with.
        count = 600
        for _ in range(10):
            server = self.serve("-j", "1", "--drain-timeout", "50")
            clients = [self.connect(server) for _ in range(count)]
            for client in clients:
                self.assertEqual(client.get().status, 200)
            began = time.monotonic()
            self.begin(server)
            time.sleep(0.1)
            server.send_signal(signal.SIGSTOP)
            if time.monotonic() - began < SILENCE_S:
                break
            # This machine is overloaded indeed: the clients were too late themselves.
            server.send_signal(signal.SIGCONT)
            server.stop(number=None)
        for client in clients:
            client.send(request())
        time.sleep(1)
        server.send_signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual(client.read().body, PAGE)
            client.close()
        self.assertEqual(server.stop(number=None), (2 * count, count))

    def test_idle_clients_do_not_hold_it_up(self):
        for threads in (1, 2):
            server = self.serve("-j", str(threads), "--drain-timeout", "1000")
            clients = [self.connect(server) for _ in range(50)]
            for client in clients[:25]:
                self.assertEqual(client.get().status, 200)
            server.stop()
            for client in clients:
                client.expect_end()

    def test_new_clients_are_not_let_in(self):
        # From the beginning, that is, and not from when the grace is over and the socket closed. Three
        # times, because on a busy machine it may begin late.
        for _ in range(3):
            server = self.serve("-j", "2", "--drain-timeout", "50")
            busy = self.connect(server)
            busy.send(request()[:-1])
            wait_until(lambda s=server: not s.unread_bytes(), "everything is read")
            self.begin(server)
            began = time.monotonic()
            wait_until(lambda s=server: not self.is_let_in(s), "new clients are refused")
            took_s = time.monotonic() - began
            busy.send(request()[-1:])
            self.assert_last_answer(busy)
            server.stop(number=None)
            if took_s < SILENCE_S:
                return
        self.fail(f"new clients were let in for {took_s:.1f} s")

    def is_let_in(self, server):
        try:
            client = server.client(timeout_s=0.1)
        except (ConnectionRefusedError, TimeoutError):
            return False
        with client:
            client.socket.settimeout(PATIENCE_S)
            self.assertEqual(client.get().status, 200)
        return True


if __name__ == "__main__":
    unittest.main()
