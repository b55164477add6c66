#!/usr/bin/env python3
"""What bench/compare runs and reckons, how it goes on, and what becomes of a server's processes, without a load."""
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import any_report  # noqa: F401  the way to bench/lib

from lib import compare_costs, compare_plan, compare_process, compare_servers, peers
from lib.compare_held import Held
from lib.compare_plan import CompareRun, LIMIT, WORKLOADS
from lib.compare_process import Program, Unreached
from lib.compare_runner import CompareRunner
from lib.machine import Failure

MODELS, PEERS = ["cgi", "reactor-one", "reactor-per-core"], ["nginx", "go"]
WRK = """Running 1s test @ http://127.0.0.1:1/fast
  {requests} requests in 1.00s, 1.00MB read
{errors}Requests/sec: {requests}.00
Bytes read: 1000
Measured latency (us): p50 10 p75 11 p90 12 p99 13 p99.9 14 max 15; samples {requests}, invented by wrk 0
"""


def settings(rounds=3, connections=compare_plan.CONNECTIONS, quick=False, models=MODELS, known_peers=PEERS, port=18500):
    return compare_plan.Settings(list(models), list(known_peers), True, list(connections), rounds, 2, 2, 64, 2, port,
                                 quick)


def sample(phase="closed", server="nginx", workload="fast", connections=100, share=None, number=1, **figures):
    run = CompareRun(phase, server, connections, 1, 2, number, workload, share)
    return compare_costs.blank(run) | figures


class Plan(unittest.TestCase):
    def setUp(self):
        self.runs = compare_plan.everything(settings())

    def of(self, phase, runs=None):
        return [run for run in runs or self.runs if run.phase == phase]

    def test_every_run_is_told_from_all_others_and_has_a_file_of_its_own(self):
        self.assertEqual(len({run.key() for run in self.runs}), len(self.runs))
        self.assertEqual(len({run.name() for run in self.runs}), len(self.runs))

    def test_in_each_round_all_servers_run_at_a_point_one_after_another(self):
        everyone = set(settings().servers())
        closed = [run for run in self.of("closed") if run.workload == "fast"]
        for first in range(0, len(closed), len(everyone)):
            group = closed[first:first + len(everyone)]
            self.assertEqual({run.server for run in group}, everyone)
            self.assertEqual(len({(run.connections, run.round) for run in group}), 1)

    def test_at_each_point_others_are_first_in_each_round(self):
        for connections in compare_plan.CONNECTIONS:
            first = [next(run.server for run in self.of("closed") if (run.workload, run.connections, run.round) ==
                          ("fast", connections, number)) for number in (1, 2, 3)]
            self.assertEqual(len(set(first)), 3, first)

    def test_peers_have_the_constant_page_only(self):
        for run in self.runs:
            if run.workload != "fast":
                self.assertIn(run.server, MODELS)

    def test_the_mix_needs_connections_enough(self):
        self.assertEqual({run.connections for run in self.of("closed") if run.workload == "mix"}, {100, 1000})

    def test_rates_are_known_before_they_are_needed(self):
        phases = [run.phase for run in self.runs]
        self.assertLess(max(n for n, phase in enumerate(phases) if phase == "closed"), phases.index("paced"))
        self.assertEqual(phases[0], "start")

    def test_without_100_connections_nothing_is_paced(self):
        self.assertEqual(self.of("paced", compare_plan.everything(settings(connections=(10,)))), [])

    def test_memory_is_not_taken_of_limit_nor_of_few_connections(self):
        self.assertNotIn(LIMIT, {run.server for run in self.of("idle")})
        self.assertEqual({run.connections for run in self.of("idle")}, {0, 100, 1000, 10000})

    def test_a_quick_run_has_every_phase_and_workload_once(self):
        runs = compare_plan.everything(settings(1, compare_plan.QUICK_CONNECTIONS, True))
        self.assertEqual({run.phase for run in runs}, {"start", "idle", "closed", "paced"})
        self.assertEqual({run.workload for run in runs}, set(WORKLOADS))
        self.assertEqual({run.connections for run in runs if run.workload != "fast"}, {100})
        self.assertEqual({run.share for run in runs if run.phase == "paced"}, set(compare_plan.QUICK_SHARES))

    def test_many_connections_get_more_time(self):
        self.assertEqual({run.connections: run.seconds for run in self.of("closed")},
                         {1: 2, 10: 2, 100: 2, 1000: 2, 10000: 4})

    def test_the_mix_asks_for_all_its_paths(self):
        run = CompareRun("closed", "cgi", 100, 1, 2, 1, "mix")
        line = run.command(7, 2)
        self.assertEqual(line[:4], ["wrk", "-t2", "-c100", "-d2s"])
        self.assertEqual(line[-21:], ["--", *compare_plan.MIX])
        self.assertIn("bench/site.lua", line)
        paced = CompareRun("paced", "cgi", 100, 1, 2, 1, "mix", 0.5)
        self.assertEqual(paced.command(7, 2, 900)[1:8], ["-c", "100", "-r", "900", "-d", "2", "7"])
        self.assertEqual(paced.command(7, 2, 900)[8:], list(compare_plan.MIX))

    def test_one_path_is_asked_for_with_a_time_out(self):
        line = CompareRun("closed", "cgi", 1, 1, 2, 1, "work").command(7, 2)
        self.assertEqual(line[-3:], ["--timeout", "10s", "http://127.0.0.1:7/work"])

    def test_an_interrupted_run_goes_on_where_it_stopped(self):
        done = [compare_costs.blank(run) for run in self.runs[:50]]
        stored = json.loads(json.dumps(done))
        self.assertEqual(compare_plan.remaining(self.runs, stored), self.runs[50:])

    def test_a_point_missed_twice_is_given_up(self):
        run = CompareRun("closed", "cgi", 10000, 1, 2, 3)
        missed = [sample(server="cgi", connections=10000, number=number, unreached="memory") for number in (1, 2)]
        self.assertFalse(compare_plan.given_up(run, missed[:1]))
        self.assertTrue(compare_plan.given_up(run, missed))
        self.assertFalse(compare_plan.given_up(CompareRun("closed", "cgi", 1000, 1, 2, 3), missed))


class Servers(unittest.TestCase):
    def test_each_server_has_a_port_and_each_peer_its_configuration(self):
        known = settings(models=compare_plan.TITLES, known_peers=compare_plan.PEERS)
        with tempfile.TemporaryDirectory() as name, mock.patch.object(compare_servers.machine, "program", str):
            found = compare_servers.catalogue(known, Path(name))
            self.assertEqual(set(found), set(known.servers()))
            self.assertEqual(len({port for _, _, port in found.values()} | {known.port}), len(found) + 1)
            for peer in compare_servers.PEERS:
                text = (Path(name) / f"{peer}.conf").read_text(encoding="utf-8")
                self.assertNotRegex(text, "@[A-Z]")
                self.assertIn(str(found[peer][2]), text)
            self.assertNotIn(name, str(compare_servers.shown_commands(found, name)))
        self.assertEqual(found["go"][1][0], found["goroutine"][1][0])
        self.assertEqual(found["cgi"][1][1:], ["--port", "18501", "--threads", "2", "--pool", "64", "--service-port",
                                               "18500"])

    def test_only_pools_of_workers_have_a_bound(self):
        self.assertEqual([name for name in compare_plan.TITLES if "--pool" in
                          compare_servers.model_command(name, 1, settings())], ["cgi", "prefork", "pool"])

    def test_the_page_has_the_length_of_the_others(self):
        self.assertEqual(len(compare_servers.PAGE), 83)

    def test_wrong_answers_are_told(self):
        self.assertIsNone(compare_servers.wrong_in("/fast", 200, b"x" * 83))
        self.assertIn("status 404", compare_servers.wrong_in("/fast", 404, b"x" * 83))
        self.assertIn("82 bytes", compare_servers.wrong_in("/fast", 200, b"x" * 82))
        self.assertEqual(compare_servers.wrong_in("/wait", 200, b""), "no body")

    def test_who_cannot_be_had_is_left_out_with_a_reason(self):
        with mock.patch.object(compare_servers.machine, "program", lambda name: None), \
                mock.patch.object(compare_servers.os, "access", lambda *_: False):
            names, notes = compare_servers.without_missing(["cgi", "caddy", "go", LIMIT])
        self.assertEqual(names, [LIMIT])
        self.assertEqual(len(notes), 3)
        self.assertIn("caddy is not installed", notes[1])

    def test_a_run_goes_on_with_all_of_its_servers(self):
        with mock.patch.object(compare_servers.machine, "program", lambda name: None), \
                mock.patch.object(compare_servers.os, "access", lambda *_: True):
            compare_servers.require(["cgi", LIMIT])
            self.assertRaisesRegex(Failure, "measured with nginx, which is not to be had",
                                   compare_servers.require, ["cgi", "nginx", LIMIT])

    def test_templates_are_there(self):
        for peer in compare_servers.PEERS.values():
            self.assertTrue((peers.TEMPLATES / peer.template).exists())


class Costs(unittest.TestCase):
    used = {"user_s": 1.5, "system_s": 2.5, "minor_faults": 300, "major_faults": 1, "voluntary": 1100,
            "involuntary": 10}

    def test_a_start_is_subtracted(self):
        starts = [sample("start", "cgi", connections=1, number=number, **{**self.used, "user_s": user})
                  for number, user in enumerate((0.1, 0.5, 0.3))]
        base = compare_costs.baseline(starts, "cgi")
        self.assertEqual((base["cpu_s"], base["voluntary"]), (2.8, 1100))
        self.assertEqual(set(compare_costs.baseline(starts, "nginx").values()), {0})
        above = compare_costs.above(self.used, base)
        self.assertEqual((above["user_s"], above["system_s"], above["voluntary"]), (0.45, 0.75, 0))
        self.assertEqual(compare_costs.above({}, base), dict.fromkeys(compare_costs.USED, 0))

    def test_a_start_that_no_tick_has_met_takes_nothing_from_one_part_alone(self):
        start = sample("start", "cgi", connections=1, **{**self.used, "user_s": 2, "system_s": 0})
        above = compare_costs.above(self.used, compare_costs.baseline([start], "cgi"))
        self.assertEqual((above["user_s"], above["system_s"]), (0.75, 1.25))

    def test_per_request(self):
        found = compare_costs.per_request(self.used, 1000)
        self.assertEqual((found["cpu_us"], found["user_us"], found["system_us"]), (4000, 1500, 2500))
        self.assertAlmostEqual(found["switches"], 1.11)
        self.assertAlmostEqual(found["faults"], 0.301)
        self.assertEqual(compare_costs.per_request(self.used, 0), {})

    def test_parts_of_processes_without_ticks_are_not_told(self):
        for server, parts in (("cgi", (None, None)), ("prefork", (1500, 2500))):
            lived = compare_costs.lived(sample(server=server, requests=1000, processes=65))
            found = compare_costs.per_request(self.used, 1000, lived)
            self.assertEqual((found["user_us"], found["system_us"]), parts)

    def reason(self, requests, **errors):
        return compare_costs.unreached({"requests": requests, "errors": errors}, 2)

    def test_what_is_not_reached_says_why(self):
        self.assertIsNone(self.reason(1000))
        self.assertIsNone(self.reason(1000, read=9, unsent=1))
        self.assertEqual(self.reason(0), "nothing was answered in 2 s")
        self.assertEqual(self.reason(0, read=7), "nothing was answered in 2 s: 7 read")
        self.assertEqual(self.reason(600, connect=300, timeout=100),
                         "40 % of the requests failed: 300 connect, 100 time-outs")
        self.assertIsNone(self.reason(960, unsent=40))
        self.assertIn("rate was not kept: 60 requests", self.reason(940, unsent=60))

    def test_connections_that_are_not_held(self):
        self.assertIsNone(compare_costs.not_held(100, 100, 0))
        self.assertEqual(compare_costs.not_held(100, 64, 0),
                         "64 of 100 connections stayed open: it never answered on 36")
        self.assertEqual(compare_costs.not_held(100, 0, 100), "0 of 100 connections stayed open: the server ended 100")

    def test_a_rate_is_a_share_of_the_closed_loop_of_the_same_workload(self):
        samples = [sample(requests_per_s=rate, number=number) for number, rate in enumerate((900, 1000, 1500))]
        samples += [sample(requests_per_s=10, workload="mix"), sample(requests_per_s=10, connections=10),
                    sample(requests_per_s=10, server="cgi"), sample(requests_per_s=10, number=9, unreached="memory")]
        paced = CompareRun("paced", "nginx", 100, 1, 2, 1, "fast", 0.25)
        self.assertEqual(compare_costs.rate(samples, paced), 250)
        self.assertIsNone(compare_costs.rate(samples, CompareRun("paced", "h2o", 100, 1, 2, 1, "fast", 0.25)))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


SERVE = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
"""
BUSY = SERVE + """
child = os.fork()
if child == 0:
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
    os._exit(0)
os.waitpid(child, 0)
print("ready", flush=True)
signal.pause()
"""
LEAVES = SERVE + """
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setpgid(0, 0)
    while True: time.sleep(1)
signal.pause()
"""
STUBBORN = SERVE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('no', flush=True)\nwhile True: time.sleep(1)"
FAILS = "import sys\nprint('first')\nprint('no memory for it')\nsys.exit(3)"
ANSWERS = SERVE + """
while True:
    client, _ = listener.accept()
    if client.recv(4096):
        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 83\\r\\n\\r\\n" + b"x" * 83)
    client.close()
"""


def program(source, port=None):
    port = port or free_port()
    return Program("it", [sys.executable, "-c", source, str(port)], port)


class Processes(unittest.TestCase):
    """The servers are small programs of Python."""

    @classmethod
    def setUpClass(cls):
        compare_process.adopt_orphans()

    def test_children_that_were_waited_for_count(self):
        own = program(BUSY)
        own.start()
        while own.last_line() != "ready":
            time.sleep(0.01)
        used, status = own.stop()
        self.assertEqual(status, 0)
        self.assertGreater(used["user_s"] + used["system_s"], 0.19)
        self.assertGreater(used["minor_faults"], 100)

    def test_what_a_server_leaves_is_ended(self):
        own, before = program(LEAVES), compare_process.children()
        own.start()
        while len(found := compare_process.members(own.process.pid)) < 2:
            time.sleep(0.01)
        self.assertEqual(own.memory()["processes"], 2)
        self.assertEqual(own.stop()[1], 0)
        self.assertEqual(compare_process.children(), before)
        for pid in found:
            self.assertFalse(Path(f"/proc/{pid}").exists())

    def test_at_once_is_without_asking(self):
        for source in (STUBBORN, LEAVES):
            own, before, begin = program(source), compare_process.children(), time.monotonic()
            own.start()
            used, status = own.stop(at_once=True)
            self.assertIsNone(status)
            self.assertGreater(used["minor_faults"], 100)
            self.assertLess(time.monotonic() - begin, compare_process.DRAIN_S)
            self.assertEqual(compare_process.children(), before)

    def test_one_that_does_not_end_is_killed(self):
        own = program(STUBBORN)
        own.start()
        while own.last_line() != "no":
            time.sleep(0.01)
        with mock.patch.object(compare_process, "DRAIN_S", 0.05), mock.patch.object(compare_process, "AGAIN_S", 0.05):
            used, status = own.stop()
        self.assertIsNone(status)
        self.assertIn("user_s", used)

    def test_one_that_does_not_start_says_why(self):
        own = program(FAILS)
        with self.assertRaisesRegex(Unreached, "^it did not start: no memory for it$"):
            own.start()
        self.assertEqual(own.stop()[1], 3)

    def test_one_that_was_never_there(self):
        self.assertEqual(program(FAILS).stop(), ({}, None))

    def test_a_port_that_is_in_use_ends_the_benchmark(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertRaises(Failure, program(ANSWERS, listener.getsockname()[1]).start)


class HeldConnections(unittest.TestCase):
    def serve(self, listener, answered, closed):
        """Answers on so many connections, and ends so many more; the rest it leaves alone."""
        self.kept = []
        for number in range(answered + closed):
            client, _ = listener.accept()
            client.recv(4096)
            if number < answered:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                self.kept.append(client)
            else:
                client.close()

    def held(self, asked, answered, closed):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            thread = threading.Thread(target=self.serve, args=(listener, answered, closed))
            thread.start()
            with Held(listener.getsockname()[1]) as crowd, mock.patch("lib.compare_held.QUIET_S", 0.2):
                crowd.open(asked)
                thread.join()
                if self.kept:
                    self.kept.pop().close()
                    time.sleep(0.05)
                crowd.look()
                for client in self.kept:
                    client.close()
                return crowd.held, crowd.closed

    def test_all_are_held_but_the_one_that_is_closed_later(self):
        self.assertEqual(self.held(20, 20, 0), (19, 1))

    def test_closed_and_unanswered_ones_are_not_held(self):
        self.assertEqual(self.held(20, 10, 4), (9, 5))


class OfShell(CompareRun):
    """A run whose generator is a line of shell."""
    said_by = ""

    def command(self, port, wrk_threads, rate=None):
        return ["sh", "-c", f"sleep 0.2; cat <<'END'\n{self.said_by}\nEND"]


class Runner(unittest.TestCase):
    """The server answers for itself; the generator only says that it did."""

    def carry_out(self, runs, source=ANSWERS, says=WRK.format(requests=5000, errors=""), samples=()):
        port = free_port()
        results = {"samples": list(samples), "notes": []}
        for run in runs:
            run.said_by = says
        with tempfile.TemporaryDirectory() as name:
            own = CompareRunner({"cgi": ("cgi", [sys.executable, "-c", source, str(port)], port)},
                                settings(models=()), results, Path(name))
            with mock.patch("sys.stdout"):
                own.carry_out(runs)
            self.assertEqual(json.loads((Path(name) / "results.json").read_text(encoding="utf-8")), results)
        return results

    def closed(self, number=1, connections=100, **how):
        return self.carry_out([OfShell("closed", "cgi", connections, 1, 0.2, number)], **how)

    def test_a_sample_has_every_field(self):
        found = self.closed()["samples"][0]
        for name in ("user_s", "system_s", "cpu_us", "switches", "faults", "generator_cpu_s", "service_cpu_s",
                     "others_cpu_s", "steal_s", "wall_s", "latency_us", "raw", "command", "kind"):
            self.assertIsNotNone(found[name], name)
        self.assertEqual([found[name] for name in ("requests", "opened", "failed", "unreached")], [5000, 100, 0, None])
        self.assertEqual(found["latency_us"]["99"], 13)

    def test_memory_and_threads_are_looked_at_during_the_load(self):
        found = self.closed()["samples"][0]
        self.assertEqual((found["processes"], found["threads"]), (1, 1))
        self.assertGreater(found["pss_kib"], 1000)
        self.assertGreaterEqual(found["rss_peak_kib"], found["rss_kib"])

    def test_a_start_is_taken_and_subtracted(self):
        results = self.carry_out([CompareRun("start", "cgi", 1, 1, 0, 1)])
        begun = results["samples"][0]
        self.assertGreater(begun["seconds"], 0)
        self.assertGreater(begun["user_s"] + begun["system_s"], 0)
        loaded = self.closed(samples=results["samples"])["samples"][1]
        self.assertLess(loaded["minor_faults"], begun["minor_faults"])

    def test_connections_that_the_server_ends_are_not_held(self):
        found = self.carry_out([CompareRun("idle", "cgi", 10, 1, 0, 1)])["samples"][0]
        self.assertEqual((found["held"], found["requests"]), (0, None))
        self.assertIn("0 of 10 connections stayed open", found["unreached"])

    def test_failures_are_a_result(self):
        found = self.closed(says=WRK.format(requests=50, errors="  Socket errors: connect 0, read 50, write 0, "
                                                                "timeout 0\n"))["samples"][0]
        self.assertIn("50 % of the requests failed: 50 read", found["unreached"])
        self.assertEqual((found["failed"], found["requests"]), (50, 50))

    def test_a_server_that_does_not_start_is_a_result_and_is_not_tried_for_ever(self):
        runs = [OfShell("closed", "cgi", 100, 1, 0.2, number) for number in (1, 2, 3)]
        results = self.carry_out(runs, FAILS)
        self.assertEqual([one["unreached"] for one in results["samples"]], ["it did not start: no memory for it"] * 2)
        self.assertEqual(len(results["notes"]), 1)
        self.assertIn("was not tried again", results["notes"][0])

    def test_a_server_that_ends_is_a_result(self):
        found = self.closed(source=SERVE + "time.sleep(0.1)\nsys.exit('out of descriptors')")["samples"][0]
        self.assertEqual(found["unreached"], "it ended by itself: out of descriptors")
        self.assertIsNone(found["requests"])

    def test_a_generator_without_a_result_is_a_result(self):
        found = self.closed(says="unable to connect")["samples"][0]
        self.assertIn("sh: unable to connect", found["unreached"])

    def test_without_a_capacity_nothing_is_paced(self):
        found = self.carry_out([OfShell("paced", "cgi", 100, 1, 0.2, 1, "fast", 0.5)])["samples"][0]
        self.assertIn("rate is not known", found["unreached"])

    def test_an_interruption_leaves_nobody_and_keeps_the_samples(self):
        before = compare_process.children()
        runs = [OfShell("closed", "cgi", 100, 1, 0.2, number) for number in (1, 2)]
        runs[1].command = lambda *_: ["sh", "-c", f"kill -INT {os.getpid()}; sleep 60"]
        results = {"samples": [], "notes": []}
        runs[0].said_by = WRK.format(requests=1, errors="")
        port = free_port()
        with tempfile.TemporaryDirectory() as name, mock.patch("sys.stdout"):
            own = CompareRunner({"cgi": ("cgi", [sys.executable, "-c", ANSWERS, str(port)], port)},
                                settings(models=()), results, Path(name))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.assertRaises(KeyboardInterrupt, own.carry_out, runs)
            self.assertEqual(len(json.loads((Path(name) / "results.json").read_text(encoding="utf-8"))["samples"]), 1)
        self.assertEqual(compare_process.children(), before)


if __name__ == "__main__":
    unittest.main()
