"""report.md of bench/mixed, written from results.json alone, so that it can be written again."""
import shlex

from lib import mixed_figures, report
from lib.mixed_figures import TOOL_TITLES
from lib.mixed_plan import (CPU_MS, FAST_CONNECTIONS, NONE, OFFLOAD_QUEUE, OFFLOAD_THREADS, SCENARIOS, SERVERS, SLOW_CONNECTIONS,
                            SLOW_RATE, TOOLS, WAIT_MS, WAITING, MixedRun)
from lib.tables import bars_table, environment_table, fault_lines, number, spread_cells, table

ASKED = """## What was asked

One loop a core answers fast requests fast, as long as no handler keeps the loop. What do the clients of fast answers
notice of slow ones beside them - handlers that compute for {cpu} ms, and handlers that wait {wait} ms for something else -
when those run in the loop, on the pool of `server_route_offload()`, or as a pending answer with a timer? And what do they
notice with Go's net/http, where each request has a goroutine, and with nginx, which passes slow requests on?
"""

METHOD = """## How it was measured

All servers have {threads} threads (reactors, `GOMAXPROCS`, worker processes) and answer `/fast` with the same 83 bytes.
{connections} connections ask for it, in each of {rounds} rounds for {duration} s beside each kind of slow requests, with new processes in
each round; the order of servers, tools and scenarios changes from round to round. A ratio is that of the p99 beside
slow requests to the p99 with nothing beside, of the same server and tool in the same round; the median of the ratios is judged. No sample was
dropped or changed.

- **Closed loop:** `wrk`, as fast as the server answers. The bar is judged on this, as the question was put. It saturates
  the CPUs that it shares with the server, so its p99 is in part that of the scheduler; whatever takes CPU beside must
  take it from somebody.
- **Constant rate:** `bench/programs/pace.c`, at about half of what the server's closed loop came to when the run began ({rates}).
  A latency counts from the time at which the request was due, so a server that stalls has
  to answer for those that could not be sent. The same bar is shown for it.
- **{cpu} ms of CPU:** {rate} requests a second at a constant rate on {slow} connections, {share:.0%} of one CPU. `mixed.c` watches its thread's
  CPU clock. Go's goroutines change threads, so `mixed.go` counts turns of a loop that it has timed before it served.
  *In another process* asks nginx's upstream (below) directly for the same and leaves the server alone: what remains is what
  sharing the CPUs costs.
- **{wait} ms of waiting:** {waiting:,} connections that always have a request under way, not in step: their first requests
  are spread over {wait} ms. By a timer that makes
  {plain:,} requests a second, each of which also costs CPU: *20,000/s more fast ones* is the same number of requests without
  any waiting, for comparison. On the pool, {pool} threads make at most {pool_rate:,.0f} a second; the others wait in its queue.
  In the loop, 4 such requests are enough.
- **coreactor** is `bench/programs/mixed.c`, linked with the library, with {pool} threads in its pool and room for {queue:,} waiting requests a reactor.
- **nginx** as Debian packages it has no module that computes. Its slow requests go to an upstream over connections that stay
  open: `mixed.c` again, a process of its own with {threads} reactors and priority as usual, which computes or waits in the same way. nginx's own
  workers never block.
"""

LIMITS = """## What this machine cannot show

- Generators and servers share {cpus} CPUs{share}: with slow requests beside there is less CPU for everyone, and no
  isolation could give it back. A machine with more cores would show smaller ratios.
- Loopback has no network card, no loss and no distance.
{machine}- A bar that lies inside the range of its rounds was decided by the median, not by every round.
"""

PICTURES = {"slow": "p99 of fast requests beside handlers that compute", "blocking": "p99 of fast requests beside handlers that wait"}


def text(results, drawn):
    samples, settings = results["samples"], results["settings"]
    parts = ["# Fast requests beside slow ones", report.lead(results)]
    parts += [warning for wanted, warning in ((settings["quick"], report.QUICK),
                                              (not results["complete"], report.INCOMPLETE)) if wanted]
    parts += [ASKED.format(cpu=CPU_MS, wait=WAIT_MS), "## The answer", headline(samples), left_out(results),
              *pictures(drawn), "## The bars", bars_table(mixed_figures.bars(samples))]
    for tool in TOOLS:
        parts += [f"## {TOOL_TITLES[tool].capitalize()} (`{tool}`)", fast_table(samples, tool),
                  "What ran beside them:", company_table(samples, tool)]
    parts += ["## Errors", fault_lines(results), method(results),
              LIMITS.format(cpus=results["environment"]["cpus_allowed"], share=report.generator_share(samples),
                            machine=report.noise(results)),
              "## The servers", servers_table(results), "## Environment",
              environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def method(results):
    settings = results["settings"]
    rates = ", ".join(f"{server} {rate:,}/s" for server, rate in results["rates"].items()) or "not measured"
    return METHOD.format(threads=settings["threads"], rounds=settings["rounds"], duration=settings["duration"],
                         connections=FAST_CONNECTIONS, rates=rates, cpu=CPU_MS, rate=SLOW_RATE, slow=SLOW_CONNECTIONS,
                         share=SLOW_RATE * CPU_MS / 1000, wait=WAIT_MS, waiting=WAITING,
                         plain=WAITING * 1000 // WAIT_MS, pool=OFFLOAD_THREADS,
                         pool_rate=OFFLOAD_THREADS * 1000 / WAIT_MS, queue=OFFLOAD_QUEUE)


def headline(samples):
    lines = []
    for bar in mixed_figures.bars(samples):
        value = f"{number(bar.value, 2)} x " if bar.value else ""
        lines.append(f"- {bar.name}: {value}(wanted: {bar.wanted}): **{bar.verdict}**.")
    return "\n".join(lines)


def left_out(results):
    return "\n".join(f"- **Left out:** {note}." for note in results["left_out"])


def pictures(drawn):
    return [f"<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\">"
            f"<img alt=\"{words}\" src=\"{name}.svg\"></picture>"
            for name, words in PICTURES.items() if name in drawn]


def fast_table(samples, tool):
    rows = []
    for scenario in SCENARIOS:
        rate, p50, p99, most = (mixed_figures.middle(samples, name, scenario, tool)
                                for name in ("requests_per_s", "p50", "p99", "p99.9"))
        ratios = [mixed_figures.relative(samples, name, scenario, tool) for name in ("requests_per_s", "p99")]
        rows.append([f"{scenario.server}: {scenario.title}", number(rate, 0), number(ratios[0], 2),
                     *(number(value.median / 1e3 if value else None) for value in (p50, p99, most)),
                     *(["1", ""] if scenario.name == NONE and ratios[1] else spread_cells(ratios[1], 2))])
    return table(["server: beside the fast requests", "fast requests/s", "x nothing beside", "p50 ms", "p99 ms", "p99.9 ms",
                  "p99 x nothing beside", "lowest - highest"], rows)


def company_table(samples, tool):
    rows = []
    for scenario in SCENARIOS:
        if scenario.beside:
            rate, p50, p99 = (mixed_figures.company_middle(samples, name, scenario, tool)
                              for name in ("requests_per_s", "p50", "p99"))
            rows.append([f"{scenario.server}: {scenario.title}", number(rate, 1),
                         *(number(value.median / 1e3 if value else None, 1) for value in (p50, p99)),
                         str(mixed_figures.company_errors(samples, scenario, tool))])
    return table(["server: slow requests", "answers/s", "p50 ms", "p99 ms", "errors in all rounds"], rows)


def servers_table(results):
    rows = []
    for server, command in results["commands"].items():
        version = results["versions"].get(server, {})
        words = [version.get("said") or "", f"package {version['package']}" if version.get("package") else ""]
        rows.append([server, ", ".join(filter(None, words)) or "this commit", f"`{shlex.join(command)}`"])
    return table(["server", "version", "command"], rows).replace("---:", "---")


def port_of(scenario, settings):
    return settings["port"] + (len(SERVERS) if scenario.beside.elsewhere else SERVERS.index(scenario.server))


def commands(results):
    """The generators' command lines as they were run against coreactor, in the repository's root."""
    settings = results["settings"]
    lines = [results["invocation"]]
    for tool in TOOLS:
        run = MixedRun(NONE, "coreactor", FAST_CONNECTIONS, 1, settings["duration"], 1, SCENARIOS[0], tool,
                       results["rates"].get("coreactor"))
        lines.append(shlex.join(run.command(settings["port"], settings["wrk_threads"])))
    lines += [shlex.join(scenario.beside.command(port_of(scenario, settings), settings["duration"] + 60))
              for scenario in SCENARIOS if scenario.beside and scenario.server == "coreactor"]
    return ("Command lines, run in the repository's root (each run's own one is the first line of its "
            "file in `raw/`; what runs beside is ended with the run):\n\n```sh\n" + "\n".join(lines) + "\n```")
