"""How many connections each reactor of a server has, as the kernel knows it: a reactor is an epoll instance that
watches a listener of the server's port, and what it has are the connected sockets that it watches (proc(5),
/proc/PID/fdinfo). The server's own counters are not asked, so that they can be compared with this."""
import http.client
import json
import os
import re
import time

from lib.machine import Failure, text_of

SETTLE_S = 5
LISTENING, CONNECTED = ("0A",), ("01", "08")  # 08: the client has closed, the server has not noticed yet


def sockets(port, states):
    """Sockets of this local port: inode -> the other side's port."""
    found = {}
    for line in (text_of("/proc/net/tcp") or "").splitlines()[1:]:
        words = line.split()
        if words[3] in states and int(words[1].partition(":")[2], 16) == port:
            found[int(words[9])] = int(words[2].partition(":")[2], 16)
    return found


def watched(pid, descriptor):
    """The inodes that an epoll instance watches."""
    text = text_of(f"/proc/{pid}/fdinfo/{descriptor}") or ""
    return {int(number, 16) for number in re.findall(r"^tfd:.*\bino:([0-9a-f]+)", text, re.M)}


def epolls(pid):
    for descriptor in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        try:
            if "[eventpoll]" in os.readlink(f"/proc/{pid}/fd/{descriptor}"):
                yield descriptor
        except FileNotFoundError:
            continue


def chosen_in_kernel(pid):
    """Whether the process shares memory with a program in the kernel, as --balance least does where it works."""
    return "bpf-map" in (text_of(f"/proc/{pid}/maps") or "")


class Reactors:
    """The reactors of a running server, in the order in which it made them."""

    def __init__(self, pid, port, wanted, patience_s=SETTLE_S):
        self.pid, self.port = pid, port
        deadline = time.monotonic() + patience_s
        self.loops = self._found()
        while len(self.loops) != wanted:  # the server answers as soon as its first loop runs
            if time.monotonic() > deadline:
                raise Failure(f"{len(self.loops)} loops with a listener were found, not {wanted}")
            time.sleep(0.01)
            self.loops = self._found()

    def _found(self):
        listeners = set(sockets(self.port, LISTENING))
        return [descriptor for descriptor in epolls(self.pid) if watched(self.pid, descriptor) & listeners]

    def places(self):
        """Client's port -> the reactor that has its connection."""
        connected = sockets(self.port, CONNECTED)
        return {connected[inode]: number for number, loop in enumerate(self.loops)
                for inode in watched(self.pid, loop) if inode in connected}

    def open(self):
        """Connections of each reactor."""
        counts = [0] * len(self.loops)
        for number in self.places().values():
            counts[number] += 1
        return counts

    def settled(self, wanted):
        """The same, when there are so many in all: what has just been closed takes a moment."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            counts = self.open()
            if sum(counts) == wanted:
                return counts
            if time.monotonic() > deadline:
                raise Failure(f"the server has {sum(counts)} connections, not {wanted}")
            time.sleep(0.005)


def told(port):
    """The connections of each reactor as the server itself tells them (--admin, /status.json); None where it
    does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status.json")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            return None
        return [reactor["connections"]["open"] for reactor in json.loads(body)["reactors"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
