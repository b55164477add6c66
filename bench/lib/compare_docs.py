"""The figures in docs/models.md and README.md: blocks between two comments, made from a stored run of bench/compare and
never written by hand."""
import os
import re

from lib import compare_figures, compare_tables
from lib.compare_figures import NAMES, USUAL, closed
from lib.compare_tables import MANY, NOT_REACHED, TITLES, cell
from lib.figures import NOT_MEASURED
from lib.machine import ROOT, Failure
from lib.tables import table

MODELS_PAGE, FRONT_PAGE = "docs/models.md", "README.md"
FIGURES = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
COMPARE = re.compile(r"(<!-- compare -->\n).*?(<!-- /compare -->)", re.DOTALL)
SHOWN = ("fast", "wait", "work")  # workloads
COLUMNS = (("requests_per_s", "requests/s", 0, 1), ("p99", "p99 ms", 2, 1e-3), ("cpu_us", "CPU µs/request", 2, 1),
           ("user_us", "user", 2, 1), ("system_us", "system", 2, 1), ("switches", "switches/request", 3, 1), ("faults", "faults/request", 3, 1))


def source(results, folder, page, root):
    """Which run the figures are from, with a link to its report as the page has to write it."""
    report = os.path.relpath(folder / "report.md", (root / page).parent)
    environment = results["environment"]
    commit = (environment.get("commit") or "unknown")[:12]
    words = (f"From the run of {results['started'][:10]} on {environment['host']}, {environment['cpus_allowed']} CPUs, "
             f"commit {commit}: [the report]({report}).")
    if results["settings"].get("quick"):
        words += " **A quick run: it proves nothing.**"
    return words if results.get("complete") else words + " **It did not come to its end.**"


def model_table(samples, model):
    rows = []
    for workload in SHOWN:
        for connections in (USUAL, MANY):
            wanted = closed(workload, connections)
            rows.append([f"{TITLES[workload]}, {connections:,} connections",
                         *(cell(samples, name, model, digits, scale, **wanted) for name, _, digits, scale in COLUMNS)])
    return table(["closed loop", *(title for _, title, _, _ in COLUMNS)], rows)


def memory_line(samples, model):
    own, kernel = compare_tables.memory_cells(samples, model)
    if own in (NOT_MEASURED, NOT_REACHED):
        return f"Memory per idle connection: {own}."
    if "process" in own:
        return (f"Memory: {own.replace(' a process', ' KiB a process')} under load, the kernel's apart; no connection stays open "
                "when its request is answered.")
    if "worker" in own:
        return (f"Memory: {own.replace(' a worker', ' KiB a worker')}, the kernel's included, however many connections there "
                "are.")
    found = compare_figures.memory(samples, model)
    return (f"Memory per idle connection: {own} KiB of its own and {kernel} KiB of the kernel's "
            f"(growth between {found.fewest:,} and {found.most:,} connections).").replace(f"{NOT_MEASURED} KiB", NOT_MEASURED)


def missed_lines(samples, model):
    """What the model did not reach, a line for each kind of load."""
    lines = []
    for (server, phase, workload, connections, share), (without, rounds, reasons) in compare_figures.missed(samples).items():
        if server == model:
            often = "" if without == rounds else f" in {without} of {rounds} runs"
            load = compare_tables.load_words(phase, workload, share)
            lines.append(f"- Not reached{often} with {connections or 0:,} connections ({load}): {reasons[0]}.")
    return lines


def model_block(samples, model):
    lines = [memory_line(samples, model), model_table(samples, model)]
    return "\n\n".join([*lines, *filter(None, ["\n".join(missed_lines(samples, model))])])


def figures_block(samples, name):
    if name == "comparison":
        return compare_tables.main_table(samples)
    if name == "costs":
        return compare_tables.costs_table(samples)
    if name not in NAMES:
        raise Failure(f"{MODELS_PAGE}: there are no figures of {name}")
    return model_block(samples, name)


def filled(results, folder, root=ROOT):
    """Page -> its text with the blocks of this run."""
    samples = compare_figures.whole(results)["samples"]
    said = {page: source(results, folder, page, root) for page in (MODELS_PAGE, FRONT_PAGE)}
    texts = {page: (root / page).read_text(encoding="utf-8") for page in said}
    texts[MODELS_PAGE], blocks = FIGURES.subn(
        lambda found: f"{found[1]}{figures_block(samples, found[2])}\n\n{said[MODELS_PAGE]}\n{found[3]}", texts[MODELS_PAGE])
    texts[FRONT_PAGE], tables = COMPARE.subn(
        lambda found: f"{found[1]}{compare_tables.main_table(samples)}\n\n{said[FRONT_PAGE]}\n{found[2]}", texts[FRONT_PAGE])
    if not blocks or not tables:
        raise Failure(f"{MODELS_PAGE} or {FRONT_PAGE} has no block for figures")
    return texts


def write(results, folder, root=ROOT):
    """Puts this run's figures, which are stored in the folder, into the pages."""
    for page, text in filled(results, folder, root).items():
        (root / page).write_text(text, encoding="utf-8")


def check(results, folder, root=ROOT):
    """The pages that do not say what this run says."""
    return [page for page, text in filled(results, folder, root).items()
            if (root / page).read_text(encoding="utf-8") != text]
