"""Drives the built programs from outside: what is added to a run after its search, baselines and longer trainings.

usage: after_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import h5py
import numpy as np
import pandas as pd

from case import STARLING
from tiny import EXPERIMENT, make_text


def starling(cwd, *arguments):
    return subprocess.run([STARLING, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=300)


def table(run, name):
    with h5py.File(os.path.join(run, "run.h5"), "r") as file:
        return pd.DataFrame(file[name][:])


def tau_b(a, b):
    """By its definition, pair by pair."""
    pairs = list(itertools.combinations(range(len(a)), 2))
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in pairs]
    return sum(x * y for x, y in signs) / np.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))


class After(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="starling test ")
        make_text(cls.holder.name)
        with open(os.path.join(cls.holder.name, "tiny.toml"), "w") as file:
            file.write(EXPERIMENT)
        # Nearly all of it is the first cohort, which follows from the seed: the front does not depend on which worker is quicker.
        result = starling(cls.holder.name, "run", "tiny.toml", "budget.evaluations=11", "search.population=10", "--quiet", "--out", "searched")
        assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling test ")
        self.addCleanup(folder.cleanup)
        self.cwd = os.path.join(folder.name, "here")
        shutil.copytree(self.holder.name, self.cwd)
        self.run_directory = self.path("searched")

    def path(self, *parts):
        return os.path.join(self.cwd, *parts)

    def starling(self, *arguments, code=0):
        result = starling(self.cwd, *arguments)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result

    def json(self, *arguments, code=0):
        return json.loads(self.starling(*arguments, "--json", code=code).stdout)

    def snapshot(self):
        """What the run says of its search: every table, row by row, and the front."""
        with h5py.File(self.path("searched", "run.h5"), "r") as file:
            rows = {name: [bytes(row.tobytes()) for row in file[name][:]] for name in
                    ("evaluations", "candidates", "archive", "population", "lineage", "tests", "curves", "checkpoints")}
        return rows, self.json("front", "searched")["front"]

    def assert_is_kept(self, before):
        rows, front = self.snapshot()
        for name, old in before[0].items():
            self.assertEqual(rows[name][:len(old)], old, name)
        ids = [member["id"] for member in before[1]]
        self.assertEqual([member["id"] for member in front], ids)
        for new, old in zip(front, before[1]):
            self.assertEqual({**new, "retrainings": []}, {**old, "retrainings": []})

    # --- retrain

    def test_the_front_is_trained_longer_and_its_orders_compared(self):
        before = self.snapshot()
        result = self.starling("retrain", "searched", "--front", "--tokens", "6144")
        self.assert_is_kept(before)
        front = [member["id"] for member in before[1]]
        self.assertGreater(len(front), 1)
        self.assertRegex(result.stdout, r"Kendall τ (-?\d\.\d\d|–)")
        for id in front:
            self.assertRegex(result.stdout, rf"(?m)^{id} +\d")

        data = self.json("retrain", "searched", "--front", "--tokens", "6_144")
        self.assertEqual(data["tokens"], 6144)
        self.assertEqual({row["id"] for row in data["candidates"]}, set(front))
        short = [row["loss"] for row in data["candidates"]]
        long = [row["retraining"]["loss"] for row in data["candidates"]]
        self.assertEqual(short, sorted(short), "best of the search first")
        self.assertAlmostEqual(data["kendall_tau"], tau_b(short, long))
        self.assertEqual([row["rank"] for row in data["candidates"]], list(range(1, len(front) + 1)))
        for row in data["candidates"]:
            self.assertLess(row["retraining"]["loss"], row["loss"], "three times the tokens teach more")
            self.assertEqual(row["retraining"]["tokens"], 6144)
            self.assertEqual(row["retraining"]["rank"], 1 + sum(loss < row["retraining"]["loss"] for loss in long))

        rows = table(self.run_directory, "retrainings")
        self.assertEqual(sorted(rows["candidate_id"]), sorted(front), "the second call found nothing to do")
        self.assertTrue((rows["fidelity"] == 3).all())
        self.assertTrue(np.isfinite(rows["test_loss"]).all())
        curves = table(self.run_directory, "curves")
        for row in rows.itertuples():
            mine = curves[curves["evaluation_id"] == row.evaluation_id]
            self.assertEqual(len(mine), row.curve_count)
            self.assertEqual(mine["tokens"].iloc[-1], 6144)
        # its weights are a model as any other
        path = data["candidates"][0]["retraining"]["checkpoint"]
        self.assertEqual(path, f"checkpoints/{data['candidates'][0]['id']:08d}-6144.h5")
        self.starling("generate", os.path.join("searched", path), "--tokens", "3", "--json")

        shown = self.json("show", "searched")
        self.assertEqual(len(shown["extensions"]), 1, "a call that has nothing to do leaves no trace")
        self.assertEqual(shown["extensions"][0]["ended"]["reason"], "done")
        self.assertEqual(shown["retrained"][0]["kendall_tau"], data["kendall_tau"])
        self.assertIn("retrain searched --front", self.starling("show", "searched").stdout)
        self.assertIn("6,144 tokens", self.starling("show", "searched", str(front[0])).stdout)

    def test_ids_and_baselines_can_be_asked_for(self):
        baselines = [row["id"] for row in self.json("front", "searched")["baselines"]]
        data = self.json("retrain", "searched", "--ids", "4,5", "--baselines", "--tokens", "4096", "--quiet")
        self.assertEqual({row["id"] for row in data["candidates"]}, {4, 5, *baselines})
        self.json("retrain", "searched", "--ids", "6", "--tokens", "4096")
        self.assertEqual(len(self.json("retrain", "searched", "--ids", "6", "--tokens", "4096")["candidates"]), 5)
        other = self.json("retrain", "searched", "--ids", "6", "--tokens", "8192")
        self.assertEqual([row["id"] for row in other["candidates"]], [6])
        self.assertIsNone(other["kendall_tau"], "one candidate has no order")

    def test_what_was_recorded_before_a_kill_is_kept_and_a_second_call_goes_on(self):
        before = self.snapshot()
        command = [STARLING, "retrain", "searched", "--front", "--tokens", "40960", "--workers", "1"]
        process = subprocess.Popen(command, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        end = time.monotonic() + 120
        while self.count("retraining_recorded") < 1:
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.kill()
        process.wait()
        kept = self.count("retraining_recorded")
        self.assertLess(kept, len(before[1]))
        data = self.json("retrain", "searched", "--front", "--tokens", "40960")
        self.assertEqual(len(data["candidates"]), len(before[1]))
        self.assertEqual(self.count("retraining_recorded"), len(before[1]), "none was trained twice")
        self.assertTrue(all(row["retraining"]["test_loss"] is not None for row in data["candidates"]))
        self.assert_is_kept(before)
        self.assertEqual(len(table(self.run_directory, "retrainings")), len(before[1]))

    def count(self, kind):
        with open(self.path("searched", "journal"), "rb") as file:
            return file.read().count(kind.encode())

    def test_an_interrupt_ends_it_with_everything_recorded_and_no_second_writer_is_let_in(self):
        command = [STARLING, "retrain", "searched", "--front", "--tokens", "400000000"]
        of_search = self.count("worker_joined")
        process = subprocess.Popen(command, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        end = time.monotonic() + 120
        while self.count("worker_joined") == of_search:
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        refused = self.starling("baselines", "searched", code=2)
        self.assertIn("another process writes to this run", refused.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130)
        shown = self.json("show", "searched")
        self.assertEqual(shown["extensions"][-1]["ended"]["reason"], "interrupted")
        self.assertTrue(shown["ended"]["complete"], "the search had ended before")

    def test_messages_go_into_no_journal_where_standard_error_is_closed(self):
        command = f'"{STARLING}" retrain searched --baselines --tokens 3072 2>&- >/dev/null'
        subprocess.run(["bash", "-c", command], cwd=self.cwd, timeout=300)
        self.assertIn("3,072 tokens", self.starling("show", "searched", "1").stdout)

    def test_tables_that_are_gone_are_made_anew_where_nothing_is_left_to_train(self):
        self.starling("retrain", "searched", "--baselines", "--tokens", "3072")
        before = table(self.run_directory, "retrainings")
        os.remove(self.path("searched", "run.h5"))
        shutil.rmtree(self.path("searched", "logs"))
        self.starling("retrain", "searched", "--baselines", "--tokens", "3072")
        self.assertTrue(table(self.run_directory, "retrainings").equals(before))
        os.remove(self.path("searched", "run.h5"))
        self.starling("baselines", "searched")
        self.assertTrue(table(self.run_directory, "retrainings").equals(before))
        self.starling("retrain", "searched", "--baselines", "--tokens", "4096")
        self.assertTrue(os.listdir(self.path("searched", "logs")))

    def test_text_that_has_changed_is_noticed(self):
        with open(self.path("text", "0.txt"), "a") as file:
            file.write("Nothing of this was there when the others were trained.\n" * 50)
        result = self.starling("retrain", "searched", "--front", "--tokens", "4096", code=2)
        self.assertIn("task.files have changed", result.stderr)
        self.assertEqual(self.count("retraining_recorded"), 0)

    def test_wrong_requests_say_what_is_wrong_and_leave_no_trace(self):
        before = os.path.getsize(self.path("searched", "journal"))
        for arguments, words in (
                (["retrain", "searched", "--tokens", "4096"], "--front"),
                (["retrain", "searched", "--front"], "--tokens"),
                (["retrain", "searched", "--front", "--tokens", "255"], "training.batch_tokens = 256"),
                (["retrain", "searched", "--front", "--tokens", "2048"], "nothing to compare"),
                (["retrain", "searched", "--ids", "99", "--tokens", "4096"], "no candidate 99"),
                (["retrain", "nowhere", "--front", "--tokens", "4096"], "no such run directory"),
                (["retrain", "text", "--front", "--tokens", "4096"], "not a run directory"),
                (["baselines", "searched", "--names", "transformer"], "transformer++"),
                (["baselines", "searched", "--match", "99"], "expected 1 … 13"),
                (["baselines", "searched", "training.tokens=4096"], "a run has its experiment already"),
                (["baselines", "searched", "--out", "there"], "--out"),
                (["baselines", "tiny.toml", "--match-front"], "no candidates to match"),
                (["baselines", "tiny.toml", "search.baselines=[]"], "striped-hyena"),
                (["baselines", "tiny.toml", "--names", "transformer"], "transformer++")):
            with self.subTest(" ".join(arguments)):
                result = self.starling(*arguments, code=2)
                self.assertIn(words, result.stderr)
        self.assertEqual(os.path.getsize(self.path("searched", "journal")), before)
        self.assertEqual(os.listdir(self.path("runs")) if os.path.exists(self.path("runs")) else [], [])
        os.rename(self.path("text"), self.path("moved"))
        self.assertIn("where the search was run", self.starling("retrain", "searched", "--front", "--tokens", "4096", code=2).stderr)

    # --- baselines

    def test_baselines_are_put_into_a_finished_run_also_as_large_as_its_candidates(self):
        before = self.snapshot()
        member = max(before[1], key=lambda each: each["parameters"])
        result = self.starling("baselines", "searched", "--names", "striped-hyena,transformer++", "--match", str(member["id"]))
        self.assert_is_kept(before)
        self.assertRegex(result.stderr, rf"striped-hyena as large as candidate {member['id']}: \d+ LIVs × \d+ channels")
        rows = self.json("front", "searched")["baselines"]
        self.assertEqual([row["name"] for row in rows[:2]], ["transformer++", "striped-mamba"])
        added = rows[2:]
        plain = [row for row in added if row["matched_to"] is None]
        self.assertEqual([(row["name"], row["depth"], row["width"]) for row in plain], [("striped-hyena", 4, 32)])
        for row in added:
            self.assertEqual((row["status"], row["tokens"]), ("ok", 2048))
            self.assertIsNotNone(row["test_loss"])
        embedding = 257 * 32
        for row in added:
            if row["matched_to"] is None:
                continue
            self.assertEqual(row["matched_to"], member["id"])
            described = self.json("describe", row["genome"], "--width", str(row["width"]), "--length", "32")
            off = abs(described["parameters"]["without_embedding"] - (member["parameters"] - embedding))
            own = self.json("describe", row["name"], "--width", "32", "--depth", "4", "--length", "32")["parameters"]["without_embedding"]
            self.assertLess(off, abs(own - (member["parameters"] - embedding)), "nearer than the plain one")
            self.assertIn(f"as {member['id']})", result.stdout)
        candidates = table(self.run_directory, "candidates").set_index("candidate_id")
        for row in added:
            self.assertEqual(candidates.loc[row["id"], "width"], row["width"])
            self.assertEqual(candidates.loc[row["id"], "matched_to"], row["matched_to"] or -1)
        # again: all of it is there
        size = os.path.getsize(self.path("searched", "journal"))
        data = self.json("baselines", "searched", "--names", "striped-hyena,transformer++", "--match", str(member["id"]))
        self.assertTrue(all(each["was_there"] for each in data["wanted"]))
        self.assertEqual(os.path.getsize(self.path("searched", "journal")), size)

    def test_another_width_is_trained_saved_and_read_as_such(self):
        member = self.json("front", "searched")["front"][0]["id"]
        data = self.json("baselines", "searched", "--names", "striped-hyena", "--match", str(member), "--vary", "width", "--quiet")
        matched = next(each for each in data["wanted"] if each["matched_to"] == member)
        self.assertEqual(matched["depth"], 4)
        row = next(each for each in data["baselines"] if each["id"] == matched["candidate"])
        with h5py.File(self.path("searched", row["checkpoint"]), "r") as file:
            self.assertEqual(file["weights/embedding"].shape, (257, matched["width"]))
        self.starling("generate", os.path.join("searched", row["checkpoint"]), "--tokens", "3", "--json")
        data = self.json("retrain", "searched", "--ids", str(row["id"]), "--tokens", "4096")
        self.assertEqual(data["candidates"][0]["retraining"]["status"], "ok")

    def test_baselines_alone_make_a_run_of_their_own(self):
        result = self.starling("baselines", "tiny.toml", "training.tokens=4096", "--out", "alone")
        self.assertIn("striped-mamba", result.stdout)
        data = self.json("front", "alone", code=3)
        self.assertEqual([(row["name"], row["tokens"]) for row in data["baselines"]], [("transformer++", 4096), ("striped-mamba", 4096)])
        self.assertIn("not searched", self.starling("show", "alone").stdout)
        searched = {row["name"]: row["loss"] for row in self.json("front", "searched")["baselines"]}
        self.starling("baselines", "tiny.toml", "--names", "transformer++", "--quiet")
        alone = self.json("front", "runs/tiny-1", code=3)["baselines"]
        self.assertEqual([(row["name"], row["loss"]) for row in alone], [("transformer++", searched["transformer++"])],
                         "as the search trains it")

    def test_baselines_that_a_search_left_behind_are_finished(self):
        with open(self.path("searched", "journal"), "rb") as file:
            journal = file.read()
        # The journal as it was when the search was killed after its baselines were accepted: cut before the first result.
        cut = journal.index(b"evaluation_recorded")
        os.truncate(self.path("searched", "journal"), cut)
        rows = self.json("baselines", "searched")["baselines"]
        self.assertEqual([row["name"] for row in rows], ["transformer++", "striped-mamba"])
        self.assertTrue(all(row["status"] == "ok" for row in rows))


if __name__ == "__main__":
    unittest.main(verbosity=2)
