"""The servers that bench/files compares: their programs, configuration files and versions."""
import grp
import http.client
import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from lib import files_plan, machine, site
from lib.machine import COREACTOR, ROOT, Failure

TEMPLATES = ROOT / "bench/peers"
MIME_TYPES = "/etc/nginx/mime.types"
OWN_COPY = 0.02  # by how much a server's own compressed copy may differ in length from ours


@dataclass(frozen=True)
class Peer:
    name: str
    package: str
    arguments: tuple  # after the program; {folder} and {config}
    version: tuple


PEERS = {peer.name: peer for peer in (
    Peer("nginx", "nginx-light", ("-p", "{folder}", "-e", "stderr", "-c", "{config}"), ("-v",)),
    Peer("h2o", "h2o", ("-c", "{config}"), ("-v",)),
    Peer("lighttpd", "lighttpd", ("-D", "-f", "{config}"), ("-v",)))}


def missing(names):
    return [name for name in names if name in PEERS and machine.program(name) is None]


def without_missing(names):
    """The servers that can be compared, and a note for each that cannot. Their modules and the compressors
    are asked for too, so it is install-deps that says whether all is there."""
    if any(name in PEERS for name in names):
        machine.install("--bench-peers")
    absent = missing(names)
    notes = [f"{name} is not installed (Debian's package {PEERS[name].package}; scripts/install-deps "
             "--bench-peers): it was left out" for name in absent]
    return [name for name in names if name not in absent], notes


def for_whom(template, root):
    """Only root can say as whom a server runs; h2o refuses to start when another one does."""
    lines = template.splitlines(keepends=True)
    return "".join(line for line in lines if root or "@USER@" not in line)


def user_and_group():
    """Ours. In a container they may have no names."""
    user, group = os.geteuid(), os.getegid()
    try:
        return pwd.getpwuid(user).pw_name, grp.getgrgid(group).gr_name
    except KeyError:
        return str(user), str(group)


def fill(template, values):
    """The template with every @NAME@ replaced. One without a value is a mistake in the template."""
    def value(match):
        if match.group(1) not in values:
            raise Failure(f"nothing is known for {match.group(0)} in a file of bench/peers")
        return str(values[match.group(1)])
    return re.sub(r"@([A-Z_]+)@", value, template)


def configure(name, port, workers, folder, root):
    """Writes the server's configuration file and returns its command."""
    user, group = user_and_group()
    values = {"PORT": port, "WORKERS": workers, "ROOT": root, "SCRATCH": folder, "USER": user, "GROUP": group,
              "MIME_TYPES": MIME_TYPES}
    template = (TEMPLATES / f"{name}.conf").read_text(encoding="utf-8")
    config = folder / f"{name}.conf"
    config.write_text(fill(for_whom(template, os.geteuid() == 0), values), encoding="utf-8")
    return [machine.program(name), *(word.format(folder=folder, config=config)
                                     for word in PEERS[name].arguments)]


def catalogue(settings, folder, root):
    """The servers by key: name, command and port."""
    chosen = {}
    for number, name in enumerate(files_plan.SERVERS):
        port = settings.port + number
        if name not in settings.servers:
            continue
        if name == "coreactor":
            command = [COREACTOR, "--root", str(root), "--listen", f"127.0.0.1:{port}",
                       "--threads", str(settings.threads), "--quiet",
                       "--cache-file", "256K"]  # where sendfile begins to cost less: docs/benchmark.md
        else:
            command = configure(name, port, settings.threads, folder, root)
        chosen[name] = (name, command, port)
    return chosen


def shown_commands(servers, folder):
    """The commands without where this run kept its files."""
    return {key: [Path(command[0]).name if command[0].startswith("/") else command[0],
                  *(word.replace(str(folder), "$FOLDER") for word in command[1:])]
            for key, (_, command, _) in servers.items()}


def versions(names):
    """What each peer says of itself, and the Debian package that it comes from."""
    found = {}
    for name in names:
        if name not in PEERS:
            continue
        said = machine.first_line(machine.output_of(machine.program(name), *PEERS[name].version))
        package = machine.output_of("dpkg-query", "-W", "-f", "${Version}", name)
        known = package is not None and re.fullmatch(r"[0-9][\w.+:~-]*", package)
        found[name] = {"said": said, "package": package if known else None}
    return found


def wrong_in(answer, response, expected, decoded):
    """What is wrong with an answer, or None. A server may send its own compressed copy instead of the
    one beside the file, when that is as long and comes to the same."""
    body, coding = response
    if coding != answer.coding:
        return f"Content-Encoding is {coding}, wanted is {answer.coding}"
    if body == expected:
        return None
    if decoded is None or site.gunzip(body) != decoded:
        return f"{len(body)} bytes of body, not those of the file"
    if abs(len(body) - len(expected)) > OWN_COPY * len(expected) + 16:
        return f"its own compressed copy has {len(body)} bytes, ours {len(expected)}"
    return None


def check(server, answers):
    """Failure unless the server sends what every other one sends. The bytes of all bodies, and how many
    of them are not the file's own bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    total, own = 0, 0
    try:
        for answer in answers:
            connection.putrequest("GET", answer.path, skip_accept_encoding=True)
            if answer.accept:
                connection.putheader("Accept-Encoding", answer.accept)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read()
            expected = Path(answer.file).read_bytes()
            decoded = Path(answer.decoded).read_bytes() if answer.decoded else None
            wrong = (f"status {response.status}" if response.status != 200 else wrong_in(
                answer, (body, response.getheader("Content-Encoding")), expected, decoded))
            if wrong:
                raise Failure(f"{server.name} does not send what the others send for {answer.path}: {wrong}")
            total += len(body)
            own += body != expected
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"{server.name} does not answer as it should: {error!r}") from error
    finally:
        connection.close()
    return {"answers": len(answers), "bytes": total, "own_copies": own}
