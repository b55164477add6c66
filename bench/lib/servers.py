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
        self.words = None  # what it wrote, for the failure's line

    def start(self):
        if self.listens():  # with SO_REUSEPORT both would get a share of the connections
            raise Failure(f"port {self.port} is in use")
        self.words = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=self.words, stderr=self.words,
                                        start_new_session=True)
        deadline = time.monotonic() + START_S
        while not self.listens():
            self.check()
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} does not listen on port {self.port}")
            time.sleep(0.02)
        self.check()

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def check(self):
        """Failure when the program has ended."""
        status = self.process.poll()
        if status is not None:
            self.words.seek(0)
            said = " | ".join(self.words.read().strip().splitlines()[-3:])
            raise Failure(f"{self.name} ended by itself, status {status}: {said or 'no message'}")

    def stop(self):
        """The exit status after SIGTERM, or None when it had to be killed."""
        if self.process is None:
            return None
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
        """CPU so far: 'total_s' exact, from the scheduler's nanoseconds; 'user_s' and 'system_s'
        split that as the kernel's clock ticks saw it."""
        user, system = ticks(self.process.pid)
        total = scheduled_s(self.process.pid)
        return {"total_s": user + system if total is None else total,
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
        """Resident memory now and its peak since peak_reset()."""
        status = text_of(f"/proc/{self.process.pid}/status") or ""
        return {name: int(found.group(1)) if found else None for name, found in (
            ("rss_kib", re.search(r"^VmRSS:\s*(\d+)", status, re.M)),
            ("rss_peak_kib", re.search(r"^VmHWM:\s*(\d+)", status, re.M)))}

    def peak_reset(self):
        """A peak of this run and not of an earlier one (proc(5), clear_refs)."""
        try:
            with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            pass


def ticks(pid):
    """User and system seconds of all threads (proc(5), stat: fields 14 and 15)."""
    # The second field is the program's name in brackets and may hold spaces.
    fields = (text_of(f"/proc/{pid}/stat") or ") " + "0 " * 20).rpartition(")")[2].split()
    return int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S


def scheduled_s(pid):
    """Seconds on a CPU of all threads to the nanosecond, or None where the kernel keeps none."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return None
    nanoseconds = sum(int((text_of(f"/proc/{pid}/task/{task}/schedstat") or "0").split()[0])
                      for task in tasks)
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
