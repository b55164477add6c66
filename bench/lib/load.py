"""One run of wrk: its command line, and what its output says."""
import re

# The requests of the article's benchmark, header for header.
HEADERS = ("Host: 127.0.0.1:{port}", "Accept-Language: en-US,en;q=0.5", "Connection: keep-alive")
SCRIPTS = {1: "bench/latency.lua", 16: "bench/pipeline.lua"}
PERCENTILES = ("50", "75", "90", "99", "99.9")

TIME_UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
METRIC_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
BINARY_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
NO_ERRORS = {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}


def command(port, connections, threads, seconds, depth):
    """wrk's arguments for the article's request, for a run in the repository's root."""
    headers = [header.format(port=port) for header in HEADERS]
    return command_line(connections, threads, seconds, SCRIPTS[depth], headers) + [
        f"http://127.0.0.1:{port}/"]


def command_line(connections, threads, seconds, script, headers):
    """wrk's arguments up to the address."""
    duration = f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
    arguments = ["wrk", f"-t{wrk_threads(connections, threads)}", f"-c{connections}",
                 f"-d{duration}", "--latency", "-s", script]
    for header in headers:
        arguments += ["-H", header]
    return arguments


def wrk_threads(connections, threads):
    """wrk refuses more threads than connections."""
    return min(threads, connections)


def opened(connections, threads):
    """The connections that wrk opens: the same whole number in each of its threads."""
    each = wrk_threads(connections, threads)
    return connections // each * each


def unit_number(text, units):
    """'1.05k' -> 1050.0 with the given units; ValueError for anything else."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text.strip())
    if not match or match.group(2) not in units:
        raise ValueError(f"not a number that wrk writes: {text!r}")
    return round(float(match.group(1)) * units[match.group(2)], 3)


def time_us(text):
    return unit_number(text, TIME_UNITS_US)


def metric(text):
    return unit_number(text, METRIC_UNITS)


def binary_bytes(text):
    return unit_number(text.removesuffix("B"), BINARY_UNITS)


def parse_errors(text):
    errors = dict(NO_ERRORS)
    match = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    if match:
        errors.update(zip(("connect", "read", "write", "timeout"), map(int, match.groups())))
    match = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if match:
        errors["status"] = int(match.group(1))
    return errors


def parse_printed_latency(text):
    """wrk's own percentiles, in us: kept for comparison, see bench/latency.lua."""
    found = re.findall(r"^\s+(\d+(?:\.\d+)?)%\s+(\S+)$", text, re.M)
    return {percent: time_us(value) for percent, value in found} or None


def parse_measured_latency(text):
    """The line that bench/latency.lua adds, in us; None without it."""
    match = re.search(r"^Measured latency \(us\): (.*); samples (\d+), invented by wrk (\d+)$",
                      text, re.M)
    if not match:
        return None
    words = match.group(1).split()
    latency = {name.removeprefix("p"): int(us) for name, us in zip(words[::2], words[1::2])}
    return latency | {"samples": int(match.group(2)), "invented": int(match.group(3))}


def parse(text):
    """Everything that wrk's output says. ValueError when it is no complete output of wrk."""
    total = re.search(r"^\s+(\d+) requests in (\S+), (\S+) read$", text, re.M)
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)$", text, re.M)
    if not total or not rate:
        raise ValueError("no complete output of wrk")
    requests, per_second = int(total.group(1)), float(rate.group(1))
    # wrk rounds the time it prints, and its rate far less: the quotient is the time it measured.
    seconds = requests / per_second if per_second > 0 else time_us(total.group(2)) / 1e6
    return {"requests": requests, "requests_per_s": per_second, "seconds": round(seconds, 6),
            "bytes_read": parse_bytes(text) or binary_bytes(total.group(3)),
            "errors": parse_errors(text),
            "latency_us": parse_measured_latency(text),
            "wrk_latency_us": parse_printed_latency(text),
            "per_thread_rate": parse_thread_rate(text)}


def parse_bytes(text):
    """The line that bench/latency.lua adds; None without it. wrk's own figure has three digits."""
    match = re.search(r"^Bytes read: (\d+)$", text, re.M)
    return int(match.group(1)) if match else None


def parse_thread_rate(text):
    """Mean requests/s of one of wrk's threads."""
    match = re.search(r"^\s+Req/Sec\s+(\S+)", text, re.M)
    return metric(match.group(1)) if match else None


def parse_or_none(text):
    try:
        return parse(text)
    except ValueError:
        return None


def error_words(errors):
    """'3 timeout, 1 status' or ''."""
    return ", ".join(f"{count} {kind}" for kind, count in errors.items() if count)
