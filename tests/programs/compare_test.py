"""Drives `starling compare` from outside, on small searches, against a calculation of its own.

usage: compare_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import json
import os
import re
import subprocess
import tempfile
import unittest

import h5py
import pandas as pd

from case import STARLING
from tiny import EXPERIMENT, make_text


def starling(cwd, *arguments):
    return subprocess.run([STARLING, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=300)


def dominated_area(points, reference):
    """Strip by strip, of two objectives."""
    area, below = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < below:
            area += (reference[0] - x) * (below - y)
            below = y
    return area


def front_of(points):
    return [p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)]


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="starling test ")
        cls.cwd = cls.holder.name
        make_text(cls.cwd)
        with open(os.path.join(cls.cwd, "tiny.toml"), "w") as file:
            file.write(EXPERIMENT)
        for name, *overrides in (("evolved", "budget.evaluations=14", 'search.baselines=["transformer++"]'),
                                 ("random", "budget.evaluations=10", "search.algorithm=random"),
                                 ("other", "budget.evaluations=4", 'search.objectives=["quality"]'),
                                 ("reversed", "budget.evaluations=8", 'search.objectives=["cache", "quality"]'),
                                 ("shorter", "budget.evaluations=4", "task.sequence_length=16"),
                                 ("elsewhere", "budget.evaluations=4", "task.validation_fraction=0.4")):
            result = starling(cls.cwd, "run", "tiny.toml", *overrides, "--quiet", "--out", name)
            assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def compare(self, *arguments, code=0):
        result = starling(self.cwd, "compare", *arguments)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result

    def test_the_best_is_that_of_the_least_loss_whatever_comes_first_of_the_objectives(self):
        best = json.loads(self.compare("reversed", "reversed", "--json").stdout)["runs"][0]["best"]
        self.assertEqual(best["loss"], min(loss for loss, _ in self.points("reversed")))

    def points(self, name):
        """(loss, cache) of the candidates of a search, baselines left out, in the order of their results."""
        with h5py.File(os.path.join(self.cwd, name, "run.h5"), "r") as file:
            rows = pd.DataFrame(file["evaluations"][:])
            origins = pd.DataFrame(file["candidates"][:]).set_index("candidate_id")["origin"]
            kinds = {value: key for key, value in h5py.check_enum_dtype(file["candidates"].dtype["origin"]).items()} \
                if h5py.check_enum_dtype(file["candidates"].dtype["origin"]) else None
        named = origins.map(lambda value: kinds[value] if kinds else value.decode() if isinstance(value, bytes) else value)
        rows = rows[[named[id] != "baseline" for id in rows["candidate_id"]]]
        return list(zip(rows["obj_quality"], rows["obj_cache"]))

    def test_shares_are_those_of_a_box_around_both_fronts(self):
        data = json.loads(self.compare("evolved", "random", "--json").stdout)
        found = {name: self.points(name) for name in ("evolved", "random")}
        self.assertEqual([len(found["evolved"]), len(found["random"])], [run["evaluations"] for run in data["runs"]])
        self.assertEqual([14, 10], [run["evaluations"] for run in data["runs"]])
        joint = front_of(found["evolved"] + found["random"])
        members = front_of(found["evolved"]) + front_of(found["random"])
        ideal = [min(p[m] for p in members) for m in (0, 1)]
        worst = [max(p[m] for p in members) for m in (0, 1)]
        reference = [w + (w - i) / 10 for i, w in zip(ideal, worst)]
        self.assertEqual([o["ideal"] for o in data["objectives"]], ideal)
        for side, expected in zip(data["objectives"], reference):
            self.assertAlmostEqual(side["reference"] / expected, 1)
        volume = (reference[0] - ideal[0]) * (reference[1] - ideal[1])
        self.assertEqual(data["joint_front"], len(joint))
        for run, name in zip(data["runs"], ("evolved", "random")):
            points = found[name]
            course = {step["evaluations"]: step["share"] for step in run["hypervolume"]}
            share = 0
            for count in range(1, len(points) + 1):
                share = course.get(count, share)
                clipped = [tuple(max(v, i) for v, i in zip(p, ideal)) for p in points[:count]]
                self.assertAlmostEqual(share, dominated_area(clipped, reference) / volume, msg=f"{name} after {count}")
            self.assertGreater(share, 0)
            self.assertEqual(run["of_joint_front"], sum(p in joint for p in points))
            self.assertEqual(run["best"]["loss"], min(p[0] for p in points))
        self.assertEqual(data["notes"], [])

    def test_the_table_says_who_was_sooner(self):
        text = self.compare("evolved", "random").stdout
        self.assertRegex(text, r"HV 2 +HV 5 +HV 7 +HV 10 +HV end")
        self.assertRegex(text, r"(?m)^evolved +nsga2 +2,048 +14 ")
        self.assertRegex(text, r"(?m)^random +random +2,048 +10 ")
        runs = json.loads(self.compare("evolved", "random", "--json").stdout)["runs"]
        shares = {os.path.basename(run["run"]): run["hypervolume"][-1]["share"] for run in runs}
        sooner, later = sorted(shares, key=shares.get, reverse=True)
        self.assertRegex(text, rf"{sooner} was after \d+ evaluations where {later} ended after {'14' if later == 'evolved' else '10'}\.")

    def test_a_search_against_itself_is_nowhere_sooner(self):
        text = self.compare("random", "random").stdout
        self.assertNotIn("where random ended", text)
        first, second = text.splitlines()[2:4]
        self.assertEqual(first, second)

    def test_what_does_not_compare_is_refused(self):
        error = self.compare("evolved", "other", code=2).stderr
        self.assertIn("evolved minimises quality, cache, other minimises quality", error)
        self.assertIn("no such run directory", self.compare("evolved", "evolve", code=2).stderr)
        self.assertRegex(self.compare("evolved", code=2).stderr, r"runs")

    def test_other_settings_of_the_task_are_named(self):
        text = self.compare("random", "shorter").stdout
        self.assertIn("random and shorter have other settings in [task]: their objectives compare roughly", text)

    def test_other_validation_data_are_named(self):
        text = self.compare("evolved", "elsewhere").stdout
        self.assertTrue(re.search(r"evolved and elsewhere were not validated on the same data \((unigram|bigram) loses", text), text)


if __name__ == "__main__":
    unittest.main()
