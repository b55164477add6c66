"""Many connections from a process of their own: crowd.py HOST PORT COUNT hold|drip.

Opens COUNT connections, says "ready", and keeps them until its standard input ends. `hold` has a request
answered on each and then leaves them idle; `drip` sends a byte of a request a second on each. Says at
the end how many of them the server has closed."""

import resource
import select
import socket
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = REQUEST[:-2] + b"X: " + b"y" * 10_000
SLICES = 100  # of a second, in which a share of the bytes is sent


def connect(address, count):
    connections = []
    for _ in range(count):
        connection = socket.create_connection(address, timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
    return connections


def is_closed(connection):
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def input_ends(timeout_s):
    return select.select([sys.stdin], [], [], timeout_s)[0]


def hold(connections):
    for connection in connections:
        connection.sendall(REQUEST)
    for connection in connections:
        connection.recv(4096)
    print("ready", flush=True)
    input_ends(None)


def drip(connections):
    print("ready", flush=True)
    for at in range(len(ENDLESS)):
        for first in range(SLICES):
            for connection in connections[first::SLICES]:
                try:
                    connection.send(ENDLESS[at:at + 1])
                except OSError:
                    pass  # is_closed() will tell
            if input_ends(1 / SLICES):
                return


def main():
    host, port, count, what = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = connect((host, int(port)), int(count))
    (hold if what == "hold" else drip)(connections)
    print(sum(map(is_closed, connections)), flush=True)


if __name__ == "__main__":
    main()
