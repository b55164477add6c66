"""Medians, ratios and the three bars, computed from the samples of results.json. Pure functions:
no sample is changed or left out."""
from dataclasses import dataclass
from statistics import median

from lib.plan import PAIR_CONNECTIONS, PIPELINE_DEPTH, SWEEP_CONNECTIONS

CPU_BAR = 1.03       # at most: CPU per request, server / limit
PIPELINE_BAR = 0.95  # at least: requests/s, server / limit
CURVE_BAR = 0.97     # at least: requests/s, server / limit, at every point
CURVE_POINTS = tuple(c for c in SWEEP_CONNECTIONS if 10 <= c <= 10000)
NOT_MEASURED = "not measured"


@dataclass
class Spread:
    """The median of some values, and how far apart they lie."""
    median: float
    low: float
    high: float
    quarter: float
    three_quarters: float
    count: int


@dataclass
class Bar:
    name: str
    wanted: str
    value: Spread
    verdict: str


def quantile(ordered, share):
    """Linear between the two nearest values."""
    position = (len(ordered) - 1) * share
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def spread(values):
    """None without a value."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Spread(median(known), known[0], known[-1], quantile(known, 0.25), quantile(known, 0.75),
                  len(known))


def select(samples, **wanted):
    return [s for s in samples if all(s.get(key) == value for key, value in wanted.items())]


def value_of(sample, name):
    """A figure of a sample by its name; 'p99' and its like are measured latencies in us."""
    if name.startswith("p") and name[1:2].isdigit():
        return (sample.get("latency_us") or {}).get(name[1:])
    return sample.get(name)


def middle(samples, name, **wanted):
    """The spread of one figure over the rounds of a point, or None."""
    return spread(value_of(sample, name) for sample in select(samples, **wanted))


def ratios(samples, name, team, **wanted):
    """coreactor / limit, round by round."""
    return ratios_between(samples, name, f"coreactor-{team}", f"limit-{team}", **wanted)


def ratios_between(samples, name, above, below, value=value_of, **wanted):
    """above / below, round by round: both ran within seconds of each other. A round in which
    one of them has no figure gives no ratio. value() takes the figure out of a sample."""
    pairs = {}
    for server in (above, below):
        for sample in select(samples, server=server, **wanted):
            pairs.setdefault(sample["round"], {})[server] = value(sample, name)
    return [pair[above] / pair[below] for _, pair in sorted(pairs.items())
            if pair.get(above) is not None and pair.get(below)]


def ratio(samples, name, team, **wanted):
    return spread(ratios(samples, name, team, **wanted))


def verdict_of(value, at_most=None, at_least=None):
    """Judged by the median as computed, not as printed."""
    if value is None:
        return NOT_MEASURED
    fine = value.median <= at_most if at_most is not None else value.median >= at_least
    return "PASS" if fine else "MISSED"


def cpu_bar(samples):
    value = ratio(samples, "cpu_us", "multi", phase="pair", depth=1, connections=PAIR_CONNECTIONS)
    return Bar("CPU per request, 100 connections", f"<= {CPU_BAR} x limit", value,
               verdict_of(value, at_most=CPU_BAR))


def pipeline_bar(samples):
    value = ratio(samples, "requests_per_s", "multi", phase="pair", depth=PIPELINE_DEPTH,
                  connections=PAIR_CONNECTIONS)
    return Bar("requests/s, 16 pipelined, 100 connections", f">= {PIPELINE_BAR} x limit", value,
               verdict_of(value, at_least=PIPELINE_BAR))


def curve_ratios(samples, team):
    """Connections -> spread of the ratio of requests/s, for every point that was run."""
    points = sorted({s["connections"] for s in select(samples, phase="sweep")})
    return {c: ratio(samples, "requests_per_s", team, phase="sweep", connections=c) for c in points}


def curve_bar(samples, team, title):
    """The worst point stands for the curve. A point that was not run is named, never assumed."""
    measured = curve_ratios(samples, team)
    judged = {c: value for c, value in measured.items() if 10 <= c <= 10000 and value}
    missing = [c for c in CURVE_POINTS if c not in judged]
    failed = [c for c, value in judged.items() if verdict_of(value, at_least=CURVE_BAR) != "PASS"]
    worst = min(judged.values(), key=lambda value: value.median, default=None)
    if not judged:
        verdict = NOT_MEASURED
    elif failed:
        verdict = "MISSED at " + ", ".join(f"{c:,}" for c in failed)
    else:
        verdict = "PASS"
    if missing and judged:
        verdict += f" ({NOT_MEASURED} at {', '.join(f'{c:,}' for c in missing)})"
    return Bar(f"requests/s from 10 to 10,000 connections, {title}: the worst point",
               f">= {CURVE_BAR} x limit at each", worst, verdict)


def bars(samples):
    return [cpu_bar(samples), pipeline_bar(samples), curve_bar(samples, "multi", "all threads"),
            curve_bar(samples, "single", "one thread")]


def per_minute(sample):
    return sample["requests_per_s"] * 60


def whole_minutes(samples):
    """The runs that may answer for 'in one minute': those of the server that lasted one."""
    return [s for s in samples if s["server"].startswith("coreactor") and s["seconds"] >= 59.5]


def faulty(samples):
    return [s for s in samples if any(s["errors"].values())]
