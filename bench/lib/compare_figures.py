"""The medians, ratios and slopes of bench/compare, pure functions of its samples. Any server, point or figure may be
missing: what cannot be reckoned is None."""
from dataclasses import dataclass

from lib import figures
from lib.compare_plan import LIMIT, MODELS, PEERS, WORKLOADS

OURS = "reactor-per-core"
THREAD, PROACTOR = "thread", "proactor"
NAMES = tuple(model.name for model in MODELS)
USUAL = 100      # connections, where one number of them has to stand for all
ENOUGH = 0.9     # of our requests/s: the rule by which blocking threads are good enough
GAINS = {"requests_per_s": max, "cpu_us": min, "p99": min}  # the better one of two
POINT = ("phase", "workload", "connections")
ABSENT = {"unreached": None, "errors": None, "round": None, "connections": None, "workload": None, "share": None}


@dataclass(frozen=True)
class Memory:
    """What a connection that does nothing costs: growth between two numbers of connections, KiB each."""
    fewest: int
    most: int
    user_kib: float
    kernel_kib: float  # or None


@dataclass(frozen=True)
class Win:
    """A point at which another server was better than ours in every round."""
    server: str
    name: str
    workload: str
    connections: int
    value: figures.Spread


class Samples(list):
    """Samples that are found by their point: a report asks for one some ten thousand times."""

    def __init__(self, samples):
        super().__init__(samples)
        self.points = {}
        for sample in self:
            self.points.setdefault(tuple(sample[name] for name in POINT), []).append(sample)


def whole(results):
    """The same results whose samples have the fields that everything else takes for granted. What says neither where it
    was taken nor of whom is left out."""
    samples = [{**ABSENT, **sample} for sample in results.get("samples") or []
               if sample.get("phase") and sample.get("server")]
    return {**results, "samples": Samples({**sample, "errors": sample["errors"] or {}} for sample in samples)}


def select(samples, **wanted):
    """As figures.select(); quick where the whole point is given."""
    point = tuple(wanted.get(name) for name in POINT)
    known = isinstance(samples, Samples) and None not in point
    return figures.select(samples.points.get(point, []) if known else samples, **wanted)


def reached(samples):
    return [sample for sample in samples if not sample.get("unreached")]


def servers(samples):
    """In the order of every table. Go's net/http stands there once if it was measured once."""
    known = {sample.get("server") for sample in samples}
    return [name for name in (*NAMES, *PEERS, LIMIT) if name != "go" or name in known]


def closed(workload="fast", connections=USUAL):
    """What a sample of the closed loop has to be, for the functions below."""
    return {"phase": "closed", "workload": workload, "connections": connections}


def middle(samples, name, server, **wanted):
    own = reached(select(samples, server=server, **(wanted or closed())))
    return figures.spread(figures.value_of(sample, name) for sample in own)


def relative(samples, name, above, below, **wanted):
    """above / below, round by round."""
    point = reached(select(samples, **(wanted or closed())))
    return figures.spread(figures.ratios_between(point, name, above, below))


def side(ratio):
    """1 above, -1 below, if all of several rounds lie on that side of 1; otherwise 0: not decided."""
    if ratio is None or ratio.count < 2:
        return 0
    return 1 if ratio.low > 1 else -1 if ratio.high < 1 else 0


def connections_of(samples, workload="fast", server=None, phase="closed"):
    """The points that were tried, reached or not. Idle connections have no workload."""
    wanted = {"phase": phase} if phase == "idle" else {"phase": phase, "workload": workload}
    return sorted({sample["connections"] for sample in select(samples, **wanted)
                   if sample["connections"] is not None and server in (None, sample.get("server"))})


def tried(samples):
    """(workload, connections) of the closed loop."""
    return [(workload, connections) for workload in WORKLOADS
            for connections in connections_of(samples, workload=workload)]


def idle_points(samples, server):
    """(connections held, user KiB, kernel KiB or None) of every point, the fewest first."""
    idle = reached(select(samples, phase="idle", server=server))
    points = []
    for connections in sorted({sample["connections"] for sample in idle if sample["connections"] is not None}):
        held, user, kernel = (figures.middle(idle, name, connections=connections)
                              for name in ("held", "pss_kib", "kernel_kib"))
        if held and user:
            points.append((held.median, user.median, kernel.median if kernel else None))
    return points


def memory(samples, server):
    points = idle_points(samples, server)
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    first, last = points[0], points[-1]
    grown = last[0] - first[0]
    kernel = None if None in (first[2], last[2]) else (last[2] - first[2]) / grown
    return Memory(int(first[0]), int(last[0]), (last[1] - first[1]) / grown, kernel)


def per_connection(samples, server):
    """KiB of user and kernel together, or None."""
    found = memory(samples, server)
    return found.user_kib + found.kernel_kib if found and found.kernel_kib is not None else None


def worker_kib(samples, server):
    """What one process or thread of a pool takes before any connection: all of it, by their number."""
    idle = [sample for sample in reached(select(samples, phase="idle", server=server))
            if sample.get("threads") and sample.get("pss_kib") is not None and sample.get("kernel_kib") is not None]
    fewest = min((sample["connections"] or 0 for sample in idle), default=None)
    return figures.spread((sample["pss_kib"] + sample["kernel_kib"]) / sample["threads"] for sample in idle
                          if (sample["connections"] or 0) == fewest)


def busy_kib(samples, server):
    """What one process takes where each serves one request and none is ever idle: the server's own memory under load."""
    return figures.spread(sample["pss_kib"] / sample["processes"] for sample in reached(select(samples, server=server, **closed()))
                          if sample.get("processes") and sample.get("pss_kib") is not None)


def reason(samples, server, **wanted):
    """Why a point was not reached: the words of its first round; None when it was, or nobody tried."""
    found = select(samples, server=server, **wanted)
    if reached(found):
        return None
    return next((sample["unreached"] for sample in found if sample["unreached"]), None)


def enough(samples, server, workload):
    """connections -> the ratio of requests/s to ours, or why the server did not get there; the fewest first. Points that
    cannot be compared are left out."""
    found = {}
    for connections in connections_of(samples, workload, server):
        wanted = closed(workload, connections)
        said = relative(samples, "requests_per_s", server, OURS, **wanted) or reason(samples, server, **wanted)
        if said:
            found[connections] = said
    return found


def good(said):
    """Whether that is good enough."""
    return isinstance(said, figures.Spread) and said.median >= ENOUGH


def wins(samples):
    """Where another model or a peer was better than ours in every round, whatever the figure."""
    found = []
    for workload, connections in tried(samples):
        for server in servers(samples):
            for name, better in GAINS.items():
                value = relative(samples, name, server, OURS, **closed(workload, connections))
                if server not in (OURS, LIMIT) and side(value) == (1 if better is max else -1):
                    found.append(Win(server, name, workload, connections, value))
    return found


def alone(samples):
    """(server, workload, connections) that others reached and ours did not."""
    return [(server, workload, connections) for workload, connections in tried(samples)
            if reason(samples, OURS, **closed(workload, connections))
            for server in servers(samples) if server != LIMIT
            and reached(select(samples, server=server, **closed(workload, connections)))]


def leaner(samples):
    """Models and peers whose idle connections take less memory than ours in every round, with the ratios."""
    taken = {}  # server -> round -> its samples
    for sample in select(samples, phase="idle"):
        taken.setdefault(sample["server"], {}).setdefault(sample["round"], []).append(sample)
    taken = {server: {number: per_connection(own, server) for number, own in rounds.items()}
             for server, rounds in taken.items()}
    ours, found = taken.get(OURS, {}), []
    for server in servers(samples):
        value = figures.spread(kib / ours[number] for number, kib in taken.get(server, {}).items()
                               if min(kib or 0, ours.get(number) or 0) > 0)
        if server not in (OURS, LIMIT) and side(value) < 0:
            found.append((server, value))
    return found


def missed(samples):
    """(server, phase, workload, connections, share) -> [rounds without it, rounds, reasons] of every point that was
    not reached in some round."""
    found = {}
    for sample in samples:
        key = tuple(sample.get(name) for name in ("server", "phase", "workload", "connections", "share"))
        without, rounds, reasons = found.setdefault(key, [0, 0, []])
        found[key][:2] = without + bool(sample["unreached"]), rounds + 1
        if sample["unreached"] and sample["unreached"] not in reasons:
            reasons.append(sample["unreached"])
    return {key: value for key, value in found.items() if value[0]}


def used_share(sample, name):
    """What one of those that take CPU had of all that server, generator and service took. None without figures."""
    taken = [sample.get(part) for part in ("user_s", "system_s", "generator_cpu_s")]
    if None in taken or sample.get(name) is None:
        return None
    total = sum(taken) + (sample.get("service_cpu_s") or 0)
    return sample[name] / total if total > 0 else None


def shares(samples, name, **wanted):
    return figures.spread(used_share(sample, name) for sample in reached(select(samples, **wanted)))


def paced(samples, server, workload="fast"):
    """(requests/s asked, spread of the p99 in us) of every share of the server's capacity, the least first."""
    own = reached(select(samples, phase="paced", server=server, workload=workload))
    points = []
    for share in sorted({sample["share"] for sample in own if sample["share"] is not None}):
        rate, p99 = (figures.middle(own, name, share=share) for name in ("rate", "p99"))
        if rate and p99:
            points.append((share, rate.median, p99))
    return points
