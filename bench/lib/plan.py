"""What is run, in which order. A plan is a list of groups; a group's servers start together, and
its runs follow one another, one at a time."""
from dataclasses import dataclass, field

from lib import load

SWEEP_CONNECTIONS = (1, 2, 5, 10, 20, 50, 100, 200, 352, 500, 1000, 2000, 5000, 10000)
PIPELINE_DEPTH = 16
ARTICLE_POINTS = (("single", 100), ("multi", 100), ("multi", 352))
PAIR_CONNECTIONS = 100
# What a run takes beyond its duration: wrk's last 0.1 s, settling, sampling.
OVERHEAD_S = 0.4

# Four rounds in which each server is first once, and each one runs right after and right before its
# counterpart equally often: a drift of the machine favours no one.
SWEEP_ORDERS = (("coreactor-single", "limit-single", "coreactor-multi", "limit-multi"),
                ("limit-multi", "coreactor-multi", "limit-single", "coreactor-single"),
                ("coreactor-multi", "limit-multi", "coreactor-single", "limit-single"),
                ("limit-single", "coreactor-single", "limit-multi", "coreactor-multi"))


@dataclass
class Settings:
    """The command line of bench/reproduce."""
    duration: int
    sweep_duration: int
    rounds: int
    connections: list
    threads: int
    wrk_threads: int
    port: int
    quick: bool


@dataclass
class Run:
    phase: str
    server: str
    connections: int
    depth: int
    seconds: int
    round: int = 1

    def name(self):
        """Of the file with wrk's output."""
        depth = f"-pipeline{self.depth}" if self.depth > 1 else ""
        return f"{self.phase}-{self.server}-c{self.connections}{depth}-r{self.round:02}.txt"

    def command(self, port, wrk_threads):
        return load.command(port, self.connections, wrk_threads, self.seconds, self.depth)

    def opened(self, wrk_threads):
        """Connections that are really opened."""
        return load.opened(self.connections, wrk_threads)

    def said(self, text):
        """What the generator's output says, or None when it is not complete."""
        return load.parse_or_none(text)

    def answers(self, said):
        """What CPU time is divided by, from what wrk said."""
        return said["requests"]


@dataclass
class Group:
    servers: tuple
    runs: list = field(default_factory=list)


def article(settings):
    """The article's three runs, then the same with pipelined requests; server and limit in turn."""
    group = Group(SWEEP_ORDERS[0])
    for depth in (1, PIPELINE_DEPTH):
        for team, connections in ARTICLE_POINTS:
            for program in ("coreactor", "limit"):
                group.runs.append(Run("article", f"{program}-{team}", connections, depth,
                                      settings.duration))
    return [group]


def sweep(settings):
    """All connection counts. The four servers stay up: an idle one costs nothing."""
    group = Group(SWEEP_ORDERS[0])
    for connections in settings.connections:
        for number in range(settings.rounds):
            for server in SWEEP_ORDERS[number % len(SWEEP_ORDERS)]:
                group.runs.append(Run("sweep", server, connections, 1, settings.sweep_duration,
                                      number + 1))
    return [group]


def pair(settings):
    """The two figures at 100 connections. Every round has new processes, so that the luck of one
    memory layout does not decide."""
    groups = []
    for number in range(settings.rounds * 2):
        programs = ("coreactor-multi", "limit-multi")[::-1 if number % 2 else 1]
        group = Group(programs)
        for depth in (1, PIPELINE_DEPTH):
            for server in programs:
                group.runs.append(Run("pair", server, PAIR_CONNECTIONS, depth,
                                      settings.sweep_duration, number + 1))
        groups.append(group)
    return groups


def everything(settings):
    return article(settings) + sweep(settings) + pair(settings)


def runs(groups):
    return [run for group in groups for run in group.runs]


def planned_s(some_runs):
    return sum(run.seconds + OVERHEAD_S for run in some_runs)


def descriptors_needed(settings):
    """wrk needs one a connection, and an epoll and some files a thread."""
    return max(max(settings.connections), *(point[1] for point in ARTICLE_POINTS)) + 200
