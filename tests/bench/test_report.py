#!/usr/bin/env python3
"""The benchmark's own arithmetic: what is read from wrk, how ratios are taken, what the report says.

No server and no wrk is run. tests/bench/results.json is made up: CPU per request is 1.02 x limit,
requests/s 0.90 x limit with 16 pipelined, and the one-thread curve 0.96 x limit at 10 connections.
"""
import shutil
import tempfile
import unittest
from pathlib import Path

from any_report import AnyReport, fixture

from lib import charts, figures, load, plan, report, runner, tables  # noqa: E402

PLAIN = """Running 1m test @ http://127.0.0.1:18470/
  8 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   635.91us    0.89ms  12.92ms   93.69%
    Req/Sec     1.05k     8.07k   62.00k    86.54%
  Latency Distribution
     50%  250.00us
     75%    0.91ms
     90%    1.70s
     99%    1.10m
  22464657 requests in 1.00m, 17.76GB read
Requests/sec: 374410.95
Transfer/sec:    303.07MB
Measured latency (us): p50 240 p75 900 p90 1700000 p99 1900000 p99.9 1950000 max 1999999; samples 22464657, invented by wrk 12
"""
ERRORS = PLAIN.replace("Requests/sec", "  Socket errors: connect 1, read 2, write 0, timeout 34\n"
                       "  Non-2xx or 3xx responses: 5\nRequests/sec")


def paired(values, name="requests_per_s"):
    """Samples of one point from (round, coreactor's value, limit's value)."""
    return [{"server": f"{program}-multi", "round": number, name: value}
            for number, *both in values for program, value in zip(("coreactor", "limit"), both)]


class WrkOutput(unittest.TestCase):
    def test_units_of_time(self):
        for text, us in (("12.00us", 12), ("0.89ms", 890), ("1.70s", 1.7e6), ("1.10m", 66e6)):
            self.assertAlmostEqual(load.time_us(text), us)

    def test_units_of_counts_and_bytes(self):
        self.assertAlmostEqual(load.metric("1.05k"), 1050)
        self.assertAlmostEqual(load.metric("62.00"), 62)
        self.assertAlmostEqual(load.metric("1.5M"), 1.5e6)
        self.assertAlmostEqual(load.binary_bytes("17.5KB"), 17920)
        self.assertAlmostEqual(load.binary_bytes("12.00B"), 12)

    def test_what_is_no_number_is_refused(self):
        for text in ("", "1.0parsecs", "-nan", "1.0.k"):
            self.assertRaises(ValueError, load.time_us, text)

    def test_plain_output(self):
        said = load.parse(PLAIN)
        self.assertEqual(said["requests"], 22464657)
        self.assertAlmostEqual(said["requests_per_s"], 374410.95)
        self.assertAlmostEqual(said["seconds"], 60.0, places=1)
        self.assertAlmostEqual(said["per_thread_rate"], 1050)
        self.assertEqual(said["errors"], load.NO_ERRORS)

    def test_measured_and_printed_latencies_are_kept_apart(self):
        said = load.parse(PLAIN)
        self.assertEqual(said["latency_us"]["50"], 240)
        self.assertEqual(said["latency_us"]["99.9"], 1950000)
        self.assertEqual(said["latency_us"]["invented"], 12)
        self.assertEqual(said["wrk_latency_us"],
                         {"50": 250.0, "75": 910.0, "90": 1.7e6, "99": 66e6})

    def test_without_the_script_no_latency_is_measured(self):
        said = load.parse(PLAIN.split("Measured")[0])
        self.assertIsNone(said["latency_us"])
        self.assertEqual(said["wrk_latency_us"]["50"], 250.0)

    def test_errors(self):
        errors = load.parse(ERRORS)["errors"]
        self.assertEqual(errors, {"connect": 1, "read": 2, "write": 0, "timeout": 34, "status": 5})
        self.assertEqual(load.error_words(errors), "1 connect, 2 read, 34 timeout, 5 status")

    def test_no_request_at_all(self):
        said = load.parse("  0 requests in 1.10s, 0.00B read\nRequests/sec:      0.00\n")
        self.assertEqual((said["requests"], said["seconds"]), (0, 1.1))

    def test_output_that_breaks_off_is_refused(self):
        self.assertRaises(ValueError, load.parse, PLAIN.split("Requests/sec")[0])
        self.assertIsNone(load.parse_or_none("unable to connect"))


class CommandLine(unittest.TestCase):
    def test_the_articles_command(self):
        command = load.command(18470, 100, 8, 60, 1)
        self.assertEqual(command[:5], ["wrk", "-t8", "-c100", "-d1m", "--latency"])
        self.assertIn("Accept-Language: en-US,en;q=0.5", command)
        self.assertEqual(load.command(18470, 5, 8, 3, 16)[1:4], ["-t5", "-c5", "-d3s"])

    def test_connections_that_wrk_really_opens(self):
        self.assertEqual([load.opened(c, 8) for c in (1, 5, 10, 100, 352)], [1, 5, 8, 96, 352])


class Plan(unittest.TestCase):
    def settings(self):
        return plan.Settings(60, 3, 7, [10, 100], 2, 8, 18470, False)

    def test_every_run_has_a_file_of_its_own(self):
        names = [run.name() for run in plan.runs(plan.everything(self.settings()))]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), 12 + 2 * 7 * 4 + 14 * 4)

    def test_every_server_is_first_once_in_four_rounds(self):
        self.assertEqual({order[0] for order in plan.SWEEP_ORDERS}, set(plan.SWEEP_ORDERS[0]))
        for order in plan.SWEEP_ORDERS:  # and next to its counterpart
            for first, second in (order[:2], order[2:]):
                self.assertEqual(first.split("-")[1], second.split("-")[1])

    def test_runs_start_only_servers_of_their_group(self):
        for group in plan.everything(self.settings()):
            self.assertLessEqual({run.server for run in group.runs}, set(group.servers))


class Figures(unittest.TestCase):
    def test_spread(self):
        value = figures.spread([5, 1, 4, 2, None, 3])
        self.assertEqual((value.median, value.low, value.high, value.quarter,
                          value.three_quarters, value.count), (3, 1, 5, 2, 4, 5))
        self.assertIsNone(figures.spread([None]))

    def test_ratios_are_taken_within_a_round(self):
        samples = paired([(1, 90, 100), (2, 200, 100), (3, 50, 50)])
        self.assertEqual(figures.ratios(samples, "requests_per_s", "multi"), [0.9, 2.0, 1.0])
        self.assertEqual(figures.ratio(samples, "requests_per_s", "multi").median, 1.0)

    def test_half_a_round_gives_no_ratio(self):
        samples = paired([(1, 90, 100), (2, 80, None), (3, 80, 0)])[:-1]
        self.assertEqual(figures.ratios(samples, "requests_per_s", "multi"), [0.9])

    def test_verdicts(self):
        at = figures.spread
        self.assertEqual(figures.verdict_of(at([1.03]), at_most=1.03), "PASS")
        self.assertEqual(figures.verdict_of(at([1.0301]), at_most=1.03), "MISSED")
        self.assertEqual(figures.verdict_of(at([0.95]), at_least=0.95), "PASS")
        self.assertEqual(figures.verdict_of(at([0.9499]), at_least=0.95), "MISSED")
        self.assertEqual(figures.verdict_of(None, at_least=0.95), "not measured")

    def test_cost_per_request(self):
        before = {"server": {"total_s": 1.0, "user_s": 0.5, "system_s": 0.5},
                  "machine": {"busy_s": 10.0, "steal_s": 0.0}, "at": 0.0}
        after = {"server": {"total_s": 3.0, "user_s": 1.0, "system_s": 2.0},
                 "machine": {"busy_s": 16.0, "steal_s": 0.5}, "at": 4.0}
        cost = runner.cost(before, after, 3.0, 1_000_000)
        self.assertAlmostEqual(cost["cpu_us"], 2.0)
        self.assertAlmostEqual(cost["user_us"], 0.5)
        self.assertAlmostEqual(cost["others_cpu_s"], 1.0)
        self.assertIsNone(runner.cost(before, after, 3.0, 0)["cpu_us"])


class Bars(unittest.TestCase):
    def setUp(self):
        self.samples = fixture("results.json")["samples"]

    def test_met_and_missed(self):
        cpu, pipeline, multi, single = figures.bars(self.samples)
        self.assertEqual(cpu.verdict, "PASS")
        self.assertAlmostEqual(cpu.value.median, 1.02)
        self.assertEqual(pipeline.verdict, "MISSED")
        self.assertAlmostEqual(pipeline.value.median, 0.90, places=6)
        self.assertTrue(multi.verdict.startswith("PASS (not measured at 20, 50, 200"))
        self.assertTrue(single.verdict.startswith("MISSED at 10 (not measured at 20"))

    def test_one_slow_point_misses_the_curve(self):
        for sample in figures.select(self.samples, phase="sweep", server="coreactor-multi",
                                     connections=100):
            sample["requests_per_s"] *= 0.9
        self.assertTrue(figures.curve_bar(self.samples, "multi", "").verdict.startswith("MISSED at 100"))

    def test_nothing_measured_is_no_pass(self):
        self.assertEqual({bar.verdict for bar in figures.bars([])}, {"not measured"})


class Report(AnyReport, unittest.TestCase):
    writer, stored = report, "results.json"

    def test_a_missed_bar_is_reported_as_missed(self):
        self.assertRegex(self.text(), r"16 pipelined, 100 connections: 0\.900 x limit .*\*\*MISSED\*\*")
        self.assertRegex(self.text(), r"\| 1\.020 \|.*\*\*PASS\*\*")

    def test_the_headline_says_at_which_depth(self):
        text = self.text()
        self.assertRegex(text, r"without pipelining \(depth 1\): not reached.*\n")
        self.assertRegex(text, r"with 16 pipelined requests: reached.*did 55,\d{3},\d{3} in a minute")

    def test_a_short_run_answers_nothing_about_a_minute(self):
        for sample in self.results["samples"]:
            sample["seconds"] = 1.05
        self.assertEqual(self.text().count("not measured** (no run lasted a minute)"), 2)

    def test_limit_never_answers_for_the_server(self):
        self.results["samples"] = [s for s in self.results["samples"]
                                   if s["server"].startswith("limit")]
        self.assertIn("depth 1): not measured**", self.text())

    def test_errors_of_wrk_are_shown(self):
        text = self.text()
        self.assertIn("In 1 of 36 runs", text)
        self.assertIn("`raw/sweep-coreactor-multi-c100-r02.txt`: 3 timeout", text)

    def test_missing_figures_are_named(self):
        self.results["samples"] = []
        text = self.text()
        self.assertIn("The sweep was not measured", text)
        self.assertGreater(text.count("not measured"), 30)

    def test_missing_latency_is_named(self):
        for sample in self.results["samples"]:
            sample["latency_us"] = None
        self.assertIn("| not measured |", tables.latency_table(self.results["samples"]))

    def test_the_articles_figures_stand_beside_ours(self):
        for figure in ("11,657,769", "38,208,400", "40,006,142", "665,789", "i7-6700"):
            self.assertIn(figure, self.text())

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_files_are_written(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            names = charts.draw(self.results["samples"], self.results["settings"], folder)
            text = report.text(self.results, names)
            self.check_charts(names, folder)
            for chart in names:
                self.assertIn(f"({chart}.svg)", text)


if __name__ == "__main__":
    unittest.main()
