"""The spreads, ratios and bars of bench/balance, pure functions of its results."""
from dataclasses import dataclass

from lib import figures
from lib.balance_plan import BASE, CONNECTIONS, MODES, REACTORS, best, ratio

SPREAD_BAR = 1.05  # at most: connections of the busiest reactor / mean
JUDGED = "least"
UNREACHABLE = "MISSED: nothing better is possible"


@dataclass
class Judged:
    """A bar that every repetition has to keep, so that it is the worst one that decides."""
    name: str
    allowed: float
    worst: float
    count: int
    verdict: str


def allowed(connections, reactors):
    """Where whole connections cannot be spread so evenly, the best that they allow is asked for."""
    return max(SPREAD_BAR, best(connections, reactors))


def fell_back(results):
    """Whether the mode that is judged was not to be had: then its figures are those of another one."""
    return any(not sample["in_kernel"] for sample in results["spread"] + results["churn"] if sample["server"] == JUDGED)


def spreads(results, mode, reactors, connections, **wanted):
    """Busiest / mean, once for each repetition."""
    found = figures.select(results["spread"], server=mode, reactors=reactors, connections=connections, **wanted)
    return [ratio(sample["open"]) for sample in found]


def spread(results, mode, reactors, connections, **wanted):
    return figures.spread(spreads(results, mode, reactors, connections, **wanted))


def verdict(results, worst, limit):
    if worst is None or fell_back(results):
        return figures.NOT_MEASURED
    if worst > limit + 1e-9:
        return "MISSED"
    return UNREACHABLE if worst > SPREAD_BAR + 1e-9 else "PASS"


def spread_bars(results):
    bars = []
    for reactors in REACTORS:
        for connections in CONNECTIONS:
            found = spreads(results, JUDGED, reactors, connections)
            limit, worst = allowed(connections, reactors), max(found, default=None)
            bars.append(Judged(f"{connections:,} connections over {reactors} reactors", limit, worst, len(found),
                               verdict(results, worst, limit)))
    return bars


def churn_samples(results, mode, reactors):
    return figures.select(results["churn"], server=mode, reactors=reactors)


def churn_spreads(sample):
    """Busiest / mean after each step; the first is that before the churn begins."""
    return [ratio(counts) for counts in sample["open"]]


def churn_end(results, mode, reactors):
    return figures.spread(churn_spreads(sample)[-1] for sample in churn_samples(results, mode, reactors))


def churn_worst(results, mode, reactors):
    """The highest of all steps, once for each repetition."""
    return figures.spread(max(churn_spreads(sample)) for sample in churn_samples(results, mode, reactors))


def churn_ideal(results, reactors):
    """The same of a choice that always knows how many connections each reactor has."""
    return figures.spread(max(sample["ideal"]) for sample in churn_samples(results, JUDGED, reactors))


def churn_bars(results):
    bars = []
    for reactors in REACTORS:
        for name, value in (("at the end of the churn", churn_end(results, JUDGED, reactors)),
                            ("at any of its steps", churn_worst(results, JUDGED, reactors))):
            worst = value.high if value else None
            bars.append(Judged(f"{reactors} reactors, {name}", SPREAD_BAR, worst, value.count if value else 0,
                               verdict(results, worst, SPREAD_BAR)))
    return bars


def bars(results):
    return spread_bars(results) + churn_bars(results)


def disagreements(results):
    """Samples for which the server told other numbers than the kernel, and those for which it told any."""
    told = [(sample["open"][-1] if sample["phase"] == "churn" else sample["open"], sample["told"])
            for sample in results["spread"] + results["churn"] if sample.get("told") is not None]
    return sum(seen != said for seen, said in told), len(told)


def connect_ratio(samples, name, mode):
    """mode / hash, round by round."""
    return figures.spread(figures.ratios_between(samples, name, mode, BASE, phase="connect"))


def skew_value(results, load, name, variant):
    return figures.spread(figures.value_of(sample, name)
                          for sample in figures.select(results["skew"], load=load, server=variant))


def skew_ratio(results, load, name, variant, base="skewed"):
    """variant / base, round by round."""
    return figures.spread(figures.ratios_between(results["skew"], name, variant, base, load=load))


def variants(results):
    return list(dict.fromkeys(sample["server"] for sample in results["skew"]))


def mean_churn(results, mode, reactors):
    """The median over the repetitions, for each step."""
    found = [churn_spreads(sample) for sample in churn_samples(results, mode, reactors)]
    return [figures.spread(values) for values in zip(*found)]


def measured_modes(results):
    return [mode for mode in MODES if figures.select(results["spread"], server=mode)]
