#!/usr/bin/env python3
"""What bench/mixed runs, reckons and reports, without a load.

tests/bench/mixed.json is made up: of its p99 with nothing beside, coreactor has 6 times with handlers that compute in
the loop and 1.3 times with offloaded ones; 1.6 times with pending answers and 1.5 times with sleepers on the pool.
"""
import shutil
import tempfile
import unittest
from pathlib import Path

from any_report import AnyReport, fixture

from lib import figures, mixed_charts, mixed_figures, mixed_plan, mixed_report, peers, plan
from lib.mixed_plan import SCENARIOS

RATES = {"coreactor": 70000, "go": 20000, "nginx": 25000}


def settings(chosen=mixed_plan.SERVERS, rounds=8, quick=False, rate=None):
    return mixed_plan.Settings(4, rounds, 2, 2, 18490, list(chosen), rate, quick)


def scenario(server, name):
    return next(one for one in SCENARIOS if (one.server, one.name) == (server, name))


def run_of(server, name, tool):
    return mixed_plan.MixedRun(name, server, 100, 1, 4, 1, scenario(server, name), tool, RATES[server])


class Plan(unittest.TestCase):
    def test_every_run_has_a_file_of_its_own(self):
        names = [run.name() for run in plan.runs(mixed_plan.everything(settings(), RATES))]
        self.assertEqual(len(names), 8 * 2 * len(SCENARIOS))
        self.assertEqual(len(names), len(set(names)))

    def test_every_scenario_of_a_server_is_compared_with_nothing_beside(self):
        for one in SCENARIOS:
            self.assertIsNone(scenario(one.server, mixed_plan.NONE).beside)

    def test_the_order_changes_and_nobody_is_left_out(self):
        groups = mixed_plan.everything(settings(), RATES)
        self.assertEqual({group.runs[0].server for group in groups[:3]}, set(mixed_plan.SERVERS))
        self.assertEqual({group.runs[0].tool for group in groups}, set(mixed_plan.TOOLS))

    def test_a_quick_run_paces_only_what_is_judged(self):
        runs = plan.runs(mixed_plan.everything(settings(rounds=1, quick=True), RATES))
        self.assertEqual({run.server for run in runs if run.tool == "pace"}, {"coreactor"})
        self.assertEqual({run.server for run in runs if run.tool == "wrk"}, set(mixed_plan.SERVERS))

    def test_what_runs_beside(self):
        ports = {"coreactor": 1, "go": 2, "nginx": 3, mixed_plan.UPSTREAM: 4}
        self.assertIsNone(run_of("coreactor", "none", "wrk").beside(ports))
        self.assertEqual(run_of("go", "inline", "wrk").beside(ports)[-6:], ["-r", "40", "-d", "64", "2", "/slow"])
        self.assertEqual(run_of("coreactor", "wait-timer", "wrk").beside(ports)[1:],
                         ["-c", "1000", "-g", "50", "-d", "64", "1", "/wait"])
        self.assertEqual(run_of("coreactor", "elsewhere", "pace").beside(ports)[-2:], ["4", "/slow"])

    def test_the_fast_requests(self):
        closed = run_of("coreactor", "offload", "wrk")
        self.assertEqual(closed.command(18490, 8)[:4], ["wrk", "-t8", "-c100", "-d4s"])
        self.assertEqual((closed.opened(8), run_of("coreactor", "offload", "pace").opened(8)), (96, 100))
        self.assertEqual(run_of("go", "none", "pace").command(18491, 2)[1:],
                         ["-c", "100", "-r", "20000", "-d", "4", "18491", "/fast"])

    def test_the_rate_is_half_of_what_the_probe_came_to(self):
        samples = fixture("mixed.json")["samples"]
        self.assertEqual(mixed_plan.rates(settings(), samples), RATES)
        self.assertEqual(set(mixed_plan.rates(settings(rate=500), samples).values()), {500})

    def test_what_pace_says(self):
        self.assertEqual(mixed_plan.parse_pace('$ pace\n{"requests": 3}\n'), {"requests": 3})
        for text in ("", "pace: connect: Connection refused\n", "3\n"):
            self.assertIsNone(mixed_plan.parse_pace(text))

    def test_nginx_is_configured_and_nothing_is_left(self):
        template = (peers.TEMPLATES / "nginx-mixed.conf").read_text(encoding="utf-8")
        values = dict.fromkeys(("PORT", "UPSTREAM", "WORKERS", "SCRATCH", "USER", "GROUP"), "1")
        self.assertNotRegex(peers.fill(template, values), "@[A-Z]")


class Bars(unittest.TestCase):
    def setUp(self):
        self.samples = fixture("mixed.json")["samples"]

    def test_met_and_missed(self):
        found = mixed_figures.bars(self.samples)
        self.assertEqual([bar.verdict for bar in found], ["PASS", "MISSED", "PASS"] * 2)
        for bar, ratio in zip(found, (1.3, 1.6, 1.5)):
            self.assertAlmostEqual(bar.value.median, ratio, places=6)

    def test_ratios_stay_within_a_round(self):
        for sample in self.samples:
            if sample["round"] == 2 and sample["phase"] == "none":
                sample["latency_us"]["99"] *= 2
        value = mixed_figures.relative(self.samples, "p99", scenario("coreactor", "offload"), "wrk")
        self.assertEqual((round(value.low, 4), round(value.high, 4), value.count), (0.65, 1.3, 2))

    def test_the_tools_are_not_mixed(self):
        for sample in self.samples:
            if sample["tool"] == "pace" and sample["phase"] == "offload":
                sample["latency_us"]["99"] *= 3
        self.assertEqual([bar.verdict for bar in mixed_figures.bars(self.samples)],
                         ["PASS", "MISSED", "PASS", "MISSED", "MISSED", "PASS"])

    def test_without_the_quiet_run_nothing_is_met(self):
        others = [s for s in self.samples if s["phase"] != "none"]
        self.assertEqual({bar.verdict for bar in mixed_figures.bars(others)}, {figures.NOT_MEASURED})


class Report(AnyReport, unittest.TestCase):
    writer, stored = mixed_report, "mixed.json"

    def test_bars_stand_first_and_the_closed_loop_before_the_rest(self):
        top = self.text().split("## The bars")[0]
        self.assertRegex(top, r"closed loop \(`wrk`\): 5 ms of CPU, offloaded: .*1\.30 x .*\*\*PASS\*\*")
        self.assertLess(top.index("closed loop"), top.index("constant rate"))

    def test_every_scenario_is_shown_with_both_tools(self):
        for one in SCENARIOS:
            shown = 4 if one.beside else 2
            self.assertEqual(self.text().count(f"| {one.server}: {one.title} |"), shown, one)

    def test_failed_slow_requests_are_counted(self):
        self.assertRegex(self.text(), r"1,000 that sleep 50 ms, offloaded \| 40\.0 \| .* \| 3 \|")

    def test_a_rate_that_was_not_kept_is_an_error(self):
        self.assertIn("`raw/wait-inline-coreactor-pace-r01.txt`: 7 unsent", self.text())

    def test_what_was_left_out_is_said_before_the_figures(self):
        self.results["samples"] = [s for s in self.results["samples"] if s["server"] != "go"]
        self.results["left_out"] = ["go is not installed"]
        self.assertIn("**Left out:** go is not installed.", self.text().split("## The bars")[0])
        self.assertRegex(self.text(), r"\| go: nothing beside \| not measured")

    def test_nothing_measured(self):
        self.results["samples"], self.results["rates"] = [], {}
        self.assertGreater(self.text().count("not measured"), 50)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_charts(self):
        with tempfile.TemporaryDirectory() as name:
            drawn = mixed_charts.draw(self.results, Path(name))
            self.assertEqual(drawn, ["slow", "slow-dark", "blocking", "blocking-dark"])
            self.check_charts(drawn, Path(name))
            text = self.text(drawn)
            for chart in drawn:
                self.assertIn(f"{chart}.svg", text)


if __name__ == "__main__":
    unittest.main()
