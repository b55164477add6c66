"""What bench/files loads, in which order, and what each load asks for."""
from dataclasses import dataclass

from lib import load, plan, site

SERVERS = ("coreactor", "nginx", "h2o", "lighttpd")
BASE = "nginx"  # what every ratio is taken against
# Four orders in which each server is first once and comes right after each other one once.
ORDERS = (("coreactor", "nginx", "lighttpd", "h2o"), ("nginx", "h2o", "coreactor", "lighttpd"),
          ("h2o", "lighttpd", "nginx", "coreactor"), ("lighttpd", "coreactor", "h2o", "nginx"))

# From this size on a run may end with a noticeable share of an answer under way: see FileRun.answers().
BY_BYTES = 1 << 20

# What a browser sends for an asset of a page, but for its Accept-Encoding: gzip is the one coding that
# all four servers can send from a file without further modules.
BROWSER = ("Host: 127.0.0.1:{port}",
           "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
           "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
           "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip",
           "Referer: http://127.0.0.1:{port}/", "Connection: keep-alive",
           "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin")


@dataclass(frozen=True)
class Workload:
    """A load and its bar, as a ratio to nginx."""
    name: str
    title: str
    connections: int
    size: int = None        # of the one file; None for the site
    cpu_at_most: float = None
    rate_at_least: float = None

    def file(self):
        return f"{self.name}.txt" if self.size else None


WORKLOADS = (Workload("1KiB", "1 KiB", 100, 1 << 10, cpu_at_most=0.55),
             Workload("64KiB", "64 KiB", 100, 64 << 10, cpu_at_most=0.75),
             Workload("1MiB", "1 MiB", 32, 1 << 20, cpu_at_most=1.0),
             Workload("100MiB", "100 MiB", 4, 100 << 20, cpu_at_most=1.0),
             Workload("site", "site of 20 assets", 100, rate_at_least=1.3))


@dataclass
class Settings:
    """The command line of bench/files."""
    duration: int
    rounds: int
    threads: int
    wrk_threads: int
    port: int
    servers: list
    quick: bool


@dataclass
class FileRun(plan.Run):
    workload: Workload = None

    def command(self, port, wrk_threads):
        size = self.workload.size
        headers = load.HEADERS if size else BROWSER
        line = load.command_line(self.connections, wrk_threads, self.seconds,
                                 load.SCRIPTS[1] if size else "bench/site.lua",
                                 [header.format(port=port) for header in headers])
        if size and size >= BY_BYTES:
            line += ["--timeout", "10s"]  # no single answer is given up, and its latency is kept
        address = f"http://127.0.0.1:{port}/"
        return line + ([address + self.workload.file()] if size else [address, "--", *site.paths()])

    def answers(self, said):
        """wrk counts whole answers. With large ones, those that its end cuts off have cost their share
        of CPU time too: then it is the bytes that were read that count."""
        size = self.workload.size
        return said["bytes_read"] / size if size and size >= BY_BYTES else said["requests"]


def order(number, servers):
    return [server for server in ORDERS[number % len(ORDERS)] if server in servers]


def everything(settings):
    """Every round has new processes, and every load all servers in turn."""
    groups = []
    for number in range(settings.rounds):
        turn = order(number, settings.servers)
        runs = [FileRun(work.name, server, work.connections, 1, settings.duration, number + 1, work)
                for work in WORKLOADS for server in turn]
        groups.append(plan.Group(tuple(turn), runs))
    return groups


def plain_files():
    return [(work.file(), work.size) for work in WORKLOADS if work.size]


def expected(root):
    """Everything that the loads ask for."""
    return [site.Answer(f"/{name}", f"{root}/{name}") for name, _ in plain_files()] + site.answers(root)
