"""The ratios and bars of bench/files, pure functions of its samples."""
from lib import figures
from lib.files_plan import BASE, BY_BYTES, WORKLOADS

GIB = 1 << 30


def derived(sample, name):
    """A figure by its name, among them other ways to say what a sample holds."""
    if name == "answers_per_s":
        return sample["answers"] / sample["seconds"] if sample["seconds"] else None
    if name == "gib_per_s":
        return sample["bytes_read"] / GIB / sample["seconds"] if sample["seconds"] else None
    if name == "cpu_ms_per_gib":
        return sample["server_cpu_s"] * 1e3 / (sample["bytes_read"] / GIB) if sample["bytes_read"] else None
    return figures.value_of(sample, name)


def relative(samples, name, server, work):
    """server / nginx, round by round."""
    return figures.spread(figures.ratios_between(samples, name, server, BASE, value=derived, phase=work.name))


def bar(samples, work):
    """A workload's bar."""
    if work.cpu_at_most is not None:
        value = relative(samples, "cpu_us", "coreactor", work)
        return figures.Bar(f"{work.title}: CPU per request", f"<= {work.cpu_at_most:.2f} x {BASE}", value,
                           figures.verdict_of(value, at_most=work.cpu_at_most))
    value = relative(samples, "answers_per_s", "coreactor", work)
    return figures.Bar(f"{work.title}: requests/s", f">= {work.rate_at_least:.2f} x {BASE}", value,
                       figures.verdict_of(value, at_least=work.rate_at_least))


def bars(samples):
    return [bar(samples, work) for work in WORKLOADS]


def by_bytes(work):
    return bool(work.size and work.size >= BY_BYTES)


def middle(samples, name, server, work):
    """The spread of one figure of a server over the rounds of a workload, or None."""
    return figures.spread(derived(sample, name) for sample in
                          figures.select(samples, phase=work.name, server=server))
