"""Carries out the parts of bench/balance that wrk has no load for: spread, churn and skew."""
import json
import re
import shlex
import subprocess
import time

from lib import balance_plan, plan, reactors, runner, servers
from lib.balance_plan import SKEW_BUSY, SKEW_OPEN, SKEW_REACTORS
from lib.crowd import Crowd
from lib.machine import COREACTOR, MIXED, PACE, ROOT, Failure


STAMP = re.compile(r"^[^ ]*: ([0-9:.]+: )?")  # what the log puts before a message


def command(mode, threads, port, admin=None):
    line = [COREACTOR, "--listen", f"127.0.0.1:{port}", "--threads", str(threads), "--balance", mode, "--quiet"]
    return line + (["--admin", f"127.0.0.1:{admin}"] if admin else [])


def skew_command(run, settings):
    """The program for a page, and the one whose handler takes 1 ms of CPU. Connections may move in the variant
    that is called that, and in those of --variant."""
    further = shlex.split(settings.variants.get(run.server, ""))
    stay = run.server in ("even", "skewed")
    if run.load == "page":
        return command("least", SKEW_REACTORS, settings.port) + (["--keep-connections"] if stay else further)
    further = ["-k"] if stay else further
    return [MIXED, "-p", str(settings.port), "-t", str(SKEW_REACTORS), "-b", "least", "-m", "1", *further]


class BalanceRunner:
    """Owns the one server that runs."""

    def __init__(self, settings, results, folder):
        self.settings, self.results, self.folder = settings, results, folder

    def save(self):
        runner.save(self.results, self.folder)

    def carry_out(self, parts):
        """Spread or churn."""
        progress = runner.Progress(plan.runs(parts))
        try:
            for part in parts:
                self._part(part, progress)
                self.save()
        finally:
            progress.close()

    def _part(self, part, progress):
        port, admin = self.settings.port, self.settings.port + 1
        with Running(part.mode, command(part.mode, part.reactors, port, admin), port,
                     self.results) as server:
            found = reactors.Reactors(server.process.pid, port, part.reactors)
            for run in part.runs:
                progress.begin(run, f"{part.mode} over {part.reactors} reactors")
                sample = {"phase": run.phase, "server": run.server, "reactors": part.reactors,
                          "in_kernel": reactors.chosen_in_kernel(server.process.pid),
                          "connections": run.connections, "round": run.round}
                take = self._spread if run.phase == "spread" else self._churn
                self.results[run.phase].append(sample | take(run, found))
                progress.end()

    def _spread(self, run, found):
        found.settled(0)
        with Crowd(self.settings.port) as crowd:
            if run.arrival == balance_plan.ARRIVALS[0]:
                for _ in range(run.connections):
                    crowd.open_one()
            else:
                crowd.open_together(run.connections)
            return {"arrival": run.arrival, "open": found.settled(run.connections),
                    "told": reactors.told(self.settings.port + 1)}

    def _churn(self, run, found):
        hour = balance_plan.churn_events(run.round, self.settings.steps)
        taken = []
        with Crowd(self.settings.port) as crowd:
            for step in hour:
                for event in step:
                    if event[0] == "close":
                        crowd.close(event[1])
                    elif event[0] == "open":
                        crowd.open_one()
                    else:
                        crowd.come_and_go()
                taken.append(found.settled(len(crowd.clients)))
            told = reactors.told(self.settings.port + 1)
        return {"seed": run.round, "open": taken, "told": told, "ideal": balance_plan.ideal(hour, run.reactors)}

    def skew(self, runs):
        progress = runner.Progress(runs)
        try:
            for run in runs:
                progress.begin(run, f"{run.server}, {run.load}")
                self.results["skew"].append(self._skewed(run))
                self.save()
                progress.end()
        finally:
            progress.close()

    def _skewed(self, run):
        port, line = self.settings.port, skew_command(run, self.settings)
        with Running(f"{run.server}, {run.load}", line, port, self.results) as server:
            found = reactors.Reactors(server.process.pid, port, SKEW_REACTORS)
            client = [PACE, "-s", "-c", str(SKEW_OPEN), "-d", str(self.settings.duration), str(port),
                      "/" if run.load == "page" else "/slow"]
            with subprocess.Popen(client, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  start_new_session=True) as process:
                try:
                    return {"phase": "skew", "server": run.server, "load": run.load, "round": run.round,
                            "command": shlex.join(line), "client": shlex.join(client),
                            **self._busy(run, found, server, process)}
                finally:
                    process.kill()

    def _busy(self, run, found, server, process):
        ports = [int(word) for word in process.stdout.readline().split()[1:]]
        places = found.places()
        chosen = choose([places.get(number) for number in ports], run.even)
        before = server.cpu()["total_s"]
        process.stdin.write(" ".join(map(str, chosen)) + "\n")
        process.stdin.flush()
        time.sleep(self.settings.duration * 0.8)
        late = found.places()
        said = json.loads(process.stdout.readline() or "null")
        if said is None:
            raise Failure(f"{PACE} wrote no result")
        used = server.cpu()["total_s"] - before
        where = [late.get(ports[index]) for index in chosen]
        return {**said, "server_cpu_s": used, "cpu_us": used / said["requests"] * 1e6 if said["requests"] else None,
                "busy_at_first": tally([places[ports[index]] for index in chosen]), "busy_late": tally(where)}


def choose(places, even):
    """Which connections become busy: as many of each reactor, or all of the first."""
    wanted = [SKEW_BUSY // SKEW_REACTORS] * SKEW_REACTORS if even else [SKEW_BUSY] + [0] * (SKEW_REACTORS - 1)
    chosen = []
    for reactor, count in enumerate(wanted):
        own = [index for index, place in enumerate(places) if place == reactor]
        if len(own) < count:
            raise Failure(f"reactor {reactor} has {len(own)} of {len(places)} connections, {count} are wanted")
        chosen += own[:count]
    return chosen


def tally(places):
    return [places.count(reactor) for reactor in range(SKEW_REACTORS)]


class Running:
    """A server for as long as a block lasts. What it said, and how it ended, is noted once."""

    def __init__(self, name, line, port, results):
        self.server, self.notes = servers.Server(name, line, port), results["notes"]

    def __enter__(self):
        self.server.start()
        return self.server

    def __exit__(self, *_):
        said = self.server.said()
        ended = servers.stop_all({self.server.name: self.server})
        for note in [f"a server said: {STAMP.sub('', line)}" for line in said] + ended:
            if note not in self.notes:
                self.notes.append(note)
