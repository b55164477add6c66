#!/usr/bin/env python3
"""What bench/files asks for, reckons and reports, without a load.

tests/bench/files.json is made up: of nginx's CPU per request coreactor takes 0.5 at 1 KiB, 0.76 at 64 KiB,
1.0 at 1 MiB and 0.9 at 100 MiB, and it answers 1.35 times as many requests for the site.
"""
import gzip
import os
import select
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from any_report import AnyReport, fixture

from lib import (figures, files_charts, files_figures, files_plan, files_report, load, peers, plan,
                 servers, site)
from lib.machine import Failure

WORK = {work.name: work for work in files_plan.WORKLOADS}


def settings(chosen=files_plan.SERVERS, rounds=8):
    return files_plan.Settings(5, rounds, 2, 2, 18480, list(chosen), False)


def run_of(name):
    return files_plan.FileRun(name, "nginx", WORK[name].connections, 1, 5, 1, WORK[name])


class Plan(unittest.TestCase):
    def test_every_run_has_a_file_of_its_own(self):
        names = [run.name() for run in plan.runs(files_plan.everything(settings()))]
        self.assertEqual(len(names), 8 * 5 * 4)
        self.assertEqual(len(names), len(set(names)))

    def test_in_four_rounds_each_is_first_once_and_follows_each_other_once(self):
        orders = files_plan.ORDERS
        self.assertEqual({order[0] for order in orders}, set(files_plan.SERVERS))
        followed = [pair for order in orders for pair in zip(order, order[1:])]
        self.assertEqual(len(followed), len(set(followed)))

    def test_a_server_that_is_left_out_is_not_run(self):
        for group in files_plan.everything(settings(("nginx", "h2o"))):
            self.assertEqual(set(group.servers), {"nginx", "h2o"})
            self.assertEqual({run.server for run in group.runs}, {"nginx", "h2o"})

    def test_small_answers_are_counted_and_large_ones_are_reckoned_from_bytes(self):
        said = {"requests": 3, "bytes_read": 5 * (100 << 20)}
        self.assertEqual(run_of("100MiB").answers(said), 5)
        self.assertEqual(run_of("1KiB").answers(said), 3)
        self.assertEqual(run_of("site").answers(said), 3)

    def test_command_lines(self):
        one = run_of("1KiB").command(18481, 2)
        self.assertEqual(one[:4], ["wrk", "-t2", "-c100", "-d5s"])
        self.assertEqual(one[-1], "http://127.0.0.1:18481/1KiB.txt")
        self.assertNotIn("--timeout", one)
        self.assertIn("--timeout", run_of("100MiB").command(18481, 2))
        mixed = run_of("site").command(18481, 2)
        self.assertEqual(mixed[mixed.index("--") + 1:], site.paths())
        self.assertIn("Accept-Encoding: gzip", mixed)
        self.assertIn("bench/site.lua", mixed)

    def test_exact_bytes_are_taken_when_they_are_there(self):
        text = "  3 requests in 1.00s, 1.05GB read\nRequests/sec:      3.00\n"
        self.assertEqual(load.parse(text)["bytes_read"], round(1.05 * 2**30, 3))
        self.assertEqual(load.parse(text + "Bytes read: 1127428915\n")["bytes_read"], 1127428915)


class Site(unittest.TestCase):
    def test_twenty_assets_of_half_a_kib_to_300_kib(self):
        self.assertEqual(len(set(site.paths())), 20)
        sizes = [size for _, size in site.ASSETS]
        self.assertEqual((min(sizes), max(sizes)), (512, 300 << 10))

    def test_the_same_bytes_every_time_and_as_many_as_named(self):
        for path, size in site.ASSETS:
            data = site.content(path, size)
            self.assertEqual(len(data), size)
            self.assertEqual(data, site.content(path, size))

    def test_texts_compress_as_texts_do_and_images_do_not(self):
        for path, size in site.ASSETS:
            share = len(gzip.compress(site.content(path, size), 9)) / size
            if not site.is_text(path):
                self.assertGreater(share, 0.99, path)
            elif size > 4096:
                self.assertTrue(0.1 < share < 0.5, (path, share))

    def test_the_folder(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            site.generate(root, [("2KiB.txt", 2048)])
            self.assertEqual((root / "2KiB.txt").stat().st_size, 2048)
            for answer in site.answers(root):
                self.assertTrue(os.path.exists(answer.file))
                self.assertEqual(os.stat(answer.file).st_mtime, site.MODIFIED)
                if answer.coding:
                    self.assertEqual(gzip.decompress(Path(answer.file).read_bytes()),
                                     Path(answer.decoded).read_bytes())


class Peers(unittest.TestCase):
    def test_templates_are_filled_and_nothing_is_left(self):
        self.assertEqual(peers.fill("listen @PORT@; root @ROOT@;", {"PORT": 1, "ROOT": "/r"}), "listen 1; root /r;")
        self.assertRaises(Failure, peers.fill, "@UNKNOWN@", {})
        with tempfile.TemporaryDirectory() as name:
            for peer in peers.PEERS:
                peers.configure(peer, 18481, 2, Path(name), Path(name) / "root")
                self.assertNotRegex((Path(name) / f"{peer}.conf").read_text(encoding="utf-8"), "@[A-Z]")

    def test_only_root_says_as_whom_a_server_runs(self):
        self.assertEqual(peers.for_whom("a\nuser @USER@;\nb\n", False), "a\nb\n")
        self.assertEqual(peers.for_whom("user @USER@;\n", True), "user @USER@;\n")

    def wrong(self, body, coding="gzip"):
        plain = b"text " * 4000
        return peers.wrong_in(site.Answer("/a", "a.gz", "gzip", "gzip", "a"), (body, coding), gzip.compress(plain, mtime=0), plain)

    def test_the_files_own_bytes_are_right(self):
        self.assertIsNone(self.wrong(gzip.compress(b"text " * 4000, mtime=0)))

    def test_a_copy_as_long_that_comes_to_the_same_is_right(self):
        self.assertIsNone(self.wrong(gzip.compress(b"text " * 4000, mtime=1)))

    def test_other_answers_are_wrong(self):
        self.assertIn("Content-Encoding", self.wrong(b"text " * 4000, None))
        self.assertIn("own compressed copy", self.wrong(gzip.compress(b"text " * 4000, 0)))
        self.assertIn("not those of the file", self.wrong(gzip.compress(b"other " * 4000)))
        self.assertIn("not those of the file", self.wrong(b"no gzip"))

    def test_commands_are_shown_without_our_folder(self):
        shown = peers.shown_commands({"nginx": ("nginx", ["/usr/sbin/nginx", "-p", "/tmp/x"], 1)}, Path("/tmp/x"))
        self.assertEqual(shown, {"nginx": ["nginx", "-p", "$FOLDER"]})


class Family(unittest.TestCase):
    def test_children_are_found_and_ended(self):
        first = subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE, start_new_session=True)
        try:
            first.stdout.readline()
            found = servers.family(first.pid)
            self.assertEqual((found[0], len(found)), (first.pid, 2))
            self.assertGreater(servers.total_kib(found, "status", "VmRSS"),
                               servers.total_kib(found[:1], "status", "VmRSS"))
            child = os.pidfd_open(found[1])
            servers.kill_all([os.dup(child)])
            self.assertEqual(select.select([child], [], [], 10)[0], [child])
            os.close(child)
        finally:
            first.kill()
            first.wait()
            first.stdout.close()


class Bars(unittest.TestCase):
    def setUp(self):
        self.samples = fixture("files.json")["samples"]

    def test_met_and_missed(self):
        found = files_figures.bars(self.samples)
        self.assertEqual([bar.verdict for bar in found], ["PASS", "MISSED", "PASS", "PASS", "PASS"])
        for bar, ratio in zip(found, (0.5, 0.76, 1.0, 0.9, 1.35)):
            self.assertAlmostEqual(bar.value.median, ratio, places=4)

    def test_without_nginx_nothing_is_met(self):
        others = [s for s in self.samples if s["server"] != "nginx"]
        self.assertEqual({bar.verdict for bar in files_figures.bars(others)}, {figures.NOT_MEASURED})

    def test_derived_figures(self):
        sample = {"bytes_read": 2 << 30, "seconds": 4.0, "server_cpu_s": 0.5, "answers": 20.48}
        self.assertEqual(files_figures.derived(sample, "answers_per_s"), 5.12)
        self.assertEqual(files_figures.derived(sample, "gib_per_s"), 0.5)
        self.assertEqual(files_figures.derived(sample, "cpu_ms_per_gib"), 250)
        self.assertIsNone(files_figures.derived(sample | {"bytes_read": 0}, "cpu_ms_per_gib"))


class Report(AnyReport, unittest.TestCase):
    writer, stored = files_report, "files.json"

    def test_bars_stand_first(self):
        text = self.text()
        self.assertRegex(text, r"64 KiB: CPU per request: 0\.760 x nginx .*\*\*MISSED\*\*")
        self.assertIn("1 KiB: CPU per request: 0.500 x nginx (wanted: <= 0.55 x nginx): **PASS**", text)
        self.assertIn("requests/s: 1.350 x nginx (wanted: >= 1.30 x nginx): **PASS**", text)

    def test_every_workload_has_a_table(self):
        for work in files_plan.WORKLOADS:
            self.assertRegex(self.text(), rf"## {work.title}, \d+ connections\n")

    def test_what_was_left_out_is_said_before_the_figures(self):
        self.results["samples"] = [s for s in self.results["samples"] if s["server"] != "h2o"]
        self.results["left_out"] = ["h2o is not installed"]
        top = self.text().split("## The bars")[0]
        self.assertIn("**Left out:** h2o is not installed.", top)
        self.assertRegex(self.text(), r"\| h2o \| not measured")

    def test_errors_of_wrk_are_shown(self):
        self.assertIn("`raw/100MiB-h2o-c4-r02.txt`: 2 timeout", self.text())

    def test_nothing_measured(self):
        self.results["samples"] = []
        self.assertGreater(self.text().count("not measured"), 50)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_charts(self):
        with tempfile.TemporaryDirectory() as name:
            drawn = files_charts.draw(self.results, Path(name))
            self.assertEqual(drawn, ["cpu", "cpu-dark", "site", "site-dark"])
            self.check_charts(drawn, Path(name))
            text = self.text(drawn)
            for chart in drawn:
                self.assertIn(f"{chart}.svg", text)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_without_nginx_there_is_no_chart_of_ratios(self):
        self.results["samples"] = [s for s in self.results["samples"] if s["server"] == "coreactor"]
        with tempfile.TemporaryDirectory() as name:
            self.assertEqual(files_charts.draw(self.results, Path(name)), ["site", "site-dark"])


if __name__ == "__main__":
    unittest.main()
