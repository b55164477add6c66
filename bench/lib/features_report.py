"""The bars and report.md of bench/features, pure functions of its results."""
import shlex

from lib import figures, load, report
from lib.features_plan import BASE, CONNECTIONS, SERVERS
from lib.plan import PIPELINE_DEPTH
from lib.tables import bars_table, environment_table, fault_lines, number, spread_cells, table

RATE_BAR = 0.98  # at least: requests/s with everything on / with everything off
CPU_BAR = 1.01   # at most: CPU per request with metrics / without

ASKED = """## What was asked

What does a request cost more because the program counts, watches and balances? With everything on, requests per second
must stay within 2 % of everything off; what is counted for `--admin` must cost no more than 1 % CPU per request.
"""

METHOD = """## How it was measured

`wrk` ran on the same machine, {connections} connections, one request at a time and {depth} pipelined, {duration} s each, in
{rounds} rounds with new processes; in four rounds each server is first once and follows each other one once. A ratio is taken
within one round, and the median of the ratios is judged. `off-again` has the options of `off`: its ratios say how far two
servers that do not differ lie apart here. Nobody asks for `/metrics` while the load runs.
{noise}"""


def ratio(samples, name, server, depth):
    """server / off, round by round."""
    return figures.spread(figures.ratios_between(samples, name, server, BASE, depth=depth))


def bars(samples):
    rate, cpu = ratio(samples, "requests_per_s", "on", 1), ratio(samples, "cpu_us", "metrics", 1)
    return [figures.Bar("everything on: requests/s", f">= {RATE_BAR} x {BASE}", rate,
                        figures.verdict_of(rate, at_least=RATE_BAR)),
            figures.Bar("metrics: CPU per request", f"<= {CPU_BAR} x {BASE}", cpu,
                        figures.verdict_of(cpu, at_most=CPU_BAR))]


def text(results, _drawn=()):
    samples, settings = results["samples"], results["settings"]
    parts = ["# What counting, watching and balancing cost a request", report.lead(results)]
    parts += [warning for wanted, warning in ((settings["quick"], report.QUICK),
                                              (not results["complete"], report.INCOMPLETE)) if wanted]
    parts += [ASKED, "## The bars", bars_table(bars(samples))]
    for depth in (1, PIPELINE_DEPTH):
        title = "One request at a time" if depth == 1 else f"{depth} pipelined requests"
        parts += [f"## {title}", depth_table(samples, depth)]
    parts += ["## Errors that wrk counted", fault_lines(results),
              METHOD.format(connections=CONNECTIONS, depth=PIPELINE_DEPTH, noise="\n" + report.noise(results), **settings),
              "## Environment", environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def depth_table(samples, depth):
    rows = []
    for server in SERVERS:
        rate, cpu, p99 = (figures.middle(samples, name, server=server, depth=depth)
                          for name in ("requests_per_s", "cpu_us", "p99"))
        rows.append([server, number(rate, 0), *spread_cells(ratio(samples, "requests_per_s", server, depth)),
                     number(cpu, 3), *spread_cells(ratio(samples, "cpu_us", server, depth)),
                     number(p99.median / 1e3 if p99 else None)])
    return table(["server", "requests/s", f"x {BASE}", "lowest - highest", "CPU µs/request", f"x {BASE}",
                  "lowest - highest", "p99 ms"], rows)


def commands(results):
    settings = results["settings"]
    lines = [results["invocation"], *(shlex.join(command) for command in results["commands"].values())]
    lines += [shlex.join(load.command(settings["port"], CONNECTIONS, settings["wrk_threads"], settings["duration"], depth))
              for depth in (1, PIPELINE_DEPTH)]
    return ("Command lines, run in the repository's root (each run's own one is the first line of its "
            "file in `raw/`):\n\n```sh\n" + "\n".join(lines) + "\n```")
