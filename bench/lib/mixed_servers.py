"""The servers of bench/mixed, and the runner that has slow requests beside the load."""
import os
import shlex
import signal
import subprocess
import time

from lib import machine, mixed_plan, peers, runner
from lib.machine import MIXED, ROOT, Failure
from lib.mixed_plan import OFFLOAD_QUEUE, OFFLOAD_THREADS, SERVERS, UPSTREAM

GO_SOURCE = "bench/programs/mixed.go"
GO_PROGRAM = "build/release/bench/mixed-go"
NEEDS = {"go": ("go", "golang-go"), "nginx": ("nginx", "nginx-light")}  # the command and Debian's package
ENDING_S = 20


def without_missing(names):
    """The servers that can be compared, and a note for each that cannot."""
    if any(name in NEEDS and machine.program(NEEDS[name][0]) is None for name in names):
        machine.install("--bench-peers")
    absent = [name for name in names if name in NEEDS and machine.program(NEEDS[name][0]) is None]
    notes = [f"{name} is not installed (Debian's package {NEEDS[name][1]}; scripts/install-deps --bench-peers): it was "
             "left out" for name in absent]
    return [name for name in names if name not in absent], notes


def build_go():
    done = subprocess.run(["go", "build", "-o", GO_PROGRAM, GO_SOURCE], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Failure(f"go build failed: {done.stdout.strip()}")


def nginx(settings, folder, port, upstream):
    user, group = peers.user_and_group()
    values = {"PORT": port, "UPSTREAM": upstream, "WORKERS": settings.threads, "SCRATCH": folder,
              "USER": user, "GROUP": group}
    template = (peers.TEMPLATES / "nginx-mixed.conf").read_text(encoding="utf-8")
    config = folder / "nginx-mixed.conf"
    config.write_text(peers.fill(peers.for_whom(template, os.geteuid() == 0), values), encoding="utf-8")
    return [machine.program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(config)]


def catalogue(settings, folder):
    """The servers by key: name, command and port."""
    threads = str(settings.threads)
    ports = {name: settings.port + number for number, name in enumerate((*SERVERS, UPSTREAM))}
    commands = {"coreactor": [MIXED, "-p", str(ports["coreactor"]), "-t", threads, "-o", str(OFFLOAD_THREADS), "-q",
                              str(OFFLOAD_QUEUE)]}
    if "go" in settings.servers:
        commands["go"] = [GO_PROGRAM, "-port", str(ports["go"]), "-threads", threads]
    commands[UPSTREAM] = [MIXED, "-p", str(ports[UPSTREAM]), "-t", threads]
    if "nginx" in settings.servers:
        commands["nginx"] = nginx(settings, folder, ports["nginx"], ports[UPSTREAM])
    return {key: (key, command, ports[key]) for key, command in commands.items()}


def versions(names):
    found = peers.versions(names)
    if "go" in names:
        found["go"] = {"said": machine.first_line(machine.output_of("go", "version")), "package": None}
    return found


class MixedRunner(runner.Runner):
    """A Runner whose load has company."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.run, self.company, self.company_said = None, None, None

    def _sample(self, run):
        self.run, self.company_said = run, None
        sample = super()._sample(run)
        return sample | {"tool": run.tool, "rate": run.rate if run.tool == "pace" else None, "beside": self.company_said}

    def _run_load(self, command, raw):
        line = self.run.beside({key: server.port for key, server in self.running.items()})
        if line is None:
            super()._run_load(command, raw)
            return
        self.company = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        try:
            time.sleep(mixed_plan.HEAD_START_S)
            super()._run_load(command, raw)
            self.company.send_signal(signal.SIGTERM)
            self.company_said = mixed_plan.parse_pace(self.company.communicate(timeout=ENDING_S)[0])
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{shlex.join(line)} does not end") from error
        finally:
            self.company.kill()
            self.company.wait()
        if self.company_said is None:
            raise Failure(f"{shlex.join(line)} wrote no result")
        self.company_said["command"] = shlex.join(line)
