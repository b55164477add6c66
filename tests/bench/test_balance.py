#!/usr/bin/env python3
"""What bench/balance runs, reckons and reports, without a server.

tests/bench/balance.json is made up: `least` spreads as evenly as whole connections allow but once, 352 over 16 reactors
with 24 on the busiest; and in one step of one churn it has 67 of 1,000 on one of 16.
"""
import os
import select
import shutil
import socket
import tempfile
import threading
import unittest
from pathlib import Path

from any_report import AnyReport, fixture

from lib import balance_charts, balance_figures, balance_plan, balance_report, balance_runner, figures, plan, reactors
from lib.crowd import Crowd, whole
from lib.machine import Failure


def settings(rounds=12, variants=()):
    return balance_plan.Settings(3, rounds, 2, 2, 18484, 60, dict(variants), False)


class Plan(unittest.TestCase):
    def test_in_six_rounds_modes_change_places_evenly(self):
        orders = [balance_plan.order(number, balance_plan.MODES) for number in range(6)]
        for place in range(3):
            self.assertEqual(sorted(order[place] for order in orders), sorted(balance_plan.MODES * 2))
        followed = [pair for order in orders for pair in zip(order, order[1:])]
        self.assertEqual({followed.count(pair) for pair in followed}, {2})

    def test_every_spread_is_taken_in_each_round(self):
        runs = plan.runs(balance_plan.spread(settings()))
        points = {(run.server, run.reactors, run.connections, run.arrival, run.round) for run in runs}
        self.assertEqual((len(runs), len(points)), (12 * 36, 12 * 36))

    def test_a_variant_is_skewed_and_has_its_options(self):
        wanted = settings(1, {"other": "--example 3"})
        runs = [run for run in balance_plan.skew(wanted) if run.server == "other"]
        self.assertEqual([run.even for run in runs], [False, False])
        for run in runs:
            self.assertEqual(balance_runner.skew_command(run, wanted)[-2:], ["--example", "3"])

    def test_connections_stay_but_where_they_are_to_move(self):
        wanted = settings(1)
        for run in balance_plan.skew(wanted):
            line = balance_runner.skew_command(run, wanted)
            self.assertEqual("--keep-connections" in line or "-k" in line, run.server != "moved")

    def test_short_connections_are_asked_for_with_wrk(self):
        line = balance_plan.connect(settings(1))[0].runs[0].command(18484, 2)
        self.assertIn("Connection: close", line)
        self.assertNotIn("Connection: keep-alive", line)


class References(unittest.TestCase):
    def test_the_best_that_whole_connections_allow(self):
        self.assertEqual([balance_plan.best(*point) for point in ((100, 8), (100, 16), (352, 16), (1000, 8))],
                         [1.04, 1.12, 1.0, 1.0])
        self.assertEqual(balance_figures.allowed(100, 16), 1.12)
        self.assertEqual(balance_figures.allowed(352, 16), 1.05)

    def test_chance_is_the_same_every_time_and_uneven(self):
        found = balance_plan.simulated_hash(100, 8, 200)
        self.assertEqual(found, balance_plan.simulated_hash(100, 8, 200))
        self.assertTrue(1.25 < found < 1.6, found)
        self.assertLess(balance_plan.simulated_hash(1000, 8, 200), found)

    def test_an_hour_holds_together(self):
        hour = balance_plan.churn_events(7, 30, population=50, events=100)
        self.assertEqual(hour, balance_plan.churn_events(7, 30, population=50, events=100))
        self.assertNotEqual(hour, balance_plan.churn_events(8, 30, population=50, events=100))
        open_now = 0
        for step in hour:
            for event in step:
                if event[0] == "close":
                    self.assertLess(event[1], open_now)
                open_now += {"open": 1, "close": -1, "short": 0}[event[0]]
        self.assertTrue(25 < open_now < 75, open_now)
        short = sum(event[0] == "short" for step in hour[1:] for event in step)
        self.assertTrue(1300 < short < 1700, short)

    def test_a_perfect_choice(self):
        hour = [[("open",)] * 4, [("close", 0), ("short",)], [("close", 1), ("open",), ("open",)]]
        self.assertEqual(balance_plan.ideal(hour, 2), [1.0, 4 / 3, 1.0])


class Reactors(unittest.TestCase):
    """The program with two loops is this one."""

    def test_connections_are_found_in_the_loop_that_watches_them(self):
        with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as first, select.epoll() as second:
            port = listener.getsockname()[1]
            first.register(listener)
            second.register(listener)
            found = reactors.Reactors(os.getpid(), port, 2)
            self.assertEqual(found.open(), [0, 0])
            ends = []
            for loop in (first, second, second):
                client = socket.create_connection(("127.0.0.1", port))
                served, _ = listener.accept()
                loop.register(served)
                ends += [client, served]
            self.assertEqual(found.settled(3), [1, 2])
            self.assertEqual(found.places()[ends[2].getsockname()[1]], 1)
            for end in ends:
                end.close()
            self.assertEqual(found.settled(0), [0, 0])
            self.assertRaises(Failure, reactors.Reactors, os.getpid(), port, 3, 0)

    def test_a_crowd_asks_once_on_each_connection(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            served = []

            def serve(count):
                for _ in range(count):
                    served.append(listener.accept()[0])
                    served[-1].recv(4096)
                    served[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

            thread = threading.Thread(target=serve, args=(13,))
            thread.start()
            with Crowd(listener.getsockname()[1]) as crowd:
                crowd.open_one()
                crowd.come_and_go()
                crowd.open_together(11)
                crowd.close(3)
                self.assertEqual(len(crowd.clients), 11)
            thread.join()
            for end in served:
                end.close()

    def test_whole_answers(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        self.assertEqual([whole(text) for text in (b"", head[:-2], head + b"o", head + b"ok")],
                         [False, False, False, True])

    def test_the_busy_ones_are_chosen_by_where_they_are(self):
        places = [number % 2 for number in range(100)]
        self.assertEqual({places[index] for index in balance_runner.choose(places, False)}, {0})
        self.assertEqual(balance_runner.tally([places[index] for index in balance_runner.choose(places, True)]), [8, 8])
        self.assertRaises(Failure, balance_runner.choose, [1] * 100, False)


class Bars(unittest.TestCase):
    def setUp(self):
        self.results = fixture("balance.json")

    def test_the_worst_repetition_decides(self):
        bars = balance_figures.spread_bars(self.results)
        self.assertEqual([bar.verdict for bar in bars], ["PASS"] * 3 + [balance_figures.UNREACHABLE, "MISSED", "PASS"])
        self.assertAlmostEqual(bars[4].worst, 24 * 16 / 352)
        self.assertEqual({bar.count for bar in bars}, {4})

    def test_100_over_16_with_the_best_that_is_possible_is_a_miss_that_is_explained(self):
        bar = balance_figures.spread_bars(self.results)[3]
        self.assertEqual((bar.allowed, bar.worst, bar.verdict), (1.12, 1.12, balance_figures.UNREACHABLE))

    def test_the_churn_is_judged_at_its_end_and_on_its_way(self):
        self.assertEqual([bar.verdict for bar in balance_figures.churn_bars(self.results)],
                         ["PASS", "PASS", "PASS", "MISSED"])

    def test_another_mode_in_its_place_is_no_pass(self):
        for sample in self.results["spread"]:
            sample["in_kernel"] = False
        self.assertEqual({bar.verdict for bar in balance_figures.bars(self.results)}, {figures.NOT_MEASURED})

    def test_what_the_server_tells_is_compared(self):
        self.assertEqual(balance_figures.disagreements(self.results), (1, 72 + 12))

    def test_ratios_to_hash(self):
        value = balance_figures.connect_ratio(self.results["samples"], "cpu_us", "handoff")
        self.assertAlmostEqual(value.median, 1.1)


class Report(AnyReport, unittest.TestCase):
    writer, stored = balance_report, "balance.json"

    def test_the_answer_says_what_was_missed(self):
        top = self.text().split("## The bars")[0]
        self.assertIn("**MISSED (1 of 6 bars)**", top)
        self.assertIn("1.091 of 1.050 (352 connections over 16 reactors)", top)

    def test_what_a_server_said_comes_before_the_figures(self):
        self.results["notes"] = ["a server said: by hand-off"]
        self.results["churn"][-1]["in_kernel"] = False
        top = self.text().split("## The bars")[0]
        self.assertIn("**`least` was not to be had here:**", top)
        self.assertIn("**Note:** a server said: by hand-off", top)
        self.assertNotIn("PASS", self.text())

    def test_agreement_with_the_server(self):
        self.assertIn("was the same in 83 of 84 samples", self.text())
        for sample in self.results["spread"] + self.results["churn"]:
            sample["told"] = None
        self.assertIn("(`--admin`) is not measured", self.text())

    def test_skew_shows_every_variant(self):
        self.assertRegex(self.text(), r"\| page \| moved \| 150,000 \| 1\.500 \|.*\| 8 8 \|")
        self.assertIn("build/release/coreactor --balance least --example", self.text())

    def test_nothing_measured(self):
        for part in ("spread", "churn", "skew", "samples"):
            self.results[part] = []
        self.assertGreater(self.text().count("not measured"), 50)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_charts(self):
        with tempfile.TemporaryDirectory() as name:
            drawn = balance_charts.draw(self.results, Path(name))
            self.assertEqual(drawn, ["spread", "spread-dark", "churn", "churn-dark"])
            self.check_charts(drawn, Path(name))
            text = self.text(drawn)
            for chart in drawn:
                self.assertIn(f"{chart}.svg", text)


if __name__ == "__main__":
    unittest.main()
