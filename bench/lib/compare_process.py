"""A server for one run of bench/compare: what it costs from its first instruction to its last.

os.wait4() tells what a process used together with all of its children that it waited for. What it left behind becomes
our child (prctl, PR_SET_CHILD_SUBREAPER), is ended, and counts too: nothing of a server outlives its run.
"""
import ctypes
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections import Counter

from lib.machine import ROOT, Failure, text_of
from lib.runner import END_SIGNALS
from lib.servers import lines_of, listens, scheduled_s, total_kib

START_S, DRAIN_S, AGAIN_S = 10, 5, 2
QUIET_S, SETTLE_MAX_S = 0.02, 2
SILENT = "no message"
SAMPLED = 200   # processes whose memory is read one by one; of more it is that of so many, multiplied
KERNEL_FIELDS = ("KernelStack", "PageTables", "SUnreclaim", "SReclaimable", "SecPageTables", "Percpu")
PR_SET_CHILD_SUBREAPER = 36


class Unreached(Exception):
    """Why a server did not come to a point, in a line: a result, no failure of the benchmark."""


def adopt_orphans():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failure("this kernel lets nobody adopt the processes that a server leaves (prctl)")


def usage_of(rusage):
    return {"user_s": rusage.ru_utime, "system_s": rusage.ru_stime, "minor_faults": rusage.ru_minflt,
            "major_faults": rusage.ru_majflt, "voluntary": rusage.ru_nvcsw, "involuntary": rusage.ru_nivcsw}


def ends_within(pid, seconds):
    """Whether a child ends in that time. It stays to be waited for."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, seconds) * 1000))
    finally:
        os.close(descriptor)


def children():
    """Of this process, whichever thread has them."""
    return {int(word) for task in os.listdir("/proc/self/task")
            for word in (text_of(f"/proc/self/task/{task}/children") or "").split()}


def end_orphans(before):
    """Ends all children but those of before. They are ours until they are waited for, so no number is another's."""
    used = Counter()
    while left := children() - before:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            used.update(usage_of(os.wait4(pid, 0)[2]))
    return dict(used)


def leave_nobody():
    """Ends every child of this process. A second Ctrl-C does not keep it from that."""
    handlers = [(number, signal.signal(number, signal.SIG_IGN)) for number in END_SIGNALS]
    end_orphans(set())
    for number, handler in handlers:
        signal.signal(number, handler)


def status_fields(pid):
    """The fields of /proc/PID/stat behind the program's name, or None when it is gone."""
    text = text_of(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() if text else None


def members(session):
    """The processes of a session and how many threads each has."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = status_fields(name)
            if fields and int(fields[3]) == session and fields[0] != "Z":
                found[int(name)] = int(fields[17])
    return found


def sum_kib(pids, file, field):
    """Over processes that may end meanwhile; None when none shows it."""
    shown = [kib for kib in (total_kib([pid], file, field) for pid in pids[:SAMPLED]) if kib is not None]
    return round(sum(shown) * max(1, len(pids) / SAMPLED)) if shown else None


def kernel_kib():
    """What the kernel has for its own use of the whole machine."""
    text = text_of("/proc/meminfo") or ""
    return sum(int(kib) for kib in re.findall(rf"^(?:{'|'.join(KERNEL_FIELDS)}):\s*(\d+)", text, re.M))


class Program:
    """One process with all that comes from it, in a session of its own."""

    def __init__(self, name, command, port):
        self.name, self.command, self.port = name, command, port
        self.process, self.words, self.before = None, None, set()

    def start(self):
        """Seconds until it listens. Returns when all of it has started. Unreached when it does not listen."""
        if listens(self.port):  # with SO_REUSEPORT both would get a share of the connections
            raise Failure(f"port {self.port} is in use")
        self.before, self.words = children(), tempfile.TemporaryFile()
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.words,
                                        stderr=self.words, start_new_session=True)
        while not listens(self.port):
            if ends_within(self.process.pid, 0.001):
                raise Unreached(f"it did not start: {self.last_line()}")
            if time.monotonic() > begin + START_S:
                raise Unreached(f"it did not listen within {START_S} s: {self.last_line()}")
        seconds = time.monotonic() - begin
        self._settle()
        return seconds

    def _settle(self):
        """Waits until nothing of it runs: one that listens may still start processes and threads."""
        deadline, before, quiet = time.monotonic() + SETTLE_MAX_S, 0, 0
        while quiet < 2 and time.monotonic() < deadline and not ends_within(self.process.pid, QUIET_S):
            now = sum(scheduled_s(pid) or 0 for pid in members(self.process.pid))
            quiet = quiet + 1 if now - before < QUIET_S / 20 else 0
            before = now

    def ended(self):
        return ends_within(self.process.pid, 0)

    def last_line(self):
        """Of what it wrote."""
        lines = lines_of(self.words)
        return lines[-1].strip()[:200] if lines else SILENT

    def memory(self):
        """Of all processes now: resident memory, its peak, the share of it that is theirs, and how many they are."""
        found = members(self.process.pid)
        pids = list(found)
        return {"rss_kib": sum_kib(pids, "status", "VmRSS"), "rss_peak_kib": sum_kib(pids, "status", "VmHWM"),
                "pss_kib": sum_kib(pids, "smaps_rollup", "Pss"), "processes": len(pids),
                "threads": sum(found.values())}

    def stop(self, at_once=False):
        """What all of it used, and its exit status after SIGTERM: None when it was killed or never there. At once
        is without SIGTERM: it does nothing more for clients that have gone."""
        if self.process is None:
            return {}, None
        killed = not self.ended()
        try:
            killed = killed and (at_once or not self._ends())
        finally:
            used, status = self._reap()
        return used, None if killed else status

    def _ends(self):
        for patience_s in (DRAIN_S, AGAIN_S):
            os.kill(self.process.pid, signal.SIGTERM)  # Popen's own would wait for one that has ended
            if ends_within(self.process.pid, patience_s):
                return True
        return False

    def _reap(self):
        os.kill(self.process.pid, signal.SIGKILL)  # does nothing to one that has ended
        _, status, rusage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        used = Counter(usage_of(rusage))
        used.update(end_orphans(self.before))
        self.words.close()
        return dict(used), self.process.returncode
