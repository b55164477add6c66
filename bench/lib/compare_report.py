"""report.md of bench/compare, written from results.json alone, so that it can be written again."""
import shlex

from lib import compare_answers, compare_figures, compare_tables, figures, load, report
from lib.compare_costs import TICK_S, TOLD_FROM
from lib.compare_figures import OURS, USUAL
from lib.compare_plan import MIX, WAIT_MS, WORK_MS, WORKLOADS
from lib.compare_tables import TITLES
from lib.figures import NOT_MEASURED
from lib.tables import environment_table, table

TITLE = "# Which way to serve is best, when, and why"

ASKED = """## What was asked

There are many ways to serve concurrent requests: a process for each, a thread for each connection, one loop for all of
them, a loop for each core, coroutines, completions. What does each cost per connection and per request; when are blocking
threads good enough; does a proactor beat the reactor; and how far is `{ours}`, which is coreactor ("ours" below), from what
the machine allows and from the servers that others use? Here only the model differs: all models parse with the same parser,
run the same handlers and send the same answers; Go has its own. They are described, each with a diagram, in
[docs/models.md](../../../docs/models.md).
"""

METHOD = """## How it was measured

Generators and servers ran on one machine, over the loopback interface. Every run has a server of its own, started for it and
killed when its load has ended, so that work for clients that have gone is in no figure; the kernel's account of it and of all
its descendants (`wait4`) gives CPU time, context switches and page faults. What a start and one request take is subtracted:
the median of runs that do nothing else. In each of {rounds} rounds all servers ran at one point one after another, at least
{duration} s each, in an order that changes from round to round. Ratios are taken within a round. No sample was dropped or
changed.

- **The workloads.** *Constant page*: 83 bytes that were made before. *Waits {wait} ms*: the handler asks a service, a process
  of its own on this machine that answers after {wait} ms, in the model's own idiom, blocking or not. *{work} ms of CPU*:
  hashing. *Mix*: of {mix_length} requests {mix}.
- **The closed loop.** `wrk` is one: a connection sends its next request when it has the last answer. A server that stalls is
  asked less, so such a latency is not what a client that comes by itself would see. It serves to find what a server can do.
- **The open loop.** The runs at a constant rate come from `bench/programs/pace.c`: requests are due at fixed times whatever
  the server does, and a latency counts from the time at which the request was due, not from when it could be sent. Each
  server was asked for shares of what its own closed loop came to with the same workload and {usual} connections, so the same
  share is another rate for each.
- **Idle connections.** Each made one request and stays open. Memory is the proportional share of the server's processes (PSS)
  and, beside it, by how much the kernel's own grew since before the start: stacks, page tables and slabs, where sockets are.
  The kernel's figure is that of the whole machine, so it also counts the client's ends of the connections.
- **CPU per request** is the CPU time of the server by the answers that the generator counted; the service's is not in it.
- **prefork** and **pool** close a connection after 100 requests or 5 silent seconds, **cgi** after each request, so that
  others get their turn: connecting again is in their figures. They serve as many connections at a time as they have
  processes or threads, {pool}. Each of the others waits for its turn with the first of its 100 requests, which a p99 just
  misses and a p99.9 shows; one whose turn has not come when the run ends is in no latency at all.
- **A point is not reached** if the server ended or could not start, if nothing was answered, if more than 1 % of the
  requests failed, if a rate was not kept, or if fewer idle connections stayed open. A server that did not reach a point
  twice was not taken there again.
"""

LIMITS = """## What this machine cannot show

- Generator, service and server share {cpus} CPUs. A server that takes less CPU leaves more to the generator, and one that is
  bound to one core leaves the others to it: requests/s are what all of them can do together. CPU per request says what the
  server alone takes. How much the generator took is in the table below.
- {cpus} CPUs say nothing of what 16 or 64 would show.
- Loopback has no network card, no loss and no distance. Part of the kernel's work for a request is done when the sender
  runs, and is then counted as the generator's CPU time.
- A run lasts some {duration} s: what changes over hours, such as fragmented memory, is not here.
- User and system time are told apart by clock ticks, that is by sampling; their sum is exact. A process that ends before a
  tick meets it has only user time for the kernel: where processes took less than {told:.0f} ms each, as those of `cgi` do,
  the parts are not told apart.
- Debian's packages are compared, not the newest version of each.
{noise}"""

# name -> words for those who cannot see it, the section's title
PICTURES = {"throughput": "Requests per second over connections, by model and server",
            "throughput-wait": "Requests per second over connections, each waiting 10 ms, by model",
            "throughput-work": "Requests per second over connections, each taking 1 ms of CPU, by model",
            "memory": "Memory over idle connections, by model and server",
            "latency": "p99 over requests per second at a constant rate, by model and server",
            "cpu": "CPU time per request, user and system, by model and server",
            "switches": "Context switches per request, by model and server"}


def text(results, drawn):
    results = compare_figures.whole(results)
    samples, settings = results["samples"], results["settings"]
    parts = [TITLE, report.lead(results)]
    parts += [warning for wanted, warning in ((settings.get("quick"), report.QUICK),
                                              (not results.get("complete"), report.INCOMPLETE)) if wanted]
    parts += [ASKED.format(ours=OURS), "## In short", left_out(results), compare_answers.short(samples),
              compare_tables.main_table(samples), method(settings), *charts(samples, drawn), *follows(samples),
              "## Points that were not reached", compare_tables.missed_table(samples),
              *limits(results), "## Errors", errors(results), "## The servers", servers(results), PEERS_NOTE,
              "## Environment", environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def left_out(results):
    return "\n".join(f"- **Left out:** {note}." for note in results.get("left_out") or [])


def method(settings):
    shares = ", ".join(f"{MIX.count(path)} ask for `{path}`" for path in dict.fromkeys(MIX))
    return METHOD.format(rounds=settings.get("rounds", "some"), duration=settings.get("duration", "some"), wait=WAIT_MS,
                         work=WORK_MS, mix=shares, mix_length=len(MIX), usual=USUAL,
                         pool=settings.get("pool", "a fixed number"))


def picture(name, drawn):
    if name not in drawn:
        return ""
    return (f"<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\">"
            f"<img alt=\"{PICTURES[name]}\" src=\"{name}.svg\"></picture>")


def charts(samples, drawn):
    """A section a question: what the chart shows in a sentence, the chart, its figures."""
    parts = []
    for workload in WORKLOADS:
        name = "throughput" if workload == "fast" else f"throughput-{workload}"
        parts += [f"## How many requests per second: {TITLES[workload]}", wait_note(workload),
                  said_at(samples, "requests_per_s", workload), picture(name, drawn),
                  compare_tables.points_table(samples, "requests_per_s", 0, 1, workload)]
    parts += ["## What a connection takes of the memory", memory_words(samples), picture("memory", drawn),
              compare_tables.memory_table(samples)]
    for workload in ("fast", "mix"):
        parts += [f"## How long a request takes under a given load: {TITLES[workload]}", PACED_NOTE,
                  compare_answers.paced_words(samples, workload),
                  picture("latency" if workload == "fast" else None, drawn), compare_tables.paced_table(samples, workload)]
    parts += ["## How long a request takes when all do what they can", CLOSED_NOTE]
    for workload in WORKLOADS:
        parts += [f"### {TITLES[workload][:1].upper()}{TITLES[workload][1:]}",
                  compare_tables.percentiles_table(samples, workload)]
    for name, title, chart, digits in (("cpu_us", "CPU, µs", "cpu", 2), ("switches", "context switches", "switches", 3)):
        parts += [f"## What a request costs: {title}", compare_answers.shown(samples, name, "fast", USUAL, digits),
                  picture(chart, drawn), compare_tables.points_table(samples, name, digits, 1, "fast")]
    return parts


PACED_NOTE = """The open loop: the p99 over the requests/s that were asked for. Where *answered* is below *asked*, the
server did not keep up, and what was due waited."""
CLOSED_NOTE = """The closed loop. The more connections it has, the longer each request waits for the others: this is not a
latency under a given load."""


def wait_note(workload):
    if workload != "wait":
        return ""
    return (f"Whoever waits {WAIT_MS} ms for each request makes at most {1000 // WAIT_MS} a second on a connection: with 10 "
            f"connections {10 * 1000 // WAIT_MS:,}, whatever the model. A pool is bound by its size in the same way.")


def said_at(samples, name, workload):
    return " ".join(compare_answers.shown(samples, name, workload, connections)
                    for connections in compare_figures.connections_of(samples, workload=workload)
                    if connections in (USUAL, compare_tables.MANY))


def memory_words(samples):
    found = {server: compare_figures.per_connection(samples, server) for server in compare_figures.servers(samples)}
    known = sorted((kib, server) for server, kib in found.items() if kib is not None and kib > 0)
    if not known:
        return f"What an idle connection takes is {NOT_MEASURED}."
    (least, lean), (most, fat) = known[0], known[-1]
    words = (f"An idle connection takes the least memory with `{lean}`, {least:.1f} KiB, and the most with `{fat}`, "
             f"{most:.1f} KiB")
    return words + (f"; with `{OURS}` {found[OURS]:.1f} KiB." if found[OURS] is not None else ".")


def follows(samples):
    return ["## What follows", "### What a process, a thread, a coroutine and an event loop cost",
            compare_answers.costs(samples),
            "### When blocking threads are good enough", compare_answers.blocking(samples),
            "### Whether a proactor beats the reactor here", compare_answers.proactor(samples),
            "### How far coreactor is from the limit and from the others", compare_answers.distance(samples),
            "### Where another model or a peer wins", compare_answers.wins(samples)]


def limits(results):
    environment, settings = results["environment"], results["settings"]
    told = [sample for sample in results["samples"]
            if None not in (sample.get("wall_s"), sample.get("others_cpu_s"), sample.get("steal_s"))]
    return [LIMITS.format(cpus=environment["cpus_allowed"], duration=settings.get("duration", "some"),
                          told=TOLD_FROM * TICK_S * 1000, noise=report.noise({**results, "samples": told})),
            "Of the CPU time that server, generator and service used together:",
            compare_tables.shares_table(results["samples"])]


def errors(results):
    """By server and load, with what was not unusual to say of the runs."""
    found = {}
    for sample in figures.faulty(results["samples"]):
        key = sample.get("server"), sample.get("phase"), sample["workload"], sample["connections"]
        counts = found.setdefault(key, {})
        for kind, count in sample["errors"].items():
            counts[kind] = counts.get(kind, 0) + (count or 0)
    rows = [[f"`{server}`", compare_tables.load_words(phase, workload), f"{connections or 0:,}", load.error_words(counts)]
            for (server, phase, workload, connections), counts in found.items()]
    notes = [f"- {note}" for note in results.get("notes") or []]
    if not rows and not notes:
        return f"None in {len(results['samples'])} runs."
    shown = table(["server", "load", "connections", "errors in all rounds"], rows) if rows else ""
    return "\n\n".join(filter(None, (shown, "\n".join(notes))))


def configuration(results, server):
    """A link to the peer's file, of which the run's own one was made."""
    name = (results.get("configurations") or {}).get(server)
    return f"[`{name}`](../../../bench/peers/{name})" if name else ""


def servers(results):
    rows = []
    for server, command in (results.get("commands") or {}).items():
        version = (results.get("versions") or {}).get(server) or {}
        words = [version.get("said") or "", f"package {version['package']}" if version.get("package") else ""]
        rows.append([f"`{server}`", ", ".join(filter(None, words)) or "this commit", f"`{shlex.join(command)}`",
                     configuration(results, server)])
    return table(["server", "version", "command", "configuration"], rows).replace("---:", "---")


PEERS_NOTE = """The peers' configuration files are in [`bench/peers/`](../../../bench/peers), with the reason for every
setting; `$FOLDER` is the run's temporary folder, where they are filled in."""


def commands(results):
    """The generators' command lines of our own runs, one of each kind."""
    lines = [results.get("invocation") or "bench/compare"]
    for phase in ("closed", "paced", "idle"):
        for workload in WORKLOADS if phase != "idle" else (None,):
            found = [sample for sample in figures.select(results["samples"], phase=phase, server=OURS)
                     if sample.get("command") and workload in (None, sample["workload"])]
            lines += [command if isinstance(command, str) else shlex.join(command) for command in
                      [sample["command"] for sample in found[:1]]]
    return ("Command lines, run in the repository's root (each run's own one is the first line of its file in `raw/`):\n\n"
            "```sh\n" + "\n".join(lines) + "\n```")
