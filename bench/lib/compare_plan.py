"""What bench/compare puts side by side, in which order: servers, workloads, points, runs."""
from dataclasses import dataclass

from lib import load, plan
from lib.machine import PACE, Failure
from lib.mixed_plan import parse_pace, turned

CONNECTIONS = (1, 10, 100, 1000, 10000)
PORT_MAX = 65535
WAIT_MS, WORK_MS = 10, 1


@dataclass(frozen=True)
class Model:
    """A program of bench/models: the same requests, handlers and answers under another model."""
    name: str     # of the program, too
    title: str    # in tables
    unit: str     # what a connection or request costs one of: process, thread, coroutine, event loop


MODELS = (
    Model("cgi", "a process a request", "process"),
    Model("prefork", "a pool of processes", "process"),
    Model("thread", "a thread a connection", "thread"),
    Model("pool", "a pool of threads", "thread"),
    Model("select", "one select loop", "event loop"),
    Model("poll", "one poll loop", "event loop"),
    Model("article", "the article's reactors", "event loop"),
    Model("reactor-one", "one reactor", "event loop"),
    Model("reactor-per-core", "a reactor a core: coreactor", "event loop"),
    Model("reactor-processes", "a reactor a process", "event loop"),
    Model("coroutine", "a coroutine a connection", "coroutine"),
    Model("proactor", "completions: io_uring", "event loop"),
    Model("goroutine", "a goroutine a connection: Go's net/http", "coroutine"))

# Servers of others, with the constant page only. "go" is the goroutine model under the name of its peer.
PEERS = ("nginx", "h2o", "lighttpd", "haproxy", "apache2", "caddy", "go")
LIMIT = "limit"

# Paths of one workload, in the order in which the generators ask for them, again and again.
MIX = ("/fast",) * 18 + ("/wait", "/work")
WORKLOADS = {"fast": ("/fast",), "wait": ("/wait",), "work": ("/work",), "mix": MIX}

MIX_CONNECTIONS = (100, 1000)
PACED_WORKLOADS = ("fast", "mix")
PACED_CONNECTIONS = 100
SHARES = (0.25, 0.5, 0.75, 0.9)   # of what the server did in the closed loop, on as many connections
HELD_FROM = 100                   # connections; fewer need no memory worth a figure
STARTS = 3
QUICK_CONNECTIONS, QUICK_SHARES, QUICK_BESIDE = (1, 100), (0.5,), (100,)
FAILED_AT_MOST = 0.01             # of the requests, or the point is not reached
UNSENT_AT_MOST = 0.05             # of those that were due: a stall of the machine at the end is not the server's
TRIES = 2                         # of a point that is not reached
ANSWER_S = 10                     # an answer that takes longer is a failed request
LONG_FROM, LONG = 5000, 2         # connections from which a run lasts so many times as long: to connect takes its part
TITLES = {model.name: model.title for model in MODELS}
SHORT_LIVED = ("cgi",)        # a process for each request
POOLED = ("prefork", "pool")  # as many processes or threads as they were told, however many connections there are


@dataclass
class Settings:
    """The command line of bench/compare."""
    models: list
    peers: list
    limit: bool
    connections: list
    rounds: int
    duration: int
    threads: int
    pool: int
    wrk_threads: int
    port: int
    quick: bool

    def servers(self):
        return [*self.models, *self.peers, *([LIMIT] if self.limit else [])]

    def check(self):
        """Failure when nothing can be measured with them."""
        if not self.servers():
            raise Failure("nobody is left to be compared")
        last = PORT_MAX - len(MODELS) - len(PEERS) - 1
        if self.port > last:
            raise Failure(f"--port is {last} at most: each server has one of its own, from there on")

    def serving(self, workload):
        """Those that have the paths of a workload."""
        return self.servers() if workload == "fast" else list(self.models)


@dataclass
class CompareRun(plan.Run):
    workload: str = "fast"
    share: float = None

    def key(self):
        """What tells a sample from all others of a results.json."""
        return (*self.point(), self.round)

    def point(self):
        return self.phase, self.server, self.workload, self.connections, self.share

    def name(self):
        share = f"-{round(self.share * 100)}" if self.share else ""
        return f"{self.phase}-{self.workload}{share}-{self.server}-c{self.connections}-r{self.round:02}.txt"

    def opened(self, wrk_threads):
        return super().opened(wrk_threads) if self.phase == "closed" else self.connections

    def command(self, port, wrk_threads, rate=None):
        """The generator's, at a rate when the phase has one."""
        if self.phase == "paced":
            return [PACE, "-c", str(self.connections), "-r", str(rate), "-d", str(self.seconds), str(port),
                    *WORKLOADS[self.workload]]
        paths = WORKLOADS[self.workload]
        script = "bench/site.lua" if len(paths) > 1 else load.SCRIPTS[1]
        line = load.command_line(self.connections, wrk_threads, self.seconds, script,
                                 [header.format(port=port) for header in load.HEADERS])
        line += ["--timeout", f"{ANSWER_S}s", f"http://127.0.0.1:{port}{paths[0]}"]
        return line + ["--", *paths] if len(paths) > 1 else line

    def said(self, text):
        return super().said(text) if self.phase == "closed" else parse_pace(text)


def key_of(sample):
    return tuple(sample[field] for field in ("phase", "server", "workload", "connections", "share", "round"))


def kind(server):
    if server == LIMIT:
        return "limit"
    return "model" if server in TITLES else "peer"


def closed_points(settings, workload):
    """The numbers of connections of a workload in the closed loop."""
    if workload != "fast" and settings.quick:
        return [count for count in settings.connections if count in QUICK_BESIDE]
    return [count for count in settings.connections if workload != "mix" or count in MIX_CONNECTIONS]


def lasting(settings, connections):
    """Seconds of a run in the closed loop."""
    return settings.duration * (LONG if connections >= LONG_FROM else 1)


def in_turn(settings, phase, points, rounds):
    """The runs of a phase: in each round all servers at one point after the other, in an order that changes. A point
    is a workload, a number of connections, a share and the seconds that it takes."""
    runs = []
    for number in range(rounds):
        for place, (workload, connections, share, seconds) in enumerate(points):
            for server in turned(settings.serving(workload), number * max(1, len(points)) + place):
                runs.append(CompareRun(phase, server, connections, 1, seconds, number + 1, workload, share))
    return runs


def starts(settings):
    return in_turn(settings, "start", [("fast", 1, None, 0)], 1 if settings.quick else STARTS)


def idle(settings):
    points = [0, *(count for count in settings.connections if count >= HELD_FROM)]
    runs = in_turn(settings, "idle", [("fast", count, None, count / 10000) for count in points], settings.rounds)
    return [run for run in runs if run.server != LIMIT]


def closed(settings):
    return in_turn(settings, "closed", [(workload, count, None, lasting(settings, count)) for workload in WORKLOADS
                                        for count in closed_points(settings, workload)], settings.rounds)


def paced(settings):
    if PACED_CONNECTIONS not in settings.connections:
        return []
    seconds = settings.duration / 2 if settings.quick else settings.duration
    return in_turn(settings, "paced", [(workload, PACED_CONNECTIONS, share, seconds)
                                       for workload in PACED_WORKLOADS
                                       for share in (QUICK_SHARES if settings.quick else SHARES)], settings.rounds)


def everything(settings):
    """The closed loop comes before the paced runs, whose rates are shares of it."""
    return starts(settings) + idle(settings) + closed(settings) + paced(settings)


def remaining(runs, samples):
    """What an interrupted run left to do."""
    done = {key_of(sample) for sample in samples}
    return [run for run in runs if run.key() not in done]


def given_up(run, samples):
    """Whether the server has missed this point so often that it is not tried again."""
    missed = [sample for sample in samples if key_of(sample)[:-1] == run.point() and sample["unreached"]]
    return len(missed) >= TRIES
