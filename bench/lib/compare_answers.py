"""The sentences of bench/compare's report that say what follows: made from the figures, whatever these are."""
from lib import compare_figures
from lib.compare_figures import ENOUGH, OURS, PROACTOR, THREAD, USUAL, closed
from lib.compare_plan import LIMIT, MODELS, PEERS, POOLED, SHORT_LIVED, WORKLOADS
from lib.compare_tables import (TITLES, cell, costs_table, distance_table, enough_table, memory_cells,
                                pair_table)
from lib.figures import NOT_MEASURED
from lib.tables import number

UNITS = (("process", ("prefork", "cgi")), ("thread", (THREAD, "pool")), ("coroutine", ("coroutine", "goroutine")),
         ("event loop", (OURS, PROACTOR)))
WHAT = {"requests_per_s": "requests/s", "cpu_us": "CPU per request", "p99": "p99"}
RULE = (f"The rule: good enough is where the median of the rounds' ratios of requests/s to `{OURS}` is at least {ENOUGH}. "
        "The p99 is that of the closed loop. `pool` and `prefork` serve no more connections at a time than they have workers: with "
        "more, this is what the clients that are served get, while the others wait for their turn.")


def and_range(value, digits=2):
    """The median of a ratio with its range."""
    return f"{number(value, digits)} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def unit_lines(samples):
    """What each unit costs, a line a unit."""
    return [f"- **{article(unit)} {unit}:** " + "; ".join(f"`{model}` {unit_words(samples, model)}" for model in models) + "."
            for unit, models in UNITS]


def costs(samples):
    """What each unit costs, then all models."""
    return "\n\n".join([f"Per request: the constant page, {USUAL} connections. Per connection: how memory grew from the fewest "
                        "to the most idle connections that were held.", "\n".join(unit_lines(samples)), costs_table(samples)])


def article(word):
    return "An" if word[0] in "aeiou" else "A"


def memory_said(samples, model):
    """What a connection takes of the memory, or a worker where their number is fixed."""
    if model in POOLED:
        worker = compare_figures.worker_kib(samples, model)
        return f"{number(worker, 1)} KiB of memory a worker" if worker else f"memory a worker {NOT_MEASURED}"
    if model in SHORT_LIVED:
        busy = compare_figures.busy_kib(samples, model)
        return f"{number(busy, 1)} KiB of memory a process, the kernel's apart" if busy else f"memory a process {NOT_MEASURED}"
    found = compare_figures.memory(samples, model)
    if not found:
        return f"memory a connection {memory_cells(samples, model)[0]}"
    if found.kernel_kib is None:
        return f"{found.user_kib:.1f} KiB of memory a connection (the kernel's {NOT_MEASURED})"
    return (f"{found.user_kib + found.kernel_kib:.1f} KiB of memory a connection "
            f"({found.kernel_kib:.1f} of them the kernel's)")


def unit_words(samples, model):
    """Memory and CPU in half a sentence."""
    total, system = (compare_figures.middle(samples, name, model) for name in ("cpu_us", "system_us"))
    if not total:
        return f"{memory_said(samples, model)}, CPU a request {cell(samples, 'cpu_us', model)}"
    words = f"{memory_said(samples, model)}, {total.median:,.1f} µs of CPU a request"
    return f"{words} ({system.median:,.1f} of them the kernel's)" if system else words


def enough_words(samples, server, workload):
    """Where one server is good enough for a workload, and where not."""
    found = compare_figures.enough(samples, server, workload)
    if not found:
        return NOT_MEASURED
    fine = [connections for connections, said in found.items() if compare_figures.good(said)]
    others = [connections for connections in found if connections not in fine]
    words = "good enough nowhere"
    if fine:
        which = f"up to **{fine[-1]:,}**" if fine == list(found)[:len(fine)] else f"with **{listed(fine)}**"
        p99 = [cell(samples, "p99", each, 2, 1e-3, **closed(workload, fine[-1])) for each in (server, OURS)]
        words = (f"good enough {which} connections (with {fine[-1]:,} it does {and_range(found[fine[-1]])} x our "
                 f"requests/s; p99 {p99[0]} ms, ours {p99[1]} ms)")
    return f"{words}; not with {listed(others)}" if others else words


def listed(numbers):
    return " and ".join(filter(None, (", ".join(f"{each:,}" for each in numbers[:-1]), f"{numbers[-1]:,}")))


def blocking(samples):
    parts = [RULE]
    for server in (THREAD, "pool", "prefork"):
        parts += ["\n".join(f"- `{server}`, {TITLES[workload]}: {enough_words(samples, server, workload)}."
                            for workload in WORKLOADS), enough_table(samples, server)]
    return "\n\n".join(parts)


def counted(samples, above, below, name, wanted):
    """At how many points above is better, below is better, and it is not decided."""
    sides = [compare_figures.side(value) * wanted for workload, connections in compare_figures.tried(samples)
             for value in [compare_figures.relative(samples, name, above, below, **closed(workload, connections))] if value]
    return sides.count(1), sides.count(-1), sides.count(0)


def proactor_line(samples):
    words = []
    for name, wanted, verb in (("requests_per_s", 1, "does more requests/s"), ("cpu_us", -1, "takes less CPU per request")):
        better, worse, open_points = counted(samples, PROACTOR, OURS, name, wanted)
        if better + worse + open_points:
            words.append(f"`{PROACTOR}` {verb} at {better} of {better + worse + open_points} points, `{OURS}` at {worse}; "
                         f"{open_points} are not decided")
    return ". ".join(words) + "." if words else f"{NOT_MEASURED.capitalize()}."


def proactor(samples):
    return (f"{proactor_line(samples)} A point is decided if all of at least two rounds lie on the same side of 1."
            f" {chance(samples)}\n\n"
            + pair_table(samples, PROACTOR, OURS))


def limit_line(samples):
    rate, cpu = (compare_figures.relative(samples, name, OURS, LIMIT) for name in ("requests_per_s", "cpu_us"))
    if not rate and not cpu:
        return f"How far `{OURS}` is from `{LIMIT}` is {NOT_MEASURED}."
    words = [f"{and_range(value)} x {what}" for value, what in ((rate, "the requests/s"), (cpu, "the CPU per request"))
             if value]
    return f"`{OURS}` has {' and '.join(words)} of `{LIMIT}`, with {USUAL} connections."


def peer_lines(samples):
    lines = []
    for peer in PEERS:
        values = [(compare_figures.relative(samples, name, OURS, peer), what)
                  for name, what in (("requests_per_s", "its requests/s"), ("cpu_us", "its CPU per request"))]
        words = [f"{and_range(value)} x {what}" for value, what in values if value]
        if words:
            lines.append(f"- `{peer}`: {' and '.join(words)}.")
    return lines


def distance(samples):
    lines = [limit_line(samples), "", *(peer_lines(samples) or [f"The peers: {NOT_MEASURED}."])]
    return "\n".join(lines) + ("\n\nRequests/s at every number of connections, median and range of the rounds' ratios:\n\n"
                               + distance_table(samples, "requests_per_s")
                               + "\n\nCPU per request:\n\n" + distance_table(samples, "cpu_us"))


def win_lines(samples):
    """One line a server, workload and figure, with every point."""
    found = {}
    for win in compare_figures.wins(samples):
        found.setdefault((win.server, win.workload, win.name), []).append(
            f"{win.connections:,} connections: {and_range(win.value)}")
    return [f"- `{server}`, {TITLES[workload]}, {WHAT[name]} x `{OURS}`: {'; '.join(points)}."
            for (server, workload, name), points in found.items()]


def wins(samples):
    if not compare_figures.reached(compare_figures.select(samples, server=OURS, phase="closed")):
        return f"`{OURS}` was {NOT_MEASURED}: nothing can be said."
    lines = win_lines(samples)
    lines += [f"- `{server}` reached {connections:,} connections ({TITLES[workload]}), `{OURS}` did not."
              for server, workload, connections in compare_figures.alone(samples)]
    lines += [f"- `{server}`, memory per idle connection x `{OURS}`: {and_range(value)}."
              for server, value in compare_figures.leaner(samples)]
    rule = f"Every point at which another model or a peer was better than `{OURS}` in all of at least two rounds"
    return "\n".join([f"{rule}. {chance(samples)}", "", *lines]) if lines else f"{rule}: none."


def chance(samples):
    """How much less a decision says where there are many points."""
    rounds = max((sample["round"] or 0 for sample in compare_figures.select(samples, phase="closed")), default=0)
    return (f"One that is just as good is better in all rounds at 1 of {2 ** rounds} points by chance: a range that lies close to 1 "
            "says little." if rounds > 1 else "")


def short(samples):
    """An answer a question."""
    lines = unit_lines(samples)
    for workload in WORKLOADS:
        lines.append(f"- Blocking threads, {TITLES[workload]}: {enough_words(samples, THREAD, workload)}.")
    won = sorted({win.server for win in compare_figures.wins(samples)} |
                 {server for server, _ in compare_figures.leaner(samples)}, key=[*(m.name for m in MODELS), *PEERS].index)
    return "\n".join([*lines, f"- A proactor: {proactor_line(samples)}", f"- The limit: {limit_line(samples)}",
                      f"- Better than `{OURS}` somewhere in every round: "
                      + (", ".join(f"`{server}`" for server in won) or "nobody") + "."])


def shown(samples, name, workload, connections, digits=0):
    """What a chart shows, in two sentences: the best, ours, the limit, and the worst."""
    names = [server for server in compare_figures.servers(samples) if server != LIMIT]
    wanted = closed(workload, connections)
    found = {server: compare_figures.middle(samples, name, server, **wanted) for server in [*names, LIMIT]}
    ordered = sorted((server for server in names if found[server]), key=lambda server: found[server].median)
    if not ordered:
        return f"With {connections:,} connections: {NOT_MEASURED}."
    if compare_figures.GAINS.get(name) is max:
        ordered.reverse()
    said = {server: f"`{server}` {number(value, digits)}" for server, value in found.items()}
    return f"With {connections:,} connections: {extremes(ordered, said, found)}."


def extremes(ordered, said, found):
    """The words of the best and the worst, of ours and of the limit."""
    words = [f"{said[ordered[0]]} (the best), {said[ordered[-1]]} (the worst)"]
    words += [said[server] for server in (OURS, LIMIT) if found.get(server) and server not in (ordered[0], ordered[-1])]
    return ", ".join(words)


def paced_words(samples, workload):
    """The p99 of the open loop at the lowest and at the highest share of what each server can do."""
    known = {sample["share"] for sample in samples if sample["share"] is not None}
    lines = []
    for share in sorted({min(known), max(known)} if known else ()):
        found = {server: p99 for server in compare_figures.servers(samples)
                 for at, _, p99 in compare_figures.paced(samples, server, workload) if at == share}
        ordered = sorted((server for server in found if server != LIMIT), key=lambda server: found[server].median)
        if ordered:
            said = {server: f"`{server}` {value.median / 1e3:.2f} ms" for server, value in found.items()}
            lines.append(f"At {share:.0%} of what each can do, the p99 is: {extremes(ordered, said, found)}.")
    return " ".join(lines)
