"""The tables of report.md."""
from lib import figures, load
from lib.figures import NOT_MEASURED, Spread

# The article's own figures and machine, as it gives them; the generator ran beside the server.
ARTICLE_MACHINE = "Intel i7-6700, 4 cores, 8 threads"
ARTICLE_CORES = 4
ARTICLE = {("single", 100): (11_657_769, 193_975), ("multi", 100): (38_208_400, 635_876),
           ("multi", 352): (40_006_142, 665_789)}
SERVERS = ("coreactor-multi", "limit-multi", "coreactor-single", "limit-single")


def number(value, digits=2):
    """A value or the median of a spread; 'not measured' for None."""
    if value is None:
        return NOT_MEASURED
    value = value.median if isinstance(value, Spread) else value
    return f"{value:,.{digits}f}"


def spread_cells(value, digits=3):
    """Median and range, the first 'not measured' for None."""
    if value is None:
        return [NOT_MEASURED, ""]
    return [number(value, digits), f"{value.low:.{digits}f} - {value.high:.{digits}f}"]


def table(heads, rows):
    """The first column to the left, the others to the right."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def article_table(results):
    """The article's figures beside ours, per minute, per second and per core."""
    samples, cpus = results["samples"], results["environment"]["cpus_allowed"]
    rows = []
    for (team, connections), (minute, second) in ARTICLE.items():
        name = f"{'single-threaded' if team == 'single' else 'multithreaded'}, `-c{connections}`"
        cores = 1 if team == "single" else ARTICLE_CORES
        rows.append([f"{name}: the article", "1", f"{minute:,}", f"{second:,}",
                     f"{second / cores:,.0f}", "", ""])
        for depth in (1, 16):
            for program in ("coreactor", "limit"):
                rows.append([f"{name}: {program}", str(depth), *article_cells(
                    samples, f"{program}-{team}", connections, depth, 1 if team == "single" else cpus)])
    heads = ["run", "depth", "requests in 1 min", "requests/s", "requests/s per core",
             "CPU µs/request", "p99 ms"]
    return table(heads, rows) + ARTICLE_NOTE.format(cpus=cpus, machine=ARTICLE_MACHINE)


ARTICLE_NOTE = """

The article's machine: {machine}; the article does not say that requests were pipelined, and its
command line does not pipeline. Here {cpus} CPUs are shared by server and generator. "Per core" divides by
the article's 4 cores, by the {cpus} CPUs of this machine, and by 1 for one thread, although the
generator used the other cores. At depth 16 the p99 is that of a batch. Requests in 1 min is
60 x requests/s; where a run did not last a minute it is what its rate comes to.
"""


def article_cells(samples, server, connections, depth, cores):
    found = figures.select(samples, phase="article", server=server, connections=connections,
                           depth=depth)
    if not found:
        return [NOT_MEASURED] * 5
    sample = found[0]
    p99_us = figures.value_of(sample, "p99")
    return [number(figures.per_minute(sample), 0), number(sample["requests_per_s"], 0),
            number(sample["requests_per_s"] / cores, 0), number(sample["cpu_us"]),
            number(p99_us / 1e3 if p99_us is not None else None)]


def bars_table(bars):
    rows = []
    for bar in bars:
        value = bar.value
        half = f"{value.quarter:.3f} - {value.three_quarters:.3f}" if value else ""
        rows.append([bar.name, bar.wanted, *spread_cells(value), half,
                     str(value.count) if value else "0", f"**{bar.verdict}**"])
    return table(["bar", "wanted", "median", "lowest - highest", "middle half", "rounds",
                  "verdict"], rows)


def curve_table(samples):
    """The ratio at every point, for both teams. The bar begins at 10 connections."""
    multi, single = (figures.curve_ratios(samples, team) for team in ("multi", "single"))
    points = sorted(set(multi) | set(single) | set(figures.CURVE_POINTS))
    rows = [[f"{c:,}", *curve_cells(c, multi.get(c)), *curve_cells(c, single.get(c))] for c in points]
    return table(["connections", "all threads: median", "lowest - highest", "verdict",
                  "one thread: median", "lowest - highest", "verdict"], rows)


def curve_cells(connections, value):
    verdict = figures.verdict_of(value, at_least=figures.CURVE_BAR) if value else ""
    if value and not 10 <= connections <= 10000:
        verdict = "no bar"
    return [*spread_cells(value), verdict]


def pair_table(samples):
    rows = []
    for depth in (1, 16):
        for server in ("coreactor-multi", "limit-multi"):
            point = {"phase": "pair", "server": server, "depth": depth}
            cells = [figures.middle(samples, name, **point) for name in
                     ("requests_per_s", "cpu_us", "user_us", "p50", "p99", "rss_peak_kib")]
            rows.append([server.split("-")[0], str(depth), number(cells[0], 0), number(cells[1], 3),
                         number(cells[2], 3), number(cells[3], 0), number(cells[4], 0),
                         number(cells[5], 0)])
    return table(["all threads", "depth", "requests/s", "CPU µs/request", "of it user µs", "p50 µs",
                  "p99 µs", "peak memory KiB"], rows)


def sweep_points(samples):
    """(connections asked for, connections opened) of every point."""
    return sorted({(s["connections"], s["opened"]) for s in figures.select(samples, phase="sweep")})


def sweep_table(samples):
    rows = []
    for connections, opened in sweep_points(samples):
        point = {"phase": "sweep", "connections": connections}
        rates = [figures.middle(samples, "requests_per_s", server=server, **point)
                 for server in SERVERS]
        costs = [figures.middle(samples, "cpu_us", server=server, **point) for server in SERVERS]
        memory = figures.middle(samples, "rss_peak_kib", server="coreactor-multi", **point)
        rows.append([f"{connections:,}", f"{opened:,}", *(number(rate, 0) for rate in rates),
                     *(number(cost) for cost in costs), number(memory, 0)])
    heads = ["connections", "opened", *(f"{name} requests/s" for name in SERVERS),
             *(f"{name} CPU µs" for name in SERVERS), "coreactor-multi peak KiB"]
    return table(heads, rows)


def latency_table(samples):
    rows = []
    for connections, opened in sweep_points(samples):
        cells = []
        for server in ("coreactor-multi", "limit-multi"):
            for name in ("p50", "p75", "p90", "p99"):
                value = figures.middle(samples, name, phase="sweep", connections=connections,
                                       server=server)
                cells.append(number(value.median / 1e3 if value else None))
        rows.append([f"{connections:,}", f"{opened:,}", *cells])
    heads = ["connections", "opened", *(f"{name} {p} ms" for name in ("coreactor", "limit")
                                        for p in ("p50", "p75", "p90", "p99"))]
    return table(heads, rows)


def fault_lines(results):
    """Every run with an error that wrk counted, and every server that did not end cleanly."""
    faulty = figures.faulty(results["samples"])
    lines = [f"- `{s['raw']}`: {load.error_words(s['errors'])}" for s in faulty]
    lines += [f"- {note}" for note in results["notes"]]
    if not lines:
        return (f"None: no socket error, no time-out and no answer of 400 or above in "
                f"{len(results['samples'])} runs.")
    return f"In {len(faulty)} of {len(results['samples'])} runs:\n\n" + "\n".join(lines)


def environment_table(environment):
    def known(value, unit=""):
        return "not known" if value is None else f"{value}{unit}"
    commit = known(environment.get("commit"))
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[environment.get("dirty")]
    memory = environment.get("memory_mib")
    rows = [
        ["host", known(environment.get("host"))],
        ["CPU", known(environment.get("cpu"))
         + (" (virtual machine)" if environment.get("virtual") else "")],
        ["cores / hardware threads / allowed to us", " / ".join(known(environment.get(name)) for name in (
            "cores", "hardware_threads", "cpus_allowed"))],
        ["frequency governor", environment.get("governor") or "not shown by this machine"],
        ["memory", f"{memory / 1024:.1f} GiB" if memory else "not known"],
        ["kernel", known(environment.get("kernel"))],
        ["distribution", known(environment.get("distribution"))],
        ["coreactor and compiler", "<br>".join(known(environment.get("coreactor")).splitlines())],
        ["commit", commit + dirty],
        ["generator", known(environment.get("wrk"))],
        ["load average at the start", known(environment.get("load_average"))],
        ["OMP_ variables", ", ".join(f"`{k}={v}`" for k, v in environment.get("omp", {}).items())
         or "none"]]
    return table(["", ""], rows).replace("---:", "---")
