"""What bench/mixed runs: fast requests, alone and beside slow ones, with two kinds of generator."""
import json
from dataclasses import dataclass

from lib import load, plan
from lib.machine import PACE

SERVERS = ("coreactor", "go", "nginx")
UPSTREAM = "upstream"   # the process that computes and waits for nginx
TOOLS = ("wrk", "pace")
FAST_CONNECTIONS = 100
SLOW_RATE, SLOW_CONNECTIONS = 40, 16
WAITING, WAIT_MS, CPU_MS = 1000, 50, 5
OFFLOAD_THREADS, OFFLOAD_QUEUE = 64, 2048
HEAD_START_S = 0.3      # of the slow requests
NONE = "none"


@dataclass(frozen=True)
class Beside:
    """What runs beside the fast requests: at that rate, or always one on each connection, the first of which are
    spread over some milliseconds."""
    path: str
    connections: int
    rate: int = None
    spread_ms: int = None
    elsewhere: bool = False  # asked of the process that computes for nginx

    def command(self, port, seconds):
        rate = ["-r", str(self.rate)] if self.rate else []
        spread = ["-g", str(self.spread_ms)] if self.spread_ms else []
        return [PACE, "-c", str(self.connections), *rate, *spread, "-d", str(seconds), str(port), self.path]


@dataclass(frozen=True)
class Scenario:
    server: str
    name: str
    title: str
    beside: Beside = None
    judged: bool = False
    blocking: bool = False


def computing(path):
    return Beside(path, SLOW_CONNECTIONS, SLOW_RATE)


def waiting(path):
    return Beside(path, WAITING, spread_ms=WAIT_MS)


SCENARIOS = (
    Scenario("coreactor", NONE, "nothing beside"),
    Scenario("coreactor", "inline", "5 ms of CPU, in the loop", computing("/slow")),
    Scenario("coreactor", "offload", "5 ms of CPU, offloaded", computing("/slow-offload"), judged=True),
    Scenario("coreactor", "elsewhere", "5 ms of CPU, in another process",
             Beside("/slow", SLOW_CONNECTIONS, SLOW_RATE, elsewhere=True)),
    Scenario("coreactor", "wait-inline", "4 that sleep 50 ms, in the loop", Beside("/wait-inline", 4), blocking=True),
    Scenario("coreactor", "wait-timer", "1,000 that wait 50 ms, by a timer", waiting("/wait"), judged=True, blocking=True),
    Scenario("coreactor", "wait-offload", "1,000 that sleep 50 ms, offloaded", waiting("/wait-offload"), judged=True,
             blocking=True),
    Scenario("coreactor", "plain", "20,000/s more fast ones on 1,000 connections",
             Beside("/fast", WAITING, WAITING * 1000 // WAIT_MS), blocking=True),
    Scenario("go", NONE, "nothing beside"),
    Scenario("go", "inline", "5 ms of CPU", computing("/slow")),
    Scenario("go", "wait-timer", "1,000 that sleep 50 ms", waiting("/wait"), blocking=True),
    Scenario("nginx", NONE, "nothing beside"),
    Scenario("nginx", "inline", "5 ms of CPU, in its upstream", computing("/slow")),
    Scenario("nginx", "wait-timer", "1,000 that wait 50 ms in its upstream", waiting("/wait"), blocking=True))


@dataclass
class Settings:
    """The command line of bench/mixed."""
    duration: int
    rounds: int
    threads: int
    wrk_threads: int
    port: int
    servers: list
    rate: int
    quick: bool


@dataclass
class MixedRun(plan.Run):
    scenario: Scenario = None
    tool: str = TOOLS[0]
    rate: int = None  # of the fast requests, for pace

    def name(self):
        return f"{self.phase}-{self.server}-{self.tool}-r{self.round:02}.txt"

    def opened(self, wrk_threads):
        return super().opened(wrk_threads) if self.tool == "wrk" else self.connections

    def command(self, port, wrk_threads):
        if self.tool == "pace":
            return Beside("/fast", self.connections, self.rate).command(port, self.seconds)
        headers = [header.format(port=port) for header in load.HEADERS]
        return load.command_line(self.connections, wrk_threads, self.seconds, load.SCRIPTS[1], headers) + [
            f"http://127.0.0.1:{port}/fast"]

    def beside(self, ports):
        """The command of what runs beside: longer than the run, it is ended. None when nothing does."""
        wanted = self.scenario.beside
        return wanted.command(ports[UPSTREAM if wanted.elsewhere else self.server], self.seconds + 60) if wanted else None

    def said(self, text):
        return super().said(text) if self.tool == "wrk" else parse_pace(text)


def parse_pace(text):
    """pace's line of JSON; None when there is none."""
    try:
        said = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return said if isinstance(said, dict) else None


def turned(items, number):
    """Each item is first as often as any other."""
    number %= max(1, len(items))
    return list(items[number:]) + list(items[:number])


def processes(servers):
    return (UPSTREAM, *servers)


def probe(settings):
    """What each server can do: half of it is the rate of its paced runs."""
    runs = [MixedRun("probe", scenario.server, FAST_CONNECTIONS, 1, settings.duration, 1, scenario)
            for scenario in SCENARIOS if scenario.name == NONE and scenario.server in settings.servers]
    return [plan.Group(processes(settings.servers), runs)]


def rates(settings, samples):
    """Whole hundreds of requests/s for each server."""
    found = {sample["server"]: max(100, int(sample["requests_per_s"] / 200) * 100)
             for sample in samples if sample["phase"] == "probe"}
    return {server: settings.rate or found[server] for server in settings.servers}


def everything(settings, at_rates):
    """Every round has new processes. The runs of one server follow one another, in an order that changes, and so does
    that of the servers. A quick run paces only the server that is judged."""
    groups = []
    for number in range(settings.rounds):
        group = plan.Group(processes(settings.servers))
        for server in turned(settings.servers, number):
            own = [scenario for scenario in SCENARIOS if scenario.server == server]
            for tool in TOOLS[:1] if settings.quick and server != SERVERS[0] else turned(TOOLS, number):
                group.runs += [MixedRun(scenario.name, server, FAST_CONNECTIONS, 1, settings.duration, number + 1,
                                        scenario, tool, at_rates[server]) for scenario in turned(own, number)]
        groups.append(group)
    return groups
