"""What one run of bench/compare cost, from what the server used and what the generator said: pure functions."""
import statistics

from lib import load
from lib.compare_plan import FAILED_AT_MOST, PACED_CONNECTIONS, SHORT_LIVED, UNSENT_AT_MOST, kind

TICK_S = 0.004   # of the kernel's clock, where it is no faster
TOLD_FROM = 4    # ticks of each process: then 98 of 100 have seen one
USED = ("user_s", "system_s", "minor_faults", "major_faults", "voluntary", "involuntary")
NO_FIGURES = dict.fromkeys(("rate", "share", "command", "raw", "seconds", "requests", "requests_per_s", "latency_us",
                            "failed", *USED, "cpu_us", "user_us", "system_us", "switches", "faults", "rss_peak_kib",
                            "rss_kib", "pss_kib", "kernel_kib", "generator_cpu_s", "service_cpu_s", "others_cpu_s",
                            "steal_s", "wall_s", "processes", "threads", "held", "unreached")) | {"errors": {}}


def blank(run):
    """A sample without figures."""
    return NO_FIGURES | {"phase": run.phase, "server": run.server, "kind": kind(run.server), "workload": run.workload,
                         "connections": run.connections, "opened": run.connections, "round": run.round,
                         "share": run.share}


def cpu_of(used):
    """User and system seconds together: the scheduler counts them exactly, and only their parts by clock ticks."""
    return used.get("user_s", 0) + used.get("system_s", 0)


def baseline(samples, server):
    """What a server uses without load: the medians of its runs of the phase start."""
    own = [sample for sample in samples if (sample["phase"], sample["server"]) == ("start", server)
           and sample["user_s"] is not None]
    found = {name: statistics.median(sample[name] for sample in own) if own else 0 for name in USED[2:]}
    return {**found, "cpu_s": statistics.median(map(cpu_of, own)) if own else 0}


def above(used, base):
    """What the load cost, not below 0. A start is too short for clock ticks to say whose time it took, so it is taken from
    both parts alike: their sum stays right."""
    total = cpu_of(used)
    left = max(0, total - base["cpu_s"]) / total if total else 0
    counts = {name: round(max(0, used.get(name, 0) - base[name]), 6) for name in USED[2:]}
    return {**{name: round(used.get(name, 0) * left, 6) for name in USED[:2]}, **counts}


def told_apart(used, lived):
    """Whether user and system time are known, of so many processes: the kernel takes all time of one that no tick has met
    for user time."""
    return bool(lived) and cpu_of(used) >= TOLD_FROM * TICK_S * lived


def per_request(used, requests, lived=1):
    """Of a load with so many answers, by so many processes. User and system time are None when they are not told apart."""
    if not requests:
        return {}
    apart = told_apart(used, lived)
    user_us, system_us = (used[name] / requests * 1e6 if apart else None for name in USED[:2])
    return {"cpu_us": cpu_of(used) / requests * 1e6, "user_us": user_us, "system_us": system_us,
            "switches": (used["voluntary"] + used["involuntary"]) / requests,
            "faults": (used["minor_faults"] + used["major_faults"]) / requests}


def lived(sample):
    """How many processes had a part in a load, or None when they were not counted."""
    return sample["requests"] if sample["server"] in SHORT_LIVED else sample.get("processes")


def failed(errors):
    return sum(errors.values())


def error_words(errors):
    """'30 connect, 22 time-outs'."""
    return load.error_words(errors).replace("timeout", "time-outs")


def unreached(said, seconds):
    """Why a load that came to its end did not reach its point, or None."""
    errors, requests = said["errors"], said["requests"]
    lost = failed(errors)
    if not requests:
        return f"nothing was answered in {seconds} s" + (f": {error_words(errors)}" if lost else "")
    unsent = errors.get("unsent", 0)
    if lost - unsent > FAILED_AT_MOST * (requests + lost):
        return f"{100 * lost / (requests + lost):.0f} % of the requests failed: {error_words(errors)}"
    if unsent > UNSENT_AT_MOST * (requests + lost):
        return f"the rate was not kept: {unsent} requests were due and never sent, {requests} were answered"
    return None


def not_held(asked, held, ended):
    """Why fewer connections than asked for are held, or None."""
    if held >= asked:
        return None
    ways = [(ended, "the server ended"), (asked - held - ended, "it never answered on")]
    said = ", ".join(f"{way} {count}" for count, way in ways if count > 0)
    return f"{held} of {asked} connections stayed open: {said}"


def capacity(samples, server, workload):
    """Requests/s of a server in the closed loop, or None when it did not come to that point."""
    own = [sample["requests_per_s"] for sample in samples
           if (sample["phase"], sample["server"], sample["workload"], sample["connections"]) ==
           ("closed", server, workload, PACED_CONNECTIONS) and not sample["unreached"]]
    return statistics.median(own) if own else None


def rate(samples, run):
    """What a paced run asks for, in whole requests/s; None without a capacity."""
    found = capacity(samples, run.server, run.workload)
    return max(1, round(found * run.share)) if found else None
