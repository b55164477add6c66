"""Clients of one server that connect, ask once and stay: as many as it takes, not as many as one would like."""
import re
import selectors
import socket
import struct
import time

from lib.crowd import whole

TOGETHER = 128   # that are not answered yet: no queue of a listener overflows
QUIET_S = 1.5    # without an answer: then no more are waited for
LIMIT_S = 10     # for all of them
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing leaves nothing that waits in the kernel


class Held:
    """Connections to one server. held: how many were answered and are still open; closed: how many the server ended."""

    def __init__(self, port, path="/fast"):
        self.port, self.held, self.closed = port, 0, 0
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode("ascii")
        self.clients, self.ready = set(), selectors.DefaultSelector()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
        self.ready.close()

    def open(self, count):
        """Opens so many, and returns when all were answered or nothing happens any more."""
        begun, waiting = 0, 0
        begin = quiet_from = time.monotonic()
        while (begun < count or waiting) and time.monotonic() < begin + LIMIT_S:
            while begun < count and waiting < TOGETHER:
                self._connect()
                begun, waiting = begun + 1, waiting + 1
            for key, _ in self.ready.select(QUIET_S):
                if self._go_on(key):
                    waiting -= 1
                    quiet_from = time.monotonic()
            if time.monotonic() > quiet_from + QUIET_S:
                return

    def look(self):
        """Counts those that the server has closed meanwhile."""
        while events := self.ready.select(0):
            for key, _ in events:
                if key.data is None:
                    self.held -= 1
                    self.closed += 1
                self._drop(key.fileobj)

    def _connect(self):
        client = socket.socket()
        self.clients.add(client)
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", self.port))
        self.ready.register(client, selectors.EVENT_WRITE, b"")

    def _drop(self, client):
        self.ready.unregister(client)
        self.clients.discard(client)
        client.close()

    def _go_on(self, key):
        """Sends the request of a client that has connected, or reads on. Whether nothing is to come any more."""
        client, answer = key.fileobj, key.data
        try:
            if key.events == selectors.EVENT_WRITE:
                client.sendall(self.request)
                self.ready.modify(client, selectors.EVENT_READ, b"")
                return False
            more = client.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            more = b""
        if answer is None or not more:
            self.held -= answer is None
            self.closed += 1
            self._drop(client)
            return answer is not None
        return self._answered(client, answer + more)

    def _answered(self, client, answer):
        if not whole(answer):
            self.ready.modify(client, selectors.EVENT_READ, answer)
            return False
        if re.search(rb"\r\nConnection: *close", answer.partition(b"\r\n\r\n")[0], re.I):
            self.closed += 1
            self._drop(client)
        else:
            self.held += 1
            self.ready.modify(client, selectors.EVENT_READ, None)
        return True
