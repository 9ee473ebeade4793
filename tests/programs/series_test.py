"""Searches on series of numbers, from outside.

usage: series_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import gzip
import json
import os
import unittest

import h5py
import numpy as np

from case import Case

EXPERIMENT = """
name = "waves"
seed = 5
workers = 2

[budget]
evaluations = 8

[task]
kind = "series"
files = ["waves.csv"]
sequence_length = 32

[model]
depth = 4
width = 32

[search]
objectives = ["quality", "cache"]
population = 3

[training]
tokens = 20_000
batch_tokens = 256
learning_rate = 4e-3
"""

ROWS = 3000


def waves():
    """Two columns, far from mean 0 and deviation 1; noise that no model foresees; values that are missing. The same every time."""
    random = np.random.RandomState(7)
    t = np.arange(ROWS)
    values = np.stack([40 + 9 * np.sin(t / 3) + 3 * np.sin(t / 17), -0.002 * np.cos(t / 5)], 1)
    values += random.normal(size=values.shape) * values.std(0) * 0.1
    values[random.uniform(size=values.shape) < 0.02] = np.nan
    return values


def write_csv(path, values, opener=open):
    with opener(path, "wt") as file:
        file.write("day,load,price\n")
        for day, row in enumerate(values):
            file.write(f"day {day}," + ",".join("" if np.isnan(value) else repr(float(value)) for value in row) + "\n")


def parts(rows):
    """Rows of training, validation and test: a tenth of the rows at the end is the test, the tenth before it validation."""
    return rows - 2 * (rows // 10), rows - rows // 10


class Series(Case):
    def setUp(self):
        super().setUp()
        self.values = waves()
        write_csv(self.path("waves.csv"), self.values)
        self.write("waves.toml", EXPERIMENT)

    def test_a_search_beats_the_last_value_and_tells_squared_errors(self):
        result = self.starling("run", "waves.toml")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"^candidate +MSE +on test +parameters")
        self.assertIn("MSE 0.", result.stderr)
        for nonsense in ["perplexity", "bits/byte"]:
            self.assertNotIn(nonsense, result.stdout + result.stderr)

        front = json.loads(self.output("front", "runs/waves-1", "--json"))
        self.assertEqual(front["objectives"][0]["unit"], "mean squared error of normalised columns")
        references = {reference["name"]: reference["loss"] for reference in front["references"]}
        begin, end = parts(ROWS)
        training, validation = self.values[:begin], self.values[begin:end]
        normalised = (validation - np.nanmean(training, 0)) / np.nanstd(training, 0)
        last, squares = np.where(np.isnan(normalised[0]), 0, normalised[0]), []
        for row in normalised[1:]:
            squares.append((row - last) ** 2)
            last = np.where(np.isnan(row), last, row)
        self.assertAlmostEqual(references["last value"], np.nanmean(squares), 5)
        self.assertAlmostEqual(references["mean"], np.nanmean(normalised[1:] ** 2), 5)
        best = front["front"][0]
        self.assertLess(best["loss"], 0.5 * references["last value"])
        self.assertGreater(best["loss"], 0.01)  # the noise stays
        self.assertEqual(best["objectives"]["quality"], best["loss"])
        self.assertLess(abs(best["test_loss"] - best["loss"]), 0.5 * best["loss"])
        self.assertIsNone(best["perplexity"])
        self.assertIsNone(best["test_perplexity"])
        self.assertIsNone(best["bits_per_byte"])

        with open(self.path("runs", "waves-1", "experiment.toml")) as file:
            self.assertIn('columns = ["load", "price"]', file.read())
        with h5py.File(self.path("runs", "waves-1", best["checkpoint"])) as file:
            shapes = {}
            file.visititems(lambda name, item: shapes.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None)
        found = {name.rpartition("/")[2]: shape for name, shape in shapes.items()}
        self.assertEqual((found["input.weight"], found["output.weight"]), ((32, 2), (2, 32)))
        self.assert_refused_generation(best["checkpoint"])

        longer = self.output("retrain", "runs/waves-1", "--ids", str(best["id"]), "--tokens", "4096")
        self.assertRegex(longer, r"^MSE after the search's training")
        shown = self.output("show", "runs/waves-1", str(best["id"]))
        self.assertRegex(shown, r"retrained +4,096 tokens, ok: MSE 0\.\d{5}; checkpoint .*\n +on test +MSE 0\.\d{5}\n")
        self.assertNotIn("erplexity", longer + shown)

    def assert_refused_generation(self, checkpoint):
        result = self.starling("generate", "runs/waves-1/" + checkpoint, "--prompt", "1 2 3")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("a series has no tokens", result.stderr)

    def test_the_same_numbers_as_csv_and_as_hdf5_give_the_same_models(self):
        os.mkdir(self.path("other"))
        with h5py.File(self.path("other", "waves.h5"), "w") as file:
            file.create_dataset("plant/waves", data=self.values, chunks=(512, 1), compression="gzip")
        write_csv(self.path("other", "waves.csv.gz"), self.values, gzip.open)
        few = ["budget.evaluations=1", "search.algorithm=random", "training.tokens=4000", "--json", "--quiet"]
        runs = [json.loads(self.output("run", "waves.toml", *few)),
                json.loads(self.output("run", "waves.toml", 'task.files=["other/*.gz"]', *few)),
                json.loads(self.output("run", "waves.toml", 'task.files=["other/*.h5"]', 'task.columns=["plant/waves"]', *few))]
        losses = [[candidate["loss"] for candidate in run["front"] + run["baselines"]] + [r["loss"] for r in run["references"]]
                  for run in runs]
        self.assertGreater(len(losses[0]), 4)
        self.assertEqual(losses[0], losses[1])
        self.assertEqual(losses[0], losses[2])

    def test_check_and_plan_know_the_columns(self):
        self.assertIn("series of 2 columns (load, price) of waves.csv, sequences of 32 rows", self.output("check", "waves.toml"))
        one = json.loads(self.output("run", "waves.toml", 'task.columns=["price"]', "--dry-run", "--json"))
        two = json.loads(self.output("run", "waves.toml", "--dry-run", "--json"))
        self.assertEqual(two["experiment"]["task"]["columns"], ["load", "price"])
        difference = [b["parameters"] - a["parameters"] for a, b in zip(one["baselines"], two["baselines"])]
        self.assertEqual(difference, [2 * 32 + 2] * 2)
        described = self.json("describe", "transformer++", "--experiment", "waves.toml")
        self.assertEqual((described["parameters"]["total"], described["columns"]), (two["baselines"][0]["parameters"], 2))
        self.assert_refused(["describe", "transformer++", "--experiment", "waves.toml", "--vocabulary", "5"], "a series, which has none")

    def test_what_the_files_lack_is_told_before_anything_starts(self):
        self.assert_refused(["run", "waves.toml", 'task.columns=["laod"]'], "no column 'laod' (did you mean 'load'?)")
        self.assert_refused(["run", "waves.toml", 'task.files=["none*.csv"]'], "no file matches")
        with h5py.File(self.path("a.h5"), "w") as file:
            file["load"] = np.arange(10.0)
        self.assert_refused(["check", "waves.toml", 'task.files=["a.h5"]'], "which datasets of", "load (10 rows)")
        self.assert_refused(["run", "waves.toml", 'task.files=["a.h5"]', 'task.columns=["lod"]'], "(did you mean 'load'?)")

    def test_a_link_to_a_file_is_read_by_its_own_name(self):
        os.mkdir(self.path("blobs"))
        os.rename(self.path("waves.csv"), self.path("blobs", "1"))
        os.symlink("blobs/1", self.path("waves.csv"))
        self.assertIn("series of 2 columns (load, price) of waves.csv", self.output("check", "waves.toml"))
        self.assert_refused(["check", "waves.toml", 'task.files=["blobs/1"]'], "blobs/1' is no file of a series")

    def test_what_is_no_number_ends_a_run_with_its_line(self):
        with open(self.path("waves.csv"), "a") as file:
            file.write("day x,3,four\n")
        self.assert_refused(["run", "waves.toml"], f"waves.csv:{ROWS + 2}: column 'price' holds 'four', expected a finite number")


if __name__ == "__main__":
    unittest.main()
