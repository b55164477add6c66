"""A client on a bare socket, which believes nothing: answers are parsed by the letter of RFC 9112."""

import re
import socket
import struct
from dataclasses import dataclass

PATIENCE_S = 30  # how long anything may take before it counts as hung
PAGE = (b'<!doctype html><html lang="en"><title>coreactor</title>'
        b"<p>One reactor per core.</p>")

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ([\t\x20-\x7e]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ((?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?)")
HEAD_MAX = 4096


def request(method="GET", target="/", *fields, version="HTTP/1.1", host="localhost", body=b""):
    """The bytes of a request; `fields` are whole lines, without their CRLF."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += fields
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass
class Response:
    status: int
    reason: str
    fields: list  # of (name in lower case, value), in order
    body: bytes

    def __getitem__(self, name):
        """The value of the only field of that name, or None."""
        values = [value for known, value in self.fields if known == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{name} was sent {len(values)} times")
        return values[0] if values else None

    @property
    def closes(self):
        return self["connection"] == "close"


def parse_head(head):
    """Status line and fields without the empty line at the end."""
    first, *lines = head.split(b"\r\n")
    status_line = STATUS_LINE.fullmatch(first)
    if not status_line:
        raise AssertionError(f"no status line: {first!r}")
    fields = []
    for line in lines:
        field = FIELD_LINE.fullmatch(line)
        if not field:
            raise AssertionError(f"no field line: {line!r}")
        fields.append((field[1].decode().lower(), field[2].decode()))
    return Response(int(status_line[1]), status_line[2].decode(), fields, b"")


class Client:
    """One connection; an address that is a text is the path of a unix socket. `receive_buffer` asks for a small SO_RCVBUF; `source` is an address to come from."""

    def __init__(self, address, receive_buffer=None, timeout_s=PATIENCE_S, source=None):
        local = isinstance(address, str)
        family = socket.AF_UNIX if local else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        try:
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if not local:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(timeout_s)
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with a reset (RST) instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def more(self, at_most=65536):
        """Waits for bytes and appends them to `unread`."""
        piece = self.socket.recv(at_most)
        if not piece:
            raise AssertionError(f"the connection ended after {self.unread[-200:]!r}")
        self.unread += piece

    def read_head(self):
        while (end := self.unread.find(b"\r\n\r\n")) < 0:
            if len(self.unread) > HEAD_MAX:
                raise AssertionError(f"no end of the head: {self.unread[:200]!r}")
            self.more()
        response = parse_head(self.unread[:end])
        self.unread = self.unread[end + 4:]
        return response

    def read(self, head=False):
        """The next answer; `head` says that it answers a HEAD request."""
        response = self.read_head()
        length = response["content-length"]
        if response["transfer-encoding"] is not None:
            raise AssertionError(f"Transfer-Encoding is {response['transfer-encoding']!r}")
        if response.status < 200 or response.status == 204:  # RFC 9110 section 8.6
            if length is not None:
                raise AssertionError(f"{response.status} with Content-Length")
            return response
        if response.status == 304 and length is None:  # RFC 9110 section 15.4.5
            return response
        if length is None or not re.fullmatch("0|[1-9][0-9]*", length):
            raise AssertionError(f"Content-Length is {length!r}")
        body_length = 0 if head or response.status == 304 else int(length)
        while len(self.unread) < body_length:
            self.more()
        response.body, self.unread = self.unread[:body_length], self.unread[body_length:]
        return response

    def read_line(self):
        while (end := self.unread.find(b"\r\n")) < 0:
            if len(self.unread) > HEAD_MAX:
                raise AssertionError(f"no end of the line: {self.unread[:200]!r}")
            self.more()
        line, self.unread = self.unread[:end], self.unread[end + 2:]
        return line

    def read_chunks(self):
        """The chunks of a body, after read_head(), up to its end; no trailers are expected."""
        while length := int(self.read_line(), 16):
            while length:
                if not self.unread:
                    self.more(1 << 20)
                piece, self.unread = self.unread[:length], self.unread[length:]
                length -= len(piece)
                yield piece
            if end := self.read_line():
                raise AssertionError(f"a chunk is followed by {end[:200]!r}")
        if end := self.read_line():
            raise AssertionError(f"the last chunk is followed by {end[:200]!r}")

    def ask(self, *arguments, **options):
        """Sends request(...) and reads the answer."""
        self.send(request(*arguments, **options))
        return self.read(head=arguments[:1] == ("HEAD",))

    def get(self, target="/", *fields, **options):
        return self.ask("GET", target, *fields, **options)

    def expect_end(self):
        """The server has closed in order, and nothing came after the last answer."""
        rest = self.unread + self.socket.recv(4096)
        if rest:
            raise AssertionError(f"expected the end of the connection, got {rest[:200]!r}")

    def hears_nothing(self, for_s):
        """Whether nothing at all arrives for that long."""
        if self.unread:
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(for_s)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
