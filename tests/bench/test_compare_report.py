#!/usr/bin/env python3
"""What bench/compare reckons, reports and writes into the documentation, without a load.

tests/bench/compare.json is made up. With 100 connections and the constant page `thread` does 0.95 of what reactor-per-core
does, with 1,000 0.6, and 10,000 it does not reach; proactor takes 0.9 of our CPU per request in both rounds with 100
connections, and in one of two rounds with more; limit does 1.25 of our requests/s. An idle connection costs thread 20 KiB
and 30 KiB of the kernel's, us 4 and 2. In the second round everyone does half as much.
"""
import copy
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from any_report import HERE, AnyReport, fixture

from lib import (compare_answers, compare_bars, compare_charts, compare_docs, compare_figures, compare_report, compare_tables,
                 figures)
from lib.compare_figures import OURS, closed
from lib.compare_plan import LIMIT, MODELS
from lib.machine import Failure

ROOT = HERE.parent.parent
STORED = "compare.json"
SECTIONS = ("What was asked", "In short", "How it was measured", "How many requests per second: constant page",
            "How many requests per second: waits 10 ms", "How many requests per second: 1 ms of CPU",
            "What a connection takes of the memory", "How long a request takes under a given load: constant page",
            "What a request costs: CPU, µs", "What a request costs: context switches", "What follows",
            "Points that were not reached", "What this machine cannot show", "Errors", "The servers", "Environment")


def samples():
    return compare_figures.whole(fixture(STORED))["samples"]


class Figures(unittest.TestCase):
    def setUp(self):
        self.samples = samples()

    def test_medians_are_of_the_rounds_that_were_reached(self):
        value = compare_figures.middle(self.samples, "requests_per_s", OURS)
        self.assertEqual((value.median, value.low, value.high), (75000, 50000, 100000))
        self.assertIsNone(compare_figures.middle(self.samples, "requests_per_s", "thread", **closed("fast", 10000)))

    def test_ratios_are_taken_within_a_round(self):
        value = compare_figures.relative(self.samples, "requests_per_s", OURS, LIMIT)
        self.assertEqual([round(number, 6) for number in (value.median, value.low, value.high)], [0.8] * 3)

    def test_memory_is_growth_between_the_fewest_and_the_most_connections(self):
        found = compare_figures.memory(self.samples, "thread")
        self.assertEqual((found.fewest, found.most, found.user_kib, found.kernel_kib), (0, 1000, 20, 30))
        self.assertEqual(compare_figures.per_connection(self.samples, OURS), 6)

    def test_a_process_that_is_never_idle_has_its_memory_under_load(self):
        self.assertIsNone(compare_figures.busy_kib([], "cgi"))
        for sample in self.samples:
            sample.update(pss_kib=6400, processes=64)
        self.assertEqual(compare_tables.memory_cells(self.samples, "cgi"), ["100.0 a process", ""])
        self.assertIn("100.0 KiB of memory a process, the kernel's apart", compare_answers.memory_said(self.samples, "cgi"))
        self.assertIn("100.0 KiB a process under load", compare_docs.memory_line(self.samples, "cgi"))

    def test_memory_counts_connections_that_are_held(self):
        for sample in self.samples:
            if sample["phase"] == "idle" and sample["server"] == "thread" and sample["connections"] == 1000:
                sample["held"] = 500
        found = compare_figures.memory(self.samples, "thread")
        self.assertEqual((found.most, found.user_kib, found.kernel_kib), (500, 40, 60))

    def test_one_point_is_no_growth(self):
        self.assertIsNone(compare_figures.memory(self.samples, "prefork"))
        self.assertEqual(compare_figures.worker_kib(self.samples, "prefork").median, 300)  # (6500 + 13000) / 65

    def test_where_threads_are_good_enough(self):
        found = compare_figures.enough(self.samples, "thread", "fast")
        self.assertEqual(list(found), [100, 1000, 10000])
        self.assertEqual([compare_figures.good(said) for said in found.values()], [True, False, False])
        self.assertAlmostEqual(found[1000].median, 0.6)
        self.assertEqual(found[10000], "threads: the system refused more than 8,192")
        self.assertEqual(compare_figures.enough(self.samples, "pool", "fast"), {})

    def test_decided_only_if_several_rounds_agree(self):
        def side(*values):
            return compare_figures.side(figures.spread(values))
        self.assertEqual([side(1.1, 1.2), side(0.8, 0.9), side(0.9, 1.2), side(1.0, 1.2), side(1.2), side()],
                         [1, -1, 0, 0, 0, 0])

    def test_wins_are_all_points_where_every_round_is_better(self):
        found = {(win.server, win.name, win.workload, win.connections) for win in compare_figures.wins(self.samples)}
        self.assertEqual(found, {("proactor", "cpu_us", "fast", 100), ("thread", "p99", "fast", 100)})
        self.assertEqual(compare_figures.leaner(self.samples), [])
        idle = [{**sample, "round": 2} for sample in self.samples if sample["phase"] == "idle"]
        self.assertEqual([server for server, _ in compare_figures.leaner([*self.samples, *idle])], ["proactor", "nginx"])

    def test_the_limit_is_no_rival(self):
        self.assertNotIn(LIMIT, {win.server for win in compare_figures.wins(self.samples)})

    def test_what_others_reached_and_ours_did_not(self):
        for sample in self.samples:
            if sample["server"] == OURS and sample["connections"] == 10000:
                sample["unreached"] = "time-outs"
        self.assertEqual(compare_figures.alone(self.samples),
                         [(server, "fast", 10000) for server in ("coroutine", "proactor", "nginx")])

    def test_points_not_reached_are_grouped(self):
        found = compare_figures.missed(self.samples)
        self.assertEqual(found["thread", "closed", "fast", 10000, None],
                         [2, 2, ["threads: the system refused more than 8,192"]])
        self.assertEqual(len(found), 3)

    def test_shares_of_the_cpu(self):
        sample = {"user_s": 1.0, "system_s": 2.0, "generator_cpu_s": 4.0, "service_cpu_s": 1.0}
        self.assertEqual(compare_figures.used_share(sample, "generator_cpu_s"), 0.5)
        self.assertEqual(compare_figures.used_share(sample, "service_cpu_s"), 0.125)
        self.assertIsNone(compare_figures.used_share({"user_s": 1.0}, "generator_cpu_s"))

    def test_the_loads_of_the_open_loop(self):
        found = compare_figures.paced(self.samples, OURS)
        self.assertEqual([(share, rate, p99.median) for share, rate, p99 in found],
                         [(0.25, 18750, 400), (0.75, 56250, 1500)])


class Answers(unittest.TestCase):
    def setUp(self):
        self.samples = samples()

    def test_a_unit_costs(self):
        text = compare_answers.costs(self.samples)
        self.assertIn("**A thread:** `thread` 50.0 KiB of memory a connection (30.0 of them the kernel's), 14.0 µs of CPU a "
                      "request (11.0 of them the kernel's)", text)
        self.assertIn("**A process:** `prefork` 300.0 KiB of memory a worker, CPU a request not measured; `cgi` 5,120.0 KiB of "
                      "memory a process, the kernel's apart, 1,000.0 µs", text)

    def test_parts_that_are_not_told_apart_are_not_shown(self):
        for sample in self.samples:
            if sample["server"] == "cgi":
                sample["user_us"] = sample["system_us"] = None
        text = compare_answers.costs(self.samples)
        self.assertIn("`cgi` 5,120.0 KiB of memory a process, the kernel's apart, 1,000.0 µs of CPU a request.", text)
        self.assertIn("| 1,000.00 | not told apart | not told apart |", text)
        self.assertEqual(next(values for server, _, values in compare_bars.rows(self.samples, compare_tables.PARTS, "cpu_us")
                              if server == "cgi"), [1000])

    def test_threads(self):
        text = compare_answers.blocking(self.samples)
        self.assertIn("- `thread`, constant page: good enough up to **100** connections (with 100 it does 0.95 (0.95 to "
                      "0.95) x our requests/s; p99 3.00 ms, ours 4.00 ms); not with 1,000 and 10,000.", text)
        self.assertIn("| **0.95 (0.95 - 0.95)** | 0.60 (0.60 - 0.60) | not reached |", text)
        self.assertIn("- `pool`, constant page: not measured.", text)

    def test_a_proactor_that_is_better_at_one_point(self):
        text = compare_answers.proactor(self.samples)
        self.assertIn("takes less CPU per request at 1 of 7 points, `reactor-per-core` at 0; 6 are not decided", text)
        self.assertRegex(text, r"\| constant page, 100 \| 1\.0\d \| 0\.95 - 1\.10 \| not decided \| 0\.90 \| .* "
                               r"\| `proactor` \|")

    def test_the_distance(self):
        text = compare_answers.distance(self.samples)
        self.assertIn("0.80 (0.80 to 0.80) x the requests/s and 1.25 (1.25 to 1.25) x the CPU per request of `limit`", text)
        self.assertIn("- `nginx`: 2.00 (2.00 to 2.00) x its requests/s and 0.50 (0.50 to 0.50) x its CPU per request.", text)

    def test_wins_are_said_plainly(self):
        text = compare_answers.wins(self.samples)
        self.assertIn("- `proactor`, constant page, CPU per request x `reactor-per-core`: 100 connections: 0.90", text)
        self.assertIn("at 1 of 4 points by chance", text)

    def test_less_memory_is_a_win_if_it_is_less_in_every_round(self):
        idle = [{**sample, "round": 2} for sample in self.samples if sample["phase"] == "idle"]
        self.assertNotIn("memory", compare_answers.wins(self.samples))
        self.assertIn("- `nginx`, memory per idle connection x `reactor-per-core`: 0.50 (0.50 to 0.50).",
                      compare_answers.wins([*self.samples, *idle]))
        for sample in idle:
            if sample["server"] == "nginx" and sample["connections"]:
                sample["pss_kib"] *= 10
        self.assertNotIn("`nginx`, memory", compare_answers.wins([*self.samples, *idle]))

    def test_nobody_wins(self):
        own = [sample for sample in self.samples if sample["server"] in (OURS, LIMIT)]
        self.assertIn("none.", compare_answers.wins(own))
        self.assertIn("nothing can be said", compare_answers.wins([]))

    def test_the_open_loop_at_its_lowest_and_highest_rate(self):
        for sample in self.samples:
            if (sample["phase"], sample["server"]) == ("paced", "thread"):
                sample["latency_us"]["99"] *= 3
        text = compare_answers.paced_words(self.samples, "fast")
        self.assertIn("At 25% of what each can do, the p99 is: `reactor-per-core` 0.40 ms (the best), `thread` 1.20 ms (the "
                      "worst), `limit` 0.40 ms. At 75%", text)
        self.assertEqual(compare_answers.paced_words(self.samples, "mix"), "")

    def test_a_lower_number_is_the_better_cpu(self):
        text = compare_answers.shown(self.samples, "cpu_us", "fast", 100, 1)
        self.assertIn("`proactor` 9.0 (the best), `cgi` 1,000.0 (the worst), `reactor-per-core` 10.0, `limit` 8.0", text)


class Report(AnyReport, unittest.TestCase):
    writer, stored = compare_report, STORED

    def test_sections_stand_in_this_order(self):
        text = self.text()
        places = [text.index(f"\n## {title}\n") for title in SECTIONS]
        self.assertEqual(places, sorted(places))

    def test_both_loops_are_named(self):
        text = self.text()
        self.assertIn("**The closed loop.** `wrk` is one", text)
        self.assertIn("the request was due", text)

    def test_what_is_missing_and_what_failed(self):
        text = self.text()
        self.assertIn("**Left out:** caddy is not installed.", text.split("## How it was measured")[0])
        self.assertIn("| `cgi` | closed loop: constant page | 10,000 | 1 of 1 | 12 % of the requests failed", text)
        self.assertIn("| `nginx` | constant rate: constant page | 100 | 3 unsent |", text)
        self.assertIn("[`nginx-page.conf`](../../../bench/peers/nginx-page.conf)", text)
        self.assertIn("pace -c 100 -r 18750", text)

    def test_the_generators_share(self):
        self.assertRegex(self.text(), r"\| closed loop: waits 10 ms \| 100 \| \d+% \| \d+% - \d+% \| \d+% \|")

    def check(self, results):
        text = compare_report.text(results, ["throughput", "throughput-dark"])
        self.assertEqual(re.findall(r".*(?:\bNone\b(?!:| in)|\bnan\b).*", text), [])
        self.assertEqual([title for title in SECTIONS if f"\n## {title}\n" not in text], [])

    def without(self, wanted):
        self.check({**self.results, "samples": [sample for sample in self.results["samples"] if wanted(sample)]})

    def test_any_part_may_be_missing(self):
        every = self.results["samples"]
        for field in ("phase", "server", "workload", "connections", "round"):
            for value in {sample.get(field) for sample in every}:
                with self.subTest(missing=f"{field} {value}"):
                    self.without(lambda sample, field=field, value=value: sample.get(field) != value)

    def test_any_field_may_be_missing_or_none(self):
        for field in {name for sample in self.results["samples"] for name in sample}:
            with self.subTest(field=field):
                samples_without = [{name: value for name, value in sample.items() if name != field}
                                   for sample in self.results["samples"]]
                for sample in samples_without[::2]:
                    sample[field] = None
                self.check({**self.results, "samples": samples_without})

    def test_nothing_measured(self):
        for field in ("samples", "commands", "versions", "left_out", "notes"):
            self.check({name: value for name, value in self.results.items() if name != field})
        self.assertGreater(compare_report.text({**self.results, "samples": []}, []).count("not measured"), 100)

    def test_every_point_unreached(self):
        self.check({**self.results, "samples": [{**sample, "unreached": "nobody came"} for sample in self.results["samples"]]})

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_charts(self):
        with tempfile.TemporaryDirectory() as name:
            drawn = compare_charts.draw(self.results, Path(name))
            self.assertEqual([chart for chart in drawn if not chart.endswith("-dark")],
                             ["throughput", "throughput-wait", "throughput-work", "memory", "latency", "cpu", "switches"])
            self.check_charts(drawn, Path(name))
            text = self.text(drawn)
            for chart in drawn:
                self.assertIn(f"{chart}.svg", text)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_charts_of_little(self):
        few = [sample for sample in self.results["samples"]
               if sample["server"] == "thread" and sample["connections"] in (100, 10000)]
        few[0]["user_us"] = None
        with tempfile.TemporaryDirectory() as name:
            self.assertEqual(compare_charts.draw({**self.results, "samples": []}, Path(name)), [])
            self.check_charts(compare_charts.draw({**self.results, "samples": few}, Path(name)), Path(name))


class Names(unittest.TestCase):
    def test_names_beside_curves_do_not_lie_on_one_another(self):
        placed = compare_charts.apart({"a": 0.5, "b": 0.5, "c": 0.52, "d": 0.9}, 0.1)
        self.assertEqual(placed["d"], 0.9)
        ordered = sorted(placed.values())
        self.assertGreaterEqual(min(high - low for low, high in zip(ordered, ordered[1:])), 0.1 - 1e-9)

    def test_every_server_has_a_panel(self):
        shown = {server for _, servers in compare_charts.ALL_PANELS for server in servers}
        self.assertEqual(shown | {OURS}, set(compare_figures.servers(samples() + [{"server": "go"}])))


class Docs(unittest.TestCase):
    """The pages, copied to where their blocks can be written."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        (self.root / "docs").mkdir()
        for page in (compare_docs.MODELS_PAGE, compare_docs.FRONT_PAGE):
            shutil.copy(ROOT / page, self.root / page)
        self.results, self.folder = fixture(STORED), self.root / "results/2026-01-02-test/compare"

    def page(self, name=compare_docs.MODELS_PAGE):
        return (self.root / name).read_text(encoding="utf-8")

    def test_a_block_for_every_model_and_a_diagram(self):
        page = self.page()
        for model in MODELS:
            part = page.split(f"## `{model.name}`: {model.title}\n")[1].split("\n## ")[0]
            self.assertIn(f"<!-- figures: {model.name} -->", part)
            diagrams = re.findall(r"```mermaid\n(sequenceDiagram\n.*?)```", part, re.DOTALL)
            self.assertEqual(len(diagrams), 2, "a request, and one that waits")
            self.assertNotIn(";", "".join(diagrams), "ends a line of a diagram")
            for words in ("**What it costs.**", "**When it is the right choice.**"):
                self.assertIn(words, part)

    def test_writing_twice_changes_nothing(self):
        compare_docs.write(self.results, self.folder, self.root)
        first = self.page(), self.page(compare_docs.FRONT_PAGE)
        compare_docs.write(self.results, self.folder, self.root)
        self.assertEqual((self.page(), self.page(compare_docs.FRONT_PAGE)), first)
        self.assertEqual(compare_docs.check(self.results, self.folder, self.root), [])

    def test_what_is_written(self):
        compare_docs.write(self.results, self.folder, self.root)
        page = self.page()
        self.assertIn("| constant page, 100 connections | 71,250 | 3.00 | 14.00 | 3.00 | 11.00 | 2.000 | 0.000 |", page)
        self.assertIn("Memory per idle connection: 20.0 KiB of its own and 30.0 KiB of the kernel's (growth between 0 and "
                      "1,000 connections)", page)
        self.assertIn("- Not reached with 10,000 connections (closed loop: constant page): threads: the system refused more "
                      "than 8,192.", page)
        self.assertIn("[the report](../results/2026-01-02-test/compare/report.md)", page)
        self.assertIn("[the report](results/2026-01-02-test/compare/report.md)", self.page(compare_docs.FRONT_PAGE))

    def test_other_figures_are_noticed(self):
        compare_docs.write(self.results, self.folder, self.root)
        changed = copy.deepcopy(self.results)
        for sample in changed["samples"]:
            if sample["server"] == "thread" and sample["phase"] == "closed":
                sample["requests_per_s"] *= 2
        self.assertEqual(compare_docs.check(changed, self.folder, self.root),
                         [compare_docs.MODELS_PAGE, compare_docs.FRONT_PAGE])

    def test_text_beside_the_blocks_stays(self):
        before = self.page()
        compare_docs.write(self.results, self.folder, self.root)
        outside = re.compile(r"(<!-- figures: [\w-]+ -->\n).*?(<!-- /figures -->)", re.DOTALL)
        self.assertEqual(outside.sub(r"\1\2", self.page()), outside.sub(r"\1\2", before))

    def test_a_quick_run_says_so(self):
        self.results["settings"]["quick"] = True
        compare_docs.write(self.results, self.folder, self.root)
        self.assertEqual(self.page().count("A quick run: it proves nothing"), self.page().count("<!-- /figures -->"))

    def test_figures_of_nobody(self):
        (self.root / compare_docs.MODELS_PAGE).write_text("<!-- figures: nobody -->\n<!-- /figures -->\n", encoding="utf-8")
        self.assertRaises(Failure, compare_docs.write, self.results, self.folder, self.root)
        (self.root / compare_docs.MODELS_PAGE).write_text("nothing\n", encoding="utf-8")
        self.assertRaises(Failure, compare_docs.write, self.results, self.folder, self.root)

    def test_little_was_measured(self):
        compare_docs.write({**self.results, "samples": []}, self.folder, self.root)
        self.assertIn("Memory per idle connection: not measured.", self.page())


def committed_runs():
    """(start, folder) of every run that is in the repository."""
    listed = subprocess.run(["git", "ls-files", "results/*/compare/results.json"], cwd=ROOT, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return sorted((json.loads(file.read_text(encoding="utf-8"))["started"], file.parent) for file in files if file.exists())


class Committed(unittest.TestCase):
    def test_the_pages_say_what_the_newest_run_says(self):
        runs = committed_runs()
        if not runs:
            self.skipTest("no run of bench/compare is committed")
        folder = runs[-1][1]
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        self.assertEqual(compare_docs.check(results, folder), [], "bench/compare --write-docs writes them again")


class Tables(unittest.TestCase):
    def test_a_point_that_was_not_reached_is_not_one_that_nobody_tried(self):
        cells = [compare_tables.cell(samples(), "requests_per_s", server, 0, **closed("fast", 10000))
                 for server in ("thread", "pool", OURS)]
        self.assertEqual(cells, ["not reached", "not measured", "75,000"])

    def test_a_pool_serves_many_in_turn(self):
        pooled = [{**sample, "server": "pool"} for sample in samples() if sample["server"] == OURS]
        self.assertEqual(compare_tables.most_reached(compare_figures.Samples(pooled), "pool"), "10,000 in turn")
        self.assertEqual(compare_tables.most_reached(samples(), OURS), "10,000")

    def test_every_server_has_a_row(self):
        text = compare_tables.main_table(samples())
        self.assertEqual(len(text.splitlines()), 2 + len(compare_figures.servers(samples())))


if __name__ == "__main__":
    unittest.main()
