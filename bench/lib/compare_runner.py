"""Carries out the runs of bench/compare: each has a process of its own, and every sample is on disk at once."""
import os
import shlex
import signal
import subprocess
import time

from lib import compare_costs, compare_plan, compare_process, compare_servers, machine, runner, servers
from lib.compare_held import Held
from lib.compare_process import Program, Unreached, kernel_kib

LATE_S = 20          # after a generator's time: then it is ended
SAMPLE_AT = 0.7      # of a load: memory and threads are looked at
SETTLE_S = 0.05      # before the kernel's memory is read
HOLD_S = 0.2         # connections are held before memory is read


class Service:
    """What the handlers of the models ask and wait for; nothing when there is no model."""

    def __init__(self, settings):
        self.program = Program(*compare_servers.service(settings)) if settings.models else None

    def __enter__(self):
        try:
            if self.program:
                self.program.start()
        except Unreached as reason:
            self.program.stop()
            raise machine.Failure(f"the service that handlers wait for: {reason}") from reason
        return self

    def __exit__(self, *_):
        if self.program:
            self.program.stop()

    def cpu_s(self):
        return (servers.scheduled_s(self.program.process.pid) or 0) if self.program else 0

    def check(self):
        if self.program and self.program.ended():
            raise machine.Failure(f"the service that handlers wait for has ended: {self.program.last_line()}")


class CompareRunner:
    """Owns the one server that runs, its generator and the results."""

    def __init__(self, catalogue, settings, results, folder):
        self.catalogue, self.settings, self.results, self.folder = catalogue, settings, results, folder
        self.service, self.program, self.generator = Service(settings), None, None
        (folder / "raw").mkdir(parents=True, exist_ok=True)

    def carry_out(self, runs):
        progress = runner.Progress(runs)
        try:
            with self.service:
                for run in runs:
                    progress.begin(run, f"{run.server}, {run.workload}")
                    self._one(run)
                    self.service.check()
                    progress.end()
        finally:
            progress.close()
            self.save()

    def _one(self, run):
        samples = self.results["samples"]
        if compare_plan.given_up(run, samples):
            self._note(f"{run.server} missed {run.phase} {run.workload} at {run.connections} connections "
                       f"{compare_plan.TRIES} times and was not tried again")
            return
        samples.append(self._sample(run))
        self.save()

    def _sample(self, run):
        """A server's whole life. The figures there are, whatever became of it."""
        sample, reason = compare_costs.blank(run), None
        take = {"start": self._start, "idle": self._idle}.get(run.phase, self._load)
        before = self._snapshot()
        self.program = Program(*self.catalogue[run.server])
        try:
            sample.update(take(run))
        except Unreached as unreached:
            reason = str(unreached)
        finally:
            used, status = self.program.stop(at_once=run.phase != "idle")
        after = self._snapshot()
        if run.phase == "idle" and reason is None:
            self._note_end(run, status)
        sample.update(self._costs(run, sample, used, before, after))
        sample["unreached"] = reason or sample["unreached"]
        return sample

    # --- phases ---

    def _start(self, run):
        seconds = self.program.start()
        status, _ = compare_servers.ask(self.program.port, "/fast")
        self._alive()
        return {"seconds": round(seconds, 6), "requests": 1, "unreached": None if status == 200 else f"status {status}"}

    def _idle(self, run):
        time.sleep(SETTLE_S)
        before = kernel_kib()
        self.program.start()
        with Held(self.program.port) as crowd:
            crowd.open(run.connections)
            time.sleep(HOLD_S)
            crowd.look()
            self._alive()
            missing = compare_costs.not_held(run.connections, crowd.held, crowd.closed)
            return {**self.program.memory(), "kernel_kib": kernel_kib() - before, "held": crowd.held,
                    "unreached": missing + self._last_words(run) if missing else None}

    def _load(self, run):
        wanted = compare_costs.rate(self.results["samples"], run) if run.phase == "paced" else None
        if run.phase == "paced" and wanted is None:
            raise Unreached("its rate is not known: it did not reach that many connections in the closed loop")
        self.program.start()
        command = run.command(self.program.port, self.settings.wrk_threads, wanted)
        memory, generator_s = self._generate(run, command)
        text = (self.folder / "raw" / run.name()).read_text(encoding="utf-8")
        self._alive()
        said = run.said(text)
        if said is None:
            raise Unreached(f"{os.path.basename(command[0])}: {text.strip().splitlines()[-1]}{self._last_words(run)}")
        reason = compare_costs.unreached(said, run.seconds)
        taken = {name: said[name] for name in ("requests", "requests_per_s", "seconds", "errors")}
        latency = said["latency_us"] if said["requests"] else None
        return {**memory, **taken, "latency_us": latency, "failed": compare_costs.failed(said["errors"]),
                "rate": wanted, "opened": run.opened(self.settings.wrk_threads), "command": shlex.join(command),
                "raw": f"raw/{run.name()}", "generator_cpu_s": round(generator_s, 6),
                "unreached": reason + self._last_words(run) if reason else None}

    def _generate(self, run, command):
        """The server's memory shortly before the end of the load, and the generator's CPU seconds."""
        with open(self.folder / "raw" / run.name(), "w", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(command)}\n")
            file.flush()
            self.generator = subprocess.Popen(command, cwd=machine.ROOT, stdin=subprocess.DEVNULL, stdout=file,
                                              stderr=subprocess.STDOUT, start_new_session=True)
        try:
            ended = compare_process.ends_within(self.generator.pid, run.seconds * SAMPLE_AT)
            memory = {} if ended else self.program.memory()
            late = not compare_process.ends_within(self.generator.pid, run.seconds + LATE_S)
        finally:
            usage = self._end_generator()
        if late:
            raise Unreached(f"{os.path.basename(command[0])} did not end")
        return memory, usage["user_s"] + usage["system_s"]

    def _end_generator(self):
        """What the generator used. One that still runs is killed."""
        os.kill(self.generator.pid, signal.SIGKILL)
        _, status, rusage = os.wait4(self.generator.pid, 0)
        self.generator.returncode = os.waitstatus_to_exitcode(status)
        self.generator = None
        return compare_process.usage_of(rusage)

    # --- what belongs to every sample ---

    def _alive(self):
        if self.program.ended():
            raise Unreached(f"it ended by itself: {self.program.last_line()}")

    def _last_words(self, run):
        """What a model says of the reason. Peers say how they are on any occasion."""
        said = self.program.last_line()
        return f" ({said})" if run.server in compare_plan.TITLES and said != compare_process.SILENT else ""

    def _snapshot(self):
        return {"machine": servers.machine_cpu(), "service_s": self.service.cpu_s(), "at": time.monotonic()}

    def _costs(self, run, sample, used, before, after):
        """Of all that ran between the two snapshots."""
        if not used:
            return {}
        base = compare_costs.baseline(self.results["samples"] if run.phase != "start" else [], run.server)
        own = compare_costs.above(used, base)
        service_s = after["service_s"] - before["service_s"]
        known = used["user_s"] + used["system_s"] + service_s + (sample["generator_cpu_s"] or 0)
        busy = after["machine"]["busy_s"] - before["machine"]["busy_s"]
        requests = sample["requests"] if run.phase in ("closed", "paced") else None
        return {**own, **compare_costs.per_request(own, requests, compare_costs.lived(sample)),
                "service_cpu_s": round(service_s, 6),
                "others_cpu_s": round(max(0.0, busy - known), 3),
                "steal_s": round(after["machine"]["steal_s"] - before["machine"]["steal_s"], 3),
                "wall_s": round(after["at"] - before["at"], 3)}

    def _note_end(self, run, status):
        """Models end in order; peers end as they are used to."""
        if status is None:
            self._note(f"{run.server} had to be killed after SIGTERM")
        elif status and run.server in compare_plan.TITLES:
            self._note(f"{run.server} ended with status {status} after SIGTERM")

    def _note(self, text):
        if text not in self.results["notes"]:
            self.results["notes"].append(text)

    def save(self):
        runner.save(self.results, self.folder)
