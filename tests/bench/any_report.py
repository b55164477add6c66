"""What holds for the report of every benchmark, and the way to bench/lib."""
import copy
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench"))


def fixture(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


class AnyReport:
    """Tests of a report that its class names as writer, over the results that it names as stored."""
    writer, stored = None, None

    def setUp(self):
        self.results = fixture(self.stored)

    def text(self, names=()):
        return self.writer.text(self.results, names)

    def check_charts(self, names, folder):
        for chart in names:
            for ending in ("svg", "png"):
                self.assertGreater((folder / f"{chart}.{ending}").stat().st_size, 1000)

    def test_quick_and_incomplete_runs_say_so_before_anything_else(self):
        self.assertNotIn("quick run", self.text())
        self.results["settings"]["quick"] = True
        self.results["complete"] = False
        top = self.text().split("## ")[0]
        self.assertIn("proves nothing", top)
        self.assertIn("did not come to its end", top)

    def test_nothing_is_changed_by_reporting(self):
        before = copy.deepcopy(self.results)
        self.text()
        self.assertEqual(self.results, before)
