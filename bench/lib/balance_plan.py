"""What bench/balance runs, in which order, and the references that it reckons: pure functions of their arguments."""
import math
import random
import statistics
from dataclasses import dataclass, field

from lib import load, plan

MODES = ("hash", "handoff", "least")
BASE = "hash"  # what the cost of connecting is compared with
REACTORS = (8, 16)
CONNECTIONS = (100, 352, 1000)
ARRIVALS = ("one by one", "all at once")
# Each mode is first, second and third equally often, and follows each other one equally often.
ORDERS = ((0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1), (2, 0, 1), (1, 0, 2))
TRIALS = 1000          # of the simulated hash
LONG_CONNECTIONS = 1000  # that the churn keeps, more or less
CHURN_STEPS = 60       # the minutes of its hour
CHURN_EVENTS = 120     # in each; half of them are short connections
CONNECTING = 32        # clients at a time that connect, ask once and close
SKEW_REACTORS, SKEW_OPEN, SKEW_BUSY = 2, 100, 16
SKEW_LOADS = ("page", "1 ms")  # what the busy ones ask for: the program's page, or a handler of 1 ms


@dataclass
class Settings:
    """The command line of bench/balance."""
    duration: int
    rounds: int
    threads: int
    wrk_threads: int
    port: int
    steps: int
    variants: dict
    quick: bool


@dataclass
class SpreadRun(plan.Run):
    reactors: int = 8
    arrival: str = ARRIVALS[0]


@dataclass
class ChurnRun(plan.Run):
    reactors: int = 8


@dataclass
class SkewRun(plan.Run):
    load: str = SKEW_LOADS[0]
    even: bool = False


@dataclass
class ConnectRun(plan.Run):
    def command(self, port, wrk_threads):
        headers = [header.format(port=port) for header in load.HEADERS[:-1]] + ["Connection: close"]
        return load.command_line(self.connections, wrk_threads, self.seconds, load.SCRIPTS[1], headers) + [
            f"http://127.0.0.1:{port}/"]


@dataclass
class Part:
    """Runs of one server, which is started for them."""
    mode: str
    reactors: int
    runs: list = field(default_factory=list)


def order(number, names):
    """The names in the order of that round."""
    if len(names) != len(MODES):
        return list(names[number % len(names):]) + list(names[:number % len(names)])
    return [names[index] for index in ORDERS[number % len(ORDERS)]]


def spread(settings):
    parts = []
    for number in range(settings.rounds):
        for reactors in REACTORS:
            for mode in order(number, MODES):
                parts.append(Part(mode, reactors, [
                    SpreadRun("spread", mode, connections, 1, connections / 2500, number + 1, reactors, arrival)
                    for arrival in ARRIVALS for connections in CONNECTIONS]))
    return parts


def churn(settings):
    return [Part(mode, reactors, [ChurnRun("churn", mode, LONG_CONNECTIONS, 1, 0.05 * settings.steps + 1, number + 1,
                                           reactors)])
            for number in range(max(1, settings.rounds // 2)) for reactors in REACTORS for mode in order(number, MODES)]


def connect(settings):
    """New processes every round."""
    groups = []
    for number in range(settings.rounds):
        turn = order(number, MODES)
        groups.append(plan.Group(tuple(turn), [ConnectRun("connect", mode, CONNECTING, 1, settings.duration, number + 1)
                                               for mode in turn]))
    return groups


def skew(settings):
    """The busy connections spread evenly, then all on one reactor, where they stay or from where they may move; then
    that with each further variant of the server."""
    names = ["even", "skewed", "moved", *settings.variants]
    return [SkewRun("skew", name, SKEW_OPEN, 1, settings.duration + 0.5, number + 1, wanted, name == "even")
            for number in range(settings.rounds) for wanted in SKEW_LOADS for name in order(number, names)]


# --- references ---

def ratio(counts):
    """Busiest / mean."""
    return max(counts) * len(counts) / sum(counts) if sum(counts) else None


def best(connections, reactors):
    """The least that whole connections allow."""
    return math.ceil(connections / reactors) * reactors / connections


def simulated_hash(connections, reactors, trials=TRIALS):
    """The median of what chance gives."""
    chance = random.Random(f"{connections} {reactors}")
    found = []
    for _ in range(trials):
        counts = [0] * reactors
        for place in chance.choices(range(reactors), k=connections):
            counts[place] += 1
        found.append(ratio(counts))
    return statistics.median(found)


def churn_events(seed, steps, population=LONG_CONNECTIONS, events=CHURN_EVENTS):
    """For each step what happens: ("short",) is a connection that makes a request and goes, ("open",) one that stays,
    ("close", n) the end of number n of those that stay. First of all the population opens."""
    chance = random.Random(seed)
    open_now, hour = population, [[("open",)] * population]
    for _ in range(steps):
        step = []
        for _ in range(events):
            if chance.random() < 0.5:
                step.append(("short",))
            elif chance.random() * 2 * population < open_now:
                step.append(("close", chance.randrange(open_now)))
                open_now -= 1
            else:
                step.append(("open",))
                open_now += 1
        hour.append(step)
    return hour


def ideal(hour, reactors):
    """The spread after each step, if every connection went to the reactor with the fewest at that moment: what no
    choice at the time of connecting can do better, because nobody knows who will leave."""
    counts, places, spreads = [0] * reactors, [], []
    for step in hour:
        for event in step:
            if event[0] == "open":
                places.append(counts.index(min(counts)))
                counts[places[-1]] += 1
            elif event[0] == "close":
                counts[places.pop(event[1])] -= 1
        spreads.append(ratio(counts))
    return spreads
