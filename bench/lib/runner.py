"""Carries a plan out: starts the servers, runs wrk, takes the samples, shows the progress."""
import json
import os
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

from lib import plan, servers
from lib.machine import ROOT, Failure

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def minutes(seconds):
    whole = max(0, round(seconds))
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


def announce(groups):
    runs = plan.runs(groups)
    print(f"{len(runs)} runs, about {minutes(plan.planned_s(runs))}", flush=True)


class Progress:
    """One line that changes on a terminal, a line a run elsewhere."""

    def __init__(self, runs):
        self.left, self.total, self.done = list(runs), len(runs), 0
        self.live = sys.stdout.isatty()
        self.slower, self.started = 1.0, time.monotonic()
        self.planned = plan.planned_s(runs)

    def begin(self, run, name):
        depth = f", {run.depth} pipelined" if run.depth > 1 else ""
        remaining = plan.planned_s(self.left) * self.slower
        self._show(f"[{self.done + 1}/{self.total}] {run.phase}: {name}, {run.connections} "
                   f"connections{depth}, round {run.round} - {minutes(remaining)} left")

    def end(self):
        self.done += 1
        self.left.pop(0)
        planned = self.planned - plan.planned_s(self.left)
        self.slower = (time.monotonic() - self.started) / planned

    def _show(self, line):
        if self.live:
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{line[:width - 1]}", end="", flush=True)
        else:
            print(line, flush=True)

    def close(self):
        if self.live:
            print("\r\x1b[K", end="", flush=True)


class Runner:
    """Owns the child processes and the results, which are on disk after every group."""

    def __init__(self, catalogue, wrk_threads, results, folder):
        self.catalogue, self.wrk_threads = catalogue, wrk_threads
        self.results, self.folder = results, folder
        self.running = {}
        self.generator = None
        (folder / "raw").mkdir(parents=True, exist_ok=True)

    def carry_out(self, groups):
        progress = Progress(plan.runs(groups))
        try:
            for group in groups:
                self._group(group, progress)
                self.save()
        finally:
            self._end_children()
            progress.close()
            self.save()

    def _group(self, group, progress):
        for key in group.servers:
            server = servers.Server(*self.catalogue[key])
            self.running[key] = server
            server.start()
        for run in group.runs:
            progress.begin(run, self.running[run.server].name)
            self.results["samples"].append(self._sample(run))
            progress.end()
        self._end_servers()

    def _sample(self, run):
        server = self.running[run.server]
        server.settle()
        server.peak_reset()
        before = snapshot(server)
        command = run.command(server.port, self.wrk_threads)
        raw = self.folder / "raw" / run.name()
        self._run_load(command, raw)
        generator_s = children_cpu_s() - before["children_s"]
        memory = server.memory_kib()
        server.settle()
        server.check()
        after = snapshot(server)
        said = run.said(raw.read_text(encoding="utf-8"))
        if said is None:
            raise Failure(f"{command[0]} wrote no result: see {raw.name} in {raw.parent.name}/")
        return {"phase": run.phase, "server": run.server, "depth": run.depth,
                "round": run.round, "connections": run.connections,
                "opened": run.opened(self.wrk_threads),
                "command": shlex.join(command), "raw": f"raw/{run.name()}",
                **said, "answers": run.answers(said),
                **cost(before, after, generator_s, run.answers(said)), **memory}

    def _run_load(self, command, raw):
        """Waits without polling for wrk's end, or for that of a server, which is a failure."""
        with open(raw, "w", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(command)}\n")
            file.flush()
            self.generator = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        watched = {os.pidfd_open(process.pid): process for process in
                   [self.generator] + [server.process for server in self.running.values()]}
        try:
            ended = wait_any(watched)
        finally:
            for descriptor in watched:
                os.close(descriptor)
        if ended is not self.generator:
            for server in self.running.values():
                server.check()
        if self.generator.wait() != 0:
            raise Failure(f"{self.generator.args[0]} ended with status {self.generator.returncode}: "
                          f"{raw.read_text(encoding='utf-8').strip().splitlines()[-1]}")
        self.generator = None

    def _end_servers(self):
        self.results["notes"] += servers.stop_all(self.running)
        self.running.clear()

    def _end_children(self):
        """A second Ctrl-C must not leave a server behind."""
        handlers = [(number, signal.signal(number, signal.SIG_IGN)) for number in END_SIGNALS]
        if self.generator is not None and self.generator.poll() is None:
            self.generator.kill()
            self.generator.wait()
        self._end_servers()
        for number, handler in handlers:
            signal.signal(number, handler)

    def save(self):
        save(self.results, self.folder)


def save(results, folder):
    """Whole or not at all, whatever interrupts us."""
    temporary = folder / "results.json.new"
    temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / "results.json")


def wait_any(watched):
    poll = select.poll()
    for descriptor in watched:
        poll.register(descriptor, select.POLLIN)
    return watched[poll.poll()[0][0]]


def children_cpu_s():
    """CPU of the children that ended: between two calls that is the wrk that ran."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def snapshot(server):
    return {"server": server.cpu(), "machine": servers.machine_cpu(),
            "children_s": children_cpu_s(), "at": time.monotonic()}


def cost(before, after, generator_s, requests):
    """CPU seconds of everyone between two snapshots, and the server's in us per request."""
    used = {key: after["server"][key] - before["server"][key] for key in before["server"]}
    split = used["user_s"] + used["system_s"]
    user_share = used["user_s"] / split if split > 0 else None
    per_request = used["total_s"] / requests * 1e6 if requests else None
    busy = after["machine"]["busy_s"] - before["machine"]["busy_s"]
    return {"wall_s": round(after["at"] - before["at"], 3),
            "server_cpu_s": round(used["total_s"], 6),
            "cpu_us": per_request,
            "user_us": per_request * user_share if per_request and user_share is not None else None,
            "generator_cpu_s": round(generator_s, 3),
            "others_cpu_s": round(max(0.0, busy - used["total_s"] - generator_s), 3),
            "steal_s": round(after["machine"]["steal_s"] - before["machine"]["steal_s"], 3)}
