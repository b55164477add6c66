"""A strict reader of the text format of Prometheus, version 0.0.4, for what this server sends of it: what the
format leaves open is held to the conventions of its naming."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"'
HELP_LINE = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\[\\n])+)")
TYPE_LINE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram)")
SAMPLE_LINE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")
SUFFIXES = ("_bucket", "_sum", "_count")


class Family:
    def __init__(self, name, kind):
        self.name = name
        self.kind = kind
        self.samples = {}  # (name, labels in alphabetical order) -> value

    def add(self, name, labels, value):
        allowed = {self.name + suffix for suffix in SUFFIXES} if self.kind == "histogram" else {self.name}
        key = name, tuple(sorted(labels))
        if name not in allowed:
            raise ValueError(f"{name} stands in the family {self.name}")
        if key in self.samples:
            raise ValueError(f"{key} comes twice")
        if len({label for label, _ in labels}) != len(labels):
            raise ValueError(f"a label comes twice: {labels}")
        self.samples[key] = value

    def check(self):
        if not self.samples:
            raise ValueError(f"{self.name} has no samples")
        if (self.kind == "counter") != self.name.endswith("_total"):
            raise ValueError(f"{self.name} is a {self.kind}")
        if self.kind == "histogram":
            self._check_histogram()

    def _check_histogram(self):
        buckets = [(dict(labels)["le"], value) for (name, labels), value in self.samples.items()
                   if name.endswith("_bucket")]
        bounds = [float(bound) for bound, _ in buckets]
        counts = [count for _, count in buckets]
        if buckets[-1][0] != "+Inf" or bounds != sorted(set(bounds)) or counts != sorted(counts):
            raise ValueError(f"the buckets of {self.name}: {buckets}")
        if self.samples[self.name + "_count", ()] != counts[-1]:
            raise ValueError(f"{self.name}_count is not that of the last bucket")
        if (self.samples[self.name + "_sum", ()] > 0) > (counts[-1] > 0):
            raise ValueError(f"{self.name}_sum of nothing")


def parse(text):
    """name -> Family; raises ValueError for whatever is not as it has to be."""
    families = {}
    help_of = family = None
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    for line in text[:-1].split("\n"):
        if match := HELP_LINE.fullmatch(line):
            help_of = match[1]
            family = None
            if help_of in families:
                raise ValueError(f"{help_of} comes twice")
        elif match := TYPE_LINE.fullmatch(line):
            if match[1] != help_of or help_of in families:
                raise ValueError(f"out of place: {line!r}")
            family = families[help_of] = Family(*match.groups())
        elif family and (match := SAMPLE_LINE.fullmatch(line)):
            value = float(match[7]) if "." in match[7] else int(match[7])
            family.add(match[1], re.findall(LABEL, match[2] or ""), value)
        else:
            raise ValueError(f"no such line: {line!r}")
    for known in families.values():
        known.check()
    return families


class Scrape:
    """What one scrape says."""

    def __init__(self, text):
        self.families = parse(text)

    def sum(self, name, **labels):
        """Over all samples of a family that have these labels."""
        wanted = set(labels.items())
        found = [value for (_, has), value in self.families[name].samples.items() if wanted <= set(has)]
        if not found:
            raise ValueError(f"no {name} with {labels}")
        return sum(found)

    def by(self, label, name, **labels):
        """The sums for each value of a label, without those that are 0."""
        values = {dict(has)[label] for _, has in self.families[name].samples}
        sums = {value: self.sum(name, **{label: value}, **labels) for value in values}
        return {value: number for value, number in sums.items() if number}

    def count(self, histogram):
        return self.families[histogram].samples[histogram + "_count", ()]

    def counters(self):
        """Everything that must never become less."""
        return {key: value for family in self.families.values() if family.kind != "gauge"
                for key, value in family.samples.items()}
