"""Runs the real program and talks to it: what every test_*.py here starts from.

The environment says what is tested: COREACTOR is the program, COREACTOR_SANITIZE the sanitizers it
was built with (such as "address,undefined" or "thread"; empty for none).

Nothing waits for a fixed time to be enough: what must happen is waited for, for PATIENCE_S at most.
"""

import concurrent.futures
import contextlib
import ctypes
import fcntl
import glob
import os
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from client import PATIENCE_S, Client

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.abspath(os.environ.get("COREACTOR") or ROOT + "/build/release/coreactor")
SANITIZE = os.environ.get("COREACTOR_SANITIZE", "")
PIPE = subprocess.PIPE

PR_SET_PDEATHSIG = 1
TCP_LISTEN = "0A"  # in /proc/net/tcp

ANNOUNCEMENT = re.compile(r"coreactor: listening on http://(\S+):(\d+)/ with (\d+) reactors?\n")
ADMIN = re.compile(r"coreactor: admin on (http://(\S+):(\d+)/|unix:(.+))\n")
SUMMARY = re.compile(r"coreactor: answered (\d+) requests on (\d+) connections\n")
# What counts as a stall where a test is about something else: longer than a machine forgets a thread.
STALL_LIMIT = ("--stall-warning", "5000")
# What the watchdog says.
STALL = re.compile(
    r"(coreactor: |\n?\(\S+:\d+\): coreactor-WARNING \*\*: [\d:.]+: )"
    r"(the handler of \S+|something that is no handler \(.*\)) (has )?kept (reactor \d+|reactors) from .*\n")
# What a server says that was to balance as well as it can, where it may not do so in the kernel.
FALLBACK = re.compile(
    r"\A(\*\* )?(coreactor: |coreactor-Message: [\d:.]+: )"
    r"connections are balanced by hand-off, not in the kernel: [^;\n]+; --balance handoff asks for that\n")
SANITIZER_REPORT = re.compile(
    r"(ERROR|WARNING|SUMMARY): \w*Sanitizer|runtime error:|Sanitizer:DEADLYSIGNAL")


def scaled(count, sanitized):
    """`count` for a plain build, `sanitized` for one that is several times slower."""
    return sanitized if SANITIZE else count


def wait_until(condition, what, patience_s=PATIENCE_S):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s in vain until {what}")
        time.sleep(0.01)
    return value


def blocked_signals(pid):
    """What each thread of a process blocks, as a mask."""
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("SigBlk:"))
        yield int(line.split()[1], 16)


def together(*scenarios):
    """Runs functions that mostly wait at the same time; raises what the first of them that failed did.
    None may start a server, which would end with its thread."""
    with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as threads:
        for future in [threads.submit(scenario) for scenario in scenarios]:
            future.result()


def free_port():
    """A port of 127.0.0.1 on which nothing listens, for when the program cannot say its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@contextlib.contextmanager
def default_port():
    """Port 18470 for one test at a time; skips the test when somebody else keeps it."""
    with open(f"{tempfile.gettempdir()}/coreactor-e2e-{os.getuid()}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def is_free():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    probe.bind(("127.0.0.1", 18470))
                    return True
            return False
        try:
            wait_until(is_free, "port 18470 is free", patience_s=5)
        except AssertionError as error:
            raise unittest.SkipTest(str(error)) from None
        yield 18470


def raise_descriptor_limit(wanted):
    """Lets this process have `wanted` descriptors; returns how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def limit_descriptors(count):
    """For preexec: soft and hard limit, so that the program cannot raise it."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def in_child(preexec):
    """What to do in the child before the program: first of all, see that it dies with this process."""
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if preexec:
            preexec()
    return prepare


def environment(changes=None):
    """What the program runs with. The sanitizers' options of the caller come as they are."""
    result = {name: value for name, value in os.environ.items()
              if not name.startswith(("OMP_", "GOMP_", "G_MESSAGES", "G_DEBUG"))}
    result.setdefault("TSAN_OPTIONS", f"suppressions={ROOT}/tests/tsan.supp")
    result.update(changes or {})
    return result


def sanitizer_findings(pid, stderr):
    """What the sanitizers said about the process: on stderr, or in the files of log_path."""
    findings = stderr if SANITIZER_REPORT.search(stderr) else ""
    options = " ".join(os.environ.get(name + "_OPTIONS", "") for name in ("ASAN", "UBSAN", "TSAN"))
    for path in set(re.findall(r"log_path=([^:\s]+)", options)):
        for name in glob.glob(f"{glob.escape(path)}.{pid}"):
            with open(name, encoding="utf-8", errors="replace") as file:
                findings += file.read()
    return findings


def without_fallback(stderr, arguments):
    """What it said beside that, unless it was told how to balance."""
    return stderr if "--balance" in arguments else FALLBACK.sub("", stderr)


class Server:
    """A running coreactor. `listen` holds one ADDR:PORT for each -l, or none for the program's default;
    `preexec` runs in the child. Another `program`, an example, gets the addresses as they are, and has
    a limit of its own for stalls.

    It is ready when the constructor returns, unless it was told not to say so (-q, or a `stdout`
    other than a pipe)."""

    def __init__(self, *arguments, listen=("127.0.0.1:0",), env=None, preexec=None,
                 stdout=PIPE, program=None):
        words = listen if program else [word for address in listen for word in ("-l", address)]
        self.limits_stalls = bool(program or STALL_LIMIT[0] in arguments)
        if not self.limits_stalls:
            words += STALL_LIMIT
        command = [program or PROGRAM, *words, *arguments]
        self.arguments = arguments
        self.stderr_file = tempfile.TemporaryFile()
        self.stdout_text = ""
        self.addresses = []
        self.admin_url = None
        self.admin_address = None  # (host, port), or the path of a unix socket
        self.reactors = None
        self.checked = False
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=self.stderr_file,
            env=environment(env), preexec_fn=in_child(preexec))
        self.pid = self.process.pid
        if stdout == PIPE and not {"-q", "--quiet"} & set(arguments):
            try:
                self._read_announcements(max(1, len(listen)))
                if "--admin" in arguments:
                    self._read_admin()
            except BaseException:
                self.kill()
                raise
        elif listen:
            host, port = listen[0].rsplit(":", 1)
            self.addresses = [(host.strip("[]"), int(port))]

    def _read_announcements(self, count):
        for _ in range(count):
            line = self._read_line()
            match = ANNOUNCEMENT.fullmatch(line)
            if not match:
                self.kill()
                raise AssertionError(f"no announcement: {line!r}; stderr: {self.stderr()!r}")
            self.addresses.append((match[1].strip("[]"), int(match[2])))
            self.reactors = int(match[3])

    def _read_admin(self):
        line = self._read_line()
        if not (match := ADMIN.fullmatch(line)):
            raise AssertionError(f"the admin pages are not announced: {line!r}")
        self.admin_url = match[1]
        self.admin_address = match[4] or (match[2].strip("[]"), int(match[3]))

    def _read_line(self):
        pipe = self.process.stdout
        deadline = time.monotonic() + PATIENCE_S
        while "\n" not in self.stdout_text:
            if not select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"the server said nothing for {PATIENCE_S} s")
            if not (piece := os.read(pipe.fileno(), 4096)):
                break
            self.stdout_text += piece.decode()
        line, newline, self.stdout_text = self.stdout_text.partition("\n")
        return line + newline

    @property
    def address(self):
        return self.addresses[0]

    @property
    def url(self):
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def client(self, address=None, **options):
        return Client(address or self.address, **options)

    def send_signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Stops the process until go_on(), as a machine does that has no time for it."""
        self.send_signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", "it has stopped")

    def go_on(self):
        self.send_signal(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def stderr(self):
        said = os.pread(self.stderr_file.fileno(), 1 << 20, 0).decode()
        return without_fallback(said, self.arguments)

    def wait(self, patience_s=PATIENCE_S):
        """Waits for the end; returns (exit status, what it printed after the announcements)."""
        try:
            rest, _ = self.process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end within {patience_s} s") from None
        self.stdout_text += (rest or b"").decode()
        return self.process.returncode, self.stdout_text

    def stop(self, number=signal.SIGTERM, status=0, stderr="", patience_s=PATIENCE_S):
        """Ends the server with a signal (None: it ends by itself) and checks how it went: exit
        status, and that all of stderr matches the pattern, but for stalls where the limit is its own.
        Returns the answered requests and the connections of its summary, or None when it printed none."""
        if number:
            self.send_signal(number)
        returned, rest = self.wait(patience_s)
        self.checked = True
        said = self.stderr()
        if findings := sanitizer_findings(self.pid, said):
            raise AssertionError(f"a sanitizer found something:\n{findings}")
        if returned != status or not re.fullmatch(stderr, STALL.sub("", said) if self.limits_stalls else said):
            raise AssertionError(f"exit status {returned}, expected {status}; stderr: {said!r}")
        match = SUMMARY.fullmatch(rest)
        return (int(match[1]), int(match[2])) if match else None

    def kill(self):
        """Without any check: only the process that was started here, by its id."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _admin_listener(self):
        """What /proc calls it; None when there is none, or it is not on IPv4."""
        if not self.admin_address or isinstance(self.admin_address, str):
            return None
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        return next((f"socket:[{row[9]}]" for row in rows
                     if row[1].endswith(f":{self.admin_address[1]:04X}") and row[3] == TCP_LISTEN), None)

    def spread(self):
        """How many connections each reactor has, most first: what else its epoll watches of sockets are its
        listeners. That of the admin pages is on none of them."""
        counts = []
        admin = self._admin_listener()
        folder = f"/proc/{self.pid}/fd"
        links = {}
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                links[name] = os.readlink(f"{folder}/{name}")
        for name, link in links.items():
            if link == "anon_inode:[eventpoll]":
                with open(f"/proc/{self.pid}/fdinfo/{name}", encoding="ascii") as file:
                    watched = re.findall(r"^tfd: +(\d+)", file.read(), re.M)
                sockets = sum(links.get(fd, "").startswith("socket:") for fd in watched)
                if sockets and admin not in (links.get(fd, "") for fd in watched):
                    counts.append(sockets - len(self.addresses))
        if len(counts) != self.reactors:
            raise AssertionError(f"{len(counts)} of {self.reactors} reactors have listeners")
        return sorted(counts, reverse=True)

    def unread_bytes(self):
        """What its clients have sent and it has not read yet, over IPv4; a connection that waits to be
        accepted counts as a byte."""
        port = f":{self.address[1]:04X}"
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        return sum(int(row[4].split(":")[1], 16) for row in rows if row[1].endswith(port))

    def naps(self):
        """How often its first thread has gone to sleep so far."""
        with open(f"/proc/{self.pid}/task/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1])

    def tasks(self):
        return sorted(int(name) for name in os.listdir(f"/proc/{self.pid}/task"))

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def anonymous_bytes(self):
        """Memory of its own, as the page tables have it (VmRSS and its parts lag behind)."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(r"^Anonymous: +(\d+) kB", file.read(), re.M)[1]) * 1024


class Finished:
    """What a run of the program that ends by itself came to."""

    def __init__(self, *arguments, env=None, preexec=None, stdout=PIPE):
        process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=PIPE, env=environment(env), preexec_fn=in_child(preexec))
        try:
            said, stderr = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, stderr = process.communicate()
            raise AssertionError(f"{arguments} did not end; stderr: {stderr!r}") from None
        self.status, self.stderr = process.returncode, without_fallback(stderr.decode(), arguments)
        self.stdout = (said or b"").decode()
        if findings := sanitizer_findings(process.pid, self.stderr):
            raise AssertionError(f"a sanitizer found something:\n{findings}")


def finish(server):
    """Stops the server, unless the test has, with all checks; whatever happens, it is gone then."""
    try:
        if not server.checked:
            server.stop()
    finally:
        server.kill()
        server.stderr_file.close()


class ServerTest(unittest.TestCase):
    """Tests that start servers of their own, which are stopped and checked after each test."""

    def serve(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(finish, server)
        return server

    def connect(self, server, **options):
        client = server.client(**options)
        self.addCleanup(client.close)
        return client

    def assert_serves(self, server):
        with server.client() as client:
            self.assertEqual(client.get().status, 200)


class SharedServerTest(ServerTest):
    """Tests that share one server, started with ARGUMENTS: it is checked when all have run."""

    ARGUMENTS = ("-j", "1")

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.ARGUMENTS)
        cls.addClassCleanup(finish, cls.server)


def curl(*arguments):
    """Runs curl without the user's settings; returns its standard output, or raises."""
    result = subprocess.run(
        ["curl", "-q", "-sS", "--max-time", str(PATIENCE_S), "--noproxy", "*", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode:
        raise AssertionError(f"curl: {result.stderr.decode()}")
    return result.stdout.decode()
