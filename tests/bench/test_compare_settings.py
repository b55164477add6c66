#!/usr/bin/env python3
"""With which settings bench/compare begins, and with which it goes on."""
import argparse
import unittest
from pathlib import Path

import any_report  # noqa: F401  the way to bench/lib

from lib import compare_plan, compare_settings
from lib.compare_plan import LIMIT
from lib.machine import Failure


def compared(port=18500):
    return compare_plan.Settings(["cgi", "reactor-one"], ["nginx", "go"], True, list(compare_plan.CONNECTIONS),
                                 3, 2, 2, 64, 2, port, False)


class Settings(unittest.TestCase):
    def options(self, **given):
        names = [*compare_plan.Settings.__dataclass_fields__, "resume"]
        return argparse.Namespace(**(dict.fromkeys(names) | {"quick": False, "resume": Path("run")} | given))

    def stored(self, given=None, commit="c1", **results):
        stored = {"complete": False, "settings": vars(compared()), "environment": {"commit": "c1", "dirty": False}}
        return compare_settings.stored(self.options(**(given or {})), stored | results,
                                       {"commit": commit, "dirty": False})

    def test_a_run_goes_on_with_its_own_settings(self):
        self.assertEqual(self.stored(), compared())
        self.assertEqual(self.stored({"rounds": 3}), compared())

    def test_it_does_not_go_on_with_others(self):
        with self.assertRaisesRegex(Failure, "another --rounds, --wrk-threads"):
            self.stored({"rounds": 4, "wrk_threads": 8})
        with self.assertRaisesRegex(Failure, "another --quick"):
            self.stored({"quick": True})

    def test_it_does_not_go_on_at_another_commit(self):
        with self.assertRaisesRegex(Failure, "commit was c1 and is c2"):
            self.stored(commit="c2")

    def test_what_is_complete_does_not_go_on(self):
        self.assertRaisesRegex(Failure, "nothing is left to do", self.stored, complete=True)

    def test_who_is_not_asked_for_is_said(self):
        self.assertIn("caddy was not asked for", compare_settings.not_asked_for(compared()))
        self.assertNotIn("nginx was not asked for", compare_settings.not_asked_for(compared()))
        self.assertEqual(compare_settings.keep(compared(), ["cgi", "go"]).servers(), ["cgi", "go"])
        self.assertEqual(compare_settings.keep(compared(), ["cgi", LIMIT]).servers(), ["cgi", LIMIT])

    def test_there_is_somebody_to_be_measured(self):
        compare_settings.keep(compared(), ["cgi"]).check()
        self.assertRaisesRegex(Failure, "nobody", compare_settings.keep(compared(), []).check)

    def test_every_server_has_a_port(self):
        last = 65535 - len(compare_plan.TITLES) - len(compare_plan.PEERS) - 1
        compared(port=last).check()
        self.assertRaisesRegex(Failure, f"--port is {last} at most", compared(port=last + 1).check)


if __name__ == "__main__":
    unittest.main()
