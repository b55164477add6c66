"""Which settings a run of bench/compare has: its options, the defaults, and those of a run that goes on."""
import dataclasses

from lib import compare_plan, machine
from lib.compare_plan import Settings

FULL = {"duration": 2, "rounds": 3, "connections": list(compare_plan.CONNECTIONS), "pool": 64, "port": 18500,
        "threads": machine.allowed_cpus(), "wrk_threads": machine.allowed_cpus(), "limit": True,
        "models": list(compare_plan.TITLES), "peers": list(compare_plan.PEERS)}
QUICK = FULL | {"duration": 1, "rounds": 1, "connections": list(compare_plan.QUICK_CONNECTIONS)}


def chosen(options, defaults):
    """What was asked for, and the defaults for the rest."""
    asked = {field.name: getattr(options, field.name) for field in dataclasses.fields(Settings)}
    return Settings(**{name: defaults[name] if value is None else value for name, value in asked.items()})


def new(options):
    return chosen(options, QUICK if options.quick else FULL)


def keep(settings, names):
    """Without the servers that are not named."""
    return dataclasses.replace(settings, models=[name for name in settings.models if name in names],
                               peers=[name for name in settings.peers if name in names],
                               limit=settings.limit and compare_plan.LIMIT in names)


def not_asked_for(settings):
    return [f"{name} was not asked for" for name in FULL["models"] + FULL["peers"] if name not in settings.servers()]


def stored(options, results, commit):
    """Those of an interrupted run. Failure when it was measured with others, or at another commit."""
    if results["complete"]:
        raise machine.Failure(f"{options.resume} came to its end: nothing is left to do")
    before = results["settings"]
    options.quick = options.quick or before["quick"]
    asked = dataclasses.asdict(chosen(options, before))
    other = [f"--{name.replace('_', '-')}" for name in asked if asked[name] != before[name]]
    if other:
        raise machine.Failure(f"{options.resume} was measured with another {', '.join(other)}")
    for name, value in commit.items():
        was = results["environment"].get(name)
        if was != value:
            raise machine.Failure(f"{options.resume} was measured with other sources: {name} was {was} and is {value}")
    return Settings(**before)
