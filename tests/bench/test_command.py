#!/usr/bin/env python3
"""What the programs of bench/ share at the command line: how they end, and what they go on with."""
import contextlib
import io
import json
import os
import signal
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import any_report  # noqa: F401  the way to bench/lib

from lib import cli, machine, peers
from lib.runner import END_SIGNALS


def ignored(number):
    return signal.getsignal(number) is signal.SIG_IGN


class Ends(unittest.TestCase):
    def setUp(self):
        for number in (*END_SIGNALS, signal.SIGCHLD):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def status(self, action):
        """The exit status of a program that does that, and what it wrote to stderr."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return cli.exit_status("it", action), said.getvalue()

    def test_what_the_system_refuses_is_one_line(self):
        self.assertEqual(self.status(lambda: os.mkdir("/proc/results")),
                         (1, "it: [Errno 2] No such file or directory: '/proc/results'\n"))

    def test_a_failure_is_one_line(self):
        def fail():
            raise machine.Failure("no wrk")
        self.assertEqual(self.status(fail), (1, "it: no wrk\n"))

    def test_signals_interrupt(self):
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
            self.assertEqual(self.status(lambda number=number: os.kill(os.getpid(), number)),
                             (130, "\nit: interrupted\n"))

    def test_what_nohup_ignores_stays_ignored(self):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.assertEqual(self.status(lambda: os.kill(os.getpid(), signal.SIGHUP)), (0, ""))

    def test_children_can_be_waited_for_whoever_started_the_program(self):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        self.status(lambda: self.assertFalse(ignored(signal.SIGCHLD)))


class StoredResults(unittest.TestCase):
    def stored(self, text, program="compare"):
        with tempfile.TemporaryDirectory() as name, mock.patch.object(machine, "require_tools"):
            (Path(name) / "results.json").write_text(text, encoding="utf-8")
            return cli.stored_results(Path(name), program)

    def test_those_of_the_program_itself(self):
        for invocation in ("bench/compare", "bench/compare --quick"):
            results = {"invocation": invocation}
            self.assertEqual(self.stored(json.dumps(results)), results)

    def test_what_is_cut_off_cannot_be_read(self):
        self.assertRaisesRegex(machine.Failure, "results.json cannot be read", self.stored, '{"invocation": "ben')

    def test_those_of_others_are_refused(self):
        for text in ('{"invocation": "bench/mixed --quick"}', "{}", "[]", "null", '{"invocation": ""}'):
            self.assertRaisesRegex(machine.Failure, "results.json is not from bench/compare", self.stored, text)


class Owner(unittest.TestCase):
    def test_a_user_without_a_name_has_a_number(self):
        with mock.patch("os.geteuid", return_value=54321), mock.patch("os.getegid", return_value=54322):
            self.assertEqual(peers.user_and_group(), ("54321", "54322"))


if __name__ == "__main__":
    unittest.main()
