"""What the benchmark's programs share at the command line."""
import argparse
import datetime
import json
import os
import platform
import shlex
import signal
import sys
from pathlib import Path

from lib import machine, runner


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def add_common(parser, default_output, threads=None):
    """The options that every program has; `threads` is the default of that one when it is not the allowed CPUs."""
    add = parser.add_argument
    add("--threads", type=positive, default=threads or machine.allowed_cpus(), metavar="N",
        help=f"threads of a multithreaded server (default: {threads or f'the allowed CPUs, {machine.allowed_cpus()}'})")
    add("--output", type=Path, metavar="DIR", help=f"(default {default_output})")
    add("--host", default=platform.node(), metavar="NAME",
        help="what the report calls this machine (default %(default)s)")
    add("--quick", action="store_true", help="every step in under a minute; proves nothing")
    add("--no-build", action="store_true", help="use build/release as it is")
    add("--report-only", type=Path, metavar="DIR",
        help="write report and charts again from DIR/results.json")


def results_folder(options, *below):
    """Where the results go. Never over those of another run."""
    today = datetime.date.today().isoformat()
    folder = options.output or machine.ROOT.joinpath("results", f"{today}-{options.host}", *below)
    if (folder / "results.json").exists():
        raise machine.Failure(f"{folder} already holds a run: choose another --output")
    return folder


def invocation(program, options):
    """Our command line without where this machine keeps its files."""
    words = sys.argv[1:]
    if options.output is not None:
        words = [word.replace(str(options.output), options.output.name) for word in words]
    return shlex.join([f"bench/{program}", *words])


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def new_results(program, options, settings, commands):
    """results.json before the first sample."""
    return {"format": 1, "complete": False, "started": now(), "finished": None,
            "invocation": invocation(program, options), "settings": settings,
            "environment": machine.facts(options.host), "commands": commands, "notes": [],
            "samples": []}


def carry_out(one_runner, groups):
    """Runs a plan to its end and marks the results as complete."""
    one_runner.carry_out(groups)
    one_runner.results.update(complete=True, finished=now())
    one_runner.save()


def stored_results(folder, program):
    """What that program has written there, all of it or of a run that was interrupted."""
    machine.require_tools("gnuplot")
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise machine.Failure(f"{folder}/results.json cannot be read: {error}") from error
    written_by = results.get("invocation") if isinstance(results, dict) else None
    if (written_by or "").split(" ")[0] != f"bench/{program}":
        raise machine.Failure(f"{folder}/results.json is not from bench/{program}")
    return results


def save_report(text, folder):
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(f"report: {os.path.relpath(folder / 'report.md')}")


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def prepare_signals():
    """What is ignored stays so, as for nohup; but children that nobody can wait for cannot be measured."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in runner.END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)


def exit_status(program, action):
    """Carries the action out; failures, interruptions and what the system refuses are one line on stderr."""
    prepare_signals()
    try:
        action()
    except (machine.Failure, OSError) as failure:
        print(f"{program}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        return 130
    return 0
