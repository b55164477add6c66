"""The service that the wait workload of bench/compare needs: a byte for each byte, 10 ms later."""

import os
import signal
import socket
import struct
import subprocess
import time
import unittest

from client import PATIENCE_S
from harness import ROOT, environment, free_port, in_child, limit_descriptors, wait_until

PROGRAM = os.environ.get("COREACTOR_SERVICE") or ROOT + "/build/release/bench/service"
DELAY_S = 0.010


class ServiceTest(unittest.TestCase):
    def start(self, preexec=None):
        self.port = free_port()
        process = subprocess.Popen([PROGRAM, "--port", str(self.port)], env=environment(), preexec_fn=in_child(preexec))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(self.listens, "the service listens")
        return process

    def listens(self):
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    @staticmethod
    def read(connection, count):
        answers = b""
        while len(answers) < count:
            got = connection.recv(1 << 16)
            if not got:
                break
            answers += got
        return len(answers)

    def test_no_answer_is_early(self):
        self.start()
        with self.connect() as connection:
            for _ in range(20):
                begin = time.monotonic()
                connection.sendall(b"?")
                self.assertEqual(len(connection.recv(9)), 1)
                self.assertGreaterEqual(time.monotonic() - begin, DELAY_S)

    def test_each_byte_is_answered_once_then_the_end(self):
        self.start()
        for count in (0, 1, 3, 100000):
            with self.connect() as connection:
                connection.sendall(b"?" * count)
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(self.read(connection, count + 1), count)

    def test_answers_that_are_not_taken_wait(self):
        self.start()
        sent = 0
        with self.connect() as connection:
            for _ in range(400):  # more than the buffers of both sockets hold
                sent += connection.send(b"?" * 65536)
            self.assertEqual(self.read(connection, sent), sent)

    def test_clients_that_leave_do_no_harm(self):
        self.start()
        for count in range(200):
            connection = self.connect()
            connection.sendall(b"?" * (count % 3))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        with self.connect() as connection:
            connection.sendall(b"?")
            self.assertEqual(len(connection.recv(9)), 1)

    def test_short_of_descriptors_it_serves_the_others_later(self):
        self.start(limit_descriptors(30))
        first = [self.connect() for _ in range(60)]
        for connection in first[:40]:
            connection.close()
        for connection in first[40:]:
            connection.sendall(b"?")
        for connection in first[40:]:
            self.assertEqual(len(connection.recv(9)), 1)
            connection.close()

    def test_a_signal_ends_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start()
            with self.connect():
                process.send_signal(number)
                self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_a_port_that_is_none_is_refused(self):
        for port in ("0", "65536", "x", ""):
            finished = subprocess.run([PROGRAM, "--port", port], stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
            self.assertEqual((finished.returncode, finished.stderr), (2, f"service: not a port: {port}\n"))

    def test_a_port_that_is_taken_is_refused(self):
        self.start()
        finished = subprocess.run([PROGRAM, "--port", str(self.port)], stderr=subprocess.PIPE, text=True,
                                  timeout=PATIENCE_S)
        self.assertEqual(finished.returncode, 1)
        self.assertEqual(finished.stderr, "service: cannot listen: Address already in use\n")


if __name__ == "__main__":
    unittest.main()
