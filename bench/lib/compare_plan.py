"""What bench/compare puts side by side, in which order: servers, workloads, points, runs."""
from dataclasses import dataclass

CONNECTIONS = (1, 10, 100, 1000, 10000)
WAIT_MS, WORK_MS = 10, 1


@dataclass(frozen=True)
class Model:
    """A program of bench/models: the same requests, handlers and answers under another model."""
    name: str     # of the program, too
    title: str    # in tables
    unit: str     # what a connection or request costs one of: process, thread, coroutine, event loop
    cores: bool   # whether it uses more than one


MODELS = (
    Model("cgi", "a process a request", "process", True),
    Model("prefork", "a pool of processes", "process", True),
    Model("thread", "a thread a connection", "thread", True),
    Model("pool", "a pool of threads", "thread", True),
    Model("select", "one select loop", "event loop", False),
    Model("poll", "one poll loop", "event loop", False),
    Model("article", "the article's reactors", "event loop", True),
    Model("reactor-one", "one reactor", "event loop", False),
    Model("reactor-per-core", "a reactor a core: coreactor", "event loop", True),
    Model("reactor-processes", "a reactor a process", "event loop", True),
    Model("coroutine", "a coroutine a connection", "coroutine", True),
    Model("proactor", "completions: io_uring", "event loop", True),
    Model("goroutine", "a goroutine a connection: Go's net/http", "coroutine", True))

# Servers of others, with the constant page only. "go" is the goroutine model under the name of its peer.
PEERS = ("nginx", "h2o", "lighttpd", "haproxy", "apache2", "caddy", "go")
LIMIT = "limit"

# Paths of one workload, in the order in which the generators ask for them, again and again.
MIX = ("/fast",) * 18 + ("/wait", "/work")
WORKLOADS = {"fast": ("/fast",), "wait": ("/wait",), "work": ("/work",), "mix": MIX}
