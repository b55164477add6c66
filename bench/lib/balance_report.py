"""report.md of bench/balance, written from results.json alone, so that it can be written again."""
import shlex

from lib import balance_figures, figures, report
from lib.balance_figures import JUDGED, SPREAD_BAR
from lib.balance_plan import (ARRIVALS, BASE, CHURN_EVENTS, CONNECTING, CONNECTIONS, LONG_CONNECTIONS, MODES, REACTORS,
                              SKEW_BUSY, SKEW_LOADS, SKEW_OPEN, SKEW_REACTORS, TRIALS, ConnectRun, best)
from lib.figures import NOT_MEASURED
from lib.tables import environment_table, number, spread_cells, table

ASKED = """## What was asked

With one listening socket a reactor, the kernel spreads connections by a hash of their addresses: by chance. How even
is the spread that `--balance least` and `--balance handoff` give instead, right after the clients have come and while
they come and go; what does it cost to connect; and would it help to move connections once they are there?
"""

METHOD = """## How it was measured

- **Spread.** A reactor's connections are counted where the kernel keeps them: the connected sockets that its epoll instance
  watches (`/proc/PID/fdinfo`), not a counter of the server's. Each client connects, makes one request and stays. In
  each of {rounds} rounds the clients come once one after the other, and once all begin to connect before any is answered.
  Busiest / mean is that of the reactor with the most connections; *every* repetition has to keep the bar. {agreement}
- **Best possible** is what whole connections allow: 100 over 16 reactors are at best 7 on the busiest, 6.25 on the mean.
  Where that is above {bar}, it is the bar.
- **Hash, simulated** is the median of {trials:,} spreads by chance.
- **Churn.** {long:,} connections, then {steps} steps (the minutes of an hour, in seconds) of {events} events each: half are
  short connections, which make a request and close; the others open one that stays, or close one at random. The
  order comes from a seed, the same for all modes in a round. After each step the spread is taken, when all that was closed
  is closed. *Perfect choice* is reckoned from the same events: each connection goes to the reactor that has the fewest then.
- **Connecting.** `wrk` with `Connection: close`, {connecting} clients at a time, {duration} s for each mode in turn, with new
  processes in each of {rounds} rounds; the order changes from round to round. Ratios are taken within a round. CPU per
  connection is that of the server process, in the kernel too as far as it is counted as that process's.
- **Skew.** {open} connections over {reactors} reactors are opened one by one with `--balance least`; then {busy} of them send one request
  after the other (`bench/programs/pace.c`), the others nothing: as many on each reactor (*even*), or all on one (*skewed*), both with
  `--keep-connections`; *moved* is *skewed* without that option. *page* is the program's own page, where the client takes more CPU
  than the server; *1 ms* is a handler that takes 1 ms of CPU.
"""

LIMITS = """## What this machine cannot show

- Load generator and server share the machine's {cpus} CPUs{share}: with more reactors than CPUs the spread of
  connections is real, the speed of 8 or 16 reactors is not shown.
- All clients have one address, 127.0.0.1: the hash sees different ports only.
- Loopback connects in microseconds. What a handshake that takes long, or is never completed, does to the count is tested
  (`tests/`), not measured here.
{machine}"""


def text(results, drawn):
    settings = results["settings"]
    parts = ["# How evenly connections are spread over the reactors", report.lead(results)]
    parts += [warning for wanted, warning in ((settings["quick"], report.QUICK),
                                              (not results["complete"], report.INCOMPLETE)) if wanted]
    parts += [ASKED, "## The answer", headline(results), notes(results), *pictures(drawn), "## The bars",
              bars_table(results), "## Spread", spread_table(results), "## Churn", churn_table(results),
              "## The cost of connecting", connect_table(results["samples"]), "## Skew", skew_table(results),
              method(results), LIMITS.format(cpus=results["environment"]["cpus_allowed"],
                                             share=report.generator_share(results["samples"]),
                                             machine=report.noise(results)),
              "## Environment", environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def method(results):
    settings = results["settings"]
    return METHOD.format(agreement=agreement(results), bar=SPREAD_BAR, trials=TRIALS, long=LONG_CONNECTIONS,
                         steps=settings["steps"], events=CHURN_EVENTS, connecting=CONNECTING, open=SKEW_OPEN,
                         busy=SKEW_BUSY, reactors=SKEW_REACTORS, duration=settings["duration"],
                         rounds=settings["rounds"])


def agreement(results):
    other, told = balance_figures.disagreements(results)
    if not told:
        return f"What the server itself tells (`--admin`) is {NOT_MEASURED}."
    return (f"What the server itself tells (`--admin`, `/status.json`) was the same in {told - other} of {told} samples.")


def headline(results):
    lines = []
    for title, bars in (("`least`, connections that come and stay", balance_figures.spread_bars(results)),
                        ("`least`, connections that come and go", balance_figures.churn_bars(results))):
        missed = [bar for bar in bars if bar.verdict == "MISSED"]
        unknown = [bar for bar in bars if bar.verdict == NOT_MEASURED]
        unreachable = [bar for bar in bars if bar.verdict == balance_figures.UNREACHABLE]
        outcome = (f"MISSED ({len(missed)} of {len(bars)} bars)" if missed
                   else NOT_MEASURED if unknown
                   else f"PASS but for {len(unreachable)} of {len(bars)} bars, where nothing better is possible" if unreachable
                   else "PASS")
        worst = max((bar for bar in bars if bar.worst), key=lambda bar: bar.worst / bar.allowed, default=None)
        shown = f" The nearest to its bar: {worst.worst:.3f} of {worst.allowed:.3f} ({worst.name})." if worst else ""
        lines.append(f"- {title}: busiest / mean <= {SPREAD_BAR}: **{outcome}**.{shown}")
    for mode in MODES:
        cpu = balance_figures.connect_ratio(results["samples"], "cpu_us", mode)
        if mode != BASE and cpu:
            lines.append(f"- CPU per connection, `{mode}`: {cpu.median:.3f} x {BASE}.")
    return "\n".join(lines)


def notes(results):
    """What the servers said comes before the figures."""
    lines = [f"- **Note:** {note}" for note in results["notes"]]
    if balance_figures.fell_back(results):
        lines.insert(0, f"- **`{JUDGED}` was not to be had here:** no program chose in the kernel. What stands under its name "
                     "is the mode that the server used instead, and its bars are not measured.")
    return "\n".join(lines)


PICTURES = {"spread": "Busiest / mean connections, by mode, reactors and connections",
            "churn": "Busiest / mean connections while clients come and go"}


def pictures(drawn):
    return [f"<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\">"
            f"<img alt=\"{words}\" src=\"{name}.svg\"></picture>"
            for name, words in PICTURES.items() if name in drawn]


def bars_table(results):
    rows = [[bar.name, f"<= {bar.allowed:.3f}", number(bar.worst, 3), str(bar.count), f"**{bar.verdict}**"]
            for bar in balance_figures.bars(results)]
    return table([f"`{JUDGED}`: busiest / mean", "wanted", "worst repetition", "repetitions", "verdict"], rows)


def spread_table(results):
    rows = []
    for reactors in REACTORS:
        for connections in CONNECTIONS:
            simulated = results["simulated"].get(f"{reactors} {connections}")
            for mode in MODES:
                value = balance_figures.spread(results, mode, reactors, connections)
                arrivals = [balance_figures.spread(results, mode, reactors, connections, arrival=arrival)
                            for arrival in ARRIVALS]
                rows.append([str(reactors), f"{connections:,}", mode, *spread_cells(value),
                             *(number(each, 3) for each in arrivals),
                             number(simulated, 3) if mode == BASE else "", f"{best(connections, reactors):.3f}",
                             example(results, mode, reactors, connections)])
    return table(["reactors", "connections", "mode", "median", "lowest - highest", *ARRIVALS, "hash, simulated",
                  "best possible", "connections of each reactor, first repetition"], rows)


def example(results, mode, reactors, connections):
    found = figures.select(results["spread"], server=mode, reactors=reactors, connections=connections)
    return " ".join(map(str, found[0]["open"])) if found else ""


def churn_table(results):
    rows = []
    for reactors in REACTORS:
        for mode in MODES:
            rows.append([str(reactors), mode, *spread_cells(balance_figures.churn_end(results, mode, reactors)),
                         *spread_cells(balance_figures.churn_worst(results, mode, reactors))])
        ideal = balance_figures.churn_ideal(results, reactors)
        rows.append([str(reactors), "perfect choice, reckoned", "", "", *spread_cells(ideal)])
    return table(["reactors", "mode", "at the end", "lowest - highest", "highest of all steps", "lowest - highest"], rows)


def connect_table(samples):
    rows = []
    for mode in MODES:
        cells = [figures.middle(samples, name, phase="connect", server=mode) for name in ("requests_per_s", "cpu_us")]
        ratios = [balance_figures.connect_ratio(samples, name, mode) for name in ("requests_per_s", "cpu_us")]
        rows.append([mode, number(cells[0], 0), *spread_cells(ratios[0]), number(cells[1], 2), *spread_cells(ratios[1])])
    return table(["mode", "connections/s", f"x {BASE}", "lowest - highest", "CPU µs/connection", f"x {BASE}",
                  "lowest - highest"], rows) + "\n\n" + errors(samples)


def errors(samples):
    faulty = figures.faulty(samples)
    return f"Runs in which `wrk` counted an error: {len(faulty)} of {len(samples)}."


def skew_table(results):
    rows = []
    for load in SKEW_LOADS:
        for variant in balance_figures.variants(results):
            cells = [balance_figures.skew_value(results, load, name, variant)
                     for name in ("requests_per_s", "p50", "p99", "cpu_us")]
            rate, p99 = (balance_figures.skew_ratio(results, load, name, variant) for name in ("requests_per_s", "p99"))
            rows.append([load, variant, number(cells[0], 0), *spread_cells(rate),
                         *(number(cell.median / 1e3 if cell else None) for cell in cells[1:3]), *spread_cells(p99),
                         number(cells[3]), where(results, load, variant)])
    return table(["request", "variant", "requests/s", "x skewed", "lowest - highest", "p50 ms", "p99 ms", "x skewed",
                  "lowest - highest", "CPU µs/request", "busy ones on each reactor, late in the first run"], rows)


def where(results, load, variant):
    found = figures.select(results["skew"], load=load, server=variant)
    return " ".join(map(str, found[0]["busy_late"])) if found else ""


def commands(results):
    settings = results["settings"]
    run = ConnectRun("connect", BASE, CONNECTING, 1, settings["duration"], 1)
    lines = [results["invocation"], *(shlex.join(line) for line in results["commands"].values()),
             shlex.join(run.command(settings["port"], settings["wrk_threads"]))]
    lines += list(dict.fromkeys(line for sample in results["skew"] for line in (sample["command"], sample["client"])))
    return ("Command lines, run in the repository's root (each run of `wrk` has its own one as the first line of its "
            "file in `raw/`):\n\n```sh\n" + "\n".join(lines) + "\n```")
