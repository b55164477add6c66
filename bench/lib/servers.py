"""Starting, watching, measuring and ending the programs under load."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from lib.machine import COREACTOR, LIMIT, ROOT, Failure, text_of

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_S = 10      # to listen
DRAIN_S = 5       # after SIGTERM, before the second one
SETTLE_MAX_S = 5  # to close the connections of a run


class Server:
    """One program, in a session of its own so that a Ctrl-C at the terminal is ours to handle."""

    def __init__(self, name, command, port):
        self.name, self.command, self.port = name, command, port
        self.process = None
        self.family = []   # process descriptors of its children, see watch_family()
        self.words = None  # what it wrote, for the failure's line

    def start(self):
        if listens(self.port):  # with SO_REUSEPORT both would get a share of the connections
            raise Failure(f"port {self.port} is in use")
        self.words = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=self.words, stderr=self.words,
                                        start_new_session=True)
        deadline = time.monotonic() + START_S
        while not listens(self.port):
            self.check()
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} does not listen on port {self.port}")
            time.sleep(0.02)
        self.check()
        self.watch_family()

    def watch_family(self):
        """Keeps hold of its children, so that none outlives it: a number may soon be another process's."""
        for pid in family(self.process.pid)[1:]:
            try:
                self.family.append(os.pidfd_open(pid))
            except ProcessLookupError:
                pass

    def check(self):
        """Failure when the program has ended."""
        status = self.process.poll()
        if status is not None:
            kill_all(self.family)
            said = " | ".join(self.said()[-3:])
            raise Failure(f"{self.name} ended by itself, status {status}: {said or 'no message'}")

    def said(self):
        """The lines that it has written so far."""
        return lines_of(self.words)

    def stop(self):
        """The exit status after SIGTERM, or None when it had to be killed."""
        if self.process is None:
            return None
        try:
            return self._stop_first()
        finally:
            kill_all(self.family)

    def _stop_first(self):
        for number, patience_s in ((signal.SIGTERM, DRAIN_S), (signal.SIGTERM, 2)):
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                return self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
        self.process.kill()
        self.process.wait()
        return None

    def cpu(self):
        """CPU so far of the program and its children: 'total_s' exact, from the scheduler's nanoseconds;
        'user_s' and 'system_s' split that as the kernel's clock ticks saw it."""
        pids = family(self.process.pid)
        user, system = (sum(both) for both in zip(*map(ticks, pids)))
        totals = [scheduled_s(pid) for pid in pids]
        return {"total_s": user + system if None in totals else sum(totals),
                "user_s": user, "system_s": system}

    def settle(self):
        """Waits until the connections of the last run are closed, that is until the program is
        idle. Their cost belongs to that run, and no part of it to the next."""
        deadline = time.monotonic() + SETTLE_MAX_S
        before, quiet = self.cpu()["total_s"], 0
        while quiet < 2 and time.monotonic() < deadline:
            time.sleep(0.025)
            now = self.cpu()["total_s"]
            quiet = quiet + 1 if now - before < 0.0005 else 0
            before = now

    def memory_kib(self):
        """Resident memory now, its peak since peak_reset(), and the share of it that is this program's
        alone or its part of what several use. Of several processes, each figure is their sum: what they
        share counts once in each of the first two, and once in all in the third."""
        pids = family(self.process.pid)
        return {name: total_kib(pids, file, field) for name, file, field in (
            ("rss_kib", "status", "VmRSS"), ("rss_peak_kib", "status", "VmHWM"),
            ("pss_kib", "smaps_rollup", "Pss"))}

    def peak_reset(self):
        """A peak of this run and not of an earlier one (proc(5), clear_refs)."""
        for pid in family(self.process.pid):
            try:
                with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
            except OSError:
                pass


def listens(port):
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def lines_of(words):
    """What a program has written so far to this file, which is its output."""
    # Not read(): the program writes where this descriptor, which is its own too, stands.
    text = os.pread(words.fileno(), os.fstat(words.fileno()).st_size, 0)
    return text.decode("utf-8", "replace").strip().splitlines()


def family(pid):
    """A process and all that come from it, the first one first."""
    pids = [pid]
    for one in pids:
        for task in tasks_of(one):
            pids += map(int, (text_of(f"/proc/{one}/task/{task}/children") or "").split())
    return pids


def tasks_of(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def kill_all(descriptors):
    """Ends what is left of some processes, each only once."""
    while descriptors:
        descriptor = descriptors.pop()
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(descriptor)


def total_kib(pids, file, field):
    """A field of a file in /proc, summed; None where a process does not show it."""
    found = [re.search(rf"^{field}:\s*(\d+)", text_of(f"/proc/{pid}/{file}") or "", re.M)
             for pid in pids]
    return None if None in found else sum(int(match.group(1)) for match in found)


def ticks(pid):
    """User and system seconds of all threads (proc(5), stat: fields 14 and 15)."""
    # The second field is the program's name in brackets and may hold spaces.
    fields = (text_of(f"/proc/{pid}/stat") or ") " + "0 " * 20).rpartition(")")[2].split()
    return int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S


def scheduled_s(pid):
    """Seconds on a CPU of all threads to the nanosecond, or None where the kernel keeps none."""
    nanoseconds = sum(int((text_of(f"/proc/{pid}/task/{task}/schedstat") or "0").split()[0])
                      for task in tasks_of(pid))
    return nanoseconds / 1e9 if nanoseconds else None


def machine_cpu():
    """Busy and stolen seconds of all CPUs since boot (proc(5), stat)."""
    fields = [int(word) for word in (text_of("/proc/stat") or "cpu 0").split("\n")[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, steal = (fields + [0] * 8)[:8]
    return {"busy_s": (user + nice + system + irq + softirq) / TICKS_PER_S,
            "steal_s": steal / TICKS_PER_S}


def catalogue(threads, port):
    """The four programs of the comparison by key: name, command and port."""
    chosen = {}
    for number, (key, program, team) in enumerate((
            ("coreactor-multi", "coreactor", threads), ("coreactor-single", "coreactor", 1),
            ("limit-multi", "limit", threads), ("limit-single", "limit", 1))):
        chosen[key] = entry(program, team, port + number)
    return chosen


def entry(program, threads, port):
    if program == "coreactor":
        command = [COREACTOR, "--listen", f"127.0.0.1:{port}", "--threads", str(threads), "--quiet"]
        return f"coreactor -j{threads}", command, port
    return f"limit -t{threads}", [LIMIT, "-p", str(port), "-t", str(threads)], port


def stop_all(running):
    """Ends every server; a line for each that did not end cleanly."""
    notes = []
    for server in running.values():
        status = server.stop()
        if status != 0 and server.process is not None:
            outcome = "had to be killed" if status is None else f"ended with status {status}"
            notes.append(f"{server.name} {outcome} after SIGTERM")
    return notes
