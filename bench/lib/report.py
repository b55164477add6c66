"""report.md, written from results.json alone, so that it can be written again."""
import shlex

from lib import figures, load
from lib.figures import NOT_MEASURED
from lib.tables import (article_table, bars_table, curve_table, environment_table, fault_lines,
                        latency_table, number, pair_table, sweep_table)

GOAL = 40_000_000

QUICK = """> **This was a quick run. It shows that the benchmark works from end to end and proves nothing
> about speed:** the runs are too short and too few for any figure below to be quoted.
"""
INCOMPLETE = """> **This run did not come to its end.** What follows holds for the samples that were taken.
"""

ASKED = """## What was asked

An article built a multithreaded HTTP server around `epoll`, one loop and one listening socket a
thread, and counted 40,006,142 requests in one minute on a desktop machine. Three questions follow:
does `coreactor`, which does the same with a complete and strict HTTP/1.1 parser, reach 40,000,000
in a minute here; how close does it come to `limit`, a loop that reads, looks for the end of a
request and sends a constant, which is what this kernel allows on this machine; and how do both
change from 1 to 10,000 connections.
"""

METHOD = """## How it was measured

`wrk` ran on the same machine as the server. In *article*, each run lasted {duration} s, server and
`limit` in turn. In *sweep*, {rounds} rounds of {sweep_duration} s were run at every number of
connections; in a round all four programs ran one after the other, in an order that changes from
round to round. In *pair*, {pair_rounds} rounds of {sweep_duration} s, each with new processes. A
ratio is taken within one round, server / `limit`, and the median of the ratios is judged. CPU per
request is the CPU time of the server process, as the kernel's scheduler counted it from before the
first connection until the last one was closed, divided by the requests that `wrk` counted. No
sample was dropped or changed.

`wrk` opens the same number of connections in each of its threads: `-t8 -c100` opens 96. The tables
show what was opened. With pipelining `wrk` sends 16 requests at once and takes one time, from the
batch's first byte to its last answer: latencies there are those of a batch of 16.

`wrk` 4.0 and 4.1 add invented samples to the latencies they print ("coordinated omission").
`bench/latency.lua` takes these out again; every latency in this report is one that was measured.
What `wrk` printed itself is in `raw/` and as `wrk_latency_us` in `results.json`.
"""

LIMITS = """## Limits of this measurement

- The load generator shares the machine's cores with the server{share}. A faster
  server is given less CPU, so requests/s understate differences; CPU per request does not.
- The load is a closed loop: a connection sends its next request when it has the last answer, so a
  stall slows the generator too, and a latency here is not what a client arriving by itself would see.
- Loopback has no network card, no loss and no distance. Part of the kernel's work for a request
  is done when the sender runs, and is then counted as the generator's CPU time.
- User and system time are told apart by clock ticks, that is by sampling; their sum is exact.
- With few connections and several threads, the kernel may put all connections on one thread:
  the range is wide there.
{machine}- The ranges (lowest to highest, and the middle half) say how far the rounds lay apart. A bar that
  lies inside the range was decided by the median, not by every round.
"""


def text(results, charts):
    samples, settings = results["samples"], results["settings"]
    parts = [f"# coreactor: {GOAL:,} requests in a minute?", lead(results)]
    parts += [warning for wanted, warning in ((settings["quick"], QUICK),
                                              (not results["complete"], INCOMPLETE)) if wanted]
    parts += [ASKED, "## The answer", headline(samples), "## The article's runs",
              article_table(results), "## The bars", bars_text(samples)]
    parts += pictures(charts, settings)
    parts += ["## Tables", *tables(results), METHOD.format(
        **settings, pair_rounds=settings["rounds"] * 2), LIMITS.format(
            share=generator_share(samples), machine=noise(results)),
              "## Environment", environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def lead(results):
    environment = results["environment"]
    commit = (environment.get("commit") or "unknown commit")[:12]
    dirty = " with uncommitted changes" if environment.get("dirty") else ""
    return (f"{results['started'][:10]}, {environment['host']}, {environment.get('cpu') or 'CPU not known'}, "
            f"{environment['cpus_allowed']} CPUs, commit {commit}{dirty}.")


def headline(samples):
    """Whether 40,000,000 requests were reached in one minute, at which depth and in which run."""
    lines = [depth_line(samples, depth) for depth in (1, 16)]
    for bar in figures.bars(samples):
        value = f"{number(bar.value, 3)} x limit " if bar.value else ""
        lines.append(f"- {bar.name}: {value}(wanted: {bar.wanted}): **{bar.verdict}**.")
    return "\n".join(lines)


def depth_line(samples, depth):
    name = "without pipelining (depth 1)" if depth == 1 else f"with {depth} pipelined requests"
    runs = figures.whole_minutes(figures.select(samples, phase="article", depth=depth))
    if not runs:
        return f"- **{GOAL:,} requests in one minute, {name}: {NOT_MEASURED}** (no run lasted a minute)."
    best = max(runs, key=figures.per_minute)
    answer = "reached" if figures.per_minute(best) >= GOAL else "not reached"
    team = "all threads" if best["server"].endswith("multi") else "one thread"
    return (f"- **{GOAL:,} requests in one minute, {name}: {answer}.** The best run, {team} with "
            f"{best['opened']} connections, did {figures.per_minute(best):,.0f} in a minute "
            f"({best['requests']:,} requests in {best['seconds']:.2f} s).")


def bars_text(samples):
    return (bars_table(figures.bars(samples)) + "\n\nThe curve, point by point (requests/s, coreactor / limit):\n\n"
            + curve_table(samples))


def pictures(charts, settings):
    """The charts, each with what it shows."""
    words = {"requests": "Requests per minute over connections",
             "latency": f"Latency percentiles over connections, {settings['threads']} threads",
             "cpu": "CPU time per request over connections"}
    if not charts:
        return ["## Charts", f"The sweep was {NOT_MEASURED}."]
    return ["## Charts", *(f"![{words[name]}]({name}.svg)" for name in charts)]


def tables(results):
    samples = results["samples"]
    return ["### 100 connections, pair-wise rounds", pair_table(samples),
            "### All numbers of connections: requests and CPU", sweep_table(samples),
            "### All numbers of connections: latency", latency_table(samples),
            "### Errors that wrk counted", fault_lines(results)]


def generator_share(samples):
    used = figures.spread(s["generator_cpu_s"] / (s["generator_cpu_s"] + s["server_cpu_s"])
                          for s in samples if s["generator_cpu_s"] + s["server_cpu_s"] > 0)
    if not used:
        return f" (its share: {NOT_MEASURED})"
    return (f": of the CPU\n  time that both used, it took {used.median:.0%} "
            f"({used.low:.0%} to {used.high:.0%})")


def noise(results):
    """What else ran, and whether the machine is a guest whose host may take its CPUs away."""
    environment, samples = results["environment"], results["samples"]
    capacity = [(s, s["wall_s"] * environment["hardware_threads"]) for s in samples if s["wall_s"]]
    others = figures.spread(s["others_cpu_s"] / cpu_s for s, cpu_s in capacity)
    stolen = figures.spread(s["steal_s"] / cpu_s for s, cpu_s in capacity)
    lines = ""
    if environment.get("virtual"):
        lines += ("- The machine is virtual: what its host does beside it changes the figures and is "
                  "not seen.\n")
    if others:
        lines += (f"- Everything else on the machine took {others.median:.1%} of its CPUs during a run "
                  f"({others.low:.1%} to\n  {others.high:.1%}); the host took {stolen.median:.1%} "
                  f"({stolen.low:.1%} to {stolen.high:.1%}).\n")
    return lines


def commands(results):
    """Command lines as they were run in the repository's root."""
    port, settings = results["settings"]["port"], results["settings"]
    lines = [results["invocation"], *(shlex.join(c) for c in results["commands"].values())]
    for depth in load.SCRIPTS:
        lines.append(shlex.join(load.command(port, 100, settings["wrk_threads"],
                                             settings["duration"], depth)))
    return ("Command lines, run in the repository's root (each run's own one is the first line of its "
            "file in `raw/`):\n\n```sh\n" + "\n".join(lines) + "\n```")
