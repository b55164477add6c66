"""The servers of bench/compare: models, peers and limit, and the service that handlers ask."""
import http.client
import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib import compare_plan, machine, peers
from lib.compare_plan import LIMIT, POOLED, SHORT_LIVED
from lib.compare_process import Program, Unreached
from lib.machine import ROOT, Failure

MODELS = "build/release/bench/models"
SERVICE = "build/release/bench/service"
GO_SOURCE, GO_MODEL = "bench/models/goroutine.go", "goroutine"
PAGE = '<!doctype html><html lang="en"><title>coreactor</title><p>One reactor per core.</p>'
PATIENCE_S = 5  # for an answer before anything is measured


@dataclass(frozen=True)
class Peer:
    """A server of others: Debian's package, its file in bench/peers, and the words behind its program and before it
    ({folder}, {config}, {workers})."""
    package: str
    template: str
    arguments: tuple
    version: tuple
    environment: tuple = ()


PEERS = {
    "nginx": Peer("nginx-light", "nginx-page.conf", ("-p", "{folder}", "-e", "stderr", "-c", "{config}"), ("-v",)),
    "h2o": Peer("h2o", "h2o-page.conf", ("-c", "{config}"), ("-v",)),
    "lighttpd": Peer("lighttpd", "lighttpd-page.conf", ("-D", "-f", "{config}"), ("-v",)),
    "haproxy": Peer("haproxy", "haproxy.cfg", ("-db", "-q", "-f", "{config}"), ("-v",)),
    "apache2": Peer("apache2", "apache2.conf", ("-DFOREGROUND", "-f", "{config}"), ("-v",)),
    "caddy": Peer("caddy", "Caddyfile", ("run", "--adapter", "caddyfile", "--config", "{config}"), ("version",),
                  ("env", "GOMAXPROCS={workers}", "HOME={folder}"))}


def model_program(name):
    return f"{MODELS}/{GO_MODEL if name == 'go' else name}"


def without_missing(names):
    """The servers that can be compared, and a note for each that cannot."""
    notes = []
    for name in names:
        if name in PEERS and machine.program(name) is None:
            notes.append(f"{name} is not installed (Debian's package {PEERS[name].package}; scripts/install-deps "
                         "--bench-peers): it was left out")
        elif name not in PEERS and name != LIMIT and not os.access(ROOT / model_program(name), os.X_OK):
            notes.append(f"{name} was not built: it was left out")
    return [name for name in names if not any(note.startswith(f"{name} ") for note in notes)], notes


def require(names):
    """Failure unless all servers of a run that goes on are there still."""
    present, _ = without_missing(names)
    gone = [name for name in names if name not in present]
    if gone:
        raise Failure(f"this was measured with {', '.join(gone)}, which is not to be had any more")


def build_go():
    """Go's model, when there is a compiler for it."""
    if machine.program("go") is None:
        return
    done = subprocess.run(["go", "build", "-o", f"{MODELS}/{GO_MODEL}", GO_SOURCE], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Failure(f"go build failed: {done.stdout.strip()}")


def write_page(folder):
    """The page for those that answer with a file. Apache's workers, which are not root, read it too."""
    folder.chmod(0o755)
    pages = folder / "pages"
    pages.mkdir()
    (pages / "fast").write_text(PAGE, encoding="ascii")
    return pages


def owner(name):
    """As whom a server runs that is started by root: Apache refuses to be root."""
    if name == "apache2":
        return "nobody", "nogroup"
    return peers.user_and_group()


def hard_limit():
    """Of descriptors in a process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def peer_command(name, port, settings, folder, pages):
    """Writes the configuration file of a peer and returns its command."""
    user, group = owner(name)
    room = max(settings.connections) + 100
    values = {"PORT": port, "WORKERS": settings.threads, "SCRATCH": folder, "PAGES": pages, "PAGE": PAGE, "USER": user,
              "GROUP": group, "CONNECTIONS": room, "DESCRIPTORS": min(2 * room + 200, hard_limit())}
    peer = PEERS[name]
    template = peers.for_whom((peers.TEMPLATES / peer.template).read_text(encoding="utf-8"), os.geteuid() == 0)
    config = folder / f"{name}.conf"
    config.write_text(peers.fill(template, values), encoding="utf-8")
    words = (*peer.environment, machine.program(name), *peer.arguments)
    return [word.format(folder=folder, config=config, workers=settings.threads) for word in words]


def model_command(name, port, settings):
    """A bound of processes or threads is for those that have them. In the others --pool would bound the requests that
    wait for the service, where `thread` has no bound: their default, 1,000 a loop, is enough for 100,000 a second."""
    pool = ["--pool", str(settings.pool)] if name in (*SHORT_LIVED, *POOLED) else []
    return [model_program(name), "--port", str(port), "--threads", str(settings.threads), *pool,
            "--service-port", str(settings.port)]


def catalogue(settings, folder):
    """The servers by key: name, command and port. The service has the first port; each server has its own, so that
    what waits in the kernel for a connection's end is in nobody's way."""
    pages, found = write_page(folder), {}
    for number, name in enumerate((*compare_plan.TITLES, *compare_plan.PEERS, LIMIT), 1):
        if name not in settings.servers():
            continue
        port = settings.port + number
        if name == LIMIT:
            command = [machine.LIMIT, "-p", str(port), "-t", str(settings.threads)]
        elif name in PEERS:
            command = peer_command(name, port, settings, folder, pages)
        else:
            command = model_command(name, port, settings)
        found[name] = (name, command, port)
    return found


def service(settings):
    return "service", [SERVICE, "--port", str(settings.port)], settings.port


def configurations(names):
    """The file of bench/peers that each peer's configuration is made from."""
    return {name: PEERS[name].template for name in names if name in PEERS}


def versions(names):
    """What each peer says of itself, and the version of its Debian package."""
    found = {}
    for name in names:
        if name in PEERS:
            peer = PEERS[name]
            said = machine.first_line(machine.output_of(machine.program(name), *peer.version))
            found[name] = {"said": said, "package": machine.output_of("dpkg-query", "-W", "-f", "${Version}",
                                                                      peer.package)}
        elif name in ("go", GO_MODEL):
            found[name] = {"said": machine.first_line(machine.output_of("go", "version")), "package": None}
    return found


def wrong_in(path, status, body):
    """What is wrong with an answer, or None."""
    if status != 200:
        return f"status {status}"
    if path == "/fast" and len(body) != len(PAGE):
        return f"{len(body)} bytes, the page has {len(PAGE)}"
    return None if body else "no body"


def ask(port, path):
    """Status and body. Unreached when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreached(f"{path} is not answered: {error!r}") from error
    finally:
        connection.close()


def refusal(entry, paths):
    """Starts a server, asks for every path once and ends it. Why it cannot be compared, or None."""
    program = Program(*entry)
    try:
        program.start()
        for path in paths:
            wrong = wrong_in(path, *ask(program.port, path))
            if wrong:
                return f"{path} is answered wrongly: {wrong}"
        return None
    except Unreached as reason:
        return str(reason)
    finally:
        program.stop()


def check(settings, servers):
    """A line for each server that does not answer as the others do; all of them are started once."""
    notes = {}
    for name, entry in servers.items():
        paths = ["/fast", "/wait", "/work"] if name in settings.models else ["/fast"]
        reason = refusal(entry, paths)
        if reason:
            notes[name] = f"{name}: {reason}: it was left out"
    return notes


def shown_commands(servers, folder):
    """The commands without where this run kept its files."""
    return {key: [word.replace(str(Path(folder)), "$FOLDER") if number else Path(word).name if word[0] == "/" else word
                  for number, word in enumerate(command)] for key, (_, command, _) in servers.items()}
