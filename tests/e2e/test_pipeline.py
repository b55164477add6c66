#!/usr/bin/env python3
"""Requests in any pieces, and clients that read slowly, stop half-way or vanish: every answer comes,
whole and in order, and nothing is left behind."""

import random
import threading
import time
import unittest

from client import PAGE, request
from harness import ServerTest, SharedServerTest, scaled, wait_until

# Requests whose answers differ, so that their order can be checked: what is asked, and what must come.
KINDS = (
    (request(), (200, PAGE, None)),
    (request("HEAD"), (200, b"", None)),
    (request("POST", "/", body=b"GET / HTTP/1.1\r\n\r\n"), (405, b"405 Method Not Allowed\n", None)),
    (request("GET", "/", "Connection: keep-alive", version="HTTP/1.0"), (200, PAGE, "keep-alive")),
    (request("GET", "/" + "long" * 200, *(f"X-Field-{i}: value" for i in range(20))),
     (200, PAGE, None)),
)


# Of requests whose answers (six times as many bytes) nobody reads: more than any kernel holds.
FAR_TOO_MUCH = 16 << 20


def pipeline(count, seed=1):
    """`count` requests as bytes, and the kinds of their answers in order."""
    kinds = random.Random(seed).choices(KINDS, weights=(5, 3, 3, 3, 1), k=count)
    return b"".join(sent for sent, _ in kinds), [answer for _, answer in kinds]


class PipelineTest(SharedServerTest):
    def client(self, **options):
        return self.connect(self.server, **options)

    def stick(self, client):
        """Sends requests until the server reads no more, because nobody reads its answers; returns how
        many."""
        count = 0
        while count * len(request()) < FAR_TOO_MUCH:
            before = self.server.naps()
            client.send(request() * 1000)
            count += 1000
            if self.sleeps_on(before):
                return count
        raise AssertionError("the server takes more and more")

    def sleeps_on(self, naps):
        """Whether what was sent does not wake the server, for a while. Should it only be late, on a busy
        machine, then the client is not stuck yet: that makes a test weaker, not wrong."""
        for _ in range(30):
            time.sleep(0.01)
            if self.server.naps() != naps:
                return False
        return True

    def read_answers(self, client, answers):
        for number, (status, body, connection) in enumerate(answers):
            response = client.read(head=status == 200 and not body)
            self.assertEqual((number, response.status, response.body, response["connection"]),
                             (number, status, body, connection))


class Pipelines(PipelineTest):
    def test_a_thousand_requests_in_one_write(self):
        sent, answers = pipeline(1000)
        client = self.client()
        client.send(sent)
        self.read_answers(client, answers)
        client.half_close()
        client.expect_end()

    def test_a_thousand_requests_and_a_slow_reader(self):
        sent, answers = pipeline(1000)
        client = self.client(receive_buffer=1024)
        client.send(sent)
        while client.unread.count(b"HTTP/1.1 ") < 100:
            client.more(at_most=50)
            time.sleep(0.0005)
        self.read_answers(client, answers)

    def test_more_answers_than_the_kernel_holds(self):
        # 100,000 answers are 20 MB, five times the largest send buffer (net.ipv4.tcp_wmem): the server
        # has to stop in the middle of an answer, more than once, and go on from there.
        sent, answers = pipeline(scaled(100_000, 50_000))
        client = self.client(receive_buffer=4096)
        sender = threading.Thread(target=client.send, args=(sent,), daemon=True)
        sender.start()
        time.sleep(0.2)
        self.read_answers(client, answers)
        sender.join()
        self.assertEqual(client.get().body, PAGE)

    def test_half_close_after_sending(self):
        for count in (1, 10, 1000, scaled(50_000, 20_000)):
            with self.subTest(count=count):
                sent, answers = pipeline(count)
                client = self.client(receive_buffer=4096)

                def send(client=client, sent=sent):
                    client.send(sent)
                    client.half_close()

                sender = threading.Thread(target=send, daemon=True)
                sender.start()
                self.read_answers(client, answers)
                client.expect_end()
                sender.join()


class Pieces(PipelineTest):
    def send_in_pieces(self, client, *pieces):
        for piece in pieces:
            client.send(piece)
            time.sleep(0.001)  # so that the server usually sees the pieces one by one

    def test_a_pipeline_split_at_every_byte(self):
        sent = b"".join(kind for kind, _ in KINDS[:4])
        answers = [answer for _, answer in KINDS[:4]]
        client = self.client()
        for at in range(1, len(sent)):
            self.send_in_pieces(client, sent[:at], sent[at:])
            self.read_answers(client, answers)

    def test_pieces_of_each_size(self):
        sent, answers = pipeline(20)
        client = self.client()
        for size in range(17, 300, 13):
            self.send_in_pieces(client, *(sent[at:at + size] for at in range(0, len(sent), size)))
            self.read_answers(client, answers)

    def test_a_long_head_that_grows(self):
        sent = request("GET", "/", *(f"X-{i}: {'y' * 180}" for i in range(80)))
        client = self.client()
        self.send_in_pieces(client, *(sent[at:at + 97] for at in range(0, len(sent), 97)))
        self.assertEqual(client.read().body, PAGE)

    def test_slow_clients_beside_a_fast_one(self):
        sent, answers = pipeline(3, seed=2)
        slow = [self.client() for _ in range(20)]
        fast = self.client()
        for at in range(len(sent)):
            for client in slow:
                client.send(sent[at:at + 1])
            self.assertEqual(fast.get().body, PAGE)
        for client in slow:
            self.read_answers(client, answers)


class Stuck(PipelineTest):
    """A client that does not read its answers."""

    def test_does_not_hold_up_others_and_is_not_buffered_for(self):
        self.assert_serves(self.server)
        before = self.server.anonymous_bytes()
        stuck = [self.client(receive_buffer=4096) for _ in range(3)]
        for client in stuck:
            self.assertGreater(self.stick(client), 1000)
            self.assertEqual(self.client().get().body, PAGE)
        grown = self.server.anonymous_bytes() - before
        # What they sent waits in the kernel, and so do their answers but for one batch each.
        self.assertLess(grown, scaled(2 << 20, 16 << 20))

    def test_gets_everything_once_it_reads(self):
        client = self.client(receive_buffer=4096)
        for _ in range(self.stick(client)):
            self.assertEqual(client.read().body, PAGE)
        self.assertTrue(client.hears_nothing(0.05))
        self.assertEqual(client.get().body, PAGE)

    def test_gets_everything_after_a_half_close(self):
        client = self.client(receive_buffer=4096)
        count = self.stick(client)
        client.half_close()
        time.sleep(0.1)
        for _ in range(count):
            self.assertEqual(client.read().body, PAGE)
        client.expect_end()

    def test_gets_everything_before_the_end(self):
        for last, status in ((request("GET", "/", "Connection: close"), 200), (b"nonsense\r\n\r\n", 400)):
            client = self.client(receive_buffer=4096)
            count = self.stick(client)
            client.send(last + request() * 10)
            for _ in range(count):
                self.assertEqual(client.read().body, PAGE)
            response = client.read()
            self.assertEqual((response.status, response["connection"]), (status, "close"))
            client.expect_end()


class Resets(PipelineTest):
    """Clients that go with a reset; the article's server died of the first."""

    def setUp(self):
        self.server = self.serve("-j", "1")
        self.unused = self.server.descriptors()

    def wait_for_descriptors(self, clients):
        wait_until(lambda: self.server.descriptors() == self.unused + clients,
                   f"all descriptors but {clients} are closed")

    def test_in_every_state(self):
        idle = self.connect(self.server)
        sent, _ = pipeline(3000)
        for _ in range(scaled(60, 30)):
            # before a request, amid one, in a body, after an error
            for before in (b"", request()[:-3], request("POST", "/", "Content-Length: 9") + b"x", b"\n"):
                client = self.server.client()
                client.send(before)
                client.reset()
            # with answers in the socket, and with more of them than it holds
            for amount in (1, 10, len(sent)):
                client = self.server.client(receive_buffer=4096)
                client.send(sent[:amount] if amount > 10 else request() * amount)
                client.socket.recv(100)
                client.reset()
        # with answers that the server still holds
        for _ in range(5):
            client = self.server.client(receive_buffer=4096)
            self.stick(client)
            client.reset()
        self.wait_for_descriptors(clients=1)
        self.assertEqual(idle.get().body, PAGE)

    def test_of_a_whole_crowd_at_once(self):
        for _ in range(5):
            crowd = [self.server.client() for _ in range(200)]
            for client in crowd:
                client.send(request())
            for client in crowd:
                client.reset()
        self.wait_for_descriptors(clients=0)
        self.assert_serves(self.server)


if __name__ == "__main__":
    unittest.main()
