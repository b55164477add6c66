"""report.md of bench/files, written from results.json alone, so that it can be written again."""
import shlex

from lib import files_figures, report, site
from lib.figures import NOT_MEASURED, select
from lib.files_plan import BASE, BY_BYTES, SERVERS, WORKLOADS, FileRun
from lib.tables import bars_table, environment_table, fault_lines, number, spread_cells, table

ASKED = """## What was asked

How much CPU time does a file cost `coreactor --root`, beside the servers that people serve files with:
nginx, h2o and lighttpd, as Debian packages them, each set up for this as its documentation says? The
bars are ratios to nginx, taken within one run: CPU time per request for one file of 1 KiB, 64 KiB, 1 MiB
and 100 MiB, and requests per second for a site of 20 assets, of which {texts} have compressed forms
beside them.
"""

METHOD = """## How it was measured

`wrk` ran on the same machine as the servers, over the loopback interface. In each of {rounds} rounds all
servers were started anew, each with {threads} threads or worker processes, and every load ran for
{duration} s against one server after the other, in an order that changes from round to round: in four
rounds each server is first once and comes right after each other one once. A ratio is taken within one
round, server / nginx, and the median of the ratios is judged. No sample was dropped or changed.

- **The same answers.** Before the load began every server was asked for every file, with the
  `Accept-Encoding` of the load (`gzip` for the site, none for the others): status, body and
  `Content-Encoding` had to be those of the file. gzip is the coding that all four can send from a file. nginx, h2o and coreactor send the `.gz` beside the file;
  lighttpd cannot, and sends the copy that it made and keeps, which had to have the same content and the
  same length within 2 %.
- **CPU per request** is the CPU time of all processes of the server, as the kernel's scheduler counted
  it from before the first connection until the last one was closed, divided by the requests that `wrk`
  counted. From {by_bytes} on, `wrk` counts only answers that came whole, although those that its end cuts off
  cost CPU time too: there the requests, in requests/s too, are the bytes that `wrk` read, divided by the file's size. The
  answers' heads, some 250 bytes each, are in those bytes. What a server had written and `wrk` no longer
  read is not: at most a socket's buffers a connection.
- **p50 and p99** are measured latencies of whole answers; those that `wrk` invents are taken out
  (`bench/latency.lua`).
- **Memory** is read when the load has ended. The peak is the sum of each process's highest resident
  memory in that run, in which pages that several processes share count several times; the proportional
  figure counts them once. Neither holds the page cache, where the files are, nor socket buffers.
- **The site**: the load asks for the 20 paths one after the other, over and over, with a browser's
  headers. `wrk` knows no pages: a connection takes what is next in its thread.
"""

LIMITS = """## What this machine cannot show

- The load generator shares the machine's cores with the server{share}. A faster server is given less CPU,
  so requests/s understate differences; CPU per request does not.
- Loopback has no network card, no loss and no distance: what sending costs a driver, and what slow
  readers cost a server, is not here. Part of the kernel's work for a request is done when the sender
  runs, and is then counted as the generator's.
- `wrk` reads 8 KiB at a time. With large files it is the generator that limits bytes per second, and
  sends come in the pieces for which its reads make room.
- All files are in the page cache: no disk is read. They are on {file_system}.
- One listening socket for all workers (h2o, lighttpd) and one for each (coreactor, nginx) spread {connections}
  connections differently; what an uneven spread costs shows in requests/s and latency.
- h2o 2.2 has no sendfile: it copies. This compares packages of Debian, not the newest version of each.
- The load is a closed loop over connections that stay open: a stall slows the generator too.
{machine}- A bar that lies inside the range of its rounds was decided by the median, not by every round.
"""

PICTURES = {"cpu": f"CPU time per request by server and load, {BASE} = 1", "site": "Requests per second of the mixed site"}


def text(results, drawn):
    samples, settings = results["samples"], results["settings"]
    parts = ["# coreactor as a file server, beside nginx, h2o and lighttpd", report.lead(results)]
    parts += [warning for wanted, warning in ((settings["quick"], report.QUICK),
                                              (not results["complete"], report.INCOMPLETE)) if wanted]
    parts += [ASKED.format(texts=sum(map(site.is_text, site.paths()))), "## The answer", headline(samples),
              left_out(results), *pictures(drawn), "## The bars", bars_table(files_figures.bars(samples))]
    for work in WORKLOADS:
        parts += [f"## {work.title}, {opened(samples, work)} connections", work_table(samples, work)]
    parts += ["## Errors that wrk counted", fault_lines(results),
              METHOD.format(**settings, by_bytes=f"{BY_BYTES >> 20} MiB"),
              LIMITS.format(share=report.generator_share(samples), machine=report.noise(results),
                            file_system=results.get("file_system") or "a file system that is not known",
                            connections=max(work.connections for work in WORKLOADS)),
              "## The servers", servers_table(results), SERVERS_NOTE,
              "## Environment", environment_table(results["environment"]), commands(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


SERVERS_NOTE = """The peers' configuration files are [`bench/peers/`](../../../bench/peers), with the reason for every
setting; `$FOLDER` is the run's temporary folder."""


def headline(samples):
    lines = []
    for bar in files_figures.bars(samples):
        value = f"{number(bar.value, 3)} x {BASE} " if bar.value else ""
        lines.append(f"- {bar.name}: {value}(wanted: {bar.wanted}): **{bar.verdict}**.")
    return "\n".join(lines)


def left_out(results):
    """What is missing from the comparison is said before its figures."""
    return "\n".join(f"- **Left out:** {note}." for note in results["left_out"])


def pictures(drawn):
    """Each chart in the reader's colours."""
    return [f"<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\">"
            f"<img alt=\"{words}\" src=\"{name}.svg\"></picture>"
            for name, words in PICTURES.items() if name in drawn]


def opened(samples, work):
    """Those that wrk really opened."""
    found = select(samples, phase=work.name)
    return found[0]["opened"] if found else work.connections


def work_table(samples, work):
    rows = []
    for server in SERVERS:
        def cell(name, digits=0, scale=1.0, server=server):
            value = files_figures.middle(samples, name, server, work)
            return number(value.median * scale if value else None, digits)
        cpu = files_figures.relative(samples, "cpu_us", server, work)
        rate = files_figures.relative(samples, "answers_per_s", server, work)
        rows.append([server, cell("answers_per_s", 1 if files_figures.by_bytes(work) else 0),
                     number(rate, 2), cell("gib_per_s", 2), cell("cpu_us", 2), cell("user_us", 2),
                     *spread_cells(cpu), cell("cpu_ms_per_gib"), cell("p50", 2, 1e-3), cell("p99", 2, 1e-3),
                     cell("rss_peak_kib", 1, 1 / 1024), cell("pss_kib", 1, 1 / 1024)])
    return table(["server", "requests/s", f"x {BASE}", "GiB/s", "CPU µs/request", "of it user µs", f"CPU x {BASE}",
                  "lowest - highest", "CPU ms/GiB", "p50 ms", "p99 ms", "peak memory MiB", "proportional MiB"], rows)


def servers_table(results):
    rows = []
    for server, command in results["commands"].items():
        version = results["versions"].get(server, {})
        words = [version.get("said") or "", f"package {version['package']}" if version.get("package") else ""]
        sent = results["sent"].get(server, {})
        rows.append([server, ", ".join(filter(None, words)) or "this commit", f"`{shlex.join(command)}`",
                     f"{sent['bytes']:,}" if sent else NOT_MEASURED, str(sent.get("own_copies", ""))])
    return table(["server", "version", "command", "bytes of all answers", "own compressed copies among them"],
                 rows)


def commands(results):
    """wrk's command lines as they were run in the repository's root, against nginx's port."""
    settings = results["settings"]
    port = settings["port"] + SERVERS.index(BASE)
    lines = [results["invocation"]]
    for work in WORKLOADS:
        run = FileRun(work.name, BASE, work.connections, 1, settings["duration"], 1, work)
        lines.append(shlex.join(run.command(port, settings["wrk_threads"])))
    return ("Command lines, run in the repository's root (each run's own one is the first line of its "
            "file in `raw/`):\n\n```sh\n" + "\n".join(lines) + "\n```")
