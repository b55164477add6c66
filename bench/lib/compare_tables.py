"""The tables of bench/compare, of its report and of the pages that quote it."""
from lib import compare_figures, figures
from lib.compare_figures import NAMES, OURS, USUAL, closed
from lib.compare_plan import LIMIT, MODELS, POOLED, SHORT_LIVED, WORKLOADS
from lib.figures import NOT_MEASURED
from lib.tables import number, spread_cells, table

TITLES = {"fast": "constant page", "wait": "waits 10 ms", "work": "1 ms of CPU", "mix": "mix"}
LOADS = {"closed": "closed loop", "paced": "constant rate", "idle": "idle connections", "start": "start"}
NOT_REACHED = "not reached"
NOT_TOLD = "not told apart"
MANY = 1000
PARTS = ("user_us", "system_us")


def scaled(value, scale, digits=2):
    """A spread in another unit."""
    return number(value.median * scale if value else None, digits)


def filled_table(heads, rows):
    """A table, or that there is nothing to put into it."""
    return table(heads, rows) if rows else f"{NOT_MEASURED.capitalize()}."


def marked(server):
    return f"**`{server}`**" if server == OURS else f"`{server}`"


def cell(samples, name, server, digits=2, scale=1.0, **wanted):
    """The median at a point, or why there is none."""
    value = compare_figures.middle(samples, name, server, **wanted)
    if value is None and compare_figures.reason(samples, server, **(wanted or closed())):
        return NOT_REACHED
    if value is None and name in PARTS and compare_figures.middle(samples, "cpu_us", server, **wanted):
        return NOT_TOLD
    return scaled(value, scale, digits)


def memory_cells(samples, server):
    """KiB per idle connection: the server's, the kernel's."""
    if server in POOLED:
        worker = compare_figures.worker_kib(samples, server)
        return [f"{number(worker, 1)} a worker", ""] if worker else [NOT_MEASURED, ""]
    if server in SHORT_LIVED:
        busy = compare_figures.busy_kib(samples, server)
        return [f"{number(busy, 1)} a process" if busy else NOT_MEASURED, ""]
    found = compare_figures.memory(samples, server)
    if found:
        return [number(found.user_kib, 1), number(found.kernel_kib, 1)]
    tried = [sample for sample in figures.select(samples, phase="idle", server=server) if sample["unreached"]]
    return [NOT_REACHED if tried else NOT_MEASURED, ""]


def most_reached(samples, server, workload="fast"):
    """The most connections at which the server was measured; a pool serves as many at a time as it has workers."""
    found = [connections for connections in compare_figures.connections_of(samples, workload=workload, server=server)
             if compare_figures.reached(compare_figures.select(samples, server=server, **closed(workload, connections)))]
    return f"{max(found):,}{' in turn' if server in POOLED else ''}" if found else NOT_MEASURED


def main_table(samples):
    """The one table that is quoted: every server, one row."""
    rows = []
    for server in compare_figures.servers(samples):
        memory = compare_figures.per_connection(samples, server)
        rows.append([marked(server), cell(samples, "requests_per_s", server, 0),
                     cell(samples, "requests_per_s", server, 0, **closed("fast", MANY)),
                     cell(samples, "requests_per_s", server, 0, **closed("wait", MANY)) if server in NAMES else "",
                     cell(samples, "cpu_us", server), cell(samples, "switches", server, 3),
                     number(memory, 1) if memory is not None else "" if server == LIMIT else memory_cells(samples, server)[0],
                     most_reached(samples, server)])
    return table(["server", f"requests/s, {USUAL} connections", f"{MANY:,} connections", f"{MANY:,} that wait 10 ms",
                  "CPU µs/request", "switches/request", "KiB per idle connection", "most connections"], rows)


def costs_table(samples):
    """What each model costs per connection and per request."""
    rows = []
    for model in MODELS:
        rows.append([f"`{model.name}`", model.unit, *memory_cells(samples, model.name),
                     *(cell(samples, name, model.name) for name in ("cpu_us", *PARTS)),
                     cell(samples, "switches", model.name, 3), cell(samples, "faults", model.name, 3)])
    return table(["model", "its unit", "KiB per connection: its own", "the kernel's", "CPU µs/request", "user",
                  "system", "switches/request", "faults/request"], rows)


def points_table(samples, name, digits, scale, workload):
    """A row a server, a column a number of connections."""
    points = compare_figures.connections_of(samples, workload=workload)
    known = {sample.get("server") for sample in figures.select(samples, phase="closed", workload=workload)}
    rows = [[f"`{server}`", *(cell(samples, name, server, digits, scale, **closed(workload, connections))
                              for connections in points)]
            for server in compare_figures.servers(samples) if server in known]
    return filled_table(["server", *(f"{connections:,}" for connections in points)], rows)


def percentiles_table(samples, workload):
    """p50, p99 and p99.9 of the closed loop at two numbers of connections."""
    points = [connections for connections in compare_figures.connections_of(samples, workload=workload)
              if connections in (USUAL, MANY)]
    known = {sample.get("server") for sample in figures.select(samples, phase="closed", workload=workload)}
    rows = [[f"`{server}`", *(cell(samples, name, server, 2, 1e-3, **closed(workload, connections))
                              for connections in points for name in ("p50", "p99", "p99.9"))]
            for server in compare_figures.servers(samples) if server in known]
    return filled_table(["server", *(f"{connections:,}: {name} ms" for connections in points
                                     for name in ("p50", "p99", "p99.9"))], rows)


def memory_table(samples):
    """MiB of the server and of the kernel at each number of idle connections, and between them per connection."""
    points = compare_figures.connections_of(samples, phase="idle")
    rows = []
    for server in compare_figures.servers(samples):
        if server == LIMIT:
            continue
        idle = [{"phase": "idle", "connections": connections} for connections in points]
        rows.append([f"`{server}`", *(f"{cell(samples, 'pss_kib', server, 1, 1 / 1024, **wanted)} + "
                                      f"{cell(samples, 'kernel_kib', server, 1, 1 / 1024, **wanted)}"
                                      .replace(f"{NOT_MEASURED} + {NOT_MEASURED}", NOT_MEASURED)
                                      .replace(f"{NOT_REACHED} + {NOT_REACHED}", NOT_REACHED) for wanted in idle),
                     *memory_cells(samples, server)])
    return table(["server", *(f"{connections:,}: MiB" for connections in points), "KiB per connection: its own",
                  "the kernel's"], rows)


def paced_table(samples, workload):
    """p99 at every share of the servers' capacity, with what was asked for."""
    rows = []
    for server in compare_figures.servers(samples):
        for share, rate, p99 in compare_figures.paced(samples, server, workload):
            done = compare_figures.middle(samples, "requests_per_s", server, phase="paced", workload=workload, share=share)
            rows.append([f"`{server}`", f"{share:.0%}", number(rate, 0), number(done, 0), scaled(p99, 1e-3),
                         f"{p99.low / 1e3:.2f} - {p99.high / 1e3:.2f}",
                         cell(samples, "p99.9", server, 2, 1e-3, phase="paced", workload=workload, share=share)])
    return filled_table(["server", "of its capacity", "asked requests/s", "answered", "p99 ms", "lowest - highest",
                         "p99.9 ms"], rows)


def distance_table(samples, name):
    """Ours / everybody else's."""
    points = compare_figures.connections_of(samples)
    rows = []
    for server in compare_figures.servers(samples):
        if server == OURS or (server in NAMES and server != "goroutine"):
            continue
        ratios = [compare_figures.relative(samples, name, OURS, server, **closed("fast", connections))
                  for connections in points]
        rows.append([f"`{server}`" + (" (the limit)" if server == LIMIT else ""),
                     *(" (".join(filter(None, spread_cells(ratio, 2))) + (")" if ratio else "") for ratio in ratios)])
    return table([f"{OURS} / ", *(f"{connections:,}" for connections in points)], rows)


def enough_table(samples, server):
    """The server / ours, every workload and point; in bold where that is good enough."""
    points = compare_figures.connections_of(samples)
    rows = []
    for workload in WORKLOADS:
        found = compare_figures.enough(samples, server, workload)
        rows.append([TITLES[workload], *(enough_cell(found.get(connections)) for connections in points)])
    return table([f"requests/s: {server} / {OURS}", *(f"{connections:,}" for connections in points)], rows)


def enough_cell(said):
    if said is None:
        return ""
    if isinstance(said, str):
        return NOT_REACHED
    words = f"{said.median:.2f} ({said.low:.2f} - {said.high:.2f})"
    return f"**{words}**" if compare_figures.good(said) else words


def pair_table(samples, above, below):
    """above / below at every point, and whether all rounds agree."""
    rows = []
    for workload, connections in compare_figures.tried(samples):
        wanted = closed(workload, connections)
        rate, cpu = (compare_figures.relative(samples, name, above, below, **wanted) for name in ("requests_per_s", "cpu_us"))
        if rate or cpu:
            rows.append([f"{TITLES[workload]}, {connections:,}", *spread_cells(rate, 2), verdict(rate, above, below, 1),
                         *spread_cells(cpu, 2), verdict(cpu, above, below, -1)])
    return filled_table([f"{above} / {below}", "requests/s", "lowest - highest", "more", "CPU/request", "lowest - highest",
                         "less"], rows)


def verdict(ratio, above, below, wanted):
    """Who is better, if all of several rounds say the same."""
    decided = compare_figures.side(ratio)
    if ratio is None:
        return NOT_MEASURED
    return "not decided" if not decided else f"`{above if decided == wanted else below}`"


def shares_table(samples):
    """What generator, service and server had of the CPU time that they used together."""
    rows = []
    for phase, workloads in (("closed", WORKLOADS), ("paced", WORKLOADS)):
        for workload in workloads:
            for connections in compare_figures.connections_of(samples, workload, phase=phase):
                wanted = {"phase": phase, "workload": workload, "connections": connections}
                generator, service = (compare_figures.shares(samples, name, **wanted)
                                      for name in ("generator_cpu_s", "service_cpu_s"))
                rows.append([f"{LOADS[phase]}: {TITLES[workload]}", f"{connections:,}",
                             percent(generator), f"{generator.low:.0%} - {generator.high:.0%}" if generator else "",
                             percent(service)])
    return filled_table(["load", "connections", "generator, median of all runs", "lowest - highest", "service"], rows)


def percent(value):
    return f"{value.median:.0%}" if value else NOT_MEASURED


def load_words(phase, workload, share=None):
    """The kind of load in words: 'constant rate: mix, 75% of the capacity'."""
    loaded = phase in ("closed", "paced") and TITLES.get(workload)
    words = ": ".join(filter(None, (LOADS.get(phase, phase), loaded)))
    return f"{words}, {share:.0%} of the capacity" if share else words


def missed_table(samples):
    rows = []
    for (server, phase, workload, connections, share), (without, rounds, reasons) in compare_figures.missed(samples).items():
        rows.append([f"`{server}`", load_words(phase, workload, share),
                     f"{connections:,}" if connections is not None else "", f"{without} of {rounds}", reasons[0]])
    if not rows:
        return "None: every server reached every point that it was taken to."
    return table(["server", "load", "connections", "runs", "why, the first time"], rows).replace("---: |\n", "--- |\n", 1)
