"""The programs of bench/models as the tests run them, and the service that they ask.

The environment says which: COREACTOR_BUILD is the build folder."""

import atexit
import contextlib
import ctypes
import functools
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from dataclasses import dataclass
from pathlib import Path

from client import PATIENCE_S, Client
from harness import ROOT, SANITIZE, TCP_LISTEN, environment, in_child, sanitizer_findings, wait_until

sys.path.insert(0, ROOT + "/bench")
from lib.compare_plan import MODELS  # noqa: E402

BUILD = Path(os.environ.get("COREACTOR_BUILD") or ROOT + "/build/release")
SERVICE = BUILD / "bench/service"
POOL = 8       # processes or threads of a pool; few, so that tests can have all of them busy
THREADS = 2
DELAY_S = 0.01  # of the service

IO_URING_SETUP = 425  # of every architecture
# What the leak sanitizer says when the process it looks into is killed meanwhile, as children may be.
LEAK_CHECK = re.compile(r"==\d+==Unable to get registers from thread \d+\.\n")
# Of one loop, or one connection, a process; or Go's.
SINGLE_THREADED = ("cgi", "prefork", "select", "poll", "reactor-one", "reactor-processes", "goroutine")
NAMES = tuple(model.name for model in MODELS)


@dataclass(frozen=True)
class Traits:
    """What is to be expected of a model that others do differently."""
    requests_max: int = 0     # after so many it closes a connection; 0: never
    at_once: int = 0          # connections that it serves at a time; 0: all
    connections_max: int = 0  # that it can have, about; 0: as many as descriptors
    links: bool = False       # --pool bounds its connections to the service, of a thread
    sockets: int = 1          # that its processes have open when nobody is connected


LOOP = Traits(links=True, sockets=THREADS)
ONE_LOOP = Traits(links=True)
TRAITS = {
    "cgi": Traits(requests_max=1, at_once=POOL),
    "prefork": Traits(requests_max=100, at_once=POOL, sockets=POOL + 1),
    "thread": Traits(),
    "pool": Traits(requests_max=100, at_once=POOL),
    "select": Traits(links=True, connections_max=1000),
    "poll": ONE_LOOP,
    "reactor-one": ONE_LOOP,
    "goroutine": Traits(),
}


def traits(name):
    return TRAITS.get(name, LOOP)


class KeptPort:
    """A port of 127.0.0.1 that is nobody else's: what it is kept with lets only those share it that say so,
    and a client is never given it as its own."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.number = self.socket.getsockname()[1]
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def close(self):
        self.socket.close()


def is_listened_on(port):
    with open("/proc/net/tcp", encoding="ascii") as file:
        return any(row[1].endswith(f":{port:04X}") and row[3] == TCP_LISTEN for row in map(str.split, file))


@functools.cache
def goroutine():
    """Go's model, built once for a test program."""
    if not shutil.which("go"):
        raise unittest.SkipTest("there is no go here")
    folder = tempfile.mkdtemp(prefix="coreactor-goroutine-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    changes = {} if os.environ.get("HOME") or os.environ.get("GOCACHE") else {"GOCACHE": folder + "/cache"}
    subprocess.run(["go", "build", "-o", folder + "/goroutine", ROOT + "/bench/models/goroutine.go"], check=True,
                   env=environment(changes))
    return Path(folder + "/goroutine")


def may_use_io_uring():
    """The kernel or a sandbox may forbid it. Asked with arguments that it refuses otherwise."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(IO_URING_SETUP, 0, None)
    return ctypes.get_errno() not in (1, 38)  # EPERM, ENOSYS


def program(name):
    """The model's program; skips the test where there cannot be one, or nothing new is to be found."""
    if SANITIZE == "thread" and name in SINGLE_THREADED:
        raise unittest.SkipTest("the thread sanitizer has nothing to find in it")
    if name == "goroutine":
        return goroutine()
    path = BUILD / "bench/models" / name
    if name == "proactor" and not path.exists():
        raise unittest.SkipTest("proactor was built without: no liburing")
    if name == "proactor" and not may_use_io_uring():
        raise unittest.SkipTest("io_uring is forbidden here")
    if name == "coroutine" and SANITIZE and not path.exists():
        raise unittest.SkipTest("sanitizers do not know the stacks of coroutines")
    if not path.exists():
        raise AssertionError(f"{path} is not built")
    return path


def session(leader):
    """The processes of a session that have not ended."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                state = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()[0]
                if state not in (b"Z", b"X"):
                    found.append(pid)
    return found


def quick_to_end():
    """What programs run with here: the thread sanitizer would have every process wait a second at its end."""
    result = environment()
    result["TSAN_OPTIONS"] += ":atexit_sleep_ms=0"
    return result


class Running:
    """A program that listens on a port of its own, leader of its own session."""

    def __init__(self, command, port):
        self.port = port
        self.address = ("127.0.0.1", port.number)
        self.stderr_file = tempfile.TemporaryFile()
        self.checked = False
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.stderr_file,
            env=quick_to_end(), preexec_fn=in_child(None), start_new_session=True)
        self.pid = self.process.pid
        try:
            wait_until(lambda: is_listened_on(port.number) or self.process.poll() is not None, "it listens")
            if self.process.returncode is not None:
                raise AssertionError(f"{command} ended with {self.process.returncode}; stderr: {self.stderr()!r}")
        except BaseException:
            self.finish()
            raise

    def stderr(self):
        return os.pread(self.stderr_file.fileno(), 1 << 20, 0).decode()

    def client(self, **options):
        return Client(self.address, **options)

    def sockets(self):
        """How many all of its processes have open."""
        count = 0
        for pid in session(self.pid):
            for link in Path(f"/proc/{pid}/fd").glob("*"):
                with contextlib.suppress(OSError):
                    count += os.readlink(link).startswith("socket:")
        return count

    def wait(self):
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {PATIENCE_S} s") from None

    def stop(self, number=signal.SIGTERM, stderr=""):
        """Ends it, and checks how: with status 0, alone, and having said what matches the pattern."""
        self.process.send_signal(number)
        status = self.wait()
        self.checked = True
        if SANITIZE:  # looks for leaks by a process of its own, which outlives one that is killed meanwhile
            wait_until(lambda: not session(self.pid), "all of its processes have ended")
        left, said = session(self.pid), LEAK_CHECK.sub("", self.stderr())
        if findings := sanitizer_findings(self.pid, said):
            raise AssertionError(f"a sanitizer found something:\n{findings}")
        if status or not re.fullmatch(stderr, said):
            raise AssertionError(f"exit status {status}; stderr: {said!r}")
        if left:
            raise AssertionError(f"it left {len(left)} processes behind")
        self.wait_for_port()

    def wait_for_port(self):
        """The kernel may take a moment to end what io_uring was about, after the process."""
        wait_until(lambda: not is_listened_on(self.port.number), "nobody listens any more")

    def kill(self):
        """By SIGKILL, and only what was started here."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def finish(self):
        """Stops it with all checks, unless the test has; whatever happens, all of it is gone then."""
        try:
            if not self.checked and self.process.poll() is None:
                self.stop()
        finally:
            self.kill()
            for pid in session(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.stderr_file.close()
            self.port.close()


def start_model(name, service_port, *options):
    path, port = program(name), KeptPort()
    pool = () if "--pool" in options or not traits(name).at_once else ("--pool", POOL)
    threads = () if "--threads" in options else ("--threads", THREADS)
    return Running([path, "--port", port.number, "--service-port", service_port, *threads, *pool, *options], port)


def start_service():
    """The service of the benchmarks."""
    if not SERVICE.exists():
        raise AssertionError(f"{SERVICE} is not built")
    port = KeptPort()
    return Running([SERVICE, "--port", port.number], port)


class Service:
    """A service in the test's hands: it answers at once, or, while it holds, when it is let go."""

    def __init__(self):
        self.port = KeptPort()
        self.holding = False
        self.most = 0   # questions at a time that it had
        self.held = []  # the connection of each question that is not answered
        self.start()

    def start(self):
        """Listens; also after stop(), on the same port."""
        self.ending = False
        self.selector = selectors.DefaultSelector()
        self.wake, woken = socket.socketpair()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", self.port.number))
        listener.listen(4096)
        self.selector.register(woken, selectors.EVENT_READ, self._woken)
        self.selector.register(listener, selectors.EVENT_READ, self._accept)
        self.connections = set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        """Hangs up on everybody, with what was asked."""
        self.ending = True
        self.wake.send(b"!")
        self.thread.join()
        self.held = []

    def finish(self):
        if not self.ending:
            self.stop()
        self.port.close()

    def hold(self):
        self.holding, self.most = True, 0

    def let_go(self):
        self.holding = False
        self.wake.send(b"!")

    def _run(self):
        while not self.ending:
            for key, _ in self.selector.select():
                key.data(key.fileobj)
            self.most = max(self.most, len(self.held))
            while self.held and not self.holding and not self.ending:
                with contextlib.suppress(OSError):
                    self.held.pop(0).send(b"!")
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.wake.close()

    def _woken(self, woken):
        woken.recv(100)

    def _accept(self, listener):
        connection, _ = listener.accept()
        self.connections.add(connection)
        self.selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection):
        try:
            asked = connection.recv(4096)
        except OSError:
            asked = b""
        self.held += [connection] * len(asked)
        if not asked:
            self.selector.unregister(connection)
            self.connections.discard(connection)
            connection.close()


class ModelTest(unittest.TestCase):
    """Tests of one model."""

    MODEL = None
    NOT_ASKED = {}  # model: {test: why it is not asked of it}

    @classmethod
    def setUpClass(cls):
        program(cls.MODEL)

    def setUp(self):
        why = self.NOT_ASKED.get(self.MODEL, {}).get(self._testMethodName.removeprefix("test_"))
        if why:
            self.skipTest(f"not asked of {self.MODEL}: {why}")

    @property
    def traits(self):
        return traits(self.MODEL)

    def start(self, service_port, *options):
        model = start_model(self.MODEL, service_port, *options)
        self.addCleanup(model.finish)
        return model

    def sockets(self, model):
        """How many it has open when all of its threads and processes have started."""
        wait_until(lambda: model.sockets() == self.traits.sockets, "it has all of its listeners")
        return self.traits.sockets

    def connect(self, model, **options):
        client = model.client(**options)
        self.addCleanup(client.close)
        return client

    def assert_serves(self, model):
        with model.client() as client:
            self.assertEqual(client.get("/fast", "Connection: close").status, 200)


class SharedModelTest(ModelTest):
    """Tests that share one server, which is checked when all have run, and asks `service()` of the class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = start_model(cls.MODEL, cls.service_port())
        cls.addClassCleanup(cls.model.finish)

    def client(self, **options):
        return self.connect(self.model, **options)


def for_each_model(tests, base):
    """A test case for each model out of a class that only has the tests: for the module's globals."""
    return {name: type(name, (tests, base), {"MODEL": model, "__module__": tests.__module__})
            for model in NAMES for name in [f"{tests.__name__}_{model.replace('-', '_')}"]}
