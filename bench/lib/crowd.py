"""Clients that connect, make one request, and stay."""
import re
import selectors
import socket

from lib.machine import Failure

PATIENCE_S = 10


def request(port):
    return f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode("ascii")


def whole(answer):
    """Whether an answer has come to its end."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head, re.I)
    return bool(blank and length and len(body) >= int(length.group(1)))


class Crowd:
    """Connections to one server; each has been answered once, so each has arrived at its reactor."""

    def __init__(self, port):
        self.port, self.clients = port, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close_all()

    def _ask(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        try:
            client.sendall(request(self.port))
            answer = b""
            while not whole(answer):
                more = client.recv(4096)
                if not more:
                    raise Failure("the server closed a connection instead of answering")
                answer += more
        except BaseException:
            client.close()
            raise
        return client

    def open_one(self):
        self.clients.append(self._ask())

    def come_and_go(self):
        self._ask().close()

    def close(self, number):
        self.clients.pop(number).close()

    def open_together(self, count):
        """Begins to connect all before any is answered."""
        with selectors.DefaultSelector() as ready:
            for _ in range(count):
                client = socket.socket()
                self.clients.append(client)
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", self.port))
                ready.register(client, selectors.EVENT_WRITE, b"")
            left = count
            while left:
                events = ready.select(PATIENCE_S)
                if not events:
                    raise Failure(f"{left} of {count} connections were not answered")
                for key, _ in events:
                    left -= self._go_on(ready, key)

    def _go_on(self, ready, key):
        """Sends the request of a client that has connected, or reads on. Whether it has its answer."""
        if key.events == selectors.EVENT_WRITE:
            key.fileobj.sendall(request(self.port))
            ready.modify(key.fileobj, selectors.EVENT_READ, b"")
            return False
        more = key.fileobj.recv(4096)
        if not more:
            raise Failure("the server closed a connection instead of answering")
        if not whole(key.data + more):
            ready.modify(key.fileobj, selectors.EVENT_READ, key.data + more)
            return False
        ready.unregister(key.fileobj)
        return True

    def close_all(self):
        while self.clients:
            self.clients.pop().close()
