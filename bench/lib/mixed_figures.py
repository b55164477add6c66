"""The ratios and bars of bench/mixed, pure functions of its samples."""
from lib import figures
from lib.mixed_plan import NONE, SCENARIOS, TOOLS

P99_BAR = 1.5  # at most: p99 of the fast requests, with slow ones beside / with none
TOOL_TITLES = {"wrk": "closed loop", "pace": "constant rate"}


def relative(samples, name, scenario, tool):
    """The scenario / nothing beside, round by round, of one server and tool."""
    own = figures.select(samples, server=scenario.server, tool=tool)
    pairs = {}
    for sample in own:
        if sample["phase"] in (scenario.name, NONE):
            pairs.setdefault(sample["round"], {})[sample["phase"]] = figures.value_of(sample, name)
    return figures.spread(pair[scenario.name] / pair[NONE] for _, pair in sorted(pairs.items())
                          if pair.get(scenario.name) is not None and pair.get(NONE))


def middle(samples, name, scenario, tool):
    return figures.middle(samples, name, server=scenario.server, phase=scenario.name, tool=tool)


def bars(samples):
    """Those of the closed loop, on which the question is judged, first."""
    found = []
    for tool in TOOLS:
        for scenario in SCENARIOS:
            if scenario.judged:
                value = relative(samples, "p99", scenario, tool)
                found.append(figures.Bar(f"{TOOL_TITLES[tool]} (`{tool}`): {scenario.title}: p99 of the fast ones",
                                         f"<= {P99_BAR} x nothing beside", value,
                                         figures.verdict_of(value, at_most=P99_BAR)))
    return found


def company(samples, scenario, tool):
    """What ran beside, in each round."""
    return [sample["beside"] for sample in
            figures.select(samples, server=scenario.server, phase=scenario.name, tool=tool) if sample.get("beside")]


def company_middle(samples, name, scenario, tool):
    return figures.spread(figures.value_of(said, name) for said in company(samples, scenario, tool))


def company_errors(samples, scenario, tool):
    return sum(sum(said["errors"].values()) for said in company(samples, scenario, tool))
