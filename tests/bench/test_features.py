#!/usr/bin/env python3
"""What bench/features runs, reckons and reports, without a load.

tests/bench/features.json is made up: with everything on requests/s are 0.985 of those with everything off, and
metrics take 1.02 of the CPU per request.
"""
import unittest

from any_report import AnyReport, fixture

from lib import features_plan, features_report, figures, plan


class Plan(unittest.TestCase):
    settings = features_plan.Settings(3, 16, 2, 8, 18470, False)

    def test_in_four_rounds_each_is_first_once_and_follows_each_other_once(self):
        orders = features_plan.ORDERS
        self.assertEqual({order[0] for order in orders}, set(features_plan.SERVERS))
        followed = [pair for order in orders for pair in zip(order, order[1:])]
        self.assertEqual(len(followed), len(set(followed)))

    def test_every_run_has_a_file_of_its_own(self):
        names = [run.name() for run in plan.runs(features_plan.everything(self.settings))]
        self.assertEqual((len(names), len(set(names))), (16 * 4 * 2, 16 * 4 * 2))

    def test_every_server_has_a_port_and_its_options(self):
        catalogue = features_plan.catalogue(self.settings)
        self.assertEqual(len({port for _, _, port in catalogue.values()}), 4)
        self.assertEqual(catalogue["off"][1][-4:], ["--balance", "hash", "--stall-warning", "0"])
        self.assertNotIn("--admin", catalogue["off-again"][1])
        self.assertIn("--admin", catalogue["metrics"][1])
        self.assertIn("--stall-trace", catalogue["on"][1])


class Report(AnyReport, unittest.TestCase):
    writer, stored = features_report, "features.json"

    def test_met_and_missed(self):
        found = features_report.bars(fixture("features.json")["samples"])
        self.assertEqual([bar.verdict for bar in found], ["PASS", "MISSED"])
        for bar, ratio in zip(found, (0.985, 1.02)):
            self.assertAlmostEqual(bar.value.median, ratio, places=6)

    def test_pipelined_runs_are_no_part_of_the_bars(self):
        pipelined = [s for s in self.results["samples"] if s["depth"] == 16]
        self.assertEqual({bar.verdict for bar in features_report.bars(pipelined)}, {figures.NOT_MEASURED})

    def test_the_control_stands_beside(self):
        self.assertRegex(self.text(), r"\| off-again \| 120,240 \| 1\.002 \|")

    def test_nothing_measured(self):
        self.results["samples"] = []
        self.assertGreater(self.text().count("not measured"), 10)


if __name__ == "__main__":
    unittest.main()
