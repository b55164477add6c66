"""What bench/features runs: the program with and without what watches and balances it."""
from dataclasses import dataclass

from lib import plan
from lib.machine import COREACTOR

CONNECTIONS = 100
OFF = ("--balance", "hash", "--stall-warning", "0")
ADMIN = ("--admin", "127.0.0.1:0")
SERVERS = {"off": OFF,
           "off-again": OFF,  # the same: how far apart two that do not differ are
           "metrics": (*OFF, *ADMIN),
           "on": (*ADMIN, "--balance", "least", "--stall-warning", "100", "--stall-trace")}
BASE = "off"
# Each is first once and comes right after each other one once.
ORDERS = (("off", "metrics", "on", "off-again"), ("metrics", "off-again", "off", "on"),
          ("off-again", "on", "metrics", "off"), ("on", "off", "off-again", "metrics"))


@dataclass
class Settings:
    """The command line of bench/features."""
    duration: int
    rounds: int
    threads: int
    wrk_threads: int
    port: int
    quick: bool


def catalogue(settings):
    """The servers by key: name, command and port."""
    found = {}
    for number, (key, options) in enumerate(SERVERS.items()):
        port = settings.port + number
        found[key] = (key, [COREACTOR, "--listen", f"127.0.0.1:{port}", "--threads", str(settings.threads), "--quiet",
                            *options], port)
    return found


def everything(settings):
    """New processes every round."""
    groups = []
    for number in range(settings.rounds):
        turn = ORDERS[number % len(ORDERS)]
        groups.append(plan.Group(turn, [plan.Run("features", server, CONNECTIONS, depth, settings.duration, number + 1)
                                        for depth in (1, plan.PIPELINE_DEPTH) for server in turn]))
    return groups
